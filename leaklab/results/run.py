"""A recorded run with what the analysis says of it, worked out when first asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from leaklab.results.as_json import plain, suspect_json, verdict_json

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.findings.tree import AllocationTree
    from leaklab.present.difference import Sentence
    from leaklab.store import RunData
    from leaklab.verdict.judge import Verdict
    from leaklab.verdict.time_left import TimeLeft

VERDICT_MIME = "application/vnd.leaklab.verdict+json"
SHOW_SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One recorded run. Renders itself in a notebook; ``reused`` if it was not recorded anew.

    horizon_seconds: for how long "bounded" must hold; None: as the run was recorded with.
    """

    data: RunData
    reused: bool = field(default=False)
    horizon_seconds: float | None = field(default=None)
    _trees: dict[str, AllocationTree] = field(default_factory=dict, init=False)

    @property
    def meta(self) -> dict[str, Any]:
        """run.json: command, parameters, versions, passes, processes, events."""
        return self.data.meta

    @property
    def path(self) -> str | None:
        """Folder or URL of the run; None for one made in memory."""
        return self.data.path

    @property
    def label(self) -> str:
        """What the run is called in figures and tables: ``name/variant``."""
        variant = self.meta.get("variant")
        return f"{self.meta['name']}/{variant}" if variant else str(self.meta["name"])

    @cached_property
    def _verdict(self) -> Verdict:
        from leaklab.verdict.judge import judge

        verdict = judge(self.data)
        if verdict.verdict == "leak" and len(self.data.bounds):
            from leaklab.findings.filling import settled

            verdict = settled(self.data, verdict, self._retention)
        horizon_seconds = self.horizon_seconds or self.meta.get("horizon_seconds")
        if horizon_seconds:
            from leaklab.verdict.horizon import within

            verdict = within(verdict, self.data, horizon_seconds)
        return verdict

    @cached_property
    def _retention(self) -> pd.DataFrame:
        from leaklab.findings.retention import retention

        return retention(self.data)

    @cached_property
    def _origins(self) -> pd.DataFrame:
        from leaklab.findings.origins import origins

        return origins(self.data)

    @cached_property
    def _labels(self) -> pd.DataFrame:
        from leaklab.findings.labels import labels

        return labels(self.data, self._verdict)

    @cached_property
    def heap_role(self) -> str:
        """The role whose heap grows; where none does "main", or one whose heap was recorded."""
        from leaklab.analysis.heap import heap_timeline
        from leaklab.analysis.series import roles

        suspects = self._verdict.suspects
        if len(suspects):
            return str(suspects["role"].iloc[0])
        traced = roles(self.data, "explain")
        return next((role for role in traced if heap_timeline(self.data, role=role)), "main")

    def verdict(self) -> Verdict:
        """Return ``leak``, ``bounded`` or ``inconclusive``, for the run and each resource.

        >>> run.verdict().resource("rss_bytes").rate
        """
        return self._verdict

    def summary(self, after: Run | None = None) -> Sentence:
        """Return what was found, in one sentence from this run's own figures.

        What leaks and how fast, which line makes it, what keeps it; and what became of it in
        ``after``, a run of the same workload with the fix.

        >>> before.summary(after=after)
        """
        from leaklab.present.difference import Sentence
        from leaklab.results.summary import summary

        return Sentence(summary(self, after))

    def suspects(self, *, stacks: str = "lists") -> pd.DataFrame:
        """Return the allocation sites whose live bytes grow, worst first, and what retains them.

        Columns as :func:`leaklab.verdict.suspects.suspects`, and package (whose the line is:
        "target", "stdlib" or an installed package's name) and source (text of the line, None where
        it was not kept); sizes are bytes, rates bytes per iteration or second. Lists are in the
        columns stack and retained_by only. With ``stacks="rows"`` a row for each call of each
        suspect instead, without lists: suspect (its rank), depth (0: where it was allocated),
        function, file, line, package, source, growth_bytes, rate. Raises UsageError for another.

        >>> run.suspects()[["function", "package", "source", "growth_bytes"]]
        >>> run.suspects(stacks="rows").to_csv("stacks.csv", index=False)
        """
        from leaklab.results.frames import holders_by_rank, package_of, stack_rows, with_source

        frame = with_source(self.data, self._verdict.suspects)
        frame["package"] = [package_of(file) for file in frame["file"]]
        if len(frame):
            holders = holders_by_rank(self._retention, str(frame["role"].iloc[0]))
            frame["retained_by"] = [holders.get(int(rank), []) for rank in frame["rank"]]
        return frame if stacks == "lists" else with_source(self.data, stack_rows(frame, stacks))

    def series(self, name: str, *, role: str = "main") -> pd.DataFrame:
        """Return one resource over the run, as the verdict and the figures use it.

        Columns: x (marks ended, or seconds where there are no marks: ``attrs["unit"]`` says which),
        time_seconds, mark, value (bytes for ``…_bytes``, else a number of things), quiescent (taken
        right after a collection), warm_up (before the part that is judged). ``role``: of which
        processes. Raises UsageError naming what was measured for anything else.

        >>> run.series("rss_bytes").plot(x="x", y="value")
        """
        from leaklab.results.frames import series_frame

        return series_frame(self.data, name, role)

    def samples(self, *, wide: bool = False, role: str = "main") -> pd.DataFrame:
        """Return all samples: as they were taken, or ``wide``: one column a resource.

        Wide, the index is the mark (seconds where there are no marks) and the first column
        time_seconds; what was not measured at a mark is NaN. Otherwise the table of the store, a
        row for each sample, process and resource, whatever its role.

        >>> run.samples(wide=True)[["rss_bytes", "fd_count"]].plot(subplots=True)
        """
        from leaklab.results.frames import wide_samples

        return wide_samples(self.data, role) if wide else self.data.samples.copy()

    def heap(
        self, by: str = "line", *, role: str | None = None, limit: int | None = None
    ) -> pd.DataFrame:
        """Return the live heap over the snapshots, with every snapshot filled in.

        ``by``: "function" (columns function, file) or "line" (and line): the user's line that asked
        for the memory; "package" (column package): whose code allocated it; "stack" (columns
        stack_id, stack_text); "thread" (column thread): in which threads, told by the function they
        run, "main" for the one that no `threading.Thread` started. Then x (marks or seconds),
        time_seconds, live_bytes and allocation_count. The largest at the end first, ``limit`` of
        them. Empty where no heap was recorded. Raises UsageError for another grouping.

        >>> heap = run.heap(by="function", limit=5)
        >>> heap.pivot_table(index="x", columns="function", values="live_bytes").plot.area()
        """
        from leaklab.results.frames import heap_frame

        return heap_frame(self.data, by, role or self.heap_role, limit)

    def graph(self, dump: int | None = None, *, process: int | None = None) -> pd.DataFrame:
        """Return one object graph: a row for the objects that hang at the same place.

        ``dump``: its number (column dump of ``run.data.graph_dumps``), by default the last.
        Columns: node, parent (-1 at a root), kind (of the root), step, type, path, fingerprint
        (stable over dumps and runs), count, shallow_bytes, retained_bytes. Raises UsageError where
        there is none.

        >>> run.graph().nlargest(10, "retained_bytes")[["path", "count", "retained_bytes"]]
        """
        from leaklab.results.frames import graph_frame

        return graph_frame(self.data, dump, process)

    def retention(self) -> pd.DataFrame:
        """Return the paths from a root to what grows; empty without object graphs.

        >>> run.retention()[["path", "growth_count", "retained_bytes"]]
        """
        return self._retention.copy()

    def origins(self) -> pd.DataFrame:
        """Return the lines that made the descriptors, threads, children and tasks that pile up.

        Columns as :func:`leaklab.findings.origins.origins`, rates in pieces per iteration or
        second, and source (text of the line). Empty without an explain pass.

        >>> run.origins()
        """
        from leaklab.results.frames import with_source

        return with_source(self.data, self._origins)

    def labels(self) -> pd.DataFrame:
        """Return growth per unit of work by its label: requests by route, tasks by name.

        Labels come with ``mark(label=…)``, ``--mark-on http`` and ``--mark-on task``. Columns as
        :func:`leaklab.findings.labels.labels`: resource, role, label, calls, verdict, rate with
        rate_low and rate_high (95 %; bytes or pieces per call), growth, reason. Empty without
        labels.

        >>> run.labels().query("resource == 'rss_bytes'")[["label", "rate", "rate_high"]]
        """
        return self._labels.copy()

    def tree(self, role: str | None = None) -> AllocationTree:
        """Return the live heap of a role, by default `heap_role`, at the last snapshot.

        >>> run.tree()
        """
        from leaklab.findings.tree import allocation_tree

        role = role or self.heap_role
        if role not in self._trees:
            self._trees[role] = allocation_tree(self.data, role=role)
        return self._trees[role]

    def reserved(self) -> tuple[float, float] | None:
        """Return bytes of the heap that are mapped and hardly used, and resident bytes, or None.

        >>> run.reserved()
        """
        from leaklab.verdict.reservations import reserved_at_end

        return reserved_at_end(self.data)

    def kept_free(self) -> pd.DataFrame:
        """Return what allocators keep free: role, part, bytes, way_back; empty if nothing is known.

        >>> run.kept_free()
        """
        from leaklab.findings.rss import kept_by_allocators

        return kept_by_allocators(self.data)

    def tried(self) -> pd.DataFrame:
        """Return what the passes trim and mmap brought: role, way, two sizes in bytes, verdicts.

        >>> run.tried()
        """
        from leaklab.findings.rss import tried

        return tried(self.data)

    def given_back(self) -> list[dict[str, Any]]:
        """Return what was given back after the work, at exit or shutdown; no verdict rests on it.

        One dict per resource of the main process, in its unit: name, value (at the end of the
        work) and after (the last that was seen). Less than what matters of a resource is left out.

        >>> [row["name"] for row in run.given_back()]
        """
        from leaklab.analysis.given_back import given_back
        from leaklab.resources import material

        rows = given_back(self.data)
        return [row for row in rows if row["value"] - row["after"] >= material(row["name"])]

    def notes(self) -> list[str]:
        """Return what to know beside the verdict, one sentence each; empty for most runs.

        Interpreters that grow by themselves, native memory that nothing was seen to hold, by how
        much the tracer slowed down what is told by the second, and settings that keep a leaking
        service below its limit until it is mended (`leaklab.findings.stop_gap`).

        >>> run.notes()
        """
        from leaklab.findings.notes import notes_of

        held = len(self.retention()) > 0
        return notes_of(self.data, self.verdict().resources, held=held)

    def time_left(self) -> TimeLeft | None:
        """When memory or descriptors reach the first limit at their rate; None if neither leaks.

        The limits are those of the run: ``--limit-memory``, control group, RLIMIT_AS, the machine's
        memory; for descriptors RLIMIT_NOFILE.

        >>> str(run.time_left())
        """
        from leaklab.verdict.time_left import soonest

        return soonest(self.verdict(), self.meta)

    def limit_text(self) -> str | None:
        """Return when the first limit is reached, or that it nearly or really was, else None.

        >>> run.limit_text()
        """
        from leaklab.verdict.time_left import limit_text

        return limit_text(self.verdict(), self.data)

    def resident(self, role: str | None = None) -> pd.DataFrame:
        """Return :func:`leaklab.findings.rss.decomposition`, by default of the role whose grows.

        >>> run.resident()
        """
        from leaklab.findings.rss import decomposition
        from leaklab.present import choices

        role = role or choices.growing_role(self._verdict.resources, "rss_bytes")
        return decomposition(self.data, role=role)

    def to_json(self) -> dict[str, Any]:
        """Return what ``leaklab show --json`` prints; a figure that was not measured is null.

        >>> run.to_json()["verdict"]
        """
        further = {
            "retention": self.retention().to_dict("records"),
            "labels": self.labels().to_dict("records"),
            "given_back": self.given_back(),
            "events": self.meta["events"],
            "processes": [
                {name: row.get(name) for name in ("pass", "role", "pid", "command")}
                for row in self.meta["processes"]
            ],
        }
        return {**self.verdict_json(), **plain(further)}

    def verdict_json(self) -> dict[str, Any]:
        """Return what a notebook job collects into verdict.json: `to_json` without the details.

        >>> run.verdict_json()["resources"]
        """
        left = self.time_left()
        further = {
            "suspects": [suspect_json(row) for row in self.suspects().to_dict("records")],
            "origins": self.origins().to_dict("records"),
            "time_left": asdict(left) if left else None,
            "recorded_from": self.meta.get("recorded_from"),
        }
        return {
            "schema_version": SHOW_SCHEMA_VERSION,
            "run": self.path or self.meta["run_id"],
            **self.resources_json(),
            **plain(further),
        }

    def resources_json(self) -> dict[str, Any]:
        """Return the verdict on the run and each resource; without suspects, so soon done.

        >>> run.resources_json()["reason"]
        """
        return verdict_json(self.meta, self.verdict())

    def __str__(self) -> str:
        from leaklab.present.text import run_text

        return run_text(self)

    def __repr__(self) -> str:
        """One line; it must not work out a verdict: debuggers and logs call it."""
        known = f", {self._verdict.verdict}" if "_verdict" in vars(self) else ""
        return (
            f"<Run {self.label}, {self.meta['state']}{known}: {self.path or self.meta['run_id']}>"
        )

    def _repr_html_(self) -> str:
        from leaklab.present.bundle import run_html

        return run_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Show the run; the JSON form is what a notebook job collects into verdict.json."""
        return {
            "text/plain": str(self),
            "text/html": self._repr_html_(),
            VERDICT_MIME: self.verdict_json(),
        }
