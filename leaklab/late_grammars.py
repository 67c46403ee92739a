"""Load what reads notebooks without the grammars of addresses in foreign letters.

Notebooks are checked by jsonschema. Its checks of formats load rfc3987_syntax, which builds forty
grammars while it is imported: seconds of every process, for a check that no notebook asks for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

_GRAMMARS = "rfc3987_syntax"


def load_jsonschema() -> None:
    """Import jsonschema; the grammars follow with the first address that somebody checks.

    Call it before the first import of nbformat, nbconvert, papermill or jupyterlab.
    """
    if "jsonschema" in sys.modules or _GRAMMARS in sys.modules:
        return
    if importlib.util.find_spec(_GRAMMARS) is None:
        return
    standing_in = ModuleType(_GRAMMARS)
    standing_in.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[_GRAMMARS] = standing_in
    try:
        importlib.import_module("jsonschema")
    finally:
        del sys.modules[_GRAMMARS]


def _is_valid_syntax(term: str, value: str) -> bool:
    return bool(importlib.import_module(_GRAMMARS).is_valid_syntax(term, value))
