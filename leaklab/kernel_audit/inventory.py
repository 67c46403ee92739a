"""The groups of a kernel: what is held together under one name, and the line that lets go of it.

Runs in the kernel itself, so it is the standard library only and keeps nothing: objects become
addresses, which the analysis finds again in the dump.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

from leaklab.kernel_audit.caches import clearable_groups, lru_groups
from leaklab.kernel_audit.cells import Cells, described
from leaklab.kernel_audit.groups import Group
from leaklab.kernel_audit.lines import LAST_THREE_EMPTIED, called, deleted, result_deleted
from leaklab.kernel_audit.live import live_groups
from leaklab.kernel_audit.shown import shown_groups

_NUMBERED = re.compile(r"_\d+")
_LAST_THREE = ("_", "__", "___")
_NOTHING = object()
_LAST = ("last_exc", "last_value", "last_traceback")


def inventory(shell: Any) -> dict[str, Any]:
    """Return the groups of this process as plain data; ``shell`` is IPython's, None without.

    Keys: groups (see Group), ignored (addresses of what is replaced by the next cell anyway).
    """
    namespace = shell.user_ns if shell is not None else sys.modules["__main__"].__dict__
    cells = Cells(namespace, shell)
    groups = [*shown_groups(namespace, shell), *_traceback(namespace, shell, cells)]
    groups += live_groups(shell, namespace, cells)
    emptied = [*lru_groups(namespace, cells), *clearable_groups(namespace, cells)]
    taken = {group.container for group in emptied if group.container is not None}
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
    hook: Mapping[str, Any] = {}
    if shell is not None:
        hook = vars(shell.displayhook)
        sources += [id(hidden), id(outputs), id(shell.displayhook), id(hook)]
    shown = [hook[name] for name in _LAST_THREE if name in hook]
    found: dict[int, _Named] = {}
    for number, value in list(outputs.items()):
        found.setdefault(id(value), _Named(value)).numbers.append(number)
    for name, value in list(namespace.items()):
        if _is_moving(name, value, hidden, hook):
            shown.append(value)
            continue
        numbered = bool(_NUMBERED.fullmatch(str(name))) and bool(hidden)
        if not numbered and _is_shells_own(name, value, hidden):
            continue
        one = found.setdefault(id(value), _Named(value))
        (one.numbered if numbered else one.names).append(name)
    for name, value in list(hidden.items()):
        if _NUMBERED.fullmatch(name) and not _is_leaklabs(value):
            found.setdefault(id(value), _Named(value)).hidden.append(name)
    for address, one in found.items():
        if address not in taken and not isinstance(one.value, ModuleType):
            yield _named(one, sources, cells)
    last = {id(value): value for value in shown if id(value) not in found}
    last = {address: value for address, value in last.items() if not _is_nothing(value)}
    if last:
        yield Group(
            key="_, __, ___",
            kind="out",
            title=f"_, __, ___: {', '.join(map(described, last.values()))}, no longer in Out",
            line=LAST_THREE_EMPTIED,
            type=type(next(iter(last.values()))).__name__,
            names=["_, __, ___"],
            targets=list(last),
            sources=sources,
        )


@dataclass
class _Named:
    """A value with the user's names, IPython's numbered ones (``_3``), its numbers in Out, and the
    numbered names that IPython has kept to itself where the user deleted them."""

    value: Any
    names: list[str] = field(default_factory=list)
    numbered: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


def is_named(one: Any, names: list[str], shell: Any) -> bool:
    """Say whether the user holds an object under any of these names of a group today."""
    namespace = shell.user_ns if shell is not None else sys.modules["__main__"].__dict__
    held = {f"Out[{number}]": value for number, value in list(_outputs(shell).items())}
    places = (held, namespace, getattr(shell, "user_ns_hidden", {}))
    single = {name for each in names for name in each.split(", ")}
    return any(place.get(name, _NOTHING) is one for place in places for name in single)


def _is_moving(name: Any, value: Any, hidden: Mapping[str, Any], hook: Mapping[str, Any]) -> bool:
    """Say whether a name is IPython's own _, __ or ___: the next result shown moves it on, the
    audit for one, so it does not say whose it is."""
    return name in _LAST_THREE and name in hook and hidden.get(name, hook[name]) is value


def _named(one: _Named, sources: list[int], cells: Cells) -> Group:
    outs = [f"Out[{number}]" for number in one.numbers]
    kept = [f'get_ipython().user_ns_hidden["{name}"]' for name in one.hidden]
    is_result = bool(outs or kept or one.numbered)
    shown = [*outs, *one.names] or one.numbered or one.hidden
    return Group(
        key=shown[0],
        kind="out" if is_result and not one.names else "name",
        title=f"{', '.join(shown)}: {described(one.value)}",
        line=(
            result_deleted([*one.names, *one.numbered], [*outs, *kept])
            if is_result
            else deleted(one.names)
        ),
        cell=one.numbers[0] if outs else cells.of_name(one.names[0] if one.names else ""),
        type=type(one.value).__name__,
        names=shown,
        targets=[id(one.value)],
        sources=sources,
    )


def _is_shells_own(name: Any, value: Any, hidden: Mapping[str, Any]) -> bool:
    if type(name) is not str or (name.startswith("__") and name.endswith("__")):
        return True
    if re.fullmatch(r"_i+|_i\d+|_[iod]h|In|Out", name):
        return True
    if _is_leaklabs(value):
        return True
    return name in hidden and hidden[name] is value


def _is_nothing(value: Any) -> bool:
    return value is None or (type(value) is str and not value) or _is_leaklabs(value)


def _is_leaklabs(value: Any) -> bool:
    return type(value).__module__.startswith("leaklab.")


def _outputs(shell: Any) -> dict[int, Any]:
    history = getattr(shell, "history_manager", None)
    return {} if history is None else history.output_hist


def _traceback(namespace: Mapping[str, Any], shell: Any, cells: Cells) -> Iterator[Group]:
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
        # The frames are in a cycle with the exception: without the collector nothing of them goes.
        line=f"{_emptied(namespace, list(present))}; {called('gc', 'collect();', namespace)}",
        cell=place.cell,
        type=type(error).__name__,
        targets=[id(value) for value in present.values()],
        sources=sources,
        collects=True,
    )


def _emptied(namespace: Mapping[str, Any], places: list[str]) -> str:
    line = f"{' = '.join(places)} = None"
    if namespace.get("sys", sys) is sys:
        return f"import sys; {line}"
    return line.replace("sys.", '__import__("sys").')
