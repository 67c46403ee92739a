"""Logs of any length: read part by part, of which no kind of line is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import leaklab as ll
from leaklab.importers import json_lines
from leaklab.importers.thinned import thinned

MIB = 1 << 20


def test_figures_in_every_twentieth_line_of_a_log_are_thinned_apart() -> None:
    kinds = ["figures" if n % 4 == 1 else "requests" for n in range(400)]
    rows = pd.DataFrame({"time": range(400), "kind": kinds})
    parts = [rows.iloc[:150], rows.iloc[150:]]
    kept, step = thinned(parts, "time", most_rows=110, kind="kind")
    assert step == 4
    assert list(kept.columns) == ["time"]
    assert (kept["time"] % 4 == 1).sum() == 25


def test_json_lines_are_read_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "PART_ROWS", 16)
    lines = []
    for n in range(100):
        lines += [json.dumps({"ts": 60 * n, "msg": "request", "tags": ["a", n]}), "no JSON", "{}"]
        lines += [json.dumps({"ts": 60 * n, "memory": {"rss_mb": 200 + n}, "worker": "a"})]
        lines += [json.dumps({"ts": 60 * n, "memory": {"rss_mb": 300}, "worker": "b"})]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines))
    run = ll.read(path)
    rates = {entry.role: entry.verdict for entry in run.verdict().resources}
    assert rates["a"] == "leak"
    assert rates["b"] == "bounded"
    said = " ".join(event["text"] for event in run.meta["events"])
    assert "100 lines are no JSON and were left out" in said


def test_objects_that_tell_nothing_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n" * 40)
    with pytest.raises(ll.LeaklabError, match="no column of"):
        ll.read(path)
