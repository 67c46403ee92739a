"""Sites of one leak stand together; sites of two leaks do not, though one function calls both."""

from __future__ import annotations

import synthetic as s

from leaklab.results.run import Run
from leaklab.verdict.suspect_groups import groups
from leaklab.verdict.suspects import suspects

COUNT = 200
HANDLE, SERVE = ("handle", "app.py", 7), ("serve", "app.py", 30)


def test_what_is_reached_through_the_call_to_a_site_belongs_to_it() -> None:
    parse = ("parse", "app.py", 3)
    found = groups([[HANDLE, SERVE], [parse, HANDLE, SERVE], [SERVE]], [9.0, 5.0, 1.0])
    assert found == [(0, HANDLE), (0, HANDLE), None]


def test_two_leaks_in_one_loop_stay_apart() -> None:
    first, second = ("handle", "app.py", 7), ("handle", "app.py", 8)
    assert groups([[first, SERVE], [second, SERVE]], [9.0, 5.0]) == [None, None]


def test_sites_without_callers_stand_alone() -> None:
    assert groups([[], [], [SERVE]], [1.0, 2.0, 3.0]) == [None, None, None]


def test_the_table_keeps_every_site_and_names_its_group() -> None:
    data = s.run(
        rss=s.leak(COUNT, 25_000),
        sites={
            "record": s.leak(COUNT, 12_000),
            "lib.py:encode<record": s.leak(COUNT, 8_000),
            "other": s.bounded(COUNT, 300_000, full_at=150),
        },
    )
    table = suspects(data).set_index("line")
    assert table.loc[10, "group"] == table.loc[11, "group"]
    assert table.loc[10, "group"] == {"rank": 1, "function": "main", "file": "app.py", "line": 100}
    assert table.loc[12, "group"] is None
    shown = Run(data).to_json()["suspects"]
    assert len(shown) == 3 and shown[2]["group"] is None


def test_shares_are_of_what_leaks_and_ranks_follow_the_rates() -> None:
    # The one that begins late has gained less, but grows faster.
    data = s.run(
        rss=s.leak(COUNT, 25_000),
        sites={
            "early": s.leak(COUNT, 5_000),
            "late": s.leak(COUNT, 8_000, begin=90),
            "warm": s.bounded(COUNT, 9e6, full_at=150),
        },
    )
    table = suspects(data)
    leaking = table[table["evidence"] == "grows"]
    assert leaking["rate"].is_monotonic_decreasing and leaking["rank"].iloc[0] == 1
    assert abs(leaking["share"].sum() - 1) < 1e-9
    assert (leaking["share"] / leaking["rate"]).round(12).nunique() == 1
    assert table[table["evidence"] != "grows"]["share"].isna().all()


def test_a_program_that_never_had_a_task_has_no_entry_for_tasks() -> None:
    data = s.run(rss=s.steady(COUNT), task_count=s.steady(COUNT, 0), fd_count=s.steady(COUNT, 0))
    names = [entry.name for entry in Run(data).verdict().resources]
    assert "task_count" not in names and "fd_count" in names
