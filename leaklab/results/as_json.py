"""Results in JSON's own types: what ``leaklab show --json`` and verdict.json are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaklab.verdict.judge import ResourceVerdict, Verdict


def verdict_json(meta: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on a run, whose run.json is ``meta``, and on each resource."""
    entry: dict[str, Any] = plain(
        {
            "name": meta["name"],
            "variant": meta.get("variant"),
            "state": meta["state"],
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "resources": [resource_json(resource) for resource in verdict.resources],
        }
    )
    return entry


def resource_json(resource: ResourceVerdict) -> dict[str, Any]:
    """Return the entry of one resource."""
    names = ("name", "verdict", "rate", "rate_low", "rate_high", "unit", "first", "last", "reason")
    return {name: getattr(resource, name) for name in (*names, "role", "more_x")}


def suspect_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the entry of one suspect."""
    names = (
        "rank", "function", "file", "line", "stack", "live_bytes", "growth_bytes", "rate", "share",
        "fingerprint", "known", "role", "retained_by", "group", "source",
    )  # fmt: skip
    return {name: row.get(name) for name in names}


def plain(value: Any) -> Any:
    """Return ``value`` in JSON's own types: NaN and NA become null, numpy scalars numbers."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)
