"""Answers of Prometheus' query_range: one process a series, with its restarts and limit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.pods import owner_of
from leaklab.errors import LeaklabError, UsageError
from leaklab.importers import metrics as known
from leaklab.importers.columns import says_memory
from leaklab.importers.json_documents import documents
from leaklab.importers.metrics import Metric
from leaklab.importers.reading import Member, Options, Reading, Series, Source
from leaklab.importers.units import unit_name, unit_option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAME = "prometheus"
# These change when a container is replaced in its place; all others tell places apart.
_IDENTITY = frozenset(("__name__", "id", "container_id", "uid", "image", "image_id", "name"))
_ERROR = re.compile(rb'\s*\{\s*"status"\s*:\s*"error"')
# A line of VictoriaMetrics' export is one series.
_EXPORTED = re.compile(rb'\s*\{\s*"metric"\s*:\s*\{[^{}]*\}\s*,\s*"values"\s*:\s*\[')
_LONGEST_SHOWN = 80
_CONTAINER = ("pod", "container", "namespace")
_PLACES = (*_CONTAINER, "instance", "job")


@dataclass
class Line:
    """One series: its labels, epoch seconds and values."""

    labels: dict[str, str]
    seconds: Floats
    values: Floats

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.labels.get("__name__", "value")

    @property
    def place(self) -> tuple[tuple[str, str], ...]:
        """The labels that tell processes and containers apart."""
        return tuple(sorted((k, v) for k, v in self.labels.items() if k not in _IDENTITY))


@dataclass
class _Place:
    """The series of one process or container, and the moments at which it was replaced."""

    labels: dict[str, str]
    lines: list[Line] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)


def recognise(source: Source) -> bool:
    """Return whether the file is an answer of Prometheus' query interface."""
    head = source.head[:4096]
    is_answer = b'"resultType"' in head and b'"result"' in head
    return is_answer or any(form.match(head) for form in (_ERROR, _EXPORTED))


def read(source: Source, options: Options) -> Reading:
    """Read an answer with a matrix."""
    lines = [line for answer in documents(source) for line in _of_answer(answer, source.path)]
    if not lines:
        raise UsageError(
            f"an answer without figures: {source.path}; the query matched nothing: see whether the "
            "metric exists at that time"
        )
    return reading_of(lines, options, source.path, "Prometheus")


def reading_of(
    lines: list[Line],
    options: Options,
    path: Path,
    title: str,
    told: Mapping[str, Metric] = known.METRICS,
) -> Reading:
    """Return what series tell, of which ``told`` says what the metrics are.

    Counters are refused: they grow in healthy processes too.
    """
    wanted = _wanted(lines, options, path, told)
    judged = _scaled([line for line in lines if line.metric in wanted], wanted, options)
    started = min(float(line.seconds[0]) for line in judged)
    places = _places(judged)
    for place in places:
        place.cuts = _cuts(place, lines)
    members = _members(places, wanted, started)
    _add_cpu(members, places, lines, started)
    cautions = {m.resource: m.caution for m in wanted.values() if m.caution}
    left_out = sorted(
        {line.metric for line in lines if _is_counter(line) and line.metric not in wanted}
        - set(known.CPU_COUNTERS)
    )
    notes = [f"left out, as counters only grow: {', '.join(left_out[:5])}"] if left_out else []
    return Reading(
        title=title,
        understood=_understood(wanted, judged, members, options.unit),
        members=members,
        started=started,
        notes=notes,
        judged=known.judged(wanted),
        cautions=cautions,
        role_limits=_limits(places, lines),
        siblings=len({member.role for member in members}) > 1,
        only=places[0].lines[0].labels.get("pod", "") if len(places) == 1 else "",
        restarts_told=any(line.metric in known.START_TIMES for line in lines),
    )


def _scaled(lines: list[Line], wanted: Mapping[str, Metric], options: Options) -> list[Line]:
    """The series with memory in bytes, where ``--unit`` says what it is in: a query may divide."""
    scale = unit_option(options.unit) if options.unit else 1
    return [
        replace(line, values=line.values * scale)
        if wanted[line.metric].resource.endswith("_bytes")
        else line
        for line in lines
    ]


def _understood(
    wanted: Mapping[str, Metric], lines: list[Line], members: list[Member], unit: str | None
) -> str:
    said = {
        name: f" in {unit_name(unit_option(unit))}"
        if unit and m.resource.endswith("_bytes")
        else ""
        for name, m in wanted.items()
    }
    names = ", ".join(f"{name}{said[name]} as {m.resource}" for name, m in wanted.items())
    count = sum(len(line.values) for line in lines)
    roles = len({member.role for member in members})
    each = f", one process for each of {roles} label sets" if roles > 1 else ""
    return f"{count:,} figures, {names}{each}"


