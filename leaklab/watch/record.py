"""What was followed, stored as a run that opens like any other, also after a kill."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil

from leaklab.errors import LeaklabError
from leaklab.resources import CPU
from leaklab.store import RunWriter

if TYPE_CHECKING:
    from leaklab.watch.follow import Life

# A figure is stored where its life keeps it as a point; so a year takes little more than a day.
_PASS = "measure"  # noqa: S105


class Recorder:
    """Appends looks to a run in ``store``; each is on disk before the next.

    problem: why the last look could not be stored, such as a full disk; "" otherwise. What was not
    stored is kept, and stored with a later look.
    """

    def __init__(self, store: str, name: str, command: str) -> None:
        self.problem = ""
        self._begun = time.time()
        row = {"pass": _PASS, "started": None, "exit_status": None, "traced": False}
        self.writer = RunWriter.create(
            store,
            name,
            "watch",
            {
                "name_given": True,  # or "watch", which tells nothing either
                "command": {"argv": [command], "kind": "watched"},
                "platform": {"memory_bytes": psutil.virtual_memory().total},
                "passes": [row],
                "options": {"passes": [_PASS]},
            },
        )
        self._kept: dict[tuple[int, str], float] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        self._alive: dict[int, Life] = {}

    def look(self, seen: list[tuple[Life, dict[str, float]]]) -> None:
        """Store the figures that became points of their series, and who there is."""
        columns: dict[str, list[Any]] = {
            name: [] for name in ("pass", "process", "time_seconds", "quiescent", "name", "value")
        }
        changed = bool(self.problem)
        for life, figures in seen:
            new = life.number not in self._alive
            changed |= new
            if new:  # or seen again after it was taken for ended
                self._alive[life.number] = life
                self._rows[life.number] = _row(life, self._begun)
            row = self._rows[life.number]
            changed |= any(row.get(name) != value for name, value in life.limits.items())
            row.update(life.limits)
            for name, value in (figures | _cpu(life)).items():
                series = life.series.get(name, life.work)
                if self._kept.get((life.number, name)) == series.seconds[-1]:
                    continue
                self._kept[life.number, name] = series.seconds[-1]
                seconds = max(life.started + series.seconds[-1] - self._begun, 0.0)
                cells = (_PASS, life.number, seconds, False, name, value)
                for column, cell in zip(columns, cells, strict=True):
                    columns[column].append(cell)
        for number, life in list(self._alive.items()):
            if life.ended:
                ended = life.started + life.age_seconds - self._begun
                self._rows[number]["ended_seconds"] = max(ended, 0.0)
                del self._alive[number]
                changed = True
        self._kept = {key: value for key, value in self._kept.items() if key[0] in self._alive}
        self.problem = ""
        try:
            if columns["value"]:
                self.writer.append("samples", columns)
            if changed:
                self.writer.update(processes=list(self._rows.values()))
            self.writer.flush()
        except LeaklabError as error:
            self.problem = str(error)

    def close(self, state: str = "complete") -> str:
        """Close the run and return its path."""
        self.writer.close(state)
        return self.writer.path


def _cpu(life: Life) -> dict[str, float]:
    """The use of the processor between the last two points of its series, once there are two: by
    it the run is judged without an end in which nothing was asked for."""
    seconds, used = life.work.seconds[-2:], life.work.values[-2:]
    if len(seconds) < 2:
        return {}
    return {CPU: 100 * (used[1] - used[0]) / (seconds[1] - seconds[0])}


def _row(life: Life, begun: float) -> dict[str, Any]:
    return {
        "process": life.number,
        "pass": _PASS,
        "pid": life.process.pid,
        "command": life.program,
        "parent": None,
        "role": life.slot if life.slot.startswith("main") else f"worker {life.slot}",
        "mark_count": 0,
        "started_seconds": max(life.started - begun, 0.0),
        "ended_seconds": None,
        "exit_status": None,
        "traced": False,
    }
