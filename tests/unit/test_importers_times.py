"""Times as people's programs write them: one order of day and month, the newest row first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import leaklab as ll
from leaklab.errors import UsageError

MIB = 1 << 20
HOURLY = [datetime(2025, 11, 24, 16) + timedelta(hours=n) for n in range(25 * 24)]


def read(folder: Path, times: list[str], name: str = "time") -> ll.Run:
    path = folder / "figures.txt"
    rows = [f"{time};{100 + n}" for n, time in enumerate(times)]
    path.write_text("\n".join([f"{name};rss_mb", *rows]))
    return ll.read(path)


def understood(run: ll.Run) -> str:
    return str(run.meta["events"][0]["text"])


@pytest.mark.parametrize(
    ("form", "order"),
    [
        ("%d/%m/%Y %H:%M", "day first"),
        ("%d.%m.%Y %H:%M", "day first"),
        ("%d-%m-%y %H:%M:%S", "day first"),
        ("%m/%d/%Y %H:%M", "month first"),
        ("%m/%d/%Y %I:%M:%S %p", "month first"),
        ("%d/%m/%Y, %H:%M", "day first"),
    ],
)
@pytest.mark.parametrize("begin", [0, 8 * 24])  # days above 12 among them, and none
def test_one_order_of_day_and_month_holds_for_a_column(
    tmp_path: Path, form: str, order: str, begin: int
) -> None:
    times = HOURLY[begin : begin + 11 * 24] if begin else HOURLY
    run = read(tmp_path, [time.strftime(form) for time in times])
    seconds = run.data.samples["time_seconds"].to_numpy()
    assert seconds == pytest.approx(3600.0 * np.arange(len(times)))
    assert run.meta["created"] == times[0].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert f"rows by time, dates {order}" in understood(run)


def test_dates_in_two_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"two orders in column time: 24/11/2025 and 11/25/2025"):
        read(tmp_path, ["24/11/2025 10:00", "11/25/2025 10:00", "11/26/2025 10:00"])


def test_a_single_day_is_taken_month_first_and_said(tmp_path: Path) -> None:
    run = read(tmp_path, [f"05/06/2025 10:{n:02}" for n in range(12)])
    assert run.meta["created"] == "2025-05-06T10:00:00Z"
    assert "dates month first" in understood(run)


@pytest.mark.parametrize("form", ["seconds", "%H:%M:%S", "%Y-%m-%d %H:%M:%S"])
def test_the_newest_row_may_come_first(tmp_path: Path, form: str) -> None:
    moments = [datetime(2025, 11, 24, 16) + timedelta(minutes=n) for n in range(60 * 12)][::-1]
    times = [time.strftime(form) for time in moments]
    if form == "seconds":
        times = [str(60 * n) for n in range(len(times))][::-1]
    run = read(tmp_path, times)
    rows = run.data.samples
    assert rows["time_seconds"].tolist() == [60.0 * n for n in range(len(times))]
    assert rows["value"].iloc[-1] == 100 * MIB
    assert len(run.meta["processes"]) == 1
    assert "rows by time, newest first, " in understood(run)


def test_dates_of_no_clock_are_no_times(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no times in column time: '31/12/9999'; .*--time COL"):
        read(tmp_path, ["31/12/9999"] * 12)


def test_an_uptime_is_read_from_the_oldest_row_on(tmp_path: Path) -> None:
    rows = [f"2026-01-01 00:{n:02},{60 * (n % 20)},{100 + n}" for n in range(40)]
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(["time,uptime,rss_mb", *rows[::-1]]))
    run = ll.read(path)
    assert len(run.meta["processes"]) == 2
    assert run.data.samples["value"].iloc[0] == 100 * MIB


def test_rows_in_no_order_are_no_restarts(tmp_path: Path) -> None:
    times = [str(60 * (n * 37 % 100)) for n in range(100)]
    with pytest.raises(UsageError, match=r"not sorted by time: .*time falls \d+ times in 100 rows"):
        read(tmp_path, times)


@pytest.mark.parametrize("decimals", range(4, 13))
@pytest.mark.parametrize("name", ["time", "Date"])
def test_days_of_a_spreadsheet_are_told(tmp_path: Path, name: str, decimals: int) -> None:
    run = read(tmp_path, [f"{46285 + n / 96:.{decimals}f}" for n in range(96)], name)
    seconds = run.data.samples["time_seconds"].to_numpy()
    assert seconds == pytest.approx(900.0 * np.arange(96), abs=43_200 * 10.0**-decimals)
    assert run.meta["created"] == "2026-09-20T00:00:00Z"
    assert f"{name} in days of a spreadsheet (call it time_seconds" in understood(run)


def test_whole_days_of_a_spreadsheet_are_dates_by_name_alone(tmp_path: Path) -> None:
    days = [f"{46285 + n}" for n in range(12)]
    assert read(tmp_path, days, "date").data.samples["time_seconds"].iloc[1] == 86_400.0
    assert read(tmp_path, days, "time").data.samples["time_seconds"].iloc[1] == 1.0


@pytest.mark.parametrize(("name", "step"), [("time_seconds", 0.1), ("elapsed", 0.1), ("time", 5.3)])
def test_a_clock_in_seconds_is_no_spreadsheet(tmp_path: Path, name: str, step: float) -> None:
    run = read(tmp_path, [f"{46285.12 + step * n:.2f}" for n in range(40)], name)
    assert run.data.samples["time_seconds"].to_numpy() == pytest.approx(step * np.arange(40))


@pytest.mark.parametrize("step", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("decimals", range(1, 8))
def test_a_clock_of_many_hours_is_not_taken_for_days(
    tmp_path: Path, step: float, decimals: int
) -> None:
    times = [f"{45123.51234 + step * n:.{decimals}f}" for n in range(60)]
    with pytest.raises(UsageError, match="days of a spreadsheet, or seconds"):
        read(tmp_path, times)


def test_days_of_a_spreadsheet_may_be_hours_apart(tmp_path: Path) -> None:
    run = read(tmp_path, [f"{46285 + (3 * n + 1) / 24:.5f}" for n in range(60)])
    assert run.data.samples["time_seconds"].iloc[1] == 3 * 3600.0


def test_days_or_seconds_are_asked_for(tmp_path: Path) -> None:
    times = [f"{46285.123457 + 0.2 * n + 1.1e-5 * n * n:.7f}" for n in range(40)]
    with pytest.raises(UsageError, match=r"seconds, in column time: 46285.12346; .*time_seconds"):
        read(tmp_path, times)


@pytest.mark.parametrize(
    "form", ["{} days 00:30:00", "{} days, 0:30:00", "{} days 00:30:00.000000"]
)
def test_spans_of_pandas_and_python_are_times(tmp_path: Path, form: str) -> None:
    run = read(tmp_path, [form.format(n) for n in range(12)])
    assert run.data.samples["time_seconds"].tolist() == [86_400.0 * n for n in range(12)]


@pytest.mark.parametrize(
    ("heading", "day", "options"),
    [
        ("Date,Time,rss_mb", "%Y-%m-%d", {}),
        ("Date,Time,rss_mb", "%d/%m/%Y", {}),
        ("rss_mb,Datum,Uhrzeit", "%d.%m.%Y", {}),
        ("Time,Date,rss_mb", "%Y/%m/%d", {"time": "Time"}),
    ],
)
def test_the_day_may_stand_in_a_column_of_its_own(
    tmp_path: Path, heading: str, day: str, options: dict[str, str]
) -> None:
    lines = [heading]
    for number in range(40):
        moment = datetime.fromtimestamp(1_700_000_000 + 86_400 * number, UTC)
        cells = {"rss_mb": str(100 + number)}
        for name in heading.split(","):
            form = "%H:%M:%S" if name in ("Time", "Uhrzeit") else day
            cells.setdefault(name, moment.strftime(form))
        lines.append(",".join(cells[name] for name in heading.split(",")))
    path = tmp_path / "figures.csv"
    path.write_text("\n".join(lines))
    seconds = ll.read(path, **options).data.samples["time_seconds"]
    assert seconds.tolist() == [86_400.0 * n for n in range(40)]
