"""What a case expects of a run, and the comparison with what was measured.

Expectations never feed a verdict: the runs are judged first, then held against the declaration.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from leaklab import resources
from leaklab.catalogue.declared import Declared, Named, PythonRange
from leaklab.catalogue.expressions import evaluate
from leaklab.catalogue.parameters import Value
from leaklab.catalogue.requirements import python_matches
from leaklab.errors import UsageError
from leaklab.present.untraced import untraced_text

if TYPE_CHECKING:
    import pandas as pd

SUSPECTS_READ_COUNT = 3
HEAP = "heap_bytes"
EXACT_RELATIVE = 1e-6  # floating point dust in the estimate of an exact count
COLUMNS = ["variant", "resource", "expected", "measured", "ok", "note"]


Judged = Literal["leak", "bounded", "inconclusive"]


def _figure(value: object) -> str | float | None:
    if type(value) not in (int, float, str, type(None)):
        raise ValueError(f"ill-typed value {value!r}; a number or an expression over parameters")
    return value  # type: ignore[return-value]


Figure = Annotated[str | float | None, BeforeValidator(_figure)]


class ResourceExpectation(Declared):
    """What one resource of one variant should do.

    ``rate`` (per mark), ``last`` and ``at_most`` (bound of the last value) are numbers or
    expressions over the parameters; ``tolerance`` is relative, 0 means exact. ``role`` names the
    processes meant (None: the started one). Where the figure depends on the interpreter,
    ``python`` says for which versions it is expected, and ``note`` why.
    """

    name: str
    verdict: Judged | None = None
    rate: Figure = None
    last: Figure = None
    at_most: Figure = None
    tolerance: float = Field(0.0, ge=0, lt=1)
    role: str | None = None
    python: PythonRange | None = None
    note: str = ""

    @model_validator(mode="after")
    def _is_judged(self) -> Self:
        try:
            resources.check_name(self.name)
        except UsageError as error:
            raise ValueError(str(error)) from None
        row = resources.find(self.name)
        if row is None or row.material is None:
            allowed = ", ".join((*resources.judged_names(), *resources.family_prefixes()))
            raise ValueError(f"gets no verdict: {self.name}; allowed: {allowed}")
        return self

    def figures(self) -> dict[str, str | float]:
        """Return the figures that are expected, by name."""
        figures = {"rate": self.rate, "last": self.last, "at_most": self.at_most}
        return {name: figure for name, figure in figures.items() if figure is not None}


class Expectation(Declared):
    """What one variant's run should show: its verdict, who allocates, who keeps, and resources."""

    verdict: Judged | None = None
    suspect: str | None = None
    holder: str | None = None
    note: str = ""
    resources: Named[ResourceExpectation] = Field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What a report says of a heap leak on one row: where allocated, kept by what, how fast.

    ``functions`` is empty where no allocation site was found for what is kept; ``rate`` is in
    bytes per ``unit``.
    """

    path: str
    functions: tuple[str, ...]
    rate: float
    unit: str


def kept_row(holder: str, run: Any) -> Kept | None:
    """The first row of ``run.retention()`` whose path goes through ``holder``; None without one."""
    paths = run.retention()
    suspects = run.suspects()
    sites = {
        (role, int(rank)): str(function)
        for role, rank, function in zip(
            suspects["role"], suspects["rank"], suspects["function"], strict=True
        )
    }
    for row in paths.to_dict("records"):
        if holder in str(row["path"]):
            found = [sites.get((row["role"], int(rank))) for rank in row["suspect_ranks"]]
            functions = tuple(dict.fromkeys(name for name in found if name is not None))
            return Kept(str(row["path"]), functions, float(row["rate"]), str(row["unit"]))
    return None


def check_run(
    variant: str, expectation: Expectation, run: Any, parameters: Mapping[str, Value]
) -> list[dict[str, Any]]:
    """Rows (see `COLUMNS`) comparing one judged run with what its variant expects.

    ``ok`` is None where the run did not measure the figure, or the expectation is for another
    Python: nothing was refuted, nothing confirmed.
    """
    verdict = run.verdict()
    rows = []
    if expectation.verdict is not None:
        ok = verdict.verdict == expectation.verdict
        note = expectation.note or verdict.reason
        rows.append(_row(variant, "verdict", expectation.verdict, verdict.verdict, ok, note))
    if expectation.suspect is not None:
        rows.append(_suspect_row(variant, expectation.suspect, run, _why_unseen(run.meta, verdict)))
    if expectation.holder is not None:
        rows.append(_holder_row(variant, expectation.holder, run))
    for wanted in expectation.resources.values():
        rows.extend(_resource_rows(variant, wanted, verdict, run.meta, parameters))
    return rows


def checked_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of `check_run` as a DataFrame; ``ok`` is a nullable boolean."""
    import pandas as pd

    return pd.DataFrame(rows, columns=COLUMNS).astype({"ok": "boolean"})


