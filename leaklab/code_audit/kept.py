"""The audit of a run's source, kept beside the run as ``audit.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaklab.whole_file import replace_whole

FILE = "audit.json"


def keep_audit(path: str | None, values: Mapping[str, Any]) -> None:
    """Write an audit beside a local run; one in a bucket, or that cannot be written, has none.

    The candidates of most concern come first, as a page shows them.
    """
    if path is None or "://" in path or not Path(path).is_dir():
        return
    order = list(values["counts"])
    ranked = sorted(values["candidates"], key=lambda row: order.index(row["state"]))
    try:
        text = json.dumps({**values, "candidates": ranked}, indent=1)
        replace_whole(Path(path, FILE), text + "\n")
    except OSError:
        return


def kept_audit(path: str | None) -> dict[str, Any] | None:
    """The audit beside a run; None where there is none that can be read."""
    if path is None or "://" in path:
        return None
    try:
        found = json.loads(Path(path, FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "candidates" in found else None
