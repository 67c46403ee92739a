"""The JSON documents of a file that may hold several, one after another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.importers.reading import Source


def documents(source: Source) -> Iterator[Any]:
    """Yield the JSON documents of a file: answers may stand one after another, as lines do.

    A last one that has no end is left out, as its writer may be at it. Raises LeaklabError for
    others that are damaged.
    """
    decoder, text, place = json.JSONDecoder(), source.text, 0
    space = re.compile(r"\s*")
    while (place := _end(space.match(text, place))) < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except ValueError as error:
            if place and "\n" not in text[place:].strip():
                source.has_cut_end = True
                return
            raise LeaklabError(f"damaged JSON: {source.path}; {error}; export it again") from None
        yield document


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0
