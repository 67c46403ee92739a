"""What is followed, as metrics for Prometheus: growth with its interval, not its raw derivative."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.watch import control_group

if TYPE_CHECKING:
    from leaklab.watch.follow import Follower, Life

VERDICTS = ("leak", "bounded", "inconclusive")


class Collector:
    """Yields the metrics of a `Follower` as prometheus_client asks for them.

    Labels are the resource and the worker's slot, never a process id: a restart is no new series.
    Which process is in a slot is told apart (``leaklab_process_info``), to be joined by worker.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterator[Any]:
        """Yield every metric family with its samples."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        of_resource = ["resource", "worker"]
        figures = GaugeMetricFamily("leaklab_resource", "Figure of a resource.", labels=of_resource)
        peaks = GaugeMetricFamily(
            "leaklab_resource_peak", "Highest figure of this life.", labels=of_resource
        )
        growths = {
            suffix: GaugeMetricFamily(
                f"leaklab_growth_per_second{suffix}", f"{text} of its growth.", labels=of_resource
            )
            for suffix, text in (
                ("", "Estimate"),
                ("_low", "Lower bound (95 %)"),
                ("_high", "Upper bound (95 %)"),
            )
        }
        verdicts = GaugeMetricFamily(
            "leaklab_verdict", "1 for the verdict that holds.", labels=[*of_resource, "verdict"]
        )
        left = GaugeMetricFamily(
            "leaklab_seconds_to_limit_low",
            "Seconds until the first limit is met, at the upper bound of growth.",
            labels=["worker"],
        )
        restarts = CounterMetricFamily(
            "leaklab_restarts", "Processes that have followed one another.", labels=["worker"]
        )
        who = InfoMetricFamily("leaklab_process", "Who is in a worker's slot.", labels=["worker"])
        for slot, life in list(self._follower.lives.items()):
            who.add_metric([slot], {"pid": str(life.process.pid), "command": life.program})
            _add_life(life, figures, peaks, growths, verdicts)
            seconds = seconds_to_limit_low(life)
            if seconds is not None:
                left.add_metric([slot], seconds)
        for slot, count in list(self._follower.restart_counts.items()):
            restarts.add_metric([slot], count)
        yield from (figures, peaks, *growths.values(), verdicts, left, restarts, who)
        yield from self._group()
        overhead = "Processor seconds spent on looking, per second."
        yield GaugeMetricFamily(
            "leaklab_overhead_ratio", overhead, value=self._follower.overhead_ratio
        )

    def _group(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        life = next(iter(self._follower.lives.values()), None)
        if life is None:
            return
        pid = life.process.pid
        memory = GaugeMetricFamily(
            "leaklab_control_group_bytes",
            "Memory of the control group; page_cache is given back before a kill, shared is not.",
            labels=["kind"],
        )
        for kind, value in control_group.memory(pid).items():
            memory.add_metric([kind], value)
        yield memory
        events = CounterMetricFamily(
            "leaklab_control_group_events", "How often limits were met.", labels=["event"]
        )
        for event, value in control_group.memory_events(pid).items():
            events.add_metric([event], value)
        yield events
        pressure = control_group.memory_pressure(pid)
        if pressure is not None:
            yield GaugeMetricFamily(
                "leaklab_memory_pressure_ratio", "Waiting for memory, last minute.", value=pressure
            )


def _add_life(life: Life, figures: Any, peaks: Any, growths: dict[str, Any], verdicts: Any) -> None:
    for name, series in list(life.series.items()):
        labels = [name, life.slot]
        if series.values:
            figures.add_metric(labels, series.values[-1])
        if series.peak is not None:
            peaks.add_metric(labels, series.peak)
        entry = life.verdicts.get(name)
        if entry is None:
            continue
        bounds = {"": entry.rate, "_low": entry.rate_low, "_high": entry.rate_high}
        for suffix, value in bounds.items():
            if math.isfinite(value):
                growths[suffix].add_metric(labels, value)
        for verdict in VERDICTS:
            verdicts.add_metric([*labels, verdict], float(entry.verdict == verdict))


def seconds_to_limit_low(life: Life) -> float | None:
    """Return the seconds until a leaking life meets the first of its limits, at its fastest.

    None where what leaks has no limit. Counted from the peak, where processes die; 0.0 where it is
    there already.
    """
    from leaklab.verdict.limits import own_limit, smallest_limit
    from leaklab.verdict.time_left import time_left

    meta = {"processes": [life.limits]}
    found = []
    for name, entry in list(life.verdicts.items()):
        limit = smallest_limit(meta) if name == "rss_bytes" else own_limit(meta, name)
        left = time_left(entry, *limit) if limit else None
        if left is not None:
            found.append(left.left_low)
    return min(found, default=None)


def serve(follower: Follower, host: str, port: int) -> tuple[Any, int]:
    """Answer ``GET /metrics`` in a thread; returns the server and its port (asked for as 0: any).

    Raises LeaklabError where prometheus_client is missing or the port is taken.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise LeaklabError(
            "no prometheus_client for --metrics; pip install 'leaklab[metrics]'"
        ) from None
    registry = CollectorRegistry()
    registry.register(Collector(follower))
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except (OSError, OverflowError) as error:
        raise LeaklabError(
            f"cannot listen for metrics: {host}:{port}; {error}; give another HOST:PORT"
        ) from None
    return server, int(server.server_port)
