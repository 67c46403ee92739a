"""What a run makes of a candidate: only what ran is confirmed or cleared."""

import numpy as np
import pytest
import synthetic

from leaklab.code_audit.find import audit_text, find
from leaklab.code_audit.join import join
from leaklab.results.run import Run

FILE = "module.py"
MARK_COUNT = 400
GROWING = np.arange(MARK_COUNT, dtype=float)
CONSTANT = np.full(MARK_COUNT, 3.0)
FILLED = np.minimum(GROWING, 50)

ROUTES = """
ROUTES = {"home": 1}


def add(name):
    ROUTES[name] = 1
"""
ROUTES_LINE = 6
AT_EXIT = """
import atexit


def never(number):
    atexit.register(print, number)


def each(number):
    atexit.register(print, number)
"""
NEVER_LINE, EACH_LINE = 6, 10
TWO_PLACES = """
BIG = {}


def never(number):
    BIG[number] = 1


def busy(number):
    BIG[number] = 2
"""


def joined(text, gauge, values, ran=(), grain="lines"):
    """The candidates of a text by a run with one gauge in which these lines ran, by function."""
    watched = {"line_grain": grain, "executed": {}, "executed_in": {}}
    if grain is not None:
        watched["executed"] = {FILE: sorted(line for line, _ in ran)}
        watched["executed_in"] = {FILE: {name: [line] for line, name in ran}}
    data = synthetic.run(meta={"watched": watched}, **{f"gauge__{gauge}": values})
    return join(audit_text(text, FILE), Run(data), {FILE: ""})


@pytest.mark.parametrize(
    ("values", "ran", "grain", "state"),
    [
        (CONSTANT, [], "lines", "not exercised"),
        (CONSTANT, [], "functions", "not exercised"),
        (CONSTANT, [], None, "undecided"),
        (CONSTANT, [(ROUTES_LINE, "add")], "lines", "bounded"),
        # Filled while the module was imported, or by another module.
        (FILLED, [], "lines", "not exercised"),
        # Where calls may go unseen, what is added shows that it ran.
        (FILLED, [], "functions", "bounded"),
        (FILLED, [], None, "bounded"),
        (GROWING, [], None, "confirmed"),
        (GROWING, [(ROUTES_LINE, "add")], "lines", "confirmed"),
    ],
)
def test_what_is_in_a_container_does_not_show_that_a_place_ran(values, ran, grain, state):
    (found,) = joined(ROUTES, "module__ROUTES", values, ran, grain)
    assert found.state == state, found.evidence


def test_a_container_that_others_fill_is_confirmed_and_they_are_not_named():
    (found,) = joined(ROUTES, "module__ROUTES", GROWING)
    assert found.state == "confirmed"
    assert found.evidence.endswith("at none of the lines that were found")


@pytest.mark.parametrize("values", [GROWING, FILLED])
@pytest.mark.parametrize(
    ("grain", "states"),
    [
        ("lines", ["not exercised", ("confirmed", "bounded")]),
        ("functions", ["not exercised", ("confirmed", "bounded")]),
        (None, ["undecided", ("undecided", "undecided")]),
    ],
)
def test_a_reading_that_candidates_share_speaks_of_those_that_ran(values, grain, states):
    found = joined(AT_EXIT, "atexit__callbacks", values, [(EACH_LINE, "each")], grain)
    never, (if_grown, if_filled) = states
    expected = [never, if_grown if values is GROWING else if_filled]
    assert [each.state for each in found] == expected, found


@pytest.mark.parametrize(
    ("grain", "advice"),
    [("nothing", "that monitors it"), (None, "-- COMMAND` records it")],
)
def test_where_lines_are_not_told_it_is_said_what_would_tell_them(grain, advice):
    (found,) = joined(ROUTES, "module__ROUTES", CONSTANT, grain=grain)
    assert found.state == "undecided"
    assert found.evidence.endswith(advice)


@pytest.mark.parametrize("grain", ["functions", None])
def test_what_a_module_makes_was_made_where_it_was_read(grain):
    text = "import queue\nWAITING = queue.Queue()\n"
    (found,) = joined(text, "module__WAITING", CONSTANT, grain=grain)
    assert found.state == "bounded"


def test_of_several_places_those_that_ran_are_named():
    (found,) = joined(TWO_PLACES, "module__BIG", GROWING, [(10, "busy")])
    assert "grows in never (a new key), busy (a new key) and" in found.message
    assert found.evidence.endswith(", 399 after 400 iterations; of these places busy ran")


def test_the_first_statement_that_runs_is_not_the_text_of_a_function():
    (found,) = audit_text(
        "import functools\n@functools.cache\ndef total(key):\n    '''Text.'''\n    return key\n",
        FILE,
    )
    assert found.run_lines == (5,)


DEFAULTS = """
def kept(number, memo={}, *, names=()):
    '''Text.'''
    memo[number] = number


def busy(number):
    return [number] * 10
"""


def of_default(folder, **series):
    """The candidate of a default, by a run in which its function ran."""
    (folder / FILE).write_text(DEFAULTS)
    findings = find([folder / FILE])
    (found,) = findings.candidates
    watched = {
        "line_grain": "lines",
        "digests": findings.digests,
        "executed": {found.file: [4]},
        "executed_in": {found.file: {"kept": [4]}},
    }
    run = Run(synthetic.run(meta={"watched": watched}, **series))
    return join([found], run, findings.digests)[0]


def test_a_default_that_is_added_to_is_read_and_confirmed(tmp_path):
    found = of_default(tmp_path, **{"gauge__module__kept.memo": GROWING})
    assert (found.rule, found.state) == ("B006", "confirmed")
    assert found.evidence == ("module:kept.memo grows by 1 per iteration, 399 after 400 iterations")


def test_a_heap_that_grows_elsewhere_refutes_nothing(tmp_path):
    # What stays may be allocated by who calls, and be too little to be among what grows.
    found = of_default(tmp_path, sites={"other": synthetic.leak(MARK_COUNT, 20_000)})
    assert found.state == "undecided"
    assert found.evidence.startswith("it ran; heap_bytes grows, and")
