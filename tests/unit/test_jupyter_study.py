"""A study shows what its runs hold: chosen figures, the worst run, verdicts as expected or not."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import synthetic
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from leaklab.catalogue.model import Case
from leaklab.errors import UsageError
from leaklab.jupyter.scoreboard import scoreboard
from leaklab.jupyter.study import Study, headlines
from leaklab.present.table import Table
from leaklab.results.run import VERDICT_MIME, Run


def run_of(leaks: bool, **series: Any) -> Run:
    live = synthetic.leak(120, 20_000) if leaks else synthetic.bounded(120, 400_000, full_at=20)
    return Run(synthetic.run(sites={"build_page": live}, **series))


@pytest.fixture(autouse=True)
def shell() -> InteractiveShell:
    """What captures and formats what is shown."""
    return InteractiveShell.instance()


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """The unbounded cache, with runs made up: before leaks, every fix is flat."""

    def record(case: Case, quick: bool, **_: Any) -> dict[str, Run]:
        runs = {}
        for variant in reversed(case.variants_for(quick=quick)):
            run = run_of(leaks=variant == "before", fd_count=synthetic.steady(120, 3))
            run.meta.update(name=case.id, variant=variant, state="complete")
            runs[variant] = run
        return runs

    monkeypatch.setattr(Case, "record", record)
    monkeypatch.setattr(Case, "missing", lambda case: None)
    study = Study("unbounded-caches", cases=["unbounded-cache"])
    study.record()
    yield study


def test_variants_are_told_in_the_order_of_the_story(study: Study) -> None:
    assert list(study.runs["unbounded-cache"])[:2] == ["before", "documented_fix"]
    assert study.worst().meta["variant"] == "before"
    assert next(row[0] for row in study.record().rows) == "before"


def test_figures_lines_and_fixes_are_shown_case_by_case(study: Study) -> None:
    with capture_output() as shown:
        study.curves()
        study.lines()
        study.fixes()
    texts = [str(output.data.get("text/plain")) for output in shown.outputs]
    html = "".join(str(output.data.get("text/html", "")) for output in shown.outputs)
    assert sum(text.startswith("<Figure") for text in texts) >= 3
    assert "build_page" in html
    assert "fixed" in html
    assert "LRUCache" in html


def test_verdicts_carry_what_a_job_collects(study: Study) -> None:
    bundle = study.verdicts()._repr_mimebundle_()
    collected = {run["variant"]: run for run in bundle[VERDICT_MIME]}
    assert collected["before"]["verdict"] == "leak"
    assert all("as_expected" in run for run in collected.values())
    assert "build_page" in bundle["text/html"]


def test_what_cannot_run_here_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Case, "missing", lambda case: "needs modules that are not installed: x")
    study = Study("unbounded-caches", cases=["unbounded-cache"])
    assert [row[1:] for row in study.record().rows] == [
        ["needs modules that are not installed: x", "skipped"]
    ]
    with capture_output() as shown:
        study.curves()
    assert shown.outputs == []
    assert study.verdicts().rows[0][1] == "skipped"


def test_an_interrupted_recording_ends_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(case: Case, **_: Any) -> dict[str, Run]:
        run = run_of(leaks=True)
        run.meta.update(state="interrupted")
        return {"before": run}

    monkeypatch.setattr(Case, "record", record)
    monkeypatch.setattr(Case, "missing", lambda case: None)
    study = Study("unbounded-caches", cases=["unbounded-cache"])
    with pytest.raises(KeyboardInterrupt):
        study.record()
    assert len(study.runs["unbounded-cache"]) == 1


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="no case has the mechanism: unbounded-cashes; allowed"):
        Study("unbounded-cashes")
    study = Study("unbounded-caches")
    with pytest.raises(UsageError, match="nothing is recorded yet"):
        study.curves()
    with pytest.raises(UsageError, match="nothing is recorded yet"):
        study.tree()


def test_the_tree_is_that_of_the_first_case_whose_heap_was_recorded(study: Study) -> None:
    without = Run(synthetic.run(rss=synthetic.leak(120, 20_000)))
    case = replace(study.cases["unbounded-cache"], id="measured-only")
    study.cases = {case.id: case, **study.cases}
    study.runs = {"measured-only": {"before": without}, **study.runs}
    assert "build_page" in study.tree().alt
    assert study.tree("measured-only").alt.startswith("No heap was recorded")


def test_the_tree_is_that_of_the_processes_whose_heap_grows() -> None:
    run = run_of(leaks=True)
    run.meta["processes"][1]["role"] = "fork of main"
    assert run.heap_role == "fork of main"
    assert "build_page" in set(run.tree().nodes["function"])
    assert len(run.tree("main").nodes) == 1


def test_headlines_are_what_leaks_and_says_it_best() -> None:
    grows = synthetic.leak(120, 20_000)
    counts = synthetic.leak(120, 1)
    both = Run(synthetic.run(rss=grows, fd_count=counts))
    assert headlines({"a": both}) == [("fd_count", "main"), ("rss_bytes", "main")]
    assert headlines({"a": run_of(leaks=True), "b": both}) == [
        ("fd_count", "main"),
        ("heap_bytes", "main"),
    ]
    assert headlines({"a": run_of(leaks=False)}) == [("rss_bytes", "main")]


def test_a_table_wraps_text_and_escapes_html() -> None:
    table = Table(["name", "size"], [("<b>" + "long words " * 30, 7), (None, 12)], numbers=["size"])
    lines = str(table).splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[0].split() == ["name", "size"]
    assert lines[1].endswith(" 7")
    assert "&lt;b&gt;" in table.html()
    assert "<b>" not in table.html()


def test_the_scoreboard_counts_every_claim_once(tmp_path: Any) -> None:
    board = scoreboard(store=str(tmp_path))
    counts = [[int(cell) for cell in row[2:]] for row in board.totals().rows]
    assert counts[-1] == [sum(column) for column in zip(*counts[:-1], strict=True)]
    assert counts[-1][-1] == len(board.claims)
    assert "../cases/" not in board.html()
    linked = scoreboard(document="003", store=str(tmp_path), links=True)
    assert set(linked.claims["document"]) == {"003"}
    assert '<a href="../cases/http-clients.html">' in linked.html()
