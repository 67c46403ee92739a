"""Paths to one object as a picture: a row of boxes for each holder, drawn without any library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_LETTER, _PAD, _GAP, _ROW, _BOX = 6.6, 8, 16, 34, 22
_MOST_LETTERS = 44
_HOLDER = "#d55e00"
_LINE = "#7f7f7f"


def paths_svg(paths: Sequence[str], target: str) -> str:
    """Return an SVG with a row for each path (steps separated by " → ") to ``target``.

    The box before the last is the one that holds the object: it is drawn in orange.
    """
    rows = [[_shortened(step) for step in path.split(" → ")] for path in paths]
    drawn, width = [], 0.0
    for number, steps in enumerate(rows):
        boxes, end = _row(steps, number * _ROW + 6)
        drawn.append(boxes)
        width = max(width, end)
    height = max(1, len(rows)) * _ROW + 6
    label = escape(f"what holds this {target}: {len(rows)} paths")
    return (
        f'<svg role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {width + 2:.0f} {height}" width="{width + 2:.0f}" height="{height}" '
        f'style="max-width:100%;height:auto" font-family="monospace" font-size="11">'
        f"<title>{label}</title>{''.join(drawn)}</svg>"
    )


def _row(steps: Sequence[str], top: float) -> tuple[str, float]:
    """One path from the left, and where it ends."""
    parts, left = [], 1.0
    for place, step in enumerate(steps):
        width = len(step) * _LETTER + 2 * _PAD
        holder = place == max(0, len(steps) - 2)
        middle = top + _BOX / 2
        if place:
            parts.append(
                f'<path d="M{left - _GAP + 1:.1f} {middle:.1f}h{_GAP - 5}l-4 -3m4 3l-4 3" '
                f'fill="none" stroke="{_LINE}"/>'
            )
        stroke = f'stroke="{_HOLDER}" stroke-width="1.6"' if holder else f'stroke="{_LINE}"'
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BOX}" rx="4" '
            f'fill="none" {stroke}/>'
            f'<text x="{left + _PAD:.1f}" y="{middle + 4:.1f}" fill="currentColor">'
            f"{escape(step)}</text>"
        )
        left += width + _GAP
    return "".join(parts), left - _GAP


def _shortened(step: str) -> str:
    """A step of bearable length: its beginning and, what matters more, its end."""
    if len(step) <= _MOST_LETTERS:
        return step
    begin = _MOST_LETTERS // 3
    return f"{step[:begin]}…{step[-(_MOST_LETTERS - begin - 1) :]}"
