"""Which processes a pattern names: never the watcher, another one, or what started them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath

import psutil

from leaklab.errors import LeaklabError
from leaklab.recorder.processes.roles import program_of


def matching_now(patterns: Sequence[str]) -> list[psutil.Process]:
    """Return what `matching` does; raises LeaklabError where there is none of one of them."""
    for pattern in patterns:
        if not matching([pattern]):
            raise LeaklabError(
                f"no process with this in its command line: {pattern}; see `ps -ef` "
                "(what started this watch is left out: give its PID)"
            )
    return matching(patterns)


def matching(patterns: Sequence[str]) -> list[psutil.Process]:
    """Return the processes with a pattern in their command line, without those below such."""
    table = list(psutil.process_iter(["cmdline", "ppid"]))
    parents = {process.pid: process.info["ppid"] for process in table}
    commands = {process: process.info["cmdline"] or () for process in table}
    ours = {os.getpid(), *_above(os.getpid(), parents)}
    # Who starts a watcher (a shell, `timeout`) has its arguments, and so the pattern, in its own.
    watches = {" ".join(words) for words in map(watch_arguments, commands.values()) if words}
    found = {
        process.pid: process
        for process, words in commands.items()
        if process.pid not in ours
        and any(pattern and pattern in " ".join(words) for pattern in patterns)
        and not any(watch in " ".join(words) for watch in watches)
    }
    return [one for pid, one in found.items() if found.keys().isdisjoint(_above(pid, parents))]


def own_pids() -> set[int]:
    """Return the ids of this process and of all above it."""
    try:
        above = psutil.Process().parents()
    except psutil.Error:  # the kernel does not show them to everybody
        above = []
    return {os.getpid(), *(process.pid for process in above)}


def watch_arguments(words: Sequence[str]) -> Sequence[str]:
    """Return ``watch`` and its arguments from the command line of a watcher; else nothing.

    >>> watch_arguments(["python", "-m", "leaklab", "watch", "--command", "serve.py"])
    ['watch', '--command', 'serve.py']
    >>> watch_arguments(["python", "/srv/leaklab-x/watchdog.py"])
    []
    """
    for index, word in enumerate(words[:-1]):
        path = PurePath(word)
        if words[index + 1] == "watch" and (
            path.name == "leaklab" or path.parts[-2:] == ("leaklab", "__main__.py")
        ):
            return words[index + 1 :]
    return []


def is_own(process: psutil.Process) -> bool:
    """Whether a process is one of leaklab's own that work beside a service, as a door's do."""
    words = _words(process)
    return any(pair[0] == "-m" and pair[1].startswith("leaklab.") for pair in pairwise(words))


def is_helper(process: psutil.Process) -> bool:
    """Whether a process below a service is none of its workers: leaklab's, or what frees the
    semaphores that multiprocessing leaves."""
    tracker = "from multiprocessing.resource_tracker import"
    return is_own(process) or any(word.startswith(tracker) for word in _words(process))


def _words(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ()


def command_of(process: psutil.Process) -> str:
    """Return the command line without its numbers, which differ between workers that are alike."""
    return re.sub(r"\d+", "0", " ".join(_words(process)))


def short_command(process: psutil.Process) -> str:
    """Return what a process runs, short and without its arguments."""
    try:
        return program_of(process.cmdline())[:80]
    except psutil.Error:
        return ""


def _above(pid: int, parents: Mapping[int, int | None]) -> set[int]:
    above: set[int] = set()
    while (parent := parents.get(pid)) and parent not in above:
        above.add(parent)
        pid = parent
    return above
