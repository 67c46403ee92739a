"""Record a run: each pass is the same command once more, into one run folder."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from leaklab.errors import UsageError
from leaklab.recorder.command import Command, resolve, running
from leaklab.recorder.double_marks import DOUBLE, double_text
from leaklab.recorder.drive import drive_command
from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.interruption import Interruption
from leaklab.recorder.options import GRAPH_PASSES, NO_GRAPHS, RecordOptions
from leaklab.recorder.pass_result import PassResult
from leaklab.recorder.pass_state import Decider, Progress, warn
from leaklab.recorder.passes import PassRecorder
from leaklab.recorder.processes.limits import limits_of
from leaklab.recorder.processes.tracked import MAIN
from leaklab.recorder.sources import store_sources
from leaklab.recorder.stdin import Stdin
from leaklab.recorder.unseen_marks import UNSEEN, unseen_text
from leaklab.recorder.watching import watched_meta
from leaklab.scratch import Scratch
from leaklab.store import RunWriter, default_store

DeciderFactory = Callable[[str, float | None], Decider]

# Of the environment only what changes how memory is used; never anything that may be a secret.
_RECORDED_VARIABLES = (
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "PYTHONMALLOC",
    "PYTHONOPTIMIZE",
    "PYTHONHASHSEED",
    "LD_PRELOAD",
)
_RECORDED_PACKAGES = ("memray", "psutil", "pyarrow")


def record_run(
    options: RecordOptions,
    progress: Progress | None = None,
    decider: DeciderFactory | None = None,
) -> str:
    """Record ``options.command`` and return the run's folder, or its URL in a remote store.

    ``progress`` is called a few times a second with a dict: kind ("started", "figures", "note",
    "warning", "ended"), run (its folder), pass, next_pass (the planned one, "" in the last; it may
    turn out to be of no use), mark (units of work of all processes), expected_mark_count (as in
    the options; mark is then of the main role), time_seconds, rss_bytes, live_bytes (None where
    unmeasured), text. A warning has run, pass and text alone.

    ``decider`` makes what looks at the stored run now and then and says when it is decided
    (`leaklab.verdict.deciding.Decider`); options that stop or trace by the verdict need it.

    A run that was interrupted, as by SIGINT, is closed in state "interrupted" and returned.
    Raises LeaklabError when the command cannot be started or the store not written.
    """
    if decider is None and options.looks:
        raise UsageError("no decider given for a recording that stops by its verdict; pass Decider")
    if options.pid is None:
        command = resolve(options.command, options.python, options.cwd)
    else:
        command = running(options.pid)
    if options.drive is not None:
        drive_command(options.drive, options.cwd)
    store = options.store or default_store()
    writer = RunWriter.create(
        store, options.name or command.name, options.variant, _meta(options, command)
    )
    folder = Scratch("run")
    stacks = StackTable()
    state = "incomplete"
    with Interruption() as interruption:
        try:
            state = _run_passes(
                options, command, writer, folder, stacks, progress, interruption, decider
            )
            store_sources(writer, stacks, options.cells)
        finally:
            folder.close()
            writer.close(state)
    return writer.path


# What takes the place of the explain pass where there is no memray: holders, if no lines.
_UNTRACED = "graph"
# What a pass adds to the environment of the target.
_PASS_ENVIRONMENT = {"mmap": {"MALLOC_MMAP_THRESHOLD_": "65536"}}


def _run_passes(
    options: RecordOptions,
    command: Command,
    writer: RunWriter,
    folder: Scratch,
    stacks: StackTable,
    progress: Progress | None,
    interruption: Interruption,
    decider: DeciderFactory | None,
) -> str:
    local = Path(writer.path) if "://" not in writer.path else folder.path
    results: list[PassResult] = []
    progress = _with_next_pass(progress, options)
    with contextlib.closing(Stdin(options, local / "stdin")) as stdin:
        for name in options.passes_run:
            why_not = _why_not(name, results, options)
            if why_not is not None:
                writer.event("skipped", why_not, time_seconds=None, **{"pass": name})
                # Told of the pass before: who hears of this one takes it for begun.
                warn(why_not, results[-1].rows[0]["pass"], writer, progress)
                if not _is_replaced(name, results, options):
                    continue
                name = _UNTRACED
            if stdin.is_lost:
                text = "no room for a copy of the input: this pass has none"
                writer.event("stdin", text, time_seconds=None, **{"pass": name})
            before = list(writer.meta["processes"])
            environment = {**(options.env or {}), **_PASS_ENVIRONMENT.get(name, {})}
            recorder = PassRecorder(
                replace(options, env=environment),
                command,
                name,
                writer,
                folder.path,
                local,
                stacks,
                stdin,
                progress,
                interruption,
                expected_mark_counts=_expected_mark_counts(results, options),
                short_counts=results[-1].short_counts if results else {},
                marks_expected=any(one.reported_mark_counts for one in results),
                listened_seconds=results[-1].listened_seconds if results else None,
                ticks=_ticks(name, results, options),
                decider=decider,
            )
            result = recorder.run()
            results.append(result)
            of_pass = name, results, options, writer
            marks = (*_unseen_marks(*of_pass), *_double_marks(*of_pass))
            for text in (*marks, *_unheard(name, result, options, writer)):
                warn(text, name, writer, progress)
            writer.update(
                passes=[*writer.meta["passes"], *result.rows],
                processes=[*before, *result.processes],
            )
            if interruption.count:
                return "interrupted"
    return "incomplete" if any(result.hung_up for result in results) else "complete"


def _why_not(name: str, results: list[PassResult], options: RecordOptions) -> str | None:
    """Say why a further pass cannot tell anything, from what those before have seen."""
    if not results:
        return None
    status = results[-1].failed_status
    if status and not options.after_failure:
        return (
            f"{name} pass skipped: the target had failed with exit status {status}; "
            f"--passes {','.join(options.passes)} runs it all the same"
        )
    if name != "explain" or results[0].why_no_heap is None:
        return None
    why_not = f"explain pass skipped: {results[0].why_no_heap}"
    if _is_replaced(name, results, options):
        why_not += f"; a {_UNTRACED} pass takes its place, which names holders but no lines"
    return why_not


def _is_replaced(name: str, results: list[PassResult], options: RecordOptions) -> bool:
    """Say whether object graphs are to be had where the heap cannot be traced."""
    failed = results[-1].failed_status and not options.after_failure
    wanted = options.takes_graphs(_UNTRACED) and _UNTRACED not in options.passes_run
    return name == "explain" and not failed and results[0].heard and wanted


def _unseen_marks(
    name: str, results: list[PassResult], options: RecordOptions, writer: RunWriter
) -> Iterator[str]:
    """Yield, after the first pass, that what was to end a unit of work was not seen."""
    marked = any(process["mark_count"] for process in results[-1].processes)
    if len(results) > 1 or marked or not options.mark_on or results[-1].load_failed:
        return
    text = unseen_text(options.mark_on, was_driven=results[-1].was_driven)
    writer.event(UNSEEN, text, time_seconds=None, **{"pass": name})
    yield f"{UNSEEN}: {text}"


def _double_marks(
    name: str, results: list[PassResult], options: RecordOptions, writer: RunWriter
) -> Iterator[str]:
    """Yield, after the first pass, that two have ended units of work, which may be the same."""
    text = double_text(options.mark_on, results[-1].processes)
    if text and len(results) == 1:
        writer.event(DOUBLE, text, time_seconds=None, **{"pass": name})
        yield f"{DOUBLE}: {text}"


def _unheard(
    name: str, result: PassResult, options: RecordOptions, writer: RunWriter
) -> Iterator[str]:
    """Yield that a pass was to look into the target and no Python was seen in it."""
    if result.heard or options.pid is not None or name not in GRAPH_PASSES:
        return
    if name == "explain":
        yield f"heap not traced: {result.why_no_heap}"
        return
    writer.event(NO_GRAPHS, result.why_no_heap or "", time_seconds=None, **{"pass": name})


def _expected_mark_counts(results: list[PassResult], options: RecordOptions) -> dict[str, int]:
    """Return how many marks to expect by role, where the pass before has come to its end."""
    if options.expected_mark_count is not None:
        return {MAIN: options.expected_mark_count}
    if not results or results[-1].rows[0]["stopped_by"] is not None:
        return {}
    return results[-1].reported_mark_counts


def _ticks(name: str, results: list[PassResult], options: RecordOptions) -> bool:
    """Say whether the probe has to call now and then: no marks came before, or nothing did."""
    if options.pid is not None or not (name == "explain" or options.takes_graphs(name)):
        return False
    return not any(result.reported_mark_counts for result in results)


def _meta(options: RecordOptions, command: Command) -> dict[str, Any]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "command": {
            "argv": list(options.command or command.argv),
            "kind": command.kind,
            "python": command.python,
        },
        # Another name than this is that of what was run.
        "name_given": options.name is not None,
        "parameters": dict(options.parameters),
        "options": {
            "passes": list(options.passes),
            "attached": options.pid is not None,
            "interval_seconds": options.interval_seconds,
            "collect": options.collect,
            "native": options.native,
            "python_allocators": options.python_allocators,
            "mark_on": list(options.mark_on),
            "watch_files": list(options.watch_files),
            "drive": options.drive,
            "drive_port": options.drive_port,
            "mark_share": options.mark_share,
            "collect_share": options.collect_share,
            "snapshot_share": options.snapshot_share,
            "trace_share": options.trace_share,
            "graph_at_share": options.graph_at_share,
        },
        "fingerprint": options.fingerprint,
        "recorded_from": dict(options.recorded_from) if options.recorded_from else None,
        "horizon_seconds": options.horizon_seconds,
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpu_count": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "implementation": sys.implementation.name,
        },
        "versions": versions,
        "environment": {
            name: value
            for name in _RECORDED_VARIABLES
            if (value := {**os.environ, **(options.env or {})}.get(name)) is not None
        },
        "limits": _limits(options),
        "case": dict(options.case) if options.case else None,
        "watched": watched_meta(options.watch_containers, options.watch_lines, options.cwd),
    }


def _limits(options: RecordOptions) -> dict[str, float | None]:
    """Return what is known before the target's processes are seen, each of which has its own."""
    own = limits_of(os.getpid() if options.pid is None else options.pid)
    return {
        "duration_seconds": options.duration_seconds,
        "memory_bytes": options.limit_memory_bytes,
        "disk_bytes": options.limit_disk_bytes,
        "cgroup_memory_bytes": own.get("group_memory_bytes"),
        "address_space_bytes": own.get("address_space_bytes"),
    }


def _with_next_pass(progress: Progress | None, options: RecordOptions) -> Progress | None:
    """Return ``progress`` such that its events also say which pass comes next."""
    if progress is None:
        return None
    names = list(options.passes_run)
    following = dict(zip(names, [*names[1:], ""], strict=True))

    def tell(event: dict[str, Any]) -> None:
        progress({**event, "next_pass": following.get(event.get("pass") or "", "")})

    return tell
