"""Which cell a name, a frame or a function is from, and what a value is in a few words."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

# The types of the interpreter whose len() reads a field.
_SIZED = (dict, list, set, frozenset, tuple, str, bytes, bytearray)
_SHAPED = ("numpy", "pandas", "polars", "torch", "pyarrow")
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def current_shell() -> Any:
    """Return IPython's shell, None without."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()


@dataclass(frozen=True)
class Place:
    """A cell (None where it is none) and how to say it: ``, In [7] boom()``."""

    cell: int | None
    text: str


class Cells:
    """The cells of a kernel's history; empty outside of one."""

    def __init__(self, namespace: Mapping[str, Any], shell: Any) -> None:
        self.namespace = namespace
        texts = namespace.get("In")
        self._texts: list[str] = texts if shell is not None and type(texts) is list else []
        compiler = getattr(shell, "compile", None)
        self._files: dict[str, int] = dict(getattr(compiler, "_filename_map", {}))
        self._bound: dict[str, int] | None = None

    def of_name(self, name: str) -> int | None:
        """Return the last cell that binds ``name``, None where none shows to."""
        if self._bound is None:
            self._bound = {}
            for number, text in enumerate(self._texts):
                self._bound.update(dict.fromkeys(_bound_names(text), number))
        return self._bound.get(name)

    def of_file(self, file: str) -> int | None:
        """Return the cell that was compiled under a file name."""
        return self._files.get(file)

    def of_traceback(self, trace: TracebackType | None) -> Place:
        """Return where an exception was raised: the innermost frame that is a cell's."""
        found = Place(None, "")
        while trace is not None:
            code = trace.tb_frame.f_code
            cell = self.of_file(code.co_filename)
            if cell is not None:
                function = "" if code.co_name in ("<module>", "<cell line: 1>") else code.co_name
                inside = f" {function}()" if function and not function.startswith("<") else ""
                found = Place(cell, f", In [{cell}]{inside}")
            trace = trace.tb_next
        return found


def _bound_names(text: str) -> set[str]:
    """Return the names that a cell binds at its own level."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the user's code: it was said when the cell ran
        try:
            tree = ast.parse(_MAGIC.sub("pass", text))
        except (SyntaxError, ValueError):
            return set()
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        todo.extend(ast.iter_child_nodes(node))
    return names


def described(value: Any) -> str:
    """Return a value's type with its size, where that is read without code of anybody's own."""
    kind = type(value)
    if isinstance(value, type):
        return "class"
    if kind in _SIZED:
        return f"{kind.__name__} of {len(value):,}"
    if kind.__module__.partition(".")[0] in _SHAPED:
        try:
            shape = value.shape
            if type(shape) is tuple and shape:
                return f"{kind.__name__} {' × '.join(f'{length:,}' for length in shape)}"
        except Exception:  # noqa: S110 - the shape is decoration
            pass
    return kind.__name__
