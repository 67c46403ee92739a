"""Verdicts on leaklab's own catalogue of cases, which it is not told the expectations of.

    python benchmarks/detection_catalogue.py [--full] [--jobs 2] [--store FOLDER]

Of the variants with the documented leak: how many are called a leak, in the resources declared,
with the declared function among the first three suspects. Of controls and better fixes: how many
are called bounded. Runs that are in the store already are not recorded again.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from leaklab.cases import Case, CaseSkipped, catalogue

HEALTHY = ("control", "better_fix")


def judged(case: Case, quick: bool, store: str | None) -> list[dict[str, Any]]:
    """One row for each variant of a case that is to be judged."""
    try:
        runs = case.record(quick=quick, store=store)
    except CaseSkipped as reason:
        print(reason, file=sys.stderr)
        return []
    rows = []
    for name, run in runs.items():
        variant = case.variants[name]
        expected = variant.expectation
        leaking = variant.role == "before" and expected.verdict == "leak"
        if not leaking and not (variant.role in HEALTHY and expected.verdict == "bounded"):
            continue
        verdict = run.verdict()
        resources = {(entry.name, entry.role): entry.verdict for entry in verdict.resources}
        wanted = [
            (entry.name, entry.role or "main")
            for entry in expected.resources
            if entry.verdict == "leak"
        ]
        first = [str(name) for name in verdict.suspects["function"][:3]]
        rows.append(
            {
                "place": f"{case.id}/{name}",
                "leaking": leaking,
                "verdict": verdict.verdict,
                "reason": verdict.reason,
                "resources": all(resources.get(key) == "leak" for key in wanted),
                "suspect": expected.suspect in first if leaking and expected.suspect else None,
            }
        )
    return rows


def report_catalogue(jobs: int, *, quick: bool = True, store: str | None = None) -> None:
    """Record what is missing, judge all, print each wrong one and the shares."""
    cases = [case for case in catalogue().values() if case.runnable]
    with ThreadPoolExecutor(jobs) as pool:
        rows = [
            row for part in pool.map(lambda case: judged(case, quick, store), cases) for row in part
        ]
    before = [row for row in rows if row["leaking"]]
    healthy = [row for row in rows if not row["leaking"]]
    right = [row for row in before if row["verdict"] == "leak" and row["resources"]]
    named = [row for row in before if row["suspect"] is not None]
    bounded = [row for row in healthy if row["verdict"] == "bounded"]
    for row in rows:
        if (row in right and row["suspect"] is not False) or row in bounded:
            continue
        print(f"{row['place']}: {row['verdict']}, suspect {row['suspect']}: {row['reason'][:160]}")
    for text, part, whole in (
        ("before: a leak, in the declared resources", right, before),
        ("before: declared function in first 3", [row for row in named if row["suspect"]], named),
        ("control, better_fix: bounded", bounded, healthy),
    ):
        share = f"{len(part) / len(whole):.3f}" if whole else "–"
        print(f"| {text} | {len(part)} of {len(whole)} | {share} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="default sizes, not the quick ones")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", default=None)
    options = parser.parse_args()
    report_catalogue(options.jobs, quick=not options.full, store=options.store)
