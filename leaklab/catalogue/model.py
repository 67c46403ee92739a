"""The catalogue: one folder a documented item, with case.toml and (where it can run) target.py."""

from __future__ import annotations

import html
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.catalogue.expectations import (
    Expectation,
    check_run,
    checked_frame,
    read_expectation,
)
from leaklab.catalogue.parameters import Parameter, Value, read_parameter
from leaklab.catalogue.reading import Table
from leaklab.catalogue.requirements import missing_requirement, parse_python_range
from leaklab.errors import LeaklabError, UsageError
from leaklab.present.choices import ROLES

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.difference import CodeDifference, Sentence
    from leaklab.present.table import Table as ShownTable
    from leaklab.results.run import Run

FOLDER = Path(__file__).parent.parent / "cases"
DOCUMENTS = ("000", "001", "002", "003", "004")
CLAIM_VERDICTS = ("right", "wrong", "incomplete", "untestable")
SERVICES = ("postgres", "valkey", "node")
PASSES = ("measure", "explain", "graph")
COLLECT = ("auto", "always", "never")


@dataclass(frozen=True)
class Claim:
    """What a document says (in our words), and what the measurement says about that."""

    document: str
    section: str
    text: str
    verdict: str
    why: str


@dataclass(frozen=True)
class Variant:
    """One form of a case's workload; ``role`` says what it stands for in the comparison.

    ``environment`` is added to the target's environment; ``passes`` and ``collect`` override the
    case's.
    """

    name: str
    role: str
    summary: str
    expectation: Expectation
    environment: Mapping[str, str]
    passes: tuple[str, ...] | None
    collect: str | None


