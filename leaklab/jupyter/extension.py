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

    unload_ipython_extension(shell)  # called by hand, it may be there already
    magics = LeaklabMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.append(magics.awaited)
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers.append(complete)
    if hasattr(shell, "kernel"):
        for form, drawn in _DRAWN.items():
            formatter = shell.display_formatter.formatters[form]
            formatter.for_type_by_name(*_FIGURE, drawn)


def unload_ipython_extension(shell: Any) -> None:
    """Called by IPython for ``%unload_ext leaklab`` and ``%reload_ext``: nothing of it goes on."""
    from leaklab.jupyter.magics import LeaklabMagics, complete

    registry = shell.magics_manager.registry
    magics = registry.pop(LeaklabMagics.__name__, None)
    if magics is None:
        return
    magics.close()
    for kind in shell.magics_manager.magics.values():
        kind.pop(LeaklabMagics.leaklab.__name__, None)
    matchers = getattr(getattr(shell, "Completer", None), "custom_matchers", [])
    for called, own in ((shell.input_transformers_cleanup, magics.awaited), (matchers, complete)):
        called[:] = [one for one in called if one != own]
    if hasattr(shell, "kernel"):
        for form in _DRAWN:
            shell.display_formatter.formatters[form].pop(".".join(_FIGURE), None)


def _svg(figure: Any) -> tuple[str, dict[str, str]] | None:
    """Draw it as wide as its place: JupyterLab cuts off what is wider."""
    from IPython.core.pylabtools import print_figure

    drawn = fluid(print_figure(figure, fmt="svg"))
    return (drawn, {"alt": figure.alt}) if drawn else None


def _png(figure: Any) -> tuple[str, dict[str, str]] | None:
    """Draw it for where a notebook is opened before it is trusted: there SVG is not shown."""
    from IPython.core.pylabtools import print_figure

    drawn: str | None = print_figure(figure, fmt="png", base64=True)
    return (drawn, {"alt": figure.alt}) if drawn else None


_FIGURE = "leaklab.plots.style", "OwnFigure"
_DRAWN = {"image/svg+xml": _svg, "image/png": _png}


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
