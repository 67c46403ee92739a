"""The source of one variant: what is chosen, what is dropped, what a difference shows."""

import re
import textwrap

import pytest

from leaklab.catalogue.model import catalogue
from leaklab.catalogue.variant_source import code_difference, variant_source

HEADER = """\
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
"""


def specialised(code: str, variant: str = "before") -> str:
    """What is left of `code` after the header, in which the variant's argument is gone."""
    kept = variant_source(HEADER + textwrap.dedent(code), variant)
    return kept.partition("ARGUMENTS = case_arguments(__file__)\n")[2]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("if ARGUMENTS.variant == 'before':\n    serve()  # as found\n", "serve()  # as found\n"),
        ("if ARGUMENTS.variant != 'before':\n    serve()\n", ""),
        ("if ARGUMENTS.variant in ('a', 'b'):\n    one()\nelse:\n    two()\n", "two()\n"),
        (
            "def f():\n    if ARGUMENTS.variant == 'a':\n        one()\nf()\n",
            "def f():\n    pass\nf()\n",
        ),
        (
            "if ARGUMENTS.variant == 'a':\n    one()\nelif x:\n    two()\nelse:\n    three()\n",
            "if x:\n    two()\nelse:\n    three()\n",
        ),
        (
            "if x:\n    a()\nelif ARGUMENTS.variant == 'before':\n    b()\nelse:\n    c()\n",
            "if x:\n    a()\nelse:\n    b()\n",
        ),
        (
            "if x:\n    one()\nelif ARGUMENTS.variant == 'a':\n    two()\nelse:\n    three()\n",
            "if x:\n    one()\nelse:\n    three()\n",
        ),
        ("CLEANS = ARGUMENTS.variant == 'a'\nif x and not CLEANS:\n    f()\n", "if x:\n    f()\n"),
        ("if x or ARGUMENTS.variant == 'a':\n    f()\n", "if x:\n    f()\n"),
        ("f(1 if ARGUMENTS.variant == 'before' else 2)\n", "f(1)\n"),
        ("STORE = {'before': dict, 'a': list}[ARGUMENTS.variant]()\n", "STORE = dict()\n"),
        ("KINDS = {'before': dict}\nSTORE = KINDS[ARGUMENTS.variant]()\n", "STORE = dict()\n"),
        (
            "def run(variant):\n    if variant == 'a':\n        f()\n    g()\nrun(1)\n",
            "def run(variant):\n    g()\nrun(1)\n",
        ),
        ("def unused():\n    pass\n\n\n# why\nclass AlsoUnused:\n    pass\n\n\nf()\n", "f()\n"),
        ("@app.get\ndef page():\n    pass\n", "@app.get\ndef page():\n    pass\n"),
        ("name = 'é'; f(ARGUMENTS.variant, name)\n", "name = 'é'; f(\"before\", name)\n"),
    ],
)
def test_the_choice_is_made(code: str, expected: str) -> None:
    assert specialised(code) == expected


def test_a_difference_shows_what_the_fix_adds() -> None:
    code = (
        HEADER + "def keep(item):\n    STORE.append(item)\n\n\ndef drop(item):\n    pass\n\n\n"
        "{'before': keep, 'fix': drop}[ARGUMENTS.variant](1)\n"
    )
    changed = [
        line
        for line in code_difference(code, "before", "fix").splitlines()
        if line[0] in "+-" and line[1:2] not in "+-"
    ]
    assert changed == [
        "-def keep(item):",
        "-    STORE.append(item)",
        "+def drop(item):",
        "+    pass",
        "-keep(1)",
        "+drop(1)",
    ]
    assert code_difference(code, "fix", "fix") == ""


def test_every_variant_of_every_case_is_whole_and_chosen() -> None:
    for case in catalogue().values():
        source = case.target.read_text(encoding="utf-8") if case.runnable else ""
        for variant in case.variants:
            kept = variant_source(source, variant)
            compile(kept, f"{case.id}/{variant}", "exec")
            assert not re.search(r"arguments\.variant", kept, re.IGNORECASE)
