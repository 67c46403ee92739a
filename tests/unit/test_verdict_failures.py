"""A target that failed before it had done any work leaks nothing that could be known."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic

from leaklab.verdict.failures import undecided_by
from leaklab.verdict.judge import judge
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, LEAK

IN_AN_IMPORT = """Traceback (most recent call last):
  File "/srv/bin/serve", line 8, in <module>
    sys.exit(main())
  File "/srv/serving.py", line 70, in main
    import app
  File "/srv/app.py", line 3, in <module>
    from library import missing
ImportError: cannot import name 'missing' from 'library'
"""
AT_WORK = """Traceback (most recent call last):
  File "/srv/app.py", line 9, in <module>
    main()
  File "/srv/app.py", line 7, in main
    raise ValueError(row)
ValueError: 7
"""


@pytest.mark.parametrize(
    ("stderr", "mark_count", "expected"),
    [
        (IN_AN_IMPORT, 0, INCONCLUSIVE),
        (AT_WORK + IN_AN_IMPORT, 0, INCONCLUSIVE),
        (IN_AN_IMPORT, 200, LEAK),
        (AT_WORK, 0, LEAK),
        (IN_AN_IMPORT + AT_WORK, 0, LEAK),
        ("1 test failed", 0, LEAK),
    ],
)
def test_a_failure_in_an_import_decides_nothing(
    stderr: str, mark_count: int, expected: str
) -> None:
    data = synthetic.run(rss=synthetic.leak(200, 20_000))
    verdict = judge(data)
    assert verdict.verdict == LEAK
    data.meta["processes"] = [{"process": 0, "mark_count": mark_count}]
    failed = {"exit_status": 1, "duration_seconds": 60.0, "stderr_tail": stderr}
    data.meta["passes"] = [{"pass": "measure", **failed}]
    (resource,) = [
        entry for entry in undecided_by(verdict.resources, data) if entry.name == "rss_bytes"
    ]
    assert resource.verdict == expected


@pytest.mark.parametrize(
    ("seconds", "marks", "expected"),
    [(5.0, False, INCONCLUSIVE), (5.0, True, BOUNDED), (50.0, False, BOUNDED)],
)
def test_what_rested_for_a_moment_when_the_target_failed_is_not_bounded(
    seconds: float, marks: bool, expected: str
) -> None:
    rss = synthetic.bounded(100, 4_000_000, full_at=10)
    data = synthetic.run(rss=rss, marks=marks, seconds_per_point=seconds / 100)
    failed = {"exit_status": 1, "duration_seconds": seconds, "stderr_tail": AT_WORK}
    data.meta["passes"] = [{"pass": "measure", **failed}]
    verdict = judge(data)
    assert verdict.verdict == expected, verdict.reason
    if expected == INCONCLUSIVE:
        assert verdict.reason.startswith("the target failed with exit status 1 after 5 seconds: ")


@pytest.mark.parametrize(("marks", "expected"), [(False, INCONCLUSIVE), (True, BOUNDED)])
def test_a_cell_that_raised_is_a_target_that_failed(marks: bool, expected: str) -> None:
    rss = synthetic.bounded(100, 4_000_000, full_at=10)
    data = synthetic.run(rss=rss, marks=marks, seconds_per_point=0.05)
    data.meta["passes"] = [{"pass": "measure", "exit_status": None}]
    data.meta["state"] = "failed"
    data.meta["events"] = [{"kind": "cell", "text": "the cell raised ValueError: 7"}]
    verdict = judge(data)
    assert verdict.verdict == expected, verdict.reason
    if expected == INCONCLUSIVE:
        assert verdict.reason == "the cell raised ValueError: 7"


@pytest.mark.parametrize(
    ("stopped_by", "marks", "expected"),
    [
        ("interrupt", False, INCONCLUSIVE),
        ("duration", False, INCONCLUSIVE),
        ("drive", False, BOUNDED),
        (None, False, BOUNDED),
        ("interrupt", True, BOUNDED),
    ],
)
def test_a_target_that_did_nothing_for_most_of_the_time_decides_nothing(
    stopped_by: str | None, marks: bool, expected: str
) -> None:
    """It worked for 20 s and stood still for 60; what marks tell is judged by them.

    That the kernel took a page of it at 70 s is nothing it did.
    """
    rss = synthetic.bounded(800, 4_000_000, full_at=100) - (np.arange(800) >= 700) * 4096.0
    worked = np.arange(800).clip(max=200) / 100.0
    data = synthetic.run(rss=rss, cpu_seconds=worked, marks=False, seconds_per_point=0.1)
    data.meta["passes"] = [{"pass": "measure", "stopped_by": stopped_by}]
    data.meta["processes"][0]["mark_count"] = 200 if marks else 0
    verdict = judge(data)
    assert verdict.verdict == expected, verdict.reason
    if expected == INCONCLUSIVE:
        assert "had done nothing for the last 59.9 of its 80 seconds" in verdict.reason


@pytest.mark.parametrize(
    ("lost_seconds", "sampled_on", "expected"),
    [
        (0.0, False, BOUNDED),
        (0.5, False, BOUNDED),
        (6.0, False, INCONCLUSIVE),
        (6.0, True, BOUNDED),
    ],
)
def test_what_was_not_seen_to_the_end_is_not_bounded(
    lost_seconds: float, sampled_on: bool, expected: str
) -> None:
    """Figures at marks end with the line; what is taken from outside goes on."""
    shown_seconds = 10.0 if sampled_on else 10.0 - lost_seconds
    rss = synthetic.bounded(400, 400_000, full_at=20)
    data = synthetic.run(rss=rss, marks=not sampled_on, seconds_per_point=shown_seconds / 400)
    life = {"started_seconds": 0.0, "ended_seconds": 10.0, "line_lost_seconds": lost_seconds}
    data.meta["processes"][0] |= life
    verdict = judge(data)
    assert verdict.verdict == expected, verdict.reason
    assert ("line to the recorder" in verdict.reason) == (expected == INCONCLUSIVE)
