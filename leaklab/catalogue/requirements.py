"""What a case needs from this machine, and the reason when it is not there."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from packaging.specifiers import SpecifierSet


def python_matches(text: str | None, version: Sequence[int]) -> bool:
    """Return whether a Python version lies in a range such as ``">=3.12,<3.14"``."""
    found = ".".join(map(str, version))
    return text is None or SpecifierSet(text).contains(found, prereleases=True)


def missing_requirement(
    needs: Sequence[str], services: Sequence[str], python: str | None
) -> str | None:
    """Why a case with these needs cannot run here: one line with the way out; None if it can."""
    if not python_matches(python, sys.version_info[:3]):
        running = ".".join(map(str, sys.version_info[:3]))
        return f"needs Python {python}: this is {running}"
    absent = [name for name in needs if not _importable(name)]
    if absent:
        names = ", ".join(absent)
        return f"needs modules that are not installed: {names}; pip install 'leaklab[cases]'"
    if services:
        # Imported here: most cases need no service, and the catalogue must stay cheap to list.
        from leaklab.catalogue.services import missing_service

        return next(filter(None, map(missing_service, services)), None)
    return None


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name
        return False
