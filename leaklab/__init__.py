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
    from leaklab.catalogue.cases import cases
    from leaklab.catalogue.model import case
    from leaklab.code_audit.audit import audit
    from leaklab.code_audit.rates import audit_rates
    from leaklab.errors import LeaklabError, UsageError
    from leaklab.holders import why_alive
    from leaklab.jupyter.scoreboard import scoreboard
    from leaklab.kernel_audit.audit import kernel
    from leaklab.kernel_audit.live import let_go
    from leaklab.recordings import compare, from_series, open, read, record, runs, suspects
    from leaklab.results.run import Run
    from leaklab.verdict.judge_series import judge_series


__all__ = [
    "LeaklabError",
    "Run",
    "UsageError",
    "audit",
    "audit_rates",
    "case",
    "cases",
    "compare",
    "from_series",
    "gauge",
    "judge_series",
    "kernel",
    "let_go",
    "mark",
    "open",
    "plots",
    "read",
    "record",
    "runs",
    "scoreboard",
    "suspects",
    "why_alive",
]

_HOMES = {
    "LeaklabError": "leaklab.errors",
    "Run": "leaklab.results.run",
    "UsageError": "leaklab.errors",
    "audit": "leaklab.code_audit.audit",
    "audit_rates": "leaklab.code_audit.rates",
    "case": "leaklab.catalogue.model",
    "cases": "leaklab.catalogue.cases",
    "compare": "leaklab.recordings",
    "from_series": "leaklab.recordings",
    "judge_series": "leaklab.verdict.judge_series",
    "kernel": "leaklab.kernel_audit.audit",
    "let_go": "leaklab.kernel_audit.live",
    "load_ipython_extension": "leaklab.jupyter.extension",
    "open": "leaklab.recordings",
    "read": "leaklab.recordings",
    "record": "leaklab.recordings",
    "runs": "leaklab.recordings",
    "scoreboard": "leaklab.jupyter.scoreboard",
    "suspects": "leaklab.recordings",
    "unload_ipython_extension": "leaklab.jupyter.extension",
    "why_alive": "leaklab.holders",
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
    return sorted({*__all__, "__version__", "__doc__"})