def _of_answer(answer: Any, path: Path) -> Iterable[Line]:
    if not isinstance(answer, dict):
        raise _damaged(path, answer)
    if answer.get("status") == "error":
        raise UsageError(f"an error of Prometheus: {path}; {answer.get('error')}")
    if "metric" in answer:
        answer = {"resultType": "matrix", "result": [answer]}
    data = answer.get("data", answer)
    if not isinstance(data, dict):
        raise _damaged(path, data)
    if data.get("resultType") != "matrix":
        raise UsageError(
            f"one moment only ({data.get('resultType')}): {path}; ask /api/v1/query_range with "
            "start, end and step"
        )
    result = data.get("result") or []
    if not isinstance(result, list):
        raise _damaged(path, result)
    for row in result:
        try:
            labels = dict(row.get("metric") or {})
            values = row.get("values") or ()
            if "timestamps" in row:  # milliseconds, beside the values
                values = [(t / 1e3, v) for t, v in zip(row["timestamps"], values, strict=True)]
            pairs = [(float(t), _figure(v)) for t, v in values]
        except (AttributeError, TypeError, ValueError):
            raise _damaged(path, row) from None
        table = np.array(pairs, np.float64).reshape(-1, 2)
        finite = np.isfinite(table[:, 1])
        if finite.any():
            yield Line(labels, table[finite, 0], table[finite, 1])


def _damaged(path: Path, part: Any) -> LeaklabError:
    shown = json.dumps(part)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return LeaklabError(
        f"a damaged answer of Prometheus: {path}; {shown} is no series of labels and pairs of time "
        "and value; export it again"
    )


