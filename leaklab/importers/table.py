"""A table of one's own (CSV, JSON lines, log lines) as figures of processes.

Columns are known by their names; a unit comes from the name, from the cells or from ``--unit`` and
is refused where none of them says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.errors import UsageError
from leaklab.importers import columns as known
from leaklab.importers.cells import (
    figures_of,
    frame_with_points,
    is_in_unit,
    is_numeric,
    no_unit,
    nothing_known,
    primary_of,
    says_unit,
    scale_of_cells,
    unread_memory,
)
from leaklab.importers.counters import without_counters, work_of
from leaklab.importers.grouping import at_once, group_of, life_of, only_of, told_apart
from leaklab.importers.members import lives_of_clock, members, newest_first
from leaklab.importers.metrics import METRICS, Metric, judged
from leaklab.importers.reading import Member, Options, Reading, check_asked
from leaklab.importers.times import Times, times_of
from leaklab.importers.units import unit_in_name, unit_name, unit_option, words_of
from leaklab.importers.wide import MAIN, members_of
from leaklab.resources import CPU

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MARK = "mark"
LARGEST_GAUGE_COUNT = 20
SHOWN_GAUGE_COUNT = 3
_LEAST_GROWTH_ROWS = 3


@dataclass
class _Chosen:
    """Values by resource, what was understood of each column, and what was left out.

    listed: columns by resource on which no verdict rests. counters: columns that only grow. apart:
    values by resource of each process that has columns of its own; ``values`` has one of these too.
    """

    values: dict[str, Floats] = field(default_factory=dict)
    understood: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    marks: Floats | None = None
    marks_name: str = ""
    metrics: dict[str, Metric] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    counters: list[str] = field(default_factory=list)
    apart: dict[str, dict[str, Floats]] = field(default_factory=dict)


def read_table(
    frame: pd.DataFrame, options: Options, *, title: str, path: Path, decimal: str = "."
) -> Reading:
    """Return what a table tells. Raises UsageError naming the option that would help.

    decimal: the decimal mark of a column whose commas could be thousands marks, too.
    """
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis=1)
    check_asked(names, options.columns, path)
    if len(frame) < _LEAST_GROWTH_ROWS:
        raise UsageError(f"only {len(frame)} rows of figures: {path}; a course needs 10 or more")
    options = _with_marks(frame, options)
    frame, decimals = frame_with_points(frame, decimal, options)
    time_name, mark_name = _axes(names, options)
    times, turned = Times(np.full(len(frame), np.nan), None), False
    if time_name is not None:
        frame, times, turned = _in_order(frame, time_name)
    chosen = _choose(frame, options, path, {time_name, mark_name})
    if chosen.marks is None and mark_name:
        chosen.marks = figures_of(frame[mark_name], mark_name, path)[0]
        chosen.marks_name = mark_name
    if time_name is None and chosen.marks is None:
        raise UsageError(
            f"no column of times or iterations: {path}; name one with --time COL of "
            f"{', '.join(names[:20])}"
        )
    found, group_name, life_name = _processes(frame, chosen, times, time_name, options, path)
    if not found:
        raise UsageError(f"no figures in {', '.join(chosen.values)}: {path}; every cell is empty")
    found, counting = without_counters(found, chosen.listed, life_name)
    chosen.counters += counting
    _say_beside(chosen, counting)
    axis = chosen.marks_name or time_name
    turn = ", newest first" if turned else ""
    parts = [f"{len(frame):,} rows by {axis}{turn}", *times.said, *chosen.understood, *decimals]
    parts += [f"one process for each {group_name} ({len(found)})"] if group_name else []
    parts += [f"one process for each heading ({len(chosen.apart)})"] if chosen.apart else []
    parts += [f"restarts by {life_name}"] if life_name else []
    return Reading(
        title=title,
        understood=", ".join(parts),
        members=found,
        started=times.started,
        notes=chosen.notes,
        judged=tuple(chosen.judged),
        siblings=bool(group_name or chosen.apart),
        restarts_told=bool(life_name),
        work=work_of(chosen.counters),
        only=only_of(frame, options),
        cautions={m.resource: m.caution for m in chosen.metrics.values() if m.caution},
    )


def _with_marks(frame: pd.DataFrame, options: Options) -> Options:
    """What was asked, and units of work where a column has leaklab's own word for them."""
    asked = any(text.endswith("=mark") for text in options.values)
    if asked or MARK in options.columns or MARK not in frame or not is_numeric(frame[MARK]):
        return options
    return replace(options, values=(*options.values, f"{MARK}={MARK}"))


