"""What cannot be read is named for what it is, in one line, with what to do; no run is left."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.analysis.series import resource_series
from leaklab.cli import main


def tar(form: int = tarfile.DEFAULT_FORMAT) -> bytes:
    """An archive of one file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("figures.csv"), io.BytesIO())
    return content.getvalue()


def proc(name: str) -> bytes:
    """A file of this process in /proc, as a copy has it."""
    return Path("/proc/self", name).read_bytes()


MOMENT = "one moment shows no growth: `leaklab watch PID`"
CONTENT = {
    "empty": (b"", "an empty file"),
    "empty.gz": (gzip.compress(b""), "an empty file"),
    "random": (bytes(range(255, 0, -1)) * 20, "a binary file of no format that is known"),
    "log": (b"at 1 RSS: 118.2 mb\nat 2 RSS: 119 mb\n", r"--line 'RSS: (?P<rss>[\d.]+)'"),
    "python.log": (
        b"2026-11-01 10:00:00,123 INFO served GET /\n2026-11-01 10:00:01,5 INFO RSS=118.2 MB\n",
        r"--line 'RSS=(?P<rss>[\d.]+)'",
    ),
    "loop": (b"1763625600 204816\n1763625660 205816\n", r"--line '(?P<rss>\d+)$' --unit KiB"),
    "clocks": (b"08:00:00 204816\n08:01:00 205816\n", r"--line '(?P<rss>\d+)$' --unit KiB"),
    "words": (b"memory usage is 20.5MB; Peak was 21MB\n", "--line 'memory usage is (?P<rss>"),
    "unit": (b"a,20.5MiB / 1GiB\nb;21MiB / 1GiB\n", "--line '(?P<memory>[\\d.]+ ?[KMG]i?B)'"),
    "vmstat": (b"procs -----------memory----------\n r  b   swpd   free\n", "whole host"),
    "free": (
        b"       total        used        free      shared  buff/cache\nMem:   32  3  20  1  9\n",
        "whole host",
    ),
    "sar": (b"Linux\n\n08:00:00    kbmemfree   kbavail kbmemused  %memused\n", "whole host"),
    "sadf": (b'{"sysstat": {"hosts": [{"statistics": []}]}}', "whole host"),
    "stats": (b"Total memory allocated:\n\t1.2GB\n", "memray flamegraph --temporal"),
    "top": (b"INFO /srv/app.py:12: size=100 KiB, count=10, average=102 B\n", "snapshot.dump(FILE)"),
    "object": (b'{"a": 1}', "one object a line"),
    "text": (b"hello\nworld\n", "--line REGEX"),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(60), "a program (ELF)"),
    "zip": (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
    "figures.tar": (tar(), "a tar archive"),
    "ustar.tar": (tar(tarfile.USTAR_FORMAT), "a tar archive"),
    "figures.tgz": (gzip.compress(tar()), "a tar archive"),
    "figures.tar.bz2": (bz2.compress(tar()), "a bzip2 archive"),
    "figures.tar.xz": (lzma.compress(tar()), "an xz archive"),
    "status": (proc("status"), f"; {MOMENT}"),
    "smaps": (proc("smaps"), f"; {MOMENT}"),
    "smaps_rollup": (proc("smaps_rollup"), f"; {MOMENT}"),
    "maps": (proc("maps"), f"; {MOMENT}"),
    "stat": (proc("stat"), f"; {MOMENT}"),
    "statm": (proc("statm"), f"; {MOMENT}"),
    "meminfo": (b"MemTotal:       24600000 kB\nMemFree: 1 kB\n", f"; {MOMENT}"),
    "memory.stat": (b"anon 4096\nfile 0\n", f"; {MOMENT}"),
    "heapsnapshot": (b'{"snapshot":{"meta":{"node_fields":["type"]}}}', "V8"),
    "massif": (b"desc: -\ncmd: ./a\nsnapshot=0\nmem_heap_B=0\n", "massif"),
    "heaptrack": (b"v 10400 3\nX ./a\n", "heaptrack"),
    "jeprof": (b"heap_v2/524288\n  t*: 1: 2 [0: 0]\n", "jemalloc"),
    "scalene": (b'{"files": {"a.py": {"lines": [{"n_python_malloc_mb": 1}]}}}', "Scalene"),
    "speedscope": (
        b'{"$schema":"https://www.speedscope.app/file-format-schema.json","profiles":[]}',
        "py-spy",
    ),
    "folded": (b"main;work (a.py:3) 12\nmain;idle (a.py:9) 3\n", "flame graph"),
    "torch": (pickle.dumps({"segments": [], "device_traces": []}), "torch.cuda"),
    "pprof.gz": (gzip.compress(b"\n\x04\x08\x01\x10\x02\n\x04\x08\x03\x10\x04" * 20), "pprof"),
    "cut.gz": (gzip.compress(os.urandom(5000))[:2000], "cannot be read"),
}


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status = main(arguments)
    error = capsys.readouterr().err
    assert status in (1, 2)
    assert error.count("\n") == 1, error
    assert error.startswith("leaklab: ")
    return error


