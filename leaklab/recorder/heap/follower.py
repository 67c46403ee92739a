"""Takes the snapshots at the places that were noted, in a thread: the recorder waits for none."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from leaklab.errors import LeaklabError
from leaklab.probe.pacing import Pacing
from leaklab.recorder.heap.stream import HeapSnapshot, HeapStream

_SNAPSHOT_SECONDS = 10.0

Owner = TypeVar("Owner")


@dataclass(frozen=True)
class Place:
    """Where in its stream the heap of a process is to be looked at.

    ``offset``: in bytes of the stream. ``barrier_number``: of the marker before it, None where the
    process did not wait. ``x``: the mark's number or the age in seconds, ``expected_x`` at the end.
    """

    stream: HeapStream
    offset: int
    barrier_number: int | None
    mark: int | None
    now: float
    x: float
    expected_x: float | None
    quiescent: bool
    held_seconds: float


@dataclass(frozen=True)
class Followed(Generic[Owner]):
    """What has come of a place of the process ``owner``: a snapshot, or why there is none.

    Neither where the heap need not be looked at there, by what looks cost.
    """

    owner: Owner
    stream: HeapStream
    place: Place | None
    snapshot: HeapSnapshot | None = None
    problem: str | None = None


class Follower(Generic[Owner]):
    """The thread. Its results wait until they are taken in; ``woken`` is readable then."""

    def __init__(self) -> None:
        self.results: deque[Followed[Owner]] = deque()
        self.woken, self._wake = socket.socketpair()
        self.woken.setblocking(False)
        self._wake.setblocking(False)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._asked_count = 0
        self._done_count = 0
        self._lost: set[HeapStream] = set()
        # How far each stream's process has come, at marks and beside them, while the reader is
        # behind: the looks in between that would be dropped for it are not taken at all.
        self._asked_x: WeakKeyDictionary[HeapStream, dict[bool, float]] = WeakKeyDictionary()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    @property
    def behind_count(self) -> int:
        """How much it has still to do."""
        return self._asked_count - self._done_count

    def begin(self, owner: Owner, stream: HeapStream) -> None:
        """Have the reader follow a new stream."""
        self._ask(lambda: self._attempt(owner, stream, stream.begin))

    def take(self, owner: Owner, walks: Pacing | None, place: Place) -> None:
        """Have the heap looked at at a place, if that is due when the reader comes to it.

        Without ``walks``, their pacing, it is looked at whatever it costs.
        """
        self._asked_x.setdefault(place.stream, {})[place.mark is None] = place.x
        self._ask(
            lambda: self._attempt(
                owner, place.stream, lambda: self._take(owner, walks, place), place
            )
        )

    def check(self, owner: Owner, stream: HeapStream) -> None:
        """Look whether a stream is still read."""
        self._ask(lambda: self._attempt(owner, stream, stream.check))

    def end(self, owner: Owner, stream: HeapStream) -> None:
        """Stop reading a stream once all that was asked of it is done."""

        def close() -> None:
            self._attempt(owner, stream, stream.check)
            stream.close()

        self._ask(close)

    def taken_in(self) -> list[Followed[Owner]]:
        """Return what was done since the last call."""
        with contextlib.suppress(BlockingIOError):
            while self.woken.recv(4096):
                pass
        return [self.results.popleft() for _ in range(len(self.results))]

    def abandon(self) -> None:
        """Do nothing more of what was asked."""
        self._abandoned = True

    def close(self) -> None:
        """End the thread; the helpers it may be waiting for are gone."""
        self.abandon()
        self._jobs.put(None)
        self._thread.join()
        self.woken.close()
        self._wake.close()

    def _ask(self, job: Callable[[], None]) -> None:
        self._asked_count += 1
        self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._abandoned:
                job()
            self._done_count += 1
            with contextlib.suppress(BlockingIOError):
                self._wake.send(b"\0")

    def _attempt(
        self,
        owner: Owner,
        stream: HeapStream,
        work: Callable[[], object],
        place: Place | None = None,
    ) -> None:
        if stream in self._lost:
            return
        try:
            work()
        except LeaklabError as problem:
            self._lost.add(stream)
            self.results.append(Followed(owner, stream, place, problem=str(problem)))

    def _take(self, owner: Owner, pacing: Pacing | None, place: Place) -> None:
        stream = place.stream
        stream.reach(place.offset)
        end_x = max(self._asked_x[stream][place.mark is None], place.expected_x or 0.0)
        if pacing is not None and not pacing.due(place.now, place.x, end_x):
            stream.go_on(place.offset)
            return
        stream.take(place.barrier_number, _SNAPSHOT_SECONDS)
        stream.go_on(place.offset)
        begun = time.thread_time()
        found = stream.finish()
        if place.barrier_number is not None and not found.exact and not stream.active:
            raise LeaklabError("its stream has ended: the target has closed it")
        if pacing is not None:
            # By the clock it would be what else the machine does that decides how often to look.
            worked_seconds = found.worked_seconds + time.thread_time() - begun
            pacing.spent(worked_seconds, place.x, place.now)
        self.results.append(Followed(owner, stream, place, found))
