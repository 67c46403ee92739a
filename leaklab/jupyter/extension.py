"""``%load_ext leaklab``: the magics, and figures that stay crisp and fit their place."""

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
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # The second is for where a notebook is opened before it is trusted: there SVG is not shown.
        set_matplotlib_formats("svg", "png")
        _fit(shell.display_formatter.formatters["image/svg+xml"])


def _fit(formatter: Any) -> None:
    """Have figures drawn as wide as their place: JupyterLab cuts off what is wider."""
    from matplotlib.figure import Figure

    drawn = formatter.lookup_by_type(Figure)
    formatter.for_type(Figure, lambda figure: fluid(drawn(figure)))


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
