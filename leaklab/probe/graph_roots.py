"""Where a process holds on to its objects: the roots every retention path starts from."""

import atexit
import gc
import os
import signal
import sys
import threading
from contextvars import Context, copy_context
from itertools import compress
from operator import ne

from .graph_types import attributes_of, frame_function, mro_of, text, type_name
from .task_names import coroutine_name, own_name

# What runs a recorded cell in its kernel, and what that has the cell run by.
_CELLS = "leaklab.jupyter"
_SHELLS = ("IPython", "ipykernel")
# CPython 3.9 does not tell; there these run the code of others.
_STANDARD = getattr(
    sys, "stdlib_module_names", ("threading", "multiprocessing", "concurrent", "asyncio", "runpy")
)
_THREAD_DICT = threading.Thread.__dict__["__dict__"].__get__


def _find_fork_hooks():
    """Return the interpreter's lists of at-fork hooks: before, in the child, in the parent."""

    def no_hook():
        pass

    os.register_at_fork(before=no_hook, after_in_child=no_hook, after_in_parent=no_hook)
    return [one for one in gc.get_referrers(no_hook) if type(one) is list]


FORK_HOOKS = _find_fork_hooks()


def running_frames():
    """Return the running frames of every thread: a flat list of thread name and frame in turn.

    Second, the frames of the probe itself, which are no part of the target. Nor is what runs a cell
    that is recorded in its kernel: the magic, what calls that, and IPython between it and the cell.
    """
    packages = (
        __name__.rpartition(".")[0],
        "leaklab.door",
        "leaklab.holders",
        "leaklab.objgraph_picture",
        "leaklab.kernel_audit",
    )
    frames, own = [], []
    for thread, frame in sys._current_frames().items():
        name = _thread_name(thread)
        chain, runs_cell = [], False
        while frame is not None:
            module = text(dict.get(frame.f_globals, "__name__"))
            if module.startswith(_CELLS) and not runs_cell:
                runs_cell = True
                while chain and chain[-1][0].partition(".")[0] in _SHELLS:
                    own.append(chain.pop()[1])
            if runs_cell or module.startswith(packages):
                own.append(frame)
            else:
                chain.append((module, frame))
            frame = frame.f_back
        for frame in _in_order(chain):
            frames += (name, frame)
    return frames, own


def _in_order(chain):
    """Return the frames of (module, frame), innermost first, in the order in which they hold.

    What a caller hands on is the caller's: by who happens to be at work with it, it would hang
    elsewhere in each graph. The standard library, which starts and runs the target's own code,
    comes last, and what is nearest to that code first.
    """
    own = [frame for module, frame in chain if module.partition(".")[0] not in _STANDARD]
    others = [frame for module, frame in chain if module.partition(".")[0] in _STANDARD]
    return own[::-1] + others


def find_roots(objects, frames, copy):
    """Return the roots: (kind, name, object, label of the edge from the root to it).

    ``objects``: everything the collector tracks. Kinds: module, leaklab (a module of the probe),
    thread (a running frame), task, event loop, context, signal, atexit, at-fork
    (what os.register_at_fork was given), garbage, table (of the standard library's).
    """
    found = []
    packages = (__name__.rpartition(".")[0], "leaklab.probe", "leaklab.door")
    for name, module in list(dict.items(sys.modules)):
        if module is not None:
            own = text(name).startswith(packages)
            found.append(("leaklab" if own else "module", text(name), module, ""))
    for name, frame in zip(frames[::2], frames[1::2]):
        found.append(("thread", name, frame, frame_function(frame)))
    found.extend(_signal_handlers())
    found.extend(_context())
    found.extend(_by_type(objects))
    found.extend(("at-fork", "", one, "") for one in FORK_HOOKS)
    found.extend(_tables())
    found.extend(("garbage", "gc.garbage", one, "") for one in gc.garbage)
    if copy:
        found.extend(_exit_callbacks(objects))
    return found


def _tables():
    """What every user of a module has a way into, and would be named by whoever is looked at first.

    Each logger leads to the table of all: the handlers of one would be kept by any library's.
    """
    try:
        table = sys.modules["logging"].Logger.manager.loggerDict
    except (KeyError, AttributeError):  # not imported, or just being so
        return
    yield "table", "logging.Logger.manager.loggerDict", table, ""


def _thread_name(thread):
    attributes = None
    known = threading._active.get(thread)
    if known is not None:
        attributes = _THREAD_DICT(known)
    return text((attributes or {}).get("_name")) or "thread"


def _signal_handlers():
    for number in signal.valid_signals():
        try:
            handler = signal.getsignal(number)
        except ValueError:
            continue
        if handler is not None and not isinstance(handler, (int, signal.Handlers)):
            yield "signal", _signal_name(number), handler, ""


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(int(number))


def _context():
    for variable, value in copy_context().items():
        yield "context", "contextvar " + text(variable.name), value, ""


def _by_type(objects):
    """Tasks that are not done, event loops, and the contexts of threads and callbacks."""
    kinds = {}
    for number, one in zip(map(id, map(type, objects)), objects):
        if number not in kinds:
            kinds[number] = _root_kind(type(one))
        kind = kinds[number]
        if kind is None:
            continue
        if kind == "task":
            coroutine = _pending_coroutine(one)
            if coroutine is not None:
                yield "task", coroutine, one, ""
        else:
            yield kind, "", one, ""


def _root_kind(kind):
    for base in mro_of(kind):
        if base is Context:
            return "context"
        name = type_name(base)
        if name in ("_asyncio.Task", "asyncio.tasks.Task"):
            return "task"
        if name in ("asyncio.base_events.BaseEventLoop", "uvloop.loop.Loop"):
            return "event loop"
    return None


def _pending_coroutine(task):
    """Return the name of a task, or of what it runs with "()"; None when it is done."""
    bases = mro_of(type(task))
    for place, base in enumerate(bases):
        if type_name(base) == "_asyncio.Task":
            fields = map(attributes_of, bases[place:])  # from 3.14 on a task inherits its state
            state = next(each["_state"] for each in fields if "_state" in each)
            if state.__get__(task) != "PENDING":
                return None
            attributes = attributes_of(base)
            name = text(own_name(attributes["get_name"](task)))
            if name:
                return name
            coroutine = attributes["_coro"].__get__(task)
            return (text(coroutine_name(coroutine)) or type_name(type(coroutine))) + "()"
    return "task()"


def _exit_callbacks(objects):
    """Find what atexit holds: it has no list, so see whose reference count drops without it.

    Only in a copy of the target. The callbacks are forgotten, not called; whatever the collector
    tracks stays alive, because ``objects`` holds it.
    """
    if not atexit._ncallbacks():
        return []
    before = list(map(sys.getrefcount, objects))
    atexit._clear()
    after = list(map(sys.getrefcount, objects))
    dropped = list(compress(objects, map(ne, before, after)))
    if sys.version_info >= (3, 14):
        # There it holds a tuple for each callback: function, arguments, keyword arguments. It goes
        # from the objects: nothing is to be held by it as well.
        records = set(map(id, dropped))
        dropped = [part for record in dropped for part in record if part is not None]
        objects[:] = [one for one in objects if id(one) not in records]
    return [("atexit", "", one, "") for one in dropped]
