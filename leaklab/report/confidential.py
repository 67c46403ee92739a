"""A run without what its owner may not show: a new run, analysed anew from redacted tables.

As the analysis only ever sees the redacted tables, nothing that is left out here can come back
through a reason or an alt text.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.store.schema import TABLES

if TYPE_CHECKING:
    from leaklab.results.run import Run

_KEPT = ("schema_version", "leaklab_version", "run_id", "name", "variant", "state", "created",
         "platform", "versions", "case")  # fmt: skip
_KEPT_OF_PASS = ("pass", "started", "duration_seconds", "exit_status", "signal", "stopped_by",
                 "traced")  # fmt: skip
_KEPT_OF_PROCESS = ("process", "pass", "parent", "mark_count", "started_seconds", "ended_seconds",
                    "exit_status", "traced")  # fmt: skip
_FILE_RESOURCE = "file_bytes:"
# Keys of dicts in retention paths are data of the target: ['customer 4711'].
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|(?<=\[)[^\]]*(?=\])")


def without_secrets(run: Run) -> Run:
    """The run without source lines, paths, arguments, parameters, output and data keys.

    Functions, types, figures, verdicts and file names of the standard library stay; other files
    become "target file 1" and so on, so that two lines of one file are still seen as such.
    """
    data = run.data
    tables = {name: data.table(name) for name in TABLES if name != "sources"}
    tables["frames"] = _frames(tables["frames"])
    tables["samples"] = _samples(tables["samples"])
    tables["labels"] = _labels(tables["labels"])
    tables["origins"] = tables["origins"].assign(subject=None)
    if "paths" in tables:
        tables["paths"] = _paths(tables["paths"])
        tables["bounds"] = _bounds(tables["bounds"])
    redacted = type(data).from_tables(_meta(data.meta), **tables)
    return replace(run, data=redacted)


def _meta(meta: dict[str, Any]) -> dict[str, Any]:
    kept = {key: meta[key] for key in _KEPT if key in meta}
    kept["passes"] = [_only(entry, _KEPT_OF_PASS) for entry in meta.get("passes") or ()]
    roles: dict[str, str] = {"main": "main"}
    kept["processes"] = []
    for entry in meta.get("processes") or ():
        role = str(entry.get("role") or "main")
        alias = roles.setdefault(role, f"process kind {len(roles)}")
        kept["processes"].append(_only(entry, _KEPT_OF_PROCESS) | {"role": alias})
    kept["events"] = [
        _only(entry, ("time_seconds", "pass", "process", "kind")) | {"text": ""}
        for entry in meta.get("events") or ()
    ]
    return kept


def _only(entry: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: entry[name] for name in names if name in entry}


def _frames(frames: pd.DataFrame) -> pd.DataFrame:
    aliases: dict[str, str] = {}
    files = []
    for file, origin in zip(frames["file"], frames["origin"], strict=True):
        if origin == "stdlib" or not file:
            files.append(file)
        else:
            files.append(aliases.setdefault(str(file), f"{origin} file {len(aliases) + 1}"))
    return frames.assign(file=files)


def _samples(samples: pd.DataFrame) -> pd.DataFrame:
    watched = [
        name for name in samples["name"].dropna().unique() if name.startswith(_FILE_RESOURCE)
    ]
    aliases = {name: f"{_FILE_RESOURCE}file {i}" for i, name in enumerate(sorted(watched), start=1)}
    return samples.assign(name=samples["name"].replace(aliases)) if aliases else samples


def _labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Routes and task names are the target's own: numbered in the order of their appearance."""
    names = {name: f"label {i}" for i, name in enumerate(labels["label"].unique(), start=1)}
    return labels.assign(label=labels["label"].map(names))


def _paths(paths: pd.DataFrame) -> pd.DataFrame:
    return paths.assign(step=paths["step"].map(_blank), path=paths["path"].map(_blank))


def _bounds(bounds: pd.DataFrame) -> pd.DataFrame:
    return bounds.assign(path=bounds["path"].map(_blank))


def _blank(text: object) -> object:
    return _QUOTED.sub("…", text) if isinstance(text, str) else text
