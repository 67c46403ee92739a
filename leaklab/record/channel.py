"""The recorder's end of the line to the probes: a Unix socket in a private folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

_MESSAGE_SIZE = 1 << 18
_FOLDER_PREFIX = "leaklab-"
# Between these the name holds the recorder's pid, so that a later one can tell a folder is stale.
_OWNER_SEPARATOR = "."


class PrivateFolder:
    """A folder only this user can enter, with a short path; removed at the end."""

    def __init__(self) -> None:
        _remove_stale()
        prefix = f"{_FOLDER_PREFIX}{os.getpid()}{_OWNER_SEPARATOR}"
        self.path = Path(tempfile.mkdtemp(prefix=prefix))  # mode 0700
        if len(str(self.path)) > 80:
            # A socket's path may have about 100 characters.
            shutil.rmtree(self.path, ignore_errors=True)
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))

    def close(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


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


def _remove_stale() -> None:
    """Remove folders of recorders that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}[0-9]*{_OWNER_SEPARATOR}*"):
        owner = path.name[len(_FOLDER_PREFIX) :].partition(_OWNER_SEPARATOR)[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                if path.stat().st_uid == os.getuid():
                    shutil.rmtree(path, ignore_errors=True)
