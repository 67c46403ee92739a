"""What a notebook job found the last time: its output is kept, and what changed is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from leaklab.errors import LeaklabError

FOLDER = "earlier"
_GRAVITY = {"bounded": 0, "inconclusive": 1, "leak": 2}


def keep(filesystem: Any, root: str, name: str) -> None:
    """Move the output of the last job in ``root`` into a folder named for when it began."""
    record = _read(filesystem, f"{root}/verdict.json")
    if record is None:
        return
    folder = f"{root}/{FOLDER}/{str(record.get('started') or 'unknown').replace(':', '')}"
    filesystem.makedirs(folder, exist_ok=True)
    # The record goes last and is what says that an output is there.
    for file in (f"{name}.ipynb", f"{name}.html", "verdict.json"):
        if filesystem.exists(f"{root}/{file}"):
            filesystem.mv(f"{root}/{file}", f"{folder}/{file}")


def newest(filesystem: Any, root: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of the newest earlier job that ended well with the same parameters."""
    for path in reversed(_records(filesystem, root)):
        record = _read(filesystem, path)
        if record and record.get("state") == "done" and record.get("parameters") == parameters:
            return record
    return None


def trend(filesystem: Any, root: str, limit: int = 12) -> list[dict[str, str]]:
    """Return when the jobs of a notebook began and what they found, the newest last.

    Keys: started, verdict (of the gravest run; the state of a job that failed, "" where no run was
    shown).
    """
    paths = [*_records(filesystem, root)[-limit + 1 :], f"{root}/verdict.json"]
    records = [_read(filesystem, path) for path in paths]
    return [
        {
            "started": str(record.get("started") or ""),
            "verdict": str(
                record.get("verdict")
                if record.get("state") == "done"
                else record.get("state") or ""
            ),
        }
        for record in records
        if record is not None
    ]


def _records(filesystem: Any, root: str) -> list[str]:
    """The records of earlier jobs, in the order in which those began."""
    try:
        folders = sorted(filesystem.ls(f"{root}/{FOLDER}", detail=False))
    except FileNotFoundError:
        return []
    return [f"{folder}/verdict.json" for folder in folders]


def _read(filesystem: Any, path: str) -> dict[str, Any] | None:
    try:
        with filesystem.open(path, "r") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def changes(before: dict[str, Any], runs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what changed, run by run: name, variant, outcome, reason, before and after (paths).

    Runs belong together by name and variant. Where both are still stored they are compared as
    `leaklab compare` does; else by their verdicts. What was loaded again is no news, nor is what is
    unchanged.
    """
    known = {(run.get("name"), run.get("variant")): run for run in before.get("runs") or ()}
    for run in runs:
        old = known.get((run.get("name"), run.get("variant")))
        if old is None or old.get("run") == run.get("run"):
            continue
        outcome, reason = _compared(old, run)
        if outcome != "unchanged":
            yield {
                "name": run.get("name"),
                "variant": run.get("variant"),
                "outcome": outcome,
                "reason": reason,
                "before": old.get("run"),
                "after": run.get("run"),
            }


def _compared(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    from leaklab.recordings import compare

    try:
        found = compare(str(old.get("run")), str(new.get("run")))
    except LeaklabError:
        return _by_verdict(old, new)
    return found.outcome, found.reason


def _by_verdict(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    one, other = old.get("verdict"), new.get("verdict")
    if one == other:
        return "unchanged", f"{other} as before"
    if "inconclusive" in (one, other) or one not in _GRAVITY or other not in _GRAVITY:
        return "inconclusive", f"{one} before, {other} now"
    outcome = "worse" if _GRAVITY[str(other)] > _GRAVITY[str(one)] else "fixed"
    return outcome, f"{one} before, {other} now"


def notice(since: str, changed: list[dict[str, Any]]) -> str:
    """Return what stands at the top of the page, in Markdown."""
    if not changed:
        return f"*Nothing has changed since the job of {since}.*"
    lines = [f"**Since the job of {since}:**", ""]
    for entry in changed:
        label = "/".join(filter(None, (entry["name"], entry["variant"])))
        lines.append(f"- {label}: **{entry['outcome']}**, {entry['reason']}")
    return "\n".join(lines)
