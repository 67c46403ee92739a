"""How often is the verdict on a series right? ``leaklab.judge_series`` on made series.

    python benchmarks/series.py [--count 8000] [--first 1000000] [--by scheme] [--by family]
                                     [--jobs 2] [--csv FILE]

The series of ``corpus/series`` have known truth. Seeds below 20,000 were used while the method was
made; judge it on others. In parentheses Wilson's 95 % interval, in per cent.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import pandas as pd

import leaklab

sys.path.insert(0, str(Path(__file__).parents[1] / "corpus" / "series"))
import series_bank as bank

# Families whose growth at the end is their growth over the run: the interval must cover it.
STRAIGHT = (
    "linear", "linear_in_noise", "linear_in_memory", "under_sawtooth", "count_below_pool",
)  # fmt: skip
# Evenly spaced looks, or a step that doubles: as the recorder looks.
EVEN = ("every_mark", "step_doubling", "thousand_points", "uniform_time")


def scored(first: int, count: int) -> pd.DataFrame:
    """Judge the series of these seeds: one row each, with what is true and what was said."""
    rows = []
    for seed in range(first, first + count):
        made = bank.make(seed)
        began = time.process_time()
        said = leaklab.judge_series(made.x, made.y, resource=made.resource, unit=made.unit)
        span = float(made.x[-1] - made.x[0])
        rows.append(
            {
                "seed": seed,
                "family": made.family,
                "scheme": made.scheme,
                "truth": made.truth,
                "difficulty": made.difficulty,
                "verdict": said.verdict,
                "rate_low": said.rate_low,
                "rate_high": said.rate_high,
                "true_rate": made.gain / span,
                "ms": 1e3 * (time.process_time() - began),
            }
        )
    return pd.DataFrame(rows)


def shares(rows: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """How many of how many: false alarms, undecided, found, called bounded, decided, covered.

    Of series that cannot be decided also how many are decided wrongly.
    """
    told = rows[rows["difficulty"] != "undecidable"]
    bounded, leak = told[told["truth"] == "bounded"], told[told["truth"] == "leak"]
    even, open_ = leak[leak["scheme"].isin(EVEN)], rows[rows["difficulty"] == "undecidable"]
    straight = leak[leak["family"].isin(STRAIGHT)]
    covered = straight["rate_low"].le(straight["true_rate"])
    covered &= straight["true_rate"].le(straight["rate_high"])

    def said(part: pd.DataFrame, verdict: str) -> tuple[int, int]:
        return int((part["verdict"] == verdict).sum()), len(part)

    undecided, whole = said(open_, "inconclusive")
    wrong = int(((open_["verdict"] != open_["truth"]) & (open_["verdict"] != "inconclusive")).sum())
    return {
        "false alarms": said(bounded, "leak"),
        "bounded undecided": said(bounded, "inconclusive"),
        "leaks found": said(leak, "leak"),
        "found, even looks": said(even, "leak"),
        "leaks called bounded": said(leak, "bounded"),
        "undecidable decided": (whole - undecided, whole),
        "undecidable decided wrongly": (wrong, whole),
        "interval covers": (int(covered.sum()), len(straight)),
    }


def wilson(hits: int, count: int) -> str:
    """Percentage with its 95 % interval."""
    if not count:
        return "-"
    share, z = hits / count, 1.96
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low, high = ((centre + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return f"{100 * share:.1f} ({100 * max(low, 0):.1f}-{100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--first", type=int, default=1_000_000)
    parser.add_argument("--by", action="append", default=[], choices=["scheme", "family"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    parts = bank.in_batches(scored, options.first, options.count, options.jobs)
    rows = pd.concat(parts, ignore_index=True)
    if options.csv:
        rows.to_csv(options.csv, index=False)
    table = {"all": rows}
    for key in options.by:
        table |= {str(name): group for name, group in rows.groupby(key)}
    figures = {
        name: {key: wilson(*found) for key, found in shares(part).items()}
        for name, part in table.items()
    }
    print(pd.DataFrame(figures).T.to_string())
    middle, most = rows["ms"].quantile([0.5, 0.95])
    print(f"ms a series: median {middle:.2f}, 95 % below {most:.2f}")


if __name__ == "__main__":
    main()
