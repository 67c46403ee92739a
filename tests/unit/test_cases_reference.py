"""Reference runs: portable, small, and readable by the present schema."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import leaklab as ll
from leaklab.cases.catalogue import case
from leaklab.cases.reference import (
    PAIRS,
    RETAINED_BYTES,
    SIZE_LIMIT_BYTES,
    _reduce_paths,
    _without_folders,
)

REFERENCE = Path(__file__).parents[2] / "data" / "reference"
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
    (folder,) = (REFERENCE / name / variant).iterdir()
    run = ll.open(folder)
    assert run.meta["state"] == "complete"
    assert len(run.data.samples) > 0
    expected = case(name).variant(variant).expectation.verdict
    assert run.verdict().verdict == expected
    assert not re.search(r'"/|/home/|/root/|/tmp/|/work/', (folder / "run.json").read_text())


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*")) < SIZE_LIMIT_BYTES
