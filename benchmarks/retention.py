"""Retention paths beside other tools, on every way of holding an object; sizes and costs.

Right is a path on which the real holder is: for objgraph the chain of find_backref_chain, for
pympler the tree of referrers three levels deep, for guppy3 the shortest paths of an object. Each
tool gets a process of its own with the same scene, and is handed the object; leaklab is not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SCENE = REPOSITORY / "tests" / "targets" / "graph_holders.py"
PEERS = ("objgraph", "pympler", "guppy3")
TIMEOUT_SECONDS = 300

HEAP = """
import sys, types, json
package = types.ModuleType("_leaklab_probe")
package.__path__ = [sys.argv[1] + "/leaklab/probe"]
sys.modules["_leaklab_probe"] = package
from _leaklab_probe import graph
graph.prepare()
class Page:
    def __init__(self, number):
        self.number = number + 1000
        self.body = "page %d" % number
PAGES = [Page(number) for number in range(int(sys.argv[3]) // 3)]
print(json.dumps([graph.dump_by_fork(sys.argv[2] + str(k)) for k in range(int(sys.argv[4]))]))
"""

SERVICE = """
import json, statistics, sys, threading, time
import httpx, uvicorn
from fastapi import FastAPI
app = FastAPI()
SESSIONS = {}
class Session:
    def __init__(self, number):
        self.cart = [number]
@app.get("/items/{number}")
def item(number: int):
    SESSIONS[number] = Session(number)
    return {"rows": [{"id": row, "name": f"row {row}"} for row in range(50)]}
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
blocks = []
with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
    for block in range(int(sys.argv[1])):
        begun = time.perf_counter()
        for number in range(50):
            client.get(f"/items/{50 * block + number}").raise_for_status()
        blocks.append(time.perf_counter() - begun)
server.should_exit = True
thread.join()
print(json.dumps({"between": statistics.median(blocks), "all": sum(blocks)}))
"""


def matrix(folder: Path) -> None:
    """Print the share of holders each tool gets right, and which it does not."""
    sys.path[:0] = [str(REPOSITORY / "tests")]
    from holder_paths import PATHS

    right = {"leaklab": leaklab_right(folder, PATHS)}
    for tool in PEERS:
        right[tool] = peer_right(tool)
    tools = list(right)
    print(
        f"Right paths, {len(PATHS)} ways of holding an object, CPython {sys.version.split()[0]}:\n"
    )
    print("| holder | " + " | ".join(tools) + " |\n|---|" + "---|" * len(tools))
    for name in PATHS:
        marks = ["yes" if right[tool].get(name) else "no" for tool in tools]
        print(f"| {name} | " + " | ".join(marks) + " |")
    shares = [f"**{sum(map(bool, right[tool].values()))}/{len(PATHS)}**" for tool in tools]
    print("| share right | " + " | ".join(shares) + " |\n")


def leaklab_right(folder: Path, paths: dict[str, str]) -> dict[str, bool]:
    """Say which holders leaklab names."""
    from test_graph_holders import found_paths

    from leaklab.recorder.graph import wait_dump

    dump = folder / "holders.dump"
    said = json.loads(run([sys.executable, str(SCENE), str(REPOSITORY), str(dump)]))
    wait_dump(dump, said["pid"], TIMEOUT_SECONDS)
    found = found_paths(dump, said["addresses"])
    return {name: str(found[name]).endswith(end) for name, end in paths.items()}


def peer_right(tool: str) -> dict[str, bool]:
    """Say which holders another tool shows; none when it is not installed or dies."""
    peers = Path(__file__).with_name("retention_peers.py")
    try:
        said = run([sys.executable, str(peers), tool], HARMLESS="1")
        right: dict[str, bool] = json.loads(said.splitlines()[-1])
    except (subprocess.SubprocessError, IndexError, ValueError) as problem:
        print(f"{tool}: {str(problem)[-200:]}", file=sys.stderr)
        return {}
    return right


def sizes(folder: Path, counts: list[int], repetitions: int) -> None:
    """Print pause, walk and analysis of heaps of ``counts`` objects."""
    print(
        "| objects | target held (median) | walk | analysis | its memory |\n|---|---|---|---|---|"
    )
    for count in counts:
        dump = folder / "size.dump"
        command = [sys.executable, "-c", HEAP, str(REPOSITORY), str(dump), str(count)]
        done = json.loads(run([*command, str(repetitions)]))
        pauses = sorted(one["pause_seconds"] for one in done)
        code = "import sys; from benchmarks.retention import analyse; analyse(*sys.argv[1:])"
        said = json.loads(run([sys.executable, "-c", code, f"{dump}0", str(done[0]["pid"])]))
        print(
            f"| {said['objects']:,} | {1000 * pauses[len(pauses) // 2]:.1f} ms "
            f"| {said['walk_seconds']:.2f} s | {said['seconds']:.2f} s "
            f"| {said['peak_bytes'] / 2**20:,.0f} MiB |"
        )
    print()


def analyse(dump: str, pid: str) -> None:
    """In a process of its own: wait for a dump, analyse it, print what that took."""
    from leaklab.object_graph.file import read_dump
    from leaklab.object_graph.tables import dump_tables
    from leaklab.recorder.graph import wait_dump

    wait_dump(dump, int(pid), TIMEOUT_SECONDS)
    begun = time.perf_counter()
    read = read_dump(dump)
    dump_tables(read)
    seconds = time.perf_counter() - begun
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"objects": len(read.address), "walk_seconds": read.walk_seconds}
    print(json.dumps({**figures, "seconds": seconds, "peak_bytes": peak_bytes}))


def production(folder: Path, blocks: int, pairs: int) -> None:
    """Print what the pass with object graphs costs a web service, beside the bare service."""
    from leaklab.recorder.options import RecordOptions
    from leaklab.recorder.recording import record_run
    from leaklab.results.run import Run
    from leaklab.store import open_run

    target = folder / "service.py"
    target.write_text(SERVICE)
    ratios: dict[str, list[float]] = {"between": [], "all": []}
    recorded: list[Run] = []

    def bare() -> dict[str, float]:
        return json.loads(run([sys.executable, str(target), str(blocks)]))

    def under_recording() -> dict[str, float]:
        options = RecordOptions(
            command=[str(target), str(blocks)], passes=("graph",), store=str(folder / "runs")
        )
        recorded[:] = [Run(open_run(record_run(options)))]
        return json.loads(recorded[0].meta["passes"][0]["stdout_tail"])

    for number in range(pairs):
        # Whichever comes second meets a warmer, or a hotter, machine.
        if number % 2:
            with_us, without = under_recording(), bare()
        else:
            without, with_us = bare(), under_recording()
        for name, values in ratios.items():
            values.append(with_us[name] / without[name])
    dumps = recorded[0].data.graph_dumps
    rows = recorded[0].retention().head(1).to_dict("records")
    named = "; ".join(f"{row['type']}, held by {row['holder']}" for row in rows)
    print(
        f"Production mode, FastAPI on uvicorn, {50 * blocks:,} requests, {pairs} pairs, recorded / "
        f"bare (median, its 95 % interval): time per 50 requests between dumps "
        f"{with_interval(ratios['between'])}; all requests {with_interval(ratios['all'])}. "
        f"Held {1000 * dumps['pause_seconds'].sum():.0f} ms by the {len(dumps)} dumps kept. "
        f"Names {named or 'nothing: too short for two dumps'}."
    )


def with_interval(values: list[float]) -> str:
    """The median and its 95 % interval by order statistics (the sign test turned round)."""
    count, ordered = len(values), sorted(values)
    outside = [
        place
        for place in range(1, count // 2 + 1)
        if 2 * sum(math.comb(count, below) for below in range(place)) <= 0.05 * 2**count
    ]
    low, high = (
        (ordered[outside[-1] - 1], ordered[-outside[-1]]) if outside else (-math.inf, math.inf)
    )
    return f"{statistics.median(values):.3f} ({low:.3f}–{high:.3f})"


def run(command: list[str], **environment: str) -> str:
    """Run ``command`` and return what it prints."""
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    ).stdout


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 3_000_000])
    parser.add_argument("--repetitions", type=int, default=5, help="dumps of each size")
    parser.add_argument(
        "--blocks", type=int, default=200, help="of 50 requests each, in production mode"
    )
    parser.add_argument("--pairs", type=int, default=20, help="pairs of runs in production mode")
    parser.add_argument("--only", choices=("matrix", "sizes", "production"))
    arguments = parser.parse_args()
    sys.path[:0] = [str(REPOSITORY / "tests" / "unit")]
    with tempfile.TemporaryDirectory(prefix="leaklab-bench-") as name:
        if arguments.only in (None, "matrix"):
            matrix(Path(name))
        if arguments.only in (None, "sizes"):
            sizes(Path(name), arguments.sizes, arguments.repetitions)
        if arguments.only in (None, "production"):
            production(Path(name), arguments.blocks, arguments.pairs)


if __name__ == "__main__":
    main()
