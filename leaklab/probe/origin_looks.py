"""Tells of what is open, runs or waits at this moment which call made it."""

import os
import sys
from _socket import socket as _plain_socket

from .figures import pending_tasks
from .makers import TaskMakers, ThreadMakers
from .origins import MOST_NOTES, UNKNOWN, Notes, OriginHook, identity_of, is_own
from .task_names import coroutine_name, is_own_code, own_name, steps_of

# What fits into one message to the recorder; the rest follows in others.
MOST_ROWS = 200
MOST_FRAMES_TOLD = 200


class OriginLooks:
    """Installs the hook; each look compares what it has heard with what there is.

    A row told: kind ("file", "socket", "pipe", "thread", "task", "child", ...), number of a stack
    or -1, how the stack is known (see below), how many there are, one of them in words. Stacks are
    told before or with the first row that names them: [number, numbers of frames], frames as
    [function, file, line].

    How: "made" by that call; "alike": by that call or another one that opens a file of that name;
    "runs": who made it is not known, but what it runs, or where it waits; null without a stack.
    """

    def __init__(self):
        self._hook = OriginHook()
        self._descriptors = {}
        self._opened = {}
        self.after_fork()
        sys.addaudithook(self._hook)
        self._task_makers = TaskMakers(self._hook.stacks)
        self._thread_makers = ThreadMakers(self._hook.stacks)

    def after_fork(self):
        """In a child: the recorder knows nothing of what its parent was told."""
        self._hook.take()
        self._sockets, self._threads, self._raw_threads = {}, {}, {}
        self._children, self._pids = {}, {}
        self._segments = {}
        self._frame_numbers, self._told_stacks, self._untold = {}, set(), []

    def stop(self):
        """Hear of nothing from now on."""
        self._hook.active = False
        self._task_makers.stop()
        self._thread_makers.stop()
        self._hook.notes = Notes()

    def look(self, own_descriptors, spare=-1):
        """Look, and return the first part of what there is; ``more``: ask for the next part.

        ``own_descriptors`` are none of the target's; ``spare`` is a socket among them.
        """
        self._hook.spare = (spare, identity_of(spare)) if spare >= 0 else None
        notes = self._hook.take()
        rows = {}
        for kind, stack, how, subject in (
            *self._open_descriptors(notes, own_descriptors),
            *self._running_threads(notes),
            *self._living_children(notes),
            *self._waiting_tasks(),
            *self._left_segments(notes),
        ):
            key = (kind, stack, how if stack != UNKNOWN else None)
            rows[key] = (rows.get(key, (0,))[0] + 1, subject)
        self._untold = [[*key, *values] for key, values in rows.items()]
        return self.next_part()

    def next_part(self):
        """Return rows not told yet, with the stacks and frames that they name."""
        rows, stacks, frames = [], [], []
        while self._untold and len(rows) < MOST_ROWS and len(frames) < MOST_FRAMES_TOLD:
            row = self._untold.pop()
            rows.append(row)
            if row[1] != UNKNOWN and row[1] not in self._told_stacks:
                self._told_stacks.add(row[1])
                stacks.append([row[1], self._numbers(row[1], frames)])
        return {"rows": rows, "stacks": stacks, "frames": frames, "more": bool(self._untold)}

    def _numbers(self, stack, new):
        codes, lines = self._hook.stacks.all[stack]
        numbers = []
        for code, line in zip(codes, lines):
            name = getattr(code, "co_qualname", code.co_name)
            frame = (name, code.co_filename, line or code.co_firstlineno)
            number = self._frame_numbers.get(frame)
            if number is None:
                number = self._frame_numbers[frame] = len(self._frame_numbers)
                new.append([*frame])
            numbers.append(number)
        return numbers

    # Descriptors

    def _open_descriptors(self, notes, own):
        sockets = self._open_sockets(notes)
        found = {}
        for number, link in _links():
            if number in own:
                continue
            made, stack = sockets.get(number, (None, UNKNOWN))
            known = self._descriptors.get(number)
            if made is not None:
                found[number] = (link, stack, "made", _ends(made))
            elif known is not None and known[0] == link:
                found[number] = known
            else:
                stack, how = self._opener(notes, number, link)
                found[number] = (link, stack, how, link if link.startswith("/") else "")
        self._descriptors = found
        # A file that another thread was about to open is there at the next look.
        self._opened = notes.opened
        return [(_kind(link), *rest) for link, *rest in found.values()]

    def _open_sockets(self, notes):
        """Return descriptor → (socket, stack) of the sockets that have an object and are open."""
        numbers, kept = {}, {}
        for entries, fresh in ((self._sockets, False), (notes.sockets, True)):
            for address, (reference, stack) in [*entries.items()]:
                made = reference()
                number = -1 if made is None else _plain_socket.fileno(made)
                if number >= 0:
                    numbers[number] = (made, stack)
                if number >= 0 or (fresh and made is not None):
                    kept[address] = (reference, stack)
        self._sockets = kept
        return numbers

    def _opener(self, notes, number, link):
        """Return the stack of the call that opened a file or pipe, and how that is known."""
        awaited, stack = notes.numbers.get(number, (None, UNKNOWN))
        if link.startswith("pipe:") and awaited is None:
            return stack, "made"
        if not link.startswith("/"):
            return UNKNOWN, None
        path = link[: -len(" (deleted)")] if link.endswith(" (deleted)") else link
        folder, _, name = path.rpartition("/")
        # A file without a name lies in the folder that was opened for it.
        names = name, folder.rpartition("/")[2]
        if awaited in names:
            return stack, "made"
        for opened in (notes.opened, self._opened):
            for name in names:
                by_stack = opened.get(name)
                if by_stack:
                    exact = [stack for stack, said in by_stack.items() if said == path]
                    stacks = exact or [*by_stack]
                    if len(stacks) > 1:
                        self._hook.doubtful.add(name)
                    return stacks[-1], "made" if len(stacks) == 1 else "alike"
        return UNKNOWN, None

    # Threads and children

    def _running_threads(self, notes):
        module = sys.modules.get("threading")
        known = {**(getattr(module, "_active", None) or {})}
        main = getattr(module, "_main_thread", None)
        self._raw_threads.update(notes.raw_threads)
        started = {**self._threads, **notes.threads}
        made = self._thread_makers.stacks_made()
        # One that was started a moment ago may not run yet.
        kept, told = {**notes.threads}, []
        for number, (code, function) in _running_codes().items():
            thread = known.get(number)
            if thread is main:
                # Nobody started it. Where `threading` is not imported nothing tells it apart from
                # others, but then nobody has started those either.
                continue
            reference, stack = started.get(id(thread), (None, UNKNOWN))
            how = "made"
            if reference is not None and reference() is thread:
                kept[id(thread)] = (reference, stack)
            else:
                _, stack = self._raw_threads.get(id(code), (None, made.get(id(thread), UNKNOWN)))
            if stack == UNKNOWN and thread is not None:
                # It was there before anybody listened, or C started it.
                stack, how = self._hook.stacks.number([function], [0]), "runs"
            if stack != UNKNOWN:
                told.append(("thread", stack, how, _thread_name(thread)))
        self._threads = kept
        return told

    def _living_children(self, notes):
        by_pid, kept = {}, {}
        for address, (reference, stack) in {**self._children, **notes.children}.items():
            made = reference()
            if made is not None:
                kept[address] = (reference, stack)
                pid = object.__getattribute__(made, "__dict__").get("pid")
                by_pid[pid if type(pid) is int else None] = stack
        found = {}
        for pid in _child_pids():
            if pid in by_pid:
                found[pid] = by_pid[pid], "made"
            elif pid in self._pids:
                found[pid] = self._pids[pid]
            elif notes.forks:
                # Where all forks came from one place, so has this one.
                found[pid] = notes.forks[-1], "made" if len(set(notes.forks)) == 1 else "alike"
            else:
                found[pid] = UNKNOWN, None
        self._children, self._pids = kept, found
        return [("child", stack, how, "") for stack, how in found.values()]

    def _left_segments(self, notes):
        """Return which call made each segment of shared memory that was not unlinked."""
        known = [*self._segments.items(), *notes.segments.items()]
        self._segments = {
            path: stack for path, stack in known[-MOST_NOTES:] if os.path.exists(path)
        }
        return [("segment", stack, "made", path) for path, stack in self._segments.items()]

    # Tasks

    def _waiting_tasks(self):
        """Return which call made each task or, where that is not known, where it waits."""
        made = self._task_makers.stacks_made()
        for task in pending_tasks() or ():
            stack, how = made.get(id(task), UNKNOWN), "made"
            steps = steps_of(_coroutine_of(task))
            name = _task_name(task)
            if stack == UNKNOWN and steps:
                codes = [code for _, code, _ in reversed(steps)]
                stack, how = self._hook.stacks.number(codes, _lines_of(steps)), "runs"
            elif steps:
                name = ", ".join(filter(None, (name, "waits at " + _place_of(steps))))
            yield "task", stack, how, name


