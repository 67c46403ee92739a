"""What a program that has failed said of it: the one line of its stderr to quote."""

from __future__ import annotations

import errno
import re

# Also of a group of exceptions, which are drawn as a tree.
_BEGINNING = re.compile(
    r"(?P<edge>[ |+]*)(?:Exception Group )?Traceback \(most recent call last\):"
)
_RAISED = re.compile(r"[^\W\d][\w.<>]*(?::|$)")
# What a finalizer raises at the very end is not what the program ended by.
_IGNORED = "Exception ignored"
# A warning is followed by the source line that gave it, which says nothing.
_WARNED = re.compile(r".+:\d+: (?P<text>\w*Warning: .+)")
# How Python says that there was no more of what a leak takes: memory, threads, descriptors,
# processes, room on a disk. By the error's number, since its text is in the user's language.
_WANTS = ("MemoryError", "can't start new thread")
_WANTED_NUMBERS = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOSPC)


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
    """Return what the last traceback says was raised; without one the last line; "" for nothing.

    What is said later, when everything is torn down (that a client was not closed, say), is not why
    the program ended.

    >>> last_words("Traceback (most recent call last):\\n  File …\\nOSError: no\\nlate: closed")
    'OSError: no'
    """
    lines = str(stderr or "").strip().splitlines()
    for place in range(len(lines) - 1, -1, -1):
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
