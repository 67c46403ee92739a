"""A bank of resource series with known truth, to measure a leak verdict by.

Every series is made in two steps. A family draws a latent figure for each of N units of work
(amplitudes in multiples of the resource's material amount M, so that families are comparable
between bytes and counts) together with what is true of it. A scheme decides at which units it is
looked at, and a rounding what is stored of each look. numpy only; ``make(seed)`` always returns
the same series, ``bank(count)`` is ``make`` for seeds 0, 1, 2, ...

What is known of a series
    truth       "leak": the expected figure goes on rising for as long as the work goes on.
                "bounded": it does not.
    accept      verdicts that are right. Always the truth; "inconclusive" too where the run ended
                before it could be told (a warm-up that has not levelled off, a leak that began in
                the last fifth, fewer than five events, less than twice the material amount).
    difficulty  "easy", "middle", "hard", or "undecidable" (where accept has two entries).
    settled_x   share of the run after which a bounded figure is at its level (1.0: never).
    gain        rise of a leak's expected figure over the run; 0 for a bounded series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator
Floats = np.ndarray

MIB, PAGE = float(1 << 20), 4096.0
MATERIAL = {
    "rss_bytes": MIB,
    "heap_bytes": 16384.0,
    "fd_count": 3.0,
    "thread_count": 3.0,
    "task_count": 3.0,
    "gauge:size": 3.0,
}
BYTES, COUNTS = ("rss_bytes", "heap_bytes"), ("fd_count", "thread_count", "task_count")
LEVEL = {
    "rss_bytes": 60 * MIB,
    "heap_bytes": 2e5,
    "fd_count": 12.0,
    "thread_count": 4.0,
    "task_count": 6.0,
    "gauge:size": 100.0,
}


@dataclass(frozen=True)
class Series:
    """One series, how it was looked at, and what is true of it."""

    x: Floats
    y: Floats
    unit: str
    resource: str
    truth: str
    accept: tuple[str, ...]
    family: str
    difficulty: str
    scheme: str
    rounding: str
    material: float
    heap_bytes: float
    gain: float
    settled_x: float
    seed: int


@dataclass
class Latent:
    """What a family makes: a figure per unit of work in multiples of M, and its truth."""

    y: Floats
    truth: str
    difficulty: str = "middle"
    gain: float = 0.0
    settled_x: float = 0.0


# --------------------------------------------------------------------------------------- parts


def log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def grade(value: float, middle: float, hard: float, undecidable: float = np.inf) -> str:
    """The larger the value, the more difficult."""
    steps = ((undecidable, "undecidable"), (hard, "hard"), (middle, "middle"))
    return next((name for limit, name in steps if value >= limit), "easy")


def ar1(rng: Rng, n: int, rho: float) -> Floats:
    """A stationary AR(1) series of unit variance."""
    shocks = rng.standard_normal(n) * np.sqrt(1 - rho * rho)
    y = np.empty(n)
    last = rng.standard_normal()
    for i in range(n):
        last = rho * last + shocks[i]
        y[i] = last
    return y


def sawtooth(rng: Rng, n: int, period: float, jitter: float = 0.0) -> Floats:
    """Rises from 0 to 1 and falls back; each tooth's length varies by ``jitter``."""
    lengths = period * np.maximum(1 + jitter * rng.standard_normal(int(2 * n / period) + 8), 0.3)
    ends = np.cumsum(lengths) - rng.uniform(0, period)
    at = np.arange(n)
    tooth = np.searchsorted(ends, at, side="right")
    begins = np.concatenate([[ends[0] - lengths[0]], ends])
    return (at - begins[tooth]) / period


def cycle(rng: Rng, n: int, cycles: float) -> Floats:
    """A day and night rhythm between 0 and 1, with a second harmonic."""
    phase = rng.uniform(0, 2 * np.pi)
    angle = 2 * np.pi * cycles * np.arange(n) / n + phase
    return 0.5 + 0.4 * np.sin(angle) + 0.1 * np.sin(2 * angle + 1)


def mixed_noise(rng: Rng, n: int, kind: str | None = None) -> Floats:
    """Noise of about unit spread, of a random kind."""
    kind = kind or str(rng.choice(["white", "ar", "lognormal", "student"]))
    if kind == "white":
        return rng.standard_normal(n)
    if kind == "ar":
        return ar1(rng, n, rng.uniform(0.5, 0.95))
    if kind == "lognormal":
        y = np.exp(rng.uniform(0.4, 1.0) * rng.standard_normal(n))
        return (y - y.mean()) / y.std()
    return np.clip(rng.standard_t(3, n), -30, 30) / 1.7


