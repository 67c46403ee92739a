"""What a confidential page judges is what the open one judges, and it tells no name or text."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
import synthetic as make
from pages import unpacked

from leaklab import recordings, report
from leaklab.catalogue.model import case
from leaklab.report.confidential import without_secrets
from leaklab.report.hidden_meta import hidden_meta
from leaklab.report.hidden_names import HiddenPaths, hidden_files
from leaklab.results.run import Run

COUNT = 120
SECRET = "acme4711"
FIGURES = ("rate", "rate_low", "rate_high", "first", "last", "unit", "decides", "verdict")
# What stands in a reason for a word of the target's.
ALIAS = re.compile(r"…|process kind \d+|(?:\w+ )?(?:file|figure) \d+")


def with_tables(data, **tables):
    """A run with other tables, or more of them."""
    had = {name: data.table(name) for name in ("samples", "snapshots", "heap", "stacks", "frames")}
    return type(data).from_tables(data.meta, **had | tables)


def plain(**meta):
    growth = make.leak(COUNT, 20_000.0)
    return make.run(
        rss=growth + make.noise(COUNT, 2e4),
        sites={"build_page": growth, "index": make.warm_up(COUNT, 9e4, half_life=5)},
        fd_count=make.leak(COUNT, 1.0),
        meta={"name": SECRET, "run_id": "20260101-a", **meta},
    )


def sampled():
    """A full cache, traced in windows: only the counters can tell that it does not grow."""
    end = COUNT * 0.01
    windows = [[at * end / 6, (at + 0.5) * end / 6] for at in range(6)]
    data = make.run(
        rss=make.steady(COUNT, 1e6) + make.noise(COUNT, 2e4),
        sites={"fill": make.leak(COUNT, 2_500.0)},
    )
    processes = [dict(entry, mark_count=COUNT) for entry in data.meta["processes"]]
    processes[1]["sampling"] = {"windows": windows, "share": 0.2}
    rows = [
        make._samples(name, make.steady(COUNT, level), True, 0.01, process=1)
        for name, level in (("malloc_used_bytes", 5e6), ("allocated_blocks_count", 4e4))
    ]
    counted = [part.assign(**{"pass": "explain"}) for part in rows]
    meta = {**data.meta, "processes": processes}
    samples = pd.concat([data.samples, *counted], ignore_index=True)
    return with_tables(type(data)(meta, None, data.arrow), samples=samples)


def labelled():
    random = np.random.default_rng(3)
    chosen = random.integers(0, 12, 600)
    growth = np.cumsum(np.where(chosen == 2, 6_000.0, 0.0))
    data = make.run(rss=growth + random.normal(0, 5e4, 600))
    data.meta["processes"][0] |= {"mark_count": 600, "units_at_once": 1}
    rows = data.samples[["pass", "process", "time_seconds", "mark"]]
    told = rows.assign(label=[f"GET /{SECRET}/{one}" for one in chosen], count=1)
    return with_tables(data, labels=told)


def with_processes():
    data = plain()
    entry = {"pass": "measure", "parent": 0, "started_seconds": 0.0, "ended_seconds": None}
    for number, role in ((2, f"python {SECRET}.py"), (3, f"{SECRET} worker")):
        data.meta["processes"].append({"process": number, "role": role, **entry})
    many = [
        make._samples("rss_bytes", 5e7 + make.leak(2_000, 9e3 * number), False, 0.05, number)
        for number in (2, 3)
    ]
    return with_tables(data, samples=pd.concat([data.samples, *many], ignore_index=True))


def imported():
    seconds = 60.0 * np.arange(600)
    values = 2e8 + 4e4 * np.arange(600) + np.random.default_rng(1).normal(0, 1e5, 600)
    series = {"rss_bytes": (seconds, values), f"gauge:{SECRET}_bytes": (seconds, values / 2)}
    return recordings.from_series(series, unit="second", limit_bytes=5e8).data


def died_importing():
    data = make.run(rss=make.leak(COUNT, 2e4), marks=False, seconds_per_point=0.05)
    stderr = (
        f'Traceback (most recent call last):\n  File "{SECRET}.py", line 1, in <module>\n'
        f'  File "/{SECRET}/b.py", line 2, in <module>\nValueError: {SECRET}\n'
    )
    data.meta["passes"][0] |= {"exit_status": 1, "duration_seconds": 6.0, "stderr_tail": stderr}
    return data


KINDS = {
    "plain": plain,
    "sampled": sampled,
    "labelled": labelled,
    "horizon": lambda: plain(horizon_seconds=30 * 86_400.0),
    "with processes": with_processes,
    "imported": imported,
    "died importing": died_importing,
    "driven": lambda: plain(events=[{"kind": "drive", "text": f"failed: {SECRET}"}]),
    "out of memory": lambda: plain(passes=[{"pass": "measure", "out_of_memory": True}]),
    "server": lambda: plain(
        command={"argv": [f"/{SECRET}/gunicorn", SECRET]}, limits={"memory_bytes": 1 << 29}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_judges_as_the_open_page(kind):
    shown = Run(KINDS[kind]())
    hidden = without_secrets(shown)
    assert hidden.verdict().verdict == shown.verdict().verdict
    pairs = zip(shown.verdict().resources, hidden.verdict().resources, strict=True)
    for one, other in pairs:
        assert [repr(getattr(other, each)) for each in FIGURES] == [
            repr(getattr(one, each)) for each in FIGURES
        ]
        assert same_words(one.reason, other.reason)
    assert same_words(shown.verdict().reason, hidden.verdict().reason)
    labels, others = shown.labels(), hidden.labels()
    pd.testing.assert_frame_equal(
        labels.drop(columns=["label", "resource", "role"]),
        others.drop(columns=["label", "resource", "role"]),
    )
    assert (kind == "labelled") == (len(labels) > 0)
    assert list(hidden.suspects()["function"]) == list(shown.suspects()["function"])
    assert hidden.notes() == shown.notes()
    assert str(hidden.time_left()) == str(shown.time_left())
    assert SECRET not in str(hidden)


def same_words(shown, hidden):
    """Whether a reason is the other one but for words of the target's."""
    return re.fullmatch(".*".join(map(re.escape, ALIAS.split(hidden))), shown, re.DOTALL)


