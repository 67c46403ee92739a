"""The limits of the verdict on a series are those of the method as it stands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from leaklab.verdict.reading import CALIBRATION, LIMITS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import calibrate

WRITTEN = json.loads(CALIBRATION.read_text())


def test_the_method_sees_what_it_saw_when_the_limits_were_chosen() -> None:
    # A change of the method that shows in any series: `make calibrate`, and look at the errors.
    seen = {seed: calibrate.observe(int(seed)).seen for seed in WRITTEN["log_odds"]}
    assert len(seen) == calibrate.KEPT_COUNT
    assert seen == WRITTEN["log_odds"]


def test_the_limits_in_use_are_those_that_were_written() -> None:
    assert {name: getattr(LIMITS, name) for name in WRITTEN["limits"]} == WRITTEN["limits"]
    assert WRITTEN["wrong_share"] == {
        **calibrate.FALSE_ALARM_SHARES,
        **calibrate.CALLED_BOUNDED_SHARES,
    }


def test_a_limit_lets_no_more_through_than_it_may() -> None:
    observed = calibrate.observe_all(400_000, 300)
    limits = calibrate.limits_of(observed)
    errors = calibrate.errors(observed, limits)
    alarms, bounded_count = errors["false_alarms"]
    assert alarms <= sum(calibrate.FALSE_ALARM_SHARES.values()) * bounded_count
    assert errors["leaks_found"][0] > 0.7 * errors["leaks_found"][1]
    assert calibrate.left_out(observed)["false_alarms"][1] == bounded_count


def test_so_many_values_lie_beyond_a_limit() -> None:
    assert calibrate.beyond([5.0, 3.0, 1.0, -2.0], 2) == 1.0
    assert calibrate.beyond([5.0, 3.0], 9) == 3.0
    assert calibrate.beyond([], 2) == 0.0
