"""Follow processes and what they start, from outside: figures by worker slot, life by life."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

# Loaded before the first look: between two it would be seconds in which nobody looks.
from leaklab.analysis.long_series import joined_by_age
from leaklab.errors import LeaklabError
from leaklab.recorder.processes.limits import limits_of
from leaklab.verdict.at_work import judge_at_work
from leaklab.watch.matching import (
    command_of,
    is_helper,
    is_own,
    matching,
    matching_now,
    own_pids,
    short_command,
)
from leaklab.watch.series import EvenSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.verdict.resources import ResourceVerdict

    Floats = NDArray[np.float64]

RESOURCES = ("rss_bytes", "fd_count", "socket_count", "thread_count", "child_count")
# A life is judged again once it has grown by this share: a verdict costs milliseconds, a look less.
_JUDGE_AGAIN = 0.1
CPU_SECONDS = "cpu_seconds"
_FEWEST_POINTS = 10


@dataclass
class Life:
    """One process from its start to its end, in the slot of a worker.

    age_seconds of its figures count from the start of the process, not of the watching: lives that
    follow one another are compared by age. They go on by the monotonic clock from what they were
    when it was first seen. age_seconds: as of the last look that saw it; ended: one after
    that did not. verdicts by resource, as of the last judgement. command: `command_of`;
    program: `short_command`; limits: `limits_of`, as of the last look.
    """

    slot: str
    process: psutil.Process
    started: float
    number: int
    seen_at: float
    command: str = ""
    program: str = ""
    age_seconds: float = 0.0
    ended: bool = False
    series: dict[str, EvenSeries] = field(default_factory=dict)
    work: EvenSeries = field(default_factory=lambda: EvenSeries(0.0))
    verdicts: dict[str, ResourceVerdict] = field(default_factory=dict)
    judged_span_seconds: float = 0.0
    limits: dict[str, Any] = field(default_factory=dict)


class Follower:
    """The processes named, and all below them, looked at when asked.

    pids: process ids; patterns: parts of command lines, looked for anew at each look, so that a
    service that is restarted is found again. A slot is ``main`` (the process named; ``main-0``,
    ``main-1`` … of several) or the number of a worker. A process keeps its slot while it lives; a
    new one takes the lowest that is free, so that it follows the one that was restarted. Raises
    LeaklabError when there is nothing to follow.
    """

    def __init__(
        self,
        pids: Iterable[int] = (),
        patterns: Sequence[str] = (),
        *,
        step_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._named = [_named(pid) for pid in pids]
        self._patterns = patterns
        self._step_seconds = step_seconds
        self._clock = clock
        self._number = 0
        self._first_name = ""
        self._commands: dict[str, str] = {}  # of the last process in each slot
        self.lives: dict[str, Life] = {}
        self.restart_counts: dict[str, int] = {}
        self.ended: list[Life] = []
        self.spent_seconds = 0.0
        self.begun = time.monotonic()
        matching_now(patterns)

    def look(self) -> list[tuple[Life, dict[str, float]]]:
        """Take a figure of every process; returns the lives that were seen and their figures.

        A process that cannot be looked at is left out; one that has gone ends its life.
        """
        begun = time.thread_time()
        found = self._found()
        for slot, old in list(self.lives.items()):
            if found.get(slot) != old.process:
                self._end(slot)
        seen = []
        for slot, process in found.items():
            figures = _figures(process)
            life = self._life(slot, process) if figures else None
            if life is None:
                continue
            life.age_seconds = self._clock() - life.seen_at
            life.limits = limits_of(process.pid) or life.limits
            life.work.add(life.age_seconds, figures.pop(CPU_SECONDS))
            for name, value in figures.items():
                series = life.series.setdefault(name, EvenSeries(self._step_seconds))
                series.add(life.age_seconds, value)
            seen.append((life, figures))
        self.spent_seconds += time.thread_time() - begun
        return seen

    def judge(self) -> None:
        """Judge every life that has grown since it was judged last.

        One that is younger than those before it in its slot is judged together with them, by age:
        where workers are replaced, none lives long enough to tell.
        """
        begun = time.thread_time()
        for life in self.lives.values():
            span = max((one.span_seconds for one in life.series.values()), default=0.0)
            if span < (1 + _JUDGE_AGAIN) * life.judged_span_seconds:
                continue
            for name in life.series:
                lives = self._alike(life, name)
                alone = len(lives) == 1
                seconds, values = lives[-1] if alone else joined_by_age(lives)
                cpu = np.interp(seconds, life.work.seconds, life.work.values) if alone else None
                if len(seconds) >= _FEWEST_POINTS:
                    life.judged_span_seconds = span
                    life.verdicts[name] = judge_at_work(name, seconds, values, cpu)
        self.spent_seconds += time.thread_time() - begun

    def _alike(self, life: Life, name: str) -> list[tuple[Floats, Floats]]:
        """Return (seconds, values) of a life, after those of its slot that ended and were older.

        Only of the same command: another program grows in another way.
        """
        span = life.series[name].span_seconds
        before = [
            old.series[name]
            for old in self.ended
            if (old.slot, old.command) == (life.slot, life.command)
            and name in old.series
            and old.series[name].span_seconds > span
        ]
        usable = [one for one in (*before, life.series[name]) if len(one.seconds) > 1]
        usable = usable or [life.series[name]]
        return [(np.array(one.seconds), np.array(one.values)) for one in usable]

    @property
    def overhead_ratio(self) -> float:
        """Processor seconds spent on looking and judging, per second since the start."""
        return self.spent_seconds / max(time.monotonic() - self.begun, 1e-9)

    def _found(self) -> dict[str, psutil.Process]:
        """Return every process by its slot: one that was seen keeps its own while it lives."""
        heads = self._heads()
        ours = own_pids() if heads else set()
        below = {head: _below(head, heads, ours) for head in heads}
        there = {*heads, *(process for group in below.values() for process in group)}
        # What was lost sight of for a look goes on where it was, unless another is there now.
        seen = [*self.lives.values(), *reversed(self.ended)]
        slots: dict[psutil.Process, str] = {}
        for life in seen:
            if life.process in there and life.slot not in slots.values():
                slots.setdefault(life.process, life.slot)
        if heads and not self._first_name:
            self._first_name = "main" if len(heads) == 1 else "main-0"
        for head in heads:
            if head not in slots:
                names = chain([self._first_name], (f"main-{number}" for number in count(1)))
                slots[head] = self._free(names, head, slots)
            prefix = "" if slots[head] == "main" else f"{slots[head].removeprefix('main-')}."
            for process in below[head]:
                if process not in slots:
                    numbers = (f"{prefix}{number}" for number in count(1))
                    slots[process] = self._free(numbers, process, slots)
        return {slot: process for process, slot in slots.items()}

    def _heads(self) -> list[psutil.Process]:
        matched = matching(self._patterns) if self._patterns else []
        heads = dict.fromkeys([*self._named, *matched])
        return sorted((head for head in heads if _runs(head)), key=_start)

    def _free(
        self, names: Iterable[str], process: psutil.Process, slots: dict[psutil.Process, str]
    ) -> str:
        """Return the first name that is free; rather one whose last process was the same command:
        of several that are restarted at once, each takes its own."""
        taken = set(slots.values())
        free = (name for name in names if name not in taken)
        first = name = next(free)
        while name in self._commands:
            if self._commands[name] == command_of(process):
                return name
            name = next(free)
        return first

    def _life(self, slot: str, process: psutil.Process) -> Life | None:
        life = self.lives.get(slot)
        if life is not None:
            return life
        life = next((one for one in self.ended if one.process == process), None)
        if life is not None:
            self.ended = [one for one in self.ended if one is not life]
            life.slot, life.ended = slot, False
            self.lives[slot] = life
            return life
        try:
            started = process.create_time()
        except psutil.Error:
            return None
        command, before = command_of(process), self._commands.get(slot)
        self._commands[slot] = command
        # Another program in a slot that was free is no restart of the one that was there.
        self.restart_counts.setdefault(slot, 0)
        self.restart_counts[slot] += command == before
        age = max(time.time() - started, 0.0)
        born, program = self._clock() - age, short_command(process)
        work = EvenSeries(self._step_seconds)
        life = Life(slot, process, started, self._number, born, command, program, work=work)
        self._number += 1
        self.lives[slot] = life
        return life

    def _end(self, slot: str) -> None:
        life = self.lives.pop(slot)
        life.ended = True
        # Only the last few are of interest to anybody, and months bring many.
        self.ended = [*self.ended[-20:], life]


def _named(pid: int) -> psutil.Process:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        raise LeaklabError(f"no such process: {pid}; `ps` lists them") from None


def _runs(process: psutil.Process) -> bool:
    """Whether it is there, and not only its exit status, which nobody has asked for yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _below(
    head: psutil.Process, heads: list[psutil.Process], ours: set[int]
) -> list[psutil.Process]:
    """The workers below one, oldest first, without the watcher and what it was started by."""
    try:
        below = head.children(recursive=True)
    except psutil.Error:
        return []
    below = [one for one in below if one.pid not in ours and one not in heads and _runs(one)]
    return sorted((one for one in below if not is_helper(one)), key=_start)


def _figures(process: psutil.Process) -> dict[str, float]:
    try:
        with process.oneshot():
            resident = process.memory_info().rss
            if not resident:
                return {}  # nothing is in the middle of an exec or of an exit: no figure of it
            found = {
                "rss_bytes": float(resident),
                "thread_count": float(process.num_threads()),
                "child_count": float(sum(not is_own(one) for one in process.children())),
                CPU_SECONDS: sum(process.cpu_times()[:2]),
            }
            try:
                found["fd_count"] = float(process.num_fds())
                found["socket_count"] = float(len(process.net_connections("all")))
            except psutil.AccessDenied:
                pass  # another user's: the kernel tells its memory, not its descriptors
            return found
    except psutil.Error:
        return {}


def _start(process: psutil.Process) -> tuple[float, int]:
    try:
        return process.create_time(), process.pid
    except psutil.Error:
        return 0.0, process.pid
