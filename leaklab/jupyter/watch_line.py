"""One line under each cell: what it added to the kernel, in memory and in objects by type."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from leaklab.analysis.in_use import MALLOC
from leaklab.present.formatting import amount
from leaklab.probe import marks
from leaklab.probe.figures import malloc_figures
from leaklab.resources import BLOCK_BYTES, IN_USE, material

_SHOWN_TYPES = 3
_SHOWN_NAMES = 4
# A small object takes a block of this size or more; nobody tells without printing all pools.
_LEAST_BLOCK_BYTES = 16
# What every cell leaves: its own history.
_LEAST_OBJECTS = 100
# A metaclass may answer otherwise, with code of its own.
_TYPE_NAME = type.__dict__["__name__"].__get__


class Watch:
    """Prints the line from now on, until it is closed.

    Objects are counted by type and compared with what there was: which of them are new cannot be
    asked, for a full collection, or a recording that sets them aside, puts them into another order.
    ``seconds``: what the last line took.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.seconds = 0.0
        self._malloc = malloc_figures()
        shell.events.register("post_run_cell", self._after)
        _show_an_error_to_nobody(shell)
        self._note(self._counted())

    def close(self) -> None:
        """Print no more lines."""
        self._shell.events.unregister("post_run_cell", self._after)

    def _note(self, counts: Counter[str]) -> None:
        self._counts, self._set_aside = counts, _are_set_aside()
        self._resident_bytes, self._in_use = _resident_bytes(), self._used()
        self._bound = {name: id(value) for name, value in list(self._shell.user_ns.items())}

    def _after(self, result: Any) -> None:
        if marks._session is not None:  # a cell inside the one that records it, which gets its own
            return
        begun = time.perf_counter()
        change = _resident_bytes() - self._resident_bytes
        counts = self._counted()
        # A change without a sign would be read as what there is.
        parts = [f"{'' if change else '+'}{amount('rss_bytes', change, signed=True)} resident"]
        parts += self._hidden(change)
        more = self._more_objects(counts)
        if more.total() > _LEAST_OBJECTS:
            types = more.most_common(_SHOWN_TYPES)
            shown = ", ".join(f"{number:,} {name}" for name, number in types)
            parts.append(f"+{more.total():,} objects ({shown})")
        names = self._new_names()
        if names:
            left = len(names) - _SHOWN_NAMES
            parts.append(
                ", ".join(names[:_SHOWN_NAMES]) + (f" and {left} more" if left > 0 else "")
            )
        print(f"leaklab: {'; '.join(parts)}", flush=True)
        self._note(counts)
        self.seconds = time.perf_counter() - begun

    def _counted(self) -> Counter[str]:
        """Count the objects that the collector knows, by the names of their types."""
        gc.collect(1)  # what the cell has dropped in cycles has not been added
        by_type = Counter(map(type, gc.get_objects()))
        counts: Counter[str] = Counter()
        for kind, count in by_type.items():  # to keep a type would keep what a cell has replaced
            counts[_TYPE_NAME(kind)] += count
        return counts

    def _more_objects(self, counts: Counter[str]) -> Counter[str]:
        """Return what there is more of; nothing where the user has set objects aside or back."""
        return counts - self._counts if _are_set_aside() == self._set_aside else Counter()

    def _used(self) -> tuple[float, int]:
        """What malloc counts as in use (0 where it cannot be asked); the interpreter's blocks."""
        return float(self._malloc().get(MALLOC, 0)), sys.getallocatedblocks()

    def _hidden(self, change: float) -> list[str]:
        """Say how much was put into pages that were free, or freed in pages that stay: what is in
        use has changed by more than resident memory did, the same way."""
        malloc, blocks = (now - then for now, then in zip(self._used(), self._in_use, strict=True))
        used = malloc + _LEAST_BLOCK_BYTES * blocks
        beyond = used - max(change, 0.0) if used > 0 else min(change, 0.0) - used
        if beyond < material(IN_USE):
            return []
        more = " or more" if abs(blocks) * BLOCK_BYTES >= material(IN_USE) else ""
        return [f"{amount(IN_USE, used, signed=True)} in use{more}"]

    def _new_names(self) -> list[str]:
        """The names that the cell has bound anew."""
        return [
            name
            for name, value in list(self._shell.user_ns.items())
            if not name.startswith("_") and self._bound.get(name) != id(value)
        ]


def _show_an_error_to_nobody(shell: Any) -> None:
    """Have IPython load what it shows errors with: else the first cell that fails has added it."""
    formatter = getattr(shell, "InteractiveTB", None)
    if formatter is None:
        return
    shown_last = getattr(formatter, "tb", None)
    with suppress(Exception):  # it may be anybody's
        try:
            raise LookupError
        except LookupError as error:
            formatter.structured_traceback(type(error), error, error.__traceback__)
    formatter.tb = shown_last


def _are_set_aside() -> bool:
    return gc.get_freeze_count() > 0  # the count itself falls with each of them that goes


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
