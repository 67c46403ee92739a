"""Interpreters that leak by themselves, or look as if: known rows, held against a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Advisory:
    """One row of ``known_interpreters.toml``: for which interpreters, what happens, what to do."""

    name: str
    versions: str
    build: str
    variable: str
    what: str
    do: str
    basis: str

    def text(self, version: str) -> str:
        """Return one sentence: ``CPython 3.14.2 has …; upgrade …``."""
        return f"CPython {version} {self.what}; {self.do}"


@cache
def known_interpreters() -> tuple[Advisory, ...]:
    """Return all rows, in the order of the file."""
    text = files("leaklab.analysis").joinpath("known_interpreters.toml").read_text("utf-8")
    return tuple(Advisory(**entry) for entry in tomllib.loads(text)["known"])


def advisories(
    version: str, *, free_threaded: bool = False, environment: Mapping[str, str] | None = None
) -> list[Advisory]:
    """Return the rows that apply to a CPython ``version``; an unreadable version has none.

    >>> [row.name for row in advisories("3.14.2")]
    ['incremental collector']
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        known = Version(version.split(" ")[0].rstrip("+"))
    except (InvalidVersion, IndexError):
        return []
    return [
        row
        for row in known_interpreters()
        if SpecifierSet(row.versions).contains(known, prereleases=True)
        and (row.build == "any" or free_threaded)
        and not (row.variable and row.variable in (environment or {}))
    ]


def of_run(meta: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each row that applies to an interpreter of the run, from run.json."""
    found: dict[str, None] = {}
    for process in meta.get("processes", ()):
        version = process.get("python")
        if not isinstance(version, str):
            continue
        free_threaded = "free-threading" in version or bool(process.get("free_threaded"))
        environment = meta.get("environment") or {}
        for row in advisories(version, free_threaded=free_threaded, environment=environment):
            found[row.text(version.split(" ")[0])] = None
    return list(found)
