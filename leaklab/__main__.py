"""``python -m leaklab``, and the command ``leaklab``."""

import contextlib
import sys

from leaklab.end_signals import exit_status


def run() -> int:
    """Run the command line; returns the exit status. Its imports may be interrupted too."""
    try:
        from leaklab.cli import main

        return main()
    except KeyboardInterrupt as interrupt:
        with contextlib.suppress(OSError):
            print("leaklab: interrupted", file=sys.stderr)
        return exit_status(interrupt)


if __name__ == "__main__":
    sys.exit(run())
