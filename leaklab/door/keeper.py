"""What runs in each worker: one thread that keeps its figures and answers requests for a graph."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

from leaklab.door import folder as store
from leaklab.door.judging import JUDGED_SECONDS, Judging, last
from leaklab.door.leaving import leave, sweep
from leaklab.door.look import WALK_SECONDS, Look
from leaklab.errors import LeaklabError
from leaklab.probe import graph
from leaklab.probe.figures import figures as interpreter_figures
from leaklab.watch.series import EvenSeries

FIGURE_SECONDS = 10.0
REQUEST_SECONDS = 1.0
# Copying the process for a graph may hold it up for this share of the time since it began.
PAUSE_SHARE = 0.01
FREE_PAUSE_SECONDS = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_keepers: dict[int, Keeper] = {}


def keeper(folder: str | None = None, figure_seconds: float = FIGURE_SECONDS) -> Keeper:
    """Return this process's keeper, begun at the first call; a forked child gets one of its own."""
    found = _keepers.get(os.getpid())
    if found is None:
        _keepers.clear()  # a parent's thread does not live on in its child
        found = _keepers[os.getpid()] = Keeper(store.service_folder(folder), figure_seconds)
        atexit.unregister(close)  # a parent's, which its child would call twice
        atexit.register(close)
    return found


def close() -> None:
    """Close this process's keeper, if it has one: at its end, or once a server has shut down.

    A parent's is none of its child's, which leaves it alone.
    """
    found = _keepers.get(os.getpid())
    if found is not None:
        with contextlib.suppress(Exception):  # the end of a service is not ours to disturb
            found.close()


class Counter:
    """How many requests a door has handed on; one that threads lose between them is none missed."""

    def __init__(self) -> None:
        self.count = 0


