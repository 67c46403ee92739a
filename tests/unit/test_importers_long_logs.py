"""Logs of any length: read part by part, of which no kind of line is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import leaklab as ll
from leaklab.importers import json_array, json_lines, reading
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


VALUES = [{"a": [1, "],{"], "b": {"c": None}}, -12.5e3, "x\u00e9", True, {}, [], 1, {"d": "\\"}]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_in_parts_cut_anywhere(size: int, indent: int | None) -> None:
    for values in (VALUES, VALUES[:2], []):
        text = f" {json.dumps(values, indent=indent)}\n"
        parts = (text[n : n + size] for n in range(0, len(text), size))
        assert list(json_array.values_of(parts)) == values


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "text", ["[1, 2", "[1 2]", "[1,]", '[{"a": 1}, {"a"', "[1] 2", "[", "1", ""]
)
def test_a_damaged_array_is_no_shorter_one(text: str, size: int) -> None:
    parts = (text[n : n + size] for n in range(0, len(text), size))
    with pytest.raises(ValueError, match=r": character \d"):
        list(json_array.values_of(parts))


def test_an_array_of_records_is_not_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PART_BYTES", 1 << 10)
    monkeypatch.setattr(json_lines, "PART_ROWS", 16)
    monkeypatch.setattr(reading.Source, "_text", None)
    path = tmp_path / "log.json"
    path.write_text(json.dumps([{"time": 60 * n, "rss_mb": 200 + n} for n in range(400)]))
    assert ll.read(path).verdict().resources[0].last == 599 * (1 << 20)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ll.LeaklabError, match=r"damaged JSON: .*: character 1\d,\d{3}"):
        ll.read(path)


def test_objects_that_tell_nothing_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n" * 40)
    with pytest.raises(ll.LeaklabError, match="no column of"):
        ll.read(path)
