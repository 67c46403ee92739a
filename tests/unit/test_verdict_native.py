"""What native code keeps: told from what Python keeps, named by its function, known to end."""

from __future__ import annotations

from dataclasses import replace

import synthetic as s

from leaklab.findings.notes import notes_of
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.judge import judge
from leaklab.verdict.native import native_growth

COUNT = 200


def native_run(*functions: str, allocator: str = "malloc") -> RunData:
    """A run in which `query` leaks 850 bytes a mark, through these functions, innermost first."""
    name = "<".join([*(f"lib.so:{one}" for one in functions), "query"])
    data = s.run(sites={name: s.leak(COUNT, 850)})
    native = data.frames["file"] == "lib.so"
    frames = data.frames.assign(origin=data.frames["origin"].mask(native, "native"))
    return RunData.from_tables(
        data.meta,
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
        "what leaks is native memory: a library may hold it itself, without a Python object; "
        "record with --native to see which of its functions took it"
    )
    assert Run(named).notes() == [
        "what leaks is native memory, taken by Pool::Add: a library may hold it itself"
    ]
    without_symbols = replace(unnamed, meta={**unnamed.meta, "options": {"native": True}})
    assert Run(without_symbols).notes()[0].endswith("; its functions have no names here")
    assert Run(native_run(allocator="pymalloc_malloc")).notes() == []
    assert notes_of(unnamed, Run(unnamed).verdict().resources, held=True) == []
