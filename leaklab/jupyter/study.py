"""All cases of one leak mechanism, recorded and shown in the order in which a notebook tells them.

The mechanism notebooks call nothing else, so that they read as prose: what was claimed, the run,
the curves, the line, what keeps it alive, the fix, the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from leaklab.errors import UsageError
from leaklab.jupyter.show import CodeDifference, figure, heading, say, show
from leaklab.present import choices
from leaklab.present.bundle import site_text
from leaklab.present.choices import ROLES
from leaklab.present.table import Table
from leaklab.results.run import VERDICT_MIME

if TYPE_CHECKING:
    from leaklab.catalogue.model import Case
    from leaklab.results.run import Run

SUSPECT_COUNT = 3
LINE_COUNT = 5  # more lines in one figure cannot be told apart


class Study:
    """The cases of one mechanism. Every method but `record` shows what the runs hold.

    ``cases`` by id; ``runs`` by case id and variant; ``skipped`` says why a case did not run.
    """

    def __init__(
        self,
        mechanism: str,
        *,
        cases: Sequence[str] = (),
        quick: bool = True,
        iterations: int = 0,
        fresh: bool = False,
        recorded: str = "",
    ) -> None:
        from leaklab.catalogue.model import catalogue

        found = catalogue()
        self.cases: dict[str, Case] = {
            name: case
            for name, case in found.items()
            if case.mechanism == mechanism and (not cases or name in cases)
        }
        if not self.cases:
            known = ", ".join(sorted({case.mechanism for case in found.values()}))
            raise UsageError(f"no case has the mechanism: {mechanism}; allowed: {known}")
        self.mechanism = mechanism
        self.quick = quick
        self.iterations = iterations
        self.fresh = fresh
        self.recorded = recorded
        self.runs: dict[str, dict[str, Run]] = {}
        self.skipped: dict[str, str] = {}
        for case in self.cases.values():  # all of them, before the first is recorded
            case.values(self._given(case))

    def claims(self) -> Table:
        """What the documents say, in our words, with document and section."""
        rows = [
            (case.title, f"{claim.document}, {claim.section}", claim.text)
            for case in self.cases.values()
            for claim in case.claims
        ]
        return self._table(["case", "document", "what it says"], rows)

    def record(self) -> Table:
        """Record every variant of every case, or load what was recorded before."""
        for case in self.cases.values():
            if self.recorded:
                self._load(case)
                continue
            reason = case.missing()
            if reason is not None:
                self.skipped[case.id] = reason
                continue
            given = self._given(case)
            runs = case.record(quick=self.quick, fresh=self.fresh, **given)
            self.runs[case.id] = {
                name: runs[name] for name in sorted(runs, key=partial(_order, case))
            }
            if any(run.meta["state"] == "interrupted" for run in runs.values()):
                raise KeyboardInterrupt
        return self._table(["case", "variant", "what it does", "recorded"], list(self._recorded()))

    def curves(self, *resources: str) -> None:
        """The resource that says most about each case, then the others that move.

        With names of `resources`: these side by side, whatever they do.
        """
        from leaklab import plots
        from leaklab.plots.resource_curves import interesting

        for case, runs in self._recorded_cases():
            names = headlines(runs)
            heading(case.title)
            main = {v: run for v, run in runs.items() if case.variants[v].role in ROLES[:3]}
            if resources:
                for shown in _portions(main or runs, runs):
                    figure(plots.curves(shown, resources))
                continue
            for (name, role), shown in product(names, _portions(main or runs, runs)):
                figure(plots.growth(shown, name, role=role))
            shown = list((main or runs).values())
            others = [o for o in interesting(shown) if (o, "main") not in names]
            if others:
                figure(plots.curves(shown, others))

    def lines(self) -> None:
        """The first allocation sites of every variant that leaks, and a figure of the worst."""
        from leaklab import plots
        from leaklab.present import units
        from leaklab.present.formatting import worth_showing

        for case, runs in self._recorded_cases():
            rows = [
                (
                    variant,
                    site_text(row),
                    units.value_text("heap_bytes", row["growth_bytes"]),
                    units.share_text(row["share"]),
                )
                for variant, run in runs.items()
                if _heap_leaks(run)
                for row in worth_showing(run.suspects()).head(SUSPECT_COUNT).to_dict("records")
            ]
            heading(case.title)
            if rows:
                columns = ["variant", "allocated in", "grew by", "share of the growth"]
                show(Table(columns, rows, numbers=columns[2:]))
                figure(plots.suspects(self.worst(case.id)))
            else:
                say("No allocation site keeps growing in these runs.")

    def tree(self, case_id: str | None = None) -> Any:
        """The live heap of a case's worst run, to walk in.

        Without a name, of the first case whose heap was recorded.
        """
        from leaklab import plots

        if self.skipped and not self.runs:
            return say("Nothing ran, so there is no heap to show.")
        run = self.worst(case_id)
        if case_id is None:
            others = (self.worst(other) for other in self.runs)
            run = next((other for other in others if len(other.data.snapshots)), run)
        return plots.allocation_tree_html(run)

    def holders(self) -> None:
        """What keeps the growth alive: the retention paths of each case's worst run."""
        from leaklab import plots

        for case, _ in self._recorded_cases():
            run = self.worst(case.id)
            heading(case.title)
            paths = run.retention()
            if not len(paths):
                say("No path of Python references accumulates in this run.")
                continue
            figure(plots.retention(run))

    def fixes(self) -> None:
        """How the code of each fix differs from what it fixes, and what the comparison says."""
        from leaklab.catalogue.variant_source import code_difference
        from leaklab.recordings import compare

        for case, runs in self._recorded_cases():
            steps = [v for role in ROLES[:3] for v in runs if case.variants[v].role == role]
            source = case.target.read_text(encoding="utf-8")
            for before, after in pairwise(steps):
                heading(f"{case.title}: {before} → {after}")
                summary = case.variants[after].summary
                if summary.split()[0].isalpha():  # a name stays as it is
                    summary = f"{summary[:1].upper()}{summary[1:]}"
                say(f"{summary}.")
                show(CodeDifference(code_difference(source, before, after)))
                outcome = compare(runs[steps[0]], runs[after])
                say(f"Against {steps[0]}: {outcome.outcome}; {outcome.reason}.")

    def verdicts(self) -> Table:
        """Every run's verdict with its reason, and whether it is what the case expects."""
        rows, data = [], []
        for case, runs in self._recorded_cases():
            for variant, run in runs.items():
                checked = case.check({variant: run})
                met = not (checked["ok"] == False).any()  # noqa: E712 - null is no failure
                verdict = run.verdict()
                note = "as expected" if met else _unmet(checked)
                rows.append((case.title, variant, verdict.verdict, verdict.reason, note))
                data.append({**run.verdict_json(), "as_expected": met})
        rows += [
            (self.cases[name].title, "", "skipped", why, "") for name, why in self.skipped.items()
        ]
        columns = ["case", "variant", "verdict", "because", "expected"]
        return self._table(columns, rows, data={VERDICT_MIME: data})

    def judged_claims(self) -> Table:
        """Each claim again, with what the figures say about it."""
        rows = [
            (f"{claim.document}, {claim.section}", claim.text, claim.verdict, claim.why)
            for case in self.cases.values()
            for claim in case.claims
        ]
        return Table(["document", "what it says", "the claim is", "because"], rows)

    def worst(self, case_id: str | None = None) -> Run:
        """The run of a case (the first one that ran) that leaks most plainly: before, if there."""
        if not self.runs:
            raise UsageError("nothing is recorded yet; call record() first")
        if case_id is not None and case_id not in self.runs:
            raise UsageError(f"no such case: {case_id}; allowed: {', '.join(self.runs)}")
        case = self.cases[case_id or next(iter(self.runs))]
        runs = self.runs[case.id]
        leaking = [v for v in runs if runs[v].verdict().verdict == "leak"] or list(runs)
        return runs[min(leaking, key=lambda variant: _order(case, variant))]

    def _table(self, columns: list[str], rows: list[Any], **options: Any) -> Table:
        """A table whose first column is the case; without it where there is only one."""
        if len(self.cases) == 1:
            columns, rows = columns[1:], [row[1:] for row in rows]
        return Table(columns, rows, **options)

    def _load(self, case: Case) -> None:
        """The newest run of each variant in the store `recorded`."""
        from leaklab.recordings import find_recording
        from leaklab.results.run import Run
        from leaklab.store import open_run
        from leaklab.store.location import filesystem

        store, folder = filesystem(self.recorded)
        if not store.exists(folder):
            raise UsageError(f"no such store: {self.recorded}; give a folder or URL with runs")
        names = sorted(case.variants, key=partial(_order, case))
        found = {name: find_recording(self.recorded, case.id, name) for name in names}
        runs = {name: Run(open_run(path), reused=True) for name, path in found.items() if path}
        if runs:
            self.runs[case.id] = runs
        else:
            self.skipped[case.id] = f"no run of it in {self.recorded}"

    def _given(self, case: Case) -> dict[str, Any]:
        wanted = self.iterations and "iterations" in case.parameters
        return {"iterations": self.iterations} if wanted else {}

    def _recorded_cases(self) -> Iterator[tuple[Case, Mapping[str, Run]]]:
        if not self.runs and not self.skipped:
            raise UsageError("nothing is recorded yet; call record() first")
        for name, runs in self.runs.items():
            yield self.cases[name], runs

    def _recorded(self) -> Iterator[tuple[str, str, str, str]]:
        for case, runs in self._recorded_cases():
            for variant, run in runs.items():
                seconds = sum(p.get("duration_seconds") or 0.0 for p in run.meta["passes"])
                how = "loaded" if run.reused else f"{seconds:.1f} s"
                yield case.title, variant, case.variants[variant].summary, how
        for name, reason in self.skipped.items():
            yield self.cases[name].title, "", reason, "skipped"


