"""``%load_ext leaklab``: the magics, and leaklab's figures crisp and fitted to their place.

How the user's own figures are drawn is the user's.
"""

from __future__ import annotations

import re
from typing import Any

_ROOT = re.compile(r"<svg\b[^>]*>")
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython for ``%load_ext leaklab``."""
    from leaklab.jupyter.magics import LeaklabMagics, complete

    magics = LeaklabMagics(shell)
    shell.register_magics(magics)
    first = shell.input_transformers_cleanup
    first[:] = [one for one in first if getattr(one, "__name__", "") != magics.awaited.__name__]
    first.append(magics.awaited)
    completer = getattr(shell, "Completer", None)
    if completer is not None and complete not in completer.custom_matchers:
        completer.custom_matchers.append(complete)
    if hasattr(shell, "kernel"):
        formatters = shell.display_formatter.formatters
        for form, drawn in (("image/svg+xml", _svg), ("image/png", _png)):
            formatters[form].for_type_by_name("leaklab.plots.style", "OwnFigure", drawn)


def _svg(figure: Any) -> str | None:
    """Draw it as wide as its place: JupyterLab cuts off what is wider."""
    from IPython.core.pylabtools import print_figure

    return fluid(print_figure(figure, fmt="svg"))


def _png(figure: Any) -> str | None:
    """Draw it for where a notebook is opened before it is trusted: there SVG is not shown."""
    from IPython.core.pylabtools import print_figure

    drawn: str | None = print_figure(figure, fmt="png", base64=True)
    return drawn


def fluid(svg: str | None) -> str | None:
    """The SVG without a size of its own; its viewBox keeps the proportions.

    >>> fluid('<svg width="9pt" height="3pt" viewBox="0 0 9 3"/>')
    '<svg width="100%" viewBox="0 0 9 3"/>'
    """
    if svg is None:
        return None
    return _ROOT.sub(
        lambda root: _SIZE.sub("", root[0]).replace("<svg", '<svg width="100%"', 1), svg, count=1
    )
