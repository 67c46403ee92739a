"""The catalogue: one folder a documented item, with case.toml and (where it can run) target.py."""

from __future__ import annotations

import html
import inspect
from collections.abc import Mapping
from functools import cache
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from leaklab.catalogue.declared import Declared, Listed, Named, PythonRange, first_problem, given
from leaklab.catalogue.expectations import (
    Expectation,
    ResourceExpectation,
    check_run,
    checked_frame,
)
from leaklab.catalogue.expressions import evaluate
from leaklab.catalogue.harness import case_table, is_free
from leaklab.catalogue.parameters import Parameter, Value
from leaklab.catalogue.requirements import missing_requirement
from leaklab.errors import LeaklabError, UsageError
from leaklab.present.choices import Role
from leaklab.store.location import NO_VARIANT

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.difference import CodeDifference, Sentence
    from leaklab.present.table import Table
    from leaklab.results.run import Run

FOLDER = Path(__file__).parent.parent / "cases"

Pass = Literal["measure", "explain", "graph"]
Collect = Literal["auto", "always", "never"]


class Claim(Declared):
    """What a document says (in our words), and what the measurement says about that."""

    document: Literal["000", "001", "002", "003", "004"]
    section: str
    text: str
    verdict: Literal["right", "wrong", "incomplete", "untestable"]
    why: str


class Variant(Declared):
    """One form of a case's workload; ``role`` says what it stands for in the comparison.

    ``environment`` is added to the target's environment; ``passes`` and ``collect`` override the
    case's.
    """

    name: str
    role: Role
    summary: str
    expectation: Expectation = Field(Expectation(), alias="expect")
    environment: dict[str, str] = Field(default_factory=dict)
    passes: Listed[Pass] = ()
    collect: Collect | None = None


class Case(Declared):
    """One documented item, runnable when it has variants, else its claims alone."""

    id: str
    folder: Path
    title: str
    mechanism: str
    claims: Annotated[Listed[Claim], Field(min_length=1)]
    parameters: Named[Parameter] = Field(default_factory=dict)
    variants: Named[Variant] = Field(default_factory=dict)
    needs: Listed[str] = ()
    services: Listed[Literal["postgres", "valkey", "node"]] = ()
    python: PythonRange | None = None
    watch_files: Listed[str] = ()
    passes: Listed[Pass] = ()
    collect: Collect | None = None
    whole_when_quick: bool = False
    slow: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.runnable and not self.target.is_file():
            raise ValueError("variants: are declared without a target.py; add it beside case.toml")
        self._check_names()
        for variant in self.variants.values():
            for resource in variant.expectation.resources.values():
                self._check_resource(f"variants.{variant.name}.expect.resources", resource)
        return self

    def _check_names(self) -> None:
        """Refuse a name that is given to something else, or is none in Python or in the store."""
        taken = set(inspect.signature(type(self).record).parameters)
        for name in self.parameters:
            if not name.isidentifier() or iskeyword(name):
                raise ValueError(f"parameters.{name}: no name; letters, digits and _ are allowed")
            if name in taken or not is_free(name):
                raise ValueError(f"parameters.{name}: means something else; choose another name")
        for name in self.variants:
            if not name.isidentifier():
                raise ValueError(f"variants.{name}: no name; letters, digits and _ are allowed")
            if name == NO_VARIANT:
                raise ValueError(f"variants.{name}: is what no variant is called; choose another")

    def _check_resource(self, place: str, resource: ResourceExpectation) -> None:
        family, _, file = resource.name.partition(":")
        if family == "file_bytes" and file not in self.watch_files:
            watched = ", ".join(self.watch_files) or "none"
            raise ValueError(f"{place}.{resource.name}: is none of the watch_files: {watched}")
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        for name, figure in resource.figures().items():
            try:
                evaluate(figure, defaults)
            except LeaklabError as error:
                raise ValueError(
                    f"{place}.{resource.name}.{name}: {error}; see the case's parameters"
                ) from None

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
                name: parameter.value(given[name])
                if name in given
                else parameter.at_size(quick=quick)
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

    def verdicts(self, runs: Mapping[str, Run]) -> Table:
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
        return Case.model_validate(given(case_table(folder), id=folder.name, folder=folder))
    except ValidationError as error:
        raise LeaklabError(f"{file}: {first_problem(error, Case)}") from None
    except (ValueError, OSError) as error:
        raise LeaklabError(f"{file}: cannot be read: {error}") from None
