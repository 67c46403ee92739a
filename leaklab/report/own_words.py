"""The texts that leaklab's own code spells: what it compares with, and sentences without a blank.

A text of a run that is one of them tells nothing but which of leaklab's words it is. Whatever the
judgement asks of a text, it compares with a constant; so what it asks of survives, also what is
asked of only tomorrow, and nobody has to add it to a list.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

_PACKAGE = Path(__file__).parents[1]
# Programs of other people, which are no part of what judges.
_NOT_OWN = "cases"


@cache
def own_words() -> frozenset[str]:
    """Return every text constant of leaklab's modules, and the names of the signals."""
    found = {one.name for one in signal.Signals}
    for path in _PACKAGE.rglob("*.py"):
        if path.relative_to(_PACKAGE).parts[0] != _NOT_OWN:
            # Read from what Python has compiled; nothing is run.
            found.update(_texts(SourceFileLoader(path.stem, str(path)).get_code(path.stem)))
    return frozenset(found)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | frozenset):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, CodeType):
        yield from _texts(value.co_consts)