def settle(curve: Floats, level: float, amount: float) -> float:
    """Share of the run after which a noise-free curve stays within a tenth of its level."""
    away = np.abs(curve - level) > max(0.1 * abs(level - curve[0]), 0.5 * min(1.0, amount))
    last = np.flatnonzero(away)
    return 0.0 if not len(last) else float((last[-1] + 1) / len(curve))


def warm_up(rng: Rng, curve: Floats, level: float, amount: float) -> Latent:
    """A curve from 0 towards ``level`` (in shares), scaled, with a little noise."""
    settled = settle(curve * amount, level * amount, amount)
    noise = rng.choice([0.0, 0.01, 0.03, 0.1]) * amount
    y = amount * curve + noise * mixed_noise(rng, len(curve))
    return Latent(y, "bounded", grade(settled, 0.4, 0.6, 0.8), settled_x=settled)


def amount_of(rng: Rng) -> float:
    """How much a warm-up or a tooth brings, in M."""
    return log_uniform(rng, 1.5, 80)


# ------------------------------------------------------------------------------ bounded families


def constant(rng: Rng, n: int) -> Latent:
    y = np.zeros(n)
    if rng.random() < 0.5:
        y += 0.05 * rng.standard_normal(n)
    return Latent(y, "bounded", "easy")


def white(rng: Rng, n: int) -> Latent:
    return Latent(log_uniform(rng, 0.3, 30) * rng.standard_normal(n), "bounded", "easy")


def autocorrelated(rng: Rng, n: int) -> Latent:
    rho = 1 - log_uniform(rng, 0.02, 0.5)
    memory = 1 / (1 - rho) / n
    y = log_uniform(rng, 0.5, 20) * ar1(rng, n, rho)
    return Latent(y, "bounded", grade(memory, 0.01, 0.03, 0.12))


def lognormal(rng: Rng, n: int) -> Latent:
    y = log_uniform(rng, 0.5, 15) * np.exp(rng.uniform(0.4, 1.2) * rng.standard_normal(n))
    return Latent(y, "bounded", "middle")


def outliers(rng: Rng, n: int) -> Latent:
    y = log_uniform(rng, 0.3, 10) * np.clip(rng.standard_t(rng.uniform(1.5, 3), n), -60, 60)
    return Latent(np.abs(y) if rng.random() < 0.5 else y, "bounded", "middle")


def exponential_warm_up(rng: Rng, n: int) -> Latent:
    tau = log_uniform(rng, 0.02, 1.0) * n
    return warm_up(rng, 1 - np.exp(-np.arange(1, n + 1) / tau), 1.0, amount_of(rng))


def coupon_collector(rng: Rng, n: int) -> Latent:
    """A memo over a finite domain, all keys alike: n draws of K keys."""
    keys = max(4, int(log_uniform(rng, 0.03, 0.9) * n))
    seen = np.zeros(keys, bool)
    curve = np.empty(n)
    drawn = rng.integers(keys, size=n)
    count = 0
    for i, key in enumerate(drawn):
        count += not seen[key]
        seen[key] = True
        curve[i] = count / keys
    return warm_up(rng, curve, 1.0, amount_of(rng))


def lazy_imports(rng: Rng, n: int) -> Latent:
    """Steps at first uses: rarer and rarer, the last somewhere in the run."""
    count, last = int(rng.integers(2, 13)), rng.uniform(0.05, 0.9)
    at = np.sort(last * n * rng.random(count) ** rng.uniform(1, 3)).astype(int)
    sizes = np.exp(rng.standard_normal(count))
    curve = np.zeros(n)
    np.add.at(curve, at, sizes / sizes.sum())
    return warm_up(rng, np.cumsum(curve), 1.0, amount_of(rng))