def _lines_of(steps):
    """Return the line at which each coroutine is, the innermost first; 0 where it has ended."""
    return [(frame.f_lineno if frame is not None else None) or 0 for _, _, frame in reversed(steps)]


def _place_of(steps):
    """Return file and line of the innermost coroutine that is the target's, or the outermost."""
    at = max([0, *(n for n, step in enumerate(steps) if is_own_code(step[1].co_filename))])
    _, code, frame = steps[at]
    line = (frame.f_lineno if frame is not None else None) or code.co_firstlineno
    return "%s:%d" % (os.path.basename(code.co_filename), line)


def _running_codes():
    """Return, by thread, the code of the outermost call, and of the outermost not `threading`'s.

    Without the threads that are in the probe.
    """
    frames = sys._current_frames()
    try:
        found = {number: _outermost(frames[number]) for number in frames}
    finally:
        # A frame that is in one of its own variables would stay, with all that called it, until a
        # collection: and with it whatever of the target is in their variables.
        frames.clear()
    return {number: codes for number, codes in found.items() if codes is not None}


def _outermost(frame):
    code, function = None, frame.f_code
    while frame is not None:
        if is_own(frame):
            return None
        code = frame.f_code
        if dict.get(frame.f_globals, "__name__") != "threading":
            function = code
        frame = frame.f_back
    return code, function