def test_expectations_are_worked_out_from_the_runs_own_parameters():
    one = case("celery-engine-hooks")
    meta = {
        "name": one.id,
        "variant": "documented_fix_solo",
        "case": {"id": one.id, "variant": "documented_fix_solo"},
        "parameters": {"iterations": 60},
    }
    run = Run(make.run(gauge__engines_made=np.arange(1.0, 61.0), meta=meta))
    hidden = without_secrets(run)
    shown, others = (
        one.check({"documented_fix_solo": each}).drop(columns="note") for each in (run, hidden)
    )
    pd.testing.assert_frame_equal(shown, others)
    engines = others[others["resource"] == "gauge:engines_made last"].iloc[0]
    assert (engines["expected"], engines["ok"]) == ("60", True)
    assert hidden.label == f"{one.id}/documented_fix_solo"


def test_every_figure_of_run_json_stays_and_no_text_but_our_own():
    entry = {"looks": {"mark_step": 8}, "rising": ["fd_count", SECRET], "note": SECRET,
             "out_of_memory": False, SECRET: 3, "argv": [SECRET]}  # fmt: skip
    meta = {"name": SECRET, "processes": [{"process": 0, **entry}], "watched": {SECRET: SECRET},
            "environment": {"PYTHONMALLOC": SECRET}, "parameters": {SECRET: 1, "count": 4711},
            "options": {"native": True, "drive": SECRET}, "fingerprint": SECRET}  # fmt: skip
    hidden = hidden_meta(meta, {})
    assert SECRET not in repr(hidden)
    assert "4711" not in repr(hidden)
    process = hidden["processes"][0]
    assert process["looks"] == {"mark_step": 8}
    assert process["rising"] == ["fd_count", "…"]
    assert process["out_of_memory"] is False
    assert hidden["options"]["native"] is True


@pytest.mark.parametrize(
    ("meta", "label"),
    [
        ({}, "target"),
        ({"name_given": True}, "quarterly"),
        ({"name_given": True, "command": {"argv": ["pytest", "-p", "leaklab_inside"]}}, "target"),
    ],
)
def test_a_name_stays_if_it_was_given(meta, label):
    run = Run(make.run(rss=make.steady(9, 1.0), meta={"name": "quarterly", **meta}))
    assert without_secrets(run).label == label


