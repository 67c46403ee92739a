"""Request monitoring inside the application, on a simulated clock.

One iteration is one minute of traffic: a batch of requests, each for a path nobody asked for
before (a scanner), each answered 404.
"""

from collections import Counter, deque

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

MAX_ERROR_COUNTS = 100
MAX_RESPONSE_TIMES = 1_000
CLEANUP_INTERVAL_SECONDS = 300

ARGUMENTS = case_arguments(__file__)


class Monitor:
    """Before: every path has its counters, every response time is kept."""

    def __init__(self):
        self.response_times = []
        self.request_counts = Counter()
        self.error_counts = Counter()
        self.last_cleanup = 0.0

    def record(self, path, route, status, seconds, now):
        self.response_times.append(seconds)
        self.request_counts[path] += 1
        if status >= 400:
            self.error_counts[f"{status}:{path}"] += 1


class CleanedMonitor(Monitor):
    """Documented: limits applied by a clean-up every five minutes."""

    def record(self, path, route, status, seconds, now):
        super().record(path, route, status, seconds, now)
        if now - self.last_cleanup > CLEANUP_INTERVAL_SECONDS:
            self.cleanup(now)

    def cleanup(self, now):
        self.last_cleanup = now
        del self.response_times[:-MAX_RESPONSE_TIMES]
        self.request_counts = Counter(dict(self.request_counts.most_common(MAX_ERROR_COUNTS)))
        self.error_counts = Counter(dict(self.error_counts.most_common(MAX_ERROR_COUNTS)))


class RouteMonitor(Monitor):
    """Counted by route, of which the application has a fixed number; unknown paths are one."""

    def __init__(self):
        super().__init__()
        self.response_times = deque(maxlen=MAX_RESPONSE_TIMES)

    def record(self, path, route, status, seconds, now):
        super().record(route, route, status, seconds, now)


MONITOR = {"before": Monitor, "documented_fix": CleanedMonitor, "better_fix": RouteMonitor}[
    ARGUMENTS.variant
]()
for iteration in range(ARGUMENTS.iterations):
    for request in range(ARGUMENTS.requests):
        number = iteration * ARGUMENTS.requests + request
        path = f"/wp-admin/{number:08d}.php"
        MONITOR.record(path, "(unknown)", 404, number / 7, 60.0 * iteration)
    gauge("tracked_paths", len(MONITOR.request_counts) + len(MONITOR.error_counts))
    mark()
