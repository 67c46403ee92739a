"""Processes of leaklab's own that read heaps: asked through lines, killed when they hang."""

from __future__ import annotations

import array
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.recorder.procfs import ProcessFiles

# A reader that works uses the processor: one that has used none for so long hangs.
_STALL_SECONDS = 5.0
# What one that works may take beyond what it was asked to wait for. Ten million live blocks of a
# hundred thousand stacks: about 3 s to walk over them, about 10 s to compare and tell them.
_WALK_SECONDS = 60.0
# So often it is looked whether it works.
_LOOK_SECONDS = 0.5
_BLOCK_SIZE = 1 << 20


class Patience:
    """Decides how much longer a helper is waited for.

    ``asked_seconds``: how long what it was asked for may take; ``idle_seconds``: how much of that
    it may spend waiting. Looks are counted, not seconds, so that a machine which was stopped for a
    while (suspended, or its control group frozen) does not make it look idle.
    """

    def __init__(self, helper: Helper, asked_seconds: float, idle_seconds: float) -> None:
        self.helper = helper
        self._limit_seconds = asked_seconds + _WALK_SECONDS
        self._idle_look_limit = (idle_seconds + _STALL_SECONDS) / _LOOK_SECONDS
        self._begun = time.monotonic()
        self._idle_look_count = 0
        self._cpu_seconds: float | None = None

    def why_no_longer(self) -> str | None:
        """Say, after another look, why not to wait any longer; None while that makes sense."""
        before, self._cpu_seconds = self._cpu_seconds, self.helper.files.cpu_seconds()
        # Where the processor time is not told, only the limit ends the waiting.
        idle = before is not None and before == self._cpu_seconds
        self._idle_look_count = self._idle_look_count + 1 if idle else 0
        if self._idle_look_count >= self._idle_look_limit:
            return f"it hangs, idle for {self._idle_look_count * _LOOK_SECONDS:g} s"
        if time.monotonic() - self._begun > self._limit_seconds:
            return f"it is still busy after {self._limit_seconds:g} s"
        return None


class Helper:
    """A process of leaklab's own, asked through lines: one for each thread that asks.

    One that hangs is killed; whoever asks it later is told so at once.
    """

    def __init__(self, name: str, words: Sequence[str], line_count: int) -> None:
        pairs = [socket.socketpair() for _ in range(line_count)]
        numbers = [theirs.fileno() for _, theirs in pairs]
        self._name = name
        # Who asks may find it gone while another thread closes it.
        self._ending = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the helper)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-P", *words, *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        self.files = ProcessFiles(self.process.pid, even_if_gone=True)
        self.why_lost: str | None = None
        self.lines = [Line(self, ours) for ours, _ in pairs]

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self.why_lost is None and self.process.poll() is None

    def lost(self, why: str | None = None) -> LeaklabError:
        """Give it up; ``why`` where it still runs, else its last word says how it ended."""
        with self._ending:
            if self.why_lost is None:
                if why is None:
                    text = f"the {self._name} is gone: {self._last_word()}"
                else:
                    text = f"the {self._name} does not answer: {why}"
                self.process.kill()
                self.why_lost = f"{text}; record again"
            return LeaklabError(self.why_lost)

    def _last_word(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0)
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return " | ".join(words) or f"exit status {self.process.returncode}"

    def close(self) -> None:
        """End the process; harmless when it is gone, and while a thread still asks it."""
        with self._ending:
            self.why_lost = self.why_lost or f"the {self._name} was ended with its pass"
        for line in self.lines:
            line.close()
        try:
            self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.files.close()
        self._errors.close()


class Line:
    """One line to a helper: requests and replies in JSON, and raw integers after some."""

    def __init__(self, helper: Helper, line: socket.socket) -> None:
        self.helper = helper
        line.settimeout(_LOOK_SECONDS)
        self._socket = line
        self._received = bytearray()
        self._heard_seconds = time.monotonic()

    def request(
        self,
        message: dict[str, Any],
        *,
        asked_seconds: float = 0.0,
        idle_seconds: float = 0.0,
        waits_for: Helper | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its reply; raises LeaklabError when the helper is lost.

        ``asked_seconds``: how long it was asked to wait for the target at most, and
        ``idle_seconds``: how much of that without a look. ``waits_for``: the helper whose work is
        waited for, where it is another one.
        """
        if self.helper.why_lost is not None:
            raise self.helper.lost()
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self.helper.lost() from None
        return self.reply(asked_seconds, idle_seconds, waits_for)

    def reply(
        self,
        asked_seconds: float = 0.0,
        idle_seconds: float = 0.0,
        waits_for: Helper | None = None,
    ) -> dict[str, Any]:
        """Return the next reply; raises LeaklabError when there is none."""
        patience = Patience(waits_for or self.helper, asked_seconds, idle_seconds)
        searched_size = 0
        while (size := self._received.find(b"\n", searched_size) + 1) == 0:
            searched_size = len(self._received)
            self._receive(patience)
        answer: dict[str, Any] = json.loads(self._cut(size))
        if answer.get("error"):
            raise LeaklabError(f"the heap stream cannot be read: {answer['error']}")
        return answer

    def payload(self, size: int) -> array.array[int]:
        """Return the raw integers that follow a reply; raises LeaklabError when it is lost."""
        patience = Patience(self.helper, asked_seconds=0.0, idle_seconds=0.0)
        while len(self._received) < size:
            self._receive(patience)
        numbers = array.array("q")
        numbers.frombytes(self._cut(size))
        return numbers

    def check(self) -> None:
        """Raise LeaklabError when the helper is lost, or does not answer any more."""
        if self.helper.why_lost or time.monotonic() - self._heard_seconds >= _LOOK_SECONDS:
            self.request({"op": "ping"})

    def _receive(self, patience: Patience) -> None:
        """Wait for more of a reply; raises LeaklabError when the helper is lost."""
        while True:
            try:
                block = self._socket.recv(_BLOCK_SIZE)
                break
            except TimeoutError:
                why = patience.why_no_longer()
                if why is not None:
                    raise patience.helper.lost(why) from None
            except OSError:
                raise self.helper.lost() from None
        if not block:
            raise self.helper.lost()
        self._received += block
        self._heard_seconds = time.monotonic()

    def _cut(self, size: int) -> bytes:
        block = bytes(self._received[:size])
        del self._received[:size]
        return block

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
