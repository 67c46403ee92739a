"""What can be emptied: lru_caches anywhere, containers of the user's own modules and classes."""

from __future__ import annotations

import gc
import sys
import sysconfig
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from leaklab.kernel_audit.cells import Cells, described
from leaklab.kernel_audit.groups import Group
from leaklab.kernel_audit.lines import called

_CONTAINERS = (dict, list, set, deque, OrderedDict, defaultdict, Counter)
_LRU = type(lru_cache(lambda: None))


def is_container(value: Any) -> bool:
    """Say whether a value is one of the standard library's containers with something in it."""
    return type(value) in _CONTAINERS and len(value) > 0


def lru_groups(namespace: Mapping[str, Any], cells: Cells) -> Iterator[Group]:
    """A group for each lru_cache that holds something and can be reached by a name."""
    for one in [each for each in gc.get_objects() if type(each) is _LRU]:
        info = one.cache_info()
        attributes = one.__dict__
        module, name = attributes.get("__module__"), attributes.get("__qualname__")
        if not info.currsize or type(module) is not str or type(name) is not str:
            continue
        if module.partition(".")[0] == "leaklab" or _resolved(module, name) is not one:
            continue
        function = attributes.get("__wrapped__")
        bound = "unbounded" if info.maxsize is None else f"at most {info.maxsize:,}"
        text = f"{_shown(module, name)} lru_cache, {info.currsize:,} results, {bound}"
        yield _emptied(
            _shown(module, name),
            text,
            called(module, f"{name}.cache_clear()", namespace),
            one,
            [id(function), id(attributes)],
            cells.of_name(name.partition(".")[0]) if module == "__main__" else None,
        )


def clearable_groups(namespace: Mapping[str, Any], cells: Cells) -> Iterator[Group]:
    """A group for each container in the user's modules and classes, and each global of the
    notebook that its functions use: to delete that would break them."""
    used = {name for one in list(namespace.values()) for name in _names_used(one)}
    seen = set()
    for module, name, value in _candidates(namespace, used):
        if id(value) in seen:
            continue
        seen.add(id(value))
        shown = _shown(module, name)
        cell = cells.of_name(name.partition(".")[0]) if module == "__main__" else None
        text = f"{shown}: {described(value)}"
        yield _emptied(shown, text, called(module, f"{name}.clear()", namespace), value, [], cell)


def _candidates(namespace: Mapping[str, Any], used: set[str]) -> Iterator[tuple[str, str, Any]]:
    for name, value in list(namespace.items()):
        if name in used and is_container(value) and not name.startswith("_"):
            yield "__main__", name, value
        yield from _of_class("__main__", name, value)
    for module_name, module in list(sys.modules.items()):
        if module_name == "__main__" or not is_users(module_name, module):
            continue
        for name, value in list(vars(module).items()):
            if name.startswith("__"):
                continue
            if is_container(value):
                yield module_name, name, value
            yield from _of_class(module_name, name, value)


def _of_class(module: str, name: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    if type(value) is not type or value.__dict__.get("__module__") != module:
        return
    for attribute, held in list(value.__dict__.items()):
        if is_container(held) and not attribute.startswith("__"):
            yield module, f"{name}.{attribute}", held


def _names_used(value: Any) -> tuple[str, ...]:
    """Return the global names that a function, or the methods of a class, mention."""
    if type(value) is FunctionType:
        return value.__code__.co_names
    if type(value) is type and value.__dict__.get("__module__") == "__main__":
        methods = [each for each in value.__dict__.values() if type(each) is FunctionType]
        return tuple(name for each in methods for name in each.__code__.co_names)
    return ()


def is_users(name: str, module: Any) -> bool:
    """Say whether a module is the user's own: neither of the interpreter nor installed."""
    if type(module) is not ModuleType or name.partition(".")[0] == "leaklab":
        return False
    file = vars(module).get("__file__")
    if type(file) is not str or "site-packages" in file or "dist-packages" in file:
        return False
    return not file.startswith(tuple(sysconfig.get_paths().values()))


def _resolved(module: str, name: str) -> Any:
    """Return what ``module.name`` is, found without running code of it; None if nothing."""
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        if not isinstance(value, ModuleType | type):
            return None
        value = vars(value).get(part)
    return value


def _shown(module: str, name: str) -> str:
    return name if module == "__main__" else f"{module}.{name}"


def _emptied(
    key: str, title: str, line: str, container: Any, kept: list[int], cell: int | None
) -> Group:
    return Group(
        key=key,
        kind="cache",
        title=title,
        line=line,
        cell=cell,
        type=type(container).__name__,
        names=[key],
        container=id(container),
        kept=kept,
        empty_bytes=None if type(container) is _LRU else sys.getsizeof(type(container)()),
    )
