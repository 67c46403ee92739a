"""``python -m leaklab``, and the command ``leaklab``."""

import contextlib
import sys

from leaklab.errors import INTERRUPTED_STATUS


def run() -> int:
    """Run the command line; returns the exit status. Its imports may be interrupted too."""
    try:
        from leaklab.cli import main

        return main()
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("leaklab: interrupted", file=sys.stderr)
        return INTERRUPTED_STATUS


if __name__ == "__main__":
    sys.exit(run())
