"""Figures as people's programs write them: decimal commas, thousands marks, units in cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.importers.cells import with_points

MIB = 1 << 20


def read(folder: Path, text: str, **options: object) -> ll.Run:
    path = folder / "figures.txt"
    path.write_text(text, encoding="utf-8")
    return ll.read(path, **options)  # type: ignore[arg-type]


def figures(run: ll.Run) -> list[float]:
    rows = run.data.samples
    return [float(value) for value in rows[rows["name"] == "rss_bytes"]["value"]]


def understood(run: ll.Run) -> str:
    return str(run.meta["events"][0]["text"])


@pytest.mark.parametrize(
    ("cells", "likely", "expected", "mark"),
    [
        (["200,5", "201,25"], ".", ["200.5", "201.25"], ","),
        (["1.234,5 KiB", "987,25 KiB"], ".", ["1234.5 KiB", "987.25 KiB"], ","),
        # Three digits behind each comma, but not behind the point: then it is no decimal mark.
        (["1,234", "1,234.5"], ",", ["1234", "1234.5"], "."),
        (["1,234", "999.25", ""], ",", ["1234", "999.25", ""], "."),
        (["0,123", "1,234"], ".", ["0.123", "1.234"], ","),
        (["1234,567", "1,234"], ".", ["1234.567", "1.234"], ","),
        (["1,234", "2,345"], ".", ["1234", "2345"], "."),
        (["1,234", "2,345"], ",", ["1.234", "2.345"], ","),
        (["1,234,567", "2,345"], ",", ["1234567", "2345"], "."),
        (["1,2MiB / 7,6GiB", ""], ".", ["1.2MiB / 7,6GiB", ""], ","),
        # Labels, addresses and dates are no figures.
        (["a,b", "c,d"], ".", ["a,b", "c,d"], ""),
        (["10.100.200.123", "24.11.2025"], ",", ["10.100.200.123", "24.11.2025"], ""),
    ],
)  # fmt: skip
def test_one_decimal_mark_holds_for_a_column(
    cells: list[str], likely: str, expected: list[str], mark: str
) -> None:
    assert with_points(cells, likely) == (expected, mark)


def test_a_decimal_comma_is_no_thousands_mark(tmp_path: Path) -> None:
    rows = [f"{1764547200 + 60 * n};{200 + n // 2},{n % 2 * 5}" for n in range(100)]
    run = read(tmp_path, "\n".join(["time;RSS (MiB)", *rows]))
    assert figures(run)[:3] == [200 * MIB, 200.5 * MIB, 201 * MIB]
    assert run.verdict().resources[0].rate == pytest.approx(30 * MIB / 3600, rel=0.01)
    assert "decimal comma in RSS (MiB)" in understood(run)


def test_which_mark_was_taken_is_said_where_both_could_be(tmp_path: Path) -> None:
    cells = [f"{1 + n},{n:03}" for n in range(12)]
    run = read(tmp_path, "\n".join(["t;rss_mb", *(f"{n};{c}" for n, c in enumerate(cells))]))
    assert figures(run)[1] == 2.001 * MIB
    assert "decimal comma in rss_mb" in understood(run)
    run = read(tmp_path, "\n".join(["t,rss_kb", *(f'{n},"{c}"' for n, c in enumerate(cells))]))
    assert figures(run)[1] == 2001 * 1024
    assert "commas as thousands in rss_kb" in understood(run)


def test_decimal_commas_in_json_and_in_log_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"t": f"{n},5", "rss_mb": f"{n},25"}) for n in range(1, 13)]
    assert figures(read(tmp_path, "\n".join(lines)))[0] == 1.25 * MIB
    lines = [f"2026-01-01 10:00:{n:02},500 RSS={n},25 MB" for n in range(1, 13)]
    run = read(tmp_path, "\n".join(lines), line=r"RSS=(?P<rss>[\d.,]+)")
    assert figures(run)[0] == 1.25 * MIB


@pytest.mark.parametrize("values", [(), ("value",)])
def test_the_unit_that_is_asked_for_makes_memory_of_a_plain_name(
    tmp_path: Path, values: tuple[str, ...]
) -> None:
    path = tmp_path / "export.csv"
    path.write_text("time,value\n" + "".join(f"{60 * n},{200 + n}\n" for n in range(40)))
    run = ll.read(path, unit="MiB", values=values)
    entry = run.verdict().resource("gauge:value_bytes")
    assert entry is not None
    assert entry.rate == pytest.approx((1 << 20) / 60, rel=0.01)


def test_a_share_is_none_of_memory_in_any_unit(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("time,mem_percent\n" + "".join(f"{60 * n},{20 + n}\n" for n in range(40)))
    run = ll.read(path, unit="MiB")
    assert run.data.samples["value"].iloc[0] == 20
