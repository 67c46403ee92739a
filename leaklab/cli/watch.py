"""``leaklab watch``."""

from __future__ import annotations

import argparse

from leaklab.quantities import duration_seconds, process_id


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process to follow")
    parser.add_argument(
        "--interval",
        metavar="DURATION",
        type=duration_seconds,
        default=1.0,
        help="time between lines (default: 1s)",
    )
    parser.add_argument(
        "--duration", metavar="DURATION", type=duration_seconds, help="stop after this"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for scripts")


def run(arguments: argparse.Namespace) -> int:
    """Print the process's figures until it ends, the time is over, or Ctrl-C."""
    from leaklab.watch import lines

    try:
        for line in lines(
            arguments.pid,
            interval_seconds=arguments.interval,
            duration_seconds=arguments.duration,
            as_json=arguments.json,
        ):
            print(line, flush=True)
    except KeyboardInterrupt:
        pass
    return 0
