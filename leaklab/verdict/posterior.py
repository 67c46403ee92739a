"""Growing or bounded: the evidence of every model of the table, in closed form.

    z(u) = level + shapes(u) [+ growth(u)] + noise

z is the figure in multiples of the amount that matters, u the place in the run. The level is flat,
coefficients have unit information, the scale of the noise is integrated out; the noise is
Ornstein-Uhlenbeck with one of four memories. All that depends on the places alone is worked out
once and shared between the series of one grid, such as the sites of a heap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from leaklab.verdict.models import (
    BOUNDED,
    GROWING,
    LINE,
    TOOTH,
    TOOTH_PRIOR,
    Models,
    Shape,
    in_use,
    shapes_at,
    table,
    teeth_table,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Memory of the noise, in shares of the run, and how usual each is.
MEMORIES = {0.0: 0.45, 0.03: 0.3, 0.1: 0.2, 0.3: 0.05}
# Noise below this share of what matters does not matter; shapes are no truer than this share of
# the range.
RESOLUTION, DISCREPANCY = 0.05, 0.01
# The loss of this share of the range at once ends a tooth; so many teeth may have own heights.
FALL, OWN_TEETH = 0.3, 4
RIDGE = 1e-6
# Models that are less likely than the best by this many log units weigh nothing, whatever they
# say of what matters.
NEGLIGIBLE = 30.0
# Multiplications in a product of matrices that OpenBLAS leaves to one thread (it takes 2**18).
UNTHREADED = 200_000
# Student's distribution is asked for thousands of models, of a few degrees of freedom: in between
# places so far apart it is interpolated, to 1e-4 of itself.
STUDENT_STEP, STUDENT_END, STUDENT_LEAST = 1 / 64, 64.0, 1e-12


@dataclass(frozen=True)
class Posterior:
    """What a series says.

    log_odds: of growing against bounded. growth: over one more run, at the pace of the end, in
    multiples of what matters, if it grows; low to high: its 95 % interval; rise: what growth
    brought in this run. smooth: share of the run until bounded shapes have settled. silence: how
    likely what follows the last step is if steps up keep coming. memory: of the noise around them,
    in shares of the run. shapes: the best bounded model, with the places of its steps in the run.
    noise: its standard deviation.
    """

    log_odds: float
    growth: float
    low: float
    high: float
    rise: float
    smooth: float
    silence: float
    memory: float
    shapes: tuple[Shape, ...]
    noise: float


class Grid:
    """What depends on the places u alone: whitened shapes and inverse matrices of all models."""

    def __init__(self, u: Floats) -> None:
        count = len(u)
        self.u = u
        self.shapes, sizes = table(count)
        self.place = {shape: at for at, shape in enumerate(self.shapes)}
        plain = shapes_at(u, self.shapes)
        gap = np.abs(u[:, None] - u[None])
        whiten, base, whitened = [], [], []
        for memory, prior in MEMORIES.items():
            covariance = 0.9 * np.exp(-gap / memory) if memory else 0.9 * np.eye(count)
            lower = np.linalg.cholesky(covariance + 0.1 * np.eye(count))
            inverse = np.linalg.inv(lower)
            one = inverse.sum(axis=1)
            inverse -= np.outer(one, one @ inverse) / (one @ one)
            whiten.append(inverse)
            whitened.append(inverse @ plain)
            base.append(np.log(prior) - np.log(np.diag(lower)).sum() - np.log(one @ one) / 2)
        # (memories, points, points) and (memories, points, shapes)
        self.whiten, self.whitened = np.stack(whiten), np.stack(whitened)
        self.base = np.array(base)
        self.gram = _products(self.whitened)
        self.models, self.inverses, self.log_prior = [], [], []
        for size, models in enumerate(sizes):
            if size + 3 > count:
                continue
            self.models.append(models)
            self.inverses.append(_inverses(self.gram, models.columns))
            self.log_prior.append(self.prior(models))
        self.of = np.concatenate([models.of for models in self.models])
        self.slope = np.concatenate([models.slope for models in self.models])
        self.size = np.repeat(range(len(self.models)), [len(models.of) for models in self.models])
        self.bounded, self.growing = (np.flatnonzero(self.of == of) for of in (BOUNDED, GROWING))
        self.in_use = in_use(self.models, u)

    def prior(self, models: Models) -> Floats:
        """Log priors (memories, models), with what their coefficients cost."""
        penalty = models.log_prior - models.columns.shape[1] / 2 * np.log(len(self.u))
        found: Floats = penalty[None] + self.base[:, None]
        return found

    def _parts(self, model: int) -> tuple[Shape, ...]:
        """The shapes of a model."""
        size = int(self.size[model])
        first = int(np.searchsorted(self.size, size))
        return tuple(self.shapes[at] for at in self.models[size].columns[model - first])

    def named(self, model: int) -> tuple[Shape, ...]:
        """The shapes of a model, their steps by the place in the run: between two looks."""
        middle = (self.u[1:] + self.u[:-1]) / 2
        return tuple(
            Shape("step", float(middle[int(shape.at) - 1])) if shape.kind == "step" else shape
            for shape in self._parts(model)
        )


def grid(u: Floats) -> Grid:
    """The grid of places u, from a few that are kept."""
    return _grid(np.ascontiguousarray(np.round(u, 6)).tobytes())


@lru_cache(maxsize=32)
def _grid(places: bytes) -> Grid:
    return Grid(np.frombuffer(places))


def _products(whitened: Floats) -> Floats:
    """The products of all shapes with one another, for each memory.

    Part by part: for larger matrices the linear algebra below numpy wakes a thread for each core,
    which takes many times as long as the product itself, most of all on a busy machine.
    """
    _, count, shapes = whitened.shape
    parts = np.array_split(whitened, -(-count * shapes**2 // UNTHREADED), axis=2)
    return np.concatenate([np.swapaxes(whitened, 1, 2) @ part for part in parts], axis=2)


def _inverses(gram: Floats, columns: NDArray[np.int64]) -> list[list[Floats]]:
    """Entries (memories, models) of the inverses of all models' matrices, by row and column."""
    size = columns.shape[1]
    g = [[gram[:, columns[:, i], columns[:, j]] for j in range(size)] for i in range(size)]
    for i in range(size):
        g[i][i] = g[i][i] * (1 + RIDGE) + RIDGE**2
    if size == 0:
        return []
    if size == 1:
        return [[1 / g[0][0]]]
    if size > 3:
        whole = np.linalg.inv(np.stack([np.stack(row, axis=-1) for row in g], axis=-2))
        return [[whole[..., i, j] for j in range(size)] for i in range(size)]
    if size == 2:
        det = g[0][0] * g[1][1] - g[0][1] ** 2
        off = -g[0][1] / det
        return [[g[1][1] / det, off], [off, g[0][0] / det]]
    (a, b, c), (_, d, e), (_, _, f) = g
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    det = a * first + b * second + c * third
    ab, ac, bc = second / det, third / det, (b * c - a * e) / det
    return [
        [first / det, ab, ac],
        [ab, (a * f - c * c) / det, bc],
        [ac, bc, (a * d - b * b) / det],
    ]


