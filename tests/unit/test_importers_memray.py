"""Captures and pages of memray: of other versions, cut, without figures; dumps of tracemalloc."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import LeaklabError, UsageError
from leaklab.importers.files import read_file
from leaklab.importers.reading import Options

EVIDENCE = Path(__file__).parents[1] / "evidence"
PAGE = EVIDENCE / "memray_1.18_temporal.html"


def test_a_capture_of_another_version_is_named_with_what_reads_it() -> None:
    with pytest.raises(LeaklabError) as caught:
        ll.read(EVIDENCE / "memray_1.18_header.bin")
    text = str(caught.value)
    assert "format 11, as memray 1.18.0 writes it" in text
    assert "pip install memray==1.18.0 && memray flamegraph --temporal" in text
    assert "iostream" not in text


@pytest.mark.parametrize(("version", "said"), [(9, "memray 1.6.0"), (12, "1.19.1"), (99, "99")])
def test_a_capture_of_any_version_is_named(tmp_path: Path, version: int, said: str) -> None:
    path = tmp_path / "capture.bin"
    path.write_bytes(struct.pack("=7si", b"memray", version) + bytes(100))
    with pytest.raises(LeaklabError, match=said):
        ll.read(path)


@pytest.mark.parametrize("content", [b"time,rss_kb\n1,2\n2,3\n3,4\n", b"t\n"])
def test_what_is_no_capture_is_called_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "figures.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"^no capture of memray: .*; leave out --format memray"):
        read_file(path, Options(), form="memray")


def test_a_capture_cut_in_its_first_block_is_said_to_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "capture.bin"
    for begin in (b"memray\x00", b"\x04\x22\x4d\x18\x40\x40"):
        path.write_bytes(begin)
        with pytest.raises(LeaklabError, match="cut off before its first figures"):
            ll.read(path)


@pytest.mark.parametrize(
    ("version", "seconds"), [("1.12", 0.037), ("1.18", 0.0303), ("1.19", 0.031)]
)
def test_a_temporal_page_names_the_line(version: str, seconds: float) -> None:
    run = ll.read(EVIDENCE / f"memray_{version}_temporal.html")
    assert run.verdict().verdict == "leak"
    first = run.suspects().iloc[0]
    assert (first["function"], first["file"], first["line"]) == ("work", "leaky.py", 4)
    heap, rss = (run.verdict().resource(name) for name in ("heap_bytes", "rss_bytes"))
    assert heap is not None
    assert rss is not None
    # 400 kB a call, and how long a call with its pause took.
    assert heap.rate == pytest.approx(400_000 / seconds, rel=0.05)
    assert rss.rate == pytest.approx(heap.rate, rel=0.15)


def test_a_page_without_stacks_has_its_figures_all_the_same(tmp_path: Path) -> None:
    text = PAGE.read_text()
    path = tmp_path / "page.html"
    path.write_text(text.replace('"intervals"', '"other"'))
    run = ll.read(path)
    assert {r.name for r in run.verdict().resources} == {"rss_bytes", "gauge:heap_bytes"}
    assert not len(run.suspects())
    path.write_text("<html>memray<script>const memory_records = [];\n</script>")
    with pytest.raises(LeaklabError, match="0 samples"):
        ll.read(path)
    path.write_text("<html>memray</html>")
    with pytest.raises(LeaklabError, match="without figures over time"):
        ll.read(path)


DUMPS = """
import sys, tracemalloc
tracemalloc.start(3)
kept = []
def keep():
    kept.extend(bytes(500) for _ in range(1000))
for number in range(12):
    keep()
    tracemalloc.take_snapshot().dump(sys.argv[1] + f"/{number:02}.dump")
"""


def test_dumps_of_tracemalloc_are_one_run_when_a_pickle_may_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "dumping.py"
    program.write_text(DUMPS)
    subprocess.run([sys.executable, str(program), str(tmp_path)], check=True, timeout=60)
    files = sorted(str(path) for path in tmp_path.glob("*.dump"))
    store = ["--store", str(tmp_path / "store"), "--name", "dumps"]
    assert main(["import", *files, *store]) == 2
    assert "--trust-pickle" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
    assert main(["import", "--trust-pickle", *files, *store]) == 0
    run = ll.open(capsys.readouterr().out.strip())
    assert run.verdict().verdict == "leak"
    first = run.suspects().iloc[0]
    assert (Path(first["file"]).name, first["line"]) == ("dumping.py", 6)
    with pytest.raises(UsageError, match="has no course"):
        ll.read(files[0], trust_pickle=True)


def test_a_gzip_of_a_capture_is_read_as_the_capture(tmp_path: Path) -> None:
    path = tmp_path / "capture.bin.gz"
    with (EVIDENCE / "memray_1.18_header.bin").open("rb") as plain, gzip.open(path, "wb") as out:
        shutil.copyfileobj(plain, out)
    with pytest.raises(LeaklabError, match="format 11"):
        ll.read(path)
