"""memray capture files: handed to the recorder's reader, or named with what reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.captures import LZ4_FRAME

if TYPE_CHECKING:
    from leaklab.store import RunData

Say = Callable[[str], None]

VARIANT = "capture"
_MAGIC = b"memray\x00"
# A format of capture files, and a release of memray that reads and writes it: each was tried.
_RELEASES = {9: "1.6.0", 10: "1.10.0", 11: "1.18.0", 12: "1.19.1", 13: "1.20.0"}


def recognise(head: bytes) -> bool:
    """Return whether a file begins as captures do, plain or compressed, whatever follows."""
    return head.startswith((_MAGIC, LZ4_FRAME))


def format_version(path: Path) -> int | None:
    """Return the version of the file format in the header; None where it is cut off before."""
    from leaklab.recorder.captures.capture import first_block

    begin = first_block(path)[: len(_MAGIC) + 4]
    if not begin.startswith(_MAGIC[: len(begin)]):
        with path.open("rb") as file:
            packed = file.read(len(LZ4_FRAME)) == LZ4_FRAME
        what = "an LZ4 archive, no capture" if packed else "no capture"
        way_out = "unpack it (lz4 -d) and name the file" if packed else "leave out --format memray"
        raise UsageError(f"{what} of memray: {path}; {way_out}")
    if len(begin) < len(_MAGIC) + 4:
        return None
    return int(struct.unpack("=i", begin[len(_MAGIC) :])[0])


def stored(
    path: Path,
    store: str,
    name: str | None,
    variant: str | None,
    limit_bytes: float | None,
    say: Say,
    fingerprint: str | None = None,
) -> str:
    """Write a capture and its children's files as a run and return its folder."""
    from leaklab.recorder.captures.capture import import_capture

    _check(path)
    limits = {"memory_bytes": limit_bytes} if limit_bytes else {}
    # What was asked of a file stands in for every limit that the run knows.
    more = {"limit_asked_bytes": limit_bytes, "fingerprint": fingerprint}
    folder = import_capture(
        path, store=store, name=name, variant=variant or VARIANT, limits=limits, more=more
    )
    for words in _understood(path, folder):
        say(f"{path.name}: {words}")
    return folder


def _understood(path: Path, folder: str) -> list[str]:
    """What a capture holds, and what is missing in it."""
    from leaklab.store import open_run

    meta = open_run(folder).meta
    if any(entry.get("aggregated") for entry in meta.get("processes", ())):
        what = "rss_bytes over time; aggregated: for the heap record without --aggregate"
    else:
        what = "live heap and rss_bytes over time"
    notes = [e["text"].removeprefix(f"{path.name}: ") for e in meta.get("events", ())]
    cut = [text for text in notes if "cut off" in text]
    return [f"memray capture, {what}", *cut]


def in_memory(
    path: Path,
    folder: str,
    name: str | None,
    variant: str | None,
    limit_bytes: float | None,
    say: Say,
) -> RunData:
    """Return a capture as a run in memory; ``folder`` is for what is written on the way."""
    from leaklab.store import RunData, open_run
    from leaklab.store.schema import TABLES

    data = open_run(stored(path, folder, name, variant, limit_bytes, say))
    tables: dict[str, Any] = {table: data.arrow(table) for table in TABLES}
    return RunData({**data.meta, "run_id": "in-memory"}, None, lambda table: tables[table])


def _check(path: Path) -> None:
    """Raise LeaklabError, with the way out, for a capture that the memray here cannot read."""
    from importlib.metadata import version

    found = format_version(path)
    here = version("memray")
    if found is None:
        raise LeaklabError(
            f"a memray capture cut off before its first figures: {path}; copy or record it anew"
        )
    known = next((number for number, release in _RELEASES.items() if release == here), None)
    if found == known or _readable(path):
        return
    release = _RELEASES.get(found)
    if release is None:
        raise LeaklabError(
            f"a memray capture of format {found}, which memray {here} cannot read: {path}; install "
            "the memray that wrote it and import the page of its `memray flamegraph --temporal`"
        )
    raise LeaklabError(
        f"a memray capture of format {found}, as memray {release} writes it, which memray {here} "
        f"cannot read: {path}; in a fresh environment run `pip install memray=={release} && memray "
        "flamegraph --temporal -o page.html CAPTURE`, then `leaklab import page.html`"
    )


def _readable(path: Path) -> bool:
    from leaklab.recorder.captures.capture import can_read

    return can_read(path)