def fill_to_maximum(rng: Rng, n: int) -> Latent:
    """LRU, pool, ring, deque: as a leak until it is full."""
    full = rng.uniform(0.08, 1.3)
    ramp = np.minimum(np.arange(1, n + 1) / (full * n), 1.0)
    if rng.random() < 0.3:  # misses become rarer as it fills
        ramp = np.minimum(1.05 * (1 - np.exp(-3 * np.arange(1, n + 1) / (full * n))), 1.0)
    amount = amount_of(rng)
    y = amount * ramp
    if rng.random() < 0.5:  # full entries differ in size: the level moves a little
        y += amount * 0.02 * ramp * ar1(rng, n, 0.9)
    return Latent(y, "bounded", grade(full, 0.4, 0.65, 0.85), settled_x=min(full, 1.0))


def flush_sawtooth(rng: Rng, n: int) -> Latent:
    """Fills and is emptied; the period may be near the distance of looks (aliasing)."""
    period = log_uniform(rng, 2.2, n / 6)
    y = amount_of(rng) * sawtooth(rng, n, period, float(rng.choice([0.0, 0.02, 0.2])))
    return Latent(y, "bounded", grade(period / n, 0.03, 0.1))


def collector_sawtooth(rng: Rng, n: int) -> Latent:
    """Cycles wait for the collector: small teeth of generation 1 within large ones."""
    young = log_uniform(rng, 1.5, 20)
    old = young * rng.uniform(5, 12)
    share = rng.uniform(0.2, 0.9)
    teeth = (1 - share) * sawtooth(rng, n, young, 0.1) + share * sawtooth(rng, n, old, 0.1)
    return Latent(amount_of(rng) * teeth, "bounded", grade(old / n, 0.05, 0.2))


def log_rotation(rng: Rng, n: int) -> Latent:
    """A few large teeth in the run."""
    count = rng.uniform(1.1, 6)
    y = amount_of(rng) * sawtooth(rng, n, n / count, 0.05) + 0.1 * rng.standard_normal(n)
    return Latent(y, "bounded", grade(1 / count, 0.25, 0.35, 0.5))


def late_step(rng: Rng, n: int) -> Latent:
    at = rng.uniform(0.3, 0.97)
    amount = amount_of(rng)
    noise = rng.choice([0, 0.02, 0.1, 0.3]) * amount
    y = amount * (np.arange(n) >= at * n) + noise * mixed_noise(rng, n)
    return Latent(y, "bounded", grade(at, 0.5, 0.7, 0.85), settled_x=at)


def doublings_that_end(rng: Rng, n: int) -> Latent:
    """A table that doubles until its contents are complete."""
    last, count = rng.uniform(0.15, 0.85), int(rng.integers(3, 8))
    ends = last * 2.0 ** -np.arange(count)[::-1]
    curve = sum((np.arange(n) >= end * n) * 2.0 ** (k - count) for k, end in enumerate(ends))
    amount = amount_of(rng)
    return Latent(
        amount * np.asarray(curve, float), "bounded", grade(last, 0.3, 0.5, 0.75), settled_x=last
    )


def fragmentation(rng: Rng, n: int) -> Latent:
    """A plateau approached slowly, by a power law, with the ups and downs of pages."""
    tau, power = log_uniform(rng, 0.005, 0.1) * n, rng.uniform(0.8, 2.5)
    curve = 1 - (1 + np.arange(n) / tau) ** -power
    amount = amount_of(rng)
    latent = warm_up(rng, curve, 1.0, amount)
    latent.y = latent.y + 0.03 * amount * ar1(rng, n, 0.9)
    return latent


def wandering(rng: Rng, n: int) -> Latent:
    """Ornstein-Uhlenbeck: a level that wanders and comes back."""
    memory = log_uniform(rng, 0.01, 0.25)
    y = log_uniform(rng, 0.7, 15) * ar1(rng, n, np.exp(-1 / (memory * n)))
    return Latent(y, "bounded", grade(memory, 0.03, 0.06, 0.1))


def daily(rng: Rng, n: int) -> Latent:
    cycles = rng.uniform(1.2, 9)
    amount = amount_of(rng)
    y = amount * (cycle(rng, n, cycles) + rng.choice([0.01, 0.05, 0.15]) * mixed_noise(rng, n))
    return Latent(y, "bounded", grade(1 / cycles, 0.25, 0.35, 0.5))


def restarts(rng: Rng, n: int) -> Latent:
    """Deploys: back to the base, warm-up again, at irregular times."""
    count, tau = int(rng.integers(1, 8)), log_uniform(rng, 0.01, 0.08) * n
    begins = np.concatenate([[0], np.sort(rng.integers(1, n, count))])
    since = np.arange(n) - begins[np.searchsorted(begins, np.arange(n), side="right") - 1]
    amount = amount_of(rng)
    y = amount * (1 - np.exp(-since / tau) + 0.03 * rng.standard_normal(n))
    last = begins[-1] / n
    return Latent(y, "bounded", "undecidable" if last > 0.8 else "middle", settled_x=last)


