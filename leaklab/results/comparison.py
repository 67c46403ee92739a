"""Does the fix work? Two runs, resource by resource and site by site."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.analysis.series import HEAP
from leaklab.errors import LeaklabError
from leaklab.results.circumstances import circumstances, circumstances_text
from leaklab.results.compared_holders import compared_holders
from leaklab.results.compared_resources import Side, compared_resources
from leaklab.results.compared_sites import compared_sites
from leaklab.results.moved_sites import as_of_before
from leaklab.results.outcomes import FIXED, IMPROVED, UNCHANGED, WORSE
from leaklab.verdict.failures import new_failure
from leaklab.verdict.judge import BOUNDED, INCONCLUSIVE, LEAK, Verdict, judge
from leaklab.verdict.resident import EXPLAINED_SHARE
from leaklab.verdict.resources import title

if TYPE_CHECKING:
    from leaklab.store import RunData

_Row = dict[Any, Any]
# What a file of another tool does not say cannot be held against it.
_PERHAPS_UNKNOWN = ("interpreter", "platform")


@dataclass(frozen=True, repr=False)
class Comparison:
    """What changed between two runs of one workload.

    resources: name, role, before_verdict, after_verdict, before_rate, after_rate, ratio (after by
    before), unit, outcome, reason, before_unit, after_unit, before_span, after_span (how much of x
    the rate was seen over); what one run has not measured has the verdict "not measured" there,
    what was not there (a process, say) "not there", and no rate.
    sites: fingerprint, function, file, line, before_rate, after_rate, outcome, role, before_unit,
    after_unit, before_most, after_most (rates in bytes per unit; 0 where the site does not keep
    growing, by more than the most where that is not 0: the heap was not decided, but excludes more;
    NaN where it was not measured or does not exclude it, or there was no such process). holders:
    accumulation_point, holder_type, type, and the same columns from before_rate on, of what objects
    pile up in; empty where neither run has two object graphs. runs: name, state and passes of both,
    in one line. circumstances: the same as data, and the verdict of each, by "before" and "after".
    """

    outcome: str
    reason: str
    resources: pd.DataFrame = field(compare=False)
    sites: pd.DataFrame = field(compare=False)
    holders: pd.DataFrame = field(compare=False)
    runs: str = field(default="", compare=False)
    circumstances: dict[str, Any] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        return f"<Comparison: {self.outcome}: {self.reason}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from leaklab.present.bundle import comparison_bundle

        return comparison_bundle(self)


def compare(
    before: RunData, after: RunData, verdicts: tuple[Verdict, Verdict] | None = None
) -> Comparison:
    """Compare two runs; LeaklabError where their difference would not come from the code.

    ``verdicts``: theirs, where they are known already.
    """
    refuse_incomparable(before.meta, after.meta)
    first, second = verdicts or (judge(before), judge(after))
    sides = Side("before", before, first), Side("after", after, second)
    resources = compared_resources(*sides)
    deciding = _deciding(resources, *sides)
    outcome, reason = _borne_out(*_of_resources(deciding), deciding, *sides)
    roles = sides[0].roles, sides[1].roles
    found = {side.label: circumstances(side.data, side.verdict) for side in sides}
    sites = compared_sites(first, as_of_before((before.meta, first), (after.meta, second)), roles)
    return Comparison(
        outcome,
        reason + _taken_over(outcome, sites),
        resources,
        sites,
        compared_holders(before, after, roles),
        "; ".join(f"{label}: {circumstances_text(one)}" for label, one in found.items()),
        found,
    )


def refuse_incomparable(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise LeaklabError naming the first thing that must agree between two runs and does not."""
    for key, found in (
        ("name", lambda meta: meta.get("name")),
        ("parameters", lambda meta: meta.get("parameters") or {}),
        ("interpreter", lambda meta: _minor(meta)),
        ("platform", lambda meta: (meta.get("platform") or {}).get("system")),
    ):
        one, other = found(before), found(after)
        if key in _PERHAPS_UNKNOWN and None in (one, other):
            continue
        if key == "name" and (
            _named_by_file(before) or _named_by_file(after) or _same_command(before, after)
        ):
            continue
        if one != other:
            advice = (
                "record both with one --name, and --variant before and --variant after"
                if key == "name"
                else "record both with the same workload, parameters and interpreter"
            )
            raise LeaklabError(
                f"the runs may not be compared: {key} differs: {one} and {other}; {advice}"
            )


