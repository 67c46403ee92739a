"""The probe's end of the line to the recorder: a Unix socket that keeps message boundaries.

Built on `_socket`, because `socket` would pull a megabyte of modules into the target, and so that
gevent or eventlet cannot patch it.
"""

import _socket
import os

try:
    from _json import encode_basestring_ascii as _quote
except ImportError:  # an interpreter without the accelerator
    from json.encoder import encode_basestring_ascii as _quote

try:
    from _json import make_encoder
except ImportError:
    _fast = None
else:
    # What the json module uses where it is made of C: a tenth of the time.
    _fast = make_encoder(None, list, _quote, None, ":", ",", False, False, False)

CONNECT_SECONDS = 5.0
# A recorder that is alive answers within milliseconds, or after walking a very large heap.
REPLY_SECONDS = 120.0
REPLY_SIZE = 65536
_WANTED_DESCRIPTORS = (900, 240, 60, 20)


class ChannelError(Exception):
    """The recorder is gone, or does not answer."""


class Channel:
    """One connection. Its descriptor is checked before each use: targets close what they like."""

    def __init__(self, path):
        self._path = path
        self._socket = None
        self._identity = None
        self._number = 0
        # Kept: a target that has come to the end of its memory has no room for a new one.
        self._buffer = bytearray(REPLY_SIZE)

    def connect(self):
        """Connect anew; raises ChannelError."""
        self.drop()
        try:
            low = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        except OSError as error:
            raise ChannelError(str(error)) from None
        try:
            low.settimeout(CONNECT_SECONDS)
            low.connect(self._path)
            descriptor = _high_copy(low.fileno())
            high = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, descriptor)
            high.settimeout(REPLY_SECONDS)
            self._identity = _identity(descriptor)
            self._socket = high
        except OSError as error:
            raise ChannelError(str(error)) from None
        finally:
            low.close()

    @property
    def intact(self):
        """Whether the descriptor still is the connection that was opened."""
        if self._socket is None:
            return False
        try:
            return _identity(self._socket.fileno()) == self._identity
        except OSError:
            return False

    @property
    def number(self):
        """Its descriptor, -1 without one."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, message):
        """Send one message without waiting for an answer; raises ChannelError."""
        if not self.intact:
            raise ChannelError("closed by the target")
        try:
            # A target may have set SIGPIPE to kill.
            self._socket.send(encode(message), _socket.MSG_NOSIGNAL)
        except OSError as error:
            raise ChannelError(str(error)) from None

    def ask(self, message):
        """Send one message and return the fields of its answer; raises ChannelError."""
        self._number += 1
        number = str(self._number)
        message["number"] = self._number
        self.send(message)
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError as error:
                raise ChannelError(str(error)) from None
            if not size:
                raise ChannelError("the recorder is gone")
            fields = self._buffer[:size].decode().split("\t")
            # A signal handler that raised in here may have left an older answer unread.
            if fields[0] == number:
                return fields[1:]

    @property
    def hung_up(self):
        """Whether the recorder's end is closed."""
        if not self.intact:
            return True
        self._socket.settimeout(0)
        try:
            return not self._socket.recv(1, _socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(REPLY_SECONDS)

    def drop(self):
        """Close the descriptor if it is still ours, else only forget it."""
        if self._socket is not None:
            if self.intact:
                self._socket.close()
            else:
                self._socket.detach()
            self._socket = None


def encode(message):
    """Return ``message`` as JSON; a target should not have to import the json module."""
    if _fast is not None:
        try:
            return "".join(_fast(message, 0)).encode("ascii")
        except ValueError:
            pass  # a figure that is not a number, or without end: null
    return _encode(message).encode("ascii")


def _encode(value):
    if value is None or value != value:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, (int, float)):
        return "null" if value in (float("inf"), float("-inf")) else repr(value)
    if isinstance(value, dict):
        return "{%s}" % ",".join(_quote(k) + ":" + _encode(v) for k, v in value.items())
    return "[%s]" % ",".join(map(_encode, value))


def _high_copy(descriptor):
    """Duplicate above the numbers the target uses: its own descriptors stay as without us."""
    import fcntl

    for wanted in _WANTED_DESCRIPTORS:
        try:
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, wanted)
        except OSError:
            continue
    return os.dup(descriptor)


def _identity(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
