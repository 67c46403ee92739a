"""A run without what its owner may not show: a new run, analysed anew from redacted tables.

As the analysis only ever sees the redacted tables, nothing that is left out here can come back
through a reason or an alt text. That it judges as on the open page needs every figure: see
`leaklab.report.hidden_meta` for run.json, `leaklab.report.hidden_names` for the tables.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.report.hidden_meta import hidden_meta, of_case
from leaklab.report.hidden_names import (
    HiddenPaths,
    hidden_figures,
    hidden_files,
    hidden_labels,
    hidden_roles,
)
from leaklab.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaklab.results.run import Run
    from leaklab.store import RunData

_IN_PATHS = {"paths": ("step", "path"), "bounds": ("path",)}
_WITH_TYPES = ("paths", "bounds", "objects")


def without_secrets(run: Run, files: dict[str, str] | None = None) -> Run:
    """The run without source lines, paths, arguments, parameters, output and data keys.

    Functions, types, figures, verdicts and file names of the standard library stay; other files
    and modules, labels, tasks and threads are numbered, so that two lines of one file are still
    seen as such. Of a documented case the names stay: they are leaklab's own. ``files``: what
    files are called in another run that is shown beside this one; those of this one are added.
    """
    data = run.data
    tables = {name: data.table(name) for name in TABLES if name != "sources"}
    frames = tables["frames"]
    pairs = zip(frames["file"], frames["origin"], strict=True)
    tables["frames"] = frames.assign(file=hidden_files(pairs, {} if files is None else files))
    labels = tables["labels"]["label"]
    tables["labels"] = tables["labels"].assign(label=_each(labels, hidden_labels(labels).get))
    tables["origins"] = tables["origins"].assign(subject=None)
    tables["graph_dumps"] = tables["graph_dumps"].assign(reason=None)
    names: dict[str, str] = {}
    if not of_case(data.meta):
        figures = hidden_figures(tables["samples"]["name"].dropna().unique())
        names = hidden_roles(_roles(data)) | figures
        renamed = _each(tables["samples"]["name"], lambda name: figures.get(name, name))
        tables["samples"] = tables["samples"].assign(name=renamed)
        tables |= _graphs(tables)
    redacted = type(data).from_tables(hidden_meta(data.meta, names), **tables)
    return replace(run, data=redacted)


def _roles(data: RunData) -> list[str]:
    return [str(entry.get("role") or "main") for entry in data.meta.get("processes") or ()]


def _graphs(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of object graphs with the target's names hidden."""
    paths = tables["paths"]
    roots = paths[paths["parent"] < 0][["kind", "step"]].drop_duplicates()
    types = pd.concat([tables[name]["type"] for name in _WITH_TYPES]).dropna().unique()
    hidden = HiddenPaths(
        zip(roots["kind"], roots["step"], strict=True),
        types,
        tables["frames"]["function"].dropna().unique(),
    )
    found = {}
    for name in _WITH_TYPES:
        table = tables[name]
        columns = {column: _each(table[column], hidden.path) for column in _IN_PATHS.get(name, ())}
        found[name] = table.assign(type=_each(table["type"], hidden.type), **columns)
    return found


def _each(column: pd.Series[Any], alias: Callable[[Any], Any]) -> pd.Series[Any]:
    """A column with every text replaced; of thousands of rows many are alike."""
    return column.map({text: alias(text) for text in column.dropna().unique()})
