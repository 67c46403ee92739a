"""Choose the limits of the verdict on a series as quantiles, and measure the errors they make.

    python benchmarks/calibrate.py [--count 12000] [--first 200000] [--jobs 2]

Each limit is the log odds beyond which no more than its share of the made series of
``corpus/series`` are judged wrongly. They are written to ``leaklab/verdict/limits.json`` with the
date, the series, and the errors on families that had no part in the limits: half of the families
choose, the other half is judged, and the other way round.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leaklab.resources import material
from leaklab.verdict.evidence import GROWS, RISES, STOPPED, UNDECIDED, course
from leaklab.verdict.growth import estimate
from leaklab.verdict.odds import Odds, odds_of
from leaklab.verdict.reading import CALIBRATION, LIMITS, Limits, decide, too_little

sys.path.insert(0, str(Path(__file__).parents[1] / "corpus" / "series"))
import series_bank as bank

# Wrong verdicts that each limit may bring, as shares of all series that can be told: of bounded
# ones called leaks, and of leaks called bounded.
FALSE_ALARM_SHARES = {"leak_rising": 0.0015, "leak": 0.0015}
CALLED_BOUNDED_SHARES = {"bounded": 0.013}
# Of which truth, whether it can be told, and the verdict that is counted ("": any that decides).
ERRORS = {
    "false_alarms": ("bounded", True, GROWS),
    "bounded_undecided": ("bounded", True, UNDECIDED),
    "leaks_found": ("leak", True, GROWS),
    "leaks_called_bounded": ("leak", True, STOPPED),
    "undecidable_decided": ("", False, ""),
}
# Series whose odds are kept: a change of the method shows in them.
KEPT_COUNT = 25


class Observed(NamedTuple):
    """What is seen of a series of known truth; no odds, but the verdict, where little is seen."""

    seed: int
    family: str
    truth: str
    decidable: bool
    run_span: float
    early: str
    goes_on: str
    odds: Odds | None

    @property
    def seen(self) -> list[Any]:
        """What decides: how the floors go on, and the odds, None without."""
        return [self.goes_on, None if self.odds is None else round(self.odds.log_odds, 3)]

    def verdict(self, limits: Limits) -> str:
        """What is said of it with these limits."""
        if self.odds is None:
            return self.early
        return decide(self.odds, self.goes_on, self.run_span, limits=limits).verdict


def observe(seed: int) -> Observed:
    """Make the series of this seed and look at it."""
    made = bank.make(seed)
    growth = estimate(made.x, made.y, unit=made.unit)
    matters = material(made.resource)
    early = too_little(growth, matters)
    odds = None if early else odds_of(growth.whole_x, growth.whole_y, matters)
    return Observed(
        seed,
        made.family,
        made.truth,
        made.difficulty != "undecidable",
        growth.run_span,
        early.verdict if early else "",
        course(growth, LIMITS.rise * matters),
        odds,
    )


def observe_all(first: int, count: int) -> list[Observed]:
    """The series of so many seeds."""
    return [observe(seed) for seed in range(first, first + count)]


def limits_of(observed: Sequence[Observed]) -> Limits:
    """The limits that make no more errors on these series than they may."""
    told = [one for one in observed if one.decidable and one.odds is not None]
    bounded_count, leak_count = (
        sum(one.decidable and one.truth == truth for one in observed)
        for truth in ("bounded", "leak")
    )
    all_grow = replace(LIMITS, **dict.fromkeys(FALSE_ALARM_SHARES, -np.inf))
    all_bounded = replace(LIMITS, **dict.fromkeys(FALSE_ALARM_SHARES, np.inf), bounded=np.inf)
    found = {
        name: beyond(
            [
                one.odds.log_odds
                for one in told
                if one.truth == "bounded"
                and (one.goes_on == RISES) == (name == "leak_rising")
                and one.verdict(all_grow) == GROWS
            ],
            share * bounded_count,
        )
        for name, share in FALSE_ALARM_SHARES.items()
    }
    wrong = [
        -one.odds.log_odds
        for one in told
        if one.truth == "leak" and one.verdict(all_bounded) == STOPPED
    ]
    # However few errors it brings: what grows more likely than not is not bounded.
    found["bounded"] = min(-beyond(wrong, CALLED_BOUNDED_SHARES["bounded"] * leak_count), 0.0)
    return replace(LIMITS, **found)


def beyond(values: Sequence[float], count: float) -> float:
    """The limit that so many of the values exceed, rounded up to two decimals."""
    ordered = sorted(values, reverse=True)
    place = min(int(count), len(ordered) - 1)
    return math.ceil(100 * ordered[place]) / 100 if ordered else 0.0


def errors(observed: Sequence[Observed], limits: Limits) -> dict[str, list[int]]:
    """How many of how many are judged wrongly, or found."""
    counts = {name: [0, 0] for name in ERRORS}
    for one in observed:
        verdict = one.verdict(limits)
        for name, (truth, decidable, wanted) in ERRORS.items():
            if one.decidable == decidable and truth in (one.truth, ""):
                counts[name][0] += (verdict != UNDECIDED) if wanted == "" else verdict == wanted
                counts[name][1] += 1
    return counts


def left_out(observed: Sequence[Observed]) -> dict[str, tuple[int, int]]:
    """The errors on each half of the families with the limits that the other half chose."""
    families = sorted({(one.truth, one.family) for one in observed})
    first = {family for _, family in families[::2]}
    halves = [
        [one for one in observed if (one.family in first) == chosen] for chosen in (True, False)
    ]
    counts = dict.fromkeys(ERRORS, (0, 0))
    for judged, choosing in (halves, halves[::-1]):
        for name, (wrong, count) in errors(judged, limits_of(choosing)).items():
            counts[name] = (counts[name][0] + wrong, counts[name][1] + count)
    return counts


def main() -> None:
    """Observe, choose, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=12_000)
    parser.add_argument("--first", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    parts = bank.in_batches(observe_all, options.first, options.count, options.jobs)
    observed = [one for part in parts for one in part]
    limits = limits_of(observed)
    calibration = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "series": {"bank": "corpus/series", "first": options.first, "count": options.count},
        "wrong_share": {**FALSE_ALARM_SHARES, **CALLED_BOUNDED_SHARES},
        "limits": {
            name: getattr(limits, name) for name in (*FALSE_ALARM_SHARES, *CALLED_BOUNDED_SHARES)
        },
        "families_left_out": left_out(observed),
        "all_families": errors(observed, limits),
        "log_odds": {one.seed: one.seen for one in observed[:KEPT_COUNT]},
    }
    CALIBRATION.write_text(json.dumps(calibration, indent=1) + "\n")
    print(json.dumps(calibration, indent=1))


if __name__ == "__main__":
    main()
