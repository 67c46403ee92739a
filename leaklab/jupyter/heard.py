"""What the recorder of a cell says while the cell runs: its curve is shown, its last line kept."""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Callable
from typing import IO

# Before a line that is to be shown: text and figure, as JSON.
SHOWN = "shown "


class Heard:
    """Reads a recorder's output beside the cell; ``show`` is called with each text and figure.

    A thread of the kernel's, for the cell has the main one. It keeps nothing, so that it does not
    show in the figures: the recorder draws.
    """

    def __init__(self, stream: IO[str], show: Callable[[str, str], None] | None) -> None:
        self._stream = stream
        self._show = show
        self._last = ""
        # The copy of the context says which cell the displays belong to.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=run, args=(self._listen,), name="leaklab cell", daemon=True
        )
        self._thread.start()

    def last_line(self, limit_seconds: float) -> str:
        """Wait for the recorder's end, no longer than that, and return what it said last."""
        self._thread.join(limit_seconds)
        return self._last

    def _listen(self) -> None:
        for line in self._stream:
            if not line.startswith(SHOWN):
                self._last = line.strip()
            elif self._show is not None:
                try:
                    self._show(*json.loads(line.removeprefix(SHOWN)))
                except Exception:  # nobody looks any more: the recording goes on
                    self._show = None
