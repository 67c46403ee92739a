"""Does the guard cry wolf? The labelled corpus as test functions, for leaklab and beside it others.

    python benchmarks/guard.py [--sample 16] [--only NAMES] [--half A] [--label leak] [--units N]
        [--repetitions 1] [--minutes M] [--peers] [--rows FILE] [--all-commits] [--write FILE]

Each workload's unit of work becomes the body of a test that is marked with ``leaks``; whole means
every healthy workload five times and every leak once. What is missed is mended on half A and judged
on half B (by the hash of the names). Leaks come first. --minutes ends the run early; the text says
how much was done, and is written anew after every test. Each test is a line of JSON in --rows, with
the commit of the code and the seed: a run that was stopped goes on from there, and tests of other
code are run again (--all-commits counts them as well, and says so). Inconclusive on a leak is a
miss, on a healthy workload no alarm. A sample takes leaks and healthy workloads in turn, by the
hash of their names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from detection import Workload, markdown, read_corpus

HERE = Path(__file__).parent
# What a row depends on: a change elsewhere leaves it what it is.
CODE = ("leaklab", "corpus", "benchmarks/peer_driver.py")
# peer_driver seeds the workloads with it.
SEED = 0
# From here on memray follows the lifetimes of objects.
LIFETIMES = (3, 13, 3)
LIMIT_SECONDS = 600
PREAMBLE = """
import sys
sys.path.insert(0, {here!r})
import peer_driver, pytest
STEP, ITERATIONS = peer_driver.load({path!r})
NUMBERS = iter(range(10**9))
"""
WARM_UP = "for _ in range(ITERATIONS // 5):\n    STEP(next(NUMBERS))\n"
REST = "    for _ in range(ITERATIONS * 4 // 5):\n        STEP(next(NUMBERS))\n"
MARKED = "@pytest.mark.leaks({units})\ndef test_workload():\n    STEP(next(NUMBERS))\n"
LIMIT_LEAKS = WARM_UP + '@pytest.mark.limit_leaks("10 KB")\ndef test_workload():\n' + REST
LEAKED_OBJECTS = (
    WARM_UP + "@pytest.mark.limit_leaked_objects(max_leaked=0)\ndef test_workload():\n" + REST
)
LEAK_HUNTER = (
    "def test_workload(leak_check):\n"
    "    leak_check(lambda: STEP(next(NUMBERS)), warmup=ITERATIONS // 5, "
    "iterations=ITERATIONS * 2 // 5 - 1)\n"
)
PYLEAK = (
    WARM_UP + "import pyleak\ndef test_workload():\n"
    "    with pyleak.no_thread_leaks(action='raise'):\n    " + REST.replace("\n    ", "\n        ")
)
# Made for functions of C extensions: it looks at the native heap and at what is open after a call.
PSLEAK = (
    "import psleak\nclass TestWorkload(psleak.MemoryLeakTestCase):\n    def test_workload(self):\n"
    "        self.execute(lambda: STEP(next(NUMBERS)), warmup_times=ITERATIONS // 5, "
    "times=max(ITERATIONS // 10, 1))\n"
)
# Each tool's plugin runs without all others: two have a fixture of one name, and to load what
# leaklab's own tests need (hypothesis, anyio with trio) takes seconds that are no tool's.
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
OURS = ("-p", "leaklab.pytest_plugin")
MEMRAY, HUNTER = ("-p", "pytest_memray.plugin"), ("-p", "leak_hunter.pytest_plugin")
# By name: the module that must be there, the body, further options.
PEERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "pytest-memray limit_leaks": ("pytest_memray", LIMIT_LEAKS, MEMRAY),
    "pytest-memray limit_leaked_objects": ("pytest_memray", LEAKED_OBJECTS, MEMRAY),
    "python-leak-hunter": ("leak_hunter", LEAK_HUNTER, HUNTER),
    "psleak": ("psleak", PSLEAK, ()),
    "pyleak no_thread_leaks": ("pyleak", PYLEAK, ()),
}
# psleak skips its tests without this.
ENVIRONMENT = {"psleak": {"PYTHONMALLOC": "malloc"}}


def leaklab_row(workload: Workload, units: int | None) -> dict[str, object]:
    """Run a workload as a marked test; what its JUnit properties and failure say."""
    body = MARKED.format(units=f"units={units}" if units else "")
    done, seconds, found = run(workload, body, OURS)
    outcome = found or {"verdict": "failed", "sites": [], "holders": []}
    functions = [site["function"] for site in outcome["sites"]]
    named = workload.function in functions[:3] or bool(outcome["holders"])
    return {
        "tool": "leaklab",
        "verdict": outcome["verdict"],
        "units": outcome.get("units"),
        "reason": outcome.get("reason", ""),
        "named": named if workload.label == "leak" and outcome["verdict"] == "leak" else None,
        "seconds": seconds,
        "said": done.stdout if outcome["verdict"] == "failed" else "",
    }


def peer_row(workload: Workload, tool: str) -> dict[str, object]:
    """Run a workload under another tool's marker or fixture: red is its alarm."""
    _, body, options = PEERS[tool]
    done, seconds, _ = run(workload, body, options, ENVIRONMENT.get(tool, {}))
    verdict = {0: "bounded", 1: "leak"}.get(done.returncode, "failed")
    if " skipped" in done.stdout:
        verdict = "failed"
    return {"tool": tool, "verdict": verdict, "named": None, "seconds": seconds, "said": ""}


