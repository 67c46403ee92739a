"""Files that are opened and read: with a context manager, without one, and the ways they stay open.

One iteration opens one file.
"""

import gc
import tempfile
from pathlib import Path

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

folder = tempfile.TemporaryDirectory()
PATH = Path(folder.name) / "seeds.txt"
PATH.write_text("first line\nsecond line\n", encoding="utf-8")
KEPT = []


def control():
    with PATH.open(encoding="utf-8") as handle:
        handle.read()


def dropped():
    PATH.open("rb", buffering=0).read()


def handle_kept():
    handle = PATH.open(encoding="utf-8")
    handle.read()
    KEPT.append(handle)


def parse():
    handle = PATH.open(encoding="utf-8")
    raise ValueError(handle.readline())


def exception_kept():
    """The exception's traceback keeps parse()'s frame, and with it the handle."""
    try:
        parse()
    except ValueError as error:
        KEPT.append(error)


def lines():
    with PATH.open(encoding="utf-8") as handle:
        yield from handle


def generator_kept():
    """The ``with`` block inside a generator ends when the generator does."""
    generator = lines()
    next(generator)
    KEPT.append(generator)


class Reader:
    def __init__(self):
        self.handle = PATH.open(encoding="utf-8")
        self.handle.read()
        self.read = self.handle_read  # a bound method of itself: a cycle

    def handle_read(self):
        return self.handle.read()


def cycle():
    Reader()


def better_fix():
    """What is kept of a failure is its text."""
    try:
        with PATH.open(encoding="utf-8") as handle:
            raise ValueError(handle.readline())
    except ValueError as error:
        KEPT[:] = [*KEPT[-9:], str(error)]


OPEN = globals()["cycle" if ARGUMENTS.variant == "cycle_gc_off" else ARGUMENTS.variant]
if ARGUMENTS.variant == "cycle_gc_off":
    gc.disable()
for _ in range(ARGUMENTS.iterations):
    OPEN()
    gauge("kept", len(KEPT))
    mark()
