"""Which port a service listens on, and when it is ready: beside metrics, consoles, tracers."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

# A service that opens several ports does so one after the other; between two lie its imports.
SETTLED_SECONDS = 1.5
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class ServicePort:
    """Looks at the listening ports of a target until its own is known.

    wanted: the port that the user has named, None to find out. After `settled`, ``chosen`` is the
    port to send load to and ``others`` are those it was chosen from.
    """

    def __init__(self, wanted: int | None = None) -> None:
        self._wanted = wanted
        self._seen: dict[int, float] = {}
        self._changed = 0.0
        self.chosen: int | None = wanted
        self.others: list[int] = []

    @property
    def is_named(self) -> bool:
        """Whether the user has said which port it is."""
        return self._wanted is not None

    def settled(self, now: float, pids: Iterable[int], left_out: Collection[int]) -> bool:
        """Look at ``now`` seconds; returns whether the service listens and its port is known.

        ``left_out`` are the ports of the recording itself (the tracer's stream).
        """
        holders = listening(pids)
        for port in left_out:
            holders.pop(port, None)
        if set(holders) != set(self._seen):
            self._changed = now
            self._seen = {port: self._seen.get(port, now) for port in holders}
        if self.is_named:
            return self._wanted in holders
        self.chosen = _likely(self._seen, holders)
        self.others = sorted(set(holders) - {self.chosen})
        return self.chosen is not None and now - self._changed >= SETTLED_SECONDS


def _likely(seen: dict[int, float], holders: Counter[int]) -> int | None:
    """Take a port that somebody chose before one the kernel gave, then the most shared, the last.

    Workers share the service's port with their parent; what watches a service (metrics, a console)
    is opened before it serves.
    """
    ephemeral = _ephemeral()
    return max(
        holders,
        key=lambda port: (port not in ephemeral, holders[port], seen[port], port),
        default=None,
    )


def listening(pids: Iterable[int]) -> Counter[int]:
    """Return the TCP ports that processes listen on, with how many of them do."""
    found: Counter[int] = Counter()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found.update(
                {
                    int(connection.laddr.port)
                    for connection in psutil.Process(pid).net_connections(kind="tcp")
                    if connection.status == psutil.CONN_LISTEN
                }
            )
    return found


def _ephemeral() -> range:
    try:
        low, high = map(int, _RANGE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = 32768, 60999
    return range(low, high + 1)
