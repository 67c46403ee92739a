"""What a notebook's parameters cell says, and what is refused before a job starts."""

import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs import parameters
from leaklab.jobs.case_limits import cases_of, check_cases, least_values

CELL = """\
iterations: int = 200  # requests served [10..100000]
share: float = 0.5  # of the run [0..1]
seconds: float = 60.0  # at most [0..]
quick: bool = True  # small sizes
drop: str = "kept"  # what happens to it [kept|dropped]
command: str = "a # b"  # any command, with options [like these]
"""


def notebook(*sources: str, tag: str = "parameters") -> dict[str, object]:
    return {
        "cells": [
            {"cell_type": "code", "metadata": {"tags": [tag]}, "source": source}
            for source in sources
        ]
    }


def test_types_defaults_help_ranges_and_choices_are_read() -> None:
    read = {p.name: p for p in parameters.notebook_parameters(notebook(CELL), "nb")}

    assert [p.type for p in read.values()] == ["int", "float", "float", "bool", "str", "str"]
    assert read["iterations"].default == 200
    assert read["iterations"].help == "requests served"
    assert (read["iterations"].minimum, read["iterations"].maximum) == (10, 100000)
    assert (read["seconds"].minimum, read["seconds"].maximum) == (0, None)
    assert read["drop"].choices == ("kept", "dropped")
    assert read["command"].default == "a # b"
    assert read["command"].help == "any command, with options [like these]"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"iterations": "10"}, {"iterations": 10}),
        ({"iterations": 100000}, {"iterations": 100000}),
        ({"share": 1}, {"share": 1.0}),
        ({"quick": "no"}, {"quick": False}),
        ({"quick": True}, {"quick": True}),
        ({"drop": "dropped"}, {"drop": "dropped"}),
        ({"command": ""}, {"command": ""}),
    ],
)
def test_values_become_their_type(given: dict[str, object], value: dict[str, object]) -> None:
    read = parameters.notebook_parameters(notebook(CELL), "nb")
    assert parameters.check_values(read, given, "nb") == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iteration": 1}, "nb has no parameter: iteration; its parameters are iterations, share"),
        ({"iterations": "ten"}, "parameter iterations: 'ten'; allowed is int in 10..100000"),
        ({"iterations": 9}, "parameter iterations: 9; allowed is int in 10..100000"),
        ({"iterations": 100001}, "parameter iterations: 100001; allowed"),
        ({"iterations": True}, "parameter iterations: True; allowed"),
        ({"iterations": 20.5}, "parameter iterations: 20.5; allowed"),
        ({"share": "nan"}, "parameter share: 'nan'; allowed is float in 0..1"),
        ({"quick": "maybe"}, "parameter quick: 'maybe'; allowed is true or false"),
        ({"drop": "lost"}, "parameter drop: 'lost'; allowed is one of 'kept', 'dropped'"),
        ({"command": 3}, "parameter command: 3; allowed is str"),
    ],
)
def test_other_values_are_refused_by_name(given: dict[str, object], message: str) -> None:
    read = parameters.notebook_parameters(notebook(CELL), "nb")
    with pytest.raises(UsageError) as raised:
        parameters.check_values(read, given, "nb")
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (notebook(CELL, CELL), "nb: 2 cells tagged 'parameters'"),
        (notebook("n: int = 'x'"), "nb: the default of parameter n: 'x'; allowed is int"),
        (notebook("n: int = 1 + x"), "nb: the default of parameter n: None; allowed is int"),
        (notebook("n: int = 5  # [10..20]"), "nb: the default of parameter n: 5; allowed"),
        (notebook("n: int = = 5"), "nb: the parameters cell is no Python"),
    ],
)
def test_an_unclear_parameters_cell_is_refused(book: dict[str, object], message: str) -> None:
    with pytest.raises(LeaklabError) as raised:
        parameters.notebook_parameters(book, "nb")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


PLAIN = """\
import os
units = 300  # requests
ratio, deep = 0.5, True
name = "a"
deep = False
folder = os.getcwd()
columns = ["a", "b"]
kinds: list = []
limit = None
print(units)
"""


