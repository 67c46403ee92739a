"""Run, case, index and confidential pages: what they say, and that they ask for nothing."""

import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
import synthetic as make
from pages import assert_self_contained, unpacked

from leaklab import report
from leaklab.catalogue.model import catalogue
from leaklab.present import text, units
from leaklab.report import drawings, run_view
from leaklab.report.confidential import without_secrets
from leaklab.results.run import Run

COUNT = 120
SECRETS = (
    "s3cret-argument",
    "private/module.py",
    "customer 4711",
    "secret_source_text",
    "/var/data",
)
HOSTILE = "</script><img src=x onerror=alert(1)>"


def recorded(variant="before", rate=20_000.0, **meta):
    data = make.run(
        rss=make.leak(COUNT, rate) + make.noise(COUNT, 2e4),
        sites={
            "build_page": make.leak(COUNT, rate),
            "index": make.warm_up(COUNT, 9e4, half_life=5),
        },
        fd_count=make.steady(COUNT, 5.0),
        meta={
            "name": "unbounded-cache",
            "variant": variant,
            "run_id": f"20260101-{variant}",
            **meta,
        },
    )
    return Run(data)


def test_run_page_says_verdict_rates_line_and_shows_every_figure(tmp_path):
    page = report.render_run(recorded(), tmp_path / "run.html")
    html = page.read_text()
    assert_self_contained(html)
    assert '<span class="verdict leak">▲ leak</span>' in html
    assert "KiB per iteration" in html
    assert "build_page" in html
    assert "app.py:10" in html
    assert html.count("<iframe") == 1
    drawings = re.findall(r"<svg [^>]*>", html)
    assert len(drawings) >= 4
    assert all('aria-label="' in drawing for drawing in drawings)
    assert page.stat().st_size < 2_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


def test_a_leak_group_says_what_keeps_it_every_line_that_made_it_and_how_fast_it_grows():
    row = {"path": "app.BUCKETS → dict value → dict", "count": 370, "growth_count": 250,
           "retained_bytes": 68_096.0, "rate": 2_815.0, "unit": "iteration", "role": "main",
           "suspect_ranks": [1, 3, 9], "confidence": "medium", "is_little": False}  # fmt: skip
    lines = {("main", 1): "make app.py:3", ("main", 3): "keep app.py:7", ("fork", 9): "other"}
    shown = run_view._path(row, lines)
    assert shown["allocated_at"] == ["make app.py:3", "keep app.py:7"]
    assert (shown["confidence"], shown["growth"]) == ("medium", "+2.75 KiB per iteration")
    unmatched = run_view._path(row | {"suspect_ranks": [], "confidence": None}, lines)
    assert (unmatched["allocated_at"], unmatched["confidence"]) == ([], "")


def test_run_page_says_what_to_know_beside_the_verdict(tmp_path, monkeypatch):
    given = [{"name": "rss_bytes", "value": 3e6, "after": 1e6}]
    monkeypatch.setattr(Run, "given_back", lambda run: given)
    run = recorded(limits={"memory_bytes": 2**30})
    *_, native = run.notes()
    page = unescape(report.render_run(run, tmp_path / "run.html").read_text())
    assert f"{native[:1].upper()}{native[1:]}." in page
    assert f">{run.limit_text()}.<" in page
    (back,) = text.given_back_lines(run)
    assert f"{back[:1].upper()}{back[1:]}." in page


def test_a_suspect_without_a_frame_is_explained(tmp_path):
    data = recorded().data
    tables = {name: data.table(name) for name in ("samples", "snapshots", "heap", "frames")}
    stacks = data.stacks.assign(frame_ids=[[] for _ in range(len(data.stacks))])
    run = Run(make.RunData.from_tables(data.meta, stacks=stacks, **tables))
    note = run.suspects()["note"].iloc[0]
    assert note.startswith("no Python code was running in that thread")
    page = unescape(report.render_run(run, tmp_path / "run.html").read_text())
    assert f"<p>{note}</p>" in page


def test_what_is_bounded_has_its_bound_for_a_pace():
    leak, bounded = (recorded(rate=rate).verdict().resource("rss_bytes") for rate in (2e4, 0.0))
    assert (leak.verdict, bounded.verdict) == ("leak", "bounded")
    assert units.pace_text(leak) == "+19.5 KiB per iteration"
    excluded = units.rate_text("rss_bytes", bounded.excluded, "iteration").removeprefix("+")
    assert units.pace_text(bounded) == f"≤ {excluded}"
    assert units.pace_text(replace(bounded, excluded=0.0)) == ""


