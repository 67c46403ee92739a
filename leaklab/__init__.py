"""leaklab: does it leak, which line allocates what stays, what keeps it, does the fix work.

``mark`` and ``gauge`` are for the program under investigation and cost next to nothing: importing
this package loads the standard library only. Everything else is loaded when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from leaklab.probe.marks import gauge, mark

if TYPE_CHECKING:
    from leaklab import plots
    from leaklab.api import case, cases, compare, open, record, runs
    from leaklab.errors import LeaklabError, UsageError
    from leaklab.jupyter.scoreboard import scoreboard
    from leaklab.jupyter.study import study
    from leaklab.run import Run
    from leaklab.why_alive import why_alive

__version__ = "0.1.0"

__all__ = [
    "LeaklabError",
    "Run",
    "UsageError",
    "case",
    "cases",
    "compare",
    "gauge",
    "mark",
    "open",
    "plots",
    "record",
    "runs",
    "scoreboard",
    "study",
    "why_alive",
]

_HOMES = {
    "LeaklabError": "leaklab.errors",
    "Run": "leaklab.run",
    "UsageError": "leaklab.errors",
    "case": "leaklab.api",
    "cases": "leaklab.api",
    "compare": "leaklab.api",
    "load_ipython_extension": "leaklab.jupyter.extension",
    "open": "leaklab.api",
    "record": "leaklab.api",
    "runs": "leaklab.api",
    "scoreboard": "leaklab.jupyter.scoreboard",
    "study": "leaklab.jupyter.study",
    "why_alive": "leaklab.why_alive",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "plots":
        value = import_module("leaklab.plots")
    else:
        raise AttributeError(f"module 'leaklab' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``leaklab.record`` and ``leaklab.cases`` the functions of the public interface.

    There are sub-packages of the same names, and importing one would otherwise put it in the
    function's place. ``from leaklab.record.options import …`` works as everywhere.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