def run(
    workload: Workload,
    body: str,
    options: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.CompletedProcess[str], float, dict[str, object] | None]:
    """Run a test file made of a workload; returns how it ended, seconds, leaklab's outcome."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        test = Path(folder, "test_workload.py")
        test.write_text(PREAMBLE.format(here=str(HERE), path=str(workload.path)) + body)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", "--junitxml=junit.xml", *options]
        try:
            done = subprocess.run(
                [*command, test.name],
                cwd=folder,
                env={**os.environ, **ALONE, **(environment or {})},
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            said = f"not done after {LIMIT_SECONDS} seconds"
            done = subprocess.CompletedProcess(command, -1, stdout=said)
        seconds = time.perf_counter() - begin
        return done, seconds, outcome_of(Path(folder, "junit.xml"))


def outcome_of(path: Path) -> dict[str, object] | None:
    """The outcome that leaklab left among a test's JUnit properties."""
    import xml.etree.ElementTree as ET

    if not path.exists():
        return None
    for entry in ET.parse(path).iter("property"):
        if entry.get("name") == "leaklab":
            found: dict[str, object] = json.loads(entry.get("value", ""))
            return found
    return None


def hash_of(workload: Workload) -> bytes:
    """A workload's place in an order that nobody chose."""
    return hashlib.sha256(workload.name.encode()).digest()


def half_of(workload: Workload) -> str:
    """The half a workload belongs to: A to mend on, B to judge on."""
    return "AB"[hash_of(workload)[-1] % 2]


def processor_seconds() -> float:
    """Processor time of all children that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sample_of(workloads: list[Workload], count: int) -> list[Workload]:
    """As many leaks as healthy workloads, by the hash of their names."""
    ranked = sorted(workloads, key=hash_of)
    leaks = [one for one in ranked if one.label == "leak"][: count // 2]
    return leaks + [one for one in ranked if one.label != "leak"][: count - len(leaks)]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and the rest per tool."""
    out = []
    for tool, part in rows.groupby("tool", sort=False):
        leak, alarm = part["label"] == "leak", part["verdict"] == "leak"
        out.append(
            {
                "tool": tool,
                "tests": len(part),
                "precision": (leak & alarm).sum() / alarm.sum() if alarm.any() else float("nan"),
                "recall": (leak & alarm).sum() / leak.sum() if leak.any() else float("nan"),
                "false alarms": int((~leak & alarm).sum()),
                "inconclusive": (part["verdict"] == "inconclusive").mean(),
                "broken": int((part["verdict"] == "failed").sum()),
                "site or holder": part["named"].dropna().astype(float).mean(),
                "seconds": part["seconds"].median(),
                "processor seconds": part["processor_seconds"].median(),
            }
        )
    return pd.DataFrame(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=0, help="so many workloads only")
    parser.add_argument("--only", default="", help="names of workloads, comma separated")
    parser.add_argument("--half", choices="AB", help="one half of the workloads")
    parser.add_argument("--label", choices=("leak", "healthy"), help="workloads of one kind")
    parser.add_argument("--units", type=int, default=None, help="calls (default: until decided)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no test later")
    parser.add_argument("--peers", action="store_true", help="the other tools as well, once each")
    parser.add_argument("--rows", type=Path, default=HERE.parent / "build" / "guard.jsonl")
    parser.add_argument("--all-commits", action="store_true", help="count rows of other code too")
    parser.add_argument("--write", type=Path, help="a file for the table")
    options = parser.parse_args()
    workloads = chosen(options)
    rows = earlier_rows(options, {one.name for one in workloads})
    for row in measured(workloads, options, rows):
        rows.append(row)
        with options.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if options.write:
            options.write.write_text(report(pd.DataFrame(rows), workloads, options) + "\n")
    print(report(pd.DataFrame(rows), workloads, options))


def commit() -> str:
    """The commit that the code of a row is of, with a mark where it has been changed since."""
    root = HERE.parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words, "--", *CODE]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return git("log", "-1", "--format=%h") + ("+" if git("diff", "HEAD") else "")


