"""How a recording goes on: a status line on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminal_progress() -> Iterator[Callable[..., None] | None]:
    """Give a progress callback for the recorder; None unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.text import Text

    from leaklab.present.terminal import quantity, safe

    console = Console(stderr=True)
    with console.status("starting") as status:

        def progress(event: dict[str, Any]) -> None:
            parts = [f"{event.get('pass') or ''} pass"]
            if event.get("time_seconds") is not None:
                parts.append(f"{event['time_seconds']:.0f} s")
            if event.get("mark"):
                parts.append(f"{event['mark']:,} marks")
            for key, what in (("rss_bytes", "resident"), ("live_bytes", "live heap")):
                if event.get(key) is not None:
                    parts.append(f"{quantity(event[key], key)} {what}")
            text = event.get("text")
            line = ", ".join(parts) + (f"  {safe(text)}" if text else "")
            # Text and not markup: what the target prints is shown, never obeyed.
            status.update(Text(line[: console.width - 4]))

        yield progress
