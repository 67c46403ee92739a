"""Grafana's CSV of a panel: one column a series, with null, and units in cells where asked for."""

from __future__ import annotations

import contextlib
import csv

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers import csv_table
from leaklab.importers import metrics as known
from leaklab.importers.cells import figures_of, frame_with_points, with_points
from leaklab.importers.columns import resource_of
from leaklab.importers.reading import Member, Options, Reading, Series, Source, check_asked
from leaklab.importers.thinned import note
from leaklab.importers.times import times_of
from leaklab.importers.units import cell, unit_in_name, unit_name, unit_option, words_of

NAME = "grafana"
# Sums and means over the other columns are no process.
_OVER_ALL = frozenset(("avg", "average", "mean", "sum", "total", "max", "min", "median"))


def recognise(source: Source) -> bool:
    """Return whether the heading is Grafana's: Time, in quotes or after a byte order mark."""
    lines = source.first_lines[:4]
    if len(lines) < 2:
        return False
    first = lines[0].split(",")[0].split(";")[0].strip('"')
    if first not in ("Time", "Series"):
        return False
    marked = source.head.startswith(b"\xef\xbb\xbf") or lines[0].startswith('"Time"')
    return (marked or "null" in "".join(lines[1:])) and not _has_labels(lines[0], lines[1])


def _has_labels(heading: str, row: str) -> bool:
    """Whether a column of text tells the series apart, one row each: a table as of one's own."""
    separator = ";" if heading.count(";") > heading.count(",") else ","
    cells = next(csv.reader([row], delimiter=separator), [])
    with contextlib.suppress(ValueError):
        for text in cells[1:]:
            cell(with_points([text])[0][0])
        return False
    return True


def read(source: Source, options: Options) -> Reading:
    """Read each column as one process; a column of a known metric under that metric's name."""
    heading = source.first_line
    semicolons = heading.count(";") > heading.count(",")
    separator = source.separator or (";" if semicolons else ",")
    frame, step = csv_table.frame_of(source, separator)
    names = [str(name) for name in frame.columns]
    frame, decimals = frame_with_points(
        frame.set_axis(names, axis=1), "," if separator == ";" else ".", options
    )
    check_asked(names, (options.time,), source.path)
    time_name = options.time or names[0]
    times = times_of(time_name, frame[time_name])
    columns = [name for name in names if name != time_name and not _over_all(name)]
    if not columns:
        columns = [name for name in names if name != time_name]
    resource, unit, said = _resource(columns, options)
    members: list[Member] = []
    units: list[str] = []
    for name in columns:
        values, in_cell = figures_of(frame[name], name, source.path)
        scale = in_cell or unit or _unit_in_heading(name)
        good = np.isfinite(values) & np.isfinite(times.seconds)
        if not good.any():
            continue
        if scale is None:
            raise UsageError(
                f"no unit for column {name}: {frame[name].dropna().iloc[0]} in {source.path}; say "
                "it with --unit bytes, or export with units"
            )
        units.append("in the cells' own units" if in_cell else unit_name(scale))
        factor = 1 if in_cell else scale
        role = "main" if len(columns) == 1 else name
        members.append(
            Member(role, (Series(resource, times.seconds[good], values[good] * factor),))
        )
    if not members:
        raise UsageError(f"no figures: {source.path}; every cell is empty")
    left = [name for name in names if name != time_name and name not in columns]
    metric = next((m for m in known.METRICS.values() if m.resource == resource), None)
    shown = " and ".join(dict.fromkeys(units))
    what = f"{len(frame):,} rows, {len(members)} columns as processes, {shown}, {said}"
    return Reading(
        title="Grafana CSV",
        understood=", ".join((what, *times.said, *decimals)),
        members=members,
        started=times.started,
        notes=note(step)
        + ([f"left out, as it is over all columns: {', '.join(left)}"] if left else []),
        judged=(resource,) if ":" in resource else (),
        cautions={resource: metric.caution} if metric and metric.caution else {},
        siblings=len(members) > 1,
        only=columns[0] if len(columns) == 1 else "",
    )


def _over_all(name: str) -> bool:
    return bool(_OVER_ALL & set(words_of(name))) and len(words_of(name)) == 1


def _unit_in_heading(name: str) -> int | None:
    """The unit that a heading names, outside of names with hyphens: those are of pods and hosts."""
    return unit_in_name(" ".join(word for word in name.split() if "-" not in word))


def _resource(columns: list[str], options: Options) -> tuple[str, int | None, str]:
    """What the columns are: by --value, by the metric in their names, else a gauge of memory."""
    unit = unit_option(options.unit) if options.unit else None
    for text in options.values:
        resource = text.partition("=")[2]
        if resource:
            return resource, unit, f"as {resource}"
    for name in columns:
        metric = known.METRICS.get(name.strip().strip("{").split("{")[0])
        if metric is not None:
            return metric.resource, unit or 1, f"as {metric.resource}"
    if all(resource_of(name) == "rss_bytes" for name in columns):
        return "rss_bytes", unit, "as rss_bytes"
    return "gauge:panel_bytes", unit, "as gauge:panel_bytes (--value PANEL=rss_bytes names it)"
