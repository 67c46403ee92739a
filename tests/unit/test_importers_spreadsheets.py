"""What spreadsheets write: points as thousands, a line for the separator, old encodings."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import UsageError

KIB = 1 << 10
MIB = 1 << 20


def read(folder: Path, content: bytes | str, **options: object) -> ll.Run:
    path = folder / "figures.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ll.read(path, **options)  # type: ignore[arg-type]


def first(run: ll.Run) -> float:
    return float(run.data.samples_of("rss_bytes")["value"].iloc[0])


def understood(run: ll.Run) -> str:
    return str(run.meta["events"][0]["text"])


def rows(cells: list[str], heading: str, separator: str = ";") -> str:
    lines = [f"01.11.2026 {n // 6:02}:{n % 6}0{separator}{cell}" for n, cell in enumerate(cells)]
    return "\n".join([heading, *lines])


@pytest.mark.parametrize(
    ("heading", "cells", "figure", "said"),
    [
        ("time;rss_kb", [f"{50 + n}.339" for n in range(60)], 50_339 * KIB, True),
        ("time;rss_kb", ["950" if n < 9 else f"1.0{n + 1}" for n in range(60)], 950 * KIB, True),
        ("time;rss_kb", [f"{990 + n}.072" if n < 10 else f"1.0{n}.072" for n in range(60)],
         990_072 * KIB, True),
        # A fraction of a MiB is written; so is one where the table has others.
        ("time;rss_mib", [f"{200 + n}.339" for n in range(60)], 200.339 * MIB, False),
        ("time;rss_kb;load", [f"{50_000 + n}.339;0.5" for n in range(60)], 50_000.339 * KIB, False),
        # Decimal commas beside them leave no doubt.
        ("time;rss_mib;load", [f"{200 + n}.339;0,5" for n in range(60)], 200_339 * MIB, True),
    ],
)  # fmt: skip
def test_points_that_mark_thousands(
    tmp_path: Path, heading: str, cells: list[str], figure: float, said: bool
) -> None:
    run = read(tmp_path, rows(cells, heading))
    assert first(run) == pytest.approx(figure)
    assert ("points as thousands" in understood(run)) is said


def test_a_point_in_a_table_with_commas_is_decimal(tmp_path: Path) -> None:
    run = read(tmp_path, rows([f"{50 + n}.339" for n in range(60)], "time,rss_kb", ","))
    assert first(run) == pytest.approx(50.339 * KIB)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_line_that_names_the_separator(tmp_path: Path, separator: str, mark: bytes) -> None:
    text = rows([f"{50 + n}" for n in range(60)], f"time{separator}rss_mib", separator)
    run = read(tmp_path, mark + f"sep={separator}\r\n{text}".encode())
    assert first(run) == 50 * MIB


def test_a_panel_that_was_downloaded_for_excel(tmp_path: Path) -> None:
    lines = [f'"2026-11-01 {n // 6:02}:{n % 6}0:00",{50 + n} MiB' for n in range(60)]
    text = "\r\n".join(["sep=,", '"Time","process_resident_memory_bytes"', *lines])
    run = read(tmp_path, text)
    assert understood(run).startswith("Grafana CSV")
    assert first(run) == 50 * MIB


@pytest.mark.parametrize(
    ("encoding", "space"), [("cp1252", "\u00a0"), ("utf-8", "\u00a0"), ("utf-8", "\u202f")]
)
def test_text_in_the_encoding_of_western_europe(tmp_path: Path, encoding: str, space: str) -> None:
    heading = "time;mémoire résidente"
    cells = [f"1{space}{200 + n}{space}Mo" for n in range(60)]
    content = rows(cells, heading).encode(encoding)
    run = read(tmp_path, content, values=("mémoire résidente=rss_bytes",))
    assert first(run) == 1200 * 10**6


def test_a_damaged_character_changes_no_encoding(tmp_path: Path) -> None:
    content = rows([f"{50 + n};é€à" for n in range(60)], "time;rss_mib;host").encode()
    run = read(tmp_path, content.replace("à".encode(), b"\xe0", 1), group="host")
    assert {entry["role"] for entry in run.meta["processes"]} == {"é€à", "é€\ufffd"}


def test_a_long_array_on_one_line(tmp_path: Path) -> None:
    records = [{"time": 60.0 * n, "rss_bytes": (50 + n) * MIB} for n in range(3000)]
    assert first(read(tmp_path, json.dumps(records))) == 50 * MIB


def test_an_error_of_prometheus_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"an error of Prometheus: .*; query timed out"):
        read(tmp_path, '{"status":"error","error":"query timed out"}')


def test_a_file_of_empty_lines_is_not_binary(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a file of empty lines"):
        read(tmp_path, "\n\n  \n")


@pytest.mark.parametrize("command", ["show", "compare", "import"])
def test_standard_input_is_read_as_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    content = rows([f"{50 + n}" for n in range(60)], "time,rss_mib", ",")
    (tmp_path / "other.csv").write_text(content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content.encode())))
    others = [str(tmp_path / "other.csv")] if command == "compare" else []
    assert main([command, "-", *others, "--store", str(tmp_path / "store")]) == 0
    assert "stdin: CSV, 60 rows" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "import"])
def test_what_is_wrong_with_standard_input_names_no_copy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert main([command, "-", "--store", str(tmp_path / "store")]) == 2
    assert "an empty file: standard input; nothing" in capsys.readouterr().err


def test_standard_input_is_read_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "-", "-"]) == 2
    assert "standard input named twice" in capsys.readouterr().err


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("heading_ends", [True, False])
def test_a_separator_behind_each_row_is_an_empty_last_column(
    tmp_path: Path, separator: str, heading_ends: bool
) -> None:
    lines = [f"time,rss_mb{',' * heading_ends}", *(f"{60 * n},{100 + n}," for n in range(12))]
    run = read(tmp_path, "\n".join(lines).replace(",", separator))
    samples = run.data.samples_of("rss_bytes")
    assert samples["value"].tolist() == [(100 + n) * MIB for n in range(12)]
    assert samples["time_seconds"].tolist() == [60.0 * n for n in range(12)]
    assert len(run.meta["events"]) == 1


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("ends", [(5, 9), (3, 6, 9), tuple(range(1, 60))])
def test_a_separator_behind_some_rows_is_nothing(
    tmp_path: Path, separator: str, ends: tuple[int, ...]
) -> None:
    rows = [f"{60 * n},{100 + n}{',' * (n in ends)}" for n in range(60)]
    rows[40] += ",7" if 40 not in ends else "7"
    run = read(tmp_path, "\n".join(["time,rss_mb", *rows]).replace(",", separator))
    assert len(run.data.samples_of("rss_bytes")) == 59
    assert "left out: 1 row of more fields: line 42 has 3 fields" in run.meta["events"][1]["text"]


def test_decimal_commas_in_quotes_and_a_comma_behind_each_row(tmp_path: Path) -> None:
    lines = ["time,rss_mb", *(f'{60 * n},"{100 + n},5",' for n in range(12))]
    assert first(read(tmp_path, "\n".join(lines))) == 100.5 * MIB


@pytest.mark.parametrize(
    ("heading", "row", "seconds"),
    [
        (",rss_mb", "0 days 00:{0:02}:00,100", 60.0),
        (",rss_mb", "2026-11-01 10:{0:02}:00,100", 60.0),
        (",time,rss_mb", "{0},{1},100", 120.0),
        ("minute,rss_mb", "{0},100", 60.0),
        ("elapsed_min,rss_mb", "{0},100", 60.0),
        ("minute,requests_per_minute,rss_mb", "{0},7,100", 60.0),
    ],
)
def test_times_as_pandas_writes_them(
    tmp_path: Path, heading: str, row: str, seconds: float
) -> None:
    lines = [heading, *(row.format(n, 120 * n) for n in range(12))]
    run = read(tmp_path, "\n".join(lines))
    samples = run.data.samples_of("rss_bytes")
    assert samples["time_seconds"].tolist() == [seconds * n for n in range(12)]
    assert "Unnamed" not in str(run.meta["events"])


def test_the_numbers_of_rows_alone_count_them(tmp_path: Path) -> None:
    run = read(tmp_path, "\n".join([",rss_mb", *(f"{n},100" for n in range(12))]))
    assert "12 rows by index" in understood(run)


def test_a_figure_per_minute_is_no_time(tmp_path: Path) -> None:
    lines = ["requests_per_minute,rss_mb", *(f"{n},100" for n in range(12))]
    with pytest.raises(UsageError, match="no column of times"):
        read(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("time", "memory", "resource"),
    [
        ("Zeit", "RSS (KB)", "rss_bytes"),
        ("Zeitstempel", "Arbeitsspeicher (KB)", "gauge:Arbeitsspeicher_bytes"),
        ("Horodatage", "Mémoire (Ko)", "gauge:Mémoire_bytes"),
        ("Fecha", "Memoria (KB)", "gauge:Memoria_bytes"),
    ],
)
def test_headings_of_other_languages_are_known(
    tmp_path: Path, time: str, memory: str, resource: str
) -> None:
    rows = [f"20.11.2026 08:{n:02}:00;{1 + n // 10}.{100 + n % 10:03},50" for n in range(30)]
    run = read(tmp_path, "\n".join([f"{time};{memory}", *rows]))
    values = run.data.samples_of(resource)["value"]
    assert values.iloc[0] == 1100.5 * 1024
    assert run.data.samples["time_seconds"].iloc[1] == 60.0


def test_what_kibana_exports_is_read(tmp_path: Path) -> None:
    heading = '"@timestamp per minute","Average of system.process.memory.rss.bytes"'
    rows = [f'"Nov 20, 2026 @ 08:{n:02}:00.000","{200 + n},732,336"' for n in range(30)]
    run = read(tmp_path, "\n".join([heading, *rows]))
    assert first(run) == 200_732_336
    assert run.data.samples["time_seconds"].iloc[1] == 60.0
