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

    from leaklab.text import quantity, safe

    console = Console(stderr=True)
    with console.status("starting") as status:

        def progress(
            *,
            pass_name: str = "",
            mark_count: int = 0,
            elapsed_seconds: float = 0.0,
            rss_bytes: int | None = None,
            text: str = "",
            **_: Any,
        ) -> None:
            parts = [f"{pass_name} pass", f"{elapsed_seconds:.0f} s"]
            if mark_count:
                parts.append(f"{mark_count:,} marks")
            if rss_bytes is not None:
                parts.append(f"{quantity(rss_bytes, 'rss_bytes')} resident")
            line = ", ".join(parts) + (f"  {safe(text)}" if text else "")
            # Text and not markup: what the target prints is shown, never obeyed.
            status.update(Text(line[: console.width - 4]))

        yield progress