def _processes(
    frame: pd.DataFrame,
    chosen: _Chosen,
    times: Times,
    time_name: str | None,
    options: Options,
    path: Path,
) -> tuple[list[Member], str, str]:
    """The processes, and the columns that tell them and their lives apart ("" for none)."""
    seconds = times.seconds
    places = seconds if time_name is not None or chosen.marks is None else chosen.marks
    group, group_name = group_of(frame, options, places)
    life, life_name = life_of(frame, path, group, chosen.marks_name)
    if time_name is not None and group is None and life is None and times.started is None:
        seconds, life = lives_of_clock(seconds)
        life_name = f"{time_name}, which starts again" if life is not None else ""
        if life is not None and life[-1] > len(frame) / _LEAST_GROWTH_ROWS:
            raise UsageError(
                f"not sorted by time: {path}; {time_name} falls {life[-1]:,} times in "
                f"{len(frame):,} rows; sort them by it, or name another column with --time COL"
            )
    found = _members(seconds, chosen, group, group_name, life)
    if several := at_once(found, chosen.judged):
        group, group_name = told_apart(frame, places, group_name, several, options, path)
        found = _members(seconds, chosen, group, group_name, life)
    return found, group_name, life_name


def _members(
    seconds: Floats,
    chosen: _Chosen,
    group: NDArray[Any] | None,
    group_name: str,
    life: NDArray[Any] | None,
) -> list[Member]:
    """The processes told apart by a column, which is then no figure, unless it was asked for."""
    label = known.gauge_name(group_name, False)
    if group is not None and label not in chosen.judged:
        chosen.values.pop(label, None)
    found: list[Member] = []
    taken = {resource for of_one in chosen.apart.values() for resource in of_one}
    shared = {name: column for name, column in chosen.values.items() if name not in taken}
    for name in dict.fromkeys((MAIN, *chosen.apart)):
        values = {**(shared if name == MAIN else {}), **chosen.apart.get(name, {})}
        for one in members(seconds, values, group=group, life=life, marks=chosen.marks):
            role = " ".join(dict.fromkeys(part for part in (one.role, name) if part != MAIN))
            found.append(replace(one, role=role or MAIN))
    return found


def _in_order(frame: pd.DataFrame, time_name: str) -> tuple[pd.DataFrame, Times, bool]:
    """The table from its oldest row on, its times, and whether it was turned round for that."""
    times = times_of(time_name, frame[time_name])
    turned = newest_first(times.seconds)
    if turned:
        frame = frame.iloc[::-1].reset_index(drop=True)
        times = times_of(time_name, frame[time_name])
    return frame, times, turned


def _axes(names: list[str], options: Options) -> tuple[str | None, str | None]:
    """The column of times, and that of iterations where there is none of times."""
    if options.time:
        is_mark = "_".join(words_of(options.time)) in known.MARK_WORDS
        return (None, options.time) if is_mark else (options.time, None)
    taken = {value.partition("=")[0] for value in options.values}
    free = [name for name in names if name not in taken]
    time_name = known.named(free, known.TIME_WORDS)
    if time_name is not None and known.is_start(time_name):
        time_name = None
    mark_name = None
    if time_name is None:
        simple = {"_".join(words_of(name)): name for name in reversed(free)}
        mark_name = next((simple[word] for word in known.MARK_WORDS if word in simple), None)
    return time_name, mark_name


