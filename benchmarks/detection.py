"""How often is the verdict right? leaklab, and its peers, on the labelled corpus.

    python benchmarks/detection.py [--seeds 3] [--modes marks,time] [--half tuning] [--peers]

Every workload of ``benchmarks/corpus`` is recorded (measure and explain pass), judged and held
against its label. Inconclusive is a miss for a leak and no alarm for a healthy one. A hash of the
name, fixed before any tuning, puts each workload into the tuning or the held-out half.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from leaklab.record.options import RecordOptions
from leaklab.record.recording import record_run
from leaklab.store import open_run
from leaklab.verdict import judge

CORPUS = Path(__file__).parent / "corpus"
HALVES = ("tuning", "held-out")
MODES = ("marks", "time")


@dataclass(frozen=True)
class Workload:
    """One labelled workload: its file, what is true of it, and its half."""

    path: Path
    label: str
    resource: str
    function: str
    needs: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def half(self) -> str:
        return HALVES[hashlib.sha256(self.name.encode()).digest()[0] % 2]


def read_corpus() -> list[Workload]:
    """All workloads whose libraries are installed."""
    found = []
    for path in sorted(CORPUS.glob("*.py")):
        if path.stem == "loop":
            continue
        fields = dict(re.findall(r"^# (\w+): (.*)$", path.read_text(), re.MULTILINE))
        workload = Workload(
            path,
            fields["label"],
            fields.get("resource", ""),
            fields.get("function", ""),
            fields.get("needs", ""),
        )
        if workload.needs and find_spec(workload.needs) is None:
            print(f"skipped: {workload.name}: {workload.needs} is not installed", file=sys.stderr)
            continue
        found.append(workload)
    return found


def record(workload: Workload, mode: str, seed: int, store: Path) -> Path:
    """The run of a workload: an existing one in the store, or a new recording."""
    variant = f"{mode}-{seed}"
    existing = sorted((store / workload.name / variant).glob("*/run.json"))
    if existing:
        return existing[-1].parent
    folder = tempfile.mkdtemp(prefix="corpus-")
    try:
        path = record_run(
            RecordOptions(
                command=[
                    str(workload.path),
                    f"--seed={seed}",
                    *(["--no-marks"] if mode == "time" else []),
                ],
                name=workload.name,
                variant=variant,
                cwd=folder,
                watch_files=["corpus.log"] if workload.resource == "file_bytes" else [],
                store=str(store),
                duration_seconds=60,
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Path(path)


def result(workload: Workload, mode: str, seed: int, store: Path) -> dict[str, object]:
    """Record and judge one workload: one row of the results."""
    begin = time.perf_counter()
    path = record(workload, mode, seed, store)
    recorded = time.perf_counter()
    verdict = judge(open_run(str(path)))
    judged = time.perf_counter()
    functions = list(verdict.suspects["function"])
    rank = functions.index(workload.function) + 1 if workload.function in functions else 0
    return {
        "tool": "leaklab",
        "workload": workload.name,
        "half": workload.half,
        "mode": mode,
        "seed": seed,
        "label": workload.label,
        "resource": workload.resource,
        "verdict": verdict.verdict,
        "named": rank if workload.label == "leak" and workload.function else None,
        "seconds": judged - begin,
        "judge_seconds": judged - recorded,
        "reason": verdict.reason,
        "resources": {f"{r.title}": r.verdict for r in verdict.resources},
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, rank of the site and inconclusive share per tool, half and mode."""
    leaks, alarms = rows["label"] == "leak", rows["verdict"] == "leak"
    out = []
    groups = rows.assign(hit=leaks & alarms, alarm=alarms, leak=leaks).groupby(
        ["tool", "half", "mode"], sort=False
    )
    for key, part in groups:
        sites = part.loc[part["leak"] & part["named"].notna(), "named"]
        out.append(
            {
                **dict(zip(("tool", "half", "mode"), key, strict=True)),
                "runs": len(part),
                "precision": part["hit"].sum() / max(part["alarm"].sum(), 1),
                "recall": part["hit"].sum() / max(part["leak"].sum(), 1),
                "of heap leaks": part.loc[part["resource"] == "heap_bytes", "hit"].mean(),
                "inconclusive": (part["verdict"] == "inconclusive").mean(),
                "top 1": (sites == 1).mean(),
                "top 3": sites.between(1, 3).mean(),
                "seconds": part["seconds"].median(),
            }
        )
    return pd.DataFrame(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds")
    parser.add_argument("--modes", default="marks,time")
    parser.add_argument("--half", choices=HALVES, default=None, help="one half only")
    parser.add_argument("--only", default="", help="names of workloads, comma separated")
    parser.add_argument("--store", default=None, help="keep the recordings here, and use them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peers", action="store_true", help="the other tools as well")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    workloads = [
        workload
        for workload in read_corpus()
        if options.half in (None, workload.half) and (not only or workload.name in only)
    ]
    store = Path(options.store or tempfile.mkdtemp(prefix="detection-"))
    work = [
        (workload, mode, seed, store)
        for mode in options.modes.split(",")
        for seed in range(options.seeds)
        for workload in workloads
    ]
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            rows = []
            for at, row in enumerate(pool.map(lambda args: result(*args), work)):
                rows.append(row)
                if sys.stderr.isatty():
                    print(f"\r{at + 1} of {len(work)}", end="", file=sys.stderr)
        if options.peers:
            from detection_peers import peer_rows

            rows += peer_rows(workloads, options.jobs)
    finally:
        if options.store is None:
            shutil.rmtree(store, ignore_errors=True)
    frame = pd.DataFrame(rows)
    ours = frame[frame["tool"] == "leaklab"]
    wrong = ours[(ours["verdict"] == "leak") != (ours["label"] == "leak")]
    for row in wrong.itertuples():
        print(f"{row.label:8} {row.verdict:12} {row.workload} ({row.half}, {row.mode} {row.seed})")
        print(f"         {row.reason[:200]}")
    for row in ours[(ours["named"] == 0) | (ours["named"] > 3)].itertuples():
        print(f"site {int(row.named)}: {row.workload} ({row.half}, {row.mode} {row.seed})")
    print(table(frame).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(f"judging: median {ours['judge_seconds'].median():.3f} s a run")


if __name__ == "__main__":
    main()
