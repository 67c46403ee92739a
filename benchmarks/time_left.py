"""Does the time that is said to be left hold the moment at which the limit is met?

    python benchmarks/time_left.py [--count 4000] [--first 13000000]

Each series is four times as long as what is looked at: a leak of a straight family of
``corpus/series``, of which the first quarter is judged. The limit is a figure that is first
reached somewhere in the rest. In parentheses Wilson's 95 % interval, in per cent.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import leaklab
from leaklab.resources import material
from leaklab.verdict.time_left import time_left

sys.path.insert(0, str(Path(__file__).parents[1] / "corpus" / "series"))
import series as bench
import series_bank as bank

TIMES_LONGER = 4
RESOURCE = "rss_bytes"
# Where in the run, as a share of all of it, the figure of the limit is taken from.
LEAST_SHARE, MOST_SHARE = 0.35, 0.95


def crossing(seed: int) -> tuple[str, bool, float] | None:
    """Family, whether the interval holds the true crossing, and what is said by what is true.

    None where no leak was seen, or the limit lies below what was reached already.
    """
    rng = np.random.default_rng(seed)
    family = bench.STRAIGHT[int(rng.integers(len(bench.STRAIGHT)))]
    _, count = bank.SCHEMES["every_mark"](rng)
    latent = bank.FAMILIES[family](rng, TIMES_LONGER * count)
    values = latent.y * material(RESOURCE)
    seen = values[:count]
    place = int(rng.uniform(LEAST_SHARE, MOST_SHARE) * len(values))
    limit = float(values[:place].max())
    if limit <= seen.max():
        return None
    said = leaklab.judge_series(np.arange(count), seen, resource=RESOURCE, unit="iteration")
    left = time_left(said, limit, "the limit")
    if left is None:
        return None
    true = int(np.argmax(values >= limit)) - (count - 1)
    return family, left.left_low <= true <= left.left_high, left.left / true


def main() -> None:
    """Print one line a family, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first", type=int, default=13_000_000)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    rows = [row for row in map(crossing, seeds) if row is not None]
    for family in (*bench.STRAIGHT, "all"):
        part = [row for row in rows if family in (row[0], "all")]
        ratios = np.array([row[2] for row in part])
        held = bench.wilson(sum(row[1] for row in part), len(part))
        middle = f"{np.median(ratios):.2f}" if len(part) else "-"
        print(f"{family:18s} {len(part):5d} leaks: interval holds {held}; said / true {middle}")


if __name__ == "__main__":
    main()
