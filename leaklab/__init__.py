"""leaklab: does it leak, which line allocates what stays, what keeps it, does the fix work.

``mark`` and ``gauge`` are for the program under investigation and cost next to nothing: importing
this package loads the standard library only. Everything else is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaklab.probe.marks import gauge, mark
from leaklab.version import __version__ as __version__

if TYPE_CHECKING:
    from leaklab import plots
    from leaklab.catalogue.model import case
    from leaklab.catalogue.model import catalogue as cases
    from leaklab.errors import LeaklabError, UsageError
    from leaklab.jupyter.scoreboard import scoreboard
    from leaklab.jupyter.study import study
    from leaklab.recordings import compare, from_series, open, read, record, runs
    from leaklab.results.run import Run
    from leaklab.verdict.judge_series import judge_series
    from leaklab.why_alive import why_alive


__all__ = [
    "LeaklabError",
    "Run",
    "UsageError",
    "case",
    "cases",
    "compare",
    "from_series",
    "gauge",
    "judge_series",
    "mark",
    "open",
    "plots",
    "read",
    "record",
    "runs",
    "scoreboard",
    "study",
    "why_alive",
]

_HOMES = {
    "LeaklabError": "leaklab.errors",
    "Run": "leaklab.results.run",
    "UsageError": "leaklab.errors",
    "case": "leaklab.catalogue.model",
    "cases": "leaklab.catalogue.model:catalogue",
    "compare": "leaklab.recordings",
    "from_series": "leaklab.recordings",
    "judge_series": "leaklab.verdict.judge_series",
    "load_ipython_extension": "leaklab.jupyter.extension",
    "open": "leaklab.recordings",
    "read": "leaklab.recordings",
    "record": "leaklab.recordings",
    "runs": "leaklab.recordings",
    "scoreboard": "leaklab.jupyter.scoreboard",
    "study": "leaklab.jupyter.study",
    "why_alive": "leaklab.why_alive",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, _, own_name = _HOMES[name].partition(":")
        value = getattr(import_module(module), own_name or name)
    elif name == "plots":
        value = import_module("leaklab.plots")
    else:
        raise AttributeError(f"module 'leaklab' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
