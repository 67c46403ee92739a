"""What a page says of the audit that was joined with its run."""

from __future__ import annotations

from typing import Any

from leaklab.code_audit.kept import kept_audit

_SHOWN = 200


def audit_view(path: str | None) -> dict[str, Any] | None:
    """The values of the audit kept beside the run at ``path``; None where there is none."""
    found = kept_audit(path)
    if found is None:
        return None
    rows = [
        {
            "rule": row["rule"],
            "place": _place(row),
            "message": row["message"],
            "state": row["state"],
            "evidence": row["evidence"],
        }
        for row in found["candidates"][:_SHOWN]
    ]
    counts = ", ".join(f"{count} {state}" for state, count in found["counts"].items())
    size = f"{found['file_count']} files, {found['line_count']} lines"
    return {"summary": f"{counts or 'no candidates'} in {size}.", "rows": rows}


def _place(row: dict[str, Any]) -> str:
    cell = f"cell {row['cell']}:" if row.get("cell") is not None else ""
    return f"{row['file']}:{cell}{row['line']}"