def _same_command(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two runs are recordings of one command line, whatever they were called."""
    one, other = (
        [(meta.get("command") or {}).get(key) for key in ("argv", "kind")] + [meta.get("case")]
        for meta in (before, after)
    )
    return bool(one[0]) and one == other


def _named_by_file(meta: dict[str, Any]) -> bool:
    """Whether a run has the name of a file it was imported from, which is none of a workload.

    Whoever names two of them says that they are of one, as of the files themselves.
    """
    imported = "import" in meta or "capture" in (meta.get("command") or {})
    return imported and not meta.get("name_given")


def _minor(meta: dict[str, Any]) -> str | None:
    version = (meta.get("versions") or {}).get("python")
    return ".".join(str(version).split(".")[:2]) if version else None


def _of_resources(resources: pd.DataFrame) -> tuple[str, str]:
    """The whole outcome by what decides: a leak that got worse counts before one that was fixed."""
    rows = resources.to_dict("records")
    settled = [row for row in rows if _settled(row, rows)]
    for outcome, asked in ((WORSE, rows), (INCONCLUSIVE, [r for r in rows if r not in settled])):
        if found := [row for row in asked if row["outcome"] == outcome]:
            return outcome, f"{_titles(found)[0]}: {found[0]['reason']}"
    still = [row for row in rows if row["after_verdict"] == LEAK]
    # A helper that is only listed in one run decides nothing there, and so nothing here.
    open_ = [row for row in rows if row["outcome"] != UNCHANGED]
    undecided = [row for row in open_ if INCONCLUSIVE in _verdicts(row)]
    left = _left(_titles(still), _titles(undecided))
    gone = _titles([row for row in rows if row["outcome"] == FIXED])
    better = _titles([row for row in rows if row["outcome"] == IMPROVED])
    if gone and not still and all(row in settled for row in undecided):
        return FIXED, f"{', '.join(gone)}: leaked before, bounded after{left}"
    if gone or better:
        return IMPROVED, f"{', '.join([*gone, *better])}: better{left}"
    return UNCHANGED, f"no resource changed its verdict or its rate{left}"


def _deciding(resources: pd.DataFrame, *sides: Side) -> pd.DataFrame:
    """All but gauges, one of which may count requests, unless a run's own verdict rests on it."""
    names = resources["name"].astype(str)
    resting = {entry.name for side in sides for entry in side.verdict.resources if entry.decides}
    return resources[~names.str.startswith("gauge:") | names.isin(resting)]


def _settled(row: _Row, rows: list[_Row]) -> bool:
    """Whether a row is undecided resident memory of a process whose heap, which is exact, leaked,
    is decided in both runs or clearly grows less in one, and explains what leak of resident memory
    there was: it tells of a fix. Of memory that is taken behind the tracer's back it does not."""
    if row["name"] != "rss_bytes" or INCONCLUSIVE not in _verdicts(row):
        return False
    heaps = [one for one in rows if one["name"] == HEAP and one["role"] == row["role"]]
    return any(
        LEAK in _verdicts(heap)
        and (heap["outcome"] == IMPROVED or all(one in (LEAK, BOUNDED) for one in _verdicts(heap)))
        and all(
            row[f"{side}_verdict"] != LEAK
            or (
                heap[f"{side}_verdict"] == LEAK
                and heap[f"{side}_unit"] == row[f"{side}_unit"]
                and heap[f"{side}_rate"] >= EXPLAINED_SHARE * row[f"{side}_rate"]
            )
            for side in ("before", "after")
        )
        for heap in heaps
    )


def _verdicts(row: _Row) -> tuple[str, str]:
    return row["before_verdict"], row["after_verdict"]


def _left(still: list[str], undecided: list[str]) -> str:
    text = f"; {', '.join(still)} still grow{'s' if len(still) == 1 else ''}" if still else ""
    return text + (f"; not decided: {', '.join(undecided)}" if undecided else "")


def _titles(rows: list[_Row]) -> list[str]:
    return [title(str(row["name"]), str(row["role"])) for row in rows]


def _taken_over(outcome: str, sites: pd.DataFrame) -> str:
    """Say that what leaked most is gone and what leaks most is new: one leak for another, which
    the rate of a resource does not tell from a fix that does nothing."""
    if outcome in (FIXED, INCONCLUSIVE) or not len(sites):
        return ""
    known = sites.fillna({"before_rate": 0.0, "after_rate": 0.0}).to_dict("records")
    gone = max(known, key=lambda site: float(site["before_rate"]))
    new = max(known, key=lambda site: float(site["after_rate"]))
    # A function in a file that has moved is no other one.
    moved = gone["function"] == new["function"]
    if moved or gone["outcome"] != FIXED or new["outcome"] != WORSE or new["before_rate"] != 0:
        return ""
    was, now = (f"{one['function']} ({one['file']}:{one['line']})" for one in (gone, new))
    return f"; one leak for another: {was} leaks no more, {now} does instead"


def _borne_out(
    outcome: str, reason: str, resources: pd.DataFrame, before: Side, after: Side
) -> tuple[str, str]:
    """Outcome and reason, as far as the runs bear them out: how they ended, and their verdicts.

    A target that failed has not done the work that would prove a fix; a leak that it shows all the
    same is one.
    """
    if outcome == WORSE:
        return outcome, reason
    failed = new_failure(before.data, after.data)
    if failed is not None:
        failed = f"only in after: {failed}"
        if outcome == UNCHANGED and after.verdict.verdict == LEAK:
            return outcome, f"{reason}; {failed}"
        return INCONCLUSIVE, f"{failed}; as far as it came: {reason}"
    if outcome == INCONCLUSIVE:
        return outcome, reason
    for side in (after, before):
        # Where all that was seen decides nothing, a run is judged by it, and no row tells of it.
        said = side.verdict.verdict
        if said != BOUNDED and not (resources[f"{side.label}_verdict"] == said).any():
            return INCONCLUSIVE, f"{side.label}: {side.verdict.reason}"
    return outcome, reason
