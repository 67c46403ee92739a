"""Reference runs: portable, small, and readable by the present schema."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import leaklab as ll
from leaklab.catalogue.expectations import kept_row
from leaklab.catalogue.model import case
from leaklab.catalogue.reference import (
    PAIRS,
    RETAINED_BYTES,
    SIZE_LIMIT_BYTES,
    _leave_out_heaps,
    _reduce_paths,
    _without_folders,
)
from leaklab.recordings.locating import find_recording
from leaklab.store.location import filesystem

REFERENCE = Path(__file__).parents[2] / "data" / "reference.zip"


def reference(name: str, variant: str) -> str:
    found = find_recording(str(REFERENCE), name, variant)
    assert found is not None
    return found


RUNS = [(pair.case, variant) for pair in PAIRS.values() for variant in pair[1:]]


@pytest.mark.parametrize(
    ("text", "portable"),
    [
        ("/opt/env/bin/python", "python"),
        ("File '/home/me/app/target.py', line 3", "File 'target.py', line 3"),
        ("http://127.0.0.1:80/bytes/3", "http://127.0.0.1:80/bytes/3"),
        ("site-packages/httpx/_client.py", "site-packages/httpx/_client.py"),
        ("leak: 3 B/s", "leak: 3 B/s"),
    ],
)
def test_absolute_paths_become_names(text: str, portable: str) -> None:
    assert _without_folders({"argv": [text, 3, None]}) == {"argv": [portable, 3, None]}


def test_what_grows_or_holds_much_stays_with_what_leads_to_it(tmp_path: Path) -> None:
    table = tmp_path / "paths.parquet"
    rows = [
        # node, parent, path, count, retained_bytes at dumps 0 and 1
        (0, -1, "app", (1, 1), 100),
        (1, 0, "app.LIST", (1, 1), 100),
        (2, 1, "app.LIST → item", (5, 9), 100),
        (3, 0, "app.small", (1, 1), 100),
        (4, 3, "app.small → item", (2, 2), 100),
        (5, -1, "big", (1, 1), RETAINED_BYTES),
    ]
    pq.write_table(
        pa.table(
            {
                "process": [0] * 12,
                "dump": [dump for dump in (0, 1) for _ in rows],
                "tree": ["path"] * 12,
                "node": [row[0] for _ in (0, 1) for row in rows],
                "parent": [row[1] for _ in (0, 1) for row in rows],
                "kind": ["module"] * 12,
                "path": [row[2] for _ in (0, 1) for row in rows],
                "count": [row[3][dump] for dump in (0, 1) for row in rows],
                "retained_bytes": [row[4] for _ in (0, 1) for row in rows],
            }
        ),
        table,
    )
    _reduce_paths(table)

    for _, nodes in pd.read_parquet(table).groupby("dump"):
        assert list(nodes["path"]) == ["app", "app.LIST", "app.LIST → item", "big"]
        assert list(nodes["node"]) == [0, 1, 2, 3]
        assert list(nodes["parent"]) == [-1, 0, 1, -1]


@pytest.mark.parametrize(("name", "variant"), RUNS)
def test_every_reference_run_opens_and_shows_what_its_case_expects(name: str, variant: str) -> None:
    run = ll.open(reference(name, variant))
    assert run.meta["state"] == "complete"
    assert len(run.data.samples) > 0
    expected = case(name).variant(variant).expectation.verdict
    assert run.verdict().verdict == expected
    fs, folder = filesystem(str(run.path))
    assert not re.search(
        r'"/|/home/|/root/|/tmp/|/work/', fs.cat_file(f"{folder}/run.json").decode()
    )


HEAP_LEAKS = [
    (pair.case, pair.before)
    for pair in PAIRS.values()
    if case(pair.case).variant(pair.before).expectation.holder
]


@pytest.mark.parametrize(("name", "variant"), HEAP_LEAKS)
def test_the_report_s_row_of_a_heap_leak_says_what_its_case_declares(
    name: str, variant: str
) -> None:
    expected = case(name).variant(variant).expectation
    assert expected.holder is not None
    kept = kept_row(expected.holder, ll.open(reference(name, variant)))
    assert kept is not None
    assert expected.suspect in kept.functions
    assert kept.rate > 0


def test_only_heaps_of_processes_that_mark_are_kept(tmp_path: Path) -> None:
    processes = [{"process": 0, "mark_count": 0}, {"process": 1, "mark_count": 5}]
    (tmp_path / "run.json").write_text(json.dumps({"processes": processes}))
    tables = {
        "snapshots": {"process": [0, 1], "snapshot": [0, 0]},
        "heap": {"process": [0, 1, 1], "stack_id": [7, 8, 9]},
        "stacks": {"stack_id": [7, 8, 9], "frame_ids": [[1, 2], [2, 3], [4]]},
        "frames": {"frame_id": [1, 2, 3, 4]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    _leave_out_heaps(tmp_path)

    def left(name: str, column: str) -> list[int]:
        return list(pd.read_parquet(tmp_path / f"{name}.parquet")[column])

    assert left("snapshots", "process") == [1]
    assert left("heap", "process") == [1, 1]
    assert left("stacks", "stack_id") == [8, 9]
    assert left("frames", "frame_id") == [2, 3, 4]


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*")) < SIZE_LIMIT_BYTES


def test_an_archive_is_a_store(tmp_path: Path) -> None:
    table = ll.runs(REFERENCE)
    assert set(table["name"]) == {pair.case for pair in PAIRS.values()}
    path = table["path"].iloc[0]
    assert ll.open(path).verdict().verdict == table["run_verdict"].iloc[0]
    inside = f"{REFERENCE}/unbounded-cache/before"
    assert ll.open(inside).meta["variant"] == "before"
    assert ll.compare(inside, f"{REFERENCE}/unbounded-cache/better_fix").outcome == "fixed"
    (tmp_path / "not.zip").write_text("no archive")
    with pytest.raises(ll.LeaklabError, match=r"no such run|not a run|no run"):
        ll.open(tmp_path / "not.zip")
