"""The target of a pass: one that is started and ended here, or one that runs on its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leaklab.errors import UsageError
from leaklab.last_words import uncoloured
from leaklab.recorder.command import Command, search_path
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.output import OutputFile
from leaklab.recorder.processes.child import Child
from leaklab.recorder.processes.limits import OomKills
from leaklab.recorder.procfs import ProcessFiles, ProcessGoneError
from leaklab.recorder.stdin import Stdin

BOOTSTRAP = Path(__file__).parent.parent / "probe" / "bootstrap"
CHANNEL_VARIABLE = "LEAKLAB_CHANNEL"
# How long a running process is given to let go when the recording ends.
DETACH_SECONDS = 5.0
ATTACH_SECONDS = 60.0


class StartedTarget:
    """The command as a child of its own, its output in files."""

    owned = True

    def __init__(
        self,
        options: RecordOptions,
        command: Command,
        name: str,
        folder: Path,
        channel: Path,
        stdin: Stdin,
    ) -> None:
        self._stdin = stdin
        self._options = options
        self._command = command
        self._channel = channel
        echo = _echo if options.echo else None
        self._outputs = [
            OutputFile(folder / f"{name}.{stream}.txt", options.line_patterns, echo)
            for stream in ("stdout", "stderr")
        ]
        self._child: Child | None = None
        self._kills = OomKills()

    def start(self) -> int:
        """Start the command and return its pid; raises LeaklabError when that fails."""
        self._kills.see(os.getpid())
        with self._stdin.for_pass() as stdin:
            self._child = Child(
                self._command.argv,
                env=self._environment(),
                cwd=self._options.cwd,
                stdin=stdin,
                stdout=self._outputs[0].descriptor,
                stderr=self._outputs[1].descriptor,
            )
        return self._child.pid

    def _environment(self) -> dict[str, str]:
        env = {**os.environ, **(self._options.env or {})}
        paths = [str(BOOTSTRAP), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        env[CHANNEL_VARIABLE] = str(self._channel)
        env["PATH"] = search_path(self._command, env.get("PATH", os.defpath))
        return env

    @property
    def child(self) -> Child:
        """The started process."""
        assert self._child is not None
        return self._child

    def follow(self, limit_size: int | None = None) -> int:
        """Read what the target wrote; returns how many lines count as marks."""
        self._kills.see(self.child.pid)
        if limit_size is None:
            return sum(output.follow() for output in self._outputs)
        return sum(output.follow(limit_size) for output in self._outputs)

    @property
    def tails(self) -> tuple[str, str]:
        """The last parts of stdout and stderr, without colours."""
        return uncoloured(self._outputs[0].tail), uncoloured(self._outputs[1].tail)

    @property
    def last_line(self) -> str:
        """What the target printed last."""
        return next((output.last_line for output in self._outputs if output.last_line), "")

    @property
    def size_bytes(self) -> int:
        """Disk space that output and input take."""
        return sum(output.size_bytes for output in self._outputs) + self._stdin.size_bytes

    def has_ended(self) -> bool:
        """Say whether the main process has ended."""
        return self.child.poll() is not None

    def outcome(self) -> dict[str, Any]:
        """Return exit status or signal for run.json, and whether the kernel ran out of memory."""
        status = self.child.poll()
        return {
            "exit_status": status if status is not None and status >= 0 else None,
            "signal": signal.Signals(-status).name if status is not None and status < 0 else None,
            "out_of_memory": status == -signal.SIGKILL and self._kills.count > 0,
        }

    @property
    def stopping(self) -> bool:
        """Whether a stop was begun."""
        return self.child.stopping

    @property
    def given_up(self) -> bool:
        """Whether nothing more can be done to end it."""
        return self.child.given_up

    def begin_stop(self, now: float) -> None:
        """Ask the target to end."""
        self.child.begin_stop(now)

    def continue_stop(self, now: float) -> None:
        """Ask more firmly when it was given its time."""
        self.child.continue_stop(now)

    def end_now(self, pids: Iterable[int]) -> None:
        """Kill the target and ``pids``."""
        if self._child is not None:
            self._child.end_now(pids)

    def close(self) -> None:
        """Remove the output files, and let the input be."""
        self._stdin.end_pass()
        for output in self._outputs:
            output.close()


class RunningTarget:
    """A process that was there before: watched, traced if it can be attached to, left alone."""

    owned = False
    tails = (None, None)
    last_line = ""
    size_bytes = 0

    def __init__(self, options: RecordOptions, channel: Path) -> None:
        assert options.pid is not None
        self._pid = options.pid
        self._channel = channel
        self._attaches = options.attaches
        self._attacher: subprocess.Popen[str] | None = None
        self._stop_seconds: float | None = None
        self._given_up = False

    def start(self) -> int:
        """Begin to attach where that is wanted; raises UsageError when there is no such pid."""
        try:
            self._files = ProcessFiles(self._pid)
        except ProcessGoneError:
            raise UsageError(
                f"no such process: {self._pid}; give the pid of one that runs, of your own"
            ) from None
        if self._attaches:
            self._attacher = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "leaklab.recorder.attach",
                    str(self._pid),
                    str(self._channel),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        return self._pid

    @property
    def attaching(self) -> bool:
        """Whether a debugger is at work: it must not be disturbed, or the process may die."""
        return self._attacher is not None and self._attacher.poll() is None

    def why_not_attached(self) -> str | None:
        """Return, once, why the attempt to attach has failed."""
        attacher = self._attacher
        if attacher is None or attacher.poll() in (None, 0):
            return None
        self._attacher = None
        assert attacher.stdout is not None
        with attacher.stdout:
            return attacher.stdout.read().strip() or "the debugger ended without a word"

    def follow(self, limit_size: int | None = None) -> int:
        """Return 0: the output of a running process is its own affair."""
        return 0

    def has_ended(self) -> bool:
        """Say whether the process has ended."""
        try:
            self._files.basic()
        except ProcessGoneError:
            return True
        return False

    def outcome(self) -> dict[str, Any]:
        """Return nothing: only a parent is told how a process ends."""
        return {"exit_status": None, "signal": None, "out_of_memory": None}

    @property
    def stopping(self) -> bool:
        """Whether the recording is to end."""
        return self._stop_seconds is not None

    @property
    def given_up(self) -> bool:
        """Whether the probe did not let go in time."""
        return self._given_up

    def begin_stop(self, now: float) -> None:
        """Let the probe go at its next word."""
        if self._stop_seconds is None:
            self._stop_seconds = now

    def continue_stop(self, now: float) -> None:
        """Wait for the probe to let go, for a while."""
        assert self._stop_seconds is not None
        if self.attaching and now < ATTACH_SECONDS:
            self._stop_seconds = now
        self._given_up = now - self._stop_seconds > DETACH_SECONDS

    def end_now(self, pids: Iterable[int]) -> None:
        """Do nothing: the process is not ours to end."""

    def close(self) -> None:
        """Let an attempt to attach end as gently as it can, and forget the process."""
        if self._attacher is not None:
            if self.attaching:
                # Not SIGKILL: a debugger takes its breakpoints out again when it is interrupted.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._attacher.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._attacher.wait(timeout=DETACH_SECONDS)
            assert self._attacher.stdout is not None
            self._attacher.stdout.close()
        if hasattr(self, "_files"):
            self._files.close()


def _echo(block: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.buffer.write(block)
        sys.stderr.flush()
