"""Growth per unit of work of each kind, from a series that all kinds have grown together.

The model: value = level of the process + sum over labels of rate x units done + curve + unrest;
no rate is negative. The curve is one parabola over the age of all processes: what warms up
or fills is not a rate, and what it bends would else be laid to some label's charge (with it
intervals are half as wide where a cache fills, and cover as before). The unrest is autocorrelated
(what one look has too much, the next has too), so it is filtered as a first-order autoregression
(Prais and Winsten), whose coefficient is estimated; intervals are of the filtered least squares,
robust against unequal variance (HC3).

Units that run side by side end later than they grow, in another order: a count is then uncertain by
about the root of how many are under way. Labels whose counts differ by no more than that, because
they come in a cycle say, are not told apart, whatever the fit says.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.label_points import LabelPoints, ends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Averages of so many windows are compared, or of so many per label: work that is under way at the
# edge of a window then counts little.
WINDOW_COUNT, WINDOWS_PER_LABEL = 40, 8
# The variance of a rate is inflated so many times by the labels being called in proportion; beyond
# that windows are halved, at last to single figures, and beyond the second labels are one thing.
MOST_INFLATION, INSEPARABLE = 30.0, 1e4
FEWEST_SPARE = 4
# Of units at once, counts have to vary beyond those of the other labels by so many times the root
# of how many are under way, over windows that are made as wide as this many per unknown allow: in
# simulations of 2 and 4 at once no other label was then named, with 16 one in 120.
MOST_UNSURE, WINDOWS_PER_UNKNOWN = 0.75, 4
CONFIDENCE = 0.95
TOO_FEW = "too few figures at marks to tell growth per call; record more calls"
IN_PROPORTION = (
    "not told apart from others: always called in proportion to them; record them in another one"
)
_ROUNDS = 4
_MOST_AUTOCORRELATION = 0.99


@dataclass(frozen=True)
class LabelRates:
    """Rates per unit of work, one per label: estimate, 95 % interval, standard error.

    NaN for labels that cannot be told apart from others, and where there are too few figures:
    ``why`` says of which it was so, "" elsewhere.
    """

    rate: Floats
    low: Floats
    high: Floats
    error: Floats
    why: NDArray[np.object_]


def label_rates(points: LabelPoints, width: int | None = None) -> LabelRates:
    """Return the growth of ``points`` per unit of work of each label.

    width: figures to a window; None for as few as tell the labels apart.

    >>> rates = label_rates(points)
    >>> dict(zip(points.labels, rates.rate))
    {'GET /export': 319488.0, 'GET /': 0.0}
    """
    used = points.calls > 0
    width = width or _window_width(points)
    process, value, counts = _averaged(points.process, points.value, points.counts[:, used], width)
    counts_differ = _spread(process, counts) >= _unsure(points)
    unknown = np.full(len(points.labels), np.nan)
    why = np.full(len(points.labels), "", dtype=object)
    told = LabelRates(unknown, unknown.copy(), unknown.copy(), unknown.copy(), why)
    design = _design(process, counts)
    free = len(value) - design.shape[1]
    if not used.any() or free < FEWEST_SPARE:
        why[used] = TOO_FEW
        return told
    proportional = _inflation(process, counts) >= INSEPARABLE
    apart = counts_differ & ~proportional
    at_once = _at_once_text(points.at_once, alone=counts.shape[1] == 1)
    why[used] = np.where(apart, "", np.where(proportional, IN_PROPORTION, at_once))
    y, x = _filtered(process, value, design, _autocorrelation(process, value, design))
    fitted, error = _fit(y, x, counts.shape[1])
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, free)) * error
    limited = _limited(y, x, counts.shape[1])
    where = np.flatnonzero(used)[apart]
    told.rate[where] = limited[apart]
    told.low[where] = np.maximum(np.minimum(fitted, limited) - reach, 0.0)[apart]
    told.high[where] = (np.maximum(fitted, limited) + reach)[apart]
    told.error[where] = error[apart]
    return told


def part_rates(part: LabelPoints, of: LabelPoints) -> LabelRates:
    """Return the growth per label in some of the figures ``of`` a run.

    A label that they do not tell apart on their own is told in windows as wide as those of all.
    """
    own = label_rates(part)
    unknown = np.isnan(own.rate)
    if not unknown.any():
        return own
    wide = label_rates(part, _window_width(of))
    rows = ((getattr(wide, f.name), getattr(own, f.name)) for f in fields(LabelRates))
    return LabelRates(*(np.where(unknown, one, other) for one, other in rows))


def _window_width(points: LabelPoints) -> int:
    """Return over how many figures to average: as few as tell the labels of ``points`` apart."""
    counts = points.counts[:, points.calls > 0]
    total = len(points.value)
    wanted: int = max(WINDOW_COUNT, WINDOWS_PER_LABEL * counts.shape[1])
    width: int = max(total // wanted, 1)
    unknowns = counts.shape[1] + len(np.unique(points.process))
    while points.at_once > 1:
        process, _, mean = _averaged(points.process, points.value, counts, width)
        wider = width + width // 2 + 1
        if (_spread(process, mean) >= _unsure(points)).all() or (
            total // wider < WINDOWS_PER_UNKNOWN * unknowns
        ):
            return width
        width = wider
    while True:
        process, _, mean = _averaged(points.process, points.value, counts, width)
        if width == 1 or _inflation(process, mean).max(initial=0.0) <= MOST_INFLATION:
            return width
        width //= 2


def _averaged(
    process: NDArray[np.int64], value: Floats, counts: Floats, width: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    first, last = ends(process)
    starts = np.concatenate([np.arange(a, b + 1, width) for a, b in zip(first, last, strict=True)])
    sizes = np.diff(np.append(starts, len(process)))
    mean = np.add.reduceat(counts, starts, axis=0) / sizes[:, None]
    return process[starts], np.add.reduceat(value, starts) / sizes, mean


def _inflation(process: NDArray[np.int64], counts: Floats) -> Floats:
    """How many times the variance of each label's rate is what it would be with it alone."""
    steps = np.diff(counts, axis=0)[np.diff(process) == 0]
    size = np.linalg.norm(steps, axis=0)
    if not len(steps) or not (size > 0).all():
        return np.full(counts.shape[1], np.inf)
    scaled = steps / size
    gram = scaled.T @ scaled
    if np.linalg.cond(gram) > 1 / np.finfo(float).eps:
        values, vectors = np.linalg.eigh(gram)
        lost = values < len(values) * np.finfo(float).eps * 10
        return np.where((np.abs(vectors[:, lost]) > 1e-6).any(axis=1), np.inf, 1.0)
    return np.asarray(np.diag(np.linalg.inv(gram)))


