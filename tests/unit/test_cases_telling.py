"""What cases and their runs say of themselves: claims, the pair, a sentence, verdicts."""

import re
from pathlib import Path
from typing import Any

import pytest
import synthetic

import leaklab as ll
from leaklab.catalogue.model import Case
from leaklab.catalogue.recording import CaseSkipped
from leaklab.errors import UsageError
from leaklab.jupyter.scoreboard import scoreboard
from leaklab.present import choices
from leaklab.present.table import Table
from leaklab.results.run import VERDICT_MIME, Run

REFERENCE = Path(__file__).parents[2] / "data" / "reference.zip"


def run_of(leaks: bool, variant: str = "before", **series: Any) -> Run:
    live = synthetic.leak(120, 20_000) if leaks else synthetic.bounded(120, 400_000, full_at=20)
    run = Run(synthetic.run(sites={"build_page": live}, **series))
    run.meta.update(name="unbounded-cache", variant=variant, state="complete")
    return run


@pytest.fixture
def runs() -> dict[str, Run]:
    """The unbounded cache, with runs made up: before leaks, every fix is flat."""
    names = ("better_fix", "documented_fix", "before")
    return {name: run_of(name == "before", name) for name in names}


def test_the_pair_is_what_leaks_and_its_best_cure(runs: dict[str, Run]) -> None:
    chosen = ll.case("unbounded-cache")
    before, after = chosen.pair(runs)
    assert before is runs["before"]
    assert after is runs["better_fix"]
    flat = {name: run_of(False, name) for name in runs}
    assert chosen.pair(flat)[0] is flat["before"]
    assert chosen.pair({"before": runs["before"]}) == (runs["before"], None)


def test_a_sentence_says_rate_line_and_effect(runs: dict[str, Run]) -> None:
    said = ll.case("unbounded-cache").summary(runs)
    assert re.fullmatch(
        r"unbounded-cache/before leaks: live heap by 19\.5 KiB per iteration; "
        r"made in build_page \(.*\); with better_fix bounded, at most .* per iteration \(95 %\)\.",
        said,
    )
    assert said._repr_mimebundle_()["text/html"].startswith("<p>unbounded-cache/before leaks")
    flat = run_of(False, "better_fix")
    assert flat.summary().startswith("unbounded-cache/better_fix is bounded: ")
    assert (
        runs["before"].summary(runs["before"]).endswith("it still leaks, 19.5 KiB per iteration.")
    )


def test_a_sentence_names_what_keeps_it() -> None:
    found = ll.case("unbounded-cache").record(recorded=str(REFERENCE))
    assert "kept by `__main__.PAGES" in found["before"].summary()
    pool = ll.case("pool-without-putconn").record(recorded=str(REFERENCE))
    said = pool["before"].summary(pool["better_fix"])
    assert "fds per iteration" in said or "fd per iteration" in said
    assert re.search(r"made in \w+ \(.*target\.py:\d+\)", said)


def test_verdicts_carry_what_a_job_collects(runs: dict[str, Run]) -> None:
    bundle = ll.case("unbounded-cache").verdicts(runs)._repr_mimebundle_()
    told = bundle[VERDICT_MIME]
    assert [run["variant"] for run in told] == ["before", "documented_fix", "better_fix"]
    assert told[0]["verdict"] == "leak"
    assert all("as_expected" in run for run in told)
    assert "build_page" in bundle["text/html"]


def test_the_fix_is_shown_as_a_difference(runs: dict[str, Run]) -> None:
    chosen = ll.case("unbounded-cache")
    shown = chosen.difference("before", runs["better_fix"])
    assert "+from cachetools import LRUCache" in str(shown)
    assert "LRUCache" in shown._repr_html_()
    with pytest.raises(UsageError, match="unknown variant of unbounded-cache: beter_fix"):
        chosen.difference("before", "beter_fix")


def test_cases_of_a_mechanism_show_their_claims_and_check_before_they_record() -> None:
    chosen = ll.case("unbounded-cache")
    others = ll.cases("unbounded-caches", without=chosen)
    assert chosen.id not in others
    assert {case.mechanism for case in others.values()} == {"unbounded-caches"}
    assert len(others.claims().rows) == sum(len(case.claims) for case in others.values())
    assert "the claim is" in others.claims().html()
    assert "the claim is" not in chosen._repr_mimebundle_()["text/html"]
    assert len(ll.cases()) > len(others) + 1
    with pytest.raises(UsageError, match="no case has the mechanism: unbounded-cashes; allowed"):
        ll.cases("unbounded-cashes")
    with pytest.raises(UsageError, match="case client-cache: parameter iterations: "):
        others.record(iterations=120)


def test_what_was_left_out_is_said_once_by_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cases = ll.cases("unbounded-caches")
    assert set(cases.record(recorded=str(REFERENCE))) == {"unbounded-cache"}
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("left out: client-cache, credentials, ")
    monkeypatch.setattr(Case, "missing", lambda case: "needs modules that are not installed: x")
    assert cases.record() == {}
    assert "needs modules that are not installed: x" in capsys.readouterr().out
    with pytest.raises(CaseSkipped, match="case unbounded-cache skipped: needs modules"):
        ll.case("unbounded-cache").record()
    with pytest.raises(UsageError, match="no such store"):
        ll.case("unbounded-cache").record(recorded=str(tmp_path / "none"))


def test_the_tree_is_that_of_the_processes_whose_heap_grows() -> None:
    run = run_of(leaks=True)
    run.meta["processes"][1]["role"] = "fork of main"
    assert run.heap_role == "fork of main"
    assert "build_page" in set(run.tree().nodes["function"])
    assert len(run.tree("main").nodes) == 1


def headlines(*runs: Run) -> list[tuple[str, str]]:
    return choices.headlines(entry for run in runs for entry in run.verdict().resources)


def test_headlines_are_what_leaks_and_says_it_best() -> None:
    grows = synthetic.leak(120, 20_000)
    counts = synthetic.leak(120, 1)
    both = Run(synthetic.run(rss=grows, fd_count=counts))
    assert headlines(both) == [("fd_count", "main"), ("rss_bytes", "main")]
    assert headlines(run_of(leaks=True), both) == [
        ("fd_count", "main"),
        ("heap_bytes", "main"),
    ]
    assert headlines(run_of(leaks=False)) == [("rss_bytes", "main")]


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


def test_a_table_breaks_no_name() -> None:
    assert ">socket_count</td>" in Table(["resource"], [("socket_count",)]).html()
