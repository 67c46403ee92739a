"""Figures only the process itself can tell: garbage collection, blocks, asyncio tasks."""

import gc
import sys


def figures():
    """Return the figures by their names in the samples; one that cannot be had is left out."""
    count0, count1, count2 = gc.get_count()
    found = {
        "gc_count_0": count0,
        "gc_count_1": count1,
        "gc_count_2": count2,
        "gc_collected_count": sum(stats["collected"] for stats in gc.get_stats()),
        "allocated_blocks_count": sys.getallocatedblocks(),
    }
    tasks = pending_tasks()
    if tasks is not None:
        found["task_count"] = len(tasks)
    return found


class MallocFigures:
    """What the C library's allocator holds. Asking takes it a walk over its free blocks."""

    def __init__(self):
        import ctypes

        class Mallinfo(ctypes.Structure):
            _fields_ = [
                (name, ctypes.c_size_t)
                for name in (
                    "arena",
                    "ordblks",
                    "smblks",
                    "hblks",
                    "hblkhd",
                    "usmblks",
                    "fsmblks",
                    "uordblks",
                    "fordblks",
                    "keepcost",
                )
            ]

        self._ask = ctypes.CDLL(None).mallinfo2
        self._ask.restype = Mallinfo

    def __call__(self):
        """Return the figures by their names in the samples."""
        found = self._ask()
        return {
            "malloc_used_bytes": found.uordblks + found.hblkhd,
            "malloc_free_bytes": found.fordblks,
            "malloc_top_bytes": found.keepcost,
            "malloc_mmapped_bytes": found.hblkhd,
        }


def malloc_figures():
    """Return a way to ask the allocator; one that tells nothing where it cannot be asked."""
    try:
        return MallocFigures()
    except Exception:
        # Another C library, or an interpreter without ctypes.
        return dict


def trim():
    """Give what malloc keeps free back to the system; raises where the C library cannot."""
    import ctypes

    ctypes.CDLL(None).malloc_trim(0)


def pending_tasks():
    """Return the asyncio tasks that are not done, of all loops; None without asyncio."""
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return None
    try:
        if sys.version_info >= (3, 14):
            loops = _loops()
            return [task for loop in loops for task in tasks.all_tasks(loop)] if loops else None
        if sys.version_info >= (3, 12):
            known = [*tasks._scheduled_tasks, *tasks._eager_tasks]
        else:
            known = [*tasks._all_tasks]
        return [task for task in known if not task.done()]
    except Exception:
        # Half-imported, or another thread changed the set meanwhile.
        return None


def _loops():
    """Return the event loops of all threads: from Python 3.14 on tasks are told by loop only.

    The interpreter tells a thread its own loop; that of another stands in the frame that runs it.
    One that neither runs nor is set for this thread is not found.
    """
    events = sys.modules["asyncio.events"]
    local = getattr(events._event_loop_policy, "_local", None)
    loops = [events._get_running_loop(), getattr(local, "_loop", None)]
    run_forever = sys.modules["asyncio.base_events"].BaseEventLoop.run_forever.__code__
    run = sys.modules["asyncio.runners"].Runner.run.__code__  # of a loop that is no Python: uvloop
    for frame in sys._current_frames().values():
        while frame is not None:
            if frame.f_code is run_forever:
                loops.append(frame.f_locals["self"])
            elif frame.f_code is run:
                loops.append(frame.f_locals["self"]._loop)
            frame = frame.f_back
    return {id(loop): loop for loop in loops if loop is not None}.values()