@dataclass(frozen=True)
class Case:
    """One documented item, runnable when it has variants, else its claims alone."""

    id: str
    title: str
    mechanism: str
    claims: tuple[Claim, ...]
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    needs: tuple[str, ...]
    services: tuple[str, ...]
    python: str | None
    watch_files: tuple[str, ...]
    passes: tuple[str, ...] | None
    collect: str | None
    whole_when_quick: bool
    slow: bool
    folder: Path

    @property
    def runnable(self) -> bool:
        """Whether there is code to run; without, the case has only claims."""
        return bool(self.variants)

    @property
    def target(self) -> Path:
        """The script with all variants of the workload."""
        return self.folder / "target.py"

    def missing(self) -> str | None:
        """Why the case cannot run on this machine, in one line; None if it can."""
        if not self.runnable:
            return "cannot be reproduced in code: see its claims"
        return missing_requirement(self.needs, self.services, self.python)

    def variant(self, name: str) -> Variant:
        """The variant of that name; `UsageError` if there is none."""
        if name not in self.variants:
            raise UsageError(
                f"unknown variant of {self.id}: {name}; allowed: {', '.join(self.variants)}"
            )
        return self.variants[name]

    def variants_for(self, *, quick: bool) -> list[str]:
        """The variants a recording of the whole case takes.

        ``quick`` leaves the conditions out: they tell when else it leaks, at twice the time. Not
        where the case is told through them (``whole_when_quick``), or has nothing else.
        """
        main = [name for name, one in self.variants.items() if one.role != "condition"]
        return main if quick and main and not self.whole_when_quick else list(self.variants)

    def values(self, given: Mapping[str, object], *, quick: bool = False) -> dict[str, Value]:
        """All parameters with their values; `UsageError` for an unknown or ill-typed one."""
        for name in given:
            if name not in self.parameters:
                allowed = ", ".join(self.parameters) or "none"
                raise UsageError(f"unknown parameter of {self.id}: {name}; allowed: {allowed}")
        try:
            return {
                name: parameter.parse(given[name])
                if name in given
                else (parameter.quick if quick else parameter.default)
                for name, parameter in self.parameters.items()
            }
        except UsageError as error:
            raise UsageError(f"case {self.id}: {error}") from None

    def record(
        self,
        variant: str | None = None,
        *,
        quick: bool = False,
        fresh: bool = False,
        store: Any = None,
        progress: Any = None,
        python: str | None = None,
        recorded: str = "",
        **parameters: object,
    ) -> Any:
        """Record one variant (a Run), or all of them (a dict of Runs by variant).

        A recording with the same target, parameters and versions is loaded, not made again,
        unless ``fresh``. ``python`` names another interpreter, which has to bring the libraries
        itself. ``recorded`` names a store: its newest runs are taken, and nothing is recorded. A
        recording that was interrupted is the last one. Raises `CaseSkipped` when something the case
        needs is missing, or ``recorded`` has no run of it.

        >>> runs = ll.case("unbounded-cache").record(quick=True)
        >>> runs["before"].verdict()
        """
        from leaklab.catalogue.recording import load_case, record_case

        if recorded:
            return load_case(self, variant, recorded)
        how = {"fresh": fresh, "store": store, "progress": progress, "python": python}
        return record_case(self, variant, parameters, quick=quick, how=how)

    def pair(self, runs: Mapping[str, Run]) -> tuple[Run, Run | None]:
        """Return the run that shows the leak and the one that shows its cure, None for no other.

        Of those that leak, the first in the order before, documented fix, better fix, control,
        other conditions; where none leaks the first of all. The cure is the best fix there is.

        >>> before, after = chosen.pair(runs)
        """
        from leaklab.catalogue.telling import pair

        return pair(self, runs)

    def summary(self, runs: Mapping[str, Run]) -> Sentence:
        """Return what these runs found, in one sentence: `Run.summary` of `pair`."""
        before, after = self.pair(runs)
        return before.summary(after)

    def verdicts(self, runs: Mapping[str, Run]) -> ShownTable:
        """Return each run's verdict with its reason, and whether it is what the case expects.

        A notebook job collects what this shows into its verdict.json.
        """
        from leaklab.catalogue.telling import verdicts_table

        return verdicts_table(self, runs)

    def difference(self, before: str | Run, after: str | Run) -> CodeDifference:
        """Return how the code of one variant differs from another's: the fix.

        Variants by name or by a run of theirs. Raises UsageError for a variant there is not.
        """
        from leaklab.catalogue.telling import difference_text
        from leaklab.present.difference import CodeDifference

        return CodeDifference(difference_text(self, before, after))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Show title and claims; whether these hold is for the figures to say."""
        from leaklab.catalogue.telling import claims_table

        shown = claims_table([self], judged=False)._repr_mimebundle_()
        return {
            "text/plain": f"{self.title}\n\n{shown['text/plain']}",
            "text/html": f"<p><b>{html.escape(self.title)}</b></p>{shown['text/html']}",
        }

    def check(self, runs: Any) -> pd.DataFrame:
        """Expected against measured: DataFrame[variant, resource, expected, measured, ok, note].

        ``runs`` is a Run of this case or a dict of them by variant. ``ok`` is null where the run
        did not measure the figure.
        """
        by_variant = runs if isinstance(runs, Mapping) else {runs.meta["variant"]: runs}
        rows: list[dict[str, Any]] = []
        for name, run in by_variant.items():
            values = self.values({}) | dict(run.meta.get("parameters") or {})
            rows += check_run(name, self.variant(name).expectation, run, values)
        return checked_frame(rows)


@cache
def catalogue() -> Mapping[str, Case]:
    """Every case by id, in order of id. Raises `LeaklabError` for a bad declaration."""
    return {path.parent.name: read_case(path.parent) for path in sorted(FOLDER.glob("*/case.toml"))}


def case(case_id: str) -> Case:
    """Return the case of that id; raises UsageError naming the nearest if there is none.

    >>> [claim.text for claim in ll.case("unbounded-cache").claims]
    """
    path = FOLDER / case_id / "case.toml"
    if case_id != path.parent.name or not path.is_file():
        from difflib import get_close_matches

        known = sorted(path.parent.name for path in FOLDER.glob("*/case.toml"))
        near = get_close_matches(case_id, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "leaklab cases lists them"
        if Path(case_id).is_file():
            hint = f"it is a file: `leaklab show {case_id}` reads it, after -- it is run"
        raise UsageError(f"unknown case: {case_id}; {hint}")
    return read_case(path.parent)


def read_case(folder: Path) -> Case:
    """The declaration in a folder. Raises `LeaklabError` that names file and key."""
    file = f"{folder.name}/case.toml"
    try:
        table = Table(tomllib.loads((folder / "case.toml").read_text(encoding="utf-8")), file)
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise LeaklabError(f"{file}: cannot be read: {error}") from None
    parameters = {
        name: read_parameter(name, below)
        for name, below in table.table("parameters").tables().items()
    }
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    case = Case(
        id=folder.name,
        title=table.required("title", str),
        mechanism=table.required("mechanism", str),
        claims=_read_claims(table),
        parameters=parameters,
        variants={
            name: _read_variant(name, below, defaults)
            for name, below in table.table("variants").tables().items()
        },
        needs=table.strings("needs"),
        services=_known(table, "services", SERVICES),
        python=_python_range(table),
        watch_files=table.strings("watch_files"),
        passes=_known(table, "passes", PASSES) or None,
        collect=table.choice("collect", COLLECT, default="") or None,
        whole_when_quick=table.optional("whole_when_quick", bool) or False,
        slow=table.optional("slow", bool) or False,
        folder=folder,
    )
    table.finish()
    if case.runnable and not case.target.is_file():
        raise table.error("variants", "are declared without a target.py", "add it beside case.toml")
    return case


def _read_claims(table: Table) -> tuple[Claim, ...]:
    values = table.raw("claims")
    if not isinstance(values, list) or not values:
        raise table.error("claims", "are missing", "at least one [[claims]] table")
    claims = []
    for number, value in enumerate(values, start=1):
        below = Table(value, table.file, f"claims.{number}")
        claims.append(
            Claim(
                document=below.choice("document", DOCUMENTS),
                section=below.required("section", str),
                text=below.required("text", str),
                verdict=below.choice("verdict", CLAIM_VERDICTS),
                why=below.required("why", str),
            )
        )
        below.finish()
    return tuple(claims)


def _read_variant(name: str, table: Table, parameters: Mapping[str, Value]) -> Variant:
    environment = table.optional("environment", dict) or {}
    for key, value in environment.items():
        if not isinstance(value, str):
            raise table.error(f"environment.{key}", f"ill-typed value {value!r}", "a string")
    variant = Variant(
        name=name,
        role=table.choice("role", ROLES),
        summary=table.required("summary", str),
        expectation=read_expectation(table.table("expect"), parameters),
        environment=environment,
        passes=_known(table, "passes", PASSES) or None,
        collect=table.choice("collect", COLLECT, default="") or None,
    )
    table.finish()
    return variant


def _known(table: Table, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    names = table.strings(key)
    for name in names:
        if name not in allowed:
            raise table.error(key, f"unknown value {name!r}", f"allowed: {', '.join(allowed)}")
    return names


def _python_range(table: Table) -> str | None:
    text = table.optional("python", str)
    if text is not None:
        try:
            parse_python_range(text)
        except ValueError as error:
            raise table.error("python", f"not a version range: {error}", "e.g. '>=3.12'") from None
    return text