def _spread(process: NDArray[np.int64], counts: Floats) -> Floats:
    """By how many units each label's count changes from window to window beyond all others'."""
    steps = np.diff(counts, axis=0)[np.diff(process) == 0]
    size: Floats = np.sqrt((steps**2).mean(axis=0)) if len(steps) else np.zeros(counts.shape[1])
    return size / np.sqrt(_inflation(process, counts))


def _unsure(points: LabelPoints) -> float:
    """By how many units a count is uncertain, of units that run side by side."""
    return MOST_UNSURE * float(np.sqrt(points.at_once)) if points.at_once > 1 else 0.0


def _at_once_text(at_once: int, *, alone: bool) -> str:
    """Say why counts that vary too little, beside how many units are under way, tell no rate."""
    if alone:
        return f"too few calls beside {at_once} under way at once; record more, or one at a time"
    return (
        f"not told apart from others: up to {at_once} calls were under way at once, and how many "
        "there are of each varies by less; record more, or one at a time"
    )


def _design(process: NDArray[np.int64], counts: Floats) -> Floats:
    levels = process[:, None] == np.unique(process)[None, :]
    age = counts.sum(axis=1)
    bend = ((age - age.mean()) / max(float(np.ptp(age)), 1.0)) ** 2
    return np.column_stack([counts, levels.astype(np.float64), bend])


def _filtered(
    process: NDArray[np.int64], value: Floats, design: Floats, phi: float
) -> tuple[Floats, Floats]:
    """Take out what each row shares with the one before it of the same process."""
    first = np.append(True, np.diff(process) != 0)
    weight = np.sqrt(1 - phi * phi)
    y, x = value.copy(), design.copy()
    y[1:] -= phi * value[:-1]
    x[1:] -= phi * design[:-1]
    y[first], x[first] = weight * value[first], weight * design[first]
    return y, x


def _autocorrelation(process: NDArray[np.int64], value: Floats, design: Floats) -> float:
    phi = 0.0
    same = np.diff(process) == 0
    for _ in range(_ROUNDS):
        y, x = _filtered(process, value, design, phi)
        rest = value - design @ np.linalg.lstsq(x, y, rcond=None)[0]
        power = float((rest[:-1][same] ** 2).sum())
        if power <= 0:
            return 0.0
        raw = float((rest[1:][same] * rest[:-1][same]).sum()) / power
        # Of few figures it comes out too small.
        phi = float(np.clip(raw + (1 + 3 * raw) / len(value), 0.0, _MOST_AUTOCORRELATION))
    return phi


def _fit(y: Floats, x: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the rates, those of the first ``count`` columns of x, without a sign imposed on them,
    and their standard errors."""
    inverse = np.linalg.pinv(x.T @ x)
    fitted = inverse @ (x.T @ y)
    leverage = np.clip(np.einsum("ij,jk,ik->i", x, inverse, x), 0.0, 0.99)
    scaled = ((y - x @ fitted) / (1 - leverage))[:, None] * x
    variance = inverse @ (scaled.T @ scaled) @ inverse
    error = np.sqrt(np.maximum(np.diag(variance), 0.0))
    return fitted[:count], error[:count]


def _limited(y: Floats, x: Floats, count: int) -> Floats:
    """Return the same rates, of which none is negative."""
    from scipy.optimize import lsq_linear

    low = np.full(x.shape[1], -np.inf)
    low[:count] = 0.0
    scale = np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    found = lsq_linear(x / scale, y, bounds=(low, np.inf), method="bvls").x / scale
    return np.asarray(found[:count])
