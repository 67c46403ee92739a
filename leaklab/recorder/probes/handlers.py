"""What the recorder says to a probe: one conversation for each hello, mark and exit.

Each is a generator that yields an answer and is sent the probe's next message. The target waits
between the answers; after ``go`` it runs on, and what is left of the generator costs it nothing.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.recorder.graph import GraphDumps
from leaklab.recorder.heap.follower import Follower, Place
from leaklab.recorder.heap.stacks import SourcePaths, StackTable
from leaklab.recorder.heap.stream import CONNECT_SECONDS, HeapReader, HeapSnapshot, HeapStream
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.probes.origins import OriginLog
from leaklab.recorder.processes.limits import graph_at_bytes
from leaklab.recorder.processes.looks import IDLE_SNAPSHOT_SECONDS
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import SHORT_SECONDS, Tracked
from leaklab.recorder.watching import note_lines, watch_file
from leaklab.store import RunWriter

Steps = Generator[tuple[str, ...], dict[str, Any], None]
# So much of the streams may wait for the reader, where less was not asked for.
SPOOL_BYTES = 4 << 30
# Snapshots at the probe's calls are exact: from outside only where so many calls were missed.
MISSED_TICKS = 5
# Object graphs alone are taken far more rarely.
GRAPH_TICK_SECONDS = 0.5
# A process that will give marks still imports at this age: thousands of stacks for nothing.
IDLE_AFTER_SECONDS = 1.0
GO = ("go",)
TRACE = ("trace",)
UNTRACE = ("untrace",)
HEAP_PASS = "explain"


class Conversation:
    """Conducts the conversations of one pass and stores what comes out of them."""

    def __init__(
        self,
        options: RecordOptions,
        pass_name: str,
        writer: RunWriter,
        samples: Samples,
        clock: Callable[[], float],
        stacks: StackTable,
        working_folder: str,
        source: Path | None,
        capture_folder: Path | None,
        graph_folder: Path,
        expected_mark_counts: Mapping[str, int],
        ticks: bool = False,
        many_short: Callable[[str], bool] = lambda role: False,
    ) -> None:
        self._options = options
        self._phase = pass_name
        self._writer = writer
        self._samples = samples
        self._clock = clock
        self._stacks = stacks
        self._working_folder = working_folder
        self._source_folder = str(source.resolve().parent) if source else None
        self._capture_folder = capture_folder
        self._readers: list[HeapReader] = []
        #: takes the snapshots; None where the heap is not traced
        self.follower: Follower[Tracked] | None = None
        #: how long a target waited because its spool was full; None before a stream was looked at
        self.stream_held_seconds: float | None = None
        # Where tracers wait for their reader: no ports of the service.
        self.stream_ports: set[int] = set()
        #: the object graphs of this pass; None where it takes none
        self.graphs: GraphDumps | None = None
        self._expected_mark_counts = expected_mark_counts
        self._ticks = ticks
        self._many_short = many_short
        self._copied: set[int] = set()
        self._dumped: dict[str, Tracked] = {}
        if options.takes_graphs(pass_name):
            # Whoever kills a target at its limit may kill the recorder beside it: see left_dumps.
            kept = capture_folder if options.graph_at_share is not None else None
            self.graphs = GraphDumps(
                pass_name,
                kept or graph_folder,
                options.graph_limit_seconds,
                graph_at_bytes(options),
            )
        self._watch_file = watch_file(graph_folder, options.watch_containers, options.watch_lines)
        self._origins: OriginLog | None = None
        self._spool_folder = str(graph_folder)
        if self.traces or options.traced_window_seconds is not None:
            self.follower = Follower()
        if self.traces:
            folders = self._working_folder, self._source_folder
            share = options.snapshot_share
            self._origins = OriginLog(pass_name, writer, stacks, *folders, share)
        self.stopping = False
        #: live bytes of the snapshot taken last; None before the first
        self.live_bytes: int | None = None

    @property
    def copying(self) -> bool:
        """Whether a process is being copied: its children are not the target's then."""
        return bool(self._copied)

    @property
    def traces(self) -> bool:
        """Whether this pass traces the heap."""
        return self._phase == HEAP_PASS

    def begin(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps | None:
        """Return the conversation ``message`` opens, None for one that needs no answer."""
        kind = message["kind"]
        if kind == "hello":
            return self._hello(tracked)
        if kind == "trace":
            return self._trace(tracked, message)
        if kind == "traced":
            return self._traced(tracked)
        if kind == "untraced":
            return self._untraced(tracked, message)
        if kind in ("mark", "exit"):
            return self._mark(tracked, message)
        if kind == "tick":
            return self._tick(tracked, message)
        return None

    def hear(self, tracked: Tracked, message: Mapping[str, Any]) -> None:
        """Take in a message that wants no answer; another conversation may go on meanwhile."""
        if message["kind"] == "gauges":
            self._samples.told(tracked, self._clock(), _gauges(tracked, message))
        elif message["kind"] == "lines":
            note_lines(self._writer, message, self._working_folder)
        elif message["kind"] == "let go":
            self._note_let_go(tracked, message)
        elif message["kind"] == "work-end":
            told = message.get("time")
            late_seconds = time.monotonic() - told if isinstance(told, float) else 0.0
            tracked.main_ended_seconds = self._clock() - max(late_seconds, 0.0)
            tracked.asked_to_end = message.get("why") is not None

    def _hello(self, tracked: Tracked) -> Steps:
        trace = self.traces and tracked.memray and not tracked.traced
        if self.traces and not tracked.memray:
            self.note_untraced(tracked, f"memray is not installed; {how_to_add(tracked)}")
        if self._origins is not None:
            self._origins.begin(tracked)
        short = self._many_short(tracked.role)
        tracked.trace_later = trace and short
        tracked.ticks = self._ticks or tracked.trace_later
        tick_seconds = IDLE_SNAPSHOT_SECONDS if self.traces else GRAPH_TICK_SECONDS
        if not self._ticks:
            tick_seconds = SHORT_SECONDS if tracked.trace_later else 0
        yield (
            "options",
            f"ticks={tick_seconds}",
            f"trace={int(trace and not tracked.trace_later)}",
            # What an audit watches is read from the first mark on.
            f"later={int(short and self._watch_file is None)}",
            f"native={int(self._options.native)}",
            f"python_allocators={int(self._options.python_allocators)}",
            f"mark_share={self._options.mark_share}",
            f"hooks={','.join(self._options.hooks)}",
            f"graphs={self._options.graphs if self.graphs is not None else 0}",
            f"watch={self._watch_file or ''}",
            f"origins={int(self._origins is not None and self._origins.expects(tracked))}",
        )

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
        if self.follower is not None:
            self.follower.begin(tracked, tracked.heap)
        yield GO

    def _traced(self, tracked: Tracked) -> Steps:
        why = None
        if tracked.heap is None:
            why = "nobody reads the stream"
        else:
            try:
                if tracked.heap.connect(CONNECT_SECONDS) is None:
                    why = "somebody else has connected to its stream"
            except LeaklabError as problem:
                why = str(problem)
        if why is None:
            tracked.traced = True
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

    def _note_let_go(self, tracked: Tracked, message: Mapping[str, Any]) -> None:
        """Say in the run that the probe has gone silent, and why."""
        tracked.note = str(message.get("why"))
        self._writer.event(
            "let-go",
            tracked.note,
            time_seconds=self._clock(),
            process=tracked.process,
            **{"pass": self._phase},
        )

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

    def _mark(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps:
        now = self._clock()
        is_mark = message["kind"] == "mark"
        # What comes after is the end of the interpreter, not the work of the target. Nor is the
        # heap now that of the last mark: the locals of its functions are gone, and what it kept
        # in them. So where marks were told, no snapshot is taken that would stand for one.
        tracked.exiting = not is_mark
        mark = int(message["mark"]) if is_mark else None
        if is_mark:
            tracked.mark_count = int(message["mark"])
            tracked.told_mark_count += 1
            tracked.looks.mark_step = int(message.get("step") or 1)
            # Threads go on with the work where the main program has only started them. But what was
            # asked to end may still finish what it has begun.
            if not tracked.asked_to_end:
                tracked.main_ended_seconds = None
        elif isinstance(message.get("mark"), int):
            # Lines of output may have counted as marks of their own.
            tracked.mark_count = max(tracked.mark_count, message["mark"])
        self._samples.labelled(tracked, now, mark, message.get("labels"))
        at_once = message.get("at_once")
        tracked.units_at_once = at_once if isinstance(at_once, int) and at_once > 0 else None
        figures = {**message.get("figures", {}), **_gauges(tracked, message)}
        snapshot = not self.stopping and self.snapshot_due(tracked, now, at_mark=is_mark)
        quiescent = False
        collected_seconds = 0.0
        if self._phase == "trim":
            trimmed = yield from self._trim(tracked, now, mark)
            quiescent = trimmed is not None
            figures.update(trimmed or {})
        elif is_mark and self._collects(tracked, message, now, snapshot):
            done = yield ("collect",)
            collected_seconds = float(done.get("seconds") or 0.0)
            if not snapshot:
                tracked.looks.collections.spent(collected_seconds, tracked.mark_count, now)
            figures.update(done.get("figures", {}))
            quiescent = True
        self._samples.at_mark(
            tracked,
            now,
            mark=mark,
            quiescent=quiescent,
            figures=figures,
            reset_peak=self._options.pid is None,
        )
        if mark is not None and not self.stopping:
            yield from self._graph(tracked, mark, now)
        if is_mark and not self.stopping:
            yield from self._look_at_origins(tracked, now, mark)
        if snapshot:
            yield from self._snapshot(tracked, now, mark, quiescent, collected_seconds)
        else:
            yield self._last_word(tracked, now)

    def _last_word(self, tracked: Tracked, now: float) -> tuple[str, ...]:
        """Say what the probe is to do now: go on, or begin or end to trace for a while."""
        end_seconds = tracked.window_end_seconds
        if self.stopping or tracked.exiting:
            return GO
        if tracked.trace_later:
            old = now - tracked.started_seconds >= SHORT_SECONDS
            tracked.trace_later = not (old or tracked.told_mark_count)
            return GO if tracked.trace_later else TRACE
        if end_seconds is None:
            return GO
        if now >= end_seconds:
            return UNTRACE if tracked.traced else GO
        return GO if tracked.traced or tracked.note else TRACE

    def _snapshot(
        self,
        tracked: Tracked,
        now: float,
        mark: int | None,
        quiescent: bool,
        collected_seconds: float,
    ) -> Steps:
        """Take an exact snapshot of a process that talks to us; ends in ``go``.

        The collection right before it, ``collected_seconds``, is part of what it costs.
        """
        tracked.barrier_count += 1
        begun = time.monotonic()
        done = yield ("barrier", str(tracked.barrier_count))
        place = self._place(tracked, done.get("position"))
        if place is None:  # the stream was lost meanwhile
            yield GO
            return
        held_seconds = time.monotonic() - begun
        last_word = self._last_word(tracked, now)
        yield last_word
        _spent(tracked, now, mark, held_seconds + collected_seconds)
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
        x, expected = now - tracked.started_seconds, None
        if mark is not None:
            x, expected = float(mark), self._expected_mark_counts.get(tracked.role)
        self.follower.take(
            tracked,
            tracked.looks,
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

    def _graph(
        self, tracked: Tracked, mark: int | None, now: float, *, at_end: bool = False
    ) -> Steps:
        """Let the target write its object graph, when one is due; ``mark`` where there are any.

        ``at_end``: this is the last moment of the work.
        """
        graphs = self.graphs
        if graphs is None or not self._stands_for_role(tracked, graphs):
            return
        number = self._graph_number(tracked)
        expected = self._expected_mark_counts.get(tracked.role)
        if not graphs.due(number, mark, now, tracked.rss_bytes, expected, at_end=at_end):
            return
        path = graphs.path()
        self._copied.add(tracked.process)
        try:
            done = yield ("graph", str(path), str(graphs.limit_seconds))
        finally:
            self._copied.discard(tracked.process)
        graphs.taken(number, mark, now, path, done)
        if self._options.graph_at_share is not None:
            self._samples.flush()
            self._writer.flush()

    def _graph_number(self, tracked: Tracked) -> int:
        """Return the process number of object graphs: in the graph pass they are not the heap's."""
        return tracked.process if self._phase == "graph" else tracked.heap_number

    def _stands_for_role(self, tracked: Tracked, graphs: GraphDumps) -> bool:
        """Of the processes of a role one is dumped, as one is read (see analysis.retention).

        Another one's turn comes when that has ended too soon for its growth to be seen.
        """
        chosen = self._dumped.setdefault(tracked.role, tracked)
        # Its line ends with it; that it has ended is seen only when one looks.
        over = chosen.ended_seconds is not None or chosen.connection is None
        if over and graphs.count(self._graph_number(chosen)) < 2:
            chosen = self._dumped[tracked.role] = tracked
        return chosen is tracked

    def _tick(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps:
        """Answer the probe's thread in a process without marks: nothing waits but it."""
        if self.stopping:
            yield ("detach",)
            return
        now = self._clock()
        figures = {**message.get("figures", {}), **_gauges(tracked, message)}
        snapshot = self.snapshot_due(tracked, now, at_mark=False, at_tick=True)
        collected = False
        collected_seconds = 0.0
        if snapshot and self._collects(tracked, message, now, snapshot):
            done = yield ("collect",)
            collected = bool(done.get("collected"))
            # Where the main thread did not come to it, nobody was held up.
            collected_seconds = float(done["seconds"]) if collected else 0.0
            figures.update(done.get("figures", {}))
        self._samples.told(tracked, now, figures)
        # What likely ends within a second can hardly leak, and a copy would take longer than it.
        if not tracked.told_mark_count and not tracked.trace_later:
            yield from self._graph(tracked, None, now, at_end=bool(message.get("at_end")))
        if not tracked.told_mark_count and now - tracked.started_seconds > IDLE_AFTER_SECONDS:
            yield from self._look_at_origins(tracked, now, None)
        if snapshot and tracked.heap is not None:
            yield from self._snapshot(tracked, now, None, collected, collected_seconds)
        else:
            yield self._last_word(tracked, now)

    def _look_at_origins(self, tracked: Tracked, now: float, mark: int | None) -> Steps:
        """Ask which call made what is open, when that is due."""
        if self._origins is not None:
            expected = self._expected_mark_counts.get(tracked.role)
            yield from self._origins.look(tracked, now, mark, expected)

    def _trim(
        self, tracked: Tracked, now: float, mark: int | None
    ) -> Generator[tuple[str, ...], dict[str, Any], dict[str, Any] | None]:
        """Let the target give free memory back before its figures are taken, when that is due.

        Returns the figures of its allocator after that; None where it did not give back.
        """
        if mark is None or self.stopping or not tracked.looks.collections.due(now, mark):
            return None
        done = yield ("trim",)
        tracked.looks.collections.spent(float(done.get("seconds") or 0.0), mark, now)
        if "problem" in done:
            tracked.note = f"free memory not given back: {done['problem']}"
            return None
        return dict(done.get("figures", {}))

    def _collects(
        self, tracked: Tracked, message: Mapping[str, Any], now: float, snapshot: bool
    ) -> bool:
        """Say whether to collect garbage right before this look.

        Where the heap is traced, before each snapshot and at no other time: a snapshot must not
        differ from others by how long ago somebody else has collected.
        """
        collect = self._options.collect
        if self.stopping or collect == "never":
            return False
        if collect == "auto" and not message.get("gc_enabled"):
            return False
        if collect == "always" or snapshot:
            return True
        return not tracked.traced and bool(tracked.looks.collections.due(now, tracked.mark_count))

    def snapshot_due(
        self, tracked: Tracked, now: float, *, at_mark: bool, at_tick: bool = False
    ) -> bool:
        """Return whether the heap of a process should be looked at now."""
        if tracked.heap is None or not tracked.traced or not tracked.heap.active:
            return False
        if tracked.window_end_seconds is not None and now >= tracked.window_end_seconds:
            return True
        if at_mark:
            expected = self._expected_mark_counts.get(tracked.role)
            return bool(tracked.looks.snapshots.due(now, tracked.mark_count, expected))
        age_seconds = now - tracked.started_seconds
        if age_seconds < IDLE_AFTER_SECONDS or tracked.told_mark_count:
            return False
        pacing = tracked.looks.idle_snapshots
        if tracked.ticks and not at_tick:
            missed = now - tracked.last_snapshot_seconds
            if missed < MISSED_TICKS * pacing.step:
                return False
        return bool(pacing.due(now, age_seconds))

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
        self.live_bytes = found.live_bytes
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

    def close(self) -> None:
        """End the reading of heaps."""
        for reader in self._readers:
            reader.close()
        if self.follower is not None:
            self.follower.close()
        if self.graphs is not None:
            self.graphs.close()


def _spent(tracked: Tracked, now: float, mark: int | None, seconds: float) -> None:
    """Book a snapshot that held the target up for so long, and its collection."""
    if mark is not None:
        tracked.looks.snapshots.spent(seconds, mark, now)
    else:
        tracked.looks.idle_snapshots.spent(seconds, now - tracked.started_seconds, now)


def how_to_add(tracked: Tracked) -> str:
    """Say which command gives the target's interpreter what tracing its heap needs."""
    return f"add it with: {shlex.quote(tracked.executable or 'python')} -m pip install memray"


def _gauges(tracked: Tracked, message: Mapping[str, Any]) -> dict[str, float]:
    """Return the target's gauges and, where they were read, what an audit watches there."""
    found = dict(message.get("gauges") or {})
    changed = message.get("watched")
    if isinstance(changed, dict):
        tracked.watched.update(changed)
        found = {**tracked.watched, **found}
    return {f"gauge:{name}": value for name, value in found.items() if value is not None}
