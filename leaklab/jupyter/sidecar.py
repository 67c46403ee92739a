"""The recorder of a cell recorded in its kernel: a process beside the kernel, not inside it.

What it stores and computes must not show in the kernel's figures. Run as
``python -m leaklab.jupyter.sidecar LABEL`` with the recording's options as JSON on standard
input; prints what the cell is to show meanwhile, ``begun PATH`` once there is a run, and
``run PATH`` or ``error TEXT`` as its last line.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Mapping
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.jupyter.heard import SHOWN
from leaklab.present.live import Curve, marks_told

REDRAW_SECONDS = 1.0  # each time the kernel has to lend a moment to it


class _Told(Curve):
    """The curve, drawn here and shown by the kernel."""

    redraw_seconds = REDRAW_SECONDS
    begun = ""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take the recorder's figures; what it says of its own work is shown at once."""
        if not self.begun:
            self.begun = event["run"]
            _say(f"begun {self.begun}")
        if event["kind"] == "note":
            self.drawn = 0.0
        super().__call__(event)

    def summary(self, event: Mapping[str, Any]) -> str:
        """How far it is, and what it is at."""
        return "; ".join(filter(None, (super().summary(event), event["text"])))

    def show(self, text: str, figure: str) -> None:
        _say(f"{SHOWN}{json.dumps([text, figure])}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a kernel that was killed: its run is kept all the same
        print(line, flush=True)


def main() -> int:
    """Record the process named in the options until it hangs up."""
    from leaklab.jupyter.in_kernel import note
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run
    from leaklab.store import open_run
    from leaklab.verdict.deciding import Decider

    options = json.load(sys.stdin)
    try:
        run = record_run(RecordOptions(**options), _Told(sys.argv[1]), Decider)
        if open_run(run).meta["state"] == "incomplete":
            expected_count = options["expected_mark_count"]
            after = functools.partial(marks_told, expected_count=expected_count)
            note(run, "incomplete", "the kernel ended during the cell,", after=after)
        _say(f"run {run}")
    except LeaklabError as error:
        _say(f"error {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
