"""The groups of a kernel: what is held together under one name, and the line that lets go of it.

Runs in the kernel itself, so it is the standard library only and keeps nothing: objects become
addresses, which the analysis finds again in the dump.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import ModuleType
from typing import Any

from leaklab.kernel_audit.caches import clearable_groups, lru_groups
from leaklab.kernel_audit.cells import Cells, described
from leaklab.kernel_audit.groups import Group

_OUT_ALIAS = re.compile(r"_\d+|_{1,3}")
_LAST = ("last_exc", "last_value", "last_traceback")


def inventory(shell: Any) -> dict[str, Any]:
    """Return the groups of this process as plain data; ``shell`` is IPython's, None without.

    Keys: groups (see Group), ignored (addresses of what is replaced by the next cell anyway).
    """
    namespace = shell.user_ns if shell is not None else sys.modules["__main__"].__dict__
    cells = Cells(namespace, shell)
    groups = [*_figures(namespace), *_traceback(shell, cells)]
    emptied = [*lru_groups(cells), *clearable_groups(namespace, cells)]
    taken = {address for group in groups for address in group.targets}
    taken |= {group.container for group in emptied if group.container is not None}
    groups += emptied
    groups += _names(namespace, shell, cells, taken)
    result = getattr(shell, "last_execution_result", None)
    ignored = [] if result is None else [id(result), id(vars(result))]
    return {"groups": [asdict(group) for group in groups], "ignored": ignored}


def _names(
    namespace: Mapping[str, Any], shell: Any, cells: Cells, taken: set[int]
) -> Iterator[Group]:
    """A group for each object that the user's names and Out hold, under all its aliases."""
    hidden = getattr(shell, "user_ns_hidden", {})
    outputs = _outputs(shell)
    sources = [id(namespace)]
    if shell is not None:
        hook = shell.displayhook
        sources += [id(hidden), id(outputs), id(hook), id(vars(hook))]
    found: dict[int, tuple[Any, list[str], list[str], list[int]]] = {}
    for number, value in list(outputs.items()):
        found.setdefault(id(value), (value, [], [], []))[3].append(number)
    for name, value in list(namespace.items()):
        alias = bool(_OUT_ALIAS.fullmatch(name)) and bool(hidden)
        if not alias and _is_shells_own(name, value, hidden):
            continue
        entry = found.setdefault(id(value), (value, [], [], []))
        (entry[2] if alias else entry[1]).append(name)
    for address, (value, names, aliases, numbers) in found.items():
        if address in taken or isinstance(value, ModuleType) or not (names or aliases or numbers):
            continue
        yield _named(value, names, aliases, numbers, sources, cells)


def _named(
    value: Any,
    names: list[str],
    aliases: list[str],
    numbers: list[int],
    sources: list[int],
    cells: Cells,
) -> Group:
    outs = [f"Out[{number}]" for number in numbers]
    if outs or aliases:
        # IPython keeps its own copies of a result; %xdel finds them all.
        bound = [*names, *aliases]
        line = f"%xdel {bound[0]}" if bound else f"del {', '.join(outs)}"
    else:
        line = f"del {', '.join(names)}"
    shown = [*outs, *names] or aliases
    return Group(
        key=shown[0],
        kind="out" if outs and not names else "name",
        title=f"{', '.join(shown)}: {described(value)}",
        line=line,
        cell=numbers[0] if numbers else cells.of_name(names[0] if names else ""),
        type=type(value).__name__,
        names=shown,
        targets=[id(value)],
        sources=sources,
    )


def _is_shells_own(name: Any, value: Any, hidden: Mapping[str, Any]) -> bool:
    if type(name) is not str or (name.startswith("__") and name.endswith("__")):
        return True
    if re.fullmatch(r"_i+|_i\d+|_[iod]h|In|Out", name):
        return True
    if type(value).__module__.startswith("leaklab."):
        return True
    return name in hidden and hidden[name] is value


def _outputs(shell: Any) -> dict[int, Any]:
    history = getattr(shell, "history_manager", None)
    return {} if history is None else history.output_hist


def _traceback(shell: Any, cells: Cells) -> Iterator[Group]:
    """The last exception with the frames it keeps; IPython keeps the traceback once more."""
    present = {f"sys.{name}": vars(sys)[name] for name in _LAST if vars(sys).get(name) is not None}
    sources = [id(vars(sys))]
    formatter: Any = getattr(shell, "InteractiveTB", None)
    if getattr(formatter, "tb", None) is not None:
        present["get_ipython().InteractiveTB.tb"] = formatter.tb
        sources += [id(formatter), id(vars(formatter))]
    if not present:
        return
    error = present.get("sys.last_exc", present.get("sys.last_value"))
    trace = present.get("sys.last_traceback", getattr(error, "__traceback__", None))
    place = cells.of_traceback(trace)
    yield Group(
        key="traceback",
        kind="traceback",
        title=f"traceback of {type(error).__name__}{place.text}",
        line=f"import sys; {' = '.join(present)} = None",
        cell=place.cell,
        type=type(error).__name__,
        targets=[id(value) for value in present.values()],
        sources=sources,
    )


def _figures(namespace: Mapping[str, Any]) -> Iterator[Group]:
    """The figures that pyplot keeps open."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    figures = getattr(getattr(helpers, "Gcf", None), "figs", None)
    if not figures:
        return
    count = len(figures)
    pyplot = sys.modules.get("matplotlib.pyplot")
    bound = [name for name, value in list(namespace.items()) if value is pyplot]
    line = (
        'plt.close("all")'
        if "plt" in bound
        else 'import matplotlib.pyplot as plt; plt.close("all")'
    )
    yield Group(
        key="figures",
        kind="figures",
        title=f"{count} {'figure' if count == 1 else 'figures'} never closed",
        line=line,
        type="Figure",
        targets=[id(manager) for manager in figures.values()],
        sources=[id(figures)],
        native_bytes=sum(map(_pixel_bytes, figures.values())),
    )


def _pixel_bytes(manager: Any) -> int:
    """Return what the picture of a figure takes that has been drawn: four bytes a pixel."""
    canvas = getattr(manager, "canvas", None)
    renderer = getattr(canvas, "__dict__", {}).get("renderer")
    size = getattr(renderer, "__dict__", {})
    width, height = size.get("width"), size.get("height")
    if isinstance(width, int | float) and isinstance(height, int | float):
        return int(4 * width * height)
    return 0
