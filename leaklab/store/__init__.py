"""Recorded runs on disk: schema, writer, reader."""

from leaklab.store.location import default_store
from leaklab.store.reader import RunData, open_run
from leaklab.store.writer import RunWriter

__all__ = ["RunData", "RunWriter", "default_store", "open_run"]
