"""Recorded runs on disk: schema, writer, reader."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaklab.store.location import default_store

if TYPE_CHECKING:
    from leaklab.store.reader import RunData, open_run
    from leaklab.store.writer import RunWriter

__all__ = ["RunData", "RunWriter", "default_store", "open_run"]

# pandas and pyarrow cost a second to import, and where a store is can be said without them.
_HOMES = {"RunData": "reader", "open_run": "reader", "RunWriter": "writer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
