"""Text of /metrics, scraped into one file, and what promtool prints of series."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import leaklab as ll
from leaklab.errors import UsageError

MIB = float(1 << 20)
START = 1_700_000_000
COUNT = 120
RSS = (200 + 0.5 * np.arange(COUNT)) * MIB
# What differs between scrapes is the memory, and the time.
SCRAPE = """# HELP http_requests_total Requests "by" path.
# TYPE http_requests_total counter
http_requests_total{{path="/a b",code="200"}} {requests}{at}
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes {rss!r}{at}
# TYPE process_open_fds gauge
process_open_fds 12.0{at}
# TYPE latency_seconds histogram
latency_seconds_bucket{{le="+Inf"}} {requests}{at} # {{trace_id="x y"}} 0.67
"""


def scrapes(kind: str) -> str:
    parts = []
    for number, rss in enumerate(RSS.tolist()):
        now = START + 60 * number
        between = {
            "date": time.strftime("%a %b %d %H:%M:%S UTC %Y\n", time.gmtime(now)),
            "epoch": f"{now}\n",
            "comment": time.strftime("# %Y-%m-%dT%H:%M:%S+00:00\n", time.gmtime(now)),
        }
        at = {"milliseconds": f" {now}000", "seconds": f" {now}.250"}.get(kind, "")
        end = "# EOF\n" if kind == "seconds" else ""
        scrape = SCRAPE.format(requests=100 * number, rss=rss, at=at)
        parts.append(between.get(kind, "") + scrape + end)
    return "".join(parts)


def dumped() -> str:
    labels = '{__name__="process_resident_memory_bytes", instance="a:1", job="web"}'
    rows = (f"{labels} {rss:g} {START + 60 * n}000" for n, rss in enumerate(RSS.tolist()))
    return "\n".join(rows)


def queried() -> str:
    head = 'process_resident_memory_bytes{instance="a:1", job="web"} =>\n'
    return head + "\n".join(f"{rss:.0f} @[{START + 60 * n}]" for n, rss in enumerate(RSS.tolist()))


CONTENT = {
    **{kind: scrapes(kind) for kind in ("date", "epoch", "comment", "milliseconds", "seconds")},
    "tsdb dump": dumped(),
    "promtool query": queried(),
}


@pytest.mark.parametrize("kind", CONTENT)
def test_scrapes_in_one_file_are_a_series(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text(CONTENT[kind])
    run = ll.read(path)
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert entry.rate == pytest.approx(0.5 * MIB / 60, rel=0.01)
    assert run.meta["created"] == "2023-11-14T22:13:20Z"
    if kind in ("date", "milliseconds"):
        assert set(run.data.samples["name"]) == {"rss_bytes", "fd_count"}


def test_targets_of_one_dump_are_processes(tmp_path: Path) -> None:
    path = tmp_path / "dump.txt"
    path.write_text("\n".join((dumped(), dumped().replace("a:1", "b:1"))))
    assert {row["role"] for row in ll.read(path).meta["processes"]} == {"a:1", "b:1"}


@pytest.mark.parametrize("count", [1, 5])
def test_scrapes_without_times_are_refused_with_what_to_do(tmp_path: Path, count: int) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text(SCRAPE.format(requests=1, rss=1e8, at="") * count)
    with pytest.raises(UsageError, match=r"no times beside the figures: .*; append a scrape"):
        ll.read(path)


def test_a_clock_beside_times_of_its_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text(f"12:00:01\nprocess_open_fds 4\nprocess_open_fds 5 {START}000\n")
    with pytest.raises(UsageError, match="times of day beside times of metrics"):
        ll.read(path)
