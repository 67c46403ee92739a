"""What a program that has failed said of it: the one line of its stderr to quote."""

from __future__ import annotations

import errno
import re

# Also of a group of exceptions, which are drawn as a tree.
_BEGINNING = re.compile(
    r"(?P<edge>[ |+]*)(?:Exception Group )?Traceback \(most recent call last\):"
)
_RAISED = re.compile(r"[^\W\d][\w.<>]*(?::|$)")
# What faulthandler says of a program that a signal ends, before the calls it was in.
_FATAL = "Fatal Python error: "
_ENDING_THREAD = "Current thread "
# What a finalizer raises at the very end is not what the program ended by.
_IGNORED = "Exception ignored"
# A warning is followed by the source line that gave it, which says nothing.
_WARNED = re.compile(r".+:\d+: (?P<text>\w*Warning: .+)")
# How Python says that there was no more of what a leak takes: memory, threads, descriptors,
# processes, room on a disk. By the error's number, since its text is in the user's language.
_WANTS = ("MemoryError", "can't start new thread")
_WANTED_NUMBERS = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOSPC)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07)")


def uncoloured(text: str) -> str:
    """Return ``text`` without colours: from 3.13 on a traceback has them where FORCE_COLOR is set,
    as in kernels and in CI.

    >>> uncoloured("\x1b[1;35mMemoryError\x1b[0m")
    'MemoryError'
    """
    return _COLOURS.sub("", text)


def plain(text: str) -> str:
    """Return ``text`` without what colours a terminal or moves its cursor.

    >>> plain("\x1b[2J\x1b[Hps")
    'ps'
    """
    return _ESCAPES.sub("", text)


def ran_out(stderr: str | None) -> bool:
    """Whether a program ended because there was no more of something that may leak.

    >>> ran_out("RuntimeError: can't start new thread"), ran_out("OSError: [Errno 2] No such file")
    (True, False)
    """
    said = last_words(stderr)
    return any(want in said for want in _WANTS) or any(
        f"[Errno {number}]" in said for number in _WANTED_NUMBERS
    )


def last_words(stderr: str | None) -> str:
    """Return what the last traceback says was raised, or what ended it without one; "" for nothing.

    Where neither is told, the last line.

    What is said later, when everything is torn down (that a client was not closed, say), is not why
    the program ended.

    >>> last_words("Traceback (most recent call last):\\n  File …\\nOSError: no\\nlate: closed")
    'OSError: no'
    """
    lines = str(stderr or "").strip().splitlines()
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].startswith(_FATAL):
            return lines[place].rstrip()
        begun = _BEGINNING.match(lines[place])
        if begun is None or (place and lines[place - 1].startswith(_IGNORED)):
            continue
        edge = len(begun["edge"])
        raised = (line[edge:].rstrip() for line in lines[place + 1 :])
        found = next(filter(_RAISED.match, raised), None)
        if found is not None:
            return found
    warned = _WARNED.match(lines[-2]) if len(lines) > 1 and lines[-1].startswith("  ") else None
    return warned["text"] if warned else lines[-1].strip() if lines else ""


def last_report(stderr: str | None, most: int) -> list[str]:
    """Return at most so many lines of what a program said last.

    Of what faulthandler wrote those of the thread that was ended, which begin with the call it was
    ended in; the last lines else.

    >>> last_report("Fatal Python error: Abort\\n\\nCurrent thread 1:\\n  File a\\n  File b\\n", 3)
    ['Fatal Python error: Abort', 'Current thread 1:', '  File a']
    """
    lines = str(stderr or "").splitlines()
    fatal = [place for place, line in enumerate(lines) if line.startswith(_FATAL)]
    if not fatal:
        return lines[-most:]
    report = [line for line in lines[fatal[-1] :] if line.strip()]
    heads = [place for place, line in enumerate(report) if line.startswith(_ENDING_THREAD)]
    return [report[0], *report[heads[0] if heads else 1 :]][:most]
