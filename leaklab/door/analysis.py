"""Judges what workers have left and reads their graphs, in a process beside the service.

``python -m leaklab.door.analysis WORKER FOLDER`` leaves verdicts for all workers; ``… WORKER DUMP
WALKER RESULT HELD`` waits for the walker of a dump, analyses it and leaves the answer in RESULT.
WORKER is the process that it is for, and ends with.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaklab.door import folder as store
from leaklab.door.beside import end_with
from leaklab.door.folder import THREAD_NAME
from leaklab.door.judging import status_file
from leaklab.errors import LeaklabError
from leaklab.resources import material

HOLDER_COUNT = 20
NICENESS = 3
# A worker whose figures have not come so many times may have ended.
MISSED_FIGURES = 3
_WAIT_SECONDS = 100.0


def status(folder: Path) -> dict[str, Any]:
    """Return each worker's verdict, resources and cost; ``verdict`` is the worst of them.

    ``reason`` is there where no worker is: those that left figures have ended, or none has begun.
    Workers of another container, or machine, are judged as well; ``verdict`` counts them as long as
    their figures go on.
    """
    from leaklab.verdict.resources import gravest

    workers, deciding = [], []
    for pid, left in sorted(store.workers(folder).items()):
        graph = store.read(store.left_file(folder, "graph", pid))
        workers.append(_worker(left, graph) | {"started_ticks": left["started_ticks"]})
        deciding.append(workers[-1]["verdict"])
    for left, age in store.workers_elsewhere(folder):
        why = (
            "of another container: whether it is alive cannot be told; its figures are "
            f"{age:.0f} s old"
        )
        workers.append(_worker(left, {}) | {"elsewhere": why, "figures_seconds_ago": age})
        if age <= MISSED_FIGURES * float(left.get("figure_seconds") or 0.0):
            deciding.append(workers[-1]["verdict"])
    found = {"verdict": gravest(deciding), "workers": workers}
    return found if deciding else {**found, "reason": "no worker of the service is alive"}


def judge(folder: Path) -> None:
    """Leave the status of all workers where each of them finds it."""
    content = {"judged_at": time.monotonic(), **status(folder)}
    try:
        store.write(status_file(folder), content)
    except OSError as error:
        raise LeaklabError(store.no_room(error)) from None


def _worker(left: dict[str, Any], graph: dict[str, Any]) -> dict[str, Any]:
    from leaklab.verdict.resources import counts, gravest

    resources, deciding = [], []
    for name, series in left.get("series", {}).items():
        row = _resource(name, series, left)
        if name == "rss_bytes" and row["verdict"] == "leak" and (why := _still_fills(graph)):
            row |= {"verdict": "inconclusive", "reason": f"{row['reason']}; but {why}"}
        resources.append(row)
        if counts(name, len(series["seconds"])):
            deciding.append(row)
    age = float(left.get("age_seconds") or 0.0)
    requests = (left.get("work") or {}).get("request_count", {}).get("values")
    return {
        "worker": left.get("pid"),
        "uptime_seconds": age,
        "age_seconds": age,
        "verdict": gravest(row["verdict"] for row in deciding or resources),
        "resources": resources,
        "holders": graph.get("holders", [])[:3],
        "held_seconds": left.get("held_seconds"),
        "overhead_ratio": float(left.get("spent_seconds") or 0.0) / max(age, 1.0),
        "request_count": requests[-1] if requests else None,
    }


def _resource(name: str, series: dict[str, Any], left: dict[str, Any]) -> dict[str, Any]:
    from leaklab.door.by_work import judged
    from leaklab.verdict.evidence import MINIMUM_POINTS

    seconds, values = series["seconds"], series["values"]
    row = {"name": name, "last": values[-1], "peak": series["peak"], "verdict": "inconclusive"}
    if len(seconds) < MINIMUM_POINTS:
        return row | {"reason": f"{len(seconds)} figures so far; {MINIMUM_POINTS} are needed"}
    entry, per_second = judged(name, seconds, values, left.get("work") or {})
    row |= {"verdict": entry.verdict, "reason": entry.reason}
    for unit, pace in ((entry.unit, 1.0), ("second", per_second)):
        for key in ("rate", "rate_low", "rate_high"):
            value = getattr(entry, key) * pace
            row[f"{key}_per_{unit}"] = value if math.isfinite(value) else None
    return row


def _still_fills(graph: dict[str, Any]) -> str:
    """Say which container with a bound took the growth between two looks; "" where none did.

    One that would be full by now explains nothing that goes on growing.
    """
    from leaklab.findings.filling import MOSTLY
    from leaklab.present.formatting import span_text

    rows = graph.get("filling", [])
    if sum(row["share"] for row in rows) < MOSTLY:
        return ""
    left = max(row["full_at"] for row in rows) - time.monotonic()
    if left <= 0:
        return ""
    row = rows[0]
    name = f"{row['path']}.{row['attribute']}".rstrip(".")
    return (
        f"between two looks it was inside {name} ({row['type']}), which holds "
        f"{row['held_count']:,} of {row['bound_count']:,} at most: that decides nothing before it "
        f"is full, in {span_text(left, 'second')}"
    )


def look(dump: Path, walker: int, result: Path, held_seconds: float) -> None:
    """Leave what a worker holds in ``result``: the largest holders, what grew since the last look.

    Only names of types and of places (module, attribute); no values, no paths, no source.
    """
    before = store.read(result.with_suffix(".last"))
    try:
        from leaklab.object_graph.file import read_dump
        from leaklab.object_graph.tables import dump_tables
        from leaklab.recorder.graph import wait_dump

        wait_dump(dump, walker, _WAIT_SECONDS)
        tables = dump_tables(read_dump(dump), with_dominators=False)
    except (LeaklabError, OSError, ValueError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        store.write_last(result, {"state": "failed", "reason": reason})
        return
    finally:
        dump.unlink(missing_ok=True)
    rows = _holders(tables["paths"], before.get("counts"))
    objects = tables["objects"]
    largest = objects.head(HOLDER_COUNT)
    kept = {
        "counts": {row.pop("fingerprint"): [row["count"], row["retained_bytes"]] for row in rows},
        "bounds": tables["bounds"].to_dict("records"),
        "total_bytes": int(objects["shallow_bytes"].sum()),
        "looked_at": time.monotonic(),
    }
    answer = {
        "state": "complete",
        "held_seconds": held_seconds,
        "object_count": int(objects["count"].sum()),
        "compared": bool(before),
        "seconds_since": kept["looked_at"] - before["looked_at"] if before else None,
        "filling": _filling(rows, before, kept) if "bounds" in before else [],
        "holders": _ranked(rows)[:HOLDER_COUNT],
        "types": [
            {"type": str(t), "count": int(c), "retained_bytes": int(r)}
            for t, c, r in zip(
                largest["type"], largest["count"], largest["retained_bytes"], strict=True
            )
        ],
    }
    try:
        with contextlib.suppress(OSError):  # then the next one is compared with the one before
            store.write(result.with_suffix(".last"), kept)
        store.write(result, answer)
    except OSError as error:
        store.write_last(result, {"state": "failed", "reason": store.no_room(error)})


def _filling(
    rows: list[dict[str, Any]], before: dict[str, Any], kept: dict[str, Any]
) -> list[dict[str, Any]]:
    """Containers with a bound that took some of the growth since the look before, most first.

    share: of all growth of objects. full_at: when each is full at that rate, by the monotonic
    clock, which all processes of a machine share and which never jumps.
    """
    import pandas as pd

    from leaklab.findings.filling import filled_between
    from leaklab.present.formatting import LEAST_SHOWN_SHARE

    grown = kept["total_bytes"] - before["total_bytes"]
    if grown < material("heap_bytes") or not before["bounds"] or not kept["bounds"]:
        return []
    both = filled_between(pd.DataFrame(before["bounds"]), pd.DataFrame(kept["bounds"]))
    held = {row["path"]: row["growth_bytes"] or 0 for row in rows}
    seconds = kept["looked_at"] - before["looked_at"]
    found = []
    for one in both.to_dict("records"):
        more = int(one["held_count"] - one["held_count_before"])
        names = ("path", "type", "attribute", "bound_count", "held_count")
        left = (one["bound_count"] - one["held_count"]) / more * seconds
        share = held.get(str(one["path"]), 0) / grown
        found.append(
            {name: one[name] for name in names}
            | {"share": share, "full_at": kept["looked_at"] + left}
        )
    told = [row for row in found if row["share"] >= LEAST_SHOWN_SHARE]
    return sorted(told, key=lambda row: -row["share"])


def _ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put what grew by an amount that matters first, then what holds most."""
    least = material("heap_bytes")

    def rank(row: dict[str, Any]) -> tuple[float, int]:
        growth = row["growth_bytes"] or 0
        return growth if growth >= least else 0.0, row["retained_bytes"]

    return sorted(rows, key=rank, reverse=True)


