"""Follow processes and what they start, from outside: figures by worker slot, life by life."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import psutil

from leaklab.errors import LeaklabError
from leaklab.watch.series import EvenSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.verdict.resources import ResourceVerdict

    Floats = NDArray[np.float64]

RESOURCES = ("rss_bytes", "fd_count", "socket_count", "thread_count", "child_count")
# A life is judged again once it has grown by this share: a verdict costs milliseconds, a look less.
_JUDGE_AGAIN = 0.1
_FEWEST_POINTS = 10


@dataclass
class Life:
    """One process from its start to its end, in the slot of a worker.

    age_seconds of its figures count from the start of the process, not of the watching: lives that
    follow one another are compared by age. They go on by the monotonic clock from what they were
    when it was first seen. verdicts by resource, as of the last judgement.
    """

    slot: str
    process: psutil.Process
    started: float
    number: int
    seen_at: float
    series: dict[str, EvenSeries] = field(default_factory=dict)
    verdicts: dict[str, ResourceVerdict] = field(default_factory=dict)
    judged_span_seconds: float = 0.0


class Follower:
    """The processes named, and all below them, looked at when asked.

    pids: process ids; pattern: a part of a command line, looked for anew at each look, so that a
    service that is restarted is found again. A slot is ``main`` (the process named) or the number
    of a worker: the lowest that is free when it appears, so that a recycled worker takes the slot
    of the one it follows. Raises LeaklabError when there is nothing to follow.
    """

    def __init__(
        self,
        pids: Iterable[int] = (),
        pattern: str | None = None,
        *,
        step_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pids = list(pids)
        self._pattern = pattern
        self._step_seconds = step_seconds
        self._clock = clock
        self._number = 0
        self.lives: dict[str, Life] = {}
        self.restart_counts: dict[str, int] = {}
        self.ended: list[Life] = []
        self.spent_seconds = 0.0
        self.begun = time.monotonic()
        for pid in self._pids:
            if not psutil.pid_exists(pid):
                raise LeaklabError(f"no such process: {pid}; `ps` lists them")
        if pattern is not None:
            matching_now(pattern)

    def look(self) -> list[tuple[Life, dict[str, float]]]:
        """Take a figure of every process; returns the lives that were seen and their figures.

        A process that cannot be looked at is left out; one that has gone ends its life.
        """
        begun = time.thread_time()
        found = dict(self._found())
        for slot, old in list(self.lives.items()):
            if old.process not in found.values():
                self._end(slot)
        seen = []
        for slot, process in found.items():
            figures = _figures(process)
            life = self._life(slot, process) if figures else None
            if life is None:
                continue
            age = self._clock() - life.seen_at
            for name, value in figures.items():
                series = life.series.setdefault(name, EvenSeries(self._step_seconds))
                series.add(age, value)
            seen.append((life, figures))
        self.spent_seconds += time.thread_time() - begun
        return seen

    def judge(self) -> None:
        """Judge every life that has grown since it was judged last.

        One that is younger than those before it in its slot is judged together with them, by age:
        where workers are replaced, none lives long enough to tell.
        """
        from leaklab.analysis.long_series import joined_by_age
        from leaklab.verdict.sequential import judge_followed

        begun = time.thread_time()
        for life in self.lives.values():
            span = max((one.span_seconds for one in life.series.values()), default=0.0)
            if span < (1 + _JUDGE_AGAIN) * life.judged_span_seconds:
                continue
            for name in life.series:
                lives = self._alike(life, name)
                seconds, values = lives[-1] if len(lives) == 1 else joined_by_age(lives)
                if len(seconds) >= _FEWEST_POINTS:
                    life.judged_span_seconds = span
                    life.verdicts[name] = judge_followed(seconds, values, resource=name)
        self.spent_seconds += time.thread_time() - begun

    def _alike(self, life: Life, name: str) -> list[tuple[Floats, Floats]]:
        """Return (seconds, values) of a life, after those of its slot that ended and were older."""
        span = life.series[name].span_seconds
        before = [
            old.series[name]
            for old in self.ended
            if old.slot == life.slot and name in old.series and old.series[name].span_seconds > span
        ]
        usable = [one for one in (*before, life.series[name]) if len(one.seconds) > 1]
        usable = usable or [life.series[name]]
        return [(np.array(one.seconds), np.array(one.values)) for one in usable]

    @property
    def overhead_ratio(self) -> float:
        """Processor seconds spent on looking and judging, per second since the start."""
        return self.spent_seconds / max(time.monotonic() - self.begun, 1e-9)

    def _found(self) -> Iterator[tuple[str, psutil.Process]]:
        heads = [psutil.Process(pid) for pid in self._pids if psutil.pid_exists(pid)]
        if self._pattern is not None:
            heads += matching(self._pattern)
        several = len(heads) > 1
        for index, head in enumerate(sorted(heads, key=_start)):
            name = f"main-{index}" if several else "main"
            yield name, head
            prefix = f"{index}." if several else ""
            yield from self._children(prefix, head)

    def _children(self, prefix: str, head: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
        try:
            children = sorted(head.children(recursive=True), key=_start)
        except psutil.Error:
            return
        known = {life.process: slot for slot, life in self.lives.items()}
        taken = {known[child] for child in children if child in known}
        number = 1
        for child in children:
            if child in known:
                yield known[child], child
                continue
            while f"{prefix}{number}" in taken:
                number += 1
            taken.add(f"{prefix}{number}")
            yield f"{prefix}{number}", child

    def _life(self, slot: str, process: psutil.Process) -> Life | None:
        life = self.lives.get(slot)
        if life is not None and life.process == process:
            return life
        if life is not None:
            self._end(slot)
        try:
            started = process.create_time()
        except psutil.Error:
            return None
        if slot in self.restart_counts:
            self.restart_counts[slot] += 1
        self.restart_counts.setdefault(slot, 0)
        age = max(time.time() - started, 0.0)
        life = Life(slot, process, started, self._number, self._clock() - age)
        self._number += 1
        self.lives[slot] = life
        return life

    def _end(self, slot: str) -> None:
        # Only the last few are of interest to anybody, and months bring many.
        self.ended = [*self.ended[-20:], self.lives.pop(slot)]


def matching_now(pattern: str) -> list[psutil.Process]:
    """Return what `matching` does; raises LeaklabError where there is none."""
    found = matching(pattern)
    if not found:
        raise LeaklabError(f"no process with this in its command line: {pattern}; see `ps -ef`")
    return found


def matching(pattern: str) -> list[psutil.Process]:
    """Return the processes with ``pattern`` in their command line, without children of such."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        # `leaklab watch --command PATTERN` has the pattern in its own command line.
        ours = process.pid == os.getpid() or ("leaklab" in words and "watch" in words)
        if pattern and pattern in words and not ours:
            found.append(process)
    pids = {process.pid for process in found}
    return [process for process in found if _parent(process) not in pids]


def _figures(process: psutil.Process) -> dict[str, float]:
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return {}
            found = {
                "rss_bytes": float(process.memory_info().rss),
                "thread_count": float(process.num_threads()),
                "child_count": float(len(process.children())),
            }
            try:
                found["fd_count"] = float(process.num_fds())
                found["socket_count"] = float(len(process.net_connections("all")))
            except psutil.AccessDenied:
                pass  # another user's: the kernel tells its memory, not its descriptors
            return found
    except psutil.Error:
        return {}


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.Error:
        return None


def _start(process: psutil.Process) -> tuple[float, int]:
    try:
        return process.create_time(), process.pid
    except psutil.Error:
        return 0.0, process.pid
