"""What the recorder says to a probe: one handler for each hello, mark and exit.

Each is a generator that yields an answer and is sent the probe's next message. The target waits
between the answers; after ``go`` it runs on, and what is left of the generator costs it nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from leaklab.recorder.graph import GraphDumps
from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.heap.windows import Windows
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.probes.origins import OriginLog
from leaklab.recorder.probes.tracing import (
    IDLE_AFTER_SECONDS,
    Steps,
    TracedHeaps,
    how_to_add,
)
from leaklab.recorder.processes.limits import graph_at_bytes, is_near_limit
from leaklab.recorder.processes.looks import IDLE_SNAPSHOT_SECONDS
from leaklab.recorder.processes.samples import Samples
from leaklab.recorder.processes.table import ProcessTable
from leaklab.recorder.processes.tracked import SHORT_SECONDS, Tracked
from leaklab.recorder.watching import note_lines, watch_file
from leaklab.store import RunWriter

# Object graphs alone are taken far more rarely.
GRAPH_TICK_SECONDS = 0.5


class ProbeHandlers(TracedHeaps):
    """Answers the probes of one pass and stores what comes out of them."""

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
        *,
        table: ProcessTable,
    ) -> None:
        super().__init__(
            options,
            pass_name,
            writer,
            clock,
            stacks,
            working_folder,
            source,
            capture_folder,
            graph_folder,
            expected_mark_counts,
        )
        self._samples = samples
        #: the object graphs of this pass; None where it takes none
        self.graphs: GraphDumps | None = None
        self._ticks = ticks
        self._table = table
        self._copied: set[int] = set()
        self._dumped: dict[str, Tracked] = {}
        if options.takes_graphs(pass_name):
            # Whoever kills a target at its limit may kill the recorder beside it: see left_dumps.
            kept = capture_folder if options.graph_at_share is not None else None
            self.graphs = GraphDumps(pass_name, kept or graph_folder, options.graph_limit_seconds)
        self._watch_file = watch_file(graph_folder, options.watch_containers, options.watch_lines)
        self._origins: OriginLog | None = None
        if self.traces:
            folders = self._working_folder, self._source_folder
            share = options.snapshot_share
            self._origins = OriginLog(pass_name, writer, stacks, *folders, options.cells, share)

    @property
    def copying(self) -> bool:
        """Whether a process is being copied: its children are not the target's then."""
        return bool(self._copied)

    def handle(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps | None:
        """Return the steps that answer ``message``, None for one that needs no answer."""
        kind = message["kind"]
        if kind == "hello":
            return self._on_hello(tracked)
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

    def on_message(self, tracked: Tracked, message: Mapping[str, Any]) -> None:
        """Take in a message that wants no answer; a handler may wait for another one meanwhile."""
        if message["kind"] == "gauges":
            self._samples.told(tracked, self._clock(), _gauges(tracked, message))
        elif message["kind"] == "segment":
            pids = tracked.pid, self._table.main.pid
            self._samples.segments.made(str(message.get("name")), pids)
        elif message["kind"] == "lines":
            note_lines(self._writer, message, self._working_folder)
        elif message["kind"] == "let go":
            self._note_let_go(tracked, message)
        elif message["kind"] == "work-end":
            tracked.main_ended_seconds = self._at(message)
            tracked.asked_to_end = message.get("why") is not None
        elif message["kind"] == "import":
            tracked.imports_seconds.append(self._at(message))

    def _at(self, message: Mapping[str, Any]) -> float:
        """When a message was sent, in seconds of the pass."""
        told = message.get("time")
        late_seconds = time.monotonic() - told if isinstance(told, float) else 0.0
        return self._clock() - max(late_seconds, 0.0)

    def _on_hello(self, tracked: Tracked) -> Steps:
        trace = self.traces and tracked.memray and not tracked.traced
        if self.traces and not tracked.memray:
            self.note_untraced(tracked, f"memray is not installed; {how_to_add(tracked)}")
        if self._origins is not None:
            self._origins.begin(tracked)
        short = self._table.many_short(tracked.role)
        share = self._options.trace_share
        if trace and share is not None:
            tracked.windows = tracked.windows or Windows(share, self._clock())
            trace = False
        tracked.trace_later = trace and short
        tracked.ticks = self._ticks or tracked.trace_later
        tick_seconds = IDLE_SNAPSHOT_SECONDS if self.traces else GRAPH_TICK_SECONDS
        if not self._ticks:
            tick_seconds = SHORT_SECONDS if tracked.trace_later else 0
        yield (
            "options",
            f"ticks={tick_seconds}",
            # Afterwards the marks are the occasion; windows of tracing begin and end between them.
            f"ticks_until_mark={int(self.traces and tracked.windows is None)}",
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

    def _note_let_go(self, tracked: Tracked, message: Mapping[str, Any]) -> None:
        """Say in the run that the probe has gone silent, and why."""
        tracked.note = str(message.get("why"))
        tracked.line_lost_since_seconds = self._clock()
        self._writer.event(
            "let-go",
            tracked.note,
            time_seconds=self._clock(),
            process=tracked.process,
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
            tracked.reported_mark_count += 1
            tracked.looks.mark_step = int(message.get("step") or 1)
            # Threads go on with the work where the main program has only started them. But what was
            # asked to end may still finish what it has begun.
            if not tracked.asked_to_end:
                tracked.main_ended_seconds = None
        elif isinstance(message.get("mark"), int):
            # Lines of output may have counted as marks of their own.
            tracked.mark_count = max(tracked.mark_count, message["mark"])
        tracked.marked_by_both |= message.get("both") is True
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
            collected_seconds = yield from self._collect(tracked, figures, now)
            if not snapshot:
                tracked.looks.collections.spent(collected_seconds, tracked.mark_count, now)
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
        elif tracked.reported_mark_count and self._goes_on_afterwards and not self.stopping:
            yield from self._graph(tracked, tracked.mark_count, now, at_end=True)
        if is_mark and not self.stopping:
            yield from self._look_at_origins(tracked, now, mark)
        if snapshot:
            yield from self._snapshot(tracked, now, mark, quiescent, collected_seconds)
        else:
            yield self._last_word(tracked, now)

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
        at_bytes = graph_at_bytes(self._options, tracked.limits)
        near = is_near_limit(at_bytes, tracked, self._table.alive())
        if not graphs.due(
            number, mark, now, tracked.rss_bytes, expected, at_end=at_end, near_limit=near
        ):
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

    @property
    def _goes_on_afterwards(self) -> bool:
        """Whether the end of the work is not the end of its process: a cell's in its kernel."""
        return self._options.channel is not None

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
        if chosen.role != tracked.role or (over and graphs.count(self._graph_number(chosen)) < 2):
            chosen = self._dumped[tracked.role] = tracked
        return chosen is tracked

    def _tick(self, tracked: Tracked, message: Mapping[str, Any]) -> Steps:
        """Answer the probe's thread in a process without marks: nothing waits but it."""
        if self.stopping:
            yield ("detach",)
            return
        now = self._clock()
        figures = {**message.get("figures", {}), **_gauges(tracked, message)}
        if tracked.imports_seconds:
            tracked.looks.begin_work(tracked.imports_seconds[-1], now)
        snapshot = self.snapshot_due(tracked, now, at_mark=False, at_tick=True)
        collected = False
        collected_seconds = 0.0
        if snapshot and self._collects(tracked, message, now, snapshot):
            done = yield ("collect",)
            # None where the main thread did not come to it: nobody was held up.
            seconds = done.get("collected_seconds")
            collected, collected_seconds = seconds is not None, float(seconds or 0.0)
            figures.update(done.get("figures", {}))
        self._samples.told(tracked, now, figures)
        # What likely ends within a second can hardly leak, and a copy would take longer than it.
        looks = tracked.is_looked_at_by_time
        if looks and not tracked.trace_later:
            yield from self._graph(tracked, None, now, at_end=bool(message.get("at_end")))
        if looks and now - tracked.started_seconds > IDLE_AFTER_SECONDS:
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

    def _collect(
        self, tracked: Tracked, figures: dict[str, Any], now: float
    ) -> Generator[tuple[str, ...], dict[str, Any], float]:
        """Collect garbage and bring the figures up to date; returns the seconds that it took.

        The young alone where nothing is traced and no old garbage is expected, unless the share of
        collections has room for one of everything. (That also frees what the interpreter keeps for
        reuse, which a tracer would see.)
        """
        looks = tracked.looks
        spares = self._phase == "measure" and self._options.collect == "auto"
        everything = not spares or looks.old_garbage.expected()
        everything = everything or looks.collections.within_share(now)
        done = yield ("collect",) if everything else ("collect-young",)
        figures.update(done.get("figures", {}))
        if everything:
            looks.old_garbage.collected(done.get("freed_old"))
        return float(done.get("seconds") or 0.0)

    def close(self) -> None:
        """End the reading of heaps and of object graphs."""
        super().close()
        if self.graphs is not None:
            self.graphs.close()


def _gauges(tracked: Tracked, message: Mapping[str, Any]) -> dict[str, float]:
    """Return the target's gauges and, where they were read, what an audit watches there."""
    found = dict(message.get("gauges") or {})
    changed = message.get("watched")
    if isinstance(changed, dict):
        tracked.watched.update(changed)
        found = {**tracked.watched, **found}
    return {f"gauge:{name}": value for name, value in found.items() if value is not None}
