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

    A thread of the kernel's, for the cell has the main one. It keeps a line, so that it does not
    show in the figures: the recorder draws. ``last_line``: what was said and not to be shown;
    ``line_count``: how many lines there were.
    """

    def __init__(self, stream: IO[str], show: Callable[[str, str], None] | None) -> None:
        self._stream = stream
        self._show = show
        self.last_line = ""
        self.line_count = 0
        self._text = ""
        # The copy of the context says which cell the displays belong to.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=run, args=(self._listen,), name="leaklab cell", daemon=True
        )
        self._thread.start()

    def ended(self, limit_seconds: float) -> bool:
        """Wait for the recorder's end, no longer than that, and say whether it has come."""
        self._thread.join(limit_seconds)
        return not self._thread.is_alive()

    def show(self, text: str) -> None:
        """Show what the recorder is at, and ``text`` beside it."""
        if self._text:
            self._display(f"{self._text}; {text}", "")

    def _listen(self) -> None:
        for line in self._stream:
            self._take(line)
            del line  # while it waits for the next: nothing of it is to be found in the kernel

    def _take(self, line: str) -> None:
        self.line_count += 1
        if not line.startswith(SHOWN):
            self.last_line = line.strip()
        else:
            self._text, figure = json.loads(line.removeprefix(SHOWN))
            self._display(self._text, figure)

    def _display(self, text: str, figure: str) -> None:
        if self._show is not None:
            try:
                self._show(text, figure)
            except Exception:  # nobody looks any more: the recording goes on
                self._show = None
