"""Error rates on long series: 22 shapes of days and weeks whose truth is known, one a minute.

    python benchmarks/long_shapes.py [SEEDS]

Prints a line a shape: how many of its series were called leak (L), bounded (B) and inconclusive (I)
after 1, 2 and 7 days, and below what "healthy called leak", "leaking called bounded" and "leaks
found" come to. Restarts are told to the reader as a file would tell them: by a column.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaklab.importers.members import members
from leaklab.importers.metrics import METRICS
from leaklab.importers.reading import Reading
from leaklab.importers.run import in_memory, run_meta
from leaklab.verdict.judge import judge

MIB, DAY = float(1 << 20), 86_400.0
DAYS = (1, 2, 7)
WORKING_SET = METRICS["container_memory_working_set_bytes"]


@dataclass
class Drawn:
    """One series being drawn: seconds, the time of day they begin at, its generator."""

    seconds: Any
    begin: float
    rng: np.random.Generator
    days: float

    @property
    def clock(self) -> Any:
        return self.seconds + self.begin

    def noise(self, mib: float = 3.0) -> Any:
        return self.rng.normal(0, mib, len(self.seconds))

    def course(self, mib: float) -> Any:
        turn = 2 * np.pi * self.clock / DAY
        return mib / 2 * (np.sin(turn) + 0.25 * np.sin(2 * turn))

    def since(self, life: Any) -> Any:
        first = np.flatnonzero(np.diff(life, prepend=life[0] - 1))
        lengths = np.diff(np.append(first, len(life)))
        return self.seconds - np.repeat(self.seconds[first], lengths)

    def deploys(self) -> Any:
        """The number of the deploy that runs: one at ten on each weekday."""
        day = np.floor((self.clock - 36_000) / DAY)
        return day - np.clip(day % 7 - 4, 0, 2)


def day(d: Drawn) -> Any:
    return d.seconds / DAY


def weekly(d: Drawn) -> Any:
    return np.where((d.clock // DAY) % 7 >= 5, 0.5, 1.0)


def traffic(d: Drawn) -> Any:
    return 1 + 0.8 * np.sin(2 * np.pi * d.clock / DAY)


def saw(d: Drawn, hours: float, mib: float) -> Any:
    return mib * ((d.clock % (hours * 3600)) / (hours * 3600))


def oom(d: Drawn) -> tuple[Any, Any]:
    length = 31 * 3600.0
    life = (d.seconds + d.begin) // length
    age = (d.seconds + d.begin) % length
    return 300 + 724 * age / length + d.noise(), life


def deploy(d: Drawn, per_day: float) -> tuple[Any, Any]:
    life = d.deploys()
    age = d.since(life)
    warm = 40 * (1 - np.exp(-age / 1800))
    return 300 + warm + per_day * age / DAY + d.course(20) + d.noise(), life


def recycled(d: Drawn, workers: int) -> Any:
    total = 0.0
    for _ in range(workers):
        length = 3600 * d.rng.uniform(3, 5)
        total = total + 80 + 60 * ((d.seconds + d.rng.uniform(0, length)) % length) / length
    return total + d.noise()


def filling(d: Drawn, whole_at: float) -> Any:
    work = np.cumsum(traffic(d)) / 1440
    return 300 + 200 * np.minimum(work / whole_at, 1) + d.noise()


def whole(values: Any) -> Any:
    return np.round(values)


HEALTHY: dict[str, Callable[[Drawn], Any]] = {
    "daily course of 90 MiB": lambda d: 400 + d.course(90) + d.noise(),
    "daily and weekly course": lambda d: 400 + d.course(90) * weekly(d) + d.noise(),
    "deploys, healthy warm-up": lambda d: deploy(d, 0.0),
    "workers recycled, summed": lambda d: recycled(d, 4),
    "one worker recycled": lambda d: recycled(d, 1),
    "sawtooth of the collector": lambda d: 400 + saw(d, 5, 80) + d.noise(),
    "nightly job": lambda d: 400 + 150 * (d.clock % DAY < 5400) + d.noise(),
    "idle": lambda d: 400 + d.noise(0.2),
    "flat in whole MiB": lambda d: whole(400 + d.noise(0.4)),
    "high-water of the course": lambda d: np.maximum.accumulate(400 + d.course(90) + d.noise()),
    "page cache to the limit": lambda d: 300 + np.minimum(180 * day(d), 700) + d.noise(),
    "LRU full at day 3": lambda d: filling(d, 3.0),
}
LEAKING: dict[str, Callable[[Drawn], Any]] = {
    "daily course and 12 MiB a day": lambda d: 400 + d.course(90) + 12 * day(d) + d.noise(),
    "4 MiB a day, course of 6": lambda d: 400 + d.course(6) + 4 * day(d) + d.noise(1),
    "40 MiB a day by request": lambda d: 400 + 40 * np.cumsum(traffic(d)) / 1440 + d.noise(),
    "begins after 55 %": lambda d: (
        400 + d.course(20) + 40 * np.maximum(0, day(d) - 0.55 * d.days) + d.noise()
    ),
    "15 MiB a day, 40 % missing": lambda d: 400 + d.course(30) + 15 * day(d) + d.noise(),
    "sawtooth and 20 MiB a day": lambda d: 400 + saw(d, 5, 80) + 20 * day(d) + d.noise(),
    "3 MiB a day in whole MiB": lambda d: whole(400 + 3 * day(d) + d.noise(0.4)),
    "deploys, 60 MiB a day between": lambda d: deploy(d, 60.0),
    "killed at 1 GiB every 31 h": oom,
}
# Grows all week, ever slower: neither verdict is wrong, so it is in no score.
SLOWING = {"log-like cache": lambda d: 300 + 60 * np.log1p(8 * day(d)) + d.noise()}


def verdict_of(name: str, make: Callable[[Drawn], Any], seed: int, days: int) -> str:
    """Draw one series and return the verdict's first letter."""
    rng = np.random.default_rng([seed, days])
    seconds = np.arange(days * 1440) * 60.0
    drawn = make(Drawn(seconds, rng.uniform(0, 7 * DAY), rng, days))
    values, life = drawn if isinstance(drawn, tuple) else (drawn, None)
    if "missing" in name:
        kept = rng.random(len(seconds)) > 0.4
        seconds, values = seconds[kept], values[kept]
    cached = "page cache" in name
    resource = WORKING_SET.resource if cached else "rss_bytes"
    reading = Reading("bench", "", members(seconds, {resource: values * MIB}, life=life))
    if cached:
        reading.judged, reading.cautions = (resource,), {resource: WORKING_SET.caution or ""}
    return judge(in_memory(reading, run_meta(reading, "bench", None, None))).verdict[0].upper()


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    begun = time.perf_counter()
    score: dict[tuple[str, int], Counter[str]] = {}
    for truth, shapes in (("healthy", HEALTHY), ("leaking", LEAKING), ("slowing", SLOWING)):
        for name, make in shapes.items():
            columns = []
            for days in DAYS:
                found = Counter(verdict_of(name, make, seed, days) for seed in range(seeds))
                score.setdefault((truth, days), Counter()).update(found)
                columns.append(" ".join(f"{v}{found[v]}" for v in "LBI" if found[v]).ljust(12))
            print(f"{truth:8} {name:30} {' '.join(columns)}", flush=True)
    for days in DAYS:
        healthy, leaking = score["healthy", days], score["leaking", days]
        print(
            f"{days} d: healthy called leak {healthy['L'] / healthy.total():.1%}, "
            f"leaking called bounded {leaking['B'] / leaking.total():.1%}, "
            f"leaks found {leaking['L'] / leaking.total():.1%}"
        )
    print(f"{time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