def _row(
    variant: str, resource: str, expected: str, measured: str, ok: bool | None, note: str
) -> dict[str, Any]:
    return dict(zip(COLUMNS, (variant, resource, expected, measured, ok, note), strict=True))


def _why_unseen(meta: Mapping[str, Any], verdict: Any) -> str:
    """Say why no line could have been seen to allocate; "" where one could."""
    if not any(record.get("traced") for record in meta.get("passes", [])):
        why = untraced_text(meta)
        return f"the run was not traced{': ' * bool(why)}{why}"
    heaps = [one for one in verdict.resources if one.name == HEAP]
    return "" if any(map(_judged, heaps)) or not heaps else f"the heap {heaps[0].reason}"


def _judged(found: Any) -> bool:
    """Whether a resource was more than listed: a heap traced for a share of a time without marks
    is not."""
    return bool(found.decides or found.verdict != "inconclusive")


def _suspect_row(variant: str, wanted: str, run: Any, why_unseen: str) -> dict[str, Any]:
    functions = list(run.suspects()["function"].head(SUSPECTS_READ_COUNT))
    if why_unseen and wanted not in functions:
        return _row(variant, "suspect", wanted, ", ".join(functions), None, why_unseen)
    return _row(
        variant,
        "suspect",
        wanted,
        ", ".join(functions),
        wanted in functions,
        f"first {SUSPECTS_READ_COUNT} suspects",
    )


def _holder_row(variant: str, wanted: str, run: Any) -> dict[str, Any]:
    paths = [str(path) for path in run.retention()["path"]]
    if not paths:
        return _row(variant, "holder", wanted, "", None, "no object graph in the run")
    found = next((path for path in paths if wanted in path), None)
    return _row(variant, "holder", wanted, found or paths[0], found is not None, "retention path")


def _resource_rows(
    variant: str,
    wanted: ResourceExpectation,
    verdict: Any,
    meta: Mapping[str, Any],
    parameters: Mapping[str, Value],
) -> list[dict[str, Any]]:
    role = wanted.role or "main"
    if not python_matches(wanted.python, _python_version(meta)):
        note = f"expected on Python {wanted.python} only"
        return [_row(variant, wanted.name, "", "", None, note)]
    found = next((r for r in verdict.resources if r.name == wanted.name and r.role == role), None)
    if found is None:
        why = untraced_text(meta, role) if wanted.name == HEAP else ""
        note = f"not measured in {role}{'; ' * bool(why)}{why}"
        return [_row(variant, wanted.name, wanted.verdict or "", "", None, note)]
    rows = []
    if wanted.verdict is not None:
        rows.append(
            _row(
                variant,
                wanted.name,
                wanted.verdict,
                found.verdict,
                found.verdict == wanted.verdict if _judged(found) else None,
                wanted.note or found.reason,
            )
        )
    for key, figure in wanted.figures().items():
        measured = found.rate if key == "rate" else found.last
        rows.append(_figure_row(variant, wanted, key, evaluate(figure, parameters), measured))
    return rows


def _python_version(meta: Mapping[str, Any]) -> list[int]:
    """The version of the interpreter that ran the target."""
    found = (record.get("python") for record in meta.get("processes", []))
    text = next(filter(None, found), None) or meta.get("versions", {}).get("python", "")
    return [int(part) for part in re.findall(r"\d+", text)[:3]]


def _figure_row(
    variant: str, wanted: ResourceExpectation, key: str, expected: float, measured: float | None
) -> dict[str, Any]:
    name = f"{wanted.name} {key}"
    allowed = f"{expected:,.6g}" + (f" ± {wanted.tolerance:.0%}" if wanted.tolerance else "")
    if measured is None or math.isnan(measured):
        return _row(variant, name, allowed, "", None, "not measured")
    slack = max(wanted.tolerance, EXACT_RELATIVE) * abs(expected) or EXACT_RELATIVE
    difference = measured - expected
    ok = (difference if key == "at_most" else abs(difference)) <= slack
    return _row(variant, name, allowed, f"{measured:,.6g}", ok, wanted.note)
