"""Growth by label: counted in bounded memory, told apart by regression, said in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s
from interpreters import REPOSITORY

from leaklab import plots
from leaklab.analysis.label_points import LabelPoints
from leaklab.errors import UsageError
from leaklab.plots import style
from leaklab.present.label_text import label_lines, sentence
from leaklab.probe.label_counts import KEPT_COUNT, LENGTH, OTHER, LabelCounts
from leaklab.report.confidential import without_secrets
from leaklab.report.run_view import label_rows
from leaklab.results.run import Run
from leaklab.verdict.label_rates import IN_PROPORTION, TOO_FEW, label_rates

LABELS = ["GET /export", "GET /warm", "GET /healthy"]
EACH = 300_000.0


def test_counts_take_bounded_memory_and_lose_none() -> None:
    counts = LabelCounts()
    for number in range(5000):
        counts.add(f"GET /item/{number}")
        counts.add("GET /often")
    counts.add("x" * 10 * LENGTH)
    counts.add(None)
    counts.add(4711)
    taken = counts.take()
    assert len(taken) <= 2 * KEPT_COUNT + 1
    assert taken["GET /often"] == 5000
    assert sum(taken.values()) == 10_001
    assert taken[OTHER] > 4000
    assert max(map(len, taken)) == LENGTH
    assert counts.take() == {}


def test_labels_of_real_servers_and_frameworks() -> None:
    scene = REPOSITORY / "tests" / "targets" / "route_labels.py"
    done = subprocess.run(
        [sys.executable, str(scene), str(REPOSITORY / "leaklab")],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert json.loads(done.stdout) == {
        # Values in a path, and what follows it, are no part of a label.
        "wsgi": ["GET /orders/{}", "GET /files/{}"],
        "flask": ["GET /orders/<int:number>", "GET (no route)"],
        "fastapi": [
            "GET /api/v1/orders/{number}",
            "GET /pages/of/{tenant}/page/{name}",
            "GET (no route)",
        ],
        "aiohttp": ["GET /orders/{number}", "GET (no route)"],
        "django": ["GET /orders/<int:number>", "GET (no route)"],
        "django asgi": ["GET /orders/<int:number>"],
    }


def points(calls: np.ndarray[Any, Any], rates: list[float], noise: float) -> LabelPoints:
    """One process that serves ``calls`` (label numbers), each adding its rate to the level."""
    counts = np.cumsum(np.eye(len(rates))[calls], axis=0)
    value = 5e7 + counts @ np.array(rates)
    value += np.random.default_rng(7).normal(0, noise, len(calls))
    names = [f"label {number}" for number in range(len(rates))]
    return LabelPoints(names, np.zeros(len(calls), int), np.arange(len(calls)) + 1.0, value, counts)


def test_rates_and_their_intervals_are_true() -> None:
    # Over many made series: the interval covers what was put in, at least as often as it says.
    rates, covered, false_alarms = [EACH, 0.0, 0.0, 0.0], 0, 0
    for seed in range(60):
        calls = np.random.default_rng(seed).integers(0, 4, 300)
        counts = np.cumsum(np.eye(4)[calls], axis=0)
        unrest = np.random.default_rng(seed + 1000).normal(0, 1e6, 300)
        value = 5e7 + counts @ np.array(rates) + unrest
        made = LabelPoints([*LABELS, "d"], np.zeros(300, int), np.arange(300.0), value, counts)
        found = label_rates(made)
        covered += bool(found.low[0] <= EACH <= found.high[0])
        false_alarms += int((found.low[1:] > 0).any())
    assert covered >= 54
    assert false_alarms <= 6


def test_labels_that_are_always_called_together_are_not_told_apart() -> None:
    calls = np.repeat(np.random.default_rng(1).integers(0, 2, 150), 1)
    rows = points(calls, [EACH, 0.0], 0.0)
    twins = np.column_stack([rows.counts, rows.counts[:, 0]])
    found = label_rates(LabelPoints(["a", "b", "c"], rows.process, rows.age, rows.value, twins))
    assert np.isnan(found.rate).tolist() == [True, False, True]
    assert found.high[1] < 1.0


def side_by_side(seed: int, count: int, at_once: int, cycle: bool) -> LabelPoints:
    """Units of three kinds, so many at once; the first grows when it begins, not at its end."""
    random = np.random.default_rng(seed)
    kinds = np.arange(count) % 3 if cycle else random.integers(0, 3, count)
    free, begun, ended = [0.0] * at_once, [], []
    for _ in kinds:
        begun.append(free.pop(free.index(min(free))))
        ended.append(begun[-1] + 1 + random.exponential())
        free.append(ended[-1])
    order = np.argsort(ended)
    grown = np.searchsorted(np.sort(np.array(begun)[kinds == 0]), np.array(ended)[order], "right")
    counts = np.cumsum(np.eye(3)[kinds[order]], axis=0)
    value = 5e7 + EACH * grown + random.normal(0, 5e4, count)
    rows = np.zeros(count, int), np.arange(count) + 1.0
    return LabelPoints(LABELS, *rows, value, counts, at_once=at_once)


@pytest.mark.parametrize("at_once", [4, 16])
def test_units_side_by_side_are_told_apart_or_not_at_all(at_once: int) -> None:
    rates = [label_rates(side_by_side(seed, 100 * at_once, at_once, True)) for seed in range(10)]
    assert all(np.isnan(one.rate).all() for one in rates)
    rates = [label_rates(side_by_side(seed, 100 * at_once, at_once, False)) for seed in range(10)]
    assert sum(one.low[0] > EACH / 2 for one in rates) >= 8
    assert not any((one.low[1:] > EACH / 10).any() for one in rates)
    # One at a time there is no doubt: the figure at a mark holds what its unit has left.
    alone = label_rates(points(np.arange(150) % 3, [EACH, 0.0, 0.0], 5e4))
    assert alone.low[0] > EACH / 2 and not (alone.low[1:] > EACH / 10).any()


def test_why_a_label_is_not_told_is_what_has_kept_it() -> None:
    few = label_rates(points(np.arange(4) % 2, [EACH, 0.0], 0.0))
    assert set(few.why) == {TOO_FEW}
    rows = points(np.random.default_rng(1).integers(0, 2, 150), [EACH, 0.0], 0.0)
    twins = np.column_stack([rows.counts, rows.counts[:, 0]])
    found = label_rates(LabelPoints(["a", "b", "c"], rows.process, rows.age, rows.value, twins))
    assert found.why.tolist() == [IN_PROPORTION, "", IN_PROPORTION]
    assert "up to 4 calls were under way" in label_rates(side_by_side(0, 400, 4, True)).why[0]


def test_of_a_single_label_no_others_are_spoken_of() -> None:
    for count in (3, 100):
        rows = points(np.zeros(count, int), [EACH], 0.0)
        crowded = LabelPoints(rows.labels, rows.process, rows.age, rows.value, rows.counts, 64_000)
        why = label_rates(crowded).why[0]
        assert why.startswith("too few") and "others" not in why and "proportion" not in why


def test_how_many_units_are_under_way_is_known_where_it_was_seen() -> None:
    counts = LabelCounts()
    assert counts.at_once(5) == 1  # tasks of a server whose requests are seen to begin
    counts.under_way(3)
    assert counts.at_once(None) == 3
    for thread in (1, 2, 3, 4, 1):
        counts.ended_in(thread)
    assert counts.at_once(None) == 4
    counts.by_hand = True
    assert counts.at_once(6) == 6


def served(*lives: int, each: float = EACH, seed: int = 3, keys: int = 0) -> s.RunData:
    """Workers one after another, each recycled after so many requests: one label leaks, one warms
    up until it was called 40 times, or for each of so many ``keys`` at random, one does nothing."""
    random = np.random.default_rng(seed)
    rows, labels, processes, now = [], [], [], 0.0
    for number, length in enumerate(lives):
        begun, level, warm, seen = now, 5e7, 0, set[int]()
        for mark in range(1, length + 1):
            now += 0.1
            chosen = int(random.integers(0, 3))
            warm += chosen == 1
            fills = warm <= 40
            if keys and chosen == 1:
                key = int(random.integers(0, keys))
                fills = key not in seen
                seen.add(key)
            level += each if chosen == 0 or (chosen == 1 and fills) else 0.0
            value = level + random.normal(0, 5e4)
            rows.append(("measure", number, now, mark, True, "rss_bytes", value))
            labels.append(("measure", number, now, mark, LABELS[chosen], 1))
        entry = {"process": number, "pass": "measure", "role": "main", "started_seconds": begun}
        last = number == len(lives) - 1
        ended = {"ended_seconds": None if last else now, "mark_count": length, "units_at_once": 1}
        processes.append(entry | ended)
    names = ["pass", "process", "time_seconds", "mark", "quiescent", "name", "value"]
    told = [*names[:4], "label", "count"]
    meta = {"name": "service", "processes": processes, "passes": [{"pass": "measure"}]}
    samples, labelled = pd.DataFrame(rows, columns=names), pd.DataFrame(labels, columns=told)
    return s.RunData.from_tables(meta, samples=samples, labels=labelled)


def test_the_leaking_route_is_named_and_the_others_are_bounded() -> None:
    run = Run(served(600))
    table = run.labels().set_index("label")
    assert table["verdict"].to_dict() == {
        "GET /export": "leak",
        "GET /warm": "bounded",
        "GET /healthy": "bounded",
    }
    leak = table.loc["GET /export"]
    assert leak["rate_low"] <= EACH <= leak["rate_high"]
    assert leak["rate_high"] - leak["rate_low"] < 0.1 * EACH
    assert table.loc["GET /warm", "rate_high"] < 0.1 * EACH
    text = str(run)
    assert "growth by label, per call" in text
    assert "GET /export: 29" in text
    assert "; the other 2: none seen, at most" in text
    entry = run.to_json()["labels"][0]
    assert (entry["label"], entry["resource"]) == ("GET /export", "rss_bytes")


def test_a_series_that_stands_still_excludes_no_less_than_a_step_and_what_finds_room() -> None:
    data = served(600, each=0.0)
    still = data.samples.assign(value=5e7)
    used = data.samples.assign(name="malloc_used_bytes")
    used["value"] += 900.0 * data.labels["label"].eq(LABELS[0]).cumsum()
    alone = Run(s.RunData.from_tables(data.meta, samples=still, labels=data.labels)).labels()
    assert (alone["rate_high"] * alone["calls"] >= 4096).all()
    both = pd.concat([still, used])
    table = Run(s.RunData.from_tables(data.meta, samples=both, labels=data.labels)).labels()
    highs = table.pivot(index="label", columns="resource", values="rate_high")
    assert (highs["rss_bytes"] >= highs["in_use_bytes"]).all()
    assert highs.loc[LABELS[0], "rss_bytes"] >= 900


def test_what_a_route_keeps_in_small_blocks_is_told_for_any_size_of_them() -> None:
    data = served(600, each=0.0)
    counted = data.samples.assign(name="malloc_used_bytes", value=5e7)
    blocks = data.samples.assign(name="allocated_blocks_count")
    blocks["value"] = 40_000.0 + 100 * data.labels["label"].eq(LABELS[0]).cumsum()
    both = pd.concat([data.samples.assign(value=5e7), counted, blocks])
    table = Run(s.RunData.from_tables(data.meta, samples=both, labels=data.labels)).labels()
    row = table[table["resource"] == "in_use_bytes"].set_index("label").loc[LABELS[0]]
    assert row["rate_low"] <= 100 * 16
    assert row["rate_high"] >= 100 * 512


def test_a_cache_that_fills_beside_a_leak_is_not_called_one() -> None:
    # Each key is asked for once on the average: what is still missing comes ever more slowly.
    called = [
        Run(served(600, keys=200, seed=seed)).labels().set_index("label")["verdict"]
        for seed in range(10)
    ]
    assert sum(one["GET /warm"] == "leak" for one in called) <= 1
    assert sum(one["GET /export"] == "leak" for one in called) >= 8


@pytest.mark.parametrize("lives", [(300,) * 4, (260, 290, 310, 240, 100)])
def test_replacing_workers_hides_no_leak(lives: tuple[int, ...]) -> None:
    run = Run(served(*lives))
    resident = run.verdict().resource("rss_bytes")
    assert resident is not None
    assert resident.verdict == "leak"
    # A third of all calls leaks.
    assert resident.rate_low <= EACH / 3 <= resident.rate_high
    assert f"by age over {len(lives)} lives" in resident.reason
    assert run.labels().set_index("label")["verdict"].to_dict() == {
        "GET /export": "leak",
        "GET /warm": "bounded",
        "GET /healthy": "bounded",
    }


def test_a_sawtooth_over_workers_is_no_leak() -> None:
    # Each warms up, and is replaced after that; the last one is still young.
    random = np.random.default_rng(5)
    lives = []
    for number, length in enumerate((300, 310, 290, 305, 120)):
        value = 5e7 + 4e7 * (1 - np.exp(-np.arange(length) / 25)) + random.normal(0, 5e4, length)
        lives.append((number, value))
    rows, processes, now = [], [], 0.0
    for number, values in lives:
        begun = now
        for mark, value in enumerate(values, start=1):
            now += 0.1
            rows.append(("measure", number, now, mark, True, "rss_bytes", value))
        last = number == len(lives) - 1
        entry = {"process": number, "pass": "measure", "role": "main", "started_seconds": begun}
        ended = None if last else now
        processes.append({**entry, "ended_seconds": ended, "mark_count": len(values)})
    names = ["pass", "process", "time_seconds", "mark", "quiescent", "name", "value"]
    meta = {"name": "service", "processes": processes, "passes": [{"pass": "measure"}]}
    data = s.RunData.from_tables(meta, samples=pd.DataFrame(rows, columns=names))
    resident = Run(data).verdict().resource("rss_bytes")
    assert resident is not None
    assert resident.verdict == "bounded"
    assert "by age over 5 lives" in resident.reason


def test_labels_are_drawn_and_redacted() -> None:
    run = Run(served(600))
    ax = plots.labels(run, ax=style.detached_axes())
    assert next(tick.get_text() for tick in ax.get_yticklabels()) == "GET /export"
    with pytest.raises(UsageError, match="not told by label: fd_count; allowed: rss_bytes"):
        plots.labels(run, "fd_count", style.detached_axes())
    empty = plots.labels(Run(s.run(rss=s.steady(20, 1))), ax=style.detached_axes())
    assert "no labels" in empty.texts[0].get_text()
    hidden = without_secrets(run).labels()
    assert set(hidden["label"]) == {"label 1", "label 2", "label 3"}
    assert hidden["verdict"].tolist() == run.labels()["verdict"].tolist()


def row(label: str, verdict: str, rate: float, low: float, high: float) -> dict[str, Any]:
    return {"resource": "rss_bytes", "label": label, "verdict": verdict, "rate": rate,
            "rate_low": low, "rate_high": high, "reason": "none seen, but"}  # fmt: skip


def test_the_sentence() -> None:
    kib = 1024.0
    rows = [row("GET /export", "leak", 312 * kib, 298 * kib, 327 * kib)]
    rows += [row(f"GET /{n}", "bounded", 0.0, 0.0, n * kib / 6) for n in range(2, 13)]
    assert sentence(rows) == (
        "GET /export: 312 KiB each (298 KiB to 327 KiB); the other 11: none seen, at most 2 KiB"
    )
    assert sentence([row("a\x1b[1m", "bounded", 0.0, 0.0, kib)]).startswith("a")
    assert "\x1b" not in sentence([row("a\x1b[1m", "bounded", 0.0, 0.0, kib)])
    nan = float("nan")
    assert sentence([row("b", "inconclusive", nan, nan, nan)]) == "b: none seen, but"
    # What is said of several for one reason is said once.
    several = [row(name, "inconclusive", nan, nan, nan) for name in "abc"]
    assert sentence(several) == "a, b, c: none seen, but"
    known = [row(name, "inconclusive", 0.0, 0.0, high) for name, high in (("a", kib), ("b", 2e9))]
    assert sentence(known) == "a, b: none seen, but, at most 1.86 GiB"


def test_what_is_the_same_of_several_resources_is_one_line() -> None:
    nan = float("nan")
    alike = [row(label, "inconclusive", nan, nan, nan) | {"role": "main"} for label in "ab"]
    rows = [one | {"resource": name} for name in ("rss_bytes", "heap_bytes") for one in alike]

    class Shown:
        def labels(self) -> pd.DataFrame:
            return pd.DataFrame([one | {"calls": 8} for one in rows])

    run: Any = Shown()
    assert list(label_lines(run))[2:] == ["  rss_bytes, heap_bytes: a, b: none seen, but"]
    assert [one["label"] for one in label_rows(run)] == ["a, b", "a, b"]
