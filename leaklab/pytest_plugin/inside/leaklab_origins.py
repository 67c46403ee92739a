"""What this process has open and running, and which line made each of it.

``Origins`` notes the stack at which threads, tasks, event loops, child processes, files, sockets,
pipes and temporary files are made, from the moment it is installed until it is removed. ``census``
lists what is there, from the kernel's tables and the interpreter's own; both are exact, nothing is
sampled.
"""

import itertools
import os
import sys
import threading
import weakref

try:
    from leaklab.pytest_plugin.inside import leaklab_loops as loops
    from leaklab.pytest_plugin.inside import leaklab_processes as processes
    from leaklab.pytest_plugin.inside import leaklab_stacks as stacks
except ImportError:
    # In an interpreter without leaklab this folder is on the path.
    import leaklab_loops as loops  # type: ignore[import-not-found, no-redef, unused-ignore]
    import leaklab_processes as processes  # type: ignore[import-not-found, no-redef, unused-ignore]
    import leaklab_stacks as stacks  # type: ignore[import-not-found, no-redef, unused-ignore]

TASK, THREAD, CHILD, LOOP = "task", "thread", "child", "event loop"
DESCRIPTOR, SOCKET, TEMPORARY = "descriptor", "socket", "temporary file"

# Paths opened since the start, of which the newest are kept: all but a few are closed long ago.
MOST_PATHS = 4096
NAMELESS = getattr(os, "O_TMPFILE", 0)
# What SQLite opens beside a database.
BESIDE = ("-journal", "-wal", "-shm")
# Helpers that multiprocessing keeps for the life of the process.
HELPERS = ("multiprocessing/resource_tracker.py", "multiprocessing/forkserver.py")


class Remaining:
    """One thing that is there: ``kind``, ``name``, and ``stack``, innermost frame first.

    ``key`` tells it apart from others of its kind; ``stack`` is a tuple of (file, line, function),
    empty where nobody saw it being made. Made from what `stacks.stack_here` noted.
    """

    # Of a task, the key of the one that made it in a loop that another thread runs.
    made_by = None

    def __init__(self, kind, key, name, stack=(), title=None, thing=None, helps=False, what=None):
        self.kind = kind
        # What it is called; expectations name the kind.
        self.what = what or kind
        self._helps = helps
        # What an expectation is best written with: without numbers that change.
        self.title = title or name
        # Not kept: who looks must not be who holds it.
        self._thing = weakref.ref(thing) if thing is not None else None
        self.key = (kind, key)
        self.name = name
        self._noted = tuple(stack)

    @property
    def thing(self):
        """The thread, task or loop; None where it is gone, and for all other kinds."""
        return self._thing() if self._thing is not None else None

    @property
    def stack(self):
        """The frames; their lines are looked up here: of most that is noted nobody ever asks."""
        return stacks.frames_of(self._noted)

    @property
    def made_at(self):
        """The frame to blame: the innermost of the user's own code, else of a library; or None."""
        return stacks.blamed(self.stack)

    @property
    def is_helper(self):
        """Whether multiprocessing made it for itself and keeps it until the process ends."""
        return self._helps or any(code.co_filename.endswith(HELPERS) for code in self._noted[::2])


TEMPORARY_EVENTS = ("tempfile.mkstemp", "tempfile.mkdtemp")
DATABASE_EVENTS = ("sqlite3.connect", "sqlite3.connect/handle")
EVENTS = frozenset(("open", "socket.__new__", *DATABASE_EVENTS, *TEMPORARY_EVENTS))
# An audit hook cannot be taken out again, so there is one, for whoever listens now.
_listeners: list = []
_hooked = False


def _listen(heard):
    global _hooked
    _listeners.append(heard)
    if not _hooked:
        _hooked = True
        sys.addaudithook(_audited)


def _audited(event, args):
    # First of all what is not listened for: reading the code of a frame is an event too.
    if event in EVENTS and not stacks.is_suspended():
        for heard in _listeners:
            heard(event, args)


