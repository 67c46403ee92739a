"""The table of models: what a resource may look like when it is bounded, and when it grows.

A model is a sum of shapes over the run (u in [0, 1]) and, for growing ones, one shape of growth
that goes on at its end. Each has a prior: how usual it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Time constants of warm-ups, as shares of the run; a slower one cannot be told from a leak.
TAUS = (0.02, 0.05, 0.1, 0.2, 0.3)
# Ways in which growth goes on, as shares of all growth: a line beside every bounded shape, else a
# power of u or a line that begins late.
LINE_SHARE, POWER_SHARE, LATE_SHARE = 0.65, 0.15, 0.2


class Shape(NamedTuple):
    """One shape over the run: its kind, and its place, pace or number of cycles in it."""

    kind: str
    at: float
    width: float = 0.0


LINE, SLOW = Shape("line", 0.0), Shape("exp", 0.6)
EXPS = [Shape("exp", tau) for tau in TAUS]
FAST = [*EXPS, Shape("hyperbola", 0.02), Shape("hyperbola", 0.08)]
SMOOTH = [
    *FAST,
    *(Shape("ramp", float(end)) for end in np.arange(0.1, 0.83, 0.06)),
    *(
        Shape("sigmoid", float(middle), width)
        for middle in np.arange(0.1, 0.75, 0.08)
        for width in (0.02, 0.05, 0.1)
    ),
]
SINES = [Shape("sine", float(cycles)) for cycles in np.arange(1.5, 9.1, 0.5)]
COSINES = [Shape("cosine", wave.at) for wave in SINES]
BENT = [Shape("power", 0.6), Shape("power", 2.0)]
LATE = [Shape("late", begin) for begin in (0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
# One pace since each fall: the place of the falls is in the series alone.
TOOTH, TOOTH_PRIOR = Shape("teeth", 0.0), 0.05


def column(shape: Shape, u: Floats) -> Floats:
    """The shape at places u of the run."""
    kind, at, width = shape
    match kind:
        case "exp":
            values = 1 - np.exp(-u / at)
        case "hyperbola":
            values = 1 - 1 / (1 + u / at)
        case "sigmoid":
            values = 1 / (1 + np.exp(-(u - at) / width))
        case "ramp":
            values = np.minimum(u, at) / at
        case "sine":
            values = np.sin(2 * np.pi * at * u)
        case "cosine":
            values = np.cos(2 * np.pi * at * u)
        case "line":
            values = u
        case "power":
            values = u**at
        case "late":
            values = np.maximum(u - at, 0) / (1 - at)
        case _:
            raise ValueError(kind)
    return values


def shapes_at(u: Floats, shapes: Sequence[Shape]) -> Floats:
    """All shapes of a table at places u: an array (points, shapes). The steps come last there."""
    smooth = [column(shape, u) for shape in shapes if shape.kind != "step"]
    return np.column_stack([*smooth, np.tri(len(u), len(u) - 1, -1)])


def end_slope(shape: Shape) -> float:
    """Growth per run at its end, of a coefficient of one."""
    if shape.kind == "late":
        return 1 / (1 - shape.at)
    return shape.at if shape.kind == "power" else 1.0


def in_use(models: Sequence[Models], u: Floats) -> Floats:
    """Share of the run that smooth shapes take until they have settled, and how likely the silence
    after the last step is if steps keep coming.

    Returns a row for each of the models, in their order. After k steps, the last at t, the rest of
    the run is silent with probability t**k: events at one pace that is not known (Poisson, a prior
    flat in the logarithm of the pace).
    """
    smooth, at = _settled_shares(len(u))
    step = np.where(at > 0, u[at], 0.0)
    rows = []
    for _, columns, _ in models:
        if not columns.shape[1]:
            rows.append(np.zeros((len(columns), 2)))
            continue
        count = (step > 0)[columns].sum(axis=1)
        last = step[columns].max(axis=1)
        silent = np.where(count > 0, last**count, 0.0)
        rows.append(np.column_stack([smooth[columns].max(axis=1), silent]))
    return np.concatenate(rows)


@lru_cache(maxsize=64)
def _settled_shares(count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Of all shapes: when the smooth ones have settled, and at which point steps stand, else 0."""
    shapes = table(count).shapes
    smooth = np.array([min(_settled(shape), 1.0) for shape in shapes])
    return smooth, np.array([int(shape.at) * (shape.kind == "step") for shape in shapes])