@pytest.mark.parametrize("name", CONTENT)
def test_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content, said = CONTENT[name]
    path = tmp_path / name
    path.write_bytes(content)
    store = tmp_path / "store"
    error = complaint(capsys, "import", str(path), "--store", str(store))
    assert said in error
    assert str(path) in error
    assert ";" in error  # what to do
    assert not store.exists()
    assert said in complaint(capsys, "show", str(path))


def test_an_archive_without_runs_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("figures.csv", "time,rss_mb\n")
    error = complaint(capsys, "show", str(path))
    assert f"no run in the archive: {path}; unpack it" in error


@pytest.mark.parametrize("form", ["csv", "grafana"])
def test_a_binary_file_of_a_format_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / "figures.csv"
    path.write_bytes(b"time,rss_kb\n1,2\n" + bytes(400) + b"\n3,4\n")
    error = complaint(capsys, "show", str(path), "--format", form)
    assert f"no lines of text: {path}" in error


def test_what_is_no_file_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, said in (
        (str(tmp_path), "a folder"),
        (str(tmp_path / "missing"), "no such file"),
        (str(tmp_path / "fifo"), "a pipe or device"),
        (os.devnull, "a pipe or device"),
    ):
        assert said in complaint(capsys, "import", name)
    assert "unknown format: x" in complaint(capsys, "import", __file__, "--format", "x")


def test_commands_that_take_runs_name_the_one_that_takes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("time,rss_mb\n1,2\n")
    assert "leaklab import" in complaint(capsys, "report", str(path))
    assert "leaklab show" in complaint(capsys, "investigate", str(path))


@pytest.mark.parametrize("name", ["smaps", "status", "statm"])
def test_a_file_of_proc_itself_is_not_empty(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert MOMENT in complaint(capsys, "import", f"/proc/self/{name}")


@pytest.mark.parametrize(
    ("name", "line"),
    [("status", r"VmRSS:\s+(?P<rss>\d+)"), ("smaps_rollup", r"^Rss:\s+(?P<rss>\d+)")],
)
def test_the_course_of_copies_is_read_as_the_way_out_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, line: str
) -> None:
    path = tmp_path / name
    path.write_bytes(proc(name) * 12)
    assert f"--line '{line}'" in complaint(capsys, "show", str(path))
    series = resource_series(ll.read(path, line=line).data, "rss_bytes")
    kib = int(next(row for row in path.read_text().splitlines() if re.search(line, row)).split()[1])
    assert series["value"].tolist() == [kib * 1024] * 12
    assert series.attrs["unit"] == "iteration"


def test_a_store_that_ends_with_the_command_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("time,rss_mb\n1,2\n2,2\n3,2\n")
    said = "a store that is gone when the command ends: memory://x"
    assert said in complaint(capsys, "import", str(path), "--store", "memory://x")
    assert said in complaint(capsys, "record", "--store", "memory://x", "--", "true")
    monkeypatch.setenv("LEAKLAB_STORE", "memory://x")
    assert said in complaint(capsys, "import", str(path))
