"""Growing or bounded: the evidence of every model of the table, in closed form.

    z(u) = level + shapes(u) [+ growth(u)] + noise

z is the figure in multiples of the amount that matters, u the place in the run. The level is flat,
coefficients have unit information, the scale of the noise is integrated out; the noise is
Ornstein-Uhlenbeck with one of four memories. All that depends on the places alone is worked out
once and shared between the series of one grid, such as the sites of a heap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

from leaklab.verdict.models import (
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
from leaklab.verdict.student import log_student

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
# Beside its growth a growing model has no more shapes than this.
OTHER_SHAPES = 2
# Models that are less likely than the best by this many log units weigh nothing, whatever they
# say of what matters.
NEGLIGIBLE = 30.0
# Multiplications in a product of matrices that OpenBLAS leaves to one thread (it takes 2**18).
UNTHREADED = 200_000


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


class Hypothesis:
    """Bounded or growing: all models of a table, in one row of arrays, at the places of a grid.

    base: log priors by memory. Of each model (memories × models): its log prior with what its
    coefficients cost, the end slope of its last shape, its degrees of freedom; and ``spread``: of
    the error of the growth at its end, the square in units of the model's squared error.
    """

    def __init__(self, gram: Floats, base: Floats, models: Sequence[Models], count: int) -> None:
        self.models = [one for one in models if one.columns.shape[1] + 3 <= count]
        self._factors = [_factors(gram, one.columns) for one in self.models]
        cost = np.log(count) / 2
        self._log_prior = base[:, None] + np.concatenate(
            [one.log_prior - cost * one.columns.shape[1] for one in self.models]
        )
        self._free, self._memory_count = count - 1, len(base)

    @cached_property
    def size(self) -> NDArray[np.int64]:
        """How many shapes each model has."""
        sizes = [np.full(len(one.columns), one.columns.shape[1]) for one in self.models]
        return np.concatenate(sizes)

    @cached_property
    def degrees(self) -> Floats:
        """Degrees of freedom beside all shapes."""
        return np.tile((self._free - self.size).astype(np.float64), self._memory_count)

    @cached_property
    def slope(self) -> Floats:
        """Growth per run at its end, of a coefficient of one of the last shape."""
        return np.tile(np.concatenate([one.slope for one in self.models]), self._memory_count)

    @cached_property
    def spread(self) -> Floats:
        """Squared error of the growth at the end, in units of the squared error of the model."""
        last = [
            factors[-1][-1] if factors else np.zeros((self._memory_count, len(models.columns)))
            for factors, models in zip(self._factors, self.models, strict=True)
        ]
        spread: Floats = (np.concatenate(last, axis=1).ravel() * self.slope) ** 2 / self.degrees
        return spread

    def fit(self, seen: _Seen) -> _Fitted:
        """What a series says of each model."""
        explained, last = [], []
        for models, factors in zip(self.models, self._factors, strict=True):
            products = [seen.b.take(column, axis=1) for column in models.columns.T]
            along = [_sum_of(row, products) for row in factors]
            if not along:
                along = [np.zeros((self._memory_count, len(models.columns)))]
            explained.append(_sum_of(along, along))
            last.append(along[-1] * factors[-1][-1] if factors else along[0])
        rest = np.maximum(seen.square[:, None] - np.concatenate(explained, axis=1), 0) + seen.least
        log_p = self._log_prior - seen.free / 2 * np.log(rest)
        return _Fitted(log_p, np.concatenate(last, axis=1), rest)

    def shapes_of(self, model: int) -> list[int]:
        """The shapes of a model, as rows of its table's."""
        size = int(self.size[model])
        first = int(np.searchsorted(self.size, size))
        (mine,) = (one for one in self.models if one.columns.shape[1] == size)
        return [int(at) for at in mine.columns[model - first]]


