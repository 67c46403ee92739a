"""Shapes of growth, healthy and leaking, as arrays with one value per mark.

They are what the method is tried on, in its tests and in the notebook ``80-how-verdicts-work``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaklab.verdict.evidence import GROWS, UNDECIDED
from leaklab.verdict.growth import estimate
from leaklab.verdict.reading import read

Series = NDArray[np.float64]

# Growth over the run that matters, in the unit of these shapes: their noise is about half of it.
MATERIAL = 2.0


def steady(count: int, level: float = 0.0) -> Series:
    """The same value all along."""
    return np.full(count, float(level))


def leak(count: int, rate: float, *, start: float = 0.0, begin: int = 0) -> Series:
    """``rate`` more at every mark, from mark ``begin`` on."""
    return start + rate * np.maximum(np.arange(count) - begin, 0.0)


def bounded(count: int, ceiling: float, *, full_at: int) -> Series:
    """A cache that fills linearly until ``full_at`` and then stays."""
    filled: Series = ceiling * np.minimum(np.arange(count) / full_at, 1.0)
    return filled


def warm_up(count: int, ceiling: float, *, half_life: float) -> Series:
    """Growth that levels off: half of what is missing comes every ``half_life`` marks."""
    reached: Series = ceiling * (1 - 0.5 ** (np.arange(count) / half_life))
    return reached


def sawtooth(count: int, height: float, *, period: int) -> Series:
    """Fills and is cleared every ``period`` marks."""
    filled: Series = height * (np.arange(count) % period) / period
    return filled


def stairs(count: int, height: float, *, every: int) -> Series:
    """``height`` more at once, every so many marks."""
    climbed: Series = height * np.floor(np.arange(count) / every)
    return climbed


def step(count: int, height: float, *, at: int) -> Series:
    """One single step."""
    return np.where(np.arange(count) >= at, float(height), 0.0)


def noise(count: int, scale: float, *, autocorrelation: float = 0.0, seed: int = 0) -> Series:
    """Gaussian noise of standard deviation ``scale``, first-order autocorrelated."""
    shocks: Series = np.random.default_rng(seed).normal(size=count) * scale
    if not autocorrelation:
        return shocks
    values, last = np.empty(count), shocks[0]
    weight = np.sqrt(1 - autocorrelation**2)
    for at, shock in enumerate(shocks):
        last = autocorrelation * last + weight * shock
        values[at] = last
    return values


def high_water(values: Series) -> Series:
    """What resident memory makes of a heap: it keeps its highest value."""
    highest: Series = np.maximum.accumulate(values)
    return highest


# Each shape for a length and a seed, by name; the second half of the names leak.
HEALTHY: dict[str, Callable[[int, int], Series]] = {
    "noise": lambda n, seed: noise(n, 1, seed=seed),
    "autocorrelated noise": lambda n, seed: noise(n, 1, autocorrelation=0.9, seed=seed),
    "warm-up, then plateau": lambda n, seed: (
        warm_up(n, 20, half_life=n / (10 + seed % 15)) + noise(n, 0.3, seed=seed)
    ),
    "single step": lambda n, seed: (
        step(n, 10, at=n // 8 + seed * 7 % (3 * n // 4)) + noise(n, 0.5, seed=seed)
    ),
    "sawtooth": lambda n, seed: (
        sawtooth(n, 30, period=n // 18 + seed % 23) + noise(n, 1, seed=seed)
    ),
    "cache that fills": lambda n, seed: bounded(n, 20, full_at=n // 4 + seed * 5 % (n // 2)),
    "high-water mark of noise": lambda n, seed: high_water(
        noise(n, 1, autocorrelation=0.9, seed=seed)
    ),
}
LEAKING: dict[str, Callable[[int, int], Series]] = {
    "leak in noise": lambda n, seed: leak(n, 8 / n) + noise(n, 1, seed=seed),
    "leak in autocorrelated noise": lambda n, seed: (
        leak(n, 12 / n) + noise(n, 1, autocorrelation=0.9, seed=seed)
    ),
    "leak after a warm-up": lambda n, seed: (
        leak(n, 20 / n) + warm_up(n, 20, half_life=n / 25) + noise(n, 0.3, seed=seed)
    ),
    "leak that begins late": lambda n, seed: (
        leak(n, 40 / n, begin=n // 3 + seed * 3 % (n // 5)) + noise(n, 0.5, seed=seed)
    ),
    "leak in stairs": lambda n, seed: stairs(n, 2, every=n // (9 + seed % 8)),
    "leak under a sawtooth": lambda n, seed: leak(n, 20 / n) + sawtooth(n, 30, period=n // 20),
    "one call in a hundred": lambda n, seed: np.cumsum(
        np.random.default_rng(seed).random(n) < 20 / n
    ).astype(float),
}


def called_growth(values: Series) -> dict[str, bool]:
    """Which tests call a series growing: two textbook ones, and leaklab's evidence.

    Keys: "Mann-Kendall" (p < 0.05, as if points were independent), "least squares" (slope over
    1.96 standard errors), "leaklab".
    """
    count = len(values)
    x = np.arange(count, dtype=np.float64)
    upper, lower = np.triu_indices(count, 1)
    score = float(np.sign(values[lower] - values[upper]).sum())
    spread = np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    centred = x - x.mean()
    slope = float(centred @ values / (centred @ centred))
    residual = values - values.mean() - slope * centred
    error = np.sqrt(residual @ residual / (count - 2) / (centred @ centred))
    return {
        "Mann-Kendall": score / spread > 1.645,
        "least squares": slope > 1.96 * error,
        "leaklab": _verdict(values) == GROWS,
    }


def called_leaks(count: int, repeats: int) -> pd.DataFrame:
    """Share of series that each test calls a leak, by shape; the last column is undecided."""
    rows = {}
    for kind, shapes in (("healthy", HEALTHY), ("leak", LEAKING)):
        for name, make in shapes.items():
            made = [make(count, seed) for seed in range(repeats)]
            row = pd.DataFrame([called_growth(values) for values in made]).mean()
            row["leaklab undecided"] = np.mean([_verdict(values) == UNDECIDED for values in made])
            rows[kind, name] = row
    table = pd.DataFrame(rows).T
    table.index.names = ["truth", "shape"]
    return table


def _verdict(values: Series) -> str:
    growth = estimate(np.arange(1, len(values) + 1), values)
    return read(growth, material=MATERIAL)[1].verdict
