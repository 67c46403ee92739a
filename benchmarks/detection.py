"""How often is the verdict right? leaklab, and its peers, on the labelled corpus.

    python benchmarks/detection.py [--seeds 3] [--modes marks,time] [--peers] [--catalogue]
                                   [--half NAME] [--jobs 2] [--store FOLDER]
                                   [--trace-share 10%] [--sample 30]

Every workload of ``corpus`` is recorded (measure and explain pass), judged and held
against its label. Inconclusive is a miss for a leak and no alarm for a healthy one. A hash of the
name, fixed before any tuning, puts each workload into the tuning or the held-out half; those that
were written after the method, without a look at it, say so themselves: ``fresh`` and, batch by
batch after its repairs, ``fresh2`` and ``fresh3``.

With ``--trace-share`` each workload is recorded once more, drawn out to twelve seconds and traced
for this share of them. Cost is the processor time of the explain pass over the measure pass.

Recordings are kept, by a digest of the code that records and of the workloads: a benchmark that
was broken off goes on, and a change of the analysis judges the same recordings again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

import leaklab
from leaklab.quantities import share
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
from leaklab.store import RunData, open_run
from leaklab.verdict.judge import judge

CORPUS = Path(__file__).parents[1] / "corpus"
STORE = Path(__file__).parents[1] / "data" / "detection"
HALVES = ("tuning", "held-out", "fresh", "fresh2", "fresh3")
MODES = ("marks", "time")
LABELS = ("leak", "healthy")
# Four windows of tracing for a tenth of the time, the fewest that tell an interval.
SAMPLED_RUN_SECONDS = 12.0


@dataclass(frozen=True)
class Workload:
    """One labelled workload: its file, what is true of it, and its half."""

    path: Path
    label: str
    resource: str
    function: str
    needs: str
    half: str

    @property
    def name(self) -> str:
        return self.path.stem


def read_corpus() -> list[Workload]:
    """All workloads whose libraries are installed."""
    labels = tomllib.loads((CORPUS / "labels.toml").read_text())
    found = []
    rows = [(name, label, row) for label in LABELS for name, row in labels[label].items()]
    for name, label, fields in sorted(rows, key=lambda row: row[0]):
        half = fields.get("half") or HALVES[hashlib.sha256(name.encode()).digest()[0] % 2]
        workload = Workload(
            CORPUS / label / f"{name}.py",
            label,
            fields.get("resource", ""),
            fields.get("function", ""),
            fields.get("needs", ""),
            half,
        )
        if workload.needs and find_spec(workload.needs) is None:
            print(f"skipped: {name}: {workload.needs} is not installed", file=sys.stderr)
            continue
        found.append(workload)
    return found


def recorder_digest() -> str:
    """Of all that a recording depends on: the code that records, the workloads, the Python."""
    package = Path(leaklab.__file__).parent
    digest = hashlib.sha256(sys.version.encode())
    for folder in (package / "probe", package / "recorder", package / "store", CORPUS):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def record(
    workload: Workload,
    mode: str,
    seed: int,
    store: Path,
    trace_share: float | None = None,
) -> Path:
    """The run of a workload: a complete one in the store, or a new recording.

    Without object graphs: they tell what holds a leak, after the verdict, at twice the time.
    """
    variant = f"{mode}-{seed}"
    if trace_share is not None:
        variant += f"-{100 * trace_share:g}"
    for found in sorted((store / workload.name / variant).glob("*/run.json")):
        if json.loads(found.read_text())["state"] == "complete":
            return found.parent
    seconds = 0.0 if trace_share is None else SAMPLED_RUN_SECONDS
    folder = tempfile.mkdtemp(prefix="corpus-")
    try:
        path = record_run(
            RecordOptions(
                command=[
                    str(workload.path),
                    f"--seed={seed}",
                    f"--seconds={seconds}",
                    *(["--no-marks"] if mode == "time" else []),
                ],
                name=workload.name,
                variant=variant,
                cwd=folder,
                watch_files=["corpus.log"] if workload.resource == "file_bytes" else [],
                store=str(store),
                graphs="never",
                duration_seconds=60,
                trace_share=trace_share,
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Path(path)


def cost(data: RunData) -> float:
    """Processor time of the explain pass over that of the measure pass, all processes."""
    taken = data.samples[data.samples["name"] == "cpu_seconds"]
    by_pass = taken.groupby(["pass", "process"])["value"].max().groupby("pass").sum()
    # No time is known of a process that ended before it was looked at.
    return float(by_pass.get("explain", np.nan) / (by_pass.get("measure") or np.nan))


def result(
    workload: Workload,
    mode: str,
    seed: int,
    store: Path,
    tool: str = "leaklab",
    trace_share: float | None = None,
) -> dict[str, object]:
    """Record and judge one workload: one row of the results."""
    data = open_run(str(record(workload, mode, seed, store, trace_share)))
    begin = time.thread_time()
    verdict = judge(data)
    judged = time.thread_time() - begin
    functions = list(verdict.suspects["function"])
    rank = functions.index(workload.function) + 1 if workload.function in functions else 0
    return {
        "tool": tool,
        "workload": workload.name,
        "half": workload.half,
        "mode": mode,
        "seed": seed,
        "label": workload.label,
        "resource": workload.resource,
        "verdict": verdict.verdict,
        "named": rank if workload.label == "leak" and workload.function else None,
        "seconds": sum(entry["duration_seconds"] for entry in data.meta["passes"]) + judged,
        "judge_seconds": judged,
        "cost": cost(data),
        "reason": verdict.reason,
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, rank of the site and inconclusive share per tool, mode and half."""
    leaks, alarms = rows["label"] == "leak", rows["verdict"] == "leak"
    rows = rows.assign(hit=leaks & alarms, alarm=alarms, leak=leaks)
    whole = rows.assign(half="all")
    out = []
    groups = pd.concat([rows, whole]).groupby(["tool", "mode", "half"], sort=False)
    order = {name: at for at, name in enumerate(dict.fromkeys(rows["tool"]))}
    halves = (*HALVES, "all")
    for key in sorted(groups.groups, key=lambda key: (order[key[0]], key[1], halves.index(key[2]))):
        part = groups.get_group(key)
        sites = part.loc[part["leak"] & part["named"].notna(), "named"]
        hits, found, leaking = (int(part[name].sum()) for name in ("hit", "alarm", "leak"))
        out.append(
            {
                **dict(zip(("tool", "mode", "half"), key, strict=True)),
                "runs": len(part),
                "precision": hits / found if found else float("nan"),
                "recall": hits / leaking if leaking else float("nan"),
                "false alarms": f"{found - hits} of {len(part) - leaking}",
                "misses": f"{leaking - hits} of {leaking}",
                "inconclusive": (part["verdict"] == "inconclusive").mean(),
                "site first": (sites == 1).mean(),
                "in first 3": sites.between(1, 3).mean(),
                "seconds": part["seconds"].median(),
                "cost": part["cost"].median(),
            }
        )
    return pd.DataFrame(out)


