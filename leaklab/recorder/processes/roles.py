"""What processes are called: by what they run, and by who has started them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from leaklab.recorder.processes.tracked import FORK, MAIN, SHORT_LIVED, Tracked

# What the main process was called that has started another one in the background, and ended.
LAUNCHER = "launcher"


def fork_role(parent: Tracked | None) -> str:
    """Return the role of a process that was forked from ``parent`` and runs the same program.

    However often it was forked: shells fork for each part of a line, and daemons twice.
    """
    role = parent.role if parent else MAIN
    return role if role.startswith(FORK) else f"{FORK}{role}"


def command_role(argv: Sequence[str]) -> str:
    """Return what a command line is called: the same for all workers of one kind.

    Workers are counted in what they call themselves; a file has the name it has.
    """
    words = program_of(argv).split(" ")
    return " ".join(w if w.endswith(".py") else re.sub(r"\d+", "N", w) for w in words)[:80]


def program_of(argv: Sequence[str]) -> str:
    """Return what a command line runs, without folders and arguments, which may hold a secret."""
    if not argv:
        return "unknown"
    text = " ".join(argv)
    if match := re.search(r"from multiprocessing\.(\w+) import", text):
        return f"multiprocessing {match[1]}"
    words = [PurePath(argv[0]).name]
    if words[0].startswith("python"):
        words = ["python"]
        rest = [part for part in argv[1:] if not part.startswith("-") or part in ("-m", "-c")]
        if rest[:1] == ["-c"]:
            words.append("-c")
        elif rest:
            words += ["-m", *rest[1:3]] if rest[0] == "-m" else [PurePath(rest[0]).name]
    return " ".join(words)


def role_of(argv: Sequence[str], parent: Tracked | None) -> str:
    """Return the role of a process with a command line, below ``parent``."""
    if parent is not None and list(argv) == parent.argv:
        # Forks of a process with a probe say so themselves.
        return fork_role(parent) if parent.python is None else SHORT_LIVED
    return command_role(argv)
