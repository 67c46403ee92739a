"""How a recording goes on: a status line on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# Who only wants the result of a short run reads nothing else; a log of a long one stays short.
FIRST_LINE_SECONDS = 5.0
FIRST_READ_SECONDS = 1.0
LINE_SECONDS = 5.0
LINE_SHARE = 0.1
# The kind of an event that is shown at once and stays on the screen.
WARNING = "warning"
_WHAT = {
    "measure": "measures its series",
    "explain": "traces its heap",
    "graph": "takes object graphs",
    "trim": "gives free memory back at marks",
    "mmap": "runs with another mmap threshold",
}

Progress = Callable[[dict[str, Any]], None]


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Give a progress callback for the recorder, for whatever stderr is."""
    if not sys.stderr.isatty():
        yield LineProgress(sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    from leaklab.present.terminal import safe

    console = Console(stderr=True)
    with console.status("starting") as status:

        def progress(event: dict[str, Any]) -> None:
            # Text and not markup: what the target prints is shown, never obeyed.
            if event.get("kind") == WARNING:
                console.print(Text(f"leaklab: {safe(event['text'])}"), soft_wrap=True)
                return
            status.update(Text(_line(event, with_text=True)[: console.width - 4]))

        yield progress


class ReadProgress:
    """Says on a terminal how far a file is read, where that takes long; elsewhere nothing.

    A context, at whose end what it has shown is gone; so it is when a file is read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_seconds = clock() + FIRST_READ_SECONDS
        self._shown: Any = None
        self._spinner: Any = None

    def __enter__(self) -> ReadProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def __call__(self, name: str, done_bytes: int, size_bytes: int) -> None:
        """Take how far a file is read."""
        if done_bytes >= size_bytes:
            self._stop()
        elif self._clock() >= self._due_seconds and sys.stderr.isatty():
            self._show(name, done_bytes, size_bytes)

    def _show(self, name: str, done_bytes: int, size_bytes: int) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        from leaklab.present.terminal import quantity, safe

        done, size = (quantity(count, "rss_bytes") for count in (done_bytes, size_bytes))
        text = f"reading {safe(name)}: {done} of {size}"
        if self._shown is None:
            self._spinner = Spinner("dots")
            # What goes to stdout, such as the folder of a run, is none of this.
            console = Console(stderr=True)
            self._shown = Live(
                self._spinner, console=console, transient=True, redirect_stdout=False
            )
            self._shown.start()
        self._spinner.update(text=Text(text))

    def _stop(self) -> None:
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


class LineProgress:
    """Writes a line now and then: pass, seconds, marks, memory, and whether it is the last pass.

    The first after five seconds, the next at least five seconds later, ever rarer with the age of
    the recording; one when a pass begins, if anything was written by then. The first of a pass says
    what it does. None speaks of a pass to come: by what this one shows there may be no use for it.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._begun = clock()
        self._due_seconds = FIRST_LINE_SECONDS
        self._pass: str | None = None
        self._told_pass: str | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event of the recorder's."""
        if event.get("kind") == WARNING:
            self._print(event["text"])
            return
        age_seconds = self._clock() - self._begun
        began_pass = event.get("pass") != self._pass and age_seconds >= FIRST_LINE_SECONDS
        self._pass = event.get("pass")
        if age_seconds < self._due_seconds and not began_pass:
            return
        self._due_seconds = age_seconds + max(LINE_SECONDS, LINE_SHARE * age_seconds)
        line = _line(event, with_text=False, with_what=self._pass != self._told_pass)
        self._told_pass = self._pass
        self._print(line)

    def _print(self, line: str) -> None:
        from leaklab.present.terminal import safe

        try:
            print(f"leaklab: {safe(line)}", file=self._stream, flush=True)
        except OSError:
            self._due_seconds = float("inf")  # whoever read it has gone


def _line(event: dict[str, Any], *, with_text: bool, with_what: bool = False) -> str:
    from leaklab.present.terminal import quantity, safe

    name = event.get("pass") or ""
    parts = [f"{name} pass"]
    if with_what and name in _WHAT:
        parts.append(f"which {_WHAT[name]}")
    if event.get("time_seconds") is not None:
        parts.append(f"{event['time_seconds']:.0f} s")
    if event.get("mark"):
        parts.append(f"{event['mark']:,} marks")
    for key, what in (("rss_bytes", "resident"), ("live_bytes", "live heap")):
        if event.get(key) is not None:
            parts.append(f"{quantity(event[key], key)} {what}")
    if with_text:
        text = event.get("text")
        return ", ".join(parts) + (f"  {safe(text)}" if text else "")
    if event.get("kind") == "note":  # what it does now; the figures stand still
        parts.append(safe(str(event.get("text"))))
    elif event.get("next_pass") == "":
        parts.append("the last pass")
    return ", ".join(parts)
