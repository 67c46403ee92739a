"""The heap of traced targets: the part of the handlers that begins, places and stores snapshots."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.recorder.heap.follower import Follower, Place
from leaklab.recorder.heap.stacks import SourcePaths, StackTable
from leaklab.recorder.heap.stream import CONNECT_SECONDS, HeapReader, HeapSnapshot, HeapStream
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.processes.tracked import SHORT_SECONDS, Tracked
from leaklab.store import RunWriter

# So much of the streams may wait for the reader, where less was not asked for.
SPOOL_BYTES = 4 << 30
# Snapshots at the probe's calls are exact: from outside only where so many calls were missed.
MISSED_TICKS = 5
# A process that will give marks still imports at this age: thousands of stacks for nothing.
IDLE_AFTER_SECONDS = 1.0
GO = ("go",)
TRACE = ("trace",)
UNTRACE = ("untrace",)
# To the tracer: its stream went to somebody else, so it begins anew on another port.
AGAIN = ("again",)
# Who takes so many streams means to.
STREAM_TRIES = 5
HEAP_PASS = "explain"
Steps = Generator[tuple[str, ...], dict[str, Any], None]


class TracedHeaps:
    """Has the heaps of one pass read, and stores the snapshots."""

    def __init__(
        self,
        options: RecordOptions,
        pass_name: str,
        writer: RunWriter,
        clock: Callable[[], float],
        stacks: StackTable,
        working_folder: str,
        source: Path | None,
        capture_folder: Path | None,
        spool_folder: Path,
        expected_mark_counts: Mapping[str, int],
    ) -> None:
        self._options = options
        self._phase = pass_name
        self._writer = writer
        self._clock = clock
        self._stacks = stacks
        self._working_folder = working_folder
        self._source_folder = str(source.resolve().parent) if source else None
        self._capture_folder = capture_folder
        self._spool_folder = str(spool_folder)
        self._expected_mark_counts = expected_mark_counts
        self._readers: list[HeapReader] = []
        #: takes the snapshots; None where the heap is not traced
        self.follower: Follower[Tracked] | None = None
        #: how long a target waited because its spool was full; None before a stream was looked at
        self.stream_held_seconds: float | None = None
        # Where tracers wait for their reader: no ports of the service.
        self.stream_ports: set[int] = set()
        if self.traces or options.traced_window_seconds is not None:
            self.follower = Follower()
        self.stopping = False
        #: live bytes of the snapshot taken last; None before the first
        self.live_bytes: int | None = None

    @property
    def traces(self) -> bool:
        """Whether this pass traces the heap."""
        return self._phase == HEAP_PASS

    def _trace(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps:
        """Let the reader connect: the target's tracer waits for it and starts then."""
        capture = None
        if self._options.keep_capture and self._capture_folder is not None:
            capture = self._capture_folder / f"capture-{tracked.heap_number}.bin"
        try:
            # What a relay that died was draining is lost; what starts now has another.
            if not self._readers or not self._readers[-1].relays:
                self._readers.append(HeapReader(self._spool_folder))
            paths = SourcePaths(
                self._working_folder,
                [tracked.library or ""],
                source_folder=self._source_folder,
                cells=self._options.cells,
            )
            port = int(message["port"])
            self.stream_ports.add(port)
            tracked.heap = self._readers[-1].open(port, self._stacks, paths, capture)
        except (LeaklabError, OSError) as problem:
            self.note_untraced(tracked, str(problem))
            yield ("stop",)
            return
        yield GO

    def _traced(self, tracked: Tracked) -> Steps:
        why = None
        if tracked.heap is None:
            why = "nobody reads the stream"
        else:
            try:
                if tracked.heap.connect(CONNECT_SECONDS) is None:
                    # A port that was free a moment ago may be one that somebody keeps trying.
                    why = "somebody else has connected to its stream"
                    tracked.stolen_stream_count += 1
                    if tracked.stolen_stream_count < STREAM_TRIES:
                        self.let_go(tracked)
                        yield AGAIN
                        return
            except LeaklabError as problem:
                why = str(problem)
        if why is None:
            tracked.traced = True
            if tracked.heap is not None and self.follower is not None:
                self.follower.begin(tracked, tracked.heap)
            if tracked.windows is not None:
                tracked.windows.opened(self._clock())
            if tracked.window_seconds is not None:
                tracked.window_end_seconds = self._clock() + tracked.window_seconds
            yield GO
            return
        if tracked.heap is not None:
            self.let_go(tracked)
            self.note_untraced(tracked, why)
        elif tracked.note is None:
            self.note_untraced(tracked, why)
        yield ("stop",)

    def _untraced(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps:
        self.let_go(tracked)
        self.note_untraced(tracked, str(message.get("why")))
        yield GO

    def note_untraced(self, tracked: Tracked, why: str) -> None:
        """Say in the run why the heap of a process is not, or no longer, recorded."""
        tracked.note = f"heap not traced: {why}"
        self._writer.event(
            "untraced",
            tracked.note,
            time_seconds=self._clock(),
            process=tracked.heap_number,
            **{"pass": self._phase},
        )

    def _last_word(self, tracked: Tracked, now: float) -> tuple[str, ...]:
        """Say what the probe is to do now: go on, or begin or end to trace for a while."""
        if self.stopping or tracked.exiting:
            return GO
        if tracked.trace_later:
            old = now - tracked.started_seconds >= SHORT_SECONDS
            tracked.trace_later = not (old or tracked.reported_mark_count)
            return GO if tracked.trace_later else TRACE
        if tracked.windows is not None:
            if tracked.windows.closes(now):
                return UNTRACE if tracked.traced else GO
            return TRACE if tracked.windows.opens(now) and not tracked.note else GO
        if tracked.traced:
            over = tracked.window_end_seconds is not None and now >= tracked.window_end_seconds
            return UNTRACE if over else GO
        return TRACE if tracked.awaits_window else GO

    def _snapshot(
        self,
        tracked: Tracked,
        now: float,
        mark: int | None,
        quiescent: bool,
        collected_seconds: float,
    ) -> Steps:
        """Take an exact snapshot of a process that talks to us; ends in ``go``.

        The collection right before it, ``collected_seconds``, is part of what it costs. Without
        marks it is the probe's own thread that waits, and only what that works counts.
        """
        tracked.barrier_count += 1
        begun = time.monotonic()
        # A marker that nobody tells from the target's own blocks has always the same size.
        done = yield ("barrier", str(0 if tracked.lines_lost else tracked.barrier_count))
        place = self._place(tracked, done.get("position"))
        if place is None:  # the stream was lost meanwhile
            yield GO
            return
        held_seconds = time.monotonic() - begun
        if tracked.windows is not None:
            tracked.windows.looked(now, mark)
        last_word = self._last_word(tracked, now)
        yield last_word
        worked_seconds = held_seconds if mark is not None else float(done.get("seconds") or 0.0)
        _spent(tracked, now, mark, worked_seconds + collected_seconds)
        number = tracked.barrier_count
        self._follow(tracked, place, number, now, mark, quiescent, held_seconds)
        if last_word == UNTRACE:
            tracked.traced = False
            self.let_go(tracked)

    def _place(self, tracked: Tracked, position: object = None) -> int | None:
        """Note where the stream of a process is by now; None when it is lost."""
        if tracked.heap is None:
            return None
        try:
            return tracked.heap.place(position if isinstance(position, int) else None)
        except LeaklabError as problem:
            self._lose(tracked, tracked.heap, str(problem))
            return None

    def _follow(
        self,
        tracked: Tracked,
        place: int,
        barrier_number: int | None,
        now: float,
        mark: int | None,
        quiescent: bool,
        held_seconds: float,
    ) -> None:
        """Have a snapshot taken where the stream of a process was at ``now``."""
        tracked.last_snapshot_seconds = now
        if tracked.heap is None or self.follower is None:
            return
        x, expected, walks = tracked.looked_seconds(now), None, tracked.looks.idle_walks
        if mark is not None:
            x, expected = float(mark), self._expected_mark_counts.get(tracked.role)
            walks = tracked.looks.walks
        self.follower.take(
            tracked,
            None if tracked.windows is not None else walks,
            Place(
                tracked.heap, place, barrier_number, mark, now, x, expected, quiescent, held_seconds
            ),
        )

    def _lose(self, tracked: Tracked, stream: HeapStream, why: str) -> None:
        """Say that a stream can be read no more; only once."""
        if tracked.heap is stream:
            self.let_go(tracked)
        self.note_untraced(tracked, why)

    def let_go(self, tracked: Tracked) -> None:
        """Read no more of the stream of a process than what was asked for by now."""
        stream, tracked.heap = tracked.heap, None
        if stream is not None and self.follower is not None:
            self.follower.end(tracked, stream)

    def snapshot_due(
        self, tracked: Tracked, now: float, *, at_mark: bool, at_tick: bool = False
    ) -> bool:
        """Return whether the heap of a process should be looked at now."""
        if tracked.heap is None or not tracked.traced or not tracked.heap.active:
            return False
        if tracked.windows is not None:
            return (at_mark or at_tick) and tracked.windows.snapshot_due(now)
        if tracked.window_end_seconds is not None and now >= tracked.window_end_seconds:
            return True
        if at_mark:
            expected = self._expected_mark_counts.get(tracked.role)
            return bool(tracked.looks.snapshots.due(now, tracked.mark_count, expected))
        age_seconds = now - tracked.started_seconds
        if age_seconds < IDLE_AFTER_SECONDS or not tracked.is_looked_at_by_time:
            return False
        pacing = tracked.looks.idle_snapshots
        if tracked.ticks and not at_tick:
            missed = now - tracked.last_snapshot_seconds
            if missed < MISSED_TICKS * pacing.step:
                return False
        return bool(pacing.due(now, tracked.looked_seconds(now)))

    def idle_snapshot(self, tracked: Tracked, mark: int | None) -> None:
        """Take a snapshot of a process that does not wait."""
        now = self._clock()
        begun = time.monotonic()
        place = self._place(tracked)
        if place is None:
            return
        held_seconds = time.monotonic() - begun
        _spent(tracked, now, mark, held_seconds)
        self._follow(tracked, place, None, now, mark, False, held_seconds)

    def check_streams(self, processes: Iterable[Tracked]) -> int:
        """Look whether the streams are still read, also where no snapshot is taken.

        Returns how many bytes of them wait to be read.
        """
        limit = self._options.limit_disk_bytes
        room = SPOOL_BYTES if limit is None else max(0, limit - self._writer.size_bytes)
        waiting_bytes = 0
        for reader in self._readers:
            try:
                found = reader.limit(room)
            except LeaklabError:
                continue  # said by who takes a snapshot
            held_seconds = max(self.stream_held_seconds or 0.0, found["held_seconds"])
            self.stream_held_seconds = held_seconds
            waiting_bytes += found["waiting_bytes"]
        if self.follower is not None and not self.follower.behind_count:
            for tracked in processes:
                if tracked.heap is not None and tracked.traced:
                    self.follower.check(tracked, tracked.heap)
        return waiting_bytes

    def store_snapshots(self) -> None:
        """Store the snapshots that were taken by now."""
        if self.follower is None:
            return
        for one in self.follower.taken_in():
            if one.problem is not None:
                self._lose(one.owner, one.stream, one.problem)
            elif one.snapshot is not None and one.place is not None:
                self._store_snapshot(one.owner, one.place, one.snapshot)
            one.owner.looks.keep_up()

    def _store_snapshot(self, tracked: Tracked, place: Place, found: HeapSnapshot) -> None:
        if tracked.windows is not None:
            estimated = tracked.windows.estimated(place, found)
            if estimated is None:
                return
            found = estimated
        self.live_bytes = found.live_bytes
        if found.unmarked and not tracked.lines_lost:
            tracked.lines_lost = True
            self._note_lines_lost(tracked, place)
        snapshot = tracked.snapshot_count
        tracked.snapshot_count += 1
        for table, rows in self._stacks.new_rows().items():
            self._writer.append(table, rows)
        count = len(found.changed)
        self._writer.append(
            "heap",
            {
                "process": [tracked.heap_number] * count,
                "snapshot": [snapshot] * count,
                "stack_id": [row[0] for row in found.changed],
                "live_bytes": [row[1] for row in found.changed],
                "allocation_count": [row[2] for row in found.changed],
            },
        )
        self._writer.append(
            "snapshots",
            {
                "pass": [HEAP_PASS],
                "process": [tracked.heap_number],
                "snapshot": [snapshot],
                "mark": [place.mark],
                "time_seconds": [place.now],
                "live_bytes": [found.live_bytes],
                "allocation_count": [found.allocation_count],
                "stack_count": [found.stack_count],
                "cost_seconds": [place.held_seconds],
                "exact": [found.exact],
                "quiescent": [place.quiescent],
            },
        )

    def _note_lines_lost(self, tracked: Tracked, place: Place) -> None:
        since = "the start" if not tracked.snapshot_count else f"{place.now:.3g} seconds"
        self._writer.event(
            "lines-lost",
            f"from {since} on no line that allocates is known: the target has set or reset a "
            "profile function (sys.setprofile), which ends the tracer's; its heap is judged by its "
            "total",
            time_seconds=place.now,
            process=tracked.heap_number,
            **{"pass": HEAP_PASS},
        )

    def close(self) -> None:
        """End the reading of heaps."""
        for reader in self._readers:
            reader.close()
        if self.follower is not None:
            self.follower.close()


def _spent(tracked: Tracked, now: float, mark: int | None, seconds: float) -> None:
    """Book a snapshot that held the target up for so long, and its collection."""
    if mark is not None:
        tracked.looks.snapshots.spent(seconds, mark, now)
    else:
        tracked.looks.idle_snapshots.spent(seconds, tracked.looked_seconds(now), now)


def how_to_add(tracked: Tracked) -> str:
    """Say which command gives the target's interpreter what tracing its heap needs."""
    return f"add it with: {shlex.quote(tracked.executable or 'python')} -m pip install memray"
