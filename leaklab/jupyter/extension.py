"""``%load_ext leaklab``: the magics, and figures that stay crisp."""

from __future__ import annotations

from typing import Any


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
        _let_figures_shrink(shell)


def _let_figures_shrink(shell: Any) -> None:
    """Let a figure in SVG be as narrow as its place: its own width would be cut off there."""
    from matplotlib.figure import Figure

    formatter = shell.display_formatter.formatters["image/svg+xml"]
    draw = formatter.lookup_by_type(Figure)
    style = '<svg style="max-width:100%;height:auto" '
    formatter.for_type(Figure, lambda figure: draw(figure).replace("<svg ", style, 1))