def _figure(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def _is_counter(line: Line) -> bool:
    return line.metric.endswith(("_total", "_sum", "_count", "_bucket", "_created"))


def _wanted(
    lines: list[Line], options: Options, path: Path, told: Mapping[str, Metric]
) -> dict[str, Metric]:
    """The metrics that are read, as what."""
    names = list(dict.fromkeys(line.metric for line in lines))
    if options.values:
        asked = dict(text.partition("=")[::2] for text in options.values)
        for name in asked:
            if name not in names:
                raise UsageError(f"no metric {name}: {path}; there are {', '.join(names[:10])}")
        end = "_bytes" if options.unit else ""
        plainly = {name: told.get(name, Metric(f"gauge:{name}{end}", 0)) for name in asked}
        return {name: Metric(to, 0) if to else plainly[name] for name, to in asked.items()}
    found = {name: told[name] for name in names if name in told}
    if any(metric.rank is not None for metric in found.values()):
        return found
    # Threads or descriptors alone are no answer where memory stands beside them.
    memory = [name for name in names if name.endswith("_bytes") and says_memory(name)]
    if found:
        return {**found, **{n: Metric(f"gauge:{n}", 1) for n in memory[:1] if n not in found}}
    beside = (*known.START_TIMES, *known.LIMITS)
    others = [name for name in names if name not in beside]
    plain = [name for name in others if not name.endswith(("_total", "_sum", "_bucket", "_count"))]
    if others and not plain:
        raise UsageError(
            f"only counters: {path}; {others[0]} never falls, so it grows in a healthy process "
            "too: export a gauge such as process_resident_memory_bytes, or rate(...)"
        )
    own = [name for name in plain if name.endswith("_bytes")]
    if own:
        return {name: Metric(f"gauge:{name}", 1) for name in own[:1]}
    if options.unit:
        return {name: Metric(f"gauge:{name}_bytes", 1) for name in plain[:1]}
    raise UsageError(
        f"no metric of memory that is known: {path}; name one with --value NAME=rss_bytes, of "
        f"{', '.join(names[:10])}"
    )


def _places(lines: list[Line]) -> list[_Place]:
    """The series by the place they are of; pods that follow each other are one place."""
    found: dict[tuple[tuple[str, str], ...], _Place] = {}
    for line in lines:
        place = found.setdefault(line.place, _Place(dict(line.place)))
        place.lines.append(line)
    by_owner: dict[tuple[tuple[str, str], ...], list[_Place]] = {}
    for place in found.values():
        owner = {key: value for key, value in place.labels.items() if key != "instance"}
        if "pod" in owner:
            owner["pod"] = owner_of(owner["pod"])
            by_owner.setdefault(tuple(sorted(owner.items())), []).append(place)
        else:
            by_owner.setdefault(line_key(place), []).append(place)
    result: list[_Place] = []
    for key, group in by_owner.items():
        if len(group) > 1 and _follow(group):
            lines_of = [line for place in group for line in place.lines]
            result.append(_Place(dict(key), lines_of))
        else:
            result += group
    return result


def line_key(place: _Place) -> tuple[tuple[str, str], ...]:
    """Return the labels of a place as a key."""
    return tuple(sorted(place.labels.items()))


def _follow(group: list[_Place]) -> bool:
    """Whether each of the places begins when the one before it has ended."""
    spans = sorted(
        (
            min(float(line.seconds[0]) for line in place.lines),
            max(float(line.seconds[-1]) for line in place.lines),
        )
        for place in group
    )
    return all(later[0] > earlier[1] for earlier, later in pairwise(spans))


def _cuts(place: _Place, lines: list[Line]) -> list[float]:
    """When the process was replaced: from the metric of its start time, where that is there."""
    for name in known.START_TIMES:
        cuts: list[float] = []
        for line in lines:
            if line.metric == name and _same_place(line.labels, place.labels):
                changed = np.flatnonzero(np.abs(np.diff(line.values)) > 1.0) + 1
                cuts += [float(line.seconds[row]) for row in changed]
        if cuts:
            return sorted(set(cuts))
    return []


def _same_place(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(one[key] == other[key] for key in _PLACES if key in one and key in other)


def _members(places: list[_Place], wanted: Mapping[str, Metric], started: float) -> list[Member]:
    names = _labels(places)
    members: list[Member] = []
    for place, role in zip(places, names, strict=True):
        # A container that was replaced has another id: a line of its own.
        lives: dict[tuple[int, str], list[Series]] = {}
        for line in place.lines:
            identity = "|".join(
                line.labels.get(key, "") for key in ("id", "container_id", "uid", "pod", "name")
            )
            number = np.searchsorted(np.array(place.cuts), line.seconds, side="right")
            for life in np.unique(number).tolist():
                rows = number == life
                lives.setdefault((life, identity), []).append(
                    Series(
                        wanted[line.metric].resource,
                        line.seconds[rows] - started,
                        line.values[rows],
                    )
                )
        members += [Member(role, tuple(series)) for series in lives.values()]
    return members


def _labels(places: list[_Place]) -> list[str]:
    """The shortest label of each place that tells it from the others; "main" for a single one."""
    if len(places) == 1:
        return ["main"]
    for key in ("pod", "instance", "container", "job", "name"):
        values = [place.labels.get(key, "") for place in places]
        if len(set(values)) == len(values) and all(values):
            return values
    differing = [
        key
        for key in dict.fromkeys(key for place in places for key in place.labels)
        if len({place.labels.get(key) for place in places}) > 1
    ]
    texts = [" ".join(place.labels.get(key, "") for key in differing).strip() for place in places]
    # The total of a pod says no container, and all may be of one pod.
    texts = [text or place.labels.get("pod", "") for text, place in zip(texts, places, strict=True)]
    return [text or f"series {number}" for number, text in enumerate(texts, 1)]


def _add_cpu(
    members: list[Member], places: list[_Place], lines: list[Line], started: float
) -> None:
    """Add the use of the processor of each role, from its counter: it tells idle from full."""
    names = _labels(places)
    for place, role in zip(places, names, strict=True):
        for line in lines:
            if line.metric not in known.CPU_COUNTERS or len(line.values) < 2:
                continue
            if not _same_place(line.labels, place.labels):
                continue
            steps = np.diff(line.values) / np.maximum(np.diff(line.seconds), 1e-9)
            good = steps >= 0
            series = Series(
                "gauge:cpu_percent", line.seconds[1:][good] - started, 100.0 * steps[good]
            )
            row = next((n for n, member in enumerate(members) if member.role == role), None)
            if row is not None and good.any():
                old = members[row]
                members[row] = Member(old.role, (*old.series, series), old.pid, old.argv)
            break


def _limits(places: list[_Place], lines: list[Line]) -> dict[str, float]:
    """The memory limit of each role, that which is said last."""
    told = [
        line
        for line in lines
        if line.metric in known.LIMITS
        and line.labels.get("resource", "memory") == "memory"
        and 0 < line.values[-1] < known.NO_LIMIT_BYTES
    ]
    found = {}
    for place, role in zip(places, _labels(places), strict=True):
        # Pods that followed each other have lost their names, their own series have not.
        of_place = [
            line
            for line in told
            if any(_same_container(line.labels, own.labels) for own in place.lines)
        ]
        if of_place:
            found[role] = float(max(of_place, key=lambda line: line.seconds[-1]).values[-1])
    return found


def _same_container(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether both are of one container; who exports its limit is another job than its own."""
    keys = _CONTAINER if "pod" in one and "pod" in other else _PLACES
    return all(one[key] == other[key] for key in keys if key in one and key in other)
