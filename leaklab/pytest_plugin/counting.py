"""Exact figures of this process after each unit, and the verdicts on them."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from array import array
from types import TracebackType
from typing import TYPE_CHECKING, Self

from leaklab.pytest_plugin.inside import leaklab_stacks
from leaklab.pytest_plugin.inside.leaklab_origins import descriptors, thread_count
from leaklab.pytest_plugin.inside.leaklab_processes import child_pids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leaklab.verdict.resources import ResourceVerdict

NAMES = ("heap_bytes", "fd_count", "socket_count", "thread_count", "child_count", "task_count")


def tidy() -> None:
    """Drop what only looks kept: garbage in cycles, and caches of the interpreter's own."""
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()
    gc.collect()


class Counting:
    """Figures after each of ``units`` units. Traces the heap between ``with`` and its end."""

    def __init__(self, units: int) -> None:
        # All room is taken now, and all that judges is loaded: neither may look like growth.
        from leaklab.probe.figures import figures
        from leaklab.verdict.judge_series import judge_series

        self._judge = judge_series
        self._figures: Callable[[], dict[str, int]] = figures
        self._values = {name: array("d", [float("nan")]) * units for name in NAMES}
        self._count = 0
        self._traces = self._frozen = False

    def __enter__(self) -> Self:
        tidy()
        # What was there before is not looked at again at every unit: it made each a long pause.
        if gc.get_freeze_count() == 0:
            gc.freeze()
            self._frozen = True
        leaklab_stacks.suspend(True)
        if not tracemalloc.is_tracing():
            tracemalloc.start()
            self._traces = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leaklab_stacks.suspend(False)
        if self._traces:
            tracemalloc.stop()
        if self._frozen:
            gc.unfreeze()

    def look(self) -> None:
        """Take the figures at the end of a unit."""
        tidy()
        at, values = self._count, self._values
        values["heap_bytes"][at] = tracemalloc.get_traced_memory()[0]
        links = descriptors()
        sockets = sum(link.startswith("socket:") for link in links.values())
        values["fd_count"][at] = len(links)
        values["socket_count"][at] = sockets
        values["thread_count"][at] = thread_count()
        values["child_count"][at] = len(child_pids())
        values["task_count"][at] = self._figures().get("task_count") or 0
        self._count += 1

    def verdicts(self) -> list[ResourceVerdict]:
        """Judge each series."""
        return list(self._verdicts())

    def _verdicts(self) -> Iterator[ResourceVerdict]:
        units = range(1, self._count + 1)
        for name, values in self._values.items():
            yield self._judge(units, values[: self._count], resource=name, unit="iteration")
