"""What recording costs, beside memray, mprof, tracemalloc and Scalene, as ratios within one run.

Every comparison alternates its commands (A B A B …) and takes the median of the ratios of each
round, because the machine's speed drifts. The workloads report their own seconds, so that a
program's start-up is not counted as its work.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

WORKLOADS = Path(__file__).with_name("workloads")
PYTHON = sys.executable
TIMEOUT_SECONDS = 900
# Seconds of work for the bare program, unless others are asked for: what is spent whatever the
# length (a second of marks) must not stand for the share.
WORK_SECONDS = 20.0
# What takes longer than so many times the bare program is ended.
RUN_LIMIT_SHARE = 15.0
# The workloads' units in a second of the bare program.
UNITS = {"web_service": 2_000, "pandas_job": 850, "asyncio_service": 1_400}
DENSE_MARK_COUNT = 3_000
WARM_UP_UNITS = 100
# Executions of a loop to a round, for one to be in a good place (see `fastest_ratio`).
PLACES = 4
# Some five seconds of work.
COMPUTING_UNITS = 1_250


class FailedError(Exception):
    """A command ended without figures; the text says how, its last line in one line."""


@dataclass(frozen=True)
class Figures:
    """One execution: of the whole command, and of the work inside it."""

    wall_seconds: float
    cpu_seconds: float
    work_seconds: float
    work_cpu_seconds: float
    mark_seconds: float
    after_work_seconds: float


@dataclass(frozen=True)
class Tool:
    """A way to run a workload: the command's words before the script's own."""

    label: str
    before: tuple[str, ...]
    #: what is so slow that a whole run takes many minutes does this part of the work, beside the
    #: same part of the bare program's seconds
    part: float = 1.0
    #: the package it needs, where it may be missing
    needs: str | None = None


def leaklab(*options: str) -> tuple[str, ...]:
    """Return the command that records with these options."""
    return (PYTHON, "-m", "leaklab", "record", "--store", "runs", *options, "--")


BARE = Tool("bare", (PYTHON,))
MEMRAY = Tool(
    "memray to a file",
    (PYTHON, "-m", "memray", "run", "-q", "--trace-python-allocators", "-f", "-o", "memray.bin"),
)
UNTRACED = (Tool("leaklab measure", leaklab("--passes", "measure")),)
TOOLS = (
    Tool("leaklab explain", leaklab("--passes", "explain")),
    Tool(
        "leaklab explain --trace-share 10%", leaklab("--passes", "explain", "--trace-share", "10%")
    ),
    MEMRAY,
    Tool("tracemalloc, 1 frame", (PYTHON, "-X", "tracemalloc=1"), part=0.25),
    Tool(
        "Scalene",
        (PYTHON, "-m", "scalene", "run", "--outfile", "scalene.json"),
        needs="scalene",
    ),
)
MORE_TOOLS = (
    Tool("leaklab measure, 100 Hz", leaklab("--passes", "measure", "--interval", "0.01")),
    Tool(
        "leaklab measure, --collect always", leaklab("--passes", "measure", "--collect", "always")
    ),
    Tool("leaklab explain --native", leaklab("--passes", "explain", "--native"), part=0.1),
    Tool("leaklab explain --keep-capture", leaklab("--passes", "explain", "--keep-capture")),
    Tool("leaklab measure,graph", leaklab("--passes", "measure,graph")),
    Tool("tracemalloc, 25 frames", (PYTHON, "-X", "tracemalloc=25"), part=0.1),
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
        # The size of the environment alone makes a loop 9 % slower or faster, by where the stack
        # then lies (Mytkowicz and others, 2009): so each execution has another one.
        "BENCHMARK_PADDING": "x" * random.randrange(4096),
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
        mark_seconds=work["mark_seconds"],
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


def median_ratio(pairs: Sequence[tuple[float, float]], digits: int = 2) -> str:
    """Return the median of a/b over the rounds, with its range."""
    ratios = [a / b for a, b in pairs]
    middle, low, high = (
        f"{ratio:.{digits}f}" for ratio in (statistics.median(ratios), min(ratios), max(ratios))
    )
    return f"{middle} ({low}–{high})"


def fastest_ratio(pairs: Sequence[tuple[float, float]]) -> str:
    """Return the fastest a over the fastest b, and the median of a/b with its range.

    Of a loop that runs faster or slower by its place in memory, the fastest execution of several is
    the one in a good place.
    """
    ours, bare = zip(*pairs, strict=True)
    return f"{min(ours) / min(bare):.3f} (pairs: {median_ratio(pairs)})"


def explain_against_memray(folder: Path, rounds: int, iterations: int) -> Iterator[str]:
    """Print the wall time of the explain pass against a memray capture, and the time to answer."""
    work = script("allocation_heavy", iterations)
    pairs = alternate(
        [[*leaklab("--passes", "explain"), *work], [*MEMRAY.before, *work]], folder, rounds
    )
    ratio = median_ratio([(ours.work_seconds, theirs.work_seconds) for ours, theirs in pairs])
    yield f"| explain pass, the target's seconds / `memray run` to a file | {ratio} | ≤ 1 |"
    answers = []
    for _ in range(rounds):
        ours = execute([*_record_and_judge(), *work], folder)
        theirs = execute([*_memray_and_table(), *work], folder)
        answers.append((theirs.after_work_seconds, ours.after_work_seconds))
    shown = median_ratio(answers)
    seconds = statistics.median(ours for _, ours in answers)
    yield (
        f"| from the target's end to the answer, `memray run` + `memray table --leaks` / leaklab "
        f"({seconds:.1f} s) | {shown} | ≥ 10 |"
    )


def marks_against_memray(folder: Path, rounds: int) -> Iterator[str]:
    """Print what the explain pass costs where memray writes a file, by seconds and by CPU.

    A target's own CPU seconds say what it pays itself also where others use the machine.
    """
    work = script("asyncio_service", DENSE_MARK_COUNT)
    found = alternate(
        [[*leaklab("--passes", "explain"), *work], [*MEMRAY.before, *work]], folder, rounds
    )
    for what, figure in (("seconds", "work_seconds"), ("CPU seconds", "work_cpu_seconds")):
        ratio = median_ratio([(getattr(o, figure), getattr(m, figure)) for o, m in found])
        row = f"a service of {DENSE_MARK_COUNT} marks: explain pass, the target's {what}"
        yield f"| {row} / `memray run` to a file | {ratio} | ≤ 1.10 |"


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


def measure_against_bare(folder: Path, rounds: int) -> Iterator[str]:
    """Print what the measure pass costs a computing target: sampled only, and with marks.

    Marks by the time spent in them: a loop's own seconds depend on its place in memory by more.
    """
    ours = leaklab("--passes", "measure", "--interval", "0.01")
    work = script("computing", COMPUTING_UNITS, "unmarked")
    found = alternate([[*ours, *work], [PYTHON, *work]], folder, PLACES * rounds)
    ratio = fastest_ratio([(one.work_seconds, bare.work_seconds) for one, bare in found])
    yield f"| measure pass at 100 Hz, the target's seconds / bare, fastest | {ratio} | ≤ 1.02 |"
    work = script("computing", COMPUTING_UNITS, "marked")
    found = alternate([[*ours, *work]], folder, PLACES * rounds)
    pairs = [(one.work_seconds, one.work_seconds - one.mark_seconds) for (one,) in found]
    length = statistics.median(rest for _, rest in pairs)
    yield (
        f"| {COMPUTING_UNITS:,} marks in {length:.1f} s: all of the target's seconds / those "
        f"outside its marks | {median_ratio(pairs, 3)} | ≤ 1.02 |"
    )


def workload_table(
    folder: Path, rounds: int, work_seconds: float, tools: Sequence[Tool]
) -> Iterator[str]:
    """Tell the overhead of passes, options and other tools on three real workloads."""
    rows: dict[str, list[str]] = {tool.label: [] for tool in tools}
    for name in UNITS:
        for label, cell in workload_cells(name, work_seconds, folder, rounds, tools).items():
            rows[label].append(cell)
    yield f"| the work's seconds / bare | {' | '.join(UNITS)} |".replace("_", " ")
    yield f"|---|{'---|' * len(UNITS)}"
    for label, cells in rows.items():
        yield f"| {label} | {' | '.join(cells)} |"


def workload_cells(
    name: str, work_seconds: float, folder: Path, rounds: int, tools: Sequence[Tool]
) -> dict[str, str]:
    """Return the ratio of every tool on one workload, or why there is none."""
    # Fills caches. The tools need no such run: their start-up is not counted.
    execute([*BARE.before, *script(name, WARM_UP_UNITS)], folder)
    failures: dict[str, str] = {}
    pairs: dict[str, list[tuple[float, float]]] = {tool.label: [] for tool in tools}
    for _ in range(rounds):
        units = round(UNITS[name] * work_seconds)
        bare = execute([*BARE.before, *script(name, units)], folder)
        for tool in tools:
            if tool.needs is not None and find_spec(tool.needs) is None:
                failures[tool.label] = f"none ({tool.needs} is not installed)"
            if tool.label in failures:
                continue
            words = [*tool.before, *script(name, round(units * tool.part))]
            try:
                figures = attempt(words, folder, RUN_LIMIT_SHARE * work_seconds)
            except FailedError as failure:
                failures[tool.label] = f"none ({str(failure)[:100].replace('|', '/')})"
                continue
            pairs[tool.label].append((figures.work_seconds, tool.part * bare.work_seconds))
            now = _cell(pairs[tool.label])
            print(f"{name}, {tool.label}: {now}", file=sys.stderr, flush=True)
    return {label: failures.get(label) or _cell(found) for label, found in pairs.items()}


def _cell(pairs: Sequence[tuple[float, float]]) -> str:
    return median_ratio(pairs) if len(pairs) > 1 else f"{pairs[0][0] / pairs[0][1]:.2f}"


HEAD = ("| comparison | median ratio (range) | goal |", "|---|---|---|")


def parts(
    arguments: argparse.Namespace,
) -> dict[str, tuple[float, Callable[[Path], Iterator[str]]]]:
    """Return each part by its name: expected minutes on two quiet cores, and what tells it."""
    import overhead_curves

    rounds, seconds = arguments.rounds, arguments.seconds
    iterations = arguments.iterations

    def with_head(rows: Callable[[Path, int], Iterator[str]]) -> Callable[[Path], Iterator[str]]:
        return lambda folder: itertools.chain(HEAD, rows(folder, rounds))

    def workloads(tools: Sequence[Tool]) -> Callable[[Path], Iterator[str]]:
        return lambda folder: workload_table(folder, rounds, seconds, tools)

    found = {
        "allocations": (
            (0.5 + 0.9 * rounds) * iterations / 20_000,
            with_head(lambda folder, _: explain_against_memray(folder, rounds, iterations)),
        ),
        "service": (0.4 * (rounds + 1), with_head(marks_against_memray)),
        "sampler": (0.35 * rounds, with_head(overhead_curves.sampler_against_mprof)),
        "measure": (1.3 * (rounds + 1), with_head(measure_against_bare)),
        "untraced": (0.1 * rounds * seconds, workloads(UNTRACED)),
        "workloads": (0.75 * rounds * seconds, workloads(TOOLS)),
        "options": (0.9 * rounds * seconds, workloads(MORE_TOOLS)),
    }
    minutes = {"profile": 2.5, "marks": 1.6, "threads": 1.0, "blocks": 3.0}
    for name, rows in overhead_curves.PARTS.items():
        tell = functools.partial(rows, rounds=rounds, work_seconds=seconds)
        found[name] = (minutes[name], tell)
    return found


def write_part(path: Path, name: str, rows: Sequence[str]) -> None:
    """Put the table of one part into the text, in place of what stood there."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = path.read_text()
    day = time.strftime("%Y-%m-%d")
    load = os.getloadavg()[1]
    block = "\n".join([begin, f"{name}, {day}, load {load:.1f}:", "", *rows, end])
    if begin in text:
        head, _, rest = text.partition(begin)
        text = head + block + rest.partition(end)[2]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    path.write_text(text)


def main() -> None:
    """Run the comparisons, print their tables and write them into the text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--iterations", type=int, default=20_000, help="of the allocation-heavy work"
    )
    parser.add_argument(
        "--seconds", type=float, default=WORK_SECONDS, help="of the workloads' work, bare"
    )
    parser.add_argument("--part", action="append", help="one part only (repeatable)")
    parser.add_argument("--write", type=Path, help="text that has the tables, such as overhead.md")
    arguments = parser.parse_args()
    known = parts(arguments)
    unknown = set(arguments.part or ()) - set(known)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}; allowed: {', '.join(known)}")
    chosen = {name: known[name] for name in arguments.part or known}
    for name, (minutes, _) in chosen.items():
        print(f"{name}: about {minutes:.1f} minutes on a quiet machine", flush=True)
    if find_spec("scalene") is None:
        print("Scalene is not installed: left out; `make bench` installs it", flush=True)
    for name, (_, tell) in chosen.items():
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="leaklab-bench-") as folder:
            rows = []
            print()
            for row in tell(Path(folder)):
                rows.append(row)
                print(row, flush=True)
        print(f"\n{name}: {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
        if arguments.write is not None:
            write_part(arguments.write, name, rows)


if __name__ == "__main__":
    main()