def _choose(frame: pd.DataFrame, options: Options, path: Path, axes: set[str | None]) -> _Chosen:
    chosen = _Chosen()
    for text in options.values:
        _asked(frame, text, options, path, chosen)
    if any(not text.endswith("=mark") for text in options.values):
        return chosen
    axes = {*axes, chosen.marks_name}
    names = [
        str(name)
        for name in frame.columns
        if name not in axes and name != options.group and is_numeric(frame[name])
    ]
    node = known.is_node(frame.columns)
    names = _take_apart(frame, names, options, path, chosen)
    for name in names:
        metric = METRICS.get(name.split("{")[0])
        if metric is not None and metric.resource not in chosen.values:
            _take(frame, name, metric.resource, options, path, chosen, 1)
            chosen.metrics[name] = metric
    names = [name for name in names if name not in chosen.metrics]
    chosen.judged += judged(chosen.metrics)
    own = []
    for name in names:
        resource = known.resource_of(name) or ""
        if resource and resource not in chosen.values:
            _take(frame, name, resource, options, path, chosen, 1 if node else None)
            own.append(name)
    names = [name for name in names if name in own or not known.is_time(name)]
    rest = [name for name in names if name not in own and not known.is_counter(name)]
    chosen.counters = [name for name in names if name not in own and known.is_counter(name)]
    primary = _primary(frame, names, rest, options, path, chosen)
    for name in primary:
        chosen.judged.append(_gauge(frame, name, options, path, chosen, must=True))
    beside = [
        name
        for name in rest
        if name not in primary and words_of(name)[-1:] not in (["pid"], ["id"])
    ]
    for name in beside[:LARGEST_GAUGE_COUNT]:
        chosen.listed[_gauge(frame, name, options, path, chosen, must=False)] = name
    if left_out := beside[LARGEST_GAUGE_COUNT:]:
        chosen.notes.append(
            f"left out, as {LARGEST_GAUGE_COUNT} figures are listed already: "
            f"{', '.join(left_out[:5])}; --value COL takes one of them"
        )
    return chosen


def _primary(
    frame: pd.DataFrame,
    names: list[str],
    rest: list[str],
    options: Options,
    path: Path,
    chosen: _Chosen,
) -> list[str]:
    """The column among the ``rest`` that is judged under a name of its own; empty for none."""
    unread = unread_memory(frame, options.group)
    if "rss_bytes" not in chosen.values:
        chosen.notes += unread
    # Threads or descriptors alone are no answer where memory stands beside them.
    found = {*chosen.judged, *known.RESOURCES} & chosen.values.keys()
    has_memory = any(name.endswith("_bytes") for name in found)
    primary = [] if has_memory else primary_of(frame, rest, beside=bool(chosen.values))
    if chosen.values or primary:
        return primary
    if unread:
        raise UsageError(
            f"{unread[0]}: {path}; a figure is 209715200 or 200 MiB; or name another column with "
            "--value COL"
        )
    plain = [name for name in rest if not known.is_start(name)]
    if len(plain) != 1 and not (plain and known.is_memory(plain[0])):
        raise UsageError(nothing_known(path, names, chosen.counters, frame))
    return plain[:1]


def _take_apart(
    frame: pd.DataFrame, names: list[str], options: Options, path: Path, chosen: _Chosen
) -> list[str]:
    """Take the columns that are one figure of several processes; returns the others."""
    wide = members_of([name for name in names if not known.is_time(name)])
    for resource, columns in wide.items():
        said = len(chosen.understood) + 1
        for label, name in columns.items():
            metric = METRICS.get(name.split("{")[0])
            _take(frame, name, resource, options, path, chosen, 1 if metric else None)
            chosen.apart.setdefault(label, {})[resource] = chosen.values[resource]
            chosen.metrics |= {name: metric} if metric else {}
        del chosen.understood[said:]
        if metric is None and resource not in known.RESOURCES:
            chosen.judged.append(resource)
    taken = {name for columns in wide.values() for name in columns.values()}
    return [name for name in names if name not in taken]


