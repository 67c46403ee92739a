"""What native code keeps: told from what Python keeps, named by its function, known to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic as s

import leaklab as ll
from leaklab.findings.notes import notes_of
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.judge import judge
from leaklab.verdict.native import native_growth

COUNT = 200
EVIDENCE = Path(__file__).parents[1] / "evidence"


def native_run(
    *functions: str, allocator: str = "malloc", told: bool = True, file: str = "lib.so"
) -> RunData:
    """A run in which `query` leaks 850 bytes a mark, through these functions, innermost first.

    told: whether Python's own allocators were traced, too.
    """
    name = "<".join([*(f"lib.so:{one}" for one in functions), "query"])
    data = s.run(sites={name: s.leak(COUNT, 850)})
    native = data.frames["file"] == "lib.so"
    frames = data.frames.assign(
        origin=data.frames["origin"].mask(native, "native"),
        file=data.frames["file"].mask(native, file),
    )
    return RunData.from_tables(
        {**data.meta, "options": {"python_allocators": told}},
        snapshots=data.snapshots,
        heap=data.heap,
        frames=frames,
        stacks=data.stacks.assign(allocator=allocator),
    )


def test_what_python_objects_take_is_not_native() -> None:
    assert native_growth(native_run(allocator="pymalloc_malloc")) is None


def test_the_function_behind_the_allocators_is_named() -> None:
    data = native_run(
        "operator new(unsigned long)", "lib_je_pages_map", "Pool::ReallocateBuffer(int)",
        "Pool::AddToQueue(std::mutex&)", "Query::Run()",
    )  # fmt: skip
    assert native_growth(data) == "Pool::AddToQueue"


def test_without_native_stacks_it_is_native_and_not_known_by_name() -> None:
    assert native_growth(native_run()) == ""


def test_a_known_queue_of_a_library_is_no_leak() -> None:
    assert judge(native_run("Pool::Add()")).verdict == "leak"
    known = native_run("operator new", "duckdb::BufferPool::AddToEvictionQueue(std::mutex&)")
    assert judge(known).verdict == "bounded"
    assert native_growth(known) is None


def test_a_note_says_how_to_learn_which_function_took_it() -> None:
    unnamed, named = native_run(), native_run("malloc", "Pool::Add()")
    [note] = Run(unnamed).notes()
    assert note == (
        "what leaks is native memory, and no holder was found: a library may hold it itself; "
        "record with --native to see which of its functions took it"
    )
    assert Run(named).notes() == [
        "what leaks is native memory, taken by Pool::Add: a library may hold it itself"
    ]
    options = {"native": True, "python_allocators": True}
    without_symbols = replace(unnamed, meta={**unnamed.meta, "options": options})
    assert Run(without_symbols).notes()[0].endswith("; its functions have no names here")
    assert Run(native_run(allocator="pymalloc_malloc")).notes() == []
    assert notes_of(unnamed, Run(unnamed).verdict().resources, held=True) == []


def test_memory_of_python_objects_is_not_said_to_be_a_librarys() -> None:
    # Where Python's allocators are not traced, a large bytearray comes from malloc.
    for functions in ((), ("malloc", "PyByteArray_Resize")):
        [note] = Run(native_run(*functions, told=False)).notes()
        assert note == (
            "what leaks may be native memory of a library, or Python's own large bytes, bytearrays "
            "or strings: they were not told apart; record with `leaklab record`, which does"
        )
    assert "taken by Pool::Add" in Run(native_run("Pool::Add()", told=False)).notes()[0]
    page = EVIDENCE / "memray_1.18_temporal.html"
    assert "not told apart" in ll.read(page).notes()[0]


@pytest.mark.parametrize(
    "file",
    ["Objects/bytesobject.c", "./Modules/posixmodule.c", "bytesobject.c", "bltinmodule.c.h",
     "<unknown>"],
)  # fmt: skip
def test_a_static_function_of_the_interpreter_is_not_said_to_be_a_librarys(file: str) -> None:
    [note] = Run(native_run("malloc", "bytes_new_impl", told=False, file=file)).notes()
    assert "not told apart" in note
    # Where they are told apart what is left is native, whoever took it.
    [note] = Run(native_run("malloc", "bytes_new_impl", file=file)).notes()
    assert "taken by bytes_new_impl" in note


@pytest.mark.parametrize(
    ("function", "file"),
    [("deflateInit2_", "deflate.c"), ("Pool::Add()", "<unknown>"), ("lxml_new", "src/etree.c")],
)
def test_a_function_that_is_a_librarys_is_named(function: str, file: str) -> None:
    [note] = Run(native_run("malloc", function, told=False, file=file)).notes()
    assert "a library may hold it itself" in note
