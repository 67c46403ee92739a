"""``leaklab compare``."""

from __future__ import annotations

import argparse
import json

from leaklab.cli import reading, recording
from leaklab.cli.progress import ReadProgress
from leaklab.errors import UsageError

OUTCOMES = ("fixed", "improved", "unchanged", "worse", "inconclusive")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "before",
        metavar="BEFORE",
        help="run, or file of figures, before the fix; day@-1 is the run of day before its newest",
    )
    parser.add_argument("after", metavar="AFTER", help="run, or file of figures, with the fix")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.add_argument(
        "--fail-on",
        type=_outcomes,
        default=(),
        metavar="LIST",
        help="outcomes that make the exit status 3: fixed, improved, unchanged, worse, "
        "inconclusive; leak means unchanged and worse",
    )
    recording.add_store_option(parser)
    reading.add_reading_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the outcome."""
    from leaklab.present.text import comparison_text
    from leaklab.recordings import compare, pair
    from leaklab.results.as_json import plain

    with reading.with_piped([arguments.before, arguments.after]) as (before, after):
        how = reading.reading_options(arguments)
        with ReadProgress() as progress:
            runs = pair(before, after, arguments.store, progress=progress, **how)
    comparison = compare(*runs)
    if arguments.json:
        document = {
            "schema_version": 1,
            "before": runs[0].path or arguments.before,
            "after": runs[1].path or arguments.after,
            "outcome": comparison.outcome,
            "reason": comparison.reason,
            "runs": comparison.runs,
            "circumstances": comparison.circumstances,
            "resources": comparison.resources.to_dict("records"),
            "sites": comparison.sites.to_dict("records"),
            "holders": comparison.holders.to_dict("records"),
        }
        print(json.dumps(plain(document), indent=1))
    else:
        print(comparison_text(comparison))
    return 3 if comparison.outcome in arguments.fail_on else 0


def _outcomes(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for name in text.split(","):
        if name not in (*OUTCOMES, "leak"):
            raise UsageError(f"unknown outcome: {name}; allowed: leak, {', '.join(OUTCOMES)}")
        found += ["unchanged", "worse"] if name == "leak" else [name]
    return tuple(found)