class Origins:
    """Notes who makes what while it is installed."""

    def __init__(self):
        self._patched = []
        self._threads = weakref.WeakKeyDictionary()
        self._loops = loops.Loops()
        self._ended = []
        self._sockets = weakref.WeakKeyDictionary()
        self._children = {}
        self._pipes = {}
        self._paths = {}
        # Folders in which files without a name were made, and who made those that are there.
        self._folders = {}
        self._nameless = {}
        self._temporary = {}
        # What connections of sqlite3 are to: while one is made, by thread, and then by its number.
        self._connecting = {}
        self._databases = {}
        self._numbers = weakref.WeakKeyDictionary()
        self._next_numbers = itertools.count()

    def install(self):
        """Begin to take notes."""
        import multiprocessing.process
        import subprocess

        stacks.know_callers()
        _listen(self._heard)
        self._patch(threading.Thread, "start", stacks.noting_self(self._threads))
        self._loops.install(self._patch)
        self._patch(subprocess.Popen, "__init__", self._noting_pid)
        self._patch(multiprocessing.process.BaseProcess, "start", self._noting_pid)
        self._patch(os, "fork", self._noting_fork)
        self._patch(os, "pipe", self._noting_pipe)

    def remove(self):
        """End: every function is what it was, and no notes are kept."""
        if self._heard in _listeners:
            _listeners.remove(self._heard)
        for holder, name, original in reversed(self._patched):
            setattr(holder, name, original)
        made = (self._patched, self._threads, self._loops, self._sockets, self._children)
        opened = (self._pipes, self._paths, self._folders, self._nameless, self._temporary)
        for notes in (*made, *opened, self._connecting, self._databases, self._numbers):
            notes.clear()

    def census(self):
        """Return all that is there now as a dict from key to `Remaining`."""
        found = [*self._all_threads(), *self._ended, *self._all_tasks(), *self._all_children()]
        found += [*self._all_descriptors(), *self._all_temporary()]
        return {one.key: one for one in found}

    def _patch(self, holder, name, wrapping):
        original = getattr(holder, name, None)
        if original is not None:
            self._patched.append((holder, name, original))
            setattr(holder, name, wrapping(original))

    def _noting_pid(self, original):
        def started(process, *args, **kwargs):
            result = original(process, *args, **kwargs)
            if not stacks.is_suspended():
                self._children[getattr(process, "pid", None)] = stacks.stack_here()
            return result

        return started

    def _noting_fork(self, original):
        def fork():
            pid = original()
            if pid and not stacks.is_suspended():
                self._children[pid] = stacks.stack_here()
            return pid

        return fork

    def _noting_pipe(self, original):
        def pipe():
            ends = original()
            if stacks.is_suspended():
                return ends
            stack = stacks.stack_here()
            self._pipes.update((_link(end), stack) for end in ends)
            _shorten(self._pipes)
            return ends

        return pipe

    def _heard(self, event, args):
        if event == "open":
            if not isinstance(args[0], int):
                nameless = (args[2] or 0) & NAMELESS == NAMELESS != 0
                self._note_path(self._folders if nameless else self._paths, args[0])
        elif event == "sqlite3.connect":
            self._note_path(self._paths, _database(args[0]))
            self._connecting[threading.get_ident()] = _database(args[0])
        elif event == "sqlite3.connect/handle":
            # Of the C type: no weak reference to it, so that its number may be another's by now.
            self._databases[id(args[0])] = self._connecting.pop(threading.get_ident(), None)
            _shorten(self._databases)
        elif event == "socket.__new__":
            try:
                self._sockets[args[0]] = stacks.stack_here()
            except TypeError:
                return  # of the C type itself: no weak reference to it
        elif event in TEMPORARY_EVENTS:
            self._note_path(self._temporary, args[0])

    @staticmethod
    def _note_path(noted, path):
        try:
            path = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError, OSError):
            return
        noted.pop(path, None)
        noted[path] = stacks.stack_here(4)
        _shorten(noted)

    def database_of(self, connection):
        """Return the path of what a connection of sqlite3 is open to; None where nobody saw it."""
        try:
            return os.path.realpath(self._databases[id(connection)])
        except (KeyError, TypeError, ValueError):
            return None

    def _number(self, thing):
        """Return what no other thread, task or loop gets: the next may be at the same address."""
        return self._numbers.setdefault(thing, next(self._next_numbers))

    def _all_threads(self):
        for thread in threading.enumerate():
            name = thread.name + (" (daemon)" if thread.daemon else "")
            stack = self._threads.get(thread, ())
            yield Remaining(THREAD, self._number(thread), name, stack, thread.name, thread)

    def _all_tasks(self):
        return [self._task(*found) for found in self._loops.pending_tasks()]

    def _task(self, task, stack, maker=None, how=""):
        coroutine = task.get_coro()
        called = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        name = "%s of %s%s" % (task.get_name(), called, how)
        found = Remaining(TASK, self._number(task), name, stack, called, task)
        found.made_by = None if maker is None else (TASK, self._number(maker))
        return found

    def watch_ends(self):
        """Keep in every census from now on what closing runners cancel, until `forget_ends`."""
        import asyncio

        def wrapping(original):
            def close(runner):
                how = ", cancelled by the end of its loop"
                ended = self._loops.cut_off_by(runner)
                self._ended += [self._task(task, stack, how=how) for task, stack in ended]
                return original(runner)

            return close

        self._patch(asyncio.Runner, "close", wrapping)

    def forget_ends(self):
        """Begin anew with what closing runners cancel."""
        self._ended.clear()

    def _all_children(self):
        alive, helpers = processes.child_pids(), processes.helper_pids()
        for pid in set(self._children) - alive:
            del self._children[pid]
        for pid in alive:
            command = processes.command_of(pid)
            name = "process %d (%s)" % (pid, command or "ended, never waited for")
            stack, helps = self._children.get(pid, ()), pid in helpers
            yield Remaining(CHILD, pid, name, stack, command or CHILD, helps=helps)

    def _all_descriptors(self):
        sockets = {one.fileno(): stack for one, stack in list(self._sockets.items())}
        selectors, links = self._loops.selectors(), descriptors()
        for loop, numbers, stack in self._loops.open_loops():
            # Its descriptors come and go with it: one thing, made at one line.
            of_loop = [number for number in numbers if links.pop(number, None)]
            name = "with descriptors %s" % ", ".join(map(str, of_loop))
            yield Remaining(LOOP, self._number(loop), name, stack, LOOP, loop)
        for gone in set(self._nameless).difference(links.values()):
            del self._nameless[gone]
        for number, link in links.items():
            if link.startswith("socket:"):
                name = "%d (%s)" % (number, _socket_name(number))
                yield Remaining(SOCKET, (number, link), name, sockets.get(number, ()), SOCKET)
            else:
                stack = selectors.get(number) or self._pipes.get(link) or self._opened(link)
                name = "%d (%s)" % (number, link)
                yield Remaining(DESCRIPTOR, (number, link), name, stack, link.split(":[")[0])

    def _opened(self, link):
        """The stack at which what a descriptor leads to was opened, or the database it is of.

        A file without a name is of the last that was made in its folder before it was first seen.
        """
        path = link.replace(" (deleted)", "")
        folder, name = os.path.split(path)
        if name[:1] == "#" and name[1:].isdigit():
            return self._nameless.setdefault(link, self._folders.get(folder, ()))
        databases = [path[: -len(ending)] for ending in BESIDE if path.endswith(ending)]
        return next(filter(None, map(self._paths.get, [path, *databases])), ())

    def _all_temporary(self):
        for path, stack in list(self._temporary.items()):
            if os.path.lexists(path):
                what = "temporary folder" if os.path.isdir(path) else TEMPORARY
                yield Remaining(TEMPORARY, path, path, stack, TEMPORARY, what=what)
            else:
                self._temporary.pop(path, None)


