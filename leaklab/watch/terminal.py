"""Follow a running process and its children as text, without touching them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import psutil

from leaklab.errors import LeaklabError
from leaklab.present.terminal import quantity, safe
from leaklab.watch.matching import is_own, own_pids

HEADING = (
    f"{'time':>8}  {'resident':>10}  {'change':>10}  {'fds':>6}  {'threads':>7}  {'children':>8}"
)


@dataclass(frozen=True)
class Figures:
    """One look at a process tree; None where the kernel would not tell."""

    time_seconds: float
    rss_bytes: int
    fd_count: int | None
    thread_count: int | None
    child_count: int


def lines(
    pid: int, *, interval_seconds: float, duration_seconds: float | None, as_json: bool
) -> Iterator[str]:
    """Yield a line every interval until the process ends or the duration is over.

    Figures are sums over the process and its children. Raises LeaklabError when there is no such
    process, or another user's.
    """
    try:
        process = psutil.Process(pid)
        name = process.name()
    except psutil.NoSuchProcess:
        raise LeaklabError(f"no such process: {pid}; `ps` lists them") from None
    if not as_json:
        yield f"{safe(name)} ({pid})"
        yield HEADING
    started = time.monotonic()
    first: int | None = None
    while True:
        figures = _look(process, time.monotonic() - started)
        if figures is None:
            if first is None:
                raise LeaklabError(f"cannot look at process {pid}: run as its owner or as root")
            if not as_json:
                yield "the process has ended"
            return
        first = figures.rss_bytes if first is None else first
        yield json.dumps(asdict(figures)) if as_json else _text(figures, first)
        left = interval_seconds
        if duration_seconds is not None:
            left = min(left, duration_seconds - (time.monotonic() - started))
            if left <= 0:
                return
        try:
            process.wait(timeout=left)
        except psutil.TimeoutExpired:
            continue


def _look(process: psutil.Process, time_seconds: float) -> Figures | None:
    try:
        ours = own_pids()
        children = [
            one
            for one in process.children(recursive=True)
            if one.pid not in ours and not is_own(one)
        ]
    except psutil.Error:
        return None
    rss = fds = threads = 0
    denied = False
    seen = 0
    for member in (process, *children):
        try:
            with member.oneshot():
                if member.status() == psutil.STATUS_ZOMBIE:
                    continue
                rss += member.memory_info().rss
                threads += member.num_threads()
            seen += 1
            fds += member.num_fds()
        except psutil.AccessDenied:
            denied = True
        except psutil.NoSuchProcess:
            continue
    if not seen:
        return None
    return Figures(time_seconds, rss, None if denied else fds, threads, len(children))


def _text(figures: Figures, first_rss_bytes: int) -> str:
    change = figures.rss_bytes - first_rss_bytes
    sign = "+" if change > 0 else ""
    return (
        f"{figures.time_seconds:7.0f}s  {quantity(figures.rss_bytes, 'rss_bytes'):>10}  "
        f"{sign + quantity(change, 'rss_bytes'):>10}  {quantity(figures.fd_count):>6}  "
        f"{quantity(figures.thread_count):>7}  {figures.child_count:>8}"
    )
