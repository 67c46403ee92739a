"""The values of a JSON array of any length, one by one: it may be larger than memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_WHOLE = re.compile(r"[ \t\r\n]*[],]")
_DECODER = json.JSONDecoder()


def values_of(parts: Iterator[str]) -> Iterator[Any]:
    """Yield the values of an array whose text comes in parts.

    Raises ValueError, with the place in the whole text, where that is no array or has no end.

    >>> list(values_of(iter(['[{"a": 1', '2}, 3', '4]'])))
    [{'a': 12}, 34]
    """
    text = _Text(parts)
    if text.after_space() != "[":
        raise text.error("Expecting an array")
    text.place += 1
    if text.after_space() == "]":
        text.place += 1
    else:
        end = ","
        while end == ",":
            value, end = _next(text)
            yield value
            text.place += 1
        if end != "]":
            text.place -= 1
            raise text.error("Expecting ',' delimiter")
    if text.after_space():
        raise text.error("Extra data")


def _next(text: _Text) -> tuple[Any, str]:
    """The value at the place, and the sign behind it, where the place then is."""
    text.after_space()
    while True:
        try:
            value, end = _DECODER.raw_decode(text.held, text.place)
        except json.JSONDecodeError as error:
            # What is cut where the part ends is no mistake yet.
            if not text.more():
                text.place = error.pos
                raise text.error(error.msg) from None
            continue
        # A number may go on in the next part; what one of these signs follows is whole.
        if not _WHOLE.match(text.held, end) and text.more():
            continue
        text.place = end
        return value, text.after_space()


class _Text:
    """What is held of the text, ``place`` in it: what was before goes with the next part."""

    def __init__(self, parts: Iterator[str]) -> None:
        self._parts = parts
        self._gone = 0
        self.held = ""
        self.place = 0

    def more(self) -> bool:
        """Hold as much again of the text, and a part at least; False at its end."""
        wanted = len(self.held) - self.place
        found = [self.held[self.place :]]
        length = 0
        for part in self._parts:
            found.append(part)
            length += len(part)
            if length >= max(wanted, 1):
                break
        if length == 0:
            return False
        self._gone += self.place
        self.held, self.place = "".join(found), 0
        return True

    def after_space(self) -> str:
        """Go on behind spaces; returns the sign there, "" at the end of the text."""
        while True:
            match = _SPACE.match(self.held, self.place)
            self.place = match.end() if match else self.place
            if self.place < len(self.held):
                return self.held[self.place]
            if not self.more():
                return ""

    def error(self, what: str) -> ValueError:
        """Return the error at the place."""
        return ValueError(f"{what}: character {self._gone + self.place:,}")
