"""``leaklab import``."""

from __future__ import annotations

import argparse

from leaklab.cli import recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "capture", metavar="CAPTURE", help="file of `memray run`; children's files beside it too"
    )
    parser.add_argument("--name", help="name of the run (the file's, without its ending)")
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the run and print its folder."""
    from leaklab.recorder.captures.capture import import_capture

    print(import_capture(arguments.capture, store=arguments.store, name=arguments.name))
    return 0
