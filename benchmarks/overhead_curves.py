"""What recording costs by marks, threads and live blocks, and what each process of it takes."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from overhead import (
    BARE,
    DENSE_MARK_COUNT,
    MEMRAY,
    PYTHON,
    UNITS,
    WORKLOADS,
    execute,
    leaklab,
    median_ratio,
    script,
)

from leaklab.store import open_run

MARK_COUNTS = (100, 1_000, 10_000)
THREAD_COUNTS = (1, 4, 16)
THREAD_ROUNDS = 16_000
BLOCK_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
BLOCK_MARKS = 60
PROFILED_SECONDS = 5.0
POLL_SECONDS = 0.1


@dataclass
class Taken:
    """Most resident memory (bytes) and processor time (seconds) of one process of a recording."""

    rss_bytes: int = 0
    cpu_seconds: float = 0.0


def _part_of(process: psutil.Process, target: str) -> str | None:
    words = " ".join(process.cmdline())
    for name in ("reader", "relay"):
        if f"{name}.py" in words:
            return name
    if "leaklab record" in words:
        return "recorder"
    return "target" if target in words else None


@contextmanager
def watching(target: str) -> Iterator[dict[str, Taken]]:
    """Watch the processes below this one; ``target``: part of its command line."""
    taken: dict[str, Taken] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    part = _part_of(process, target)
                    if part is None:
                        continue
                    found = taken.setdefault(part, Taken())
                    found.rss_bytes = max(found.rss_bytes, process.memory_info().rss)
                    times = process.cpu_times()
                    found.cpu_seconds = max(found.cpu_seconds, times.user + times.system)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


def profile(folder: Path, rounds: int, work_seconds: float) -> Iterator[str]:
    """Tell where the time of an explain pass goes: whose processor time, and where it waits."""
    yield "| work | of | wall s | CPU s | most resident MiB |"
    yield "|---|---|---|---|---|"
    cases = [(name, round(units * PROFILED_SECONDS)) for name, units in UNITS.items()]
    cases.append(("asyncio_service", DENSE_MARK_COUNT))
    for name, units in cases:
        work = script(name, units)
        label = f"{name.replace('_', ' ')}, {units} marks"
        for how, words in (("bare", BARE.before), ("memray to a file", MEMRAY.before)):
            with watching(f"{name}.py") as taken:
                figures = execute([*words, *work], folder)
            resident = taken.get("target", Taken()).rss_bytes / 2**20
            cells = f"{figures.work_seconds:.1f} | {figures.work_cpu_seconds:.1f} | {resident:.0f}"
            yield f"| {label} | {how} | {cells} |"
        with watching(f"{name}.py") as taken:
            figures = execute([*leaklab("--passes", "explain", "--graphs", "never"), *work], folder)
        for part in ("target", "relay", "reader", "recorder"):
            found = taken.get(part, Taken())
            wall = f"{figures.work_seconds:.1f}" if part == "target" else ""
            cells = f"{wall} | {found.cpu_seconds:.1f} | {found.rss_bytes / 2**20:.0f}"
            yield f"| {label} | explain: {part} | {cells} |"
        yield f"| {label} | explain: {_held(folder)} | | | |"


def _held(folder: Path) -> str:
    """Say how long the target of the newest run was held for snapshots, and how many there were."""
    run = open_run(str(max(folder.glob("runs/*/*/*"), key=lambda path: path.stat().st_mtime)))
    seconds = float(run.snapshots["cost_seconds"].sum())
    marks = run.samples[run.samples["mark"].notna()]
    told = marks.groupby(["process", "mark"]).ngroups
    return f"held {seconds:.2f} s for {len(run.snapshots)} snapshots, {told} marks told"


def _ratios(work: Sequence[str], folder: Path, options: Sequence[str]) -> tuple[float, float]:
    bare = execute([*BARE.before, *work], folder).work_seconds
    return bare, execute([*leaklab(*options), *work], folder).work_seconds / bare


def by_marks(folder: Path, rounds: int, work_seconds: float) -> Iterator[str]:
    """Tell the cost by the number of marks of the same kind of work."""
    yield "| marks (asyncio service) | bare s | measure / bare | explain / bare |"
    yield "|---|---|---|---|"
    for count in MARK_COUNTS:
        yield _row(f"{count:,}", script("asyncio_service", count), folder)


def by_threads(folder: Path, rounds: int, work_seconds: float) -> Iterator[str]:
    """Tell the cost by the number of threads that share the same work."""
    yield "| threads | bare s | measure / bare | explain / bare |"
    yield "|---|---|---|---|"
    for count in THREAD_COUNTS:
        yield _row(str(count), script("threads", count, THREAD_ROUNDS), folder)


def _row(label: str, work: Sequence[str], folder: Path) -> str:
    bare, measured = _ratios(work, folder, ("--passes", "measure"))
    _, explained = _ratios(work, folder, ("--passes", "explain", "--graphs", "never"))
    return f"| {label} | {bare:.2f} | {measured:.2f} | {explained:.2f} |"


def by_blocks(folder: Path, rounds: int, work_seconds: float) -> Iterator[str]:
    """Tell cost, longest gap between samples and exactness by the number of live blocks."""
    yield (
        "| live blocks | explain / bare | longest gap between samples | longest hold at a mark "
        "| snapshots, exact | blocks in the last |"
    )
    yield "|---|---|---|---|---|---|"
    for count in BLOCK_COUNTS:
        work = script("live_blocks", count, BLOCK_MARKS)
        options = ("--passes", "explain", "--graphs", "never", "--interval", "0.02")
        _, ratio = _ratios(work, folder, options)
        run = open_run(str(max(folder.glob("runs/*/*/*"), key=lambda path: path.stat().st_mtime)))
        shots = run.snapshots[run.snapshots["mark"].notna()]
        gap, hold, last = longest_gap(run), shots["cost_seconds"].max(), shots.iloc[-1]
        exact = f"{len(shots)}, {int(shots['exact'].sum())}"
        yield (
            f"| {count:,} | {ratio:.2f} | {1000 * gap:.0f} ms | {1000 * hold:.0f} ms | {exact} "
            f"| {int(last['allocation_count']):,} |"
        )


def sampler_against_mprof(folder: Path, rounds: int) -> Iterator[str]:
    """Print the CPU a sampler takes once it runs, per second of sampling."""
    work = script("waiting", 8)
    # With children, as leaklab watches the whole tree at any time.
    mprof = [PYTHON, "-m", "mprof", "run", "-C", "-T", "0.01", "-o", "mprof.dat", PYTHON, *work]
    ours = [*leaklab("--passes", "measure", "--interval", "0.01"), *work]
    pairs = [(_cpu_share(mprof, folder), _cpu_share(ours, folder)) for _ in range(rounds)]
    share = 100 * statistics.median(ours for _, ours in pairs)
    yield (
        f"| sampler's CPU at 10 ms, `mprof run -C` / leaklab ({share:.1f} % of a core) "
        f"| {median_ratio(pairs)} | ≥ 10 |"
    )


def _cpu_share(words: Sequence[str], folder: Path) -> float:
    """Return the share of a core the command's own process takes once its target runs."""
    environment = {**os.environ, "PYTHONPATH": str(WORKLOADS), "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        sampler = psutil.Process(process.pid)
        while not any("waiting.py" in " ".join(child.cmdline()) for child in sampler.children()):
            if process.poll() is not None:
                raise SystemExit(f"no target was started: {' '.join(words)}")
            time.sleep(0.05)
        readings = []
        for pause in (1.0, 5.0):
            time.sleep(pause)
            tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
            nanoseconds = sum(int(task.read_text().split()[0]) for task in tasks)
            readings.append((time.monotonic(), nanoseconds / 1e9))
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {' '.join(words)}")
    (first, cpu_first), (last, cpu_last) = readings
    return (cpu_last - cpu_first) / (last - first)


def longest_gap(run: object) -> float:
    """Return the longest time between two samples of the main process, in seconds."""
    samples = run.samples  # type: ignore[attr-defined]
    times = np.unique(samples.loc[samples["name"] == "rss_bytes", "time_seconds"].to_numpy())
    return float(np.diff(times).max()) if len(times) > 1 else float("nan")


PARTS: dict[str, Callable[[Path, int, float], Iterator[str]]] = {
    "profile": profile,
    "marks": by_marks,
    "threads": by_threads,
    "blocks": by_blocks,
}
