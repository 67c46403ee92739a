"""What a test that takes long says meanwhile, on a terminal whose output is captured."""

from __future__ import annotations

import pytest

SLOW = """
from leaklab.pytest_plugin.waiting import Waiting

def test_slow(request):
    seconds = iter([0, 9, 10, 19, 20])
    waiting = Waiting(request.node, lambda: next(seconds))
    for calls in (1, 20, 30, 40):
        waiting({"kind": "figures", "pass": "explain", "mark": calls})
"""


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ((), ["10 s so far, in the explain pass after 20 calls", "20 s so far, *after 40 calls"]),
        (("-v",), ["10 s so far, *", "20 s so far, *"]),
        (("-s",), ["10 s so far, *", "20 s so far, *"]),
        (("-q",), []),
        (("-n1", "-p", "xdist.plugin"), []),
    ],
)
def test_a_long_test_says_how_far_it_is(
    alone: pytest.Pytester, options: tuple[str, ...], lines: list[str]
) -> None:
    alone.makepyfile(test_slow=SLOW)
    result = alone.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"leaklab: test_slow.py::test_slow: {line}" for line in lines])
    assert str(result.stdout).count("so far") == len(lines)
