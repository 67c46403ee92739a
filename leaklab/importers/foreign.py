"""Files of tools whose content gives no verdict: named for what they are, with the way out."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaklab.importers.reading import Source


@dataclass(frozen=True)
class Foreign:
    """A format that is not read. what: its name in words; way_out: what to export instead."""

    what: str
    way_out: str
    recognise: Callable[[Source], bool]


_RSS = "export process_resident_memory_bytes over time instead"
_RECORD = "record with `leaklab record -- COMMAND` instead"


_ONE_MOMENT = "one moment shows no growth: `leaklab watch PID` follows the process"
_APPENDED = "reads copies that were appended to one file over time"
_HOST = "memory of the whole host is no process's: log one, as with `pidstat -r -p PID 60`"
_UNPACK = "unpack it and name the files in it"


def _starts(*heads: bytes) -> Callable[[Source], bool]:
    return lambda source: source.head.startswith(heads)


def _holds(*needles: bytes) -> Callable[[Source], bool]:
    return lambda source: all(needle in source.head for needle in needles)


def _begins(pattern: bytes) -> Callable[[Source], bool]:
    return lambda source: bool(re.match(pattern, source.head))


def _is_tar(source: Source) -> bool:
    """The first block of an archive has a sum of itself in it."""
    try:
        tarfile.TarInfo.frombuf(source.head[: tarfile.BLOCKSIZE], "utf-8", "replace")
    except tarfile.HeaderError:
        return False
    return True


def _is_pprof(source: Source) -> bool:
    """A profile is a gzip of a protobuf whose first field is a ValueType of two string numbers."""
    begin = source.head[:12]
    return begin.startswith(b"\x0a") and len(begin) > 6 and begin[1] <= 8 and begin[2] == 0x08


FOREIGN = (
    Foreign("a program (ELF)", _RECORD, _starts(b"\x7fELF")),
    Foreign("a ZIP archive", _UNPACK, _starts(b"PK\x03\x04")),
    Foreign("a tar archive", _UNPACK, _is_tar),
    Foreign("a 7z archive", _UNPACK, _starts(b"7z\xbc\xaf\x27\x1c")),
    Foreign("a zstd archive", "unpack it (unzstd) and name the file", _starts(b"\x28\xb5\x2f\xfd")),
    Foreign(
        "a bzip2 archive", "unpack it (bunzip2) and name the file", _begins(rb"BZh[1-9]1AY&SY")
    ),
    Foreign("an xz archive", "unpack it (unxz) and name the file", _starts(b"\xfd7zXZ\x00")),
    Foreign(
        "a status of /proc",
        rf"{_ONE_MOMENT}, and --line 'VmRSS:\s+(?P<rss>\d+)' {_APPENDED}",
        _begins(rb"Name:\t.*\n(?:\w+:.*\n)*?State:\t"),
    ),
    Foreign(
        "a smaps_rollup of /proc",
        rf"{_ONE_MOMENT}, and --line '^Rss:\s+(?P<rss>\d+)' {_APPENDED}",
        _begins(rb"[0-9a-f]+-[0-9a-f]+ ---p .*\[rollup\]\n"),
    ),
    Foreign(
        "a smaps or maps of /proc",
        f"{_ONE_MOMENT}, or append smaps_rollup, which is short, to one file over time",
        _begins(rb"[0-9a-f]+-[0-9a-f]+ [r-][w-][x-][sp] [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ \d+"),
    ),
    Foreign(
        "a stat or statm of /proc",
        _ONE_MOMENT,
        _begins(rb"(?:\d+ \(.*\) [A-Z](?: -?\d+){20,}|\d+(?: \d+){6})\n?\Z"),
    ),
    Foreign("a meminfo of /proc", _ONE_MOMENT, _begins(rb"MemTotal:\s+\d+ kB\n")),
    Foreign(
        "a memory.stat of a control group",
        _ONE_MOMENT,
        _begins(rb"(?:anon \d+\nfile|cache \d+\nrss) \d+\n"),
    ),
    Foreign("a profile of pprof (Go), without figures over time", _RSS, _is_pprof),
    Foreign(
        "a heap snapshot of V8 (Chrome, Node), without figures over time",
        "log process.memoryUsage() every few seconds as JSON lines and import those",
        _holds(b'"snapshot"', b'"meta"', b'"node_fields"'),
    ),
    Foreign(
        "a profile of massif (valgrind)",
        "its figures are of a program 20 times slowed down: log its resident memory "
        "(psrecord, pidstat -r) and import that",
        _holds(b"desc:", b"snapshot=", b"mem_heap_B="),
    ),
    Foreign(
        "a profile of heaptrack",
        "print it (heaptrack_print) or log resident memory with pidstat -r and import that",
        lambda source: bool(re.match(rb"v [0-9a-f]+ [0-9a-f]+\n", source.head[:64])),
    ),
    Foreign(
        "a heap profile of jemalloc or gperftools, without figures over time",
        _RSS,
        lambda source: source.head.startswith((b"heap_v2/", b"heap profile:")),
    ),
    Foreign(
        "a memory snapshot of torch.cuda (a pickle)",
        "it is of the graphics card: open it with pytorch.org/memory_viz, or log "
        "torch.cuda.memory_allocated() as JSON lines and import those",
        lambda source: source.head[:1] == b"\x80" and b"segments" in source.head,
    ),
    Foreign(
        "a profile of Scalene",
        "it holds averages by line, no figures over time; " + _RECORD,
        _holds(b'"n_python_malloc_mb"'),
    ),
    Foreign(
        "a profile of py-spy (speedscope)",
        "it is of time, not of memory; " + _RECORD,
        _holds(b"speedscope", b'"profiles"'),
    ),
    Foreign(
        "stacks of a flame graph (py-spy raw), of time or of one moment",
        _RECORD,
        lambda source: _is_folded(source),
    ),
    Foreign(
        "an output of memray stats or table, without figures over time",
        "import the capture itself, or its `memray flamegraph --temporal` page",
        lambda source: (
            source.head.lstrip().startswith(b'{"total_num_allocations"')
            or source.head.startswith(b"Allocator,")
            or b"Total memory allocated:" in source.head
        ),
    ),
)
# These may stand in a log beside figures that are read.
BESIDE_OTHERS = (
    Foreign("an output of vmstat", _HOST, _holds(b"procs -", b"-memory-")),
    Foreign(
        "an output of free",
        _HOST,
        lambda source: bool(re.search(rb"\stotal +used +free +shared.*\nMem: ", source.head)),
    ),
    Foreign("memory as sar tells it", _HOST, _holds(b"kbmemfree", b"kbmemused")),
    Foreign("statistics of sadf (JSON)", _HOST, _holds(b'"sysstat"', b'"hosts"', b'"statistics"')),
    Foreign(
        "statistics of tracemalloc as text",
        "save the snapshots themselves, with snapshot.dump(FILE), and import those",
        lambda source: bool(re.search(rb": size=[\d.]+ [KMG]?i?B.*, count=\d+", source.head)),
    ),
)


def _is_folded(source: Source) -> bool:
    lines = [line for line in source.first_lines[:20] if line.strip()]
    return bool(lines) and all(re.fullmatch(r"\S.*;.* \d+", line) for line in lines)


def name_of(source: Source, among: Sequence[Foreign] = FOREIGN) -> Foreign | None:
    """Return what the file is where leaklab knows it and does not read it, else None."""
    return next((entry for entry in among if entry.recognise(source)), None)