class Keeper:
    """Figures of this process, evenly spaced in constant memory, left in the service's folder."""

    def __init__(self, folder: Path, figure_seconds: float = FIGURE_SECONDS) -> None:
        self.folder = folder.absolute()  # a daemon may go elsewhere
        self._figure_seconds = figure_seconds
        self.pid = os.getpid()
        self._place = store.place()
        self.held_seconds = 0.0
        self.spent_seconds = 0.0
        self._begun = time.monotonic()
        self._series: dict[str, EvenSeries] = {}
        # What the worker has done: what stands still while nobody asks has not stopped growing.
        self._work: dict[str, EvenSeries] = {}
        self.counters: list[Counter] = []
        self._ended, self._woken = threading.Event(), threading.Event()
        self._judging: Judging | None = None
        self._problem: tuple[float, str] = (-math.inf, "")
        self._look: Look | None = None
        self._asked: dict[str, Any] = {}
        # Half a megabyte, and not in the middle of the first look, when requests would wait for it.
        with contextlib.suppress(graph.ForkError):  # a look says so
            graph.prepare()
        self.figures()
        self._thread = threading.Thread(target=self._run, name=store.THREAD_NAME, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and remove what this worker has left."""
        self._ended.set()
        self._woken.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5)
        if self._look is not None:
            self._look.end()
        if self._judging is not None:
            self._judging.end()
        leave(self.folder, self.pid)
        if _keepers.get(self.pid) is self:
            del _keepers[self.pid]

    def figures(self) -> None:
        """Take the figures of this moment and leave all that are kept."""
        if self._ended.is_set():
            return
        begun = time.thread_time()
        age = time.monotonic() - self._begun
        for name, value in _figures().items():
            self._series.setdefault(name, EvenSeries(self._figure_seconds)).add(age, value)
        work = {"cpu_seconds": time.process_time()}
        if self.counters:
            work["request_count"] = float(sum(one.count for one in self.counters))
        for name, value in work.items():
            self._work.setdefault(name, EvenSeries(self._figure_seconds)).add(age, value)
        self.spent_seconds += time.thread_time() - begun
        content: dict[str, Any] = {
            "pid": self.pid,
            "started_ticks": store.started_ticks(self.pid),
            "place": self._place,
            "age_seconds": age,
            "figure_seconds": self._figure_seconds,
            "held_seconds": self.held_seconds,
            "spent_seconds": self.spent_seconds,
            "series": {
                name: {"seconds": one.seconds, "values": one.values, "peak": one.peak}
                for name, one in self._series.items()
            },
            "work": {
                name: {"seconds": one.seconds, "values": one.values}
                for name, one in self._work.items()
            },
        }
        for _ in range(2):  # a worker that ends may remove the folder between the two
            with contextlib.suppress(LeaklabError, OSError):
                store.make(self.folder)
                store.write(store.left_file(self.folder, "worker", self.pid), content)
                break

    def _run(self) -> None:
        sweep(self.folder)
        due = time.monotonic() + self._figure_seconds
        request = store.left_file(self.folder, "request", self.pid)
        while True:
            asked = self._woken.wait(min(REQUEST_SECONDS, self._figure_seconds))
            if self._ended.is_set():
                return
            self._woken.clear()
            self._judge(asked)
            if self._look is not None and self._look.is_over():
                self._end_look(self._look)
            if self._look is None and request.exists():
                request.unlink(missing_ok=True)
                self.graph()
            if time.monotonic() >= due:
                due = time.monotonic() + self._figure_seconds
                self.figures()

    def status(self) -> tuple[dict[str, Any], float, str, bool]:
        """Return what was last said of all workers, its age in seconds, what went wrong since, and
        whether it is being judged anew.

        Nobody is waited for: what is too old is judged anew meanwhile.
        """
        found, age = last(self.folder)
        failed_at, problem = self._problem
        is_old = min(age, time.monotonic() - failed_at) >= JUDGED_SECONDS
        if is_old:
            self._woken.set()
        wrong = problem if time.monotonic() - failed_at < age else ""
        return found, age, wrong, is_old

    def _judge(self, asked: bool) -> None:
        """See to the analysis that is under way; begin one where that was asked for."""
        if self._judging is not None:
            if not self._judging.is_over():
                return
            self._problem = (time.monotonic(), self._judging.problem)
            self._judging = None
        elif asked and last(self.folder)[1] >= JUDGED_SECONDS:
            self.figures()
            try:
                self._judging = Judging.begin(self.folder)
            except LeaklabError as error:
                self._problem = (time.monotonic(), str(error))

    def graph(self) -> None:
        """Begin to walk the object graph in a copy of this process, to be analysed elsewhere.

        Figures are taken meanwhile: a look is no hole in what the worker is judged by.
        """
        result = store.left_file(self.folder, "graph", self.pid)
        self._asked = store.look_asked_for(self.folder)
        allowed = FREE_PAUSE_SECONDS + PAUSE_SHARE * (time.monotonic() - self._begun)
        try:
            if self.held_seconds >= allowed:
                text = (
                    f"the pause budget is used up: held {self.held_seconds:.3f} s; try again later"
                )
                store.write_last(result, {"state": "refused", "reason": text})
                return
            store.write(result, {"state": "walking"})
            self._look = self._walk(result)
        except Exception as error:
            reason = str(error) or type(error).__name__
            store.write_last(result, {"state": "failed", "reason": reason})
        finally:
            if self._look is None:
                store.end_look(self.folder, self._asked)

    def _end_look(self, look: Look) -> None:
        result = store.left_file(self.folder, "graph", self.pid)
        # Anything else is its answer, or another look has been asked for since.
        if store.read(result).get("state") == "walking":
            store.write_last(result, {"state": "failed", "reason": look.reason})
        store.end_look(self.folder, self._asked)
        self._look = None

    def _walk(self, result: Path) -> Look:
        dump = store.left_file(self.folder, "dump", self.pid, "graph")
        dump.unlink(missing_ok=True)
        # In a container its process 1 is the service itself: nobody else collects orphans there.
        adopt = 1 in (self.pid, os.getppid())
        done = graph.dump_by_fork(str(dump), limit_seconds=WALK_SECONDS, adopt=adopt)
        self.held_seconds += done["pause_seconds"]
        with contextlib.suppress(OSError):
            dump.chmod(0o600)
        return Look(dump, done["pid"], result, done["pause_seconds"], adopted=adopt)


def _figures() -> dict[str, float]:
    """The resources of this process that cost next to nothing to ask for."""
    # All but the keeper's own, which has yet to start when the first figures are taken.
    service = [thread.name != store.THREAD_NAME for thread in threading.enumerate()]
    found = {"thread_count": float(sum(service))}
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        found["rss_bytes"] = float(int(fields[1]) * _PAGE_BYTES)
    with contextlib.suppress(OSError):
        found["fd_count"] = float(sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1)
    tasks = interpreter_figures().get("task_count")
    if tasks is not None:
        found["task_count"] = float(tasks)
    return found
