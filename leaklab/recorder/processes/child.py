"""The started process: begin, limits, graceful stop, and nothing left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psutil

from leaklab.errors import LeaklabError
from leaklab.recorder.procfs import ignores_interrupt

_PR_SET_CHILD_SUBREAPER = 36
# How long each signal of a stop is given before the next, stronger one.
_STOP_STEPS = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))


class Child:
    """The target's main process, in a session of its own so that all of it can be stopped."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        stdin: int | None,
        stdout: int,
        stderr: int,
    ) -> None:
        try:
            self._process: subprocess.Popen[Any] = subprocess.Popen(
                list(argv),
                env=dict(env),
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise LeaklabError(
                f"cannot start: {argv[0]}; {error.strerror or error}; "
                "give a script, -m module or an executable program"
            ) from None
        self.pid = self._process.pid
        self._step = -1
        self._next_step_seconds = 0.0

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def stopping(self) -> bool:
        """Whether a stop was begun."""
        return self._step >= 0

    def begin_stop(self, now: float) -> None:
        """Ask the target to end; ``continue_stop`` gets firmer from there."""
        if self._step < 0:
            self._step = 1 if ignores_interrupt(self.pid) else 0
            self._signal(now)

    def continue_stop(self, now: float) -> None:
        """Send the next signal when the last one was given its time."""
        if 0 <= self._step < len(_STOP_STEPS) - 1 and now >= self._next_step_seconds:
            self._step += 1
            self._signal(now)

    @property
    def given_up(self) -> bool:
        """Whether even SIGKILL was sent; what is left then cannot be ended by anybody."""
        return self._step == len(_STOP_STEPS) - 1

    def _signal(self, now: float) -> None:
        number, limit_seconds = _STOP_STEPS[self._step]
        self._next_step_seconds = now + limit_seconds
        self._signal_group(number)

    def _signal_group(self, number: int) -> None:
        """Signal the whole group, as Ctrl-C in a terminal does: wrappers do not always pass it on.

        The number of a process that was collected is free: whoever bears it now is somebody else,
        while what is left of a group keeps the number from being given away.
        """
        if self._process.poll() is not None and psutil.pid_exists(self.pid):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def end_now(self, pids: Iterable[int]) -> None:
        """Kill the group and ``pids`` at once, and reap what is ours."""
        self._signal_group(signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)


class Subreaper:
    """While entered, orphans of the target become this process's children and can be found."""

    def __enter__(self) -> Subreaper:
        self._previous = self._get()
        self._set(1)
        return self

    def __exit__(self, *problem: object) -> None:
        self._set(self._previous)

    @staticmethod
    def _get() -> int:
        value = ctypes.c_int(0)
        get_subreaper = 37
        ctypes.CDLL(None).prctl(get_subreaper, ctypes.byref(value), 0, 0, 0)
        return value.value

    @staticmethod
    def _set(value: int) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0)


def reap(pid: int, limit_seconds: float = 0.0) -> None:
    """Take the exit status of an orphan that became ours; harmless for anything else.

    Waits for a process that is about to end, at most ``limit_seconds``.
    """
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        with contextlib.closing(os.fdopen(descriptor, "rb", closefd=True)):
            select.select([descriptor], [], [], limit_seconds)
    with contextlib.suppress(ChildProcessError, PermissionError):
        os.waitpid(pid, os.WNOHANG)
