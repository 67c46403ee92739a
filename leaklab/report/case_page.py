"""The page of one documented case: what was claimed, what was measured, and the fix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.present import units
from leaklab.report import drawings
from leaklab.report.code import code_css, highlighted_difference
from leaklab.report.index_entry import index_entry
from leaklab.report.pages import render, write_page
from leaklab.report.run_view import run_view, table_rows
from leaklab.resources import is_memory, judged_names

if TYPE_CHECKING:
    from leaklab.catalogue.model import Case
    from leaklab.results.run import Run

_GROWTH_FIGURES = 3
_COLUMNS = 5  # of a table that fits the page
_DIFFERENCES = 6


def render_case(
    case: Case,
    runs: Mapping[str, Run],
    out_dir: str | Path,
    confidential: bool = False,
    notebook: str | None = None,
    index: str | None = "../index.html",
) -> Path:
    """Write the page of a case, ``out_dir/<case id>.html``, and beside it its index entry.

    ``runs``: by variant; any may be missing. ``notebook`` and ``index``: addresses of the notebook
    that tells the case and of the site's index, relative to the page (None: no link).
    """
    if confidential:
        from leaklab.report.confidential import without_secrets

        files: dict[str, str] = {}  # one name in all variants: their trees are compared
        runs = {name: without_secrets(run, files) for name, run in runs.items()}
    ordered = {name: runs[name] for name in case.variants if name in runs}
    columns = _resources(ordered)[:_COLUMNS]
    views = {name: run_view(run, figures=False) for name, run in ordered.items()}
    drawn = {name for name, role in columns[:_GROWTH_FIGURES] if role == "main"}
    values: dict[str, Any] = {
        "case": case,
        "missing": case.missing() if not ordered else None,
        "notebook": notebook,
        "index": index,
        "columns": [units.title(name, role) for name, role in columns],
        "variants": [_variant(case, name, ordered.get(name), columns) for name in case.variants],
        "runs": list(views.values()),
        "growth": [
            drawings.growth(list(ordered.values()), name, role)
            for name, role in columns[:_GROWTH_FIGURES]
        ],
        "curves": drawings.curves(list(ordered.values()), drawn) if ordered else "",
        "checks": _checks(case, ordered),
        "differences": [] if confidential else _differences(case),
        "code_css": code_css(),
        **_main_run(case, ordered, views),
    }
    folder = Path(out_dir)
    page = write_page(folder / f"{case.id}.html", render("case.html.j2", case.title, **values))
    entry = index_entry(case, ordered, page=page.name, notebook=notebook)
    write_page(folder / f"{case.id}.json", json.dumps(asdict(entry)))
    return page


def _resources(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """The resources (name, role) the case is about: those some variant leaks, and main's memory."""
    leaked: dict[tuple[str, str], bool] = {}
    for run in runs.values():
        for entry in run.verdict().resources:
            key = (entry.name, entry.role)
            leaked[key] = leaked.get(key, False) or entry.verdict == "leak"
    memory = {(name, "main") for name in judged_names() if is_memory(name)}
    # Gauges are the target's own account of what it keeps; they explain, but do not lead.
    return sorted(
        (key for key in leaked if leaked[key] or key in memory),
        key=lambda key: (key[0].startswith("gauge:"), not leaked[key]),
    )


def _variant(
    case: Case, name: str, run: Run | None, columns: list[tuple[str, str]]
) -> dict[str, Any]:
    cells = []
    for resource, role in columns:
        found = run.verdict().resource(resource, role) if run is not None else None
        text = (units.pace_text(found) or "-") if found else ""
        cells.append({"text": text, "verdict": found.verdict if found else ""})
    return {
        "name": name,
        "summary": case.variants[name].summary,
        "verdict": run.verdict().verdict if run is not None else "",
        "cells": cells,
    }


def _main_run(
    case: Case, runs: Mapping[str, Run], views: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """The run the page looks into (the leak), and its tree beside that of the best fix."""
    by_role = {
        role: [name for name in runs if case.variants[name].role == role]
        for role in ("before", "better_fix", "documented_fix")
    }
    chosen = next(iter(by_role["before"] or runs), None)
    if chosen is None:
        return {"run": None, "tree": "", "tree_still": "", "tree_difference": ""}
    run = runs[chosen]
    fix = next(iter(by_role["better_fix"] or by_role["documented_fix"]), None)
    view = views[chosen]
    tree: Any = run
    fixed = runs[fix].tree(run.heap_role) if fix is not None else None
    if fixed is not None and len(run.tree().nodes) > 1 and len(fixed.nodes) > 1:
        from leaklab.findings.tree import difference

        tree = difference(run.tree(), fixed)
    interactive, still = drawings.tree(tree) if len(run.tree().nodes) > 1 else ("", "")
    figures = {
        "suspects_figure": drawings.suspects(run) if view["suspects"] else "",
        "retention_figure": drawings.retention(run) if view["retention"] else "",
    }
    return {
        "run": view | figures,
        "tree": interactive,
        "tree_still": still,
        "tree_difference": fix if tree is not run else "",
    }


def _checks(case: Case, runs: Mapping[str, Run]) -> list[dict[str, str]]:
    if not runs:
        return []
    rows = table_rows(case.check(dict(runs)))
    words = {True: "yes", False: "no"}
    return [
        {name: "" if row[name] is None else str(row[name]) for name in row}
        | {"ok": words.get(row["ok"], "not measured")}
        for row in rows
    ]


def _differences(case: Case) -> list[dict[str, Any]]:
    if not case.runnable:
        return []
    from leaklab.catalogue.variant_source import code_difference

    source = case.target.read_text(encoding="utf-8")
    roles = {name: variant.role for name, variant in case.variants.items()}
    first = next((n for n, role in roles.items() if role == "before"), next(iter(roles)))
    order = ("documented_fix", "better_fix", "condition", "control", "before")
    others = sorted((n for n in roles if n != first), key=lambda n: order.index(roles[n]))
    found = []
    for name in others[:_DIFFERENCES]:
        unified = code_difference(source, first, name)
        if unified:
            summary = case.variants[name].summary
            html = highlighted_difference(unified)
            found.append({"before": first, "after": name, "summary": summary, "html": html})
    return found
