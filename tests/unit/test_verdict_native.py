"""What native code keeps: told from what Python keeps, named by its function, known to end."""

from __future__ import annotations

import synthetic as s

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
