"""A writer that was killed leaves half a line: no figure is made of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from leaklab.importers.reading import Options
from leaklab.importers.registry import read

COUNT = 12
# What each program writes at the second moment of a minute, and before all of it.
FORMATS = {
    "csv": ("time,rss_bytes,threads\n", "{epoch},{bytes},{threads}\n"),
    "memory-last.csv": ("time,threads,rss_bytes\n", "{epoch},{threads},{bytes}\n"),
    "time-last.csv": ("rss_bytes,time\n", "{bytes},2026-03-01 12:{number:02}:00\n"),
    "semicolons.csv": ("time;rss (MiB)\n", "{number},5;{mib}\n"),
    "mprof": (
        "CMDLINE python app.py\n",
        "MEM {mib} {epoch}.2500\nCHLD 4711 {mib} {epoch}.2600\n",
    ),
    "mprof-calls": (
        "CMDLINE python app.py\n",
        "CHLD 4711 {mib} {epoch}.2600\nFUNC app.work 50.1000 {epoch}.0500 50.2000 {epoch}.1500\n"
        "MEM {mib} {epoch}.2500\n",
    ),
    "psrecord": (
        "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n",
        "{number:12.3f} {threads:12.3f} {mib:>12} {mib:>12}\n",
    ),
    "pidstat": (
        "# Time   UID   PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n",
        "{epoch}  1000  4711   1.00   0.00  900000  {kib}  0.50  python\n",
    ),
    "exposition": (
        "# TYPE process_resident_memory_bytes gauge\n",
        'process_resident_memory_bytes{{job="web"}} {bytes} {epoch}000\n',
    ),
    "lines": ("", "2026-03-01 12:{number:02}:00 INFO worker rss_bytes={bytes}\n"),
    "jsonl": ("", '{{"time": {epoch}, "rss_bytes": {bytes}}}\n'),
}


def content(heading: str, line: str) -> bytes:
    """A file that its writer has come to the end of."""
    rows = [
        line.format(
            number=number,
            epoch=1_770_000_000 + 60 * number,
            bytes=209_715_200 + 4096 * number,
            kib=204_800 + 4 * number,
            mib=f"{200 + number / 256:.6f}",
            threads=20 + number,
        )
        for number in range(COUNT)
    ]
    return (heading + "".join(rows)).encode()


def figures(path: Path) -> set[tuple[str, str, float, float]]:
    """Every figure of a file: process, resource, moment, value."""
    options = Options(line=r"rss_bytes=(?P<rss_bytes>\d+)") if path.name == "lines" else Options()
    return {
        (member.role, series.name, *pair)
        for member in read(path, options).members
        for series in member.series
        for pair in zip(series.seconds.tolist(), series.values.tolist(), strict=True)
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_line_that_is_cut_anywhere_gives_no_figure(tmp_path: Path, name: str) -> None:
    whole = content(*FORMATS[name])
    path = tmp_path / name
    path.write_bytes(whole)
    wanted = figures(path)
    for cut in range(1, 31):
        path.write_bytes(whole[:-cut])
        found = figures(path)
        assert found <= wanted, (cut, whole[:-cut].splitlines()[-1], found - wanted)
        assert len(found) >= len(wanted) * (COUNT - 2) / COUNT


def test_a_whole_line_without_its_end_is_read_and_one_that_is_cut_is_told_of(
    tmp_path: Path,
) -> None:
    whole = content(*FORMATS["memory-last.csv"])
    path = tmp_path / "figures.csv"
    path.write_bytes(whole.rstrip(b"\n"))
    reading = read(path, Options())
    assert len(reading.members[0].series[0].values) == COUNT
    assert not reading.notes
    path = tmp_path / "figures.csv.gz"
    path.write_bytes(gzip.compress(whole[:-5]))
    reading = read(path, Options())
    assert len(reading.members[0].series[0].values) == COUNT - 1
    assert reading.notes[-1].startswith("last line left out: it has no end")
