"""Put the target under load in phases: warm-up, work, idle; then it is stopped."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import psutil

from leaklab.analysis.looks import SLOWEST_TRACED
from leaklab.errors import LeaklabError, UsageError
from leaklab.last_words import last_words
from leaklab.recorder.idleness import QUIET_SHARE, activity, with_descendants
from leaklab.recorder.ports import ServicePort

# A server is ready when it listens; anything else when all of it has slept for a while. A start
# under tracing on a busy machine may take long.
READY_SECONDS = 60.0
QUIET_SECONDS = 1.5
READY_POLL_SECONDS = 0.1
PORT_VARIABLE = "LEAKLAB_TARGET_PORT"

_CALL_DRIVE = """
import inspect, runpy, sys
drive = runpy.run_path(sys.argv[1]).get("drive")
if drive is None:
    sys.exit("it has no function drive()")
drive(*[sys.argv[2]] * bool(inspect.signature(drive).parameters))
"""


def drive_command(drive: str, cwd: str | None) -> list[str]:
    """Return what to start for one round; raises UsageError when it cannot be."""
    try:
        words = shlex.split(drive)
    except ValueError as error:
        raise UsageError(f"not a command: {drive}; {error}") from None
    if not words:
        raise UsageError("nothing to drive with: empty; give a command, or a file with drive()")
    if words[0].endswith(".py") and len(words) == 1:
        path = Path(cwd or Path.cwd(), words[0])
        if not path.is_file():
            raise UsageError(f"no such file to drive with: {words[0]}; look at its path")
        return [sys.executable, "-c", _CALL_DRIVE, str(path)]
    return words


class Drive:
    """Runs the rounds one after the other. ``step`` is called all the time and never waits."""

    def __init__(
        self,
        command: list[str],
        rounds: int,
        idle_seconds: float,
        cwd: str | None,
        tell: Callable[[str, str], None],
        port: int | None = None,
        *,
        listened_seconds: float | None = None,
    ) -> None:
        """Take what to run; ``listened_seconds``: after how long the target listened in the pass
        before, None where it did not."""
        self._command = command
        self._rounds = rounds
        self._idle_seconds = idle_seconds
        self._cwd = cwd
        self._tell = tell
        self._process: subprocess.Popen[Any] | None = None
        self._started_count = 0
        self._idle_since: float | None = None
        self._poll_due = 0.0
        self._polled = 0.0
        self._watched_seconds = 0.0
        self._busy = (0.0, 0.0)
        self._port = ServicePort(port)
        self._listened_before = listened_seconds is not None
        #: how long the target is waited for
        self.patience_seconds = max(READY_SECONDS, SLOWEST_TRACED * (listened_seconds or 0.0))
        #: when it was seen to listen, None before
        self.listened_seconds: float | None = None
        #: whether a round has failed
        self.has_failed = False

    def step(self, now: float, pids: Iterable[int], own_ports: Collection[int] = ()) -> bool:
        """Go on; returns True once the last phase is over.

        ``own_ports`` are those of the recording itself: nothing of the target's.
        """
        if self._idle_since is not None:
            return now - self._idle_since >= self._idle_seconds
        if self._process is None:
            if now >= self._poll_due and self._ready(now, list(pids), own_ports):
                self._start(now)
            return False
        status = self._process.poll()
        if status is None:
            return False
        if status != 0:
            words = self._last_words()
            text = f"the drive ended with status {status}: {words}{self._portless(words)}"
            self._tell("drive", text)
            self.has_failed = True
            self._idle_since = now
        elif self._started_count < self._rounds:
            self._start(now)
        else:
            self._idle_since = now
            self._tell("phase", "idle")
        return False

    @property
    def has_begun(self) -> bool:
        """Whether the target was found ready, and is under load or was."""
        return self._started_count > 0

    @property
    def loaded_until_seconds(self) -> float | None:
        """When the last round ended, or one failed; None before."""
        return self._idle_since

    def close(self) -> None:
        """End a round that still runs."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=5.0)
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()

    def _start(self, now: float) -> None:
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()
        phase = "work" if self._started_count else "warm-up"
        if self._started_count < 2:
            self._tell("phase", phase)
        if not self._started_count:
            self._tell_port()
        self._started_count += 1
        env = dict(os.environ)
        if self._port.chosen is not None:
            env[PORT_VARIABLE] = str(self._port.chosen)
        is_file = self._command[1:2] == ["-c"] and self._command[2] == _CALL_DRIVE
        try:
            self._process = subprocess.Popen(
                [*self._command, phase] if is_file else self._command,
                cwd=self._cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise LeaklabError(
                f"cannot drive with: {self._command[0]}; {error.strerror or error}"
            ) from None

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        text = (self._process.stderr.read() or b"").decode("utf-8", "replace")
        return last_words(text)[:300] or "it said nothing"

    def _portless(self, words: str) -> str:
        """What the load had to do without, where it asked for it."""
        if self.listened_seconds is not None:
            return ""
        if self._port.is_named:
            return f" (nothing listened on port {self._port.chosen} when it began)"
        if PORT_VARIABLE not in words:
            return ""
        return " (the target listened on no port when it began; --drive-port PORT waits for one)"

    def _tell_port(self) -> None:
        chosen, others = self._port.chosen, self._port.others
        if others and not self._port.is_named:
            rest = ", ".join(map(str, others))
            text = f"load goes to port {chosen}; the target listens on {rest} too: --drive-port"
            self._tell("port", text)

    def _ready(self, now: float, pids: list[int], own_ports: Collection[int]) -> bool:
        self._poll_due = now + READY_POLL_SECONDS
        # What happens while nobody looks, because the machine or the recorder itself is busy (it
        # starts the reader of a trace, say, for which the target waits asleep), is not known.
        self._watched_seconds += min(now - self._polled, 2 * READY_POLL_SECONDS)
        self._polled = now
        # One that was started since the recorder looked for new ones is still starting.
        pids = list({*pids, *(one for pid in pids[:1] for one in with_descendants(pid))})
        listens = self._port.settled(self._watched_seconds, pids, own_ports)
        if listens:
            self.listened_seconds = now
        busy_seconds, states = activity(pids)
        since = self._watched_seconds - self._busy[0]
        asleep = states <= {psutil.STATUS_SLEEPING}
        if not asleep or busy_seconds - self._busy[1] > 0.01 + QUIET_SHARE * since:
            self._busy = (self._watched_seconds, busy_seconds)
        quiet = self._watched_seconds - self._busy[0] > QUIET_SECONDS
        # Whoever has named a port waits for that one, and what has listened before is going to
        # again; else what sleeps without a port is ready.
        waits = self._port.is_named or self._port.chosen is not None or self._listened_before
        return listens or (quiet and not waits) or now > self.patience_seconds
