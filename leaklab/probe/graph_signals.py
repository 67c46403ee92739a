"""Signals around the copy of a process: the target must not notice it, the copy must be mortal."""

import ctypes
import os
import signal

# How a struct sigaction begins on Linux and macOS: the handler; its size is below this.
_ACTION_BYTES = 512
_DEFAULT, _IGNORE = 0, 1
_DEADLY = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_libc = ctypes.PyDLL(None)


class SignalsHeldBack:
    """While entered, nothing interrupts this thread, and the end of a child tells nobody.

    A handler for SIGCHLD, in whatever thread, must not run for a child the target never had. So
    the signal is ignored meanwhile (not for long: two forks), and sent again afterwards if a child
    of the target's own may have ended in between.
    """

    def __enter__(self):
        held_back = signal.valid_signals() - {signal.SIGCHLD}
        self._had_pending = signal.SIGCHLD in signal.sigpending()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
        self._action = ctypes.create_string_buffer(_ACTION_BYTES)
        _libc.sigaction(int(signal.SIGCHLD), None, self._action)
        handler = ctypes.c_void_p.from_buffer(self._action).value or _DEFAULT
        self._handled = handler not in (_DEFAULT, _IGNORE)
        if self._handled:
            _default(signal.SIGCHLD)
        return self

    def __exit__(self, *problem):
        if self._handled:
            _libc.sigaction(int(signal.SIGCHLD), self._action, None)
            if _child_waits():
                os.kill(os.getpid(), signal.SIGCHLD)
        if not self._had_pending and signal.SIGCHLD in self._mask:
            self._take_back()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    @staticmethod
    def _take_back():
        """Undo the signal of our child where the target blocks it (and reads it, as signalfd)."""
        pending = signal.SIGCHLD in signal.sigpending()
        if pending and hasattr(signal, "sigtimedwait") and not _child_waits():
            signal.sigtimedwait((signal.SIGCHLD,), 0)


def become_mortal(limit_seconds):
    """In the copy: die by the usual signals and by the alarm.

    Not through signal.signal, which only the main thread may call.
    """
    for number in _DEADLY:
        _default(number)
    signal.setitimer(signal.ITIMER_REAL, limit_seconds)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEADLY)


def _default(number):
    _libc.signal(int(number), None)


_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.signal.restype = ctypes.c_void_p


def _child_waits():
    """Say whether a child has ended, stopped or gone on and nobody has asked for it yet."""
    flags = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT
    try:
        return os.waitid(os.P_ALL, 0, flags) is not None
    except (AttributeError, ChildProcessError):
        return False
