"""Tables over all runs of a store: run, resource, verdict; and run, suspect.

The verdict of a run is worked out once and kept beside it as ``verdict.json``, its suspects as
``suspects.json``, so that a store of thousands of runs is read in seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.results.run import Run

_KEPT, _SUSPECTS = "verdict.json", "suspects.json"
COLUMNS = (
    "run", "name", "variant", "created", "state", "run_verdict", "resource", "role", "verdict",
    "rate", "rate_low", "rate_high", "unit", "first", "last", "path", "error",
)  # fmt: skip

OF_RUN = ("run", "name", "variant", "created", "state")
OF_SUSPECT = (
    "rank", "function", "file", "line", "package", "source", "live_bytes", "growth_bytes", "rate",
    "rate_low", "rate_high", "unit", "share", "evidence", "role", "retained_by", "fingerprint",
)  # fmt: skip
_OF_RESOURCE = ("role", "verdict", "rate", "rate_low", "rate_high", "unit", "first", "last")


def runs_table(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """See :func:`leaklab.recordings.runs`."""
    import pandas as pd

    rows = list(_rows(_told(_each_run(store, _KEPT, _resources))))
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.DataFrame(rows)[list(COLUMNS)]
    figures = ["rate", "rate_low", "rate_high", "first", "last"]
    frame[figures] = frame[figures].astype(float)
    order = ["created", "run", "resource", "role"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _rows(summaries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per run and resource; what a summary lacks is null."""
    for summary in summaries:
        of_run = {name: summary.get(name) for name in OF_RUN}
        for entry in summary["resources"]:
            yield {
                **of_run,
                **{name: entry.get(name) for name in _OF_RESOURCE},
                "run_verdict": summary.get("verdict"),
                "resource": entry.get("name"),
                "path": summary.get("path"),
                "error": summary.get("error"),
            }


def _each_run(
    store: str | os.PathLike[str] | None, kept: str, work: Callable[[Run], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield what ``work`` says of each run of a store; it is kept beside the run under a name.

    Of a run that cannot be read or judged that is why: it must not hide the others.
    """
    from leaklab.store import default_store
    from leaklab.store.location import below, filesystem, run_folders

    store = str(store or default_store())
    fs, root = filesystem(store)
    root = root.rstrip("/")
    for folder in run_folders(fs, root, 3):
        path = below(store, folder[len(root) :].lstrip("/"))
        try:
            summary = _summary(fs, folder, path, kept, work)
        except Exception as error:  # whatever the figures of one run are
            summary = _failed(path, error)
        yield summary


def _failed(path: str, error: Exception) -> dict[str, Any]:
    """What is known of a run without a verdict, and why it has none."""
    from leaklab.store import open_run

    meta: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        meta = open_run(path).meta
    known = {name: meta.get(name) for name in OF_RUN}
    run = meta.get("run_id") or Path(path).name
    summary = {**known, "run": run, "path": path, "error": error_text(error, path)}
    return {**summary, "resources": [{}], "suspects": []}


def error_text(error: Exception, path: str | None) -> str:
    """Return in one line why a run at a path has no verdict."""
    if isinstance(error, LeaklabError):
        return str(error)
    said = " ".join(str(error).split())
    return f"run that cannot be judged: {path}; {type(error).__name__}: {said}"


def _told(summaries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same summaries; then a warning of those without a verdict."""
    errors = []
    for summary in summaries:
        errors += [summary["error"]] if "error" in summary else []
        yield summary
    if errors:
        more = f"; and {len(errors) - 1} more" if errors[1:] else ""
        warnings.warn(f"without a verdict: {errors[0]}{more}", stacklevel=4)


def suspects_table(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """See :func:`leaklab.recordings.suspects`."""
    import pandas as pd

    rows = [
        {**{name: summary.get(name) for name in OF_RUN}, **suspect, "path": summary["path"]}
        for summary in _told(_each_run(store, _SUSPECTS, _suspects))
        for suspect in summary["suspects"]
    ]
    frame = pd.DataFrame(rows, columns=[*OF_RUN, *OF_SUSPECT, "path"])
    figures = ["rate", "rate_low", "rate_high", "share"]
    frame[figures] = frame[figures].astype(float)
    return frame.sort_values(["created", "run", "rank"], kind="stable", ignore_index=True)


def _suspects(run: Run) -> dict[str, Any]:
    from leaklab.results.as_json import plain

    frame = run.suspects()
    frame["retained_by"] = [next(iter(paths), None) for paths in frame["retained_by"]]
    return {
        "variant": run.meta.get("variant"),
        "name": run.meta["name"],
        "state": run.meta["state"],
        "suspects": plain(frame[list(OF_SUSPECT)].to_dict("records")),
    }


@cache
def _method() -> str:
    """Digest of the code that judges: a verdict worked out by other code is worked out anew."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for part in ("analysis", "verdict", "findings"):
        for path in sorted((package / part).rglob("*.*")):
            if path.suffix != ".pyc":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def keep_summary(run: Run) -> dict[str, Any]:
    """Return what the table says of a run, and keep it beside the run for the next one who asks."""
    return _keep(run, _KEPT, _resources)


def _resources(run: Run) -> dict[str, Any]:
    return run.resources_json()


def _keep(run: Run, kept: str, work: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
    from leaklab.store.location import filesystem

    summary = {
        "method": _method(),
        "run": run.meta["run_id"],
        "created": run.meta.get("created"),
        **work(run),
    }
    if run.path and run.meta["state"] in ("complete", "interrupted"):
        fs, folder = filesystem(run.path)
        # A store that may only be read works too, more slowly.
        with contextlib.suppress(OSError, ValueError):
            fs.pipe_file(f"{folder.rstrip('/')}/{kept}", json.dumps(summary).encode())
    return {**summary, "path": run.path}


def _summary(
    fs: Any, folder: str, path: str, kept: str, work: Callable[[Run], dict[str, Any]]
) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        summary: dict[str, Any] = json.loads(fs.cat_file(f"{folder}/{kept}"))
        if summary.get("method") == _method():
            return {**summary, "path": path}
    from leaklab.results.run import Run
    from leaklab.store import open_run

    return _keep(Run(open_run(path)), kept, work)


def last_verdicts(
    store: str | os.PathLike[str],
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return the newest complete run's verdict by (name, variant), and why others have none."""
    summaries = list(_each_run(store, _KEPT, _resources))
    judged = (s for s in summaries if "error" not in s and s["state"] == "complete")
    found = sorted(judged, key=lambda summary: str(summary["created"]))
    latest = {(str(s["name"]), str(s["variant"])): str(s["verdict"]) for s in found}
    return latest, [summary["error"] for summary in summaries if "error" in summary]
