"""Many recordings: two at a time on this machine, or on a dask cluster.

Each task is a process of its own (`leaklab.jobs.tasks`). One that fails fails alone; what is done
is remembered in the store, so that a batch that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.jobs import fork_server
from leaklab.jobs.tasks import TIME_LIMIT_SECONDS, Journal, RecordingTask, TaskResult, run_task
from leaklab.store import default_store

Progress = Callable[[str], None]
Runner = Callable[..., TaskResult]  # (task, time_limit_seconds)
Job = Callable[[RecordingTask], TaskResult]
Numbered = tuple[int, RecordingTask]
# A worker that dies costs its task one retry; one that takes its workers with it is given up.
RETRY_COUNT = 2
REACH_SECONDS = 10.0  # for a scheduler to answer
CONNECT_SECONDS = 60.0
# How often to look whether there are workers, and how long there may be none.
WORKERS_SECONDS = 10.0
ALONE_SECONDS = 120.0
_SETTINGS = {
    "distributed.scheduler.allowed-failures": RETRY_COUNT,
    # A worker holds one task at a time: what dies with it is that one.
    "distributed.scheduler.worker-saturation": 1.0,
    # On a busy machine a worker takes its time to start.
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:g}s",
    "distributed.deploy.lost-worker-timeout": f"{ALONE_SECONDS:g}s",
}


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended; results in the order of its tasks."""

    results: list[TaskResult] = field(default_factory=list)

    def count(self, state: str) -> int:
        """Tasks that ended as "done", "kept", "skipped" or "failed"."""
        return sum(result.state == state for result in self.results)

    @property
    def unexpected(self) -> list[dict[str, Any]]:
        """Runs that measured other than their case declares."""
        return [
            run for result in self.results for run in result.runs if run["as_expected"] is False
        ]

    def exit_status(self, fail_on: Collection[str] = ()) -> int:
        """1 when a task failed, 3 when a run is what `fail_on` names, else 0."""
        if self.count("failed"):
            return 1
        verdicts = {str(run["verdict"]) for result in self.results for run in result.runs}
        found = verdicts | ({"unexpected"} if self.unexpected else set())
        return 3 if found & set(fail_on) else 0

    def summary(self) -> str:
        """One line: how many of each."""
        counts = [f"{self.count(state)} {state}" for state in ("done", "kept", "skipped", "failed")]
        return f"{len(self.results)} tasks: {', '.join(counts)}"


def run_batch(
    tasks: Sequence[RecordingTask],
    *,
    parallel: int = 2,
    cluster: str | None = None,
    resume: bool = True,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    progress: Progress | None = None,
    run: Runner = run_task,
) -> BatchResult:
    """Run every task, `parallel` at a time, and say how each ended.

    `cluster` is the address of a dask scheduler, or "local" for a cluster of `parallel` workers on
    this machine; without it the tasks run from this process. `resume` leaves out what an earlier
    batch has done, while its runs are in the store. `run` does one task and must not raise. Raises
    LeaklabError when the cluster cannot be reached.
    """
    journals = {task.store: Journal(task.store or default_store()) for task in tasks}
    kept = {
        number: found
        for number, task in enumerate(tasks)
        if resume and (found := journals[task.store].kept(task)) is not None
    }
    waiting = {number: task for number, task in enumerate(tasks) if number not in kept}
    results = dict(kept)
    if kept and progress:
        progress(f"{len(kept)} of {len(tasks)} were done before")
    # Of several repetitions one may be gone: another one's run is not taken for it.
    todo = [
        (number, replace(task, fresh=task.fresh or (resume and journals[task.store].knows(task))))
        for number, task in waiting.items()
    ]
    job = partial(run, time_limit_seconds=time_limit_seconds)
    ended = (
        _in_threads(todo, job, parallel)
        if cluster is None
        else _on_cluster(todo, job, parallel, cluster)
    )
    for number, result in ended:
        results[number] = result
        journals[tasks[number].store].keep(tasks[number], result)
        if progress:
            progress(f"{len(results)}/{len(tasks)} {_line(result)}")
    return BatchResult([results[number] for number in range(len(tasks))])


def _line(result: TaskResult) -> str:
    verdicts = ", ".join(f"{run['variant']} {run['verdict']}" for run in result.runs)
    return f"{result.label}: {result.state} {result.error or verdicts}".rstrip()


def _in_threads(
    todo: Sequence[Numbered], job: Job, parallel: int
) -> Iterator[tuple[int, TaskResult]]:
    """Each thread waits for the process of one task; an interrupt stops those that run."""
    with fork_server.threads_of_calls(parallel, "leaklab-task") as pool:
        futures = {pool.submit(job, task): number for number, task in todo}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _on_cluster(
    todo: Sequence[Numbered], job: Job, parallel: int, cluster: str
) -> Iterator[tuple[int, TaskResult]]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise LeaklabError(
            "dask.distributed is not installed; pip install 'leaklab[cluster]'"
        ) from None

    with dask.config.set(_SETTINGS), ExitStack() as open_:
        local = None
        if cluster == "local":
            local = LocalCluster(n_workers=parallel, threads_per_worker=1, dashboard_address=None)
            open_.callback(local.close)
        try:
            client = Client(local or cluster, timeout=REACH_SECONDS)
        except OSError as error:
            raise LeaklabError(f"no dask scheduler at: {cluster}; {error}") from None
        open_.callback(client.close)
        futures = {client.submit(job, task, pure=False): (number, task) for number, task in todo}
        waiting = list(futures)
        for future in _as_they_end(client, waiting, local, parallel):
            number, task = futures[future]
            try:
                problem = future.exception(timeout=CONNECT_SECONDS)
                result = (
                    future.result(timeout=CONNECT_SECONDS)
                    if problem is None
                    else TaskResult(task.label, "failed", error=_one_line(problem))
                )
            except TimeoutError:  # gone with its worker just now: it is being done again
                waiting.append(future)
                continue
            # Else the result stays with its worker, and is lost and redone when that dies.
            future.release()
            del futures[future]
            yield number, result
        for number, task in futures.values():
            yield number, TaskResult(task.label, "failed", error="the cluster has no worker left")


def _as_they_end(client: Any, waiting: list[Any], local: Any, parallel: int) -> Iterator[Any]:
    """Futures of `waiting` as they end, taken out of it; what is put back is waited for again.

    Stops when there has been no worker for long: none will come.
    """
    from distributed import wait

    alone_since: float | None = None
    while waiting:
        try:
            ended = wait(waiting, timeout=WORKERS_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            ended = set()
        waiting[:] = [future for future in waiting if future not in ended]
        yield from ended
        if ended or client.scheduler_info(n_workers=-1)["workers"]:
            alone_since = None
            continue
        if local is not None:
            local.scale(parallel)  # starts those again whose guardian died with them
        alone_since = alone_since or time.monotonic()
        if time.monotonic() - alone_since > ALONE_SECONDS:
            return


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no reason given'}"
