"""What ``show`` and ``compare`` print, as whole texts; ``--update-golden`` rewrites them.

The runs are synthetic, and each shows something that must be said honestly: parts of one leak,
doubtful holders, reservations, frames that are not known, rates that do not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import synthetic as s

from leaklab.present.text import comparison_text, headline, run_text
from leaklab.results.comparison import compare
from leaklab.results.run import Run
from leaklab.verdict.reservations import reserved_at_end

COUNT = 200
Golden = Callable[[str, str], None]


def with_tables(data: s.RunData, **tables: pd.DataFrame) -> Run:
    names = ("samples", "snapshots", "heap", "stacks", "frames")
    kept = {name: data.table(name) for name in names if name not in tables}
    return Run(s.RunData.from_tables(data.meta, **kept, **tables))


def origins(data: s.RunData, rows: list[tuple[str, list[str], str | None, Any, str]]) -> Run:
    """Add looks: kind, calls (innermost first), how, counts by mark, subject."""
    frames, stacks, looks = data.frames, data.stacks, []
    calls = {tuple(row[1]) for row in rows if row[1]}
    numbers: dict[tuple[str, ...], int] = {}
    for stack, names in enumerate(sorted(calls), start=1000):
        numbers[names] = stack
        ids = range(10 * stack, 10 * stack + len(names))
        new = pd.DataFrame(
            {
                "frame_id": ids,
                "function": names,
                "file": ["stdlib/socket.py" if "." in name else "app.py" for name in names],
                "line": [20 + len(name) for name in names],
                "origin": ["stdlib" if "." in name else "target" for name in names],
            }
        )
        frames = pd.concat([frames, new], ignore_index=True)
        one = pd.DataFrame({"stack_id": [stack], "allocator": ["origin"], "frame_ids": [list(ids)]})
        stacks = pd.concat([stacks, one], ignore_index=True)
    for kind, names, how, counts, subject in rows:
        looks.append(
            pd.DataFrame(
                {
                    "pass": "explain",
                    "process": 1,
                    "time_seconds": [0.01 * mark for mark in range(10, COUNT + 1, 10)],
                    "mark": range(10, COUNT + 1, 10),
                    "kind": kind,
                    "stack_id": numbers.get(tuple(names)),
                    "how": how,
                    "count": counts[9::10].astype(int),
                    "subject": subject,
                }
            )
        )
    sources = pd.DataFrame({"file": ["app.py"], "line": [24], "text": ["    handle = open(path)"]})
    return with_tables(
        data, frames=frames, stacks=stacks, origins=pd.concat(looks), sources=sources
    )


def retention_tables(*groups: tuple[str, str, str, int]) -> dict[str, pd.DataFrame]:
    """Three graphs in which each group (holder, its type, type of what it holds, bytes) grows."""
    rows: list[dict[str, Any]] = []
    marks = (60, 130, 200)
    for dump, mark in enumerate(marks):
        node = 0
        for kind, (holder, holder_type, held, size) in enumerate(groups):
            root = "native" if holder.startswith("held by native") else "module"
            for path, type_, count, bytes_ in (
                (holder, holder_type, 1, 100),
                (f"{holder} → {holder_type} item → {held}", held, mark, mark * size),
            ):
                rows.append(
                    {
                        "process": 1, "dump": dump, "tree": "path", "node": node,
                        "parent": node - 1 if "→" in path else -1, "kind": root, "step": "",
                        "type": type_, "path": path, "fingerprint": f"{kind}{type_}",
                        "count": count, "shallow_bytes": bytes_, "retained_bytes": mark * size,
                    }
                )  # fmt: skip
                node += 1
    dumps = pd.DataFrame(
        {
            "pass": "explain", "process": 1, "dump": range(3), "mark": marks,
            "time_seconds": [0.01 * mark for mark in marks], "state": "complete",
        }
    )  # fmt: skip
    return {"graph_dumps": dumps, "paths": pd.DataFrame(rows)}


def test_one_leak_with_its_parts_its_holder_and_its_lines(golden: Golden) -> None:
    data = s.run(
        rss=s.leak(COUNT, 25_000),
        sites={
            "record": s.leak(COUNT, 12_000),
            "lib.py:encode<record": s.leak(COUNT, 8_000),
            "render": s.bounded(COUNT, 300_000, full_at=30),
            "start": s.steady(COUNT, 900_000),
        },
        task_count=s.steady(COUNT, 0),
    )
    tables = retention_tables(("app.LOG", "list", "Entry", 12_000))
    text = run_text(with_tables(data, **tables))
    assert "task_count" not in text and "%" in text
    golden("show-parts", text)


def test_holders_that_are_only_possible_and_native_ones(golden: Golden) -> None:
    data = s.run(
        rss=s.leak(COUNT, 25_000),
        sites={"decode": s.leak(COUNT, 9_000), "parse": s.leak(COUNT, 9_000)},
    )
    held = ("held by native code: list", "list", "bytes", 9_000)
    golden("show-doubtful", run_text(with_tables(data, **retention_tables(held))))


def test_what_keeps_next_to_nothing_itself_may_hold_native_memory() -> None:
    data = s.run(rss=s.leak(COUNT, 250_000), sites={"inflate": s.leak(COUNT, 250_000)})
    streams = ("app.STREAMS", "list", "app.Stream", 8)
    text = run_text(with_tables(data, **retention_tables(streams)))
    assert "app.STREAMS (list) holds 200 × app.Stream: 140 more" in text
    assert "little by itself: what leaks may be native memory of these objects" in text
    # Beside what takes the memory that leaks it would only distract.
    large = ("app.CACHE", "dict", "bytes", 250_000)
    text = run_text(with_tables(data, **retention_tables(large, streams)))
    assert "app.CACHE" in text
    assert "app.STREAMS" not in text and "little by itself" not in text


def test_descriptors_and_threads_with_the_calls_that_made_them(golden: Golden) -> None:
    data = s.run(
        rss=s.bounded(COUNT, 3e6, full_at=20),
        sites={"work": s.bounded(COUNT, 400_000, full_at=20)},
        fd_count=10 + s.leak(COUNT, 3),
        thread_count=1 + s.leak(COUNT, 1),
    )
    run = origins(
        data,
        [
            ("file", ["load", "main"], "made", s.leak(COUNT, 1), "/srv/data.csv"),
            ("socket", ["socket.create", "ask", "main"], "made", s.leak(COUNT, 1), "to db:5432"),
            ("file", ["either", "main"], "alike", s.leak(COUNT, 1), "/srv/shared.csv"),
            ("pipe", [], None, s.steady(COUNT, 4), ""),
            ("thread", ["poll"], "runs", s.leak(COUNT, 1), "Thread-7 (poll)"),
        ],
    )
    golden("show-origins", run_text(run))
    golden("headline-origins", "\n".join(headline(run)))


def test_looks_before_the_first_mark_leave_a_rate_per_unit() -> None:
    data = s.run(rss=s.bounded(COUNT, 3e6, full_at=20), fd_count=10 + s.leak(COUNT, 1))
    run = origins(data, [("socket", ["ask"], "made", s.leak(COUNT, 1), "to db:5432")])
    looks = run.data.origins
    first = looks.iloc[:2].assign(mark=np.nan, time_seconds=[0.0, 0.01])
    run = with_tables(run.data, origins=pd.concat([first, looks], ignore_index=True))
    assert run.origins()[["rate", "unit"]].to_numpy().tolist() == [[1.0, "iteration"]]


def test_what_is_reserved_is_told_from_what_is_used(golden: Golden) -> None:
    reserve = s.step(COUNT, 1 << 30, at=20)
    data = s.run(
        rss=s.bounded(COUNT, 3e6, full_at=20),
        traced_rss=s.bounded(COUNT, 3e6, full_at=20),
        sites={"arena": reserve, "read": s.bounded(COUNT, 400_000, full_at=60)},
    )
    golden("show-reserved", run_text(Run(data)))


def test_what_a_cell_reserves_is_told_from_what_it_uses() -> None:
    """A cell is traced and measured in one go: resident memory is that of its measure pass."""
    for other in (7, 8):
        reserve = s.step(COUNT, 1 << 30, at=20)
        data = s.run(rss=s.steady(COUNT), sites={"arena": reserve})
        for one, pid in zip(data.meta["processes"], (7, other), strict=True):
            one.update(pid=pid, started_seconds=0.0)
        reserved = reserved_at_end(data)
        assert reserved == ((float(1 << 30), 50e6) if other == 7 else None)


def test_a_stack_without_frames_has_no_place(golden: Golden) -> None:
    data = s.run(rss=s.leak(COUNT, 9_000), sites={"native": s.leak(COUNT, 9_000)})
    stacks = data.stacks.assign(frame_ids=[[]])
    text = run_text(with_tables(data, stacks=stacks))
    assert ":0" not in text
    golden("show-no-frame", text)


def test_what_threads_take_comes_after_the_lines_that_start_them() -> None:
    sites = {"own": s.leak(COUNT, 9_000), "start": s.leak(COUNT, 2_000)}
    for threads in (s.steady(COUNT, 4), s.leak(COUNT, 1)):
        data = s.run(sites=sites, thread_count=threads)
        frames = [[] if number == 0 else ids for number, ids in enumerate(data.stacks["frame_ids"])]
        run = with_tables(data, stacks=data.stacks.assign(frame_ids=frames))
        found = run.suspects()
        pile_up = run.verdict().resource("thread_count").verdict == "leak"
        assert list(found["function"] == "start") == [pile_up, not pile_up]
        note = str(found["note"].iloc[int(pile_up)])
        assert ("each thread takes for itself" in note) == pile_up


def test_comparisons(golden: Golden) -> None:
    leaking = s.run(
        rss=s.leak(COUNT, 20_000),
        sites={"keep": s.leak(COUNT, 20_000), "hold": s.leak(COUNT, 2_000)},
        fd_count=s.leak(COUNT, 1),
    )
    better = s.run(
        rss=s.leak(COUNT, 2_000),
        sites={"keep": s.steady(COUNT, 50_000), "hold": s.leak(COUNT, 2_000)},
        fd_count=s.steady(COUNT, 9),
    )
    fixed = s.run(
        rss=s.steady(COUNT), sites={"keep": s.steady(COUNT, 50_000)}, fd_count=s.steady(COUNT, 9)
    )
    golden("compare-improved", comparison_text(compare(leaking, better)))
    golden("compare-fixed", comparison_text(compare(leaking, fixed)))
