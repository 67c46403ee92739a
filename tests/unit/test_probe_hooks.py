"""Marks at functions of modules that are yet to be imported."""

from __future__ import annotations

import asyncio
import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.probe import hooks, marks

MODULE = '''
class Server:
    served = True

    def handle(self, value):
        """Return twice the value."""
        return 2 * value

    @staticmethod
    def plain():
        return "plain"

    async def answer(self):
        return "answer"

    def fail(self):
        raise KeyError("asked")

def outer():
    return Server().handle(1)
'''


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The units of work that ended, each by its label."""
    calls: list[str | None] = []

    class Session:
        def mark_call(self, label_of: Callable[..., str | None], arguments: Any, _: int) -> None:
            calls.append(label_of(arguments))

    monkeypatch.setattr(marks, "_session", Session())
    return calls


@pytest.fixture
def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install names for a module, and import it."""
    (tmp_path / "hooked_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)

    def load(*functions: str) -> Any:
        hooks.install([f"hooked_module:{name}" for name in functions])
        return importlib.import_module("hooked_module")

    yield load
    sys.meta_path[:] = finders
    sys.settrace(None)  # the main program, which is to be traced, is pytest
    sys.modules.pop("hooked_module", None)


def test_each_return_is_a_mark_and_the_function_looks_as_before(
    hooked: Any, counted: list[str | None]
) -> None:
    server = hooked("Server.handle").Server()
    assert [server.handle(value) for value in (1, 2)] == [2, 4]
    assert counted == [None, None]  # functions of one's own have no labels
    assert server.handle.__name__ == "handle"
    assert server.handle.__doc__ == "Return twice the value."
    assert server.handle.__wrapped__.__code__.co_filename.endswith("hooked_module.py")
    # Stacks of what the target allocates leave the wrapper out by this name.
    assert type(server).handle.__code__.co_filename == "<leaklab>"


def test_static_methods_coroutines_and_failures(hooked: Any, counted: list[str | None]) -> None:
    module = hooked("Server.plain", "Server.answer", "Server.fail")
    assert module.Server.plain() == "plain"
    assert asyncio.run(module.Server().answer()) == "answer"
    with pytest.raises(KeyError, match="asked"):
        module.Server().fail()
    assert len(counted) == 3


def test_one_unit_within_another_counts_once(hooked: Any, counted: list[str | None]) -> None:
    assert hooked("outer", "Server.handle").outer() == 2
    assert len(counted) == 1


def test_a_name_that_is_not_there_changes_nothing(hooked: Any, counted: list[str | None]) -> None:
    module = hooked("Server.gone", "Server.handle")
    assert module.Server().handle(3) == 6
    assert len(counted) == 1


def test_nothing_is_imported_for_it(hooked: Any) -> None:
    hooks.install(["hooked_module_that_is_not_there:main"])
    assert "hooked_module" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("hooked_module_that_is_not_there")


MAIN_PROGRAM = """
import asyncio, sys

def twice(value):
    return 2 * value

class Service:
    def handle(self):
        return twice(1)

async def answer():
    return Service().handle()

traced = sys.gettrace() is not None
asyncio.run(answer())
twice(3)
"""


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["__main__:answer"], 1),
        (["job:twice", "job:Service.handle"], 2),  # one unit within another counts once
        (["job:Service.gone"], 0),
        (["other:twice"], 0),
        (["job:gone"], 0),
    ],
)
def test_functions_of_the_main_program(
    names: list[str], count: int, tmp_path: Path, counted: list[str | None]
) -> None:
    """By the name it runs under or that of its file; and it is not traced any longer then."""
    (tmp_path / "job.py").write_text(MAIN_PROGRAM)
    finders = list(sys.meta_path)
    try:
        hooks.install(names)
        left = runpy.run_path(str(tmp_path / "job.py"), run_name="__main__")
    finally:
        sys.meta_path[:] = finders
        sys.settrace(None)
    assert len(counted) == count
    assert left["traced"] is False


def test_segments_of_shared_memory_are_told_once_when_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that are only opened are somebody else's; the module is changed on its import."""
    from leaklab.probe import segments

    told: list[str] = []
    monkeypatch.setattr(marks, "_session", SimpleNamespace(segment=told.append))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.delitem(sys.modules, segments.MODULE, raising=False)
    segments.watch()
    segments.watch()
    shared_memory = importlib.import_module(segments.MODULE)
    segments.watch()
    made = shared_memory.SharedMemory(create=True, size=8)
    try:
        shared_memory.SharedMemory(name=made.name).close()
        with pytest.raises(FileExistsError) as raised:
            shared_memory.SharedMemory(made.name, True, 8)
        # What the target prints of it is what it would print.
        assert {entry.path.name for entry in raised.traceback[1:]} == {"shared_memory.py"}
        assert bytes(made.buf[:2]) == b"\0\0"
    finally:
        made.close()
        made.unlink()
    assert told == [f"/{made.name}"]
    monkeypatch.setattr(segments, "TOLD_AT_ONCE", 1)
    # Of many, those that are there when the next is made.
    many = [shared_memory.SharedMemory(create=True, size=8) for _ in range(2)]
    for one in many:
        one.close()
        one.unlink()
    shared_memory.SharedMemory(create=True, size=8).unlink()
    assert told == [f"/{made.name}", f"/{many[0].name}"]
    assert segments._Awaited not in sys.meta_path
