"""What leaklab says when it cannot go on: one line, with the value and the way out."""

from typing import Any


class LeaklabError(Exception):
    """Something failed; ``str()`` is one line: what is wrong: value; what to do. Exit status 1."""


class UsageError(LeaklabError):
    """The request itself is wrong (unknown name, ill-typed value). Exit status 2."""


class RecordingInterruptedError(KeyboardInterrupt):
    """Somebody has interrupted a recording. ``run``: what was measured until then, it is stored."""

    def __init__(self, run: Any, folder: str) -> None:
        super().__init__(f"interrupted; what was measured until then: ll.open({folder!r})")
        self.run = run
