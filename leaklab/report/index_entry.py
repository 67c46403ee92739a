"""What the site's index says of one case: small, plain values, kept beside the case's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.plots import style
from leaklab.present import choices, units

if TYPE_CHECKING:
    from leaklab.catalogue.model import Case
    from leaklab.results.run import Run

_WIDTH, _HEIGHT, _POINTS = 260, 60, 80


@dataclass(frozen=True)
class IndexEntry:
    """One case in the index.

    resource: what the small curves and the rates are of. variants: name, verdict ("" where not
    recorded), rate as text, colour of its curve.
    """

    id: str
    title: str
    mechanism: str
    claims: list[dict[str, str]]
    resource: str
    variants: list[dict[str, str]]
    curve: str
    missing: str
    page: str | None
    notebook: str | None
    needs: list[str] = field(default_factory=list)  # what it runs on: libraries and services


def index_entry(
    case: Case, runs: Mapping[str, Run], page: str | None = None, notebook: str | None = None
) -> IndexEntry:
    """The entry of a case from its runs by variant (none: its claims alone)."""
    headline = _headline(case, runs)
    return IndexEntry(
        id=case.id,
        title=case.title,
        mechanism=case.mechanism,
        claims=[
            {
                "document": claim.document,
                "section": claim.section,
                "text": claim.text,
                "verdict": claim.verdict,
            }
            for claim in case.claims
        ],
        resource=units.title(*headline) if headline else "",
        variants=[_variant(name, runs, headline) for name in case.variants],
        curve=_small_curves(runs, *headline) if headline else "",
        missing="" if runs else case.missing() or "not recorded yet",
        page=page,
        notebook=notebook,
        needs=[*case.needs, *case.services],
    )


def _headline(case: Case, runs: Mapping[str, Run]) -> tuple[str, str] | None:
    """The resource and role to show a case by: what the before variant leaks, exact ones first."""
    first = sorted(runs, key=lambda name: case.variants[name].role != "before")
    return choices.headline([runs[name].verdict().resources for name in first])


def _small_curves(runs: Mapping[str, Run], resource: str, role: str) -> str:
    """The resource of every variant as a small SVG, growth from each run's first value."""
    from leaklab.analysis.series import resource_series

    lines: list[tuple[str, Any, Any]] = []
    for index, run in enumerate(runs.values()):
        frame = resource_series(run.data, resource, role=role).dropna(subset=["value"])
        if len(frame) > 1:
            x, y = style.thin(frame["x"].to_numpy(float), frame["value"].to_numpy(float), _POINTS)
            lines.append((style.series_colour(index), x, y - y[0]))
    if not lines:
        return ""
    right = max(float(x[-1]) for _, x, _ in lines) or 1.0
    low = min(0.0, *(float(y.min()) for _, _, y in lines))
    high = max(float(y.max()) for _, _, y in lines)
    span = high - low or 1.0
    drawn = []
    for colour, x, y in lines:
        points = np.column_stack(
            [x / right * _WIDTH, _HEIGHT - 4 - (y - low) / span * (_HEIGHT - 8)]
        )
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    growth = units.value_text(resource, high)
    alt = f"{units.title(resource, role)}, {', '.join(runs)}; the largest growth is {growth}"
    return (
        f'<svg role="img" aria-label="{escape(alt, quote=True)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'preserveAspectRatio="none">{"".join(drawn)}</svg>'
    )


def _variant(
    name: str, runs: Mapping[str, Run], headline: tuple[str, str] | None
) -> dict[str, str]:
    if name not in runs:
        return {"name": name, "verdict": "", "rate": "", "colour": ""}
    verdict = runs[name].verdict()
    found = verdict.resource(*headline) if headline else None
    return {
        "name": name,
        "verdict": verdict.verdict,
        "rate": units.pace_text(found) if found else "",
        "colour": style.series_colour(list(runs).index(name)),
    }