def earlier_rows(options: argparse.Namespace, names: set[str]) -> list[dict[str, object]]:
    """The tests that an earlier run has done, of this code or of any."""
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    lines = options.rows.read_text().splitlines() if options.rows.exists() else []
    now = commit()
    return [
        row
        for row in map(json.loads, lines)
        if row["workload"] in names and (options.all_commits or row["commit"] == now)
    ]


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads to run, in the order of their hash, so that a run cut short is a sample."""
    only = set(filter(None, options.only.split(",")))
    workloads = [
        one
        for one in sorted(read_corpus(), key=hash_of)
        if (not only or one.name in only)
        and (not options.half or half_of(one) == options.half)
        and (not options.label or (one.label == "leak") == (options.label == "leak"))
    ]
    return sample_of(workloads, options.sample) if options.sample else workloads


def measured(
    workloads: list[Workload], options: argparse.Namespace, rows: list[dict[str, object]]
) -> Iterator[dict[str, object]]:
    """One row per test that was run, until the time is up. ``rows``: what there is already."""
    done = {(row["tool"], row["workload"], row["repetition"]) for row in rows}
    code = commit()
    workloads = sorted(workloads, key=lambda one: one.label != "leak")
    end = time.monotonic() + options.minutes * 60
    rounds = [("leaklab", number) for number in range(options.repetitions)]
    for tool, (module, _, _) in PEERS.items() if options.peers else ():
        if find_spec(module) is None:
            print(f"not run: {tool} is not installed", file=sys.stderr)
        elif "objects" in tool and sys.version_info < LIFETIMES:
            print(f"not run: {tool} needs CPython 3.13.3", file=sys.stderr)
        else:
            rounds.append((tool, 0))
    for tool, repetition in rounds:
        for workload in workloads:
            if time.monotonic() > end:
                return
            if repetition and workload.label == "leak":
                continue
            if (tool, workload.name, repetition) in done:
                continue
            before = processor_seconds()
            leaklab = tool == "leaklab"
            row = leaklab_row(workload, options.units) if leaklab else peer_row(workload, tool)
            row["processor_seconds"] = processor_seconds() - before
            tell(workload, repetition, row)
            yield {
                "workload": workload.name,
                "label": workload.label,
                "repetition": repetition,
                "commit": code,
                "seed": SEED,
                "load_average": os.getloadavg()[0],
                **row,
            }


def tell(workload: Workload, repetition: int, row: dict[str, object]) -> None:
    """One line per test as it ends, and what a broken one said."""
    wrong = (row["verdict"] == "leak") != (workload.label == "leak")
    print(
        f"{half_of(workload)} {workload.label:8} {row['verdict']:12} {row['seconds']:6.1f} s "
        f"{row['processor_seconds']:6.1f} s of processor  {row['tool']}  {workload.name} "
        f"{repetition}{' WRONG' if wrong else ''}",
        file=sys.stderr,
        flush=True,
    )
    if row["said"]:
        print(str(row["said"])[-2000:], file=sys.stderr)


def report(rows: pd.DataFrame, workloads: list[Workload], options: argparse.Namespace) -> str:
    """The table and what one has to know to read it."""
    if rows.empty:
        return "No test was run."
    ours = rows[rows["tool"] == "leaklab"]
    missed = ours[(ours["label"] == "leak") & (ours["verdict"] != "leak")]["workload"]
    alarms = ours[(ours["label"] != "leak") & (ours["verdict"] == "leak")]["workload"]
    healthy = sum(one.label != "leak" for one in workloads) * options.repetitions
    commits = ", ".join(
        f"{name} ({count})" for name, count in rows["commit"].value_counts().items()
    )
    load = f"{rows['load_average'].min():.0f} to {rows['load_average'].max():.0f}"
    return (
        f"{markdown(table(rows))}\n\nUnder leaklab {int((ours['label'] == 'leak').sum())} of "
        f"{sum(one.label == 'leak' for one in workloads)} leaks were run and "
        f"{int((ours['label'] != 'leak').sum())} of {healthy} healthy tests "
        f"({options.repetitions} repetitions); load average {load} on {os.cpu_count()} cores. "
        f"Code (tests): {commits}; seed {SEED}; what was not run is not counted.\n\n"
        "Inconclusive on a leak is a miss, on a healthy workload no alarm. broken: the test itself "
        "failed. site or holder: a leak's function among the first three sites, or a holder, "
        "named. seconds: median of a whole pytest run; processor seconds: the same of its "
        "processes' processor time.\n\n"
        f"Missed by leaklab: {', '.join(sorted(set(missed))) or 'none'}. "
        f"False alarms: {', '.join(sorted(set(alarms))) or 'none'}."
    )


if __name__ == "__main__":
    main()
