"""Files that are one moment each: in which order time went by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_NUMBER = re.compile(r"\d+")
# A number in a name, with what sets it apart: the first of `snap`, `snap-1`, `snap-2` has none.
_NUMBERED = re.compile(r"[\W_]*\d+")


def in_time(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Return files of one moment each in the order of time, and in words what that order is.

    A shell hands names over as a dictionary has them, 10 before 2: where the paths come so and
    differ in their numbers, these count; where they have none, the times of the files do. Any other
    order was chosen, and is kept. The words are empty where the order is the given one.
    """
    given = list(paths)
    if not _is_lexical(given):
        return given, ""
    by_number = _by_number(given)
    found = by_number or _by_file_time(given)
    if found is None or found == given:
        return given, ""
    how = "the numbers in their names" if by_number else "the files' own times"
    return found, f"in the order of {how}"


def _is_lexical(paths: list[Path]) -> bool:
    """Whether paths stand as a dictionary has them: byte by byte, or by letters and digits only.

    The second is what a shell does in most languages.
    """
    texts = [str(path) for path in paths]
    letters = [re.sub(r"[\W_]", "", text).casefold() for text in texts]
    return any(keys == sorted(keys) for keys in (texts, letters))


def _by_number(paths: list[Path]) -> list[Path] | None:
    """The paths by the numbers in them; None unless they differ in nothing else, and all differ."""
    if len({_NUMBERED.sub("", str(path)) for path in paths}) > 1:
        return None
    numbers = {path: tuple(map(int, _NUMBER.findall(str(path)))) for path in paths}
    if len(set(numbers.values())) < len(paths):
        return None
    return sorted(paths, key=lambda path: numbers[path])


def _by_file_time(paths: list[Path]) -> list[Path] | None:
    """The paths by when they were last written; None where two were at once, as copies are."""
    times = {path: path.stat().st_mtime_ns for path in paths}
    if len(set(times.values())) < len(paths):
        return None
    return sorted(paths, key=lambda path: times[path])