def posterior(u: Floats, z: Floats) -> Posterior:
    """What the figures z (multiples of what matters) at places u of the run say."""
    here = grid(u)
    free = len(u) - 1
    z = z - z[0]
    v = here.whiten @ z
    seen = _Seen(
        v=v,
        b=np.einsum("mnk,mn->mk", here.whitened, v),
        square=np.einsum("mn,mn->m", v, v),
        least=free * (RESOLUTION**2 + (DISCREPANCY * float(np.ptp(z))) ** 2),
        free=free,
    )
    found = [
        _fitted(seen, models.columns, inverse, log_prior)
        for models, inverse, log_prior in zip(
            here.models, here.inverses, here.log_prior, strict=True
        )
    ]
    rows = _Rows(here, *(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))
    return _combined(here, rows, _Teeth(here, z, seen), free)


class _Seen(NamedTuple):
    """A series as its grid sees it: the whitened figures v (memories, points), their products b
    with all shapes (memories, shapes) and with themselves (``square``), the least squared error,
    and the degrees of freedom beside its level."""

    v: Floats
    b: Floats
    square: Floats
    least: float
    free: int


def _fitted(
    seen: _Seen, columns: NDArray[np.int64], inverse: list[list[Floats]], log_prior: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log evidence, coefficient of the last shape, its variance and the squared error of models of
    these shapes, as `_Rows` has them."""
    size = columns.shape[1]
    parts = [seen.b[:, columns[:, i]] for i in range(size)]
    last = np.zeros((len(MEMORIES), len(columns)))
    explained = np.zeros_like(last)
    for i in range(size):
        last = inverse[i][0] * parts[0]
        for j in range(1, size):
            last += inverse[i][j] * parts[j]
        explained += last * parts[i]
    rest = np.maximum(seen.square[:, None] - explained, 0) + seen.least
    log_p = log_prior - seen.free / 2 * np.log(rest)
    return log_p, last, inverse[-1][-1] if size else last, rest


def fall_places(z: Floats) -> NDArray[np.int64]:
    """Return at which figures a tooth has ended: those right after the loss of much at once."""
    return np.flatnonzero(np.diff(z) < -FALL * max(float(np.ptp(z)), 1e-9)) + 1


@dataclass(frozen=True)
class _Rows:
    """Arrays (memories, models): log evidence, coefficient of the last shape, its variance in
    units of the noise's, squared error."""

    grid: Grid
    log_p: Floats
    coefficient: Floats
    variance: Floats
    rest: Floats


class _Teeth:
    """Models of the teeth of this series: of one pace since each fall, beside other shapes.

    bounded: log evidences. growing: arrays of log evidence (without the share that matters),
    coefficient, standard error, end slope, degrees of freedom, squared error.
    """

    def __init__(self, here: Grid, z: Floats, seen: _Seen) -> None:
        self.bounded: Floats = np.empty(0)
        self.growing: tuple[Floats, ...] = ()
        count, falls = len(z), fall_places(z)
        if not 1 <= len(falls) <= count // 3:
            return
        begins = np.concatenate([[0.0], here.u[falls]])
        since = here.u - begins[np.searchsorted(falls, np.arange(count), side="right")]
        tooth = here.whiten @ since
        gram = _with_one_more(here.gram, np.einsum("mnk,mn->mk", here.whitened, tooth), tooth)
        seen = seen._replace(b=np.column_stack([seen.b, np.einsum("mn,mn->m", tooth, seen.v)]))
        tables = list(teeth_table(count))
        if len(falls) <= OWN_TEETH:
            tables.append(_own_heights(here, falls))
        bounded, growing = [], []
        for models in tables:
            size = models.columns.shape[1]
            if size + 3 > count:
                continue
            inverse = _inverses(gram, models.columns)
            found = _fitted(seen, models.columns, inverse, here.prior(models))
            bounded.append(found[0][:, models.of == BOUNDED].ravel())
            log_p, coefficient, variance, rest = (a[:, models.of == GROWING].ravel() for a in found)
            slope = np.tile(models.slope[models.of == GROWING], len(MEMORIES))
            degrees = np.full(len(slope), seen.free - size, np.float64)
            error = np.sqrt(variance * rest / degrees)
            growing.append((log_p, coefficient, error, slope, degrees, rest))
        self.bounded = np.concatenate(bounded)
        self.growing = tuple(np.concatenate(parts) for parts in zip(*growing, strict=True))


def _with_one_more(gram: Floats, beside: Floats, one: Floats) -> Floats:
    """The products of all shapes, and of one more with them and with itself."""
    column = np.concatenate([beside, np.einsum("mn,mn->m", one, one)[:, None]], axis=1)[..., None]
    row = np.swapaxes(column, 1, 2)[..., :-1]
    return np.concatenate([np.concatenate([gram, row], axis=1), column], axis=2)


def _own_heights(here: Grid, falls: NDArray[np.int64]) -> Models:
    """The model of a line and a step at each fall: teeth of one pace, of own heights."""
    steps = [here.place[Shape("step", float(at))] for at in falls]
    columns = np.array([[here.place[LINE], *steps]])
    return Models(np.log([TOOTH_PRIOR]), columns, np.zeros(1), np.array([BOUNDED]))


def _combined(here: Grid, rows: _Rows, teeth: _Teeth, free: int) -> Posterior:
    bounded = rows.log_p[:, here.bounded]
    sum_bounded = _log_sum(np.append(bounded.ravel(), teeth.bounded))
    # Of thousands of models a handful weighs anything.
    weighing = np.flatnonzero(bounded > sum_bounded - NEGLIGIBLE)
    of_memory, model = np.divmod(weighing, bounded.shape[1])
    weight = np.exp(bounded.ravel()[weighing] - sum_bounded)
    memory = float(weight @ np.array(list(MEMORIES))[of_memory])
    settled, silent = here.in_use[here.bounded[model]].T
    # The last shape is the last step, if any: one that falls is no growth that may go on.
    rises = rows.coefficient[of_memory, here.bounded[model]] > 0.0
    smooth, silence = float(weight @ settled), float(weight @ (silent * rises))
    by_model = np.bincount(model, weight, minlength=1)
    best = here.named(int(here.bounded[int(np.argmax(by_model))]))
    if np.exp(teeth.bounded - sum_bounded).sum() > 0.5:
        best = (TOOTH,)
    log_p, mean, error, slope, degrees, rest = _growing(here, rows, teeth, free)
    log_p = (
        log_p
        + np.log(2)
        + _log_student(degrees, (mean * slope - 1.0) / np.maximum(error * slope, 1e-9))
    )
    sum_growing = _log_sum(log_p)
    weight = np.exp(log_p - sum_growing)
    growth = float(weight @ (mean * slope))
    spread = float(np.sqrt(weight @ ((error * slope) ** 2 + (mean * slope - growth) ** 2)))
    margin = float(stdtrit(max(free - 2, 2), 0.975)) * spread
    return Posterior(
        log_odds=sum_growing - sum_bounded,
        growth=growth,
        low=growth - margin,
        high=growth + margin,
        rise=float(weight @ mean),
        smooth=smooth,
        silence=silence,
        memory=memory,
        shapes=best,
        noise=float(np.sqrt(weight @ rest / free)),
    )


def _log_sum(logs: Floats) -> float:
    """The logarithm of the sum of exponentials."""
    top = float(logs.max())
    return top + float(np.log(np.exp(logs - top).sum()))


def _log_student(degrees: Floats, t: Floats) -> Floats:
    """The logarithm of Student's distribution function, but no less than that of STUDENT_LEAST."""
    most = int(degrees.max())
    table = np.stack([_student_table(k) for k in range(most, int(degrees.min()) - 1, -1)])
    place = np.clip((t + STUDENT_END) / STUDENT_STEP, 0, table.shape[1] - 1.001)
    at = place.astype(np.int64)
    row = (most - degrees).astype(np.int64)
    before, after = table[row, at], table[row, at + 1]
    found: Floats = before + (place - at) * (after - before)
    return found


@lru_cache(maxsize=64)
def _student_table(degrees: int) -> Floats:
    places = np.arange(-STUDENT_END, STUDENT_END + STUDENT_STEP, STUDENT_STEP)
    table: Floats = np.log(np.maximum(stdtr(degrees, places), STUDENT_LEAST))
    return table


def _growing(here: Grid, rows: _Rows, teeth: _Teeth, free: int) -> tuple[Floats, ...]:
    """Log evidence, coefficient, its error, end slope, degrees of freedom and squared error of
    the growing models that weigh anything."""
    log_p = rows.log_p[:, here.growing]
    memory, model = np.divmod(
        np.flatnonzero(log_p > log_p.max() - NEGLIGIBLE), max(log_p.shape[1], 1)
    )
    model = here.growing[model]
    degrees = (free - here.size[model]).astype(np.float64)
    rest = rows.rest[memory, model]
    error = np.sqrt(rows.variance[memory, model] * rest / degrees)
    slope = here.slope[model]
    found = (
        rows.log_p[memory, model],
        rows.coefficient[memory, model],
        error,
        slope,
        degrees,
        rest,
    )
    if not teeth.growing:
        return found
    return tuple(np.append(one, other) for one, other in zip(found, teeth.growing, strict=True))
