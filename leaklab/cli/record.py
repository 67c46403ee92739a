"""``leaklab record``."""

from __future__ import annotations

import argparse

from leaklab.cli import recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "leaklab record [options] -- COMMAND…"
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        help="script.py ARGUMENTS, -m MODULE ARGUMENTS, or any program",
    )
    recording.add_recording_options(parser)
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record, print the run's folder."""
    from leaklab.cli.progress import shown_progress
    from leaklab.recordings import record

    recording.require_target(arguments)
    with shown_progress() as progress:
        recorded = record(
            arguments.command,
            name=arguments.name,
            variant=arguments.variant,
            store=arguments.store,
            fresh=True,
            progress=progress,
            **recording.recording_options(arguments),
        )
    print(recorded.path)
    recording.note_interruption(recorded)
    failed = recording.failure(recorded.meta)
    if failed:
        recording.note(f"{failed}; the run is kept: {recorded.path}")
    return 1 if failed else 0