def test_a_cell_that_was_written_for_papermill_says_its_types_by_its_defaults() -> None:
    read = parameters.notebook_parameters(notebook(PLAIN), "nb")
    assert [(p.name, p.type) for p in read] == [("units", "int"), ("name", "str"), ("deep", "bool")]
    assert read[0].help == "requests"
    assert parameters.check_values(read, {"units": "3", "deep": "yes"}, "nb") == {
        "units": 3,
        "deep": True,
    }
    with pytest.raises(UsageError, match="parameter units: 'many'; allowed is int"):
        parameters.check_values(read, {"units": "many"}, "nb")
    with pytest.raises(UsageError, match=r"no parameter: columns; .* 'columns: int = 5"):
        parameters.check_values(read, {"columns": "[]"}, "nb")


def test_a_notebook_without_a_parameters_cell_takes_none() -> None:
    assert parameters.notebook_parameters(notebook(CELL, tag="other"), "nb") == []
    with pytest.raises(UsageError, match="nb has no parameter: n; its parameters are none"):
        parameters.check_values([], {"n": 1}, "nb")


def test_the_listing_has_one_line_a_parameter() -> None:
    lines = parameters.describe(parameters.notebook_parameters(notebook(CELL), "nb")).splitlines()
    assert len(lines) == 6
    assert " ".join(lines[0].split()) == "iterations int in 10..100000 default 200 requests served"


def test_choices_that_have_commas_are_told_apart() -> None:
    cell = 'passes: str = "measure"  # which [measure,explain|measure]'
    (one,) = parameters.notebook_parameters(notebook(cell), "nb")
    assert one.allowed == "one of 'measure,explain', 'measure'"


CASES = """\
iterations: int = 0  # 0: each case's own number [0..100000]
case: str = "unbounded-cache"  # a case
"""


def test_what_a_case_does_not_take_is_refused_with_its_name_before_anything_starts() -> None:
    source = notebook(CASES)
    source["cells"].append({"cell_type": "code", "source": "%load_ext x\nll.case('client-cache')"})
    declared = parameters.notebook_parameters(source, "nb")
    assert {one.id for one in cases_of(source, {"case": "timers"})} == {"client-cache", "timers"}
    least = least_values(source, declared)
    check_cases(source, declared, least)
    check_cases(source, declared, {"iterations": 0})
    with pytest.raises(
        UsageError, match="case client-cache: parameter iterations: 120; allowed is int in 250"
    ):
        check_cases(source, declared, {"iterations": 120})
    with pytest.raises(
        UsageError, match=f"parameter iterations: {least['iterations'] - 1}; allowed"
    ):
        check_cases(source, declared, {"iterations": least["iterations"] - 1})


FIX = 'case: str = "unbounded-cache"  # a case\nfix: str = "better_fix"  # a variant\n'
TAKES = "%load_ext leaklab\nchosen = ll.case(case)\nchosen.record(fix, quick=True)"


@pytest.mark.parametrize(
    ("code", "given", "said"),
    [
        (TAKES, {"case": "unbounded-cash"}, "unknown case: unbounded-cash; did you mean unbounded"),
        (TAKES, {"fix": "nosuch"}, "nosuch"),
        ("runs = ll.case(case).record(fix)", {"case": "timers", "fix": "before"}, "before"),
        ("ll.case(case).record('before')", {"case": "timers"}, "before"),
    ],
)
def test_no_case_and_no_variant_is_refused_before_anything_starts(code, given, said) -> None:
    source = notebook(FIX)
    source["cells"].append({"cell_type": "code", "source": code})
    declared = parameters.notebook_parameters(source, "nb")
    check_cases(
        source, declared, {"case": "client-cache", "fix": "before"} if "fix" in code else {}
    )
    with pytest.raises(UsageError, match=said):
        check_cases(source, declared, given)


@pytest.mark.parametrize(
    "code",
    [
        "if case:\n    ll.case(case)",  # it may not run
        "case = case or 'timers'\nll.case(case)",  # it has another value then
        "mine.case = case\ncase(case)\nll.case(1)",
    ],
)
def test_a_value_that_may_not_name_a_case_is_left_to_the_notebook(code) -> None:
    source = notebook(FIX)
    source["cells"].append({"cell_type": "code", "source": code})
    check_cases(source, parameters.notebook_parameters(source, "nb"), {"case": "none of them"})
