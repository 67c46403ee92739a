"""Suspects: grouping by the user's frame, fingerprints, known growers, free lists."""

from __future__ import annotations

import synthetic as s

from leaklab.verdict.known import known_growers
from leaklab.verdict.suspects import site_series, suspects

COUNT = 100


def test_library_frames_are_folded_into_the_line_that_called_them() -> None:
    found = suspects(
        s.run(
            sites={
                "json.py:loads<parse": s.leak(COUNT, 500),
                "json.py:decode<parse2": s.leak(COUNT, 200),
            }
        )
    )
    assert found["function"].tolist() == ["parse", "parse2"]
    assert [frame["function"] for frame in found["stack"][0]] == ["loads", "parse", "main"]
    unfolded = suspects(
        s.run(sites={"json.py:loads<parse": s.leak(COUNT, 500)}),
        user_origins=("site-packages", "target"),
    )
    assert unfolded["function"].tolist() == ["loads"]


def test_the_fingerprint_survives_line_shifts_and_tells_functions_apart() -> None:
    sites = {"keep": s.leak(COUNT, 500), "other": s.leak(COUNT, 300)}
    before = s.run(sites=sites)
    shifted = s.RunData.from_tables(before.meta, **s.heap_tables(sites, line_shift=17))
    one, other = suspects(before), suspects(shifted)
    assert one["fingerprint"].tolist() == other["fingerprint"].tolist()
    assert one["line"].tolist() != other["line"].tolist()
    assert one["fingerprint"].nunique() == 2


def test_the_series_of_one_suspect() -> None:
    data = s.run(sites={"keep": s.leak(COUNT, 500, start=7), "work": s.steady(COUNT, 1e6)})
    fingerprint = suspects(data).iloc[0]["fingerprint"]
    series = site_series(data, fingerprint)
    assert series["live_bytes"].tolist() == (7 + s.leak(COUNT, 500)).tolist()
    assert series["x"].tolist() == list(range(1, COUNT + 1))


def test_recycled_objects_carry_a_warning_that_the_line_may_be_innocent() -> None:
    data = s.run(sites={"innocent": s.leak(COUNT, 64)})
    heap = data.heap
    heap["allocation_count"] = heap["live_bytes"] // 64
    data = s.RunData.from_tables(
        data.meta, heap=heap, snapshots=data.snapshots, stacks=data.stacks, frames=data.frames
    )
    assert (
        "dict objects or tuples of three, which CPython recycles" in suspects(data).iloc[0]["note"]
    )
    assert suspects(s.run(sites={"keep": s.leak(COUNT, 500)})).iloc[0]["note"] is None


def test_no_heap_no_suspects() -> None:
    assert suspects(s.run(rss=s.steady(COUNT))).empty


def test_every_known_grower_says_why_where_and_up_to_what() -> None:
    entries = known_growers()
    assert len(entries) > 10
    for entry in entries:
        assert entry.link.startswith("https://")
        assert entry.ceiling_bytes > 0
        assert entry.reason
        assert entry.versions
