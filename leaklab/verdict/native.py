"""Memory that native code took: libraries in C, C++ or Rust, for themselves or for an object.

Python's own objects, large ones too, come from allocators of their own; what else a stack allocated
is native. Which function of the library asked for it only a run with native stacks tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaklab.verdict.heap_study import study_heap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.analysis.heap import HeapTimeline
    from leaklab.store import RunData

PYTHON_ALLOCATORS = "pymalloc"
PYTHON, NATIVE, EITHER = range(3)
# Growth is native when this share of it is: a wrapper of a few bytes may come with it.
NATIVE_SHARE = 0.9
# Functions that say how memory is taken, not what for: malloc's, and of allocators in libraries.
TAKING = re.compile(r"alloc|^operator new|(^|_)je_|mmap|<unknown>", re.IGNORECASE)

# Where CPython's sources are, as pages of memray have it; and those of its files whose functions
# call for memory, as captures have them, without the folder.
_INTERPRETER_FOLDER = re.compile(r"(^|/)(Objects|Python|Modules|Parser|Include)/")
_INTERPRETER_FILES = frozenset(
    (
        "abstract", "bytes_methods", "call", "exceptions", "obmalloc", "structseq", "unicodectype",
        "ast", "bltinmodule", "ceval", "codecs", "compile", "context", "errors", "frame", "gc",
        "generated_cases", "getargs", "hamt", "import", "marshal", "modsupport", "pyarena",
        "pystate", "pythonrun", "specialize", "symtable", "sysmodule", "thread_pthread",
        "traceback", "_collectionsmodule", "_functoolsmodule", "_json", "_pickle", "_sre",
        "_struct", "_threadmodule", "arraymodule", "bufferedio", "bytesio", "fileio", "gcmodule",
        "itertoolsmodule", "posixmodule", "sre", "stringio", "textio",
    )
)  # fmt: skip


def kinds_of_stacks(data: RunData, timeline: HeapTimeline) -> NDArray[np.int64]:
    """Return for each stack of the timeline who allocated there: PYTHON, NATIVE or EITHER.

    Calls that allocate in both ways (an object, and the buffer that it wraps) are told from one
    snapshot to the next by one of their blocks, whichever memray meets first: all that they hold
    then changes sides, and how much is on which is not known.
    """
    stacks = data.stacks.drop_duplicates("stack_id").set_index("stack_id")
    stacks = stacks.reindex(timeline.stack_ids)
    allocators = stacks["allocator"].astype(str)
    native = np.asarray(~allocators.str.startswith(PYTHON_ALLOCATORS), dtype=np.bool_)
    kinds = np.where(native, NATIVE, PYTHON)
    if native.all() or not native.any():
        return kinds
    calls, distinct = pd.factorize(
        stacks["frame_ids"].map(tuple, na_action="ignore"), use_na_sentinel=False
    )
    seen = np.stack(
        [np.bincount(calls[kinds == one], minlength=len(distinct)) for one in (PYTHON, NATIVE)]
    )
    both = np.flatnonzero((seen > 0).all(axis=0))
    number = np.full(len(distinct), -1)
    number[both] = np.arange(len(both))
    of_python, of_native = (
        timeline.grouped(np.where(kinds == one, number[calls], -1), len(both)) > 0
        for one in (PYTHON, NATIVE)
    )
    # Seen on both sides at once they are two records, each of its own kind.
    in_turns = both[~(of_python & of_native).any(axis=1)]
    return np.where(np.isin(calls, in_turns), EITHER, kinds)


def told_apart(data: RunData) -> bool:
    """Return whether the run tells what Python's own allocators gave from what libraries took.

    Where those were not traced, as memray leaves them out unless asked, bytes, bytearrays and
    strings of more than half a kilobyte come from malloc as well; and pages say no allocators.
    """
    if data.meta.get("options", {}).get("python_allocators"):
        return True
    return bool(data.stacks["allocator"].astype(str).str.startswith(PYTHON_ALLOCATORS).any())


def _may_be_of_python(function: str, file: str) -> bool:
    """Whether a native function may be the interpreter's own, as ``bytes_new_impl`` is.

    By its name or its file; what has neither a file nor a name as C++ has them is nobody's.
    """
    if re.match(r"_?Py", function) or _INTERPRETER_FOLDER.search(file):
        return True
    if file.startswith("<") or not file:
        return "::" not in function
    name = file.rpartition("/")[2].partition(".")[0]
    return name in _INTERPRETER_FILES or name.endswith("object")


def native_growth(data: RunData, *, role: str = "main") -> str | None:
    """Return which native function took what leaks; None where Python objects leak.

    Empty where its function is not known: the run has no native stacks, or the library no symbols;
    or the interpreter may have taken it, whose own memory the run does not tell apart. The function
    is that of the stack that gained most.
    """
    study = study_heap(data, role=role)
    if study is None or not study.leaking:
        return None
    timeline, sites = study.timeline, study.sites
    gain = timeline.live(timeline.column_count - 1) - timeline.live(study.baseline)
    leaking = np.isin(sites.of_stack, [entry.site for entry in study.leaking])
    native = leaking & (kinds_of_stacks(data, timeline) == NATIVE)
    if not native.any() or gain[native].sum() < NATIVE_SHARE * gain[leaking].sum():
        return None
    stack = int(np.flatnonzero(native)[np.argmax(gain[native])])
    for row in sites.rows(stack):
        function = str(sites.frames["function"].iat[row])
        if str(sites.frames["origin"].iat[row]) != "native":
            return ""
        if not TAKING.search(function):
            file = str(sites.frames["file"].iat[row])
            unknown = not told_apart(data) and _may_be_of_python(function, file)
            return "" if unknown else function.partition("(")[0]
    return ""
