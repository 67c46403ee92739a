"""The catalogue as a whole: declarations and targets agree, and every item has its row."""

import ast
import re
import sys
from pathlib import Path

import pytest

from leaklab.catalogue.harness import case_arguments
from leaklab.catalogue.model import FOLDER, Case, catalogue
from leaklab.catalogue.scoreboard import PARTS

MECHANISMS = {
    "unpruned-json", "unbounded-caches", "size-and-eviction", "ttl-stores", "http-clients",
    "database-sessions", "schedulers-and-timers", "threads-and-tasks", "workers",
    "garbage-collection", "memory-not-returned", "what-tests-miss",
}  # fmt: skip
# Every item of the documents, by the words its sections start with here.
ITEMS = {
    "000": ["Fixed 1", *(f"Checked {n}" for n in range(2, 9)),
            "Recommendations 1", "Recommendations 2"],
    "001": ["Overview", *(f"Root causes {n}" for n in range(1, 5)),
            *(f"Fixes {n}" for n in range(1, 7)), "Fixes 6, script", "Expected results, memory",
            "Expected results, cache limit", "Expected results, monitoring data",
            "Expected results, response times", "Expected results, CPU",
            "Expected results, stability", "Expected results, monitoring", "Monitoring commands",
            *(f"Verification steps {n}" for n in range(1, 6)),
            *(f"Future improvements {n}" for n in range(1, 5)), "Notes"],
    "002": ["Summary", "Task 1.1", "Task 1.2", "Implementation", "Configuration", "Verification",
            "Minor issue", "Conclusion", "Next steps 1", "Next steps 2", "Next steps 3"],
    "003": ["Summary", *map(str, range(1, 9)), "1, recommendation", "2, recommendation",
            "3, recommendation", "4, recommendation", "6, recommendation", "8, expire_on_commit",
            *(f"Recommendations, immediate {n}" for n in range(1, 4)),
            *(f"Recommendations, medium-term {n}" for n in range(1, 4)),
            "Monitoring 1, sessions", "Monitoring 1, pool", "Monitoring 1, cache", "Monitoring 2",
            "Testing 1", "Testing 2", "Testing 3", "Code quality, improvements",
            *(f"Code quality, strengths {n}" for n in range(1, 6)), "Conclusion", "Next steps"],
    "004": ["Issue", "1", "1, fix", "2", "2, fix", "3", "3, fix", "4", "4, fix",
            *(f"Expected results {n}" for n in range(1, 5)), "Monitoring",
            *(f"Testing recommendations {n}" for n in range(1, 5)), "Additional notes"],
}  # fmt: skip
TARGET_LINES = 125

CASES = list(catalogue().values())
RUNNABLE = [case for case in CASES if case.runnable]


def test_every_item_of_the_documents_has_a_claim() -> None:
    sections = {(claim.document, claim.section) for case in CASES for claim in case.claims}
    for document, items in ITEMS.items():
        for item in items:
            assert any(d == document and s.startswith(item) for d, s in sections), (document, item)


def test_at_least_the_promised_number_of_cases_can_run() -> None:
    assert len(RUNNABLE) >= 45
    assert {case.mechanism for case in CASES} == MECHANISMS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_words_of_a_case(case: Case) -> None:
    for claim in case.claims:
        assert re.match(r"[A-Z0-9]", claim.section), claim.section
        known = claim.section[0].isdigit() or claim.section.startswith(PARTS[claim.document])
        assert known, f"{claim.document} has no part {claim.section}: see scoreboard.PARTS"
        assert claim.why.endswith((".", ".)"))
    if case.runnable:
        expected = [variant.expectation for variant in case.variants.values()]
        assert all(one.verdict or one.resources for one in expected)


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.id)
def test_target_is_small_and_uses_what_is_declared(case: Case) -> None:
    source = case.target.read_text()
    assert len(source.splitlines()) <= TARGET_LINES
    tree = ast.parse(source)
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {
        node.attr
        for node in attributes
        if isinstance(node.value, ast.Name) and node.value.id in ("ARGUMENTS", "arguments")
    }
    assert "variant" in used
    assert used <= {"variant", *case.parameters} <= {node.attr for node in attributes}
    choices = {
        ast.literal_eval(key)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", "") == "VARIANTS"
        and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if key is not None
    }
    assert choices in (set(), set(case.variants))


def test_a_target_is_called_with_what_is_declared(capsys: pytest.CaptureFixture[str]) -> None:
    case = catalogue()["client-cache"]
    call = [str(case.target), "better_fix", "--limit-bytes", "7000"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", call)
        arguments = vars(case_arguments(call[0]))
        patch.setattr(sys, "argv", [*call[:1], "no_such_variant"])
        with pytest.raises(SystemExit):
            case_arguments(call[0])

    defaults = {name: one.default for name, one in case.parameters.items()}
    assert arguments == {**defaults, "limit_bytes": 7000, "variant": "better_fix"}
    said = capsys.readouterr().err
    assert all(name in said for name in case.variants)


def test_nothing_in_the_cases_names_this_machine() -> None:
    for path in Path(FOLDER).glob("*/*"):
        if path.suffix in {".py", ".toml", ".cjs", ".md"} and path.is_file():
            assert not re.search(r"/work/|/home/|/root/|/tmp/", path.read_text()), path
