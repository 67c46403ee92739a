"""What pytest would gather over many calls of a body, dropped between one call and the next.

Log records, output, warnings and patches, and what the tools of a test gather: none of them is a
leak of the test's own.
"""

import contextlib
import functools
import logging
import warnings

import pytest

try:
    from leaklab.pytest_plugin.inside.leaklab_gathered import Gathered
except ImportError:
    # In an interpreter without leaklab this folder is on the path.
    from leaklab_gathered import Gathered  # type: ignore[import-not-found, no-redef, unused-ignore]


@contextlib.contextmanager
def calls_of(item, arguments):
    """Give a way to make the context of each call, with the warnings of all kept from pytest.

    What modules remember of their warnings stays, call after call: it is theirs to leak.
    """
    with warnings.catch_warnings(record=True) as warned:
        yield functools.partial(Unit, item, arguments, warned, Gathered())


class Unit:
    """One call of a body, with what pytest gathers on the way dropped afterwards."""

    def __init__(self, item, arguments, warned, gathered):
        self._item = item
        self._gathered = gathered
        self._arguments = arguments
        self._warned = warned
        self._filters = None

    def __enter__(self):
        self._gathered.begin_call()
        arguments = dict(self._arguments)
        self._patch = None
        if "monkeypatch" in arguments:
            # One of its own: undone here, while what fixtures patched stays.
            self._patch = arguments["monkeypatch"] = pytest.MonkeyPatch()
        self._logs = [
            (handler, len(handler.records), handler.stream.tell())
            for handler in logging.getLogger().handlers
            if type(handler).__module__ == "_pytest.logging" and hasattr(handler, "records")
        ]
        if "recwarn" in getattr(self._item, "funcargs", {}):
            # It is to see each warning in every call, also one that a module remembers.
            self._filters = warnings.catch_warnings()
            self._filters.__enter__()
        return arguments

    def __exit__(self, kind, error, traceback):
        if self._filters is not None:
            self._filters.__exit__(kind, error, traceback)
        self._warned.clear()
        if self._patch is not None:
            self._patch.undo()
        for handler, count, position in self._logs:
            del handler.records[count:]
            handler.stream.seek(position)
            handler.stream.truncate()
        fixtures = getattr(self._item, "funcargs", {})
        for name in ("capsys", "capfd", "capsysbinary", "capfdbinary"):
            if name in fixtures:
                fixtures[name].readouterr()
        if "recwarn" in fixtures:
            fixtures["recwarn"].clear()
