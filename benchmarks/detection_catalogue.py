"""Verdicts on leaklab's own catalogue of cases, which it is not told the expectations of.

    python benchmarks/detection_catalogue.py [--full] [--conditions] [--jobs 2] [--store FOLDER]
                                             [--production-only]

Of the variants with the documented leak: how many are called a leak, in the resources declared,
with the declared function among the first three suspects. Of controls and better fixes: how many
are called bounded. Of all heap leaks: how many rows of the report name the declared holder, with
the declared function as the place of allocation and the bytes per iteration; and how many name
holder and type in production mode, where nothing is traced. Conditions leak too; they are recorded
with --conditions. Runs that are in the store already are not recorded again.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from leaklab.catalogue.expectations import kept_row
from leaklab.catalogue.model import Case, catalogue
from leaklab.catalogue.recording import CaseSkipped
from leaklab.catalogue.requirements import python_matches

PRODUCTION = ("measure", "graph")
HEALTHY = ("control", "better_fix")


def judged(case: Case, quick: bool, conditions: bool, store: str | None) -> list[dict[str, Any]]:
    """One row for each variant of a case that is to be judged."""
    names = list(case.variants) if conditions else case.variants_for(quick=quick)
    try:
        runs = {name: case.record(name, quick=quick, store=store) for name in names}
    except CaseSkipped as reason:
        print(reason, file=sys.stderr)
        return []
    return [row for name, run in runs.items() if (row := _row(case, name, run)) is not None]


def _row(case: Case, name: str, run: Any) -> dict[str, Any] | None:
    """What is declared of a variant beside what its run says; None where nothing is declared."""
    variant = case.variants[name]
    expected = variant.expectation
    healthy = variant.role in HEALTHY and expected.verdict == "bounded"
    if expected.verdict != "leak" and not healthy:
        return None
    verdict = run.verdict()
    resources = {(entry.name, entry.role): entry.verdict for entry in verdict.resources}
    wanted = [
        (entry.name, entry.role or "main")
        for entry in expected.resources.values()
        if entry.verdict == "leak" and python_matches(entry.python, sys.version_info[:3])
    ]
    first = [str(name) for name in verdict.suspects["function"][:3]]
    kept = kept_row(expected.holder, run) if expected.holder else None
    return {
        "place": f"{case.id}/{name}",
        "role": variant.role,
        "healthy": healthy,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "resources": all(resources.get(key) == "leak" for key in wanted),
        "suspect": expected.suspect in first if expected.suspect and not healthy else None,
        "holder": kept is not None and kept.rate > 0 if expected.holder else None,
        "row": kept is not None and expected.suspect in kept.functions
        if expected.holder and expected.suspect
        else None,
        "kept": kept,
    }


def untraced(case: Case, quick: bool, store: str | None) -> list[dict[str, Any]]:
    """One row for each variant that leaks into a declared holder, recorded in production mode."""
    rows = []
    for name, variant in case.variants.items():
        expected = variant.expectation
        leaks = expected.holder is not None and expected.verdict == "leak"
        if not leaks or (quick and name not in case.variants_for(quick=True)):
            continue
        variants = {name: variant.model_copy(update={"passes": PRODUCTION})}
        try:
            run = case.model_copy(update={"variants": variants}).record(
                name, quick=quick, store=store
            )
        except CaseSkipped as reason:
            print(reason, file=sys.stderr)
            return rows
        # A path ends with the type of what piles up.
        kept = kept_row(expected.holder, run)
        rows.append(
            {
                "place": f"{case.id}/{name}",
                "verdict": run.verdict().verdict,
                "named": kept is not None and kept.rate > 0,
                "kept": kept,
            }
        )
    return rows


def report_production(jobs: int, *, quick: bool = True, store: str | None = None) -> None:
    """Print how many leaks of Python objects have their holder and type named without tracing."""
    cases = [case for case in catalogue().values() if case.runnable]
    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(lambda case: untraced(case, quick, store), cases)
        rows = [row for part in parts for row in part]
    for row in rows:
        if not row["named"]:
            print(f"{row['place']}: {row['verdict']}, {row['kept']}")
    named = sum(row["named"] for row in rows)
    share = f"{named / len(rows):.3f}" if rows else "–"
    print(f"| production mode: holder and type named | {named} of {len(rows)} | {share} |")


def report_catalogue(
    jobs: int, *, quick: bool = True, conditions: bool = False, store: str | None = None
) -> None:
    """Record what is missing, judge all, print each wrong one and the shares."""
    cases = [case for case in catalogue().values() if case.runnable]
    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(lambda case: judged(case, quick, conditions, store), cases)
        rows = [row for part in parts for row in part]
    before = [row for row in rows if row["role"] == "before"]
    healthy = [row for row in rows if row["healthy"]]
    for row in rows:
        missed = [key for key in ("suspect", "holder", "row") if row[key] is False]
        right = row["verdict"] == ("bounded" if row["healthy"] else "leak")
        if not right or not row["resources"] or missed:
            print(f"{row['place']}: {row['verdict']}, missed {missed}: {row['reason'][:160]}")
            print(f"    {row['kept']}")
    for text, whole, right in (
        (
            "before: a leak, in the declared resources",
            before,
            [row["verdict"] == "leak" and row["resources"] for row in before],
        ),
        ("before: declared function in first 3", *_told(before, "suspect")),
        (
            "control, better_fix: bounded",
            healthy,
            [row["verdict"] == "bounded" for row in healthy],
        ),
        ("heap leaks: kept by the declared holder, bytes per unit", *_told(rows, "holder")),
        ("heap leaks: declared function on the holder's row", *_told(rows, "row")),
    ):
        share = f"{sum(right) / len(whole):.3f}" if whole else "–"
        print(f"| {text} | {sum(right)} of {len(whole)} | {share} |")


def _told(rows: list[dict[str, Any]], key: str) -> tuple[list[dict[str, Any]], list[bool]]:
    """The rows for which something is declared, and whether it was found."""
    told = [row for row in rows if row[key] is not None]
    return told, [row[key] for row in told]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="default sizes, not the quick ones")
    parser.add_argument("--conditions", action="store_true", help="the other variants as well")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", default=None)
    parser.add_argument("--production-only", action="store_true", help="only without tracing")
    options = parser.parse_args()
    if not options.production_only:
        report_catalogue(
            options.jobs,
            quick=not options.full,
            conditions=options.conditions or options.full,
            store=options.store,
        )
    report_production(options.jobs, quick=not options.full, store=options.store)
