"""Figures that pandas has written as parquet or feather, read as a CSV of them is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leaklab as ll
from leaklab.errors import LeaklabError, UsageError

COUNT = 90


def figures() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "when": pd.date_range("2026-03-01", periods=COUNT, freq="min"),
            "rss_mb": 100.0 + np.arange(COUNT),
            "fds": 12,
            "worker": "web",
        }
    )


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_a_table_is_read_as_its_csv_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"figures.{kind}"
    getattr(figures(), f"to_{kind}")(path)
    figures().to_csv(tmp_path / "figures.csv", index=False)
    run, as_csv = ll.read(path), ll.read(tmp_path / "figures.csv")
    assert run.verdict() == as_csv.verdict()
    assert run.meta["passes"][0]["started"] == "2026-03-01T00:00:00Z"
    assert "rss_mb in MiB as rss_bytes" in run.meta["events"][0]["text"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_index_of_moments_is_the_time(tmp_path: Path, unit: str) -> None:
    table = figures().set_index("when").rename_axis(None)
    table.index = table.index.astype(f"datetime64[{unit}]")
    table.to_parquet(tmp_path / "figures.parquet")
    run = ll.read(tmp_path / "figures.parquet")
    assert run.data.samples["time_seconds"].max() == 60 * (COUNT - 1)
    assert run.verdict().verdict == "leak"


def test_a_table_of_a_run_and_a_damaged_one_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    figures().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LeaklabError, match=r"damaged parquet file: .*copy it again"):
        ll.read(path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"a table of a run: .*`leaklab show "):
        ll.read(path)
