"""Ask at a door that has no HTTP: ``python -m leaklab.door FOLDER [graph PID]``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from leaklab.door import analysis
from leaklab.door import folder as store
from leaklab.errors import LeaklabError, UsageError

HELP = """\
usage: python -m leaklab.door FOLDER [graph PID]

FOLDER: where the service's workers leave their figures, as given to leaklab.door.open().
Prints a JSON document: each worker's verdict, resources and cost.
With graph PID: what worker PID holds; it walks its objects for that, in a copy of itself."""


def main(words: list[str]) -> int:
    """Print the status of a service's workers, or take a look at what one holds."""
    if {"-h", "--help"} & set(words):
        print(HELP)
        return 0
    if len(words) not in (1, 3) or (len(words) == 3 and words[1] != "graph"):
        raise UsageError("how to ask: python -m leaklab.door FOLDER [graph PID]")
    folder = Path(words[0])
    try:
        os.scandir(folder).close()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        way_out = "the service was given it, or made it, and tells it where it has HTTP"
        raise LeaklabError(f"no folder to read: {folder} ({why}); {way_out}") from None
    if len(words) == 1:
        print(json.dumps(analysis.status(folder), indent=1))
        return 0
    return _look(folder, words[2])


def _look(folder: Path, word: str) -> int:
    pid = int(word) if word.isdecimal() else -1
    if pid not in store.workers(folder):
        if any(left.get("pid") == pid for left, _ in store.workers_elsewhere(folder)):
            raise LeaklabError(f"worker {pid} is of another container: ask for its look in there")
        known = ", ".join(map(str, store.workers(folder))) or "none"
        raise LeaklabError(f"no such worker: {word}; there are: {known}")
    try:
        if not store.begin_look(folder, pid):
            raise LeaklabError("another look is under way: one at a time; try again later")
    except OSError as error:
        raise LeaklabError(store.no_room(error, folder)) from None
    result = store.left_file(folder, "graph", pid)
    until = time.monotonic() + store.LOOK_SECONDS
    while time.monotonic() < until:
        found = store.read(result)
        if store.is_final(found):
            print(json.dumps(found, indent=1))
            return 0 if found["state"] == "complete" else 1
        if pid not in store.workers(folder):
            raise LeaklabError(f"worker {pid} has ended before it answered; ask another one")
        time.sleep(0.1)  # another process's file: there is nothing to be woken by
    raise LeaklabError(f"no answer of worker {pid} in {store.LOOK_SECONDS:g} s; is it alive?")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LeaklabError as problem:
        sys.exit(f"leaklab: {problem}")
