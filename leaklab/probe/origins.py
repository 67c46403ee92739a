"""Remembers which call made each descriptor, thread and child, until it is asked what stays.

An audit hook hears of each call before it is made. It notes the stack and, for what has an object
of its own (a socket, a thread, a `Popen`), a weak reference; `origin_looks` compares that with what
is open at a look. Nothing of the target is called, kept alive or replaced. A hook cannot be taken
out again, so it is installed only where it was asked for, and told to do nothing afterwards.

The hook runs in any thread, also in the middle of itself (a signal handler, a finalizer), so it
takes no lock: each step is one operation of a dict or list.
"""

import os
import sys
import types
from _weakref import ref

_close = os.close

# Where Linux shows POSIX shared memory by its name.
SEGMENTS_FOLDER = "/dev/shm/"  # noqa: S108
MOST_STACKS = 4096
MOST_FRAMES = 24
# Between two looks; what is more is forgotten, the oldest first.
MOST_NOTES = 4096
UNKNOWN = -1
_PACKAGE = __name__.rpartition(".")[0]


class Stacks:
    """Stacks by number, as long as the process lives: (codes, line numbers), latest call first."""

    def __init__(self):
        self.all = []
        self._number_of = {}
        self._held = None

    def of_call(self, frame, end=None):
        """Return the number of the stack that ends in ``frame``; None for the probe's own.

        Without ``end`` and what has called it.
        """
        if is_own(frame):
            return None
        self._held = None
        codes, lines = [], []
        while frame is not end and len(codes) < MOST_FRAMES:
            codes.append(frame.f_code)
            lines.append(frame.f_lineno)
            frame = frame.f_back
        return self.number(codes, lines)

    def number(self, codes, lines):
        """Return the number of a stack, UNKNOWN for one too many."""
        # An address stands for its code, which is kept: hashing a code object reads all of it.
        key = (*map(id, codes), *lines)
        number = self._number_of.get(key)
        if number is None:
            if len(self.all) >= MOST_STACKS:
                return UNKNOWN
            number = len(self.all)
            self.all.append((codes, lines))
            self._number_of[key] = number
        # What was made here and freed would lie on CPython's free lists, and the target's next
        # objects would come from there, charged to the probe (see recycled.py).
        self._held = codes, lines, key
        return number


class Notes:
    """What was made since the last look.

    ``opened``: last part of a file's name → number of the stack → whole name. ``sockets``,
    ``threads``, ``children``: address → (weak reference, stack). ``raw_threads``: address of the
    code that a thread runs → (code, stack). ``forks``: stacks in order. ``numbers``: descriptor
    that a call was about to get → (name as in ``opened``, or None for a pipe; stack).
    ``segments``: path of shared memory → stack.
    """

    def __init__(self):
        self.opened = {}
        self.sockets = {}
        self.threads = {}
        self.raw_threads = {}
        self.children = {}
        self.forks = []
        self.numbers = {}
        self.segments = {}