def recycled_workers(rng: Rng, n: int) -> Latent:
    """Workers that grow and are replaced after so many requests: healthy by design."""
    workers, life = int(rng.integers(2, 9)), log_uniform(rng, 0.03, 0.3) * n
    amount = amount_of(rng)
    y = sum(
        np.where(np.arange(n) < first, np.arange(n) / life, 0)
        + np.where(np.arange(n) >= first, np.roll(sawtooth(rng, n, life, 0.1), int(first)), 0)
        for first in rng.uniform(0.8, 1.2, workers) * life
    )
    return Latent(
        amount * np.asarray(y) / workers,
        "bounded",
        grade(life / n, 0.08, 0.15, 0.22),
        settled_x=life / n,
    )


def page_noise(rng: Rng, n: int) -> Latent:
    """Resident pages come in runs and go seldom: small steps both ways around a level."""
    y = np.zeros(n)
    level, size = 0.0, log_uniform(rng, 0.05, 1.0)
    for i in range(n):
        if rng.random() < 0.1:
            level += size * (rng.standard_exponential() * rng.choice([-1, 1]) - 0.2 * level / size)
        y[i] = level
    return Latent(y, "bounded", "middle")


def pool(rng: Rng, n: int) -> Latent:
    """Connections or threads in use: arrivals and departures around a mean."""
    mean, memory = log_uniform(rng, 0.7, 10), log_uniform(rng, 2, 0.04 * n + 3)
    now, y = float(rng.poisson(3 * mean)), np.empty(n)
    arrivals, leave = rng.poisson(3 * mean / memory, n), 1 / memory
    for i in range(n):
        now += arrivals[i] - rng.binomial(int(now), leave)
        y[i] = now
    return Latent(y / 3, "bounded", grade(memory / n, 0.01, 0.025))


def pool_to_maximum(rng: Rng, n: int) -> Latent:
    """An executor keeps its threads: as many as were ever needed at once, up to a maximum."""
    mean, maximum = log_uniform(rng, 2, 30), rng.uniform(1.2, 2.5)
    used = np.maximum.accumulate(rng.poisson(mean, n))
    top = max(4.0, round(maximum * mean))
    y = np.minimum(used, top)
    settled = float(np.argmax(y == y[-1]) / n)
    return Latent(y / 3.0, "bounded", grade(settled, 0.3, 0.6, 0.8), settled_x=settled)


# --------------------------------------------------------------------------------- leak families


def gain_of(rng: Rng) -> float:
    """How much a leak brings over the run, in M: down to the material amount."""
    return log_uniform(rng, 1.2, 300)


def leak(y: Floats, gain: float, difficulty: str) -> Latent:
    """A leak; one that brings less than twice the material amount is undecidable."""
    return Latent(y, "leak", "undecidable" if gain < 2 else difficulty, gain=gain)


def line(n: int) -> Floats:
    return np.arange(1, n + 1) / n


def linear(rng: Rng, n: int) -> Latent:
    gain, ratio = gain_of(rng), float(rng.choice([0, 0.02, 0.05, 0.1, 0.2, 0.4]))
    y = gain * (line(n) + ratio * rng.standard_normal(n))
    return leak(y, gain, grade(ratio, 0.05, 0.2))


def linear_in_noise(rng: Rng, n: int) -> Latent:
    gain, ratio = gain_of(rng), log_uniform(rng, 0.02, 0.5)
    y = gain * (line(n) + ratio * mixed_noise(rng, n))
    return leak(y, gain, grade(ratio, 0.07, 0.2))


def linear_in_memory(rng: Rng, n: int) -> Latent:
    gain, rho = gain_of(rng), 1 - log_uniform(rng, 0.03, 0.5)
    ratio = log_uniform(rng, 0.02, 0.4)
    hard = ratio * np.sqrt((1 + rho) / (1 - rho) / n) * 10
    y = gain * (line(n) + ratio * ar1(rng, n, rho))
    return leak(y, gain, grade(hard, 0.2, 0.6, 2.0))


