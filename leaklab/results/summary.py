"""What a run found, in one sentence made from its own figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from leaklab.analysis.series import HEAP, resource_series
from leaklab.findings.origins import DESCRIPTORS
from leaklab.plots.protocol import RunLike
from leaklab.present import choices, units
from leaklab.present.bundle import site_text
from leaklab.present.formatting import holder_doubt, holders_worth_showing, rate_text

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.verdict.judge import ResourceVerdict


class Named(RunLike, Protocol):
    """A run with a name."""

    @property
    def label(self) -> str:
        """Its name and variant."""


def summary(run: Named, after: Named | None = None) -> str:
    """See :meth:`leaklab.results.run.Run.summary`."""
    verdict = run.verdict()
    if verdict.verdict != "leak":
        said = [f"{run.label} is {verdict.verdict}: {verdict.reason}"]
        return "; ".join([*said, *_effects(after, [])]) + "."
    leaking = [
        entry
        for name, role in choices.headlines(verdict.resources)
        if (entry := verdict.resource(name, role)) is not None
    ]
    grows = " and ".join(f"{_title(e)} by {_rate(run, e, e.rate)}" for e in leaking)
    rows = _lines(run, leaking)
    parts = [f"{run.label} leaks: {grows}", _made(rows), *_kept(run, rows)]
    return "; ".join([*parts, *_effects(after, leaking)]) + "."


def _title(entry: ResourceVerdict) -> str:
    return units.title(entry.name, entry.role)


def _rate(run: Named, entry: ResourceVerdict, rate: float) -> str:
    x = resource_series(run.data, entry.name, role=entry.role)["x"]
    return rate_text(entry.name, rate, entry.unit, float(x.max() - x.min()) if len(x) else 0.0)


def _lines(run: Named, leaking: list[ResourceVerdict]) -> pd.DataFrame:
    """The lines to blame: those that made what is counted, else those that allocate."""
    names = {DESCRIPTORS if one.name == "socket_count" else one.name for one in leaking}
    made = run.origins()
    made = made[made["resource"].isin(names) & made["role"].isin({one.role for one in leaking})]
    if len(made):
        return made
    resources = run.verdict().resources
    grows = {one.role for one in resources if one.name == HEAP and one.verdict == "leak"}
    suspects = run.suspects()
    # Where the heap is bounded, what hardly grows in it is not what leaks.
    return suspects[suspects["role"].isin(grows)]


def _made(rows: pd.DataFrame) -> str:
    if not len(rows):
        return "which line makes it was not recorded"
    row = rows.iloc[0].to_dict()
    source = row["source"].strip() if isinstance(row.get("source"), str) else ""
    text = f" `{source}`" if source and "`" not in source else ""
    return f"made in {site_text(row)}{text}"


def _kept(run: Named, rows: pd.DataFrame) -> Iterator[str]:
    paths = holders_worth_showing(run)
    of_lines = "retained_by" in rows
    ranks = {int(rank) for rank in rows["rank"].head(1)} if of_lines else set()
    mine = [
        path
        for path in paths.to_dict("records")
        if not ranks or ranks & {int(rank) for rank in path["suspect_ranks"]}
    ]
    if not mine:
        return
    doubt = holder_doubt(mine[0], float(rows["rate"].iloc[0]) if of_lines else 0.0)
    holder = str(mine[0]["path"]).removeprefix("held by ").replace("`", "")
    yield f"{doubt}kept by `{holder}`"


def _effects(after: Named | None, leaking: list[ResourceVerdict]) -> Iterator[str]:
    """Yield what became of each resource in ``after``."""
    if after is None:
        return
    name = after.meta.get("variant") or after.label
    if not leaking:
        yield f"{name} is {after.verdict().verdict}"
    for entry in leaking:
        found = after.verdict().resource(entry.name, entry.role)
        of = f"{_title(entry)}: " if len(leaking) > 1 else ""
        yield f"with {name} {of}{_effect(after, found)}"


def _effect(run: Named, entry: ResourceVerdict | None) -> str:
    if entry is None:
        return "not measured"
    if entry.verdict == "bounded":
        known = math.isfinite(entry.excluded)
        most = f", at most {_rate(run, entry, entry.excluded)} (95 %)" if known else ""
        return f"bounded{most}"
    if entry.verdict == "leak":
        return f"it still leaks, {_rate(run, entry, entry.rate)}"
    return f"undecided: it {entry.reason}"
