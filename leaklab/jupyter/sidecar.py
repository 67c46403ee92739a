"""The recorder of a cell recorded in its kernel: a process beside the kernel, not inside it.

What it stores and computes must not show in the kernel's figures. Run as
``python -m leaklab.jupyter.sidecar LABEL`` with the recording's options as JSON on standard
input; prints what the cell is to show meanwhile, and ``run PATH`` or ``error TEXT`` as its last
line.
"""

from __future__ import annotations

import json
import sys

from leaklab.errors import LeaklabError
from leaklab.jupyter.heard import SHOWN
from leaklab.present.live import Curve

REDRAW_SECONDS = 1.0  # each time the kernel has to lend a moment to it


class _Told(Curve):
    """The curve, drawn here and shown by the kernel."""

    redraw_seconds = REDRAW_SECONDS

    def show(self, text: str, figure: str) -> None:
        print(f"{SHOWN}{json.dumps([text, figure])}", flush=True)


def main() -> int:
    """Record the process named in the options until it hangs up."""
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run
    from leaklab.verdict.deciding import Decider

    options = json.load(sys.stdin)
    try:
        print("run", record_run(RecordOptions(**options), _Told(sys.argv[1]), Decider))
    except LeaklabError as error:
        print("error", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
