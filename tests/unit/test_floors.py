"""Arrows point down: every import of own modules, also those inside functions and for types.

A floor may use the floors below it and rooms of its own floor, as long as no circle comes of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import leaklab

PACKAGE = Path(leaklab.__file__).parent
# From the ground up. Adding a room: give it a floor here; what it may import follows.
FLOORS = (
    (
        "arguments",
        "errors",
        "version",
        "scratch",
        "quantities",
        "resources",
        "probe",
        "late_grammars",
        "end_signals",
        "whole_file",
        "last_words",
    ),
    ("present", "store", "object_graph"),
    ("analysis",),
    ("verdict",),
    ("findings",),
    ("results", "plots", "recorder", "importers"),
    ("recordings", "objgraph_picture"),
    ("holders",),
    ("kernel_audit",),
    ("code_audit",),
    ("catalogue",),
    ("report",),
    ("jobs", "jupyter", "pytest_plugin", "watch", "doctor"),
    ("door",),
    ("cli",),
    ("__main__",),
)
# Imports inside functions are for start-up time or for optional parts; where, and why there.
LATE = {
    "__main__": "whoever interrupts the imports of the command line is told so in one line",
    "analysis": "pandas' own parts and scipy are loaded by the analysis that needs them",
    "catalogue": "listing cases loads neither a recorder nor a server",
    "code_audit": "source alone is audited without pandas, a recorder or a run",
    "cli": "`leaklab --help` loads no command but the one that was asked for",
    "doctor": "it says what is missing, so it cannot need it",
    "findings": "scipy and rustworkx are loaded by the finding that needs them",
    "importers": "a format loads pandas, memray or a recorder's reader once a file is its own",
    "jobs": "the parent of forked jobs decides what is loaded before the fork",
    "jupyter": "`%load_ext leaklab` is quick; IPython is an optional part",
    "kernel_audit": "the kernel keeps a table: what analyses the graph is loaded beside it",
    "objgraph_picture": "objgraph is loaded by who wants its picture",
    "object_graph": "rustworkx is loaded once there is a graph",
    "plots": "matplotlib's widgets are loaded by the figure that needs them",
    "present": "IPython is there only in a kernel",
    "probe": "inside a target nothing is loaded before it is needed",
    "pytest_plugin": "a suite that asks for nothing pays for nothing but the plugin's first page",
    "recorder": "memray and psutil's parts are loaded by the pass that needs them",
    "recordings": "`import leaklab` and loading a recording need no recorder",
    "report": "jinja2, nbconvert and pygments are loaded by the page that needs them",
    "results": "a run is opened before anybody asks for its verdict",
    "store": "pyarrow and fsspec are loaded by the store that needs them",
    "verdict": "scipy is loaded by the estimate that needs it",
    "door": "nothing that the service does not need is loaded into it",
    "watch": "psutil is loaded once there is a process to follow",
    "holders": "the walk needs no pandas in the process that it walks",
    "": "`import leaklab` costs a program under investigation next to nothing",
}


def own_modules() -> dict[str, Path]:
    """Return every module of leaklab by its dotted name below the package; cases are data."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in ("cases", "notebooks") and "bootstrap" not in parts:
            found[".".join(parts).removesuffix("__init__").rstrip(".")] = path
    return found


MODULES = own_modules()


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the own modules that a file imports, and whether inside a function."""
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), False)]
    while waiting:
        node, inside = waiting.pop()
        inside |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        below = ast.iter_child_nodes(node)
        waiting += [(child, inside) for child in below if not isinstance(child, ast.expr)]
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # The probe's own are relative: inside a target it has no package of this name.
            base = "leaklab.probe." if node.level else ""
            prefix = f"{base}{node.module}." if node.module else base
            names = [f"{prefix}{alias.name}" for alias in node.names]
        for name in names:
            if name.partition(".")[0] == "leaklab":
                yield _module(name.removeprefix("leaklab").lstrip(".")), inside


def _module(name: str) -> str:
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


@cache
def arrows_of(module: str) -> list[tuple[str, bool]]:
    return sorted(set(imports(MODULES[module])))


def room(module: str) -> str:
    return module.partition(".")[0]


def floor(module: str) -> int:
    for height, rooms in enumerate(FLOORS):
        if room(module) in rooms:
            return height
    raise AssertionError(f"{module or 'leaklab'} has no floor; give its room one in FLOORS")


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_no_arrow_points_up(module: str) -> None:
    up = [target for target, _ in arrows_of(module) if target and floor(target) > floor(module)]
    assert not up, f"{module} (floor {floor(module)}) imports {up} from above"


@pytest.mark.parametrize("of", ["modules", "rooms"])
def test_no_circle(of: str) -> None:
    below: dict[str, set[str]] = {}
    for module in MODULES:
        name = room(module) if of == "rooms" else module
        targets = {room(target) if of == "rooms" else target for target, _ in arrows_of(module)}
        # The package's own front page names everything for those who type `ll.`.
        below.setdefault(name, set()).update(targets - {name, ""})
    below.pop("", None)
    while below:
        ground = {name for name, targets in below.items() if not targets & set(below)}
        assert ground, f"a circle among {sorted(below)}"
        for name in ground:
            del below[name]


def test_imports_inside_functions_have_a_reason() -> None:
    late = {room(module) for module in MODULES if any(inside for _, inside in arrows_of(module))}
    assert late <= set(LATE), (
        f"imports inside functions without a reason in LATE: {late - set(LATE)}"
    )


def test_every_floor_is_lived_on() -> None:
    rooms = {room(module) for module in MODULES}
    named = {name for rooms_of in FLOORS for name in rooms_of}
    assert named <= rooms, f"no such rooms: {sorted(named - rooms)}"


def test_sub_packages_have_other_names_than_public_calls() -> None:
    shared = {name for name in leaklab.__all__ if name in MODULES} - {"plots"}
    assert not shared, f"both a module and a public call: {sorted(shared)}"