def study(
    mechanism: str,
    *,
    cases: Sequence[str] = (),
    quick: bool = True,
    iterations: int = 0,
    fresh: bool = False,
    recorded: str = "",
) -> Study:
    """The cases of `mechanism`, to be recorded and shown step by step.

    `cases`: only these of them. `quick`: their small sizes. `iterations`: units of work in each
    run; 0 leaves it to the case. `fresh`: record again what is recorded. `recorded`: a store whose
    runs are shown, and nothing recorded. Raises UsageError when nothing has these names.
    """
    return Study(
        mechanism, cases=cases, quick=quick, iterations=iterations, fresh=fresh, recorded=recorded
    )


def headlines(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """The resources and roles figures of these runs show: the best of those that leak in one."""
    return choices.headlines(r for run in runs.values() for r in run.verdict().resources)


def _order(case: Case, variant: str) -> tuple[int, int]:
    return ROLES.index(case.variants[variant].role), list(case.variants).index(variant)


def _portions(main: Mapping[str, Run], runs: Mapping[str, Run]) -> Iterator[list[Run]]:
    """The variants by figure: before and fixes, then the other conditions beside before."""
    first = list(main.values())
    for start in range(0, len(first), LINE_COUNT):
        yield first[start : start + LINE_COUNT]
    others = [run for variant, run in runs.items() if variant not in main]
    reference = first[:1]
    for start in range(0, len(others), LINE_COUNT - 1):
        yield [*reference, *others[start : start + LINE_COUNT - 1]]


def _heap_leaks(run: Run) -> bool:
    return any(r.name == "heap_bytes" and r.verdict == "leak" for r in run.verdict().resources)


def _unmet(checked: Any) -> str:
    failed = checked[checked["ok"] == False]  # noqa: E712
    return "; ".join(
        f"{row['resource']}: expected {row['expected']}, measured {row['measured']}"
        for row in failed.to_dict("records")
    )
