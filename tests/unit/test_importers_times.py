"""Times as people's programs write them: one order of day and month, the newest row first."""

from __future__ import annotations

from datetime import datetime, timedelta
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