def test_files_keep_what_they_are_judged_by():
    files = [("app.py", "target"), ("<made>", "target"), ("stdlib/re.py", "stdlib"),
             ("In [4]", "target"), ("site-packages/sqlalchemy/pool.py", "site-packages"),
             ("site-packages/jinja2/environment.py", "site-packages")]  # fmt: skip
    assert hidden_files(files, {}) == [
        "target file 1",
        "<target file 2>",
        "stdlib/re.py",
        "In [4]",
        "site-packages/sqlalchemy/(site-packages file 3)",
        "site-packages/jinja2/environment.py",
    ]


def test_roots_keys_and_modules_are_numbered():
    roots = [
        ("module", "acme.cache"),
        ("module", "collections"),
        ("thread", "thread acme: SSN [#]: Worker.run()"),
        ("thread", "thread MainThread: <module>()"),
        ("task", "task acme → SSN-#"),
        ("task", "task Worker.poll()"),
        ("context", "contextvar acme id"),
    ]
    hidden = HiddenPaths(roots, ["acme.models.Page", "collections.deque", "list"], ["poll"])
    shown = {
        "acme.cache.PAGES → dict value → acme.models.Page": "module 2.PAGES → dict value → module 1"
        ".Page",
        "acme.cache": "module 2",
        "thread acme: SSN [#]: Worker.run() → local x[ssn]": "thread 1: Worker.run() → local x"
        "[key 1]",
        "thread MainThread: <module>()": "thread MainThread: <module>()",
        "task acme → SSN-# → list item → list": "task 1 → list item → list",
        "task Worker.poll()": "task Worker.poll()",
        "contextvar acme id.x": "contextvar 1.x",
        "__main__.held['acme']": "__main__.held[key 2]",
        "collections.deque → deque item → module acme.cache": "collections.deque → deque item → "
        "module module 2",
        "task unheard of → x": "root 1",
    }
    types = [hidden.type(name) for name in ("acme.models.Page", "collections.deque", "list")]
    assert types == ["module 1.Page", "collections.deque", "list"]
    assert {text: hidden.path(text) for text in shown} == shown


def test_no_secret_is_on_a_page(tmp_path):
    data = plain(
        command={"argv": [f"{SECRET}.py", SECRET], "python": f"/home/{SECRET}"},
        environment={"HOME": SECRET},
        passes=[{"pass": "measure", "stdout_tail": SECRET, "stderr_tail": f"KeyError: {SECRET}",
                 "exit_status": 1}, {"pass": "explain", "why_untraced": SECRET}],
        events=[{"time_seconds": 0.1, "kind": SECRET, "text": SECRET}],
        platform={"system": "Linux", "release": f"6.1.0-{SECRET}", "node": SECRET},
    )  # fmt: skip
    frames = data.frames.assign(file=f"{SECRET}/module.py")
    sources = pd.DataFrame({"file": [f"{SECRET}/module.py"], "line": [10], "text": [SECRET]})
    extra = make._samples(f"gauge:{SECRET}", make.leak(COUNT, 50.0), True, 0.01)
    watched = extra.assign(name=f"file_bytes:/var/{SECRET}")
    samples = pd.concat([data.samples, extra, watched], ignore_index=True)
    origins = pd.DataFrame(
        {"pass": "explain", "process": 1, "mark": [9, 60, 119], "kind": "file", "stack_id": 0,
         "time_seconds": [0.1, 0.6, 1.2], "how": "made", "count": [9, 60, 119],
         "subject": f"/{SECRET}"}
    )  # fmt: skip
    run = Run(with_tables(data, frames=frames, samples=samples, sources=sources, origins=origins))
    page = report.render_run(run, tmp_path / "open.html").read_text()
    assert unescape(page).count(SECRET) > 10
    page = report.render_run(run, tmp_path / "run.html", confidential=True).read_text()
    assert SECRET not in unescape(page)
    header, _ = unpacked(unescape(re.search(r'srcdoc="([^"]*)"', page)[1]))
    assert SECRET not in repr(header)
    assert "<title>target: leaklab</title>" in page
