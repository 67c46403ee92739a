"""Does it harm a target when reader, relay or recorder are killed at any moment of its work?

    python benchmarks/kills.py [--runs 200] [--seed 0] [--write FILE]

Each run records the same target with its heap traced, and kills one of the three, in turns, at a
moment drawn at random. The target must end with its own status and its own output; the longest of
its units must not have been blocked for over a second. Blocked is the time in which its main thread
neither ran nor waited for a processor (/proc/thread-self/schedstat), so a busy machine counts for
nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

VICTIMS = ("reader", "relay", "recorder")
UNIT_COUNT = 60
LIMIT_BLOCKED_SECONDS = 1.0
LIMIT_SECONDS = 180.0
TARGET = """
import json, os, sys, time
from pathlib import Path
from leaklab import mark

def clocks():
    ran, waited, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return time.monotonic(), (int(ran) + int(waited)) / 1e9

out, kept, checksum, longest = Path(sys.argv[1]), [], 0, 0.0
Path(f"{out}.pid").write_text(str(os.getpid()))
for number in range(int(sys.argv[2])):
    begun, busy = clocks()
    rows = [{"number": number, "text": str(place) * 3} for place in range(2000)]
    kept.append(rows[::50])
    checksum = (checksum * 31 + sum(len(row["text"]) for row in rows)) % 1_000_003
    mark()
    ended, after = clocks()
    longest = max(longest, ended - begun - (after - busy))
figures = {"checksum": checksum, "kept": len(kept), "blocked": longest}
Path(f"{out}.part").write_text(json.dumps(figures))
os.rename(f"{out}.part", out)
sys.exit(7)
"""
STATUS = 7


@dataclass(frozen=True)
class Outcome:
    """One run: who was killed and when (share of the work), and what became of the target."""

    victim: str
    at_seconds: float
    blocked_seconds: float | None
    problem: str | None


def run_once(folder: Path, victim: str | None, delay_seconds: float, expected: str) -> Outcome:
    """Record the target once and kill ``victim`` so long after its work has begun."""
    script, out = folder / "target.py", folder / "out.json"
    script.write_text(TARGET)
    words = [sys.executable, "-m", "leaklab", "record", "--store", str(folder / "store")]
    words += ["--passes", "explain", "--graphs", "never", "--", str(script), str(out)]
    recorder = subprocess.Popen(
        [*words, str(UNIT_COUNT)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + LIMIT_SECONDS
    target = None
    try:
        target = _target(out, recorder, deadline)
        if target is None:
            return Outcome(victim or "", delay_seconds, None, "the target did not begin")
        if victim is not None:
            time.sleep(delay_seconds)
            _kill(victim, recorder)
        gone, _ = psutil.wait_procs([target], timeout=max(0.0, deadline - time.monotonic()))
        return _outcome(victim or "", delay_seconds, out, bool(gone), recorder, expected)
    finally:
        for process in [recorder, *([target] if target is not None else [])]:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                process.kill()
        recorder.wait()


def _target(out: Path, recorder: subprocess.Popen[bytes], deadline: float) -> psutil.Process | None:
    told = Path(f"{out}.pid")
    while time.monotonic() < deadline and recorder.poll() is None:
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            return psutil.Process(int(told.read_text()))
        time.sleep(0.005)
    return None


def _kill(victim: str, recorder: subprocess.Popen[bytes]) -> None:
    if victim == "recorder":
        recorder.kill()
        return
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(recorder.pid).children(recursive=True):
            if f"{victim}.py" in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)


def _outcome(
    victim: str,
    at_seconds: float,
    out: Path,
    gone: bool,
    recorder: subprocess.Popen[bytes],
    expected: str,
) -> Outcome:
    if not gone:
        return Outcome(victim, at_seconds, None, f"not over after {LIMIT_SECONDS:g} s")
    if not out.exists():
        return Outcome(victim, at_seconds, None, "ended before its work was done")
    found = json.loads(out.read_text())
    blocked = found.pop("blocked")
    problem = None
    if expected and json.dumps(found) != expected:
        problem = f"changed: {found} instead of {expected}"
    elif blocked > LIMIT_BLOCKED_SECONDS:
        problem = f"blocked for {blocked:.2f} s"
    elif victim != "recorder":
        try:
            recorder.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            problem = "the recorder hangs"
        else:
            problem = _wrong_status(out.parent)
    return Outcome(victim, at_seconds, blocked, problem)


def _wrong_status(folder: Path) -> str | None:
    for path in folder.glob("store/*/*/*/run.json"):
        for entry in json.loads(path.read_text())["passes"]:
            if entry["exit_status"] != STATUS:
                return f"ended with status {entry['exit_status']}, its own is {STATUS}"
    return None


def bare(folder: Path) -> str:
    """Return what the target tells when nobody records it."""
    script, out = folder / "target.py", folder / "bare.json"
    script.write_text(TARGET)
    status = subprocess.run([sys.executable, script, out, str(UNIT_COUNT)], check=False).returncode
    assert status == STATUS, status
    found = json.loads(out.read_text())
    found.pop("blocked")
    return json.dumps(found)


def kill_all(run_count: int, seed: int, written: Path | None) -> list[Outcome]:
    """Return what became of the target in so many runs; the table is written after each."""
    chance = random.Random(seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="leaklab-kills-") as name:
        root = Path(name)
        expected = bare(root)
        undisturbed = root / "undisturbed"
        undisturbed.mkdir()
        run_once(undisturbed, None, 0.0, expected)
        # From the target's first line to its last.
        began = (undisturbed / "out.json.pid").stat().st_mtime
        work_seconds = (undisturbed / "out.json").stat().st_mtime - began
        for number in range(run_count):
            folder = root / str(number)
            folder.mkdir()
            delay = chance.uniform(0.0, work_seconds)
            found = run_once(folder, VICTIMS[number % len(VICTIMS)], delay, expected)
            outcomes.append(found)
            if written is not None:
                written.write_text(report(outcomes) + "\n")
            if found.problem:
                print(f"run {number}: {found.victim} at {found.at_seconds:.2f} s: {found.problem}")
            print(f"\r{number + 1} of {run_count}", end="", file=sys.stderr, flush=True)
    return outcomes


def report(outcomes: list[Outcome]) -> str:
    """Return the table of the outcomes."""
    lines = ["| killed | runs | harmed | longest blocked |", "|---|---|---|---|"]
    counts = Counter(one.victim for one in outcomes)
    for victim in counts:
        mine = [one for one in outcomes if one.victim == victim]
        harmed = sum(one.problem is not None for one in mine)
        longest = max((one.blocked_seconds or 0.0 for one in mine), default=0.0)
        lines.append(f"| {victim} | {len(mine)} | {harmed} | {longest:.2f} s |")
    return "\n".join(lines)


def main() -> None:
    """Kill, and print what became of the targets; exit status 1 where one was harmed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="file for the table")
    arguments = parser.parse_args()
    outcomes = kill_all(arguments.runs, arguments.seed, arguments.write)
    print(f"\n{report(outcomes)}")
    sys.exit(any(one.problem for one in outcomes))


if __name__ == "__main__":
    main()
