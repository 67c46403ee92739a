"""The recorder's end of the line to the probes: a Unix socket in a private folder."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from pathlib import Path
from typing import Any

_MESSAGE_SIZE = 1 << 18


class Listener:
    """Accepts probes of this user's processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(path))
        self.socket.listen(256)
        self.socket.setblocking(False)

    def accept(self) -> Connection | None:
        """Return a new connection; None when there is none, or it is another user's."""
        try:
            accepted, _ = self.socket.accept()
        except OSError:
            return None
        size = struct.calcsize("3i")
        packed = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, uid, _ = struct.unpack("3i", packed)
        if uid not in (os.getuid(), 0) and os.getuid() != 0:
            accepted.close()
            return None
        accepted.setblocking(False)
        return Connection(accepted, pid)

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()
        self.path.unlink(missing_ok=True)


class Connection:
    """The line to one probe. ``pid`` comes from the kernel, not from the message."""

    def __init__(self, accepted: socket.socket, pid: int) -> None:
        self.socket = accepted
        self.pid = pid
        self._number = 0

    @property
    def hung_up(self) -> bool:
        """Whether the other end is closed, whatever it has said before."""
        waiting = select.poll()
        waiting.register(self.socket, 0)  # a hang-up is told unasked
        return bool(waiting.poll(0))

    def receive(self) -> dict[str, Any] | None:
        """Return the next message; None when the other end is gone or talks nonsense."""
        try:
            block = self.socket.recv(_MESSAGE_SIZE)
        except BlockingIOError:
            return {}
        except OSError:
            return None
        if not block:
            return None
        try:
            message = json.loads(block)
        except ValueError:
            return None
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            return None
        number = message.get("number")
        self._number = number if isinstance(number, int) else self._number
        return message

    def answer(self, *fields: str) -> bool:
        """Answer the message received last; False when the other end is gone."""
        try:
            self.socket.send("\t".join((str(self._number), *fields)).encode())
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the connection: the probe goes silent, the target goes on."""
        self.socket.close()