def _settled(shape: Shape) -> float:
    """Share of the run after which a smooth shape is level, or a cycle was seen often enough."""
    match shape.kind:
        case "exp":
            return 3 * shape.at
        case "hyperbola":
            return 9 * shape.at
        case "ramp":
            return shape.at
        case "sigmoid":
            return shape.at + 2 * shape.width
        case "sine":
            return 1.5 / shape.at
    return 0.0


class Models(NamedTuple):
    """Models with as many shapes each: log priors, shapes (rows of the table's) and the end slope
    of the last shape."""

    log_prior: Floats
    columns: NDArray[np.int64]
    slope: Floats


class Table(NamedTuple):
    """All shapes, and the models made of them: bounded and growing ones of 0, 1, 2 and 3 shapes."""

    shapes: tuple[Shape, ...]
    bounded: tuple[Models, ...]
    growing: tuple[Models, ...]


Row = tuple[float, tuple[Shape, ...]]


@lru_cache(maxsize=64)
def table(count: int) -> Table:
    """The table of a series of ``count`` points."""
    steps = [Shape("step", float(at)) for at in range(1, count)]
    shapes = (SLOW, *SMOOTH, *SINES, *COSINES, LINE, *BENT, *LATE, *steps)
    bounded: list[Row] = []
    growing: list[Row] = []
    for share, members in _bounded(steps):
        for parts in members:
            bounded.append((share / len(members), parts))
            growing.append((LINE_SHARE * share / len(members), (*parts, LINE)))
    beside: list[tuple[Shape, ...]] = [(), *((step,) for step in steps[:: max(count // 6, 1)])]
    beside += [(shape,) for shape in EXPS[1:4]]
    for share, group in ((POWER_SHARE, BENT), (LATE_SHARE, LATE)):
        growing += [
            (share / len(group) / len(beside), (*parts, shape))
            for shape in group
            for parts in beside
        ]
    return Table(shapes, _by_size(bounded, shapes, 0.0), _by_size(growing, shapes))


@lru_cache(maxsize=1)
def teeth_table() -> Table:
    """The table of a series that falls now and then; of its shapes the teeth are the last."""
    shapes = (*EXPS, LINE, *BENT, *LATE, TOOTH)
    prior = TOOTH_PRIOR / (1 + len(EXPS))
    bounded: list[Row] = [(prior, parts) for parts in ((TOOTH,), *((TOOTH, s) for s in EXPS))]
    growing: list[Row] = [(LINE_SHARE * prior, (*parts, LINE)) for _, parts in bounded]
    for share, group in ((POWER_SHARE, BENT), (LATE_SHARE, LATE)):
        growing += [(share * TOOTH_PRIOR / len(group), (TOOTH, shape)) for shape in group]
    return Table(shapes, _by_size(bounded, shapes, 0.0), _by_size(growing, shapes))


def _by_size(
    rows: list[Row], shapes: Sequence[Shape], slope: float | None = None
) -> tuple[Models, ...]:
    """The models of these rows; ``slope``: that of all of them."""
    place = {shape: at for at, shape in enumerate(shapes)}
    models = []
    for size in range(4):
        some = [row for row in rows if len(row[1]) == size]
        columns = [[place[part] for part in parts] for _, parts in some]
        slopes = [end_slope(parts[-1]) if slope is None else slope for _, parts in some]
        models.append(
            Models(
                np.log([prior for prior, _ in some]),
                np.array(columns, np.int64).reshape(len(some), size),
                np.array(slopes, np.float64),
            )
        )
    return tuple(models)


def _bounded(steps: list[Shape]) -> list[tuple[float, list[tuple[Shape, ...]]]]:
    """How usual, and what: groups of bounded models; `TOOTH_PRIOR` more is for teeth."""
    late_steps = steps[: len(steps) // 4 : 2] + steps[len(steps) // 4 :: 5]
    return [
        (0.2, [()]),
        (0.15, [(shape,) for shape in SMOOTH]),
        (0.1, [(step,) for step in steps]),
        (0.1, [(a, b) for at, a in enumerate(steps) for b in steps[at + 1 :]]),
        (0.1, [(shape, step) for shape in EXPS for step in steps]),
        (0.1, [(shape, step) for shape in SMOOTH[len(EXPS) :] for step in late_steps]),
        (0.05, [(a, b) for at, a in enumerate(FAST) for b in (*FAST[at + 1 :], SLOW)]),
        (0.1, list(zip(SINES, COSINES, strict=True))),
    ]