def under_sawtooth(rng: Rng, n: int) -> Latent:
    gain, ratio = gain_of(rng), log_uniform(rng, 0.3, 20)
    period = log_uniform(rng, 2.2, n / 8)
    teeth = sawtooth(rng, n, period, float(rng.choice([0.0, 0.02, 0.2])))
    hard = grade(ratio, 1.0, 3.0)
    return leak(gain * (line(n) + ratio * teeth), gain, "undecidable" if ratio > 8 else hard)


def poisson_events(rng: Rng, n: int) -> Latent:
    """One call in 10, 100 or 1000 leaks the same amount."""
    expected = n / float(rng.choice([10, 100, 1000]))
    gain = gain_of(rng)
    count = int(rng.poisson(expected))
    count = max(count, 1)
    y = gain / count * np.searchsorted(np.sort(rng.random(count)), line(n))
    return leak(y, gain, "undecidable" if count < 5 else grade(1 / count, 0.03, 0.1))


def heavy_events(rng: Rng, n: int) -> Latent:
    """Events of very different sizes (Pareto or log-normal)."""
    count, gain = int(log_uniform(rng, 8, max(12, n / 3))), gain_of(rng)
    if rng.random() < 0.5:
        sizes = np.minimum(rng.pareto(rng.uniform(1.3, 2.5), count) + 1, 40)
    else:
        sizes = np.exp(rng.uniform(0.7, 1.3) * rng.standard_normal(count))
    at = np.minimum((np.sort(rng.random(count)) * n).astype(int), n - 1)
    y = np.zeros(n)
    np.add.at(y, at, sizes / sizes.sum())
    effective = sizes.sum() ** 2 / (sizes @ sizes)
    return leak(gain * np.cumsum(y), gain, grade(1 / effective, 0.05, 0.12, 0.25))


def late_start(rng: Rng, n: int) -> Latent:
    begin, gain = float(rng.choice([0.3, 0.5, 0.7])), gain_of(rng)
    ratio = float(rng.choice([0, 0.02, 0.05, 0.15]))
    y = gain * (np.maximum(line(n) - begin, 0) / (1 - begin) + ratio * mixed_noise(rng, n))
    hard = grade(begin + ratio, 0.4, 0.6)
    return leak(y, gain, "undecidable" if begin == 0.7 and ratio > 0.1 else hard)


