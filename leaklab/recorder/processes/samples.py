"""Take the figures of a process and hand them to the store, row by row."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from leaklab.recorder.processes.limits import limits_of
from leaklab.recorder.processes.shared_segments import SharedSegments
from leaklab.recorder.processes.tracked import MAIN, SHORT_LIVED, SHORT_SECONDS, Tracked
from leaklab.recorder.processes.watched_files import WatchedFiles
from leaklab.store import RunWriter
from leaklab.store.schema import TABLES

# Figures that take long for a large process are taken at most this often, and less often if they
# would otherwise cost more than this share of the recorder's time.
SLOW_SECONDS = 1.0
SLOW_SHARE = 0.01
# Above this many descriptors, sockets are counted at the slow pace instead of at every mark.
COUNTED_AT_MARKS = 512
FLUSH_ROW_COUNT = 4096
# Of units of work between two marks that were told: more is no count.
MOST_COUNT = 1 << 48


class Samples:
    """Samples of one pass. Times are seconds since its start."""

    def __init__(
        self, writer: RunWriter, pass_name: str, watch_files: Sequence[str], cwd: str | None
    ) -> None:
        self._writer = writer
        self._pass = pass_name
        #: shared memory that the target has made and not unlinked
        self.segments = SharedSegments()
        self._watched = WatchedFiles(watch_files, cwd, self._not_watched)
        self._slow_due: dict[int, float] = {}
        self._rows: dict[str, list[Any]] = {name: [] for name in TABLES["samples"].names}

    def by_interval(self, tracked: Tracked, now: float, main: bool) -> None:
        """Sample a process that does not wait; raises ProcessGoneError."""
        values = self._basic(tracked)
        if now >= self._slow_due.get(tracked.process, 0.0):
            self._add_slow(tracked, values, now)
            values.update(tracked.files.status())
            # The peak belongs to marks, where it is reset.
            values.pop("rss_peak_bytes", None)
        if main:
            # What walks may cost is kept for marks, where there are any: they are judged by these.
            values.update(self._watched.sizes(now, folders=not tracked.mark_count))
            if not tracked.mark_count:
                values.update(self.segments.figures(now))
        self._append(tracked, now, None, False, values)

    def at_mark(
        self,
        tracked: Tracked,
        now: float,
        *,
        mark: int | None,
        quiescent: bool,
        figures: Mapping[str, float],
        reset_peak: bool,
    ) -> None:
        """Sample a process that waits; raises ProcessGoneError."""
        values = self._basic(tracked)
        values.update(tracked.files.status())
        if reset_peak and not tracked.files.reset_peak():
            values.pop("rss_peak_bytes", None)
        children = tracked.files.child_pids()
        values["child_count"] = None if children is None else len(children)
        if (values["fd_count"] or 0) <= COUNTED_AT_MARKS:
            values["socket_count"] = self._socket_count(tracked)
        if now >= self._slow_due.get(tracked.process, 0.0):
            self._add_slow(tracked, values, now)
        values.update(figures)
        values.update(self._watched.sizes(now))
        if tracked.role == MAIN:  # they are the whole target's, whoever has made them
            values.update(self.segments.figures(now))
        self._append(tracked, now, mark, quiescent, values)
        tracked.measured_mark_count += mark is not None

    def told(self, tracked: Tracked, now: float, values: Mapping[str, float]) -> None:
        """Store figures the process sent without waiting."""
        self._append(tracked, now, None, False, values)

    def segments_left(self, tracked: Tracked, now: float) -> None:
        """Store how much shared memory there is after the end of a process."""
        self._append(tracked, now, None, False, self.segments.figures_left())

    def labelled(self, tracked: Tracked, now: float, mark: int | None, counts: object) -> None:
        """Store how many units of work have ended by label since the process said so last."""
        found = {
            label.encode("utf-8", "replace").decode(): count
            for label, count in (counts.items() if isinstance(counts, dict) else ())
            if isinstance(count, int) and 0 < count < MOST_COUNT
        }
        if found:
            same = len(found)
            self._writer.append(
                "labels",
                {
                    "pass": [self._pass] * same,
                    "process": [tracked.process] * same,
                    "time_seconds": [now] * same,
                    "mark": [mark] * same,
                    "label": list(found),
                    "count": list(found.values()),
                },
            )

    def _not_watched(self, text: str) -> None:
        self._writer.event("watch-file", text, time_seconds=None, **{"pass": self._pass})

    def _basic(self, tracked: Tracked) -> dict[str, float | None]:
        values = tracked.files.basic()
        tracked.rss_bytes = int(values["rss_bytes"] or 0)
        if values["fd_count"] is not None:
            values["fd_count"] -= tracked.own_socket_count
        if values["thread_count"] is not None:
            # memray's own, and the probe's; either may not have started yet.
            own_count = tracked.traced + tracked.ticks
            values["thread_count"] = max(values["thread_count"] - own_count, 1)
        return values

    @staticmethod
    def _socket_count(tracked: Tracked) -> int | None:
        count = tracked.files.socket_count()
        return None if count is None else count - tracked.own_socket_count

    def _add_slow(self, tracked: Tracked, values: dict[str, float | None], now: float) -> None:
        begun = time.perf_counter()
        values["cpu_seconds"] = tracked.files.cpu_seconds()
        values["uss_bytes"] = tracked.files.uss_bytes()
        # Again and again: a shell sets them before it becomes the target, which may raise them.
        tracked.limits = limits_of(tracked.pid) or tracked.limits
        if "socket_count" not in values:
            values["socket_count"] = self._socket_count(tracked)
        if "child_count" not in values:
            children = tracked.files.child_pids()
            values["child_count"] = None if children is None else len(children)
        cost_seconds = time.perf_counter() - begun
        age_seconds = now - tracked.started_seconds
        pause = max(min(SLOW_SECONDS, 0.1 + age_seconds / 20), cost_seconds / SLOW_SHARE)
        self._slow_due[tracked.process] = now + max(pause, age_seconds / 2000)

    def _append(
        self,
        tracked: Tracked,
        now: float,
        mark: int | None,
        quiescent: bool,
        values: Mapping[str, Any],
    ) -> None:
        measured = {name: value for name, value in values.items() if value is not None}
        tracked.counts.see(measured)
        young = tracked.role != MAIN and now - tracked.started_seconds < SHORT_SECONDS
        if mark is None and young:
            waiting = tracked.young_samples = tracked.young_samples or []
            waiting.append((now, quiescent, measured))
            return
        self._store_young(tracked)
        self._store(tracked, now, mark, quiescent, measured)

    def _store_young(self, tracked: Tracked) -> None:
        waiting, tracked.young_samples = tracked.young_samples or [], None
        for now, quiescent, measured in waiting:
            self._store(tracked, now, None, quiescent, measured)

    def ended(self, tracked: Tracked, one_of: Tracked | None = None) -> None:
        """Store what is left of a process; of one of many short ones its highest figures only.

        So the series of a command that is called again and again has one point a call. What was
        seen between fork and exec alone has no figures of its own.
        """
        if tracked.role == SHORT_LIVED:
            tracked.forget_fork()
        if one_of is None:
            self._store_young(tracked)
            return
        waiting, tracked.young_samples = tracked.young_samples or [], None
        highest: dict[str, float] = {}
        for _, _, measured in waiting:
            for name, value in measured.items():
                highest[name] = max(value, highest.get(name, value))
        if highest:
            self._store(one_of, waiting[-1][0], None, False, highest)

    def _store(
        self,
        tracked: Tracked,
        now: float,
        mark: int | None,
        quiescent: bool,
        measured: Mapping[str, Any],
    ) -> None:
        rows = self._rows
        for _ in measured:
            rows["process"].append(tracked.process)
            rows["time_seconds"].append(now)
            rows["mark"].append(mark)
            rows["quiescent"].append(quiescent)
        rows["name"].extend(measured)
        rows["value"].extend(measured.values())
        if len(rows["name"]) >= FLUSH_ROW_COUNT:
            self.flush()

    def flush(self) -> None:
        """Hand the rows gathered so far to the writer."""
        self._rows["pass"] = [self._pass] * len(self._rows["name"])
        self._writer.append("samples", self._rows)
        for values in self._rows.values():
            values.clear()
