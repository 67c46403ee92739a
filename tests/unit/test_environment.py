"""environment.yml and pyproject.toml name the same packages with the same bounds."""

from __future__ import annotations

import re
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