def _holders(paths: Any, before: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Path nodes of the target's own, with their growth since the look before, if there was one.

    What was not there at that look has grown from nothing.
    """
    own = paths[(paths["tree"] == "path") & (paths["kind"] != "leaklab")]
    own = own[~own["path"].str.startswith(f"thread {THREAD_NAME}")]
    # Nodes that cannot be told apart, such as below classes that each request makes, are one.
    together = {"path": "first", "type": "first", "count": "sum", "retained_bytes": "sum"}
    own = own.groupby("fingerprint", sort=False, as_index=False).agg(together)
    rows = []
    for row in own.to_dict("records"):
        was = None if before is None else before.get(str(row["fingerprint"]), (0, 0))
        count, retained = int(row["count"]), int(row["retained_bytes"])
        rows.append(
            {
                "fingerprint": str(row["fingerprint"]),
                "path": str(row["path"]),
                "type": str(row["type"]),
                "count": count,
                "retained_bytes": retained,
                "growth_count": count - was[0] if was else None,
                "growth_bytes": retained - was[1] if was else None,
            }
        )
    return rows


def main(words: Sequence[str]) -> int:
    """Run one of the two, behind the service: where processors are few, requests go first."""
    worker, *words = words
    end_with(int(worker))
    os.nice(NICENESS)
    try:
        if len(words) == 1:
            judge(Path(words[0]))
        else:
            dump, walker, result, held = words
            look(Path(dump), int(walker), Path(result), float(held))
    except LeaklabError as error:
        print(error)
        return 1
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}; try again later")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