def _coroutine_of(task):
    try:
        return task.get_coro()
    except Exception:
        return None


def _task_name(task):
    """Return what a task is called, by its own name or what it runs."""
    try:
        return own_name(task.get_name()) or coroutine_name(_coroutine_of(task))
    except Exception:
        return ""


def _links():
    """Return (descriptor, what it is open on) of all that are open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink("/proc/self/fd/" + name)))
        except (OSError, ValueError):  # the one this list was read from
            continue
    return found


def _kind(link):
    if link.startswith("/"):
        return "file"
    if link.startswith("anon_inode:"):
        return link[len("anon_inode:") :].strip("[]") or "anon_inode"
    return link.partition(":")[0]


def _ends(made):
    """Return where a socket is connected, from the kernel: "127.0.0.1:40312 to 10.0.0.5:5432"."""
    ends = []
    for ask in (_plain_socket.getsockname, _plain_socket.getpeername):
        try:
            address = ask(made)
        except OSError:
            continue
        if type(address) is tuple and len(address) >= 2:
            address = "%s:%s" % address[:2]
        ends.append(address if type(address) is str else "")
    return " to ".join(filter(None, ends))


def _thread_name(thread):
    name = None
    if thread is not None:
        name = object.__getattribute__(thread, "__dict__").get("_name")
    return name if type(name) is str else ""


def _child_pids():
    """Return the processes that this one has started, those that have ended among them."""
    pids = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with open("/proc/self/task/%s/children" % thread, "rb") as file:
                pids.extend(map(int, file.read().split()))
    except (OSError, ValueError):
        pass
    return pids
