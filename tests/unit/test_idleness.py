"""A process that works is told from one that only waits."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from leaklab.recorder.idleness import Idleness

WAITS = "print(flush=True); input()"
SPINS = "print(flush=True)\nwhile True: pass"
HAS_A_CHILD_THAT_SPINS = (
    "import subprocess, sys\n"
    f"with subprocess.Popen([sys.executable, '-c', {SPINS!r}]) as child:\n"
    "    try:\n        input()\n    finally:\n        child.kill()"
)


@contextmanager
def started(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.stdin.close()
            if program == SPINS:
                process.kill()


def looked_at_until_idle(idleness: Idleness, look_count: int) -> float:
    """The longest that it was idle for, after so many looks at most."""
    return max(idleness.seconds() for _ in range(look_count))


def test_who_waits_is_idle_from_look_to_look() -> None:
    with started(WAITS) as process:
        idleness = Idleness(process.pid, look_seconds=1.0)
        assert looked_at_until_idle(idleness, 200) > 100
        assert idleness.seconds(is_active=True) == 0
        assert idleness.seconds() == 1


def test_who_works_is_never_idle_and_neither_is_who_has_somebody_work() -> None:
    for program in (SPINS, HAS_A_CHILD_THAT_SPINS):
        with started(program) as process:
            idleness = Idleness(process.pid, look_seconds=1.0)
            assert looked_at_until_idle(idleness, 200) == 0


def test_who_is_stopped_is_idle() -> None:
    with started(SPINS) as process:
        process.send_signal(signal.SIGSTOP)
        idleness = Idleness(process.pid, look_seconds=1.0)
        assert looked_at_until_idle(idleness, 200) > 100
