"""matplotlib's SVG as text: the same drawing in a third of the bytes.

Half of a figure's SVG is the outlines of letters, the same in every figure of a page, and most of
the rest are six decimals of a point where one can be seen.
"""

from __future__ import annotations

import re

_METADATA = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.S)
_BETWEEN = re.compile(r">\s+<")
_SHAPE = re.compile(r'(?<=\sd=")[^"]+')
_LETTER = re.compile(r'xlink:href="(#[^"]+)" transform="translate\((-?[\d.]+) 0\)"')
_PLACE = re.compile(r'(?<=\s[xy]=")-?\d+\.\d+(?=")')
_NUMBER = re.compile(r"-?\d+\.\d+")
_SPACE = re.compile(r"\s+")
_OUTLINE = re.compile(r'<path id="(DejaVu[\w-]+)"[^>]*/>')
_NO_OUTLINES = re.compile(r"<defs>\s*</defs>")


def compact(svg: str) -> str:
    """`svg` (of matplotlib) without metadata, comments, line breaks and needless decimals."""
    text = _BETWEEN.sub("><", _METADATA.sub("", svg))
    text = _SHAPE.sub(lambda found: _SPACE.sub(" ", _rounded(found[0])).strip(), text)
    text = _LETTER.sub(lambda found: f'href="{found[1]}" x="{_short(found[2])}"', text)
    return _PLACE.sub(lambda found: _short(found[0]), text).replace("xlink:href=", "href=")


def take_outlines(markup: str, outlines: dict[str, str]) -> str:
    """`markup` without the outlines of letters, which are collected in `outlines` by their id.

    They have the same id in every figure, so that one copy (`outlines_svg`) serves a whole page.
    """

    def taken(found: re.Match[str]) -> str:
        outlines.setdefault(found[1], found[0])
        return ""

    return _NO_OUTLINES.sub("", _OUTLINE.sub(taken, markup))


def outlines_svg(outlines: dict[str, str]) -> str:
    """An invisible drawing that holds the collected outlines; "" where there are none."""
    if not outlines:
        return ""
    return (
        '<svg width="0" height="0" aria-hidden="true" style="position:absolute">'
        f"<defs>{''.join(outlines.values())}</defs></svg>"
    )


def _rounded(text: str) -> str:
    return _NUMBER.sub(lambda found: _short(found[0]), text)


def _short(number: str) -> str:
    return f"{float(number):.2f}".rstrip("0").rstrip(".")
