"""What recording costs, beside memray, mprof, tracemalloc and Scalene, as ratios within one run.

Every comparison alternates its commands (A B A B …) and takes the median of the ratios of each
round, because the machine's speed drifts. The workloads report their own seconds, so that a
program's start-up is not counted as its work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

WORKLOADS = Path(__file__).with_name("workloads")
PYTHON = sys.executable
TIMEOUT_SECONDS = 900
# Seconds of work for the bare program, unless others are asked for: what is spent whatever the
# length (a second of marks) must not stand for the share.
WORK_SECONDS = 20.0
# A tool is run again on a workload while its runs there stay below so many times the bare program's
# in all: the slowest take minutes, and so have one figure instead of a median and a range.
CELL_SHARE = 10.0
# tracemalloc with 25 frames makes minutes of the two seconds of an asyncio service.
RUN_LIMIT_SHARE = 30.0
# The workloads' units in a second of the bare program.
UNITS = {"web_service": 2_000, "pandas_job": 850, "asyncio_service": 1_400}
DENSE_MARK_COUNT = 3_000
WARM_UP_UNITS = 100


class FailedError(Exception):
    """A command ended without figures; the text says how, its last line in one line."""


@dataclass(frozen=True)
class Figures:
    """One execution: of the whole command, and of the work inside it."""

    wall_seconds: float
    cpu_seconds: float
    work_seconds: float
    work_cpu_seconds: float
    after_work_seconds: float


@dataclass(frozen=True)
class Tool:
    """A way to run a workload: the command's words before the script's own."""

    label: str
    before: tuple[str, ...]


def leaklab(*options: str) -> tuple[str, ...]:
    """Return the command that records with these options."""
    return (PYTHON, "-m", "leaklab", "record", "--store", "runs", *options, "--")


BARE = Tool("bare", (PYTHON,))
MEMRAY = Tool(
    "memray to a file",
    (PYTHON, "-m", "memray", "run", "-q", "--trace-python-allocators", "-f", "-o", "memray.bin"),
)
TOOLS = (
    Tool("leaklab measure", leaklab("--passes", "measure")),
    Tool("leaklab measure, 100 Hz", leaklab("--passes", "measure", "--interval", "0.01")),
    Tool(
        "leaklab measure, --collect always", leaklab("--passes", "measure", "--collect", "always")
    ),
    Tool("leaklab explain", leaklab("--passes", "explain")),
    Tool("leaklab explain --native", leaklab("--passes", "explain", "--native")),
    Tool("leaklab explain --keep-capture", leaklab("--passes", "explain", "--keep-capture")),
    Tool("leaklab measure,graph", leaklab("--passes", "measure,graph")),
    MEMRAY,
    Tool("tracemalloc, 1 frame", (PYTHON, "-X", "tracemalloc=1")),
    Tool("tracemalloc, 25 frames", (PYTHON, "-X", "tracemalloc=25")),
    Tool("Scalene", (PYTHON, "-m", "scalene", "run", "--outfile", "scalene.json")),
)


def execute(words: Sequence[str], folder: Path) -> Figures:
    """Run one command to its end and return its figures; a failure ends the benchmark."""
    try:
        return attempt(words, folder)
    except FailedError as failure:
        tail = (folder / "errors.txt").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{failure}: {' '.join(words)}\n{tail}") from None


def attempt(words: Sequence[str], folder: Path, limit_seconds: float = TIMEOUT_SECONDS) -> Figures:
    """Run one command to its end and return its figures; raises FailedError."""
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "BENCHMARK_FIGURES": str(figures),
        "PYTHONPATH": str(WORKLOADS),
        "PYTHONWARNINGS": "ignore",
    }
    errors = folder / "errors.txt"
    begun = time.perf_counter()
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        watchdog = _kill_after(process.pid, limit_seconds)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:  # its own session does not hear of
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            watchdog()
    wall, ended = time.perf_counter() - begun, time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == -signal.SIGKILL and wall >= limit_seconds:
        raise FailedError(f"over {limit_seconds:g} s")
    if process.returncode or not figures.exists():
        lines = errors.read_text(errors="replace").strip().splitlines() or ["no output"]
        raise FailedError(f"exit status {process.returncode} after {wall:.0f} s: {lines[-1]}")
    work = json.loads(figures.read_text())
    return Figures(
        wall_seconds=wall,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        work_seconds=work["work_seconds"],
        work_cpu_seconds=work["cpu_seconds"],
        after_work_seconds=ended - work["ended"],
    )


def _kill_after(pid: int, seconds: float) -> Callable[[], None]:
    import threading

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    return timer.cancel


def alternate(
    commands: Sequence[Sequence[str]], folder: Path, rounds: int
) -> list[tuple[Figures, ...]]:
    """Run the commands in turn, ``rounds`` times after one round that does not count."""
    found = []
    for number in range(rounds + 1):
        figures = tuple(execute(words, folder) for words in commands)
        if number:
            found.append(figures)
    return found


def script(name: str, *arguments: object) -> list[str]:
    """Return the words that start a workload, after its interpreter or tool."""
    return [str(WORKLOADS / f"{name}.py"), *map(str, arguments)]


def median_ratio(pairs: Sequence[tuple[float, float]]) -> str:
    """Return the median of a/b over the rounds, with its range."""
    ratios = [a / b for a, b in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def explain_against_memray(folder: Path, rounds: int, iterations: int) -> None:
    """Print the wall time of the explain pass against a memray capture, and the time to answer."""
    work = script("allocation_heavy", iterations)
    pairs = alternate(
        [[*leaklab("--passes", "explain"), *work], [*MEMRAY.before, *work]], folder, rounds
    )
    ratio = median_ratio([(ours.work_seconds, theirs.work_seconds) for ours, theirs in pairs])
    print(f"| explain pass, the target's seconds / `memray run` to a file | {ratio} | ≤ 1 |")
    answers = []
    for _ in range(rounds):
        ours = execute([*_record_and_judge(), *work], folder)
        theirs = execute([*_memray_and_table(), *work], folder)
        answers.append((theirs.after_work_seconds, ours.after_work_seconds))
    shown = median_ratio(answers)
    seconds = statistics.median(ours for _, ours in answers)
    print(
        f"| from the target's end to the answer, `memray run` + `memray table --leaks` / leaklab "
        f"({seconds:.1f} s) | {shown} | ≥ 10 |"
    )


def workloads_against_memray(folder: Path, rounds: int, work_seconds: float) -> None:
    """Print what the explain pass costs where memray writes a file, by seconds and by CPU.

    A target's own CPU seconds say what it pays itself also where others use the machine.
    """
    sizes = {name: round(units * work_seconds) for name, units in UNITS.items()}
    cases = [(name, units, name.replace("_", " ")) for name, units in sizes.items()]
    cases.append(("asyncio_service", DENSE_MARK_COUNT, f"a service of {DENSE_MARK_COUNT} marks"))
    for name, units, label in cases:
        work = script(name, units)
        found = alternate(
            [[*leaklab("--passes", "explain"), *work], [*MEMRAY.before, *work]], folder, rounds
        )
        for what, figure in (("seconds", "work_seconds"), ("CPU seconds", "work_cpu_seconds")):
            ratio = median_ratio([(getattr(o, figure), getattr(m, figure)) for o, m in found])
            row = f"{label}: explain pass, the target's {what} / `memray run` to a file"
            print(f"| {row} | {ratio} | ≤ 1.10 |", flush=True)


def _record_and_judge() -> list[str]:
    code = (
        "import sys, leaklab as ll\n"
        "how = {'passes': ('explain',), 'store': 'runs', 'fresh': True}\n"
        "run = ll.record(sys.argv[1], sys.argv[2:], **how)\n"
        "assert run.verdict().verdict == 'leak', run.verdict()\n"
        "assert run.suspects()['function'].iloc[0] == 'build'"
    )
    return [PYTHON, "-c", code]


def _memray_and_table() -> list[str]:
    memray = f"{PYTHON} -m memray"
    run = f'{memray} run -q --trace-python-allocators -f -o table.bin "$@"'
    table = f"{memray} table --leaks -f -o table.html table.bin"
    return ["sh", "-c", f"{run} && {table}", "sh"]


def sampler_against_mprof(folder: Path, rounds: int) -> None:
    """Print the CPU a sampler takes once it runs, per second of sampling."""
    work = script("waiting", 8)
    # With children, as leaklab watches the whole tree at any time.
    mprof = [PYTHON, "-m", "mprof", "run", "-C", "-T", "0.01", "-o", "mprof.dat", PYTHON, *work]
    ours = [*leaklab("--passes", "measure", "--interval", "0.01"), *work]
    pairs = [(_cpu_share(mprof, folder), _cpu_share(ours, folder)) for _ in range(rounds)]
    share = 100 * statistics.median(ours for _, ours in pairs)
    print(
        f"| sampler's CPU at 10 ms, `mprof run -C` / leaklab ({share:.1f} % of a core) "
        f"| {median_ratio(pairs)} | ≥ 10 |",
        flush=True,
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


def measure_against_bare(folder: Path, rounds: int) -> None:
    """Print what the measure pass costs a computing target: sampled only, and with marks."""
    ours = leaklab("--passes", "measure", "--interval", "0.01")
    for iterations, marked, label in (
        (1_000, "unmarked", "measure pass at 100 Hz"),
        (1_000, "marked", "the same, with a mark after every 100,000 turns of a loop"),
    ):
        work = script("computing", iterations, marked)
        found = alternate([[*ours, *work], [PYTHON, *work]], folder, rounds)
        ratio = median_ratio([(one.work_seconds, bare.work_seconds) for one, bare in found])
        print(f"| {label}, the target's seconds / bare | {ratio} | ≤ 1.02 |", flush=True)


def workload_table(folder: Path, rounds: int, work_seconds: float) -> None:
    """Print the overhead of every pass and option on three real workloads."""
    rows: dict[str, list[str]] = {tool.label: [] for tool in TOOLS}
    for name in UNITS:
        for label, cell in workload_cells(name, work_seconds, folder, rounds).items():
            rows[label].append(cell)
    print(f"\n| the work's seconds / bare | {' | '.join(UNITS)} |".replace("_", " "))
    print(f"|---|{'---|' * len(UNITS)}")
    for label, cells in rows.items():
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


def workload_cells(name: str, work_seconds: float, folder: Path, rounds: int) -> dict[str, str]:
    """Return the ratio of every tool on one workload, or why there is none."""
    units = round(UNITS[name] * work_seconds)
    # Fills caches. The tools need no such run: their start-up is not counted.
    execute([*BARE.before, *script(name, WARM_UP_UNITS)], folder)
    failures: dict[str, str] = {}
    pairs: dict[str, list[tuple[float, float]]] = {tool.label: [] for tool in TOOLS}
    spent_seconds = dict.fromkeys(pairs, 0.0)
    for _ in range(rounds):
        bare = execute([*BARE.before, *script(name, units)], folder)
        for tool in TOOLS:
            # One more takes as long as those before did on average.
            count = len(pairs[tool.label])
            needed_seconds = spent_seconds[tool.label] * (count + 1) / max(1, count)
            if tool.label in failures or needed_seconds > CELL_SHARE * work_seconds:
                continue
            try:
                words = [*tool.before, *script(name, units)]
                figures = attempt(words, folder, RUN_LIMIT_SHARE * work_seconds)
            except FailedError as failure:
                failures[tool.label] = f"none ({str(failure)[:100].replace('|', '/')})"
                continue
            pairs[tool.label].append((figures.work_seconds, bare.work_seconds))
            spent_seconds[tool.label] += figures.wall_seconds
    return {label: failures.get(label) or _cell(found) for label, found in pairs.items()}


def _cell(pairs: Sequence[tuple[float, float]]) -> str:
    return median_ratio(pairs) if len(pairs) > 1 else f"{pairs[0][0] / pairs[0][1]:.2f}"


def main() -> None:
    """Run the comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--iterations", type=int, default=20_000, help="of the allocation-heavy work"
    )
    parser.add_argument(
        "--seconds", type=float, default=WORK_SECONDS, help="of the workloads' work, bare"
    )
    parser.add_argument("--only", choices=("ratios", "memray", "workloads"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leaklab-bench-") as name:
        folder = Path(name)
        if arguments.only != "workloads":
            print("| comparison | median ratio (range) | goal |\n|---|---|---|", flush=True)
        if arguments.only in (None, "memray"):
            workloads_against_memray(folder, arguments.rounds, arguments.seconds)
        if arguments.only in (None, "ratios"):
            explain_against_memray(folder, arguments.rounds, arguments.iterations)
            sampler_against_mprof(folder, arguments.rounds)
            measure_against_bare(folder, arguments.rounds)
        if arguments.only in (None, "workloads"):
            workload_table(folder, arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()