def _say_beside(chosen: _Chosen, counting: list[str]) -> None:
    """Say which columns are listed beside those that are judged, and which are not even that."""
    if chosen.counters:
        work = work_of(chosen.counters) or "COL"
        rates = f"; where one counts the work done, --value {work}=mark gives rates by it"
        chosen.notes.append(
            f"left out, as counters only grow: {', '.join(chosen.counters[:5])}"
            f"{'' if chosen.marks_name else rates}"
        )
    taken = {r: c for r, c in chosen.listed.items() if r in chosen.values and c not in counting}
    beside = [f"{column} as {resource}" for resource, column in taken.items()]
    if beside:
        more = len(beside) - SHOWN_GAUGE_COUNT
        others = f" and {more} more" if more > 0 else ""
        chosen.notes.append(f"listed, too: {', '.join(beside[:SHOWN_GAUGE_COUNT])}{others}")


def _asked(frame: pd.DataFrame, text: str, options: Options, path: Path, chosen: _Chosen) -> None:
    """Take a column that ``--value COL`` or ``--value COL=RESOURCE`` names."""
    name, _, resource = text.partition("=")
    if resource == MARK:
        chosen.marks, chosen.marks_name = figures_of(frame[name], name, path)[0], name
        chosen.understood.append(f"{name} as marks")
        return
    resource = resource or known.resource_of(name) or ""
    if not resource:
        chosen.judged.append(_gauge(frame, name, options, path, chosen, must=True))
        return
    known.check_judged(resource, MARK)
    _take(frame, name, resource, options, path, chosen, None)
    if resource not in known.RESOURCES:
        chosen.judged.append(resource)


def _take(
    frame: pd.DataFrame,
    name: str,
    resource: str,
    options: Options,
    path: Path,
    chosen: _Chosen,
    scale: int | None,
) -> None:
    if not resource.split(":")[0].endswith("_bytes") and not resource.endswith("_bytes"):
        chosen.values[resource] = figures_of(frame[name], name, path)[0]
        chosen.understood.append(f"{name} as {resource}")
        return
    figures, found = _bytes(frame, name, options, path, scale)
    if found is None:
        raise no_unit(frame, name, path)
    chosen.values[resource] = figures
    chosen.understood.append(f"{name} in {unit_name(found)} as {resource}")


def _gauge(
    frame: pd.DataFrame, name: str, options: Options, path: Path, chosen: _Chosen, *, must: bool
) -> str:
    """Take a column under its own name; one of memory needs a unit where it is the one judged."""
    is_memory = known.is_memory(name) or says_unit(frame[name])
    if is_memory or (must and is_in_unit(name, options)):
        given = options if must or unit_in_name(name) is None else Options()
        figures, found = _bytes(
            frame, name, given, path, 1 if known.is_node(frame.columns) else None
        )
        if found is None and must:
            raise no_unit(frame, name, path)
        resource = _unused(known.gauge_name(name, found is not None), chosen)
        chosen.values[resource] = figures
        if must and found is not None:
            chosen.understood.append(f"{name} in {unit_name(found)} as {resource}")
        return resource
    is_use = known.is_cpu(name) and CPU not in chosen.values
    resource = CPU if is_use else _unused(known.gauge_name(name, False), chosen)
    chosen.values[resource] = figures_of(frame[name], name, path)[0]
    if must:
        chosen.understood.append(f"{name} as {resource}")
    return resource


def _unused(resource: str, chosen: _Chosen) -> str:
    """The name, with a number where another column has it: "queue size" beside "queue_size"."""
    names = (resource, *(f"{resource}_{number}" for number in range(2, len(chosen.values) + 3)))
    return next(name for name in names if name not in chosen.values)


def _bytes(
    frame: pd.DataFrame, name: str, options: Options, path: Path, scale: int | None
) -> tuple[Floats, int | None]:
    """The figures of a column of memory in bytes, and what unit they were in (None: unknown)."""
    figures, in_cell = figures_of(frame[name], name, path)
    if in_cell is not None:
        return figures, scale_of_cells(frame[name])
    found = unit_option(options.unit) if options.unit else unit_in_name(name) or scale
    return (figures, None) if found is None else (figures * found, found)
