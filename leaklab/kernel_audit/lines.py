"""The statements that let go: each one line that works when it is pasted into the next cell."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_XDEL = re.compile(r"%xdel (\w+)")
_RESULT = "leaklab_result"
# del_var fails where the result it has just deleted was the last cell's.
_NO_LAST_RESULT = "get_ipython().last_execution_result.result = None"


def deleted(names: Sequence[str]) -> str:
    """Return the statement that deletes names of the notebook, whatever characters they have.

    >>> deleted(["df", "class"])
    "del df, globals()['class']"
    """
    plain = [name if _is_plain(name) else f"globals()[{name!r}]" for name in names]
    return f"del {', '.join(plain)}"


def result_deleted(names: Sequence[str], places: Sequence[str]) -> str:
    """Return the statement that deletes a result with the copies that IPython keeps of it.

    %xdel finds them all by identity: Out, _N, _, __ and ___ of the notebook, of its hidden names
    and of the display. ``names``: those that will still be its own when other results have been
    shown; without any, it gets one from the first of ``places``.

    >>> result_deleted([], ["Out[3]"])
    "leaklab_result = Out[3]; get_ipython().del_var('leaklab_result')"
    """
    named = next(filter(_is_plain, names), None)
    if named is not None:
        return f"%xdel {named}"
    name, before = (names[0], "") if names else (_RESULT, f"{_RESULT} = {places[0]}; ")
    return f"{before}get_ipython().del_var({name!r})"


# Nothing but the last three results shown has such names: they move on with each result, so what
# they hold is named by none of them.
LAST_THREE_EMPTIED = (
    'get_ipython().push(dict.fromkeys(("_", "__", "___"), ""), interactive=False); '
    'vars(get_ipython().displayhook).update(_="", __="", ___="")'
)


def called(module: str, call: str, namespace: Mapping[str, Any]) -> str:
    """Return the statement that calls something of a module, and rebinds no name of the user's.

    >>> called("gc", "collect()", {})
    'import gc; gc.collect()'
    >>> called("gc", "collect()", {"gc": "the user's own"})
    '__import__("sys").modules["gc"].collect()'
    """
    if module == "__main__":
        return call
    parts = module.split(".")
    first = sys.modules.get(parts[0])
    found: Any = first
    for part in parts[1:]:
        found = getattr(found, "__dict__", {}).get(part)
    importable = all(map(_is_plain, parts)) and found is sys.modules.get(module)
    if importable and namespace.get(parts[0], first) is first:
        return f"import {module}; {module}.{call}"
    return f'__import__("sys").modules["{module}"].{call}'


def together(lines: Iterable[str]) -> str:
    """Return one line that does what several do; empty where one of them is.

    >>> together(["del a", "import gc; gc.collect()", "del b"])
    'import gc; gc.collect(); del a, b'
    """
    several = list(dict.fromkeys(lines))
    if not all(several):
        return ""
    plain = [line for line in several if line.startswith("del ")]
    done = [
        _XDEL.sub(r'get_ipython().del_var("\1")', line) for line in several if line not in plain
    ]
    ends = ";" if not plain and done[-1].endswith(";") else ""  # its value is not to be shown
    done = _imported_once(line.rstrip(";") for line in done)
    if sum("del_var(" in line for line in done) > 1:
        done.insert(0, _NO_LAST_RESULT)
    if plain:
        done.append("del " + ", ".join(line[4:] for line in plain))
    return "; ".join(done) + ends


def _imported_once(lines: Iterable[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        first, between, rest = line.partition("; ")
        again = between and any(other.startswith(f"{first}; ") for other in found)
        found.append(rest if again and first.startswith("import ") else line)
    return found


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)