def _shorten(notes):
    while len(notes) > MOST_PATHS:
        notes.pop(next(iter(notes)))


def descriptors():
    """Return what each open descriptor of this process leads to; {} where the kernel does not say.

    Found with system calls that open the table itself, whose own descriptor is left out.
    """
    found = {}
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for number in numbers:
        link = _link(number)
        if link is not None:
            found[int(number)] = link
    return found


def _link(number):
    try:
        return os.readlink("/proc/self/fd/%s" % number)
    except OSError:
        return None


def thread_count():
    """Return how many threads the kernel counts, native ones included."""
    return len(os.listdir("/proc/self/task"))


def made_rows(left, units):
    """Return (kind, count per unit, file, line, function) of what is left again and again.

    The place is (None, 0, "") where nobody saw it being made; most often first.
    """
    places: dict = {}
    for one in left:
        key = (one.what, one.made_at or (None, 0, ""))
        places[key] = places.get(key, 0) + 1
    ranked = sorted(places.items(), key=lambda entry: -entry[1])
    return [
        (kind, count / units, file, line, function)
        for (kind, (file, line, function)), count in ranked
        if count >= max(2, ranked[0][1] / 2)
    ]


def _database(name):
    """Return the path of a database that may be named by a URI."""
    if isinstance(name, str) and name.startswith("file:"):
        import urllib.parse

        return urllib.parse.unquote(urllib.parse.urlsplit(name).path)
    return name


def _socket_name(number):
    import socket

    try:
        with socket.socket(fileno=os.dup(number)) as copy:
            local, family = copy.getsockname(), copy.family.name
            try:
                peer = copy.getpeername()
            except OSError:
                peer = None
    except OSError:
        return "not known"
    where = "%s %s" % (family, _address(local) or "pair")
    return where + (" to %s" % _address(peer) if _address(peer) else "")


def _address(address):
    if isinstance(address, tuple) and len(address) >= 2:
        return "%s:%s" % address[:2]
    return os.fsdecode(address) if isinstance(address, (str, bytes)) else ""
