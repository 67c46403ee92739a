"""What the target has named, by numbers: files, modules, labels, figures, threads, tasks, keys.

Two names never become one, so what is told apart on the open page is told apart here. What is
sorted by its name somewhere is numbered in that order.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterable
from typing import Any

from leaklab.analysis.label_points import OTHER, UNLABELLED
from leaklab.present.formatting import CELL_PREFIX
from leaklab.report.own_words import own_words
from leaklab.resources import family_prefixes, is_bytes
from leaklab.verdict.known import known_growers

_CELL = re.compile(rf"{re.escape(CELL_PREFIX)}\d+\]")
# A key of a dict is data: ['customer 4711'].
_KEY = re.compile(r"""\['(?:[^'\\]|\\.)*'\]|\["(?:[^"\\]|\\.)*"\]|\[[^\]]*\]
                      |'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.VERBOSE)  # fmt: skip
_DOTTED = re.compile(r"(?<![\w.\]])[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# Where the name of a root ends in a path, if it ends there.
_AFTER_ROOT = re.compile(r"(?: → |[.\[]|$)")
_THREAD, _TASK, _CONTEXT = "thread ", "task ", "contextvar "
_NAMED_ROOTS = (_THREAD, _TASK, _CONTEXT)
_OWN_THREADS = ("MainThread", "thread")
_OWN_MODULES = {*sys.stdlib_module_names, "builtins", "__main__", "__mp_main__", "leaklab",
                "_leaklab_probe"}  # fmt: skip


class Numbered(dict[str, str]):
    """A name of its own for each text: ``pattern`` with the next number."""

    def __init__(self, pattern: str, names: Iterable[str] = ()) -> None:
        super().__init__()
        self._pattern = pattern
        names = list(names)
        self._width = len(str(len(names)))
        for name in names:
            self[name]  # numbered in this order

    def __missing__(self, name: str) -> str:
        alias = self[name] = self._pattern.format(f"{len(self) + 1:0{self._width}}")
        return alias


def hidden_labels(labels: Iterable[str]) -> dict[str, str]:
    """Routes and task names are the target's own."""
    own = {OTHER, UNLABELLED}
    return Numbered("label {}", sorted(set(labels) - own)) | {name: name for name in own}


def hidden_figures(names: Iterable[str]) -> dict[str, str]:
    """Watched files, and figures of one's own, which are in bytes or not by their names."""
    names = sorted(set(names))
    aliases: dict[str, str] = {}
    for prefix in family_prefixes():
        mine = [name for name in names if name.startswith(prefix) and name not in own_words()]
        word = "file" if is_bytes(prefix.removesuffix(":")) else "figure"
        for name, alias in Numbered(f"{prefix}{word} {{}}", mine).items():
            unit = "_bytes" if is_bytes(name) and not is_bytes(alias) else ""
            aliases[name] = alias + unit
    return aliases


def hidden_roles(roles: Iterable[str]) -> dict[str, str]:
    """Processes are called by what they run; the main one by what it is."""
    others = [role for role in dict.fromkeys(roles) if role != "main"]
    return {"main": "main", **Numbered("process kind {}", others)}


def hidden_files(files: Iterable[tuple[str, str]], aliases: dict[str, str]) -> list[str]:
    """What files with these origins are called; the standard library's as ever, and cells.

    ``aliases``: what others were called before; new ones are added.
    """
    shown = []
    for file, origin in files:
        if origin == "stdlib" or not file or _CELL.fullmatch(file):
            shown.append(file)
        else:
            shown.append(aliases.setdefault(file, _file(file, f"{origin} file {len(aliases) + 1}")))
    return shown


def _file(file: str, alias: str) -> str:
    """Another name of the same kind: known to grow by design, or generated, or neither."""
    for entry in known_growers():
        if entry.file != "*" and fnmatch.fnmatchcase(file, entry.file):
            return entry.file.replace("*", f"({alias})", 1).replace("*", "")
    return f"<{alias}>" if file.startswith("<") else alias


class HiddenPaths:
    """Texts of object graphs. ``roots``: kind and text of each; ``types``: of all objects;
    ``functions``: those that are known by name."""

    def __init__(
        self,
        roots: Iterable[tuple[str, str]],
        types: Iterable[str],
        functions: Iterable[str],
    ) -> None:
        self._functions = set(functions)
        self._keys = Numbered("key {}")
        self._modules = Numbered("module {}")
        self._threads, self._tasks = Numbered("{}"), Numbered("task {}")
        self._variables = Numbered(_CONTEXT + "{}")
        self._unknown = Numbered("root {}")
        roots = list(roots)
        self._foreign = {text for kind, text in roots if kind == "module" and not _is_own(text)}
        for name in types:
            if not _is_own(name) and "." in name and self._module_of(name) is None:
                self._foreign.add(name.rpartition(".")[0])
        named = dict.fromkeys(text for _, text in roots if text.startswith(_NAMED_ROOTS))
        self._roots = {text: self._root(text) for text in named}

    def path(self, text: Any) -> Any:
        """A path, or one step of it."""
        if not isinstance(text, str) or not text:
            return text
        root = ""
        if text.startswith(_NAMED_ROOTS):
            ends = [found.start() for found in _AFTER_ROOT.finditer(text)]
            root = next((text[:end] for end in reversed(ends) if text[:end] in self._roots), "")
            if not root:
                return self._unknown[text]
        rest = _KEY.sub(self._key, text[len(root) :])
        before, between, name = rest.partition(f" → {_CONTEXT}")
        if between:  # the value of a variable of a context, which has any name
            name, arrow, after = name.partition(" → ")
            rest = f"{before} → {self._variables[name]}{arrow}{after}"
        return self._roots.get(root, "") + _DOTTED.sub(self._dotted, rest)

    def type(self, name: Any) -> Any:
        """A type with its module."""
        return self._without_module(name) if isinstance(name, str) else name

    def _root(self, text: str) -> str:
        if text.startswith(_THREAD):
            name, between, function = text.removeprefix(_THREAD).rpartition(": ")
            return f"{_THREAD}{name if name in _OWN_THREADS else self._threads[name]}" + (
                between + function
            )
        if text.startswith(_TASK):
            name = text.removeprefix(_TASK)
            coroutine = name.removesuffix("()").rpartition(".")[2]
            known = name.endswith("()") and coroutine in self._functions
            return text if known else self._tasks[name]
        return self._variables[text.removeprefix(_CONTEXT)]

    def _key(self, found: re.Match[str]) -> str:
        alias = self._keys[found[0]]
        return f"[{alias}]" if found[0].startswith("[") else alias

    def _dotted(self, found: re.Match[str]) -> str:
        """A name in a path: of an object of a module, of a type, or of a module alone."""
        before = found.string[: found.start()]
        alone = "." not in found[0] and before and not before.endswith("module ")
        return found[0] if alone else self._without_module(found[0])

    def _without_module(self, name: str) -> str:
        module = None if _is_own(name) else self._module_of(name)
        return name if module is None else self._modules[module] + name[len(module) :]

    def _module_of(self, name: str) -> str | None:
        """The longest module whose name a dotted name begins with."""
        parts = name.split(".")
        begins = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((one for one in begins if one in self._foreign), None)


def _is_own(name: str) -> bool:
    """Say whether a module, or what is in it, is Python's, leaklab's or the program's main one."""
    return name.partition(".")[0] in _OWN_MODULES