class OriginHook:
    """The audit hook; ``notes`` is what it has heard of since they were last taken.

    ``doubtful``: names of files that several calls open, of which one keeps them open. For these it
    finds out which number the descriptor gets; that takes two system calls, else it makes none.
    ``spare``: a descriptor of the probe's own, and what it is open on.
    """

    # Else the interpreter hides the hook from the tracer, which would charge to the target's line
    # what is remembered here.
    __cantrace__ = True

    def __init__(self):
        self.stacks = Stacks()
        self.notes = Notes()
        self.active = True
        self.doubtful = set()
        self.spare = None
        self._handlers = {
            "open": self._opened,
            "sqlite3.connect": self._opened,
            "mmap.__new__": self._mapped,
            "os.truncate": self._segment,
            "socket.__new__": self._socket,
            "_thread.start_new_thread": self._thread,
            "_thread.start_joinable_thread": self._thread,
            "subprocess.Popen": self._child,
            "os.fork": self._fork,
            "os.forkpty": self._fork,
            "os.posix_spawn": self._fork,
        }

    def __call__(self, event, arguments):
        """Note a call that makes something. Never raises: that would stop the target's call."""
        handler = self._handlers.get(event)
        if handler is not None and self.active:
            try:
                handler(arguments, sys._getframe(1))
            except Exception:
                pass

    def take(self):
        """Return what was noted, and begin anew."""
        notes, self.notes = self.notes, Notes()
        return notes

    def _opened(self, arguments, frame):
        path = arguments[0]
        if type(path) is bytes:
            path = path.decode("utf-8", "replace")
        if type(path) is not str:
            return
        stack = self.stacks.of_call(frame)
        if stack is not None:
            name = path.rpartition("/")[2]
            opened = self.notes.opened
            opened.setdefault(name, {})[stack] = path
            _limit(opened)
            if name in self.doubtful and self.spare is not None:
                self.notes.numbers[self._next_number()] = (name, stack)

    def _mapped(self, arguments, frame):
        """Note a memory map: it keeps a descriptor of its own, a copy, when the file is closed."""
        made = _is_of_shared_memory(frame) and frame.f_locals.get("create")
        # A segment that is made is noted by the call that sizes it.
        if arguments[0] >= 0 and not made:
            self._opened((os.readlink("/proc/self/fd/%d" % arguments[0]),), frame)

    def _segment(self, arguments, frame):
        """Note a segment of shared memory: the call that sizes it is the first to be heard of."""
        if not _is_of_shared_memory(frame):
            return
        name = frame.f_locals.get("name")
        if type(name) is not str:
            return
        path = SEGMENTS_FOLDER + name.lstrip("/")
        self._opened((path,), frame)
        stack = self.stacks.of_call(frame)
        if stack is not None:
            self.notes.segments[path] = stack
            _limit(self.notes.segments)

    def _socket(self, arguments, frame):
        self._note(self.notes.sockets, arguments[0], self.stacks.of_call(frame))

    def _thread(self, arguments, frame):
        function = arguments[0]
        stack = self.stacks.of_call(frame)
        if type(function) is types.MethodType:
            self._note(self.notes.threads, function.__self__, stack)
        elif type(function) is types.FunctionType and stack is not None:
            code = function.__code__
            self.notes.raw_threads[id(code)] = (code, stack)
            _limit(self.notes.raw_threads)

    def _child(self, arguments, frame):
        stack = self.stacks.of_call(frame)
        # The standard library's own function: what its variables hold may be looked at.
        scope = frame.f_locals
        self._note(self.notes.children, scope.get("self"), stack)
        for name in ("p2cwrite", "c2pread", "errread"):
            number = scope.get(name)
            if stack is not None and type(number) is int and number >= 0:
                self.notes.numbers[number] = (None, stack)

    def _fork(self, arguments, frame):
        if frame.f_code.co_name == "_posix_spawn":  # of a Popen, which is noted already
            return
        stack = self.stacks.of_call(frame)
        if stack is not None and len(self.notes.forks) < MOST_NOTES:
            if frame.f_code.co_name == "_launch":  # multiprocessing's
                self._note(self.notes.children, frame.f_locals.get("self"), stack)
            self.notes.forks.append(stack)

    def _next_number(self):
        """Return the lowest number that is free: the system gives it to what is opened next."""
        number, identity = self.spare
        # Never another file than ours: closing a copy of one gives up the locks on it.
        if identity_of(number) != identity:
            self.spare = None
            raise OSError("the target has closed it")
        free = os.dup(number)
        _close(free)
        return free

    @staticmethod
    def _note(notes, made, stack):
        if stack is None or made is None:
            return
        try:
            notes[id(made)] = (ref(made), stack)
        except TypeError:  # a type that cannot be referred to weakly
            return
        _limit(notes)


def identity_of(number):
    """Return what a descriptor is open on; raises OSError."""
    status = os.fstat(number)
    return status.st_dev, status.st_ino


def _is_of_shared_memory(frame):
    """Whether a frame is the standard library's own: what its variables hold may be looked at."""
    return dict.get(frame.f_globals, "__name__") == "multiprocessing.shared_memory"


def is_own(frame):
    """Whether a frame is the probe's or the tracer's."""
    name = dict.get(frame.f_globals, "__name__")
    return type(name) is str and name.startswith((_PACKAGE, "memray"))


def _limit(notes):
    if len(notes) > MOST_NOTES:
        notes.pop(next(iter(notes)), None)
