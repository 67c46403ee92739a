"""Many commands that end at once: they cost little, are told as one, and hide no leak."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import recorded
from recorded import growing_line

COMMANDS = """
    import subprocess, sys
    for _ in range({count}):
        subprocess.run(f"{{sys.executable}} -c pass; true", shell=True)
"""
# One forked process outlives those of its kind, and leaks.
FORKS = """
    import os, time
    from leaklab import mark

    kept = []

    def remember():
        kept.append(b"x" * 100_000)

    for _ in range(8):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    child = os.fork()
    if not child:
        for _ in range({count}):
            remember()
            time.sleep({pause})
            {mark}
        os._exit(0)
    os.waitpid(child, 0)
"""


# Processor time of the children: nothing of it is what the tracer takes in the program itself. The
# least of ten rounds, for who shares a core's cache with others takes longer.
COST = """
    import resource, subprocess

    def spent():
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

    rounds = []
    for _ in range(10):
        begun = spent()
        for _ in range(30):
            subprocess.run(["sh", "-c", "true"])
        rounds.append(spent() - begun)
    print(min(rounds))
"""


def test_short_commands_cost_little_more_than_bare(tmp_path: Path) -> None:
    path = recorded.script(tmp_path, COST)
    least = {"measure": math.inf, "explain": math.inf}
    # A processor may change its pace between the two of a pair: what costs more does in each pair.
    for _ in range(3):
        bare = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
        run = recorded.record(tmp_path, path, passes=tuple(least), graphs="fork")
        for entry in run.meta["passes"]:
            ratio = float(entry["stdout_tail"]) / float(bare.stdout)
            least[entry["pass"]] = min(ratio, least[entry["pass"]])
        if max(least.values()) < 1.5:
            break
    assert max(least.values()) < 1.5, least


def test_a_short_process_is_not_copied_at_its_end(tmp_path: Path) -> None:
    run = recorded.record(
        tmp_path,
        """
        import subprocess, sys, time
        begun = time.monotonic()
        while time.monotonic() - begun < 1.3:  # a graph is taken from the first second on
            subprocess.run([sys.executable, "-c", "pass"])
        """,
        passes=("measure", "explain"),
        graphs="fork",
    )
    roles = {row["process"]: row["role"] for row in run.meta["processes"]}
    assert {roles[number] for number in run.graph_dumps["process"]} == {"main"}


@pytest.mark.slow
def test_short_commands_are_not_traced_and_are_one_row(tmp_path: Path) -> None:
    source = COMMANDS.format(count=30)
    run = recorded.record(tmp_path, source, passes=("measure", "explain"), graphs="fork")
    rows = [row for row in run.meta["processes"] if row["pass"] == "explain"]
    assert len(rows) < 8
    counts = {row["role"]: row["process_count"] for row in rows if row["process_count"] > 1}
    assert counts["python -c"] == 30
    assert not any(row["traced"] for row in rows if row["role"] != "main")
    # One point a call: what it needed at most.
    (number,) = (row["process"] for row in rows if row["role"] == "python -c")
    points = run.samples[(run.samples["process"] == number) & (run.samples["name"] == "rss_bytes")]
    assert 25 <= len(points) <= 31
    assert set(run.samples["process"]) <= {row["process"] for row in run.meta["processes"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "pause", "count"), [("mark()", 0.001, 100), ("", 0.1, 30)], ids=["marks", "time"]
)
def test_a_fork_that_outlives_the_others_is_traced(
    tmp_path: Path, mark: str, pause: float, count: int
) -> None:
    source = FORKS.format(mark=mark, pause=pause, count=count)
    run = recorded.record(tmp_path, source, passes=("explain",))
    rows = [row for row in run.meta["processes"] if row["role"] == "fork of main"]
    assert sum(row["process_count"] for row in rows) == 9
    assert [row["traced"] for row in rows][-1]
    assert growing_line(run, "fork of main") == ("remember", "target.py")