def test_run_page_of_an_empty_recording_says_what_is_missing(tmp_path):
    empty = make.run(meta={"name": "nothing", "state": "incomplete", "run_id": "1"})
    html = report.render_run(Run(empty), tmp_path / "run.html").read_text()
    assert "This recording is incomplete" in html
    assert "The heap was not traced in this run" in html
    assert "no object graph was taken" in html
    assert "<iframe" not in html


def test_run_page_tells_how_the_target_ended(tmp_path):
    passes = [
        {"pass": "measure", "duration_seconds": 1.5, "signal": "SIGKILL"},
        {"pass": "explain", "stopped_by": "limit-memory", "stderr_tail": "MemoryError\x1b[0m"},
    ]
    html = report.render_run(recorded(passes=passes), tmp_path / "run.html").read_text()
    assert "In the measure pass the target ended with signal SIGKILL." in html
    assert "The explain pass was stopped by limit-memory." in html
    assert "MemoryError" in html


def test_nothing_of_a_target_becomes_markup(tmp_path):
    data = make.run(
        rss=make.leak(COUNT, 2e4),
        sites={HOSTILE.replace("<", "‹"): make.leak(COUNT, 1e4)},
        meta={
            "name": HOSTILE,
            "variant": HOSTILE,
            "command": {"argv": [HOSTILE]},
            "events": [{"time_seconds": 1.0, "kind": HOSTILE, "text": HOSTILE}],
            "passes": [{"pass": "measure", "stdout_tail": HOSTILE}],
        },
        **{f"gauge__{HOSTILE}": make.leak(COUNT, 1.0)},
    )
    html = report.render_run(Run(data), tmp_path / "run.html").read_text()
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


@pytest.fixture
def secretive():
    run = recorded(
        command={"argv": ["target.py", SECRETS[0]], "kind": "script"},
        parameters={"token": SECRETS[0]},
        environment={"HOME": SECRETS[4]},
        passes=[{"pass": "measure", "stdout_tail": SECRETS[2]}],
        processes=[
            {"process": 0, "pass": "measure", "role": "main", "argv": [SECRETS[0]]},
            {"process": 1, "pass": "explain", "role": "main", "argv": [SECRETS[0]]},
        ],
        events=[{"time_seconds": 0.1, "kind": "note", "text": SECRETS[4]}],
    )
    data = run.data
    frames = data.frames.assign(file=SECRETS[1])
    samples = data.samples
    samples = pd.concat(
        [samples, samples[samples["name"] == "fd_count"].assign(name=f"file_bytes:{SECRETS[4]}")]
    )
    sources = pd.DataFrame({"file": [SECRETS[1]], "line": [10], "text": [SECRETS[3]]})
    tables = {name: data.table(name) for name in ("snapshots", "heap", "stacks")}
    return Run(
        type(data).from_tables(data.meta, **tables, frames=frames, samples=samples, sources=sources)
    )


def test_confidential_page_leaves_out_sources_paths_and_arguments(tmp_path, secretive):
    open_page = report.render_run(secretive, tmp_path / "open.html").read_text()
    assert all(secret in open_page for secret in (*SECRETS[:2], *SECRETS[3:]))
    html = report.render_run(secretive, tmp_path / "run.html", confidential=True).read_text()
    for secret in (*SECRETS, "target.py", str(tmp_path)):
        assert secret not in unescape(html), secret
    assert "build_page" in html
    assert "target file 1:10" in html
    header, _ = unpacked(unescape(re.search(r'srcdoc="([^"]*)"', html)[1]))
    assert header["files"] == ["", "target file 1"]


def test_confidential_run_keeps_its_verdict(secretive):
    redacted = without_secrets(secretive)
    assert redacted.verdict().verdict == secretive.verdict().verdict == "leak"
    assert list(redacted.suspects()["function"]) == list(secretive.suspects()["function"])
    names = {entry.name for entry in redacted.verdict().resources}
    assert "file_bytes:file 1" in names