class Grid:
    """What depends on the places u alone: whitened shapes, and the hypotheses about them."""

    def __init__(self, u: Floats) -> None:
        count = len(u)
        self.u = u
        self.shapes, bounded, growing = table(count)
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
        self.bounded, self.growing = (
            Hypothesis(self.gram, self.base, models, count) for models in (bounded, growing)
        )
        self.settled, self.silent = in_use(self.bounded.models, u).T.copy()
        self.beside_teeth = np.array([self.place[shape] for shape in teeth_table().shapes[:-1]])

    def named(self, model: int) -> tuple[Shape, ...]:
        """The shapes of a bounded model, their steps by the place in the run: between two looks."""
        middle = (self.u[1:] + self.u[:-1]) / 2
        shapes = (self.shapes[at] for at in self.bounded.shapes_of(model))
        return tuple(
            Shape("step", float(middle[int(shape.at) - 1])) if shape.kind == "step" else shape
            for shape in shapes
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


def _sum_of(ones: Sequence[Floats], others: Sequence[Floats]) -> Floats:
    """The sum of the products of pairs."""
    total = ones[0] * others[0]
    for one, other in zip(ones[1:], others[1:], strict=False):
        total += one * other
    return total


def _factors(gram: Floats, columns: NDArray[np.int64]) -> list[list[Floats]]:
    """How the shapes of models make orthonormal ones (Gram and Schmidt): row k holds the factors,
    arrays (memories, models), of the first k + 1 shapes in the one that shape k adds."""
    rows: list[list[Floats]] = []
    for at, column in enumerate(columns.T):
        # In the order of memory of all other arrays: others would take twice as long.
        products = [np.ascontiguousarray(gram[:, column, other]) for other in columns.T[: at + 1]]
        along = [_sum_of(row, products) for row in rows]
        left = products[at] * (1 + RIDGE) + RIDGE**2
        for part in along:
            left = left - part * part
        size = np.sqrt(left)
        factors = [
            -_sum_of(along[other:], [row[other] for row in rows[other:]]) / size
            for other in range(at)
        ]
        rows.append([*factors, 1 / size])
    return rows


def posterior(u: Floats, z: Floats) -> Posterior:
    """What the figures z (multiples of what matters) at places u of the run say."""
    here = grid(u)
    free = len(u) - 1
    z = z - z[0]
    seen_range = float(np.ptp(z))
    v = here.whiten @ z
    seen = _Seen(
        v=v,
        b=np.einsum("mnk,mn->mk", here.whitened, v),
        square=np.einsum("mn,mn->m", v, v),
        least=free * (RESOLUTION**2 + (DISCREPANCY * seen_range) ** 2),
        free=free,
        range=seen_range,
    )
    return _combined(here, seen, _Teeth(here, z, seen))


class _Seen(NamedTuple):
    """A series as its grid sees it: the whitened figures v (memories, points), their products b
    with all shapes (memories, shapes) and with themselves (``square``), the least squared error,
    the degrees of freedom beside its level, and the range of its figures."""

    v: Floats
    b: Floats
    square: Floats
    least: float
    free: int
    range: float


class _Fitted(NamedTuple):
    """Arrays (memories, models): log evidence, coefficient of the last shape, squared error."""

    log_p: Floats
    coefficient: Floats
    rest: Floats


def fall_places(z: Floats) -> NDArray[np.int64]:
    """Return at which figures a tooth has ended: those right after the loss of much at once."""
    return np.flatnonzero(np.diff(z) < -FALL * max(float(np.ptp(z)), 1e-9)) + 1


class _Teeth:
    """Models of the teeth of this series: of one pace since each fall, beside other shapes.

    bounded: log evidences. growing: what the growing ones say (:func:`_weighing`), if any.
    """

    def __init__(self, here: Grid, z: Floats, seen: _Seen) -> None:
        self.bounded: Floats = np.empty(0)
        self.growing: list[tuple[Hypothesis, _Fitted]] = []
        count, falls = len(z), fall_places(z)
        if not 1 <= len(falls) <= count // 3:
            return
        begins = np.concatenate([[0.0], here.u[falls]])
        since = here.u - begins[np.searchsorted(falls, np.arange(count), side="right")]
        tooth = here.whiten @ since
        others = here.beside_teeth
        gram = _with_one_more(
            here.gram[:, others[:, None], others],
            np.einsum("mnk,mn->mk", here.whitened[:, :, others], tooth),
            tooth,
        )
        mine = np.column_stack([seen.b[:, others], np.einsum("mn,mn->m", tooth, seen.v)])
        _, bounded, growing = teeth_table()
        fitted = [Hypothesis(gram, here.base, bounded, count).fit(seen._replace(b=mine)).log_p]
        own = _own_heights(here, falls)
        if len(falls) <= OWN_TEETH and own.columns.shape[1] + 3 <= count:
            fitted.append(Hypothesis(here.gram, here.base, [own], count).fit(seen).log_p)
        self.bounded = np.concatenate([log_p.ravel() for log_p in fitted])
        hypothesis = Hypothesis(gram, here.base, growing, count)
        self.growing = [(hypothesis, hypothesis.fit(seen._replace(b=mine)))]


def _with_one_more(gram: Floats, beside: Floats, one: Floats) -> Floats:
    """The products of shapes, and of one more with them and with itself."""
    column = np.concatenate([beside, np.einsum("mn,mn->m", one, one)[:, None]], axis=1)[..., None]
    row = np.swapaxes(column, 1, 2)[..., :-1]
    return np.concatenate([np.concatenate([gram, row], axis=1), column], axis=2)


def _own_heights(here: Grid, falls: NDArray[np.int64]) -> Models:
    """The model of a line and a step at each fall: teeth of one pace, of own heights."""
    steps = [here.place[Shape("step", float(at))] for at in falls]
    return Models(np.log([TOOTH_PRIOR]), np.array([[here.place[LINE], *steps]]), np.zeros(1))


def _combined(here: Grid, seen: _Seen, teeth: _Teeth) -> Posterior:
    bounded = here.bounded.fit(seen)
    sum_bounded = _log_sum(np.append(bounded.log_p, teeth.bounded))
    weight = np.exp(bounded.log_p - sum_bounded)
    by_model = weight.sum(axis=0)
    # The last shape is the last step, if any: one that falls is no growth that may go on.
    rising = np.einsum("mk,mk->k", weight, bounded.coefficient > 0)
    best = here.named(int(np.argmax(by_model)))
    if np.exp(teeth.bounded - sum_bounded).sum() > 0.5:
        best = (TOOTH,)
    found = [
        (hypothesis, _within(fitted, seen.range))
        for hypothesis, fitted in ((here.growing, here.growing.fit(seen)), *teeth.growing)
    ]
    least = max(float(fitted.log_p.max()) for _, fitted in found) - NEGLIGIBLE
    arrays = (_weighing(hypothesis, fitted, least) for hypothesis, fitted in found)
    log_p, rise, growths, spreads, rest = map(np.concatenate, zip(*arrays, strict=True))
    sum_growing = _log_sum(log_p)
    weights = np.exp(log_p - sum_growing)
    growth = float(weights @ growths)
    spread = float(np.sqrt(weights @ (spreads**2 + (growths - growth) ** 2)))
    margin = float(stdtrit(max(seen.free - 2, 2), 0.975)) * spread
    return Posterior(
        log_odds=sum_growing - sum_bounded,
        growth=growth,
        low=growth - margin,
        high=growth + margin,
        rise=float(weights @ rise),
        smooth=float(by_model @ here.settled),
        silence=float(rising @ here.silent),
        memory=float(weight.sum(axis=1) @ list(MEMORIES)),
        shapes=best,
        noise=float(np.sqrt(weights @ rest / seen.free)),
    )


def _within(fitted: _Fitted, seen_range: float) -> _Fitted:
    """The models of growth, without those whose growth was never there: others take it away.

    Each of their other shapes may take away what there is, once, and no more was ever there than
    the range.
    """
    most = (1 + OTHER_SHAPES) * seen_range
    weight = np.where(fitted.coefficient > most, NEGLIGIBLE, 0.0)
    return fitted._replace(log_p=fitted.log_p - weight)


def _weighing(hypothesis: Hypothesis, fitted: _Fitted, least: float) -> tuple[Floats, ...]:
    """Log evidence that they grow by what matters, coefficient, growth over one more run with its
    standard error, and squared error of the models whose evidence is above ``least``."""
    near = np.flatnonzero(fitted.log_p > least)
    degrees, rise, rest = (
        values.take(near) for values in (hypothesis.degrees, fitted.coefficient, fitted.rest)
    )
    growth = rise * hypothesis.slope.take(near)
    error = np.sqrt(hypothesis.spread.take(near) * rest)
    log_p = fitted.log_p.take(near) + np.log(2)
    log_p += log_student(degrees, (growth - 1.0) / np.maximum(error, 1e-9))
    return log_p, rise, growth, error, rest


def _log_sum(logs: Floats) -> float:
    """The logarithm of the sum of exponentials."""
    top = float(logs.max())
    return top + float(np.log(np.exp(logs - top).sum()))
