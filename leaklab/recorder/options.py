"""What to record and within which limits, checked before anything is started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaklab.arguments import check_fields, check_limit
from leaklab.errors import UsageError
from leaklab.recorder.watching import check_watches
from leaklab.store.location import is_local

PASSES = ("measure", "explain", "graph", "trim", "mmap")
GRAPH_PASSES = ("explain", "graph")
#: the kind of the event in run.json where graphs were asked for and cannot be had
NO_GRAPHS = "no object graphs"
GRAPHS = ("fork", "here", "never")
COLLECT = ("auto", "always", "never")
MINIMUM_INTERVAL_SECONDS = 0.001


@dataclass(frozen=True)
class RecordOptions:
    """One recording. Raises UsageError when a value is not allowed.

    command:
        The target: ``["script.py", …]``, ``["-m", "module", …]`` or any program with arguments;
        empty when ``pid`` is given.
    python:
        Interpreter for a script or module; None for the one leaklab runs on.
    passes:
        In the order to run them: "measure" (series alone), "explain" (the heap is traced, and
        object graphs are taken), "graph" (object graphs and series, no tracing: next to no cost);
        and, to try what gives memory back: "trim" (series, malloc_trim(0) called at marks), "mmap"
        (series, MALLOC_MMAP_THRESHOLD_=65536 in the environment).
    after_failure:
        Run the later passes also where the target failed in the first before any work was seen.
    graphs:
        How object graphs are taken at a few marks: "fork" (from a copy of the process), "here"
        (in the target, which waits: where a copy is unsafe), or "never".
    graph_limit_seconds:
        The walk of one object graph is ended after this long.
    interval_seconds:
        Between samples; None adapts (20 ms at first, wider as the run gets longer).
    duration_seconds:
        In each pass the target is stopped after this long, counted from the first mark or from the
        start of the drive, and from the start of the target where neither is to be expected.
    limit_memory_bytes:
        The target is stopped when its processes together hold more than this.
    graph_at_share:
        An object graph of those that hold most is taken once more when all processes together hold
        this share of the smallest limit (``limit_memory_bytes``, control group, the machine's
        memory), or one of them that of its RLIMIT_AS.
    limit_disk_bytes:
        The target is stopped when the run takes more than this on disk.
    watch_files:
        Files whose sizes are recorded, and folders with all files below them, relative to the
        working folder.
    watch_containers:
        Containers to read at marks, each ``GAUGE<tab>FILE<tab>PATH``: the length of what PATH
        names in the module of FILE becomes the gauge.
    watch_lines:
        ``FILE:LINE`` each: whether the line ran is noted in run.json.
    collect:
        "auto": at marks within a small share of the time, of the young garbage alone where nothing
        is traced and one of everything frees no more, unless the target has switched gc off;
        "always": of everything at each told mark; "never".
    mark_on:
        What counts as a mark in a target that has none: "http", "task", "call:MODULE:FUNCTION"
        or "line:REGULAR EXPRESSION".
    drive:
        A command, or a Python file with a ``drive()`` or ``drive(phase)`` function, that puts the
        target under load. It is run ``drive_round_count`` times: once to warm up, then as work;
        then the target is left alone for ``drive_idle_seconds`` and stopped. A server's port is
        in the environment variable LEAKLAB_TARGET_PORT: ``drive_port`` if it is given, else the
        most likely of those the target listens on.
    pid:
        A running process to watch. With "explain" among the passes its heap is traced as well
        where it can be attached to; it is let go at the end.
    channel:
        Path of the socket to listen on, for a process that connects of its own accord instead of
        being attached to; its hanging up ends the recording.
    until_decided:
        Stop each pass once its verdict has held at several looks in a row (local stores only).
    echo:
        Pass the target's output on to this process's stderr while it runs.
    traced_window_seconds:
        In the graph pass: once growth is seen, trace the heap for so long, for the lines that
        allocate. Allocations from before are not seen.
    trace_share:
        In the explain pass the heap is traced for this share of the time only, in windows at random
        places: growth by site is estimated, and the verdict rests on exact counters.
    horizon_seconds:
        How long the program is to run: what counts as bounded must be so for as long.
    expected_mark_count:
        How many units of work the command is known to mark: looks that cost are planned by it.
    cells:
        What a notebook's cells are called, and their text, by the file name they were compiled
        with: those files do not exist.
    stdin:
        "inherit" or "null". A pipe is read ahead of the target and kept for the later passes.
    """

    command: Sequence[str] = ()
    name: str | None = None
    variant: str | None = None
    python: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    passes: Sequence[str] = PASSES[:2]
    after_failure: bool = False
    interval_seconds: float | None = None
    duration_seconds: float | None = None
    limit_memory_bytes: int | None = None
    graph_at_share: float | None = None
    limit_disk_bytes: int | None = None
    watch_files: Sequence[str] = ()
    watch_containers: Sequence[str] = ()
    watch_lines: Sequence[str] = ()
    store: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    collect: str = "auto"
    graphs: str = "fork"
    graph_limit_seconds: float = 60.0
    native: bool = False
    python_allocators: bool = True
    keep_capture: bool = False
    mark_on: Sequence[str] = ()
    mark_share: float = 0.005
    collect_share: float = 0.01
    snapshot_share: float = 0.1
    drive: str | None = None
    drive_round_count: int = 4
    drive_idle_seconds: float = 2.0
    drive_port: int | None = None
    pid: int | None = None
    channel: str | None = None
    echo: bool = False
    stdin: str = "null"
    until_decided: bool = False
    traced_window_seconds: float | None = None
    trace_share: float | None = None
    horizon_seconds: float | None = None
    expected_mark_count: int | None = None
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fingerprint: str | None = None
    recorded_from: Mapping[str, str | None] | None = None
    case: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pid is None and not self.command:
            raise UsageError("nothing to record: no command; give a script, -m module or program")
        if self.pid is not None and self.command:
            raise UsageError(f"two targets: pid {self.pid} and a command; give one of them")
        if self.pid is not None and self.pid <= 0:
            raise UsageError(f"not a process id: {self.pid}; a positive number is needed")
        self._check_choices()
        for name in (
            "duration_seconds",
            "traced_window_seconds",
            "horizon_seconds",
            "limit_memory_bytes",
            "limit_disk_bytes",
            "drive_round_count",
            "expected_mark_count",
            "graph_limit_seconds",
        ):
            check_limit(name, getattr(self, name))
        for name in ("mark_share", "collect_share", "snapshot_share"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise UsageError(f"{name} out of range: {value}; allowed: above 0, up to 1")
        interval = self.interval_seconds
        if interval is not None and not interval >= MINIMUM_INTERVAL_SECONDS:
            raise UsageError(
                f"interval too small: {interval}; at least {MINIMUM_INTERVAL_SECONDS} seconds"
            )
        if self.traced_window_seconds is not None and "graph" not in self.passes:
            raise UsageError(
                f"a traced window without the graph pass: passes {', '.join(self.passes)}; "
                "add graph, or use the explain pass, which traces from the start"
            )
        self._check_trace_share()
        if self.looks and not is_local(self.store or ""):
            raise UsageError(
                f"a run in a remote store cannot be looked at: {self.store}; "
                "use a folder as the store, or --duration"
            )
        check_watches(self.watch_containers, self.watch_lines)
        if self.drive_port is not None and not 0 < self.drive_port < 65536:
            raise UsageError(f"no port: {self.drive_port}; allowed: 1 to 65535")
        if self.drive_port is not None and self.drive is None:
            raise UsageError(f"a port without a drive: {self.drive_port}; add --drive COMMAND")
        if self.graph_at_share is not None and not 0 < self.graph_at_share <= 1:
            raise UsageError(f"graph at a share out of range: {self.graph_at_share}; up to 100%")
        if self.graph_at_share is not None and not any(map(self.takes_graphs, self.passes)):
            raise UsageError(
                f"a last graph without object graphs: passes {', '.join(self.passes)}; add graph"
            )
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise UsageError(f"no such working folder: {self.cwd}; name one that exists")

    @property
    def looks(self) -> bool:
        """Whether the recording looks at its own verdict while it goes on."""
        return self.until_decided or self.traced_window_seconds is not None

    @property
    def passes_run(self) -> tuple[str, ...]:
        """The passes there are, in their order.

        A running process cannot be run again: its series and what else is wanted, heap or object
        graphs, are recorded in one go.
        """
        if self.pid is None:
            return tuple(self.passes)
        return ("graph",) if "graph" in self.passes and "explain" not in self.passes else PASSES[:1]

    @property
    def attaches(self) -> bool:
        """Whether the probe has to be brought into a running process that does not connect."""
        return self.channel is None and bool({"explain", "graph"} & set(self.passes))

    def _check_trace_share(self) -> None:
        if self.trace_share is None:
            return
        if not 0 < self.trace_share < 1:
            raise UsageError(
                f"trace share out of range: {self.trace_share:g}; allowed: above 0, below 1 "
                "(without it, all is traced)"
            )
        conflicts = {
            f"no explain pass: passes {', '.join(self.passes)}": "explain" not in self.passes,
            f"a running process: pid {self.pid}": self.pid is not None,
            "a cell or process that connects by itself": self.channel is not None,
            "keep_capture, one file of the whole run": self.keep_capture,
            "until_decided, which looks at the heap": self.until_decided,
            "a traced window": self.traced_window_seconds is not None,
        }
        for what, present in conflicts.items():
            if present:
                raise UsageError(
                    f"a share of tracing and {what}; a command of its own, traced for a share of "
                    "its explain pass, is allowed"
                )

    def _check_choices(self) -> None:
        if not self.passes:
            raise UsageError(f"no pass to run; allowed: {', '.join(PASSES)}")
        for name in self.passes:
            if name not in PASSES:
                raise UsageError(f"unknown pass: {name}; allowed: {', '.join(PASSES)}")
        if len(set(self.passes)) != len(self.passes):
            raise UsageError(f"a pass is named twice: {', '.join(self.passes)}; name each once")
        if self.collect not in COLLECT:
            raise UsageError(f"unknown collect: {self.collect}; allowed: {', '.join(COLLECT)}")
        if self.graphs not in GRAPHS:
            raise UsageError(f"unknown graphs: {self.graphs}; allowed: {', '.join(GRAPHS)}")
        if self.stdin not in ("inherit", "null"):
            raise UsageError(f"unknown stdin: {self.stdin}; allowed: inherit, null")
        for source in self.mark_on:
            check_mark_source(source)

    def takes_graphs(self, pass_name: str) -> bool:
        """Whether object graphs are taken in this pass."""
        return pass_name in GRAPH_PASSES and self.graphs != "never"

    @property
    def hooks(self) -> tuple[str, ...]:
        """The parts of ``mark_on`` that the probe carries out."""
        return tuple(source.removeprefix("call:") for source in self.mark_on if not is_line(source))

    @property
    def line_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The parts of ``mark_on`` that the recorder looks for in the target's output."""
        return tuple(
            re.compile(source.removeprefix("line:")) for source in self.mark_on if is_line(source)
        )


def is_line(mark_source: str) -> bool:
    """Return whether a ``mark_on`` value is about lines of output."""
    return mark_source.startswith("line:")


def check_mark_source(source: str) -> None:
    """Raise UsageError unless ``source`` is an allowed ``mark_on`` value."""
    if is_line(source):
        try:
            re.compile(source.removeprefix("line:"))
        except re.error as error:
            raise UsageError(f"not a regular expression: {source[5:]}; {error}") from None
    elif source.startswith("call:"):
        if not re.fullmatch(r"[\w.]+:[\w.]+", source[5:]):
            raise UsageError(f"not MODULE:FUNCTION: {source[5:]}; for example call:app:handle")
    elif source not in ("http", "task"):
        raise UsageError(
            f"unknown mark source: {source}; allowed: http, task, call:MODULE:FUNCTION, "
            "line:REGULAR EXPRESSION"
        )