def markdown(frame: pd.DataFrame) -> str:
    """The table as the README shows it."""
    rows = [list(frame.columns), ["---"] * len(frame.columns)]
    for row in frame.itertuples(index=False):
        cells = ["–" if cell != cell else cell for cell in row]
        rows.append([f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def report(frame: pd.DataFrame) -> None:
    """Every wrong verdict of leaklab and every site it did not name, then the table."""
    ours = frame[frame["tool"].str.startswith("leaklab")]
    wrong = ours[(ours["verdict"] == "leak") != (ours["label"] == "leak")]
    for row in wrong.itertuples():
        place = f"{row.workload} ({row.half}, {row.mode} {row.seed}, {row.tool})"
        print(f"{row.label:8} {row.verdict:12} {place}")
        print(f"         {row.reason[:200]}")
    for row in ours[(ours["named"] == 0) | (ours["named"] > 3)].itertuples():
        print(
            f"site {int(row.named)}: {row.workload} ({row.half}, {row.mode} {row.seed}, {row.tool})"
        )
    print(markdown(table(frame)))
    print(
        "\nInconclusive on a leak is a miss, on a healthy workload no alarm. Site: the leaking "
        "function among leaklab's suspects (or the peer's lines), of the leaks that have one in "
        "Python. seconds: median of both passes and the verdict, or of the peer's whole run. "
        "mode time: no marks in the workload, recorded and judged by seconds."
    )
    print(f"judging: median {ours['judge_seconds'].median():.3f} s CPU a run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds")
    parser.add_argument("--modes", default="marks,time")
    parser.add_argument("--half", choices=HALVES, default=None, help="one half only")
    parser.add_argument("--only", default="", help="names of workloads, comma separated")
    parser.add_argument(
        "--store", default=None, help="use the recordings in here, whoever made them"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peers", action="store_true", help="the other tools as well, one seed")
    parser.add_argument("--catalogue", action="store_true", help="leaklab's own cases as well")
    parser.add_argument("--trace-share", type=share, help="also traced so much, such as 10%%")
    parser.add_argument(
        "--sample", type=int, help="so many of the workloads, by a hash of the name"
    )
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    workloads = [
        workload
        for workload in read_corpus()
        if options.half in (None, workload.half) and (not only or workload.name in only)
    ]
    if options.sample is not None:
        workloads.sort(key=lambda workload: hashlib.sha256(workload.name.encode()).digest())
        del workloads[options.sample :]
    store = Path(options.store) if options.store else STORE / recorder_digest()
    ways: list[tuple[object, ...]] = [("leaklab",)]
    if options.trace_share is not None:
        name = f"leaklab, {100 * options.trace_share:g} % traced"
        ways.append((name, options.trace_share))
    work = [
        (workload, mode, seed, store, *way)
        for way in ways
        for seed in range(options.seeds)
        for mode in options.modes.split(",")
        for workload in workloads
    ]
    rows = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for at, row in enumerate(pool.map(lambda args: result(*args), work)):
            rows.append(row)
            if sys.stderr.isatty():
                print(f"\r{at + 1} of {len(work)}", end="", file=sys.stderr)
    if options.peers:
        from detection_peers import peer_rows

        rows += peer_rows(workloads, options.jobs, store / "peers")
    report(pd.DataFrame(rows))
    if options.catalogue:
        from detection_catalogue import report_catalogue, report_production

        report_catalogue(options.jobs)
        report_production(options.jobs)


if __name__ == "__main__":
    main()