def test_case_page_holds_claims_verdicts_curves_and_the_fix(tmp_path):
    case = catalogue()["unbounded-cache"]
    runs = {"before": recorded(), "documented_fix": recorded("documented_fix", 0.0)}
    page = report.render_case(case, runs, tmp_path / "cases", notebook="../n/n.html")
    html = page.read_text()
    assert_self_contained(html)
    assert html.count('class="claim"') == len(case.claims)
    assert "Document 001, Fixes 1" in html
    assert "before → documented_fix" in html
    assert re.search(r'<span class="plus">\+ ', html)
    assert "orange calls hold more after the change" in html
    assert 'href="../n/n.html"' in html
    assert "<td>not recorded</td>" in html  # a variant nobody ran
    assert html.count("<iframe") == 1


def test_case_page_without_runs_says_why(tmp_path):
    case = catalogue()["unbounded-cache"]
    html = report.render_case(case, {}, tmp_path).read_text()
    assert "Before and after" not in html
    assert html.count('class="claim"') == len(case.claims)


def test_confidential_case_page_shows_no_code(tmp_path):
    case = catalogue()["unbounded-cache"]
    html = report.render_case(case, {"before": recorded()}, tmp_path, confidential=True).read_text()
    assert "The fix, in code" not in html


def test_index_lists_runs_that_link_back_to_it(tmp_path):
    older = recorded(created="2026-01-01T00:00:00Z")
    newer = recorded(name="<mine>", variant=None, rate=0.0, created="2026-02-01T00:00:00Z")
    pages = [
        report.render_run(run, tmp_path / f"{place}.html", index="index.html")
        for place, run in enumerate((older, newer))
    ]
    alone = report.render_run(older, tmp_path / "alone.html")
    html = report.render_index([], tmp_path).read_text()
    assert_self_contained(html)
    rows = re.findall(r'<td class="name"><a href="([^"]*)">([^<]*)</a></td><td>([^<]*)', html)
    assert [unescape(" ".join(row)) for row in rows] == [
        "1.html <mine> 2026-02-01T00:00:00Z",
        "0.html unbounded-cache/before 2026-01-01T00:00:00Z",
    ]
    assert '<span class="verdict leak">▲ leak</span>' in html
    assert all('<a href="index.html">' in page.read_text() for page in pages)
    assert 'href="index.html"' not in alone.read_text()


DAYS = [(1, "bounded"), (2, "leak"), (3, "")]


def test_index_lists_cases_by_mechanism_and_claims_by_document(tmp_path):
    case = catalogue()["unbounded-cache"]
    runs = {"before": recorded(), "documented_fix": recorded("documented_fix", 0.0)}
    report.render_case(case, runs, tmp_path / "cases")
    entries = report.read_entries(tmp_path)
    assert [entry.id for entry in entries] == ["unbounded-cache"]
    assert [v["verdict"] for v in entries[0].variants][:2] == ["leak", "bounded"]
    others = [report.index_entry(c, {}) for c in catalogue().values() if c.id != case.id]
    trend = [{"started": f"2026-01-0{day}", "verdict": found} for day, found in DAYS]
    link = report.NotebookLink("Start <here>", "00/00.html", trend)
    page = report.render_index([*entries, *others], tmp_path, [link])
    html = page.read_text()
    assert_self_contained(html)
    assert html.count('class="card"') == len(catalogue())
    assert html.count('class="item"') == sum(len(c.claims) for c in catalogue().values())
    assert 'href="cases/unbounded-cache.html"' in html
    assert '<a href="00/00.html">Start &lt;here&gt;</a>' in html
    assert re.findall(r'<i class="(\w*)" title="2026-01-0(\d)', html) == [
        (found, str(day)) for day, found in DAYS
    ]
    assert 'aria-label="2026-01-01 bounded, 2026-01-02 leak, 2026-01-03 no verdict"' in html
    assert re.search(r'data-words="lingering-schedulers [^"]*apscheduler', html)  # what it runs on
    assert html.count("<polyline") == 2
    assert 'aria-label="live heap, before, documented_fix' in html


def test_a_resource_that_has_a_figure_of_its_own_is_not_drawn_again():
    data = make.run(fd_count=make.leak(COUNT, 1.0), meta={"name": "files", "run_id": "1"})
    assert "open file descriptors" in drawings.curves([Run(data)])
    assert drawings.curves([Run(data)], {"fd_count"}) == ""


def test_the_lines_of_a_growth_figure_are_explained_once(tmp_path):
    html = report.render_run(recorded(), tmp_path / "run.html").read_text()
    assert html.count("Dashed: the fitted rate") == 1
