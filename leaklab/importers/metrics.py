"""What metrics of exporters hold: Prometheus' names as resources, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """resource: leaklab's name for it. rank: of memory, the lowest there is gets judged.

    caution: what the figure holds besides memory of the process, which may explain growth.
    """

    resource: str
    rank: int | None = None
    caution: str | None = None


WITH_CACHE = (
    "it holds page cache of files that were read or written lately, which the kernel takes back "
    "when it needs to: growth here is no leak by itself; export container_memory_rss beside it"
)
_CACHE_ITSELF = (
    "it is page cache of files that were read or written lately, which the kernel takes back when "
    "it needs to: growth here is no leak"
)
METRICS = {
    "process_resident_memory_bytes": Metric("rss_bytes", 0),
    "process_open_fds": Metric("fd_count"),
    "process_virtual_memory_bytes": Metric("gauge:process_virtual_memory_bytes"),
    "process_num_threads": Metric("thread_count"),
    "container_memory_rss": Metric("gauge:container_memory_rss_bytes", 1),
    "container_memory_working_set_bytes": Metric(
        "gauge:container_memory_working_set_bytes", 2, WITH_CACHE
    ),
    "container_memory_usage_bytes": Metric("gauge:container_memory_usage_bytes", 3, WITH_CACHE),
    "container_memory_cache": Metric("gauge:container_memory_cache_bytes", caution=_CACHE_ITSELF),
    "container_file_descriptors": Metric("fd_count"),
    "container_sockets": Metric("socket_count"),
    "container_threads": Metric("thread_count"),
    "nodejs_heap_size_used_bytes": Metric("gauge:nodejs_heap_size_used_bytes", 4),
    "jvm_memory_used_bytes": Metric("gauge:jvm_memory_used_bytes", 4),
    "go_memstats_heap_inuse_bytes": Metric("gauge:go_memstats_heap_inuse_bytes", 4),
}
# By the names that services and OpenTelemetry have for them, where their words do not say it.
SERVICES = {
    "process.memory.usage": Metric("rss_bytes", 0),
    "process.open_file_descriptor.count": Metric("fd_count"),
    "runtime.python.mem.rss": Metric("rss_bytes", 0),
    "MemoryWorkingSet": Metric("gauge:MemoryWorkingSet_bytes", 2),
    "WorkingSetBytes": Metric("gauge:WorkingSet_bytes", 2, WITH_CACHE),
    "PrivateBytes": Metric("gauge:Private_bytes", 1),
}
DOCKER = Metric("gauge:docker_memory_usage_bytes", 2, WITH_CACHE)

START_TIMES = (
    "process_start_time_seconds", "container_start_time_seconds", "kube_pod_start_time",
)  # fmt: skip
LIMITS = ("container_spec_memory_limit_bytes", "kube_pod_container_resource_limits")
CPU_COUNTERS = ("process_cpu_seconds_total", "container_cpu_usage_seconds_total")
# Kubernetes' word for "no limit" is a number of exabytes.
NO_LIMIT_BYTES = float(1 << 60)


def judged(metrics: dict[str, Metric]) -> tuple[str, ...]:
    """Return the gauges a verdict rests on: of memory, those of the best rank that there are.

    Empty where that is resident memory, which decides of itself.
    """
    best = min((m.rank for m in metrics.values() if m.rank is not None), default=None)
    found = [m.resource for m in metrics.values() if m.rank is not None and m.rank == best]
    return tuple(dict.fromkeys(name for name in found if ":" in name))
