"""What failures say: at most twelve lines, more of them with ``-v``."""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from pathlib import Path

from leaklab.pytest_plugin.inside.leaklab_origins import Remaining

MOST_LINES = 12
Frame = tuple[str, int, str]


def place_text(frame: Frame) -> str:
    """Return ``tests/test_app.py:41 function``, with the path as seen from here."""
    file, line, function = frame
    path = os.path.relpath(file) if Path(file).is_absolute() else file
    return f"{file if path.startswith('..') else path}:{line} {function}"


def source_line(file: str, line: int) -> str:
    """Return the text of a line, without its indentation; empty where it cannot be read."""
    return linecache.getline(file, line).strip()


def remaining_text(left: Sequence[Remaining], verbosity: int = 0) -> str:
    """Return what a test left behind, with the line that made each and how to allow it.

    With verbosity the whole stacks, and all there is.
    """
    count = len(left)
    lines = [f"leaklab: {count} {'thing' if count == 1 else 'things'} left behind by the test"]
    for number, one in enumerate(left):
        entry = _one_text(one, verbosity)
        if verbosity < 1 and len(lines) + len(entry) > MOST_LINES - 2:
            lines.append(f"  and {count - number} more; -v shows all")
            break
        lines += entry
    lines.append(f'  on purpose? expect_remaining("{left[0].title}", reason="…")')
    return "\n".join(lines)


def _one_text(one: Remaining, verbosity: int) -> list[str]:
    made = one.made_at
    if made is None:
        return [f"  {one.kind} {one.name}, made out of sight of Python"]
    lines = [f"  {one.kind} {one.name}, made at {place_text(made)}"]
    text = source_line(made[0], made[1])
    if text:
        lines.append(f"      {text}")
    if verbosity > 0:
        lines += [f"        from {place_text(frame)}" for frame in one.stack]
    return lines
