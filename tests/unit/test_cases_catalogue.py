"""The catalogue as a whole: declarations and targets agree, and every item has its row."""

import ast
import re
from pathlib import Path

import pytest

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
TARGET_LINES = 130

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
def test_target_is_small_and_takes_what_is_declared(case: Case) -> None:
    source = case.target.read_text()
    assert len(source.splitlines()) <= TARGET_LINES
    options, variants = command_line(source)
    assert options == {name.replace("_", "-") for name in case.parameters}
    assert variants == set(case.variants)


def command_line(source: str) -> tuple[set[str], set[str]]:
    """The options and the choices for the variant that a target's argparse calls declare."""
    options, choices = set(), None
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            name = ast.literal_eval(node.args[0])
            if name.startswith("--"):
                options.add(name.removeprefix("--"))
            else:
                choices = next(word.value for word in node.keywords if word.arg == "choices")
    if isinstance(choices, ast.Name):
        choices = next(
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == choices.id
        )
    if isinstance(choices, ast.Dict):
        return options, {ast.literal_eval(key) for key in choices.keys if key is not None}
    return options, set(ast.literal_eval(choices))  # type: ignore[arg-type]


def test_nothing_in_the_cases_names_this_machine() -> None:
    for path in Path(FOLDER).glob("*/*"):
        if path.suffix in {".py", ".toml", ".cjs", ".md"} and path.is_file():
            assert not re.search(r"/work/|/home/|/root/|/tmp/", path.read_text()), path
