"""A fixture of another installed plugin in the place of ours: the last to be loaded has the name.

A suite's own fixture of the name is its business; one that only comes with what is installed turns
a test that fails into one that passes without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from leaklab.pytest_plugin.telling import LeaksFixtureWarning, warn

NAME = "leak_check"


def tell_of_other(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Warn once where tests that ask for ``leak_check`` get that of another installed plugin."""
    for item in items:
        other = _other(config, item)
        if other is not None:
            text = (
                f"leaklab: {NAME} is the fixture of another plugin here: {other}; "
                f"ask for leaklab_check, or start pytest with -p no:{other}"
            )
            warn(item, text, LeaksFixtureWarning)
            return


def _other(config: pytest.Config, item: pytest.Item) -> str | None:
    """The name of the installed plugin whose fixture the item gets; None for ours or a suite's."""
    info: Any = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs.get(NAME) if info is not None else None
    if not definitions:
        return None
    package = _package(definitions[-1].func.__module__)
    manager = config.pluginmanager
    for plugin, _ in manager.list_plugin_distinfo():
        own = _package(getattr(plugin, "__name__", ""))
        if own == package and own != _package(__name__):
            return manager.get_name(plugin)
    return None


def _package(module: str) -> str:
    return module.partition(".")[0]
