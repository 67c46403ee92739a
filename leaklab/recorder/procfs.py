"""Figures of a process from outside, through /proc: cheap enough for a hundred times a second."""

from __future__ import annotations

import os

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_RESET_PEAK = b"5"
SHARED_MEMORY = "/dev/shm"  # noqa: S108
_STATUS_SIZES = {
    b"VmHWM": "rss_peak_bytes",
    b"RssAnon": "rss_anon_bytes",
    b"RssFile": "rss_file_bytes",
    b"RssShmem": "rss_shmem_bytes",
}


class ProcessGoneError(Exception):
    """The process has ended."""


class ProcessFiles:
    """The /proc files of one process, kept open: reading them again costs microseconds."""

    def __init__(self, pid: int, *, even_if_gone: bool = False) -> None:
        self.pid = pid
        self._folder = f"/proc/{pid}"
        self._stat = -1
        try:
            self._stat = os.open(f"{self._folder}/stat", os.O_RDONLY | os.O_CLOEXEC)
            ended = self._stat_fields()[0] in (b"Z", b"X")
        except (OSError, IndexError):
            ended = True
        if ended:
            self.close()
            if not even_if_gone:
                raise ProcessGoneError

    def basic(self) -> dict[str, float | None]:
        """Return what every sample has: rss, threads, descriptors; raises ProcessGoneError."""
        try:
            fields = self._stat_fields()
            resident = int(fields[21])
        except (OSError, IndexError):
            raise ProcessGoneError from None
        if fields[0] in (b"Z", b"X"):
            raise ProcessGoneError
        return {
            # Nothing is resident in the middle of an exec or of an exit.
            "rss_bytes": resident * _PAGE_SIZE or None,
            "thread_count": int(fields[17]),
            "fd_count": self._fd_count(),
        }

    def cpu_seconds(self) -> float | None:
        """Return the processor time used so far."""
        try:
            fields = self._stat_fields()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        except (OSError, IndexError):
            return None

    def status(self) -> dict[str, float]:
        """Return the peak of rss since it was last reset, its parts, and context switches."""
        found: dict[str, float] = {}
        switches = 0
        try:
            with open(f"{self._folder}/status", "rb") as file:
                for line in file:
                    name = _STATUS_SIZES.get(line[: line.find(b":")])
                    if name is not None:
                        found[name] = int(line.split()[1]) * 1024
                    elif b"ctxt_switches:" in line:
                        switches += int(line.split()[1])
                        found["context_switch_count"] = switches
        except OSError:
            return {}
        return found

    def reset_peak(self) -> bool:
        """Let the peak of rss start anew; False where that is not allowed."""
        try:
            descriptor = os.open(f"{self._folder}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(descriptor, _RESET_PEAK)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def uss_bytes(self) -> int | None:
        """Return what would be freed if the process ended; None where it cannot be read."""
        try:
            with open(f"{self._folder}/smaps_rollup", "rb") as file:
                private = [line for line in file if line.startswith(b"Private_")]
        except OSError:
            return None
        return sum(int(line.split()[1]) for line in private) * 1024 if private else None

    def socket_count(self) -> int | None:
        """Return the number of descriptors that are sockets; None where it cannot be read."""
        folder = f"{self._folder}/fd"
        count = 0
        try:
            for name in os.listdir(folder):
                try:
                    count += os.readlink(f"{folder}/{name}").startswith("socket:")
                except OSError:
                    continue
        except OSError:
            return None
        return count

    def child_pids(self) -> list[int] | None:
        """Return the processes this one started; None where the kernel does not tell."""
        return child_pids(self.pid)

    def close(self) -> None:
        """Close the files."""
        if self._stat >= 0:
            os.close(self._stat)
        self._stat = -1

    def _stat_fields(self) -> list[bytes]:
        # After the last ")": the name before it may hold anything.
        return os.pread(self._stat, 1024, 0).rpartition(b")")[2].split()

    def _fd_count(self) -> int | None:
        folder = f"{self._folder}/fd"
        try:
            # Since Linux 6.2 the size of the folder is the number of descriptors.
            count = os.stat(folder).st_size
            return count if count else len(os.listdir(folder))
        except OSError:
            return None


def command_line(pid: int) -> list[str]:
    """Return the command line of ``pid``; empty when it cannot be read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            parts = file.read(65536).split(b"\0")
    except OSError:
        return []
    return [part.decode("utf-8", "replace") for part in parts[:-1]]


def stack_start(pid: int) -> int | None:
    """Return where the stack of ``pid`` begins, another place in each program that it becomes.

    None where the kernel does not tell.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[25]) or None
    except (OSError, IndexError, ValueError):
        return None


def parent_pid(pid: int) -> int | None:
    """Return the parent of ``pid``; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def environment(pid: int) -> bytes:
    """Return the environment ``pid`` was started with, NUL-separated; empty when not allowed."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def child_pids(pid: int) -> list[int] | None:
    """Return the processes ``pid`` started; None where the kernel does not tell."""
    folder = f"/proc/{pid}/task"
    children: list[int] = []
    try:
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/children", "rb") as file:
                children.extend(map(int, file.read().split()))
    except OSError:
        return children or None
    return children


def working_folder(pid: int | None) -> str:
    """Return the working folder of ``pid``; that of this process for None, or if not told."""
    try:
        return os.readlink(f"/proc/{pid}/cwd") if pid is not None else os.getcwd()
    except OSError:
        return os.getcwd()


def shared_memory_of(pid: int) -> str:
    """Return where the folder is that ``pid`` has for shared memory, in a container its own."""
    return f"/proc/{pid}/root{SHARED_MEMORY}"


def session_of(pid: int) -> int | None:
    """Return the session id of ``pid``; None when it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def ignores_interrupt(pid: int) -> bool:
    """Return whether ``pid`` ignores SIGINT, as programs started in the background do."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"SigIgn:"):
                    return bool(int(line.split()[1], 16) & 0b10)
    except OSError:
        pass
    return False
