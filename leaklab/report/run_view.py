"""What a page says about one run, as plain values for the templates."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from leaklab.present import units
from leaklab.present.formatting import (
    LITTLE,
    holder_doubt,
    holders_worth_showing,
    interval_text,
    kept_text,
    why_no_holder,
    worth_showing,
)
from leaklab.present.label_text import labels_text, together
from leaklab.present.shown_resources import shown_resources
from leaklab.present.text import as_sentence, told_lines
from leaklab.present.untraced import untraced_text
from leaklab.report import drawings
from leaklab.report.audit_view import audit_view
from leaklab.resources import is_memory

if TYPE_CHECKING:
    from leaklab.results.run import Run

_SUSPECT_COUNT = 10
_GROWTH_FIGURES = 4
_PATH_COUNT = 12
_STACK_LIMIT = 30
_OUTPUT_LIMIT = 20_000


def run_view(run: Run, *, figures: bool = True) -> dict[str, Any]:
    """The values of one run: verdict, resources, suspects, retention, facts; and its figures."""
    verdict, meta = run.verdict(), run.meta
    shown, others = shown_resources(verdict.resources, meta)
    suspects = [_suspect(run, row) for row in table_rows(worth_showing(run).head(_SUSPECT_COUNT))]
    lines = {
        (row["role"], row["rank"]): f"{row['function']} {_place(row)}"
        for row in table_rows(run.suspects())
    }
    paths = [_path(row, lines) for row in table_rows(holders_worth_showing(run).head(_PATH_COUNT))]
    values: dict[str, Any] = {
        "id": meta.get("run_id", ""),
        "created": meta.get("created", ""),
        "variant": meta.get("variant") or meta.get("name", ""),
        "label": "/".join(str(meta[key]) for key in ("name", "variant") if meta.get(key)),
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "command": shlex.join(map(str, (meta.get("command") or {}).get("argv") or ())),
        "notes": [*_notes(meta), *map(as_sentence, told_lines(run))],
        "resources": [_resource(entry) for entry in shown],
        "other_resources": others,
        "labels": label_rows(run),
        "suspects": suspects,
        "origins": _origins(run),
        "no_suspects": _why_no_suspects(run),
        "retention": paths,
        "no_retention": f"No retention path: {why_no_holder(run)}.",
        "facts": list(_facts(meta)),
        "events": [_event(entry) for entry in meta.get("events") or ()],
        "outputs": list(_outputs(meta)),
        "audit": audit_view(run.data.path),
    }
    return values | _figures(run, values) if figures else values


def _figures(run: Run, values: dict[str, Any]) -> dict[str, Any]:
    resources = run.verdict().resources
    drawn = [(r.name, r.role) for r in resources if is_memory(r.name) and r.role == "main"]
    drawn += [(r.name, r.role) for r in resources if r.verdict == "leak" and r.role != "main"]
    has_heap = len(run.tree().nodes) > 1
    heap = run.verdict().resource("heap_bytes")
    shown_first = "growth_bytes" if heap is not None and heap.verdict == "leak" else "live_bytes"
    interactive, still = drawings.tree(run, shown_first) if has_heap else ("", "")
    return {
        "growth": [drawings.growth([run], name, role) for name, role in drawn[:_GROWTH_FIGURES]],
        "curves": drawings.curves([run]),
        "resident": drawings.resident_set(run),
        "labels_figure": drawings.labels(run) if values["labels"] else "",
        "suspects_figure": drawings.suspects(run) if values["suspects"] else "",
        "retention_figure": drawings.retention(run) if values["retention"] else "",
        "tree": interactive,
        "tree_still": still,
    }


def _resource(entry: Any) -> dict[str, str]:
    return {
        "title": units.title(entry.name, entry.role),
        "verdict": entry.verdict,
        "rate": units.pace_text(entry) or "-",
        "first": units.value_text(entry.name, entry.first),
        "last": units.value_text(entry.name, entry.last),
        "reason": entry.reason,
    }


def _suspect(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "function": row["function"],
        "place": _place(row),
        "rate": units.rate_text("heap_bytes", row["rate"], row.get("unit") or "iteration"),
        "share": units.share_text(row["share"]),
        "known": ". ".join(filter(None, (_text(row.get("known")), _text(row.get("note"))))),
        "retained_by": _holders(run, row)[:3],
        "source": _text(row.get("source")),
        "stack": [
            {"function": frame["function"], "place": _place(frame)}
            for frame in list(row["stack"])[:_STACK_LIMIT]
        ],
    }


def label_rows(run: Run) -> list[dict[str, str]]:
    """Growth by label; what is not told of several, for one reason, is one row."""
    groups: list[Any] = []
    for mine in together(table_rows(run.labels())):
        is_told = not math.isnan(mine[0]["rate"])
        groups += [[row] for row in mine] if is_told else [mine]
    return [
        {
            "label": labels_text(mine),
            "resource": units.title(mine[0]["resource"], mine[0]["role"]),
            "verdict": mine[0]["verdict"],
            "calls": _whole(sum(row["calls"] for row in mine)),
            "rate": units.value_text(mine[0]["resource"], mine[0]["rate"]),
            "interval": interval_text(
                mine[0]["resource"], mine[0]["rate_low"], mine[0]["rate_high"]
            ),
            "reason": mine[0]["reason"],
        }
        for mine in groups
    ]


def _origins(run: Run) -> list[dict[str, Any]]:
    """The lines that made what is counted and leaks."""
    leaking = {(r.name, r.role) for r in run.verdict().resources if r.verdict == "leak"}
    leaking |= {("fd_count", role) for name, role in leaking if name == "socket_count"}
    rows = table_rows(run.origins())
    return [_origin(row) for row in rows if (row["resource"], row["role"]) in leaking]


def _holders(run: Run, row: dict[str, Any]) -> list[str]:
    """What keeps a suspect alive; what is only possible, or keeps a part only, is called so."""
    return [
        holder_doubt(path, float(row["rate"])) + str(path["path"])
        for path in table_rows(holders_worth_showing(run))
        if path["role"] == row["role"] and row["rank"] in path["suspect_ranks"]
    ]


_HOW = {
    "made": "",
    "alike": "perhaps: other lines open a file of that name too",
    "runs": "where it runs or waits; which call made it is not known",
}


def _origin(row: dict[str, Any]) -> dict[str, Any]:
    """One line that made what is counted and grows, as a suspect is shown."""
    return {
        "function": _text(row["function"]) or "not known",
        "place": _place(row),
        "rate": f"{units.rate_text(row['resource'], row['rate'], row['unit'])} ({row['kind']})",
        "share": units.share_text(row["share"]),
        "known": ". ".join(filter(None, (_HOW.get(_text(row["how"])), _text(row["subject"])))),
        "retained_by": [],
        "source": _text(row.get("source")),
        "stack": [
            {"function": frame["function"], "place": _place(frame)} for frame in row["stack"]
        ],
    }


def _path(row: dict[str, Any], lines: dict[Any, str]) -> dict[str, Any]:
    """One leak group: kept by what, allocated where (how sure that is), growing by how much."""
    ranks = [int(rank) for rank in row["suspect_ranks"]]
    places = [lines[row["role"], rank] for rank in ranks if (row["role"], rank) in lines]
    return {
        "path": str(row["path"]),
        "note": LITTLE if row["is_little"] else "",
        "count": _whole(row["count"]),
        "growth_count": _whole(row["growth_count"]),
        "retained": units.value_text("heap_bytes", row["retained_bytes"]),
        "growth": units.rate_text("heap_bytes", row["rate"], row["unit"]),
        "allocated_at": places,
        "confidence": row["confidence"] if places else "",
    }


def _why_no_suspects(run: Run) -> str:
    if not len(run.data.snapshots):
        return "The heap was not traced in this run, so no line can be named."
    return "No allocation site kept growing after warm-up: the live heap is bounded."


def _notes(meta: dict[str, Any]) -> Iterable[str]:
    state = meta.get("state")
    if state != "complete":
        yield f"This recording is {state}: figures cover what was recorded until it stopped."
    if why := untraced_text(meta):
        yield f"The heap was not traced: {why}."
    for entry in meta.get("passes") or ():
        stopped = entry.get("stopped_by")
        if stopped and stopped != "decided":
            yield f"The {entry.get('pass')} pass was stopped by {stopped}."
        elif entry.get("signal") or entry.get("exit_status"):
            how = f"signal {entry['signal']}" if entry.get("signal") else "exit status"
            status = "" if entry.get("signal") else f" {entry['exit_status']}"
            yield f"In the {entry.get('pass')} pass the target ended with {how}{status}."


def _facts(meta: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for entry in meta.get("passes") or ():
        seconds = entry.get("duration_seconds")
        how_long = f"{seconds:.1f} s" if isinstance(seconds, int | float) else "unmeasured"
        yield f"{entry.get('pass')} pass", ", ".join(filter(None, (how_long, kept_text(entry))))
    for name in ("parameters", "platform", "versions", "limits"):
        values = meta.get(name) or {}
        shown = ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
        if shown:
            yield name, shown
    processes = meta.get("processes") or ()
    if len(processes) > 2:
        roles = {str(entry.get("role") or "main") for entry in processes}
        yield "processes", f"{len(processes)} ({', '.join(sorted(roles))})"


def _event(entry: dict[str, Any]) -> dict[str, str]:
    at = entry.get("time_seconds")
    return {
        "time": f"{at:.2f} s" if isinstance(at, int | float) else "",
        "kind": str(entry.get("kind", "")),
        "text": str(entry.get("text", "")),
    }


def _outputs(meta: dict[str, Any]) -> Iterable[dict[str, str]]:
    for entry in meta.get("passes") or ():
        for stream in ("stdout", "stderr"):
            text = str(entry.get(f"{stream}_tail") or "")
            if text.strip():
                yield {
                    "title": f"{stream} of the {entry.get('pass')} pass (its end)",
                    "text": text[-_OUTPUT_LIMIT:],
                }


def table_rows(frame: Any) -> list[dict[str, Any]]:
    """The rows of a DataFrame as dicts."""
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def _place(row: dict[str, Any]) -> str:
    return f"{row['file']}:{int(row['line'])}" if _text(row.get("file")) else ""


def _text(value: object) -> str:
    """A text, or "" for what pandas has instead of one."""
    return value.strip() if isinstance(value, str) else ""


def _whole(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value != value:
        return ""
    return f"{int(value):,}"