def stairs(rng: Rng, n: int) -> Latent:
    """A container that grows by one entry each time: its table by over-allocation only."""
    count, gain = np.arange(1, n + 1) * int(rng.integers(1, 6)), gain_of(rng)
    if rng.random() < 0.5:  # list: an eighth more each time
        bounds = [8.0]
        while bounds[-1] < count[-1]:
            bounds.append(np.floor(bounds[-1] * 1.125) + 6)
    else:  # dict: doubles when two thirds are full
        bounds = [5.0]
        while bounds[-1] < count[-1]:
            bounds.append(bounds[-1] * 2)
    sizes = np.asarray(bounds)
    table = sizes[np.searchsorted(sizes, count)]
    share = float(rng.choice([0.0, 0.3, 0.7]))  # entries themselves, beside the table
    y = gain * ((1 - share) * table / table[-1] + share * line(n))
    steps = len(np.unique(table[n // 2 :]))
    return leak(
        y, gain, "undecidable" if not share and steps < 3 else ("middle" if share else "hard")
    )


def accelerating(rng: Rng, n: int) -> Latent:
    gain, power = gain_of(rng), rng.uniform(1.5, 3)
    ratio = float(rng.choice([0, 0.02, 0.1]))
    return leak(
        gain * (line(n) ** power + ratio * mixed_noise(rng, n)), gain, grade(ratio, 0.02, 0.1)
    )


def behind_warm_up(rng: Rng, n: int) -> Latent:
    """A leak behind a long warm-up that brings more than it does."""
    gain, tau, ratio = gain_of(rng), log_uniform(rng, 0.02, 0.35), log_uniform(rng, 0.5, 20)
    noise = float(rng.choice([0, 0.02, 0.1]))
    warm = ratio * (1 - np.exp(-line(n) / tau)) / (1 - np.exp(-1 / tau))
    y = gain * (line(n) + warm + noise * mixed_noise(rng, n))
    left = ratio * np.exp(-0.5 / tau)
    return leak(y, gain, grade(left + noise, 0.1, 0.4, 1.0))


def leak_and_recycled(rng: Rng, n: int) -> Latent:
    """Workers are recycled, and their parent leaks."""
    healthy = recycled_workers(rng, n)
    gain, ratio = gain_of(rng), log_uniform(rng, 0.2, 4)
    teeth = healthy.y / max(np.ptp(healthy.y), 1e-9)
    hard = (
        "undecidable"
        if healthy.difficulty == "undecidable" and ratio > 0.7
        else grade(ratio, 0.7, 2)
    )
    return leak(gain * (line(n) + ratio * teeth), gain, hard)


def count_below_pool(rng: Rng, n: int) -> Latent:
    """One more descriptor or thread every so often, below a pool that fluctuates."""
    other = pool(rng, n)
    count = int(log_uniform(rng, 5, 200))
    at = np.linspace(0, 1, count + 2)[1:-1] if rng.random() < 0.5 else np.sort(rng.random(count))
    gain = count / 3
    ratio = float(other.y.std() / gain)
    return leak(other.y + np.searchsorted(at, line(n)) / 3, gain, grade(ratio, 0.1, 0.25, 0.6))


BOUNDED: tuple[Callable[[Rng, int], Latent], ...] = (
    constant,
    white,
    autocorrelated,
    lognormal,
    outliers,
    exponential_warm_up,
    coupon_collector,
    lazy_imports,
    fill_to_maximum,
    flush_sawtooth,
    collector_sawtooth,
    log_rotation,
    late_step,
    doublings_that_end,
    fragmentation,
    wandering,
    daily,
    restarts,
    recycled_workers,
    page_noise,
    pool,
    pool_to_maximum,
)
LEAKS: tuple[Callable[[Rng, int], Latent], ...] = (
    linear,
    linear_in_noise,
    linear_in_memory,
    under_sawtooth,
    poisson_events,
    heavy_events,
    late_start,
    stairs,
    accelerating,
    behind_warm_up,
    leak_and_recycled,
    count_below_pool,
)
FAMILIES = {family.__name__: family for family in BOUNDED + LEAKS}
COUNT_FAMILIES = ("pool", "pool_to_maximum", "count_below_pool")

# --------------------------------------------------------------------------------------- schemes


def every_mark(rng: Rng) -> tuple[Floats, int]:
    n = int(log_uniform(rng, 100, 3000))
    return np.arange(n), n


def step_doubling(rng: Rng) -> tuple[Floats, int]:
    """As leaklab's snapshots where they are cheap: the step doubles after every 64."""
    n = int(log_uniform(rng, 100, 3000))
    at, step, mark = [], 1, 0
    while mark < n:
        at.append(mark)
        if len(at) % 64 == 0:
            step *= 2
        mark += step
    return np.asarray(at), n


def ever_wider(rng: Rng) -> tuple[Floats, int]:
    """As leaklab's snapshots where they are dear: then whenever marks have grown by a fifth."""
    n, free = int(log_uniform(rng, 100, 3000)), int(rng.integers(6, 40))
    ratio = float(rng.choice([1.2, 1.2, 1.3]))
    at, mark = [], 0.0
    while mark < n:
        at.append(int(mark))
        mark = mark + 1 if len(at) < free else mark * ratio + 1
    if at[-1] < 0.9 * n:
        at.append(n - 1)
    return np.unique(at), n


def planned(rng: Rng) -> tuple[Floats, int]:
    """A 24th part of the run each, after a few at its beginning."""
    n = int(log_uniform(rng, 100, 3000))
    return np.unique(np.append(np.arange(min(10, n)), np.linspace(0, n - 1, 25).astype(int))), n


def ten_points(rng: Rng) -> tuple[Floats, int]:
    n = int(log_uniform(rng, 100, 1000))
    return np.unique(np.linspace(0, n - 1, int(rng.integers(10, 15))).astype(int)), n


def thousand_points(rng: Rng) -> tuple[Floats, int]:
    n = int(rng.integers(1000, 3001))
    return np.unique(np.linspace(0, n - 1, 1000).astype(int)), n


def uniform_time(rng: Rng) -> tuple[Floats, int]:
    n = int(log_uniform(rng, 200, 2000))
    return np.unique(np.linspace(0, n - 1, int(log_uniform(rng, 40, 600))).astype(int)), n


def irregular_time(rng: Rng) -> tuple[Floats, int]:
    """Under load: looks come late, in bunches, and some not at all."""
    n = int(log_uniform(rng, 200, 2000))
    gaps = np.exp(1.0 * rng.standard_normal(int(log_uniform(rng, 30, 400))))
    at = np.cumsum(gaps)
    return np.unique(np.minimum(at / at[-1] * (n - 1), n - 1).astype(int)), n


SCHEMES = {
    scheme.__name__: scheme
    for scheme in (
        every_mark,
        step_doubling,
        ever_wider,
        planned,
        ten_points,
        thousand_points,
        uniform_time,
        irregular_time,
    )
}
BY_TIME = ("uniform_time", "irregular_time")


def time_of_work(rng: Rng, n: int, irregular: bool) -> Floats:
    """Seconds at which each unit of work was done; under load its pace wanders."""
    pace = np.exp(0.5 * ar1(rng, n, 0.98)) if irregular else np.ones(n)
    time = np.cumsum(pace)
    return time * (log_uniform(rng, 5, 120) / time[-1])


def rounded(rng: Rng, y: Floats, resource: str) -> tuple[Floats, str]:
    """What is stored of a figure."""
    if resource in COUNTS:
        return np.round(y), "integer"
    if resource == "rss_bytes":
        if rng.random() < 0.15:
            return np.round(y / MIB) * MIB, "mib"
        return np.round(y / PAGE) * PAGE, "pages"
    return (np.round(y), "exact") if resource == "heap_bytes" else (y, "exact")


def make(
    seed: int, family: str | None = None, scheme: str | None = None, minima: bool = False
) -> Series:
    """The series of this seed (of one family or scheme, where they are given).

    minima: a look returns the lowest figure since the look before it, not that of the moment.
    """
    rng = np.random.default_rng(seed)
    truth_first = rng.random() < 0.5
    drawn = rng.choice([f.__name__ for f in (BOUNDED if truth_first else LEAKS)])
    family = family or str(drawn)
    drawn = str(rng.choice(list(SCHEMES)))
    scheme = scheme or drawn
    at, n = SCHEMES[scheme](rng)
    kinds = (
        COUNTS
        if family in COUNT_FAMILIES and rng.random() < 0.8
        else (
            "rss_bytes",
            "rss_bytes",
            "heap_bytes",
            "heap_bytes",
            "heap_bytes",
            "fd_count",
            "thread_count",
            "task_count",
            "gauge:size",
        )
    )
    resource = str(rng.choice(kinds))
    material = MATERIAL[resource]
    latent = FAMILIES[family](rng, n)
    y = latent.y * material
    if resource == "rss_bytes":  # pages come and go, whatever the program does
        y = y + PAGE * rng.uniform(1, 12) * ar1(rng, n, 0.8)
    y = np.maximum(y + LEVEL[resource] * rng.uniform(0.5, 1.5) - min(float(y.min()), 0.0), 0.0)
    unit = "second" if scheme in BY_TIME else "iteration"
    time = time_of_work(rng, n, scheme == "irregular_time") if unit == "second" else None
    x = (time[at] if time is not None else at + 1.0).astype(float)
    seen = y[at]
    if minima:
        seen = np.minimum.reduceat(y[: at[-1] + 1], np.append(0, at[:-1] + 1))
    values, rounding = rounded(rng, seen, resource)
    undecidable = latent.difficulty == "undecidable"
    return Series(
        x=x,
        y=values,
        unit=unit,
        resource=resource,
        truth=latent.truth,
        accept=(latent.truth, "inconclusive") if undecidable else (latent.truth,),
        family=family,
        difficulty=latent.difficulty,
        scheme=scheme,
        rounding=rounding,
        material=material,
        heap_bytes=log_uniform(rng, 5e5, 5e7),
        gain=latent.gain * material,
        settled_x=latent.settled_x,
        seed=seed,
    )


def bank(count: int, first: int = 0) -> Iterator[Series]:
    """``count`` series; half of the bank is leaks."""
    for seed in range(first, first + count):
        yield make(seed)


BATCH = 250


def in_batches(call: Callable[[int, int], Any], first: int, count: int, jobs: int) -> list[Any]:
    """Return ``call(first seed, how many)`` of every batch of seeds, in order, in processes."""
    starts = range(first, first + count, BATCH)
    sizes = [min(BATCH, first + count - start) for start in starts]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(call, starts, sizes))
