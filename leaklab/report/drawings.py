"""Figures for pages: inline SVG with alt texts, drawn on figures that nothing keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from leaklab import plots
from leaklab.plots import label_growth, resource_curves, retention_paths, style, suspect_sites
from leaklab.plots.growth_curve import name_of
from leaklab.present import label_text, units
from leaklab.present.formatting import holders_worth_showing, named, worth_showing
from leaklab.report.pages import markup

if TYPE_CHECKING:
    from leaklab.plots.protocol import RunLike

# A page stays under 2 MB whatever was recorded; more calls than this are no longer clickable.
TREE_NODE_LIMIT = 40_000
_PARTS_WORTH_A_FIGURE = 3


def growth(runs: Sequence[RunLike], resource: str, role: str = "main") -> Any:
    """Growth of one resource of one role as markup."""
    ax = plots.growth(
        runs, resource, style.detached_axes(height_inches=3.4 + 0.18 * len(runs)), role
    )
    parts = [f"{name_of(run)}: {_says(run, resource, role)}" for run in runs]
    return _svg(ax, f"{units.title(resource, role)} over the run. {'; '.join(parts)}.")


def curves(runs: Sequence[RunLike], drawn: Collection[str] = ()) -> Any:
    """The other resources as markup, without those that are drawn; nothing where none is left."""
    names = [name for name in resource_curves.interesting(runs) if name not in drawn]
    if not names:
        return ""
    ax = style.detached_axes(height_inches=0.7 + resource_curves.PANEL_INCHES * len(names))
    plots.curves(runs, names, ax)
    parts = [
        f"{units.title(name)}: " + ", ".join(f"{name_of(run)} {_says(run, name)}" for run in runs)
        for name in names
    ]
    return _svg(ax, f"Other resources over the run. {'; '.join(parts)}.")


def suspects(run: RunLike) -> Any:
    """The suspects with their curves as markup."""
    table = worth_showing(run).head(8)
    ax = style.detached_axes(9.0, suspect_sites.ROW_INCHES * len(table) + 0.25)
    plots.suspects(run, ax)
    parts = [
        f"{function}, {units.share_text(share)} of the growth"
        for function, share in zip(table["function"], table["share"], strict=True)
    ]
    return _svg(ax, f"Suspects: {'; '.join(parts)}.")


def labels(run: RunLike) -> Any:
    """Growth per call by label as markup; nothing where no unit of work was labelled."""
    table = label_growth.shown_rows(run)
    if not len(table):
        return ""
    ax = style.detached_axes(height_inches=label_growth.height_inches(len(table)))
    plots.labels(run, ax=ax)
    return _svg(ax, f"Growth per call by label. {label_text.sentence(table.to_dict('records'))}.")


def retention(run: RunLike) -> Any:
    """The retention paths as markup."""
    table = holders_worth_showing(run).head(8)
    ax = style.detached_axes(
        retention_paths.WIDTH_INCHES, retention_paths.height_inches(len(table))
    )
    plots.retention(run, ax)
    paths = zip(table["path"], table["growth_count"], strict=True)
    parts = [f"{path}, {units.count_text(count)} more" for path, count in paths]
    return _svg(ax, f"Retention paths: {'; '.join(parts)}.")


def resident_set(run: RunLike) -> tuple[str, Any] | None:
    """What resident memory is made of, as title and markup; None where allocators were not asked.

    Of the processes whose resident memory grows.
    """
    frame = run.resident()
    parts = frame.dropna(subset="bytes")
    last = parts[parts["x"].eq(parts["x"].max())]
    if len(last) < _PARTS_WORTH_A_FIGURE:
        return None
    role = frame.attrs["role"]
    ax = plots.resident_set(run, style.detached_axes(), role)
    said = [
        f"{part} {units.bytes_text(value)}"
        for part, value in zip(last["part"], last["bytes"], strict=True)
    ]
    what = named("Resident memory", role)
    return (
        named("Where resident memory is", role),
        _svg(ax, f"{what} at the end: {', '.join(said)}."),
    )


def tree(tree_or_run: Any, metric: str | None = None) -> tuple[Any, Any]:
    """The allocation tree: the interactive one, and the still one for print; both markup."""
    figure = plots.allocation_tree_html(tree_or_run, metric, node_limit=TREE_NODE_LIMIT)
    return markup(figure.iframe), _svg(figure.still().axes[0], figure.alt)


def _says(run: RunLike, resource: str, role: str = "main") -> str:
    found = run.verdict().resource(resource, role)
    if found is None:
        return "not measured"
    return f"{found.verdict}, {units.paced_rate(found)}"


def _svg(ax: Any, alt: str) -> Any:
    return markup(style.svg(style.figure_of(ax), alt))
