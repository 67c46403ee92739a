"""``%load_ext leaklab``: the magics, and figures that stay crisp."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython for ``%load_ext leaklab``."""
    from leaklab.jupyter.magics import LeaklabMagics, complete

    shell.register_magics(LeaklabMagics)
    shell.set_hook("complete_command", complete, re_key=r"%%?leaklab\b.*")
    if hasattr(shell, "kernel"):
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")
