"""Units of figures as other tools write them: in a column's name, in a cell, or as an option."""

from __future__ import annotations

import re
import unicodedata

from leaklab.errors import UsageError

# Of bytes. Who writes resident memory in "kB" or "MB" without an i has divided by 1024, as the
# kernel, ps, top, psutil's users and mprof do: so headings and lines of a log are read.
_HEADING = {
    "b": 1, "byte": 1, "bytes": 1,
    "k": 2**10, "kb": 2**10, "kib": 2**10, "kbytes": 2**10, "kilobytes": 2**10,
    "m": 2**20, "mb": 2**20, "mib": 2**20, "mbytes": 2**20, "megabytes": 2**20, "megs": 2**20,
    "gb": 2**30, "gib": 2**30, "gigabytes": 2**30, "tb": 2**40, "tib": 2**40,
    # In French; not "go", which is a word of other things.
    "octets": 1, "ko": 2**10, "kio": 2**10, "mo": 2**20, "mio": 2**20, "gio": 2**30,
}  # fmt: skip
# Exact, as Grafana, docker and Kubernetes write cells, and as --unit means them: MB is 10^6.
_EXACT = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
    "octets": 1, "ko": 10**3, "mo": 10**6, "go": 10**9,
    "kio": 2**10, "mio": 2**20, "gio": 2**30,
}  # fmt: skip
_NAMES = {
    1: "bytes", 2**10: "KiB", 2**20: "MiB", 2**30: "GiB", 2**40: "TiB",
    10**3: "KB (10^3 bytes)", 10**6: "MB (10^6 bytes)", 10**9: "GB (10^9 bytes)",
}  # fmt: skip
_CELL = re.compile(r"\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*([A-Za-z%/]*)\s*")
# Where a word of a name begins in the midst of letters; not in kB, as the kernel writes, and MiB.
_WORD_BEGINS = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])(?!(?<=[KMGT]i)B(?![A-Za-z]))(?!(?<![a-z]k)(?<=k)B(?![A-Za-z]))"
)
_EMPTY = frozenset(("", "null", "none", "nan", "na", "n/a", "-", "--", "undefined"))


def words_of(name: str) -> list[str]:
    """Return the words of a column's name: "heapUsed (MB)" gives heap, used, mb.

    >>> words_of("rssMiB"), words_of("VmRSS_kB"), words_of("workBatch"), words_of("%CPU")
    (['rss', 'mib'], ['vm', 'rss', 'kb'], ['work', 'batch'], ['%', 'cpu'])
    """
    plain = unicodedata.normalize("NFKD", spaced(name).lower()).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z0-9]+|%", plain)


def spaced(name: str) -> str:
    """Return a name with a space where a word begins in the midst of letters."""
    return _WORD_BEGINS.sub(" ", name)


def unit_in_name(name: str) -> int | None:
    """Return the bytes that one of a column's figures stands for, where its name says so."""
    for word in reversed(words_of(name)):
        if word in _HEADING and len(word) > 1:
            return _HEADING[word]
    return None


def unit_option(text: str) -> int:
    """Read ``--unit``: B, KB, MB, GB (powers of ten) or KiB, MiB, GiB; returns bytes."""
    scale = _EXACT.get(text.strip().lower())
    if scale is None or not text.strip():
        raise UsageError(f"unknown unit: {text}; allowed: bytes, KB, MB, GB, KiB, MiB, GiB")
    return scale


def cell(text: object) -> tuple[float, int | None]:
    """Read one cell: the figure (NaN for an empty one, "null" and the like) and its unit.

    The unit is bytes for "1.2 GiB", None where there is none or it is none of bytes ("63.1%").
    Raises ValueError for other text.
    """
    if isinstance(text, int | float):
        return float(text), None
    word = str(text).strip()
    if word.lower() in _EMPTY:
        return float("nan"), None
    # "297.1MiB / 7.6GiB": used, of the limit.
    match = _CELL.fullmatch(word.split(" / ")[0])
    if match is None:
        raise ValueError(word)
    figure = float(match[1])
    unit = match[2].lower()
    if not unit or unit == "%":
        return figure, None
    if unit not in _EXACT:
        raise ValueError(word)
    return figure * _EXACT[unit], 1


def cell_scale(text: object) -> int | None:
    """Return the bytes that one of a cell's figures stands for: "1.2 GiB"; None where none is said.

    >>> cell_scale("297.1MiB / 7.6GiB"), cell_scale("2 MB"), cell_scale("12%"), cell_scale(3)
    (1048576, 1000000, None, None)
    """
    match = _CELL.fullmatch(str(text).strip().split(" / ")[0])
    return _EXACT.get(match[2].lower()) if match and match[2] else None


def unit_name(scale: int) -> str:
    """Return the name of a unit of bytes: "MiB"."""
    return _NAMES.get(scale, f"{scale:,} bytes")
