"""The live heap from stored changes: sums at any snapshot, several processes, sites of stacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import synthetic as s

from leaklab.analysis.heap import heap_timeline
from leaklab.analysis.sites import group_sites, site_fingerprint

COUNT = 30


def test_sums_are_those_of_the_sites() -> None:
    sites = {"keep": s.leak(COUNT, 1000), "work": s.sawtooth(COUNT, 5e4, period=7)}
    timeline = heap_timeline(s.run(sites=sites))
    dense = np.rint(np.stack(list(sites.values())))
    assert timeline.unit == "iteration"
    assert np.array_equal(timeline.total(), dense.sum(axis=0))
    for column in (0, COUNT // 2, COUNT - 1):
        assert np.array_equal(timeline.live(column), dense[:, column])
    assert np.array_equal(timeline.grouped(np.array([0, -1]), 1)[0], dense[0])
    assert np.array_equal(timeline.each(np.array([1, 0])), dense[::-1])
    assert timeline.each(np.array([], np.int64)).shape == (0, COUNT)
    assert timeline.live(COUNT - 1, count=True)[0] == dense[0, -1] // 100


def test_the_first_columns_alone() -> None:
    timeline = heap_timeline(s.run(sites={"keep": s.leak(COUNT, 1000)}))
    early = timeline.until(10)
    assert early.column_count == 10
    assert np.array_equal(early.total(), timeline.total()[:10])
    assert timeline.until(COUNT + 5) is timeline
    assert timeline.x[timeline.last_half] >= (timeline.x[0] + timeline.x[-1]) / 2


def test_what_a_process_held_leaves_the_role_at_its_end() -> None:
    tables = [
        s.heap_tables({"keep": s.steady(COUNT, 100.0)}, process=number, marks=False)
        for number in (1, 2)
    ]
    tables[1]["snapshots"]["time_seconds"] += 0.005
    # The second ends in the middle of the first one's life.
    tables[1]["snapshots"] = tables[1]["snapshots"].iloc[: COUNT // 2]
    joined = {name: pd.concat([part[name] for part in tables]) for name in ("snapshots", "heap")}
    processes = [
        {"process": 1, "pass": "explain", "role": "worker", "ended_seconds": None},
        {"process": 2, "pass": "explain", "role": "worker", "ended_seconds": 0.2},
    ]
    data = s.RunData.from_tables(
        {"processes": processes}, stacks=tables[0]["stacks"], frames=tables[0]["frames"], **joined
    )
    timeline = heap_timeline(data, role="worker")
    total = timeline.total()
    assert total.max() == 200
    assert (total[timeline.time_seconds > 0.21] == 100).all()
    assert heap_timeline(data) is None  # nothing of the main process


def test_no_snapshots_no_heap() -> None:
    assert heap_timeline(s.run(rss=s.steady(COUNT, 1.0))) is None


def sites_of(*names: str, line_shift: int = 0):
    tables = s.heap_tables({name: s.leak(COUNT, 100) for name in names}, line_shift=line_shift)
    stack_ids = np.arange(len(names) + 1)  # one more than there are
    return group_sites(tables["stacks"], tables["frames"], stack_ids)


def test_a_site_is_the_innermost_line_of_ones_own() -> None:
    sites = sites_of("json.py:loads<parse", "json.py:dumps<parse", "keep")
    functions = sites.frames["function"]
    named = [functions[sites.frame[site]] for site in sites.of_stack[:3]]
    assert named == ["parse", "parse", "keep"]
    assert sites.frame[sites.of_stack[3]] == -1  # a stack that was never written
    assert functions[sites.rows(0)[0]] == "loads"


def test_a_comprehension_belongs_to_the_function_around_it() -> None:
    tables = s.heap_tables({"inner<build": s.leak(COUNT, 100)})
    frames = tables["frames"].replace({"function": {"inner": "<listcomp>"}})
    sites = group_sites(tables["stacks"], frames, np.array([0]))
    assert frames["function"][sites.frame[sites.of_stack[0]]] == "build"


ENTRY = ("<module>", "serve.py", "target")
MAIN = ("main", "serve.py", "target")
LOOP = ("run_forever", "/usr/lib/python3.12/asyncio/base_events.py", "stdlib")
CALLED = ("_run", "/usr/lib/python3.12/asyncio/events.py", "stdlib")
MADE = ("connection_made", "/usr/lib/python3.12/asyncio/streams.py", "stdlib")
RECEIVED = ("data_received", "client/connection.py", "site-packages")
FETCH = ("fetch", "client/connection.py", "site-packages")


def lines_of(*stacks: tuple[tuple[str, str, str], ...]) -> list[str]:
    """The function of the site of each stack, most recent call first."""
    distinct = list(dict.fromkeys(frame for stack in stacks for frame in stack))
    frames = pd.DataFrame(distinct, columns=["function", "file", "origin"])
    frames = frames.assign(frame_id=range(len(frames)), line=1)
    ids = [[distinct.index(frame) for frame in stack] for stack in stacks]
    table = pd.DataFrame({"stack_id": range(len(stacks)), "frame_ids": ids})
    sites = group_sites(table, frames, np.arange(len(stacks)))
    return [frames["function"][sites.frame[site]] for site in sites.of_stack]


def test_who_starts_a_loop_has_not_asked_for_what_it_calls_later() -> None:
    around = (CALLED, LOOP, ENTRY)
    assert lines_of(
        (FETCH, MAIN, *around),  # a coroutine of the user's
        (RECEIVED, *around),  # the loop calls the library
        (MADE, *around),  # the loop's own library allocates for who runs it
        (LOOP, ENTRY),  # the loop itself
        (FETCH, ENTRY),  # before it runs
    ) == ["main", "data_received", "<module>", "<module>", "<module>"]


def test_a_line_that_runs_a_loop_for_a_library_alone_asked_for_it() -> None:
    assert lines_of((FETCH, CALLED, LOOP, ENTRY), (FETCH, MAIN)) == ["<module>", "main"]


def test_a_fingerprint_outlives_a_shift_of_lines() -> None:
    before, after = sites_of("json.py:loads<parse"), sites_of("json.py:loads<parse", line_shift=9)
    other = sites_of("json.py:loads<read")
    prints = [
        site_fingerprint(sites, 0, int(sites.of_stack[0])) for sites in (before, after, other)
    ]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 12
