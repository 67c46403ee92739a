"""One line under each cell: what it added to the kernel, in memory and in objects by type."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

from leaklab.analysis.in_use import MALLOC
from leaklab.present.formatting import amount
from leaklab.probe.figures import malloc_figures
from leaklab.resources import BLOCK_BYTES, IN_USE, material

_SHOWN_TYPES = 3
_SHOWN_NAMES = 4
# What every cell leaves: its own history.
_LEAST_OBJECTS = 100


class Watch:
    """Prints the line from now on, until it is closed.

    Only objects that came into being since the cell before are counted (by objgraph): to go through
    all of a kernel's objects takes longer than anybody waits for a line. ``seconds``: what the last
    line took.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.seconds = 0.0
        self._malloc = malloc_figures()
        shell.events.register("post_run_cell", self._after)
        self._note()

    def close(self) -> None:
        """Print no more lines."""
        self._shell.events.unregister("post_run_cell", self._after)

    def _note(self) -> None:
        gc.collect(1)  # what there is becomes old: what is young afterwards is the next cell's
        self._old_count = len(gc.get_objects(generation=2))
        self._resident_bytes, self._in_use_bytes = _resident_bytes(), self._used()
        self._bound = {name: id(value) for name, value in list(self._shell.user_ns.items())}

    def _after(self, result: Any) -> None:
        begun = time.perf_counter()
        change = _resident_bytes() - self._resident_bytes
        used = self._used() - self._in_use_bytes
        new = self._new_objects()
        count = len(new)
        types = _by_type(new)
        del new
        parts = [f"{amount('rss_bytes', change, signed=True)} resident"]
        if abs(used - change) >= material(IN_USE):
            # What is put into pages that were free, or freed in pages that stay, shows here only.
            parts.append(f"{amount(IN_USE, used, signed=True)} in use")
        if count > _LEAST_OBJECTS:
            shown = ", ".join(f"{number:,} {name}" for name, number in types[:_SHOWN_TYPES])
            parts.append(f"+{count:,} objects ({shown})")
        names = self._new_names()
        if names:
            more = len(names) - _SHOWN_NAMES
            parts.append(
                ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
            )
        print(f"leaklab: {'; '.join(parts)}", flush=True)
        self._note()
        self.seconds = time.perf_counter() - begun

    def _used(self) -> float:
        """What allocators count as in use; blocks alone where malloc cannot be asked."""
        malloc = float(self._malloc().get(MALLOC, 0))
        return malloc + BLOCK_BYTES * sys.getallocatedblocks()

    def _new_objects(self) -> list[Any]:
        """What is young, and what a full collection meanwhile has put behind the old ones."""
        old = gc.get_objects(generation=2)
        aged = old[self._old_count :]
        del old
        return [*aged, *gc.get_objects(generation=1), *gc.get_objects(generation=0)]

    def _new_names(self) -> list[str]:
        """The names that the cell has bound anew."""
        return [
            name
            for name, value in list(self._shell.user_ns.items())
            if not name.startswith("_") and self._bound.get(name) != id(value)
        ]


def _by_type(objects: list[Any]) -> list[tuple[str, int]]:
    import objgraph

    found: dict[str, int] = objgraph.typestats(objects)
    return sorted(found.items(), key=lambda item: -item[1])


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
