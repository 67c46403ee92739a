"""What a run says that bears on candidates: gauges, growing lines, holders, lines that ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaklab.code_audit.codes import called
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.same_source import Files
from leaklab.verdict.resources import LEAK, VERDICT_OF

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.results.run import Run
    from leaklab.verdict.resources import ResourceVerdict

Place = tuple[str, int]


@dataclass(frozen=True)
class Growth:
    """One growing suspect or leak group: its words, and the places of its stack."""

    text: str
    places: frozenset[Place]
    holders: tuple[str, ...]


class RunEvidence:
    """The evidence of one run, looked up once for all candidates."""

    def __init__(self, run: Run, files: Files) -> None:
        self._run = run
        self._files = files
        self.verdict = run.verdict()
        self._resources: dict[str, ResourceVerdict] = {}
        for entry in self.verdict.resources:
            known = self._resources.get(entry.name)
            if known is None or (entry.verdict == "leak" and known.verdict != "leak"):
                self._resources[entry.name] = entry
        watched = run.meta.get("watched") or {}
        #: "lines", "functions" or None: how far it is known what ran
        self.line_grain = watched.get("line_grain")
        self._executed = {
            (file, line)
            for name, lines in (watched.get("executed") or {}).items()
            if (file := files.find(name)) is not None
            for line in lines
        }
        # Older runs tell lines, and not which code object ran on them.
        self._tells_codes = "executed_in" in watched
        self._executed_in = {
            (file, line, called(code))
            for name, codes in (watched.get("executed_in") or {}).items()
            if (file := files.find(name)) is not None
            for code, lines in codes.items()
            for line in lines
        }
        self._in_stacks = self._places_of_frames()
        # In a run that does not leak, sites and groups that gain a little are no evidence.
        leaks = self.verdict.verdict == LEAK
        self.suspects = self._suspects() if leaks else []
        self.groups = self._groups() if leaks else []

    def resource(self, name: str) -> ResourceVerdict | None:
        """The verdict on a resource, of whichever role leaks first; None where unmeasured."""
        return self._resources.get(name)

    def files_growing(self) -> list[ResourceVerdict]:
        """Verdicts on watched files."""
        return [each for name, each in self._resources.items() if name.startswith("file_bytes:")]

    def gauge(self, candidate: Candidate) -> ResourceVerdict | None:
        """The verdict on the reading of what a candidate names; the worst of several."""
        found = [
            entry
            for watch in candidate.watches
            if (entry := self._resources.get(f"gauge:{watch.gauge}")) is not None
        ]
        return min(found, key=lambda entry: entry.verdict != "leak", default=None)

    def when_reached(self, entry: ResourceVerdict) -> tuple[float, float] | None:
        """The most a gauge came to, and the mark or second at which it first did."""
        series = self._series(entry)
        if series is None:
            return None
        most = float(series["value"].max())
        return most, float(series[series["value"] == most]["x"].iloc[0])

    def last_reading(self, entry: ResourceVerdict) -> tuple[float, float] | None:
        """What a gauge came to, and the mark or second at which that was read.

        Readings have their share of a program's time: the last one may be of before its end.
        """
        series = self._series(entry)
        if series is None:
            return None
        return float(series["value"].iloc[-1]), float(series["x"].iloc[-1])

    def _series(self, entry: ResourceVerdict) -> pd.DataFrame | None:
        from leaklab.analysis.series import resource_series

        series = resource_series(self._run.data, entry.name, role=entry.role)
        return series if len(series) else None

    def ran(self, candidate: Candidate, sole: bool = False) -> bool | None:
        """Whether one of its lines ran; None where the run does not tell.

        ``sole``: no other candidate has its gauges. Where lines are not told, what is in one may
        have been there from the start; only that it grew shows that the candidate ran.
        """
        seen = [self._seen(candidate.file, line, code) for line, code in candidate.run_places]
        if True in seen:
            return True
        if self.line_grain == "lines" and None not in seen:
            return False
        if self._is_made(candidate) or (sole and self._has_grown(candidate)):
            return True
        return None if None in seen or self.line_grain != "functions" else False

    def codes_that_ran(self, candidate: Candidate) -> list[str]:
        """The functions in which lines of a candidate ran, where some of its lines did not."""
        seen = [place for place in candidate.run_places if self._seen(candidate.file, *place)]
        if len(seen) == len(candidate.run_places):
            return []
        found = set()
        for line, code in seen:
            place = (candidate.file, line)
            names = {name for *at, name in self._executed_in if tuple(at) == place}
            # The frames of a stack may call a method by its last name only.
            found |= {code} if code else names or self._in_stacks.get(place, set())
        return sorted(found)

    def _is_made(self, candidate: Candidate) -> bool:
        """Whether it is a line of the module itself, and what the line makes was read."""
        top_level = candidate.function is None and not any(code for _, code in candidate.run_places)
        return top_level and self.gauge(candidate) is not None

    def _has_grown(self, candidate: Candidate) -> bool:
        entry = self.gauge(candidate)
        series = None if entry is None else self._series(entry)
        return series is not None and series["value"].iloc[0] < series["value"].max()

    def _seen(self, file: str, line: int, code: str) -> bool | None:
        """Whether a line ran, in the code object where one is named; None where it is not told."""
        stacks = self._in_stacks.get((file, line), set())
        if not code:
            return (file, line) in self._executed or bool(stacks)
        if (file, line, code) in self._executed_in or code in stacks:
            return True
        # A line that ran in nobody knows which code.
        return None if not self._tells_codes and (file, line) in self._executed else False

    def _places_of_frames(self) -> dict[Place, set[str]]:
        """The places of the run's stacks, with the names of the code objects seen at them."""
        found: dict[Place, set[str]] = {}
        for row in self._run.data.frames.to_dict("records"):
            file = self._files.find(str(row["file"])) if row["origin"] == "target" else None
            if file is not None and row["line"] == row["line"]:
                code = called(str(row["function"]))
                found.setdefault((file, int(row["line"])), set()).add(code)
        return found

    def _suspects(self) -> list[Growth]:
        found = []
        for row in self._run.suspects().to_dict("records"):
            if not _grows(row):
                continue
            stack = [*(row.get("stack") or ()), row]
            places = {
                (file, int(frame["line"]))
                for frame in stack
                if frame.get("line") == frame.get("line")
                and frame.get("line") is not None
                and (file := self._files.find(str(frame.get("file")))) is not None
            }
            text = f"{row['function']} ({row['file']}:{row['line']})"
            held = tuple(str(path) for path in row.get("retained_by") or ())
            found.append(Growth(text, frozenset(places), held))
        return found

    def _groups(self) -> list[Growth]:
        return [
            Growth(
                f"{row['growth_count']:.0f} more {row['type']} held by {row['holder']}",
                frozenset(),
                tuple(str(row[key]) for key in ("holder", "path", "accumulation_point")),
            )
            for row in self._run.retention().to_dict("records")
            if row["growth_bytes"] > 0 or row["growth_count"] > 0
        ]


def _grows(row: dict[Any, Any]) -> bool:
    """Whether a suspect was judged to keep growing, and not only gained something."""
    return VERDICT_OF.get(str(row.get("evidence"))) == LEAK
