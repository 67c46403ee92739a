"""``leaklab post-mortem``."""

from __future__ import annotations

import argparse

from leaklab.cli import recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run", metavar="RUN|STORE", help="a run as `leaklab show` takes it; of a store, the newest"
    )
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print how the run ended, what its memory did before, and what held what."""
    from leaklab.analysis.series import resource_series
    from leaklab.findings.retention import holders_of_type
    from leaklab.present.post_mortem import HOLDER_COUNT, post_mortem_text
    from leaklab.recorder.left_dumps import left_dump
    from leaklab.recordings.locating import locate
    from leaklab.results.run import Run
    from leaklab.store import open_run
    from leaklab.verdict.limits import smallest_limit

    opened = Run(open_run(locate(arguments.run, arguments.store)))
    held = holders_of_type(opened.data, "", limit=HOLDER_COUNT)
    if not len(held):
        left = left_dump(opened.path)
        held = held if left is None else left
    resident = resource_series(opened.data, "rss_bytes")
    print(post_mortem_text(opened, resident, smallest_limit(opened.meta), held))
    return 0
