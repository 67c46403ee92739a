"""One recording as a job: described by plain values, run in a process of its own.

The process that runs a task is thrown away afterwards, so whatever a target does to it, neither
the batch nor a cluster's worker goes with it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs import fork_server

TIME_LIMIT_SECONDS = 1800.0
# What every recording of a case needs, and what its page is drawn with.
_IMPORTS = (
    "pandas",
    "pyarrow.parquet",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "leaklab.object_graph.tables",
    "leaklab.catalogue.model",
    "leaklab.results.overview",
    "leaklab.recorder.recording",
    "leaklab.report",
)


@dataclass(frozen=True)
class RecordingTask:
    """One recording of a case: a variant, or all of them where `variant` is None."""

    case: str
    variant: str | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    repetition: int = 0
    quick: bool = False
    fresh: bool = False
    store: str | None = None
    pages: str | None = None  # folder for the case's page; None renders none
    notebook: str | None = None  # address of the notebook the page links to

    @property
    def label(self) -> str:
        """What messages call it."""
        parts = [self.case] if self.variant is None else [self.case, self.variant]
        given = ",".join(f"{key}={value}" for key, value in sorted(self.parameters.items()))
        repetition = f" #{self.repetition + 1}" if self.repetition else ""
        return "/".join(parts) + (f" ({given})" if given else "") + repetition

    @property
    def digest(self) -> str:
        """Equal for tasks that record the same; another leaklab records anew."""
        identity = [self.case, self.variant, dict(self.parameters), self.repetition, self.quick]
        text = json.dumps([identity, sources_digest()], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class TaskResult:
    """How a task ended. `runs`: path, name, variant, verdict, reason, as_expected of each."""

    label: str
    state: str  # "done", "failed", "skipped" (cannot run here) or "kept" (done before)
    runs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    duration_seconds: float | None = None


def plan(
    cases: Sequence[str],
    *,
    variants: Sequence[str] = (),
    parameters: Mapping[str, Sequence[Any]] | None = None,
    repetitions: int = 1,
    quick: bool = False,
    store: str | None = None,
) -> list[RecordingTask]:
    """Every combination of case, variant, parameter values and repetition.

    No `cases` means all that can be run, no `variants` all of a case. A parameter applies to the
    cases that have it. Raises UsageError for names nothing has and for values not allowed.
    """
    from leaklab.catalogue.model import case, catalogue

    if repetitions < 1:
        raise UsageError(f"repetitions: {repetitions}; allowed is 1 or more")
    chosen = [case(name) for name in cases] or [c for c in catalogue().values() if c.runnable]
    grid = dict(parameters or {})
    for name in grid:
        if not any(name in one.parameters for one in chosen):
            raise UsageError(f"none of the cases has a parameter: {name}; see leaklab cases")
    for name in variants:
        if not any(name in one.variants for one in chosen):
            raise UsageError(f"none of the cases has a variant: {name}; see leaklab cases")
    tasks = []
    for one in chosen:
        own = {name: values for name, values in grid.items() if name in one.parameters}
        names = [name for name in one.variants if name in variants]
        for variant, values in itertools.product(
            names if variants else one.variants_for(quick=quick), _grid(own)
        ):
            one.values(values)  # refuses before anything starts
            tasks += [
                RecordingTask(one.id, variant, values, number, quick, number > 0, store)
                for number in range(repetitions)
            ]
    return tasks


def _grid(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def run_task(task: RecordingTask, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> TaskResult:
    """Run `task` in a process of its own and wait for it. Never raises for what the task does."""
    outcome = fork_server.call(
        "leaklab.jobs.task_process:run",
        asdict(task),
        imports=_IMPORTS,
        time_limit_seconds=time_limit_seconds,
    )
    if outcome.result is not None:
        return TaskResult(**outcome.result)
    if outcome.timed_out:
        error = outcome.said
    elif outcome.status is not None and outcome.status < 0:
        error = f"signal {-outcome.status}: {outcome.said}"
    else:
        error = f"no result: {outcome.said}"
    return TaskResult(task.label, "failed", error=error)


@cache
def sources_digest() -> str:
    """Of leaklab's own sources and cases: what was recorded by others is not taken for ours."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.toml")]):
        digest.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


class Journal:
    """Which tasks of a store are done: one small file a task, so that any file system will do.

    It says of a run where in the store it is: a store may be moved, and be named otherwise.
    """

    def __init__(self, store: str) -> None:
        from leaklab.store.location import below, filesystem

        self.store = store
        self.filesystem, self.root = filesystem(store)
        self.folder = below(self.root, ".jobs")

    def kept(self, task: RecordingTask) -> TaskResult | None:
        """The result of a task that was done before; None if it was not, or its runs are gone."""
        from leaklab.recordings.locating import whole_run
        from leaklab.store.location import below

        try:
            record = json.loads(self.filesystem.cat_file(self._file(task)))
            result = TaskResult(**{**record, "state": "kept"})
            places = [str(run["path"]) for run in result.runs]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if not all(whole_run(self.filesystem, below(self.root, place)) for place in places):
            return None
        runs = zip(result.runs, places, strict=True)
        return replace(
            result, runs=[{**run, "path": below(self.store, place)} for run, place in runs]
        )

    def knows(self, task: RecordingTask) -> bool:
        """Whether the task was done before, wherever its runs are now."""
        return bool(self.filesystem.exists(self._file(task)))

    def keep(self, task: RecordingTask, result: TaskResult) -> None:
        """Remember a task that is done. Raises LeaklabError when that cannot be written."""
        from leaklab.recordings.locating import place_in_store

        if result.state != "done":
            return
        runs = [{**run, "path": place_in_store(run["path"])} for run in result.runs]
        try:
            self.filesystem.makedirs(self.folder, exist_ok=True)
            self.filesystem.pipe_file(
                self._file(task), json.dumps(asdict(replace(result, runs=runs))).encode()
            )
        except OSError as error:
            raise LeaklabError(f"cannot write to: {self.folder}: {error}") from None

    def _file(self, task: RecordingTask) -> str:
        return f"{self.folder}/{task.digest}.json"
