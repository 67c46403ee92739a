"""Reading sizes, durations and counts from the command line; a bad one is one line, status 2."""

from __future__ import annotations

import re

from leaklab.errors import UsageError

_SIZES = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
    "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40,
}  # fmt: skip
_DURATIONS = {
    "ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
    "w": 7 * 86400.0, "y": 365 * 86400.0,
}  # fmt: skip
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")


def size_bytes(text: str) -> int:
    """Read a size: ``200MB`` (10^6), ``200MiB``, ``200Mi`` or ``200M`` (2^20), or plain bytes."""
    match = _NUMBER.fullmatch(text)
    factor = _SIZES.get(match[2].upper()) if match else None
    _check_positive(text, "200MB, 1.5GiB or 4096")
    if match is None or factor is None:
        raise UsageError(f"not a size: {text}; write it as 200MB, 1.5GiB or 4096")
    return int(float(match[1]) * factor)


def duration_seconds(text: str) -> float:
    """Read a duration: ``30s``, ``5m``, ``1.5h``, ``30d``, ``1y``, ``250ms``, or plain seconds."""
    match = _NUMBER.fullmatch(text)
    factor = _DURATIONS.get(match[2].lower()) if match else None
    _check_positive(text, "30s, 5m or 1.5h")
    if match is None or factor is None:
        raise UsageError(f"not a duration: {text}; write it as 30s, 5m, 1.5h, 30d, 2w, 1y or 250ms")
    return float(match[1]) * factor


def _check_positive(text: str, examples: str) -> None:
    """Raise UsageError for 0 and less, in whatever unit."""
    match = _NUMBER.fullmatch(text.strip().removeprefix("-"))
    if match and (text.strip().startswith("-") or float(match[1]) == 0):
        raise UsageError(f"not more than 0: {text}; write it as {examples}")


def names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list: ``measure,explain``."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise UsageError(f"an empty list: {text!r}; write names separated by commas")
    return found


def assignment(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"not an assignment: {text}; write it as NAME=VALUE")
    return name.strip(), value


def process_id(text: str) -> int:
    """Read the number of a process."""
    if not text.isdecimal() or int(text) <= 0:
        raise UsageError(f"not a process id: {text}; `ps` lists them")
    return int(text)


def share(text: str) -> float:
    """Read a share: ``90%`` or ``0.9``."""
    figure = text.strip().removesuffix("%")
    try:
        value = float(figure) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise UsageError(f"not a share: {text}; write it as 90% or 0.9, above 0 and up to 100%")
    return value


def count(text: str) -> int:
    """Read a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"not a number: {text}; 1 or more is allowed")
    return int(text)
