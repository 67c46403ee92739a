"""One parsed module with what rules ask of it: scopes, names, calls, and who calls whom."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from leaklab.code_audit.codes import code_of
from leaklab.code_audit.model import Candidate, Watch
from leaklab.code_audit.sources import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Shared by all trees, and asked for by nobody.
_CONTEXTS = (ast.Load, ast.Store, ast.Del)
# Conventional names of what a program calls once, at its start or end.
ONCE_NAMES = re.compile(
    r"^(?!__)_*(main|cli|setup|set_up|configure|config|init|initiali[sz]e|install|bootstrap|startup|"
    r"on_startup|lifespan|create_app|make_app|build_app|ready|shutdown|on_shutdown|includeme|"
    r"load_ipython_extension|pytest_\w+|setUp\w*|tearDown\w*|register_commands|__init_subclass__)"
    r"(_\w+)?$"
)


class Module:
    """The syntax tree of one file with its scopes, computed once and shared by all rules."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tree = source.tree
        self.text_lines = source.text.splitlines()
        self.parents: dict[ast.AST, ast.AST] = {}
        self._by_type: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        stack: list[ast.AST] = [self.tree]
        parents, by_type = self.parents, self._by_type
        while stack:
            node = stack.pop()
            by_type[type(node)].append(node)
            children = [
                child
                for field in node._fields
                for value in (getattr(node, field, None),)
                for child in (value if type(value) is list else (value,))
                if isinstance(child, ast.AST) and type(child) not in _CONTEXTS
            ]
            for child in children:
                parents[child] = node
            stack.extend(reversed(children))

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[Any]:
        """Yield all nodes of these types, in source order for each type."""
        for kind in kinds:
            yield from self._by_type[kind]

    @cached_property
    def name(self) -> str:
        """The dotted name of the module, from the packages its folder lies in."""
        path = Path(self.source.path)
        parts = [] if path.stem == "__init__" else [path.stem]
        folder = path.parent
        while (folder / "__init__.py").exists() and folder != folder.parent:
            parts.insert(0, folder.name)
            folder = folder.parent
        return ".".join(parts) or path.parent.name

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for: ``{"np": "numpy", "deque": "collections.deque"}``."""
        found = {}
        for node in self.nodes(ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        for each in self.nodes(ast.ImportFrom):
            for alias in each.names:
                origin = "." * each.level + (each.module or "")
                found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    def dotted(self, node: ast.AST | None) -> str | None:
        """The dotted name an expression spells, its first part resolved through the imports."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        parts.append(self.imports.get(node.id, node.id))
        return ".".join(reversed(parts))

    def spelled(self, node: ast.AST | None) -> str | None:
        """The dotted name as it stands in the source: "self.cache"."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join(reversed([*parts, node.id]))

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around it; None for the module."""
        return self.parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes around it, the nearest first."""
        above = self.parents.get(node)
        while above is not None:
            yield above
            above = self.parents.get(above)

    def function_of(self, node: ast.AST) -> Function | None:
        """The function it stands in; None at the top level of module or class."""
        above = self.parents.get(node)
        while above is not None:
            if isinstance(above, FUNCTIONS):
                return above
            above = self.parents.get(above)
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around it, also from inside its methods."""
        for above in self.ancestors(node):
            if isinstance(above, ast.ClassDef):
                return above
        return None

    def loop_of(self, node: ast.AST) -> Loop | None:
        """The innermost loop around it in the same function."""
        for above in self.ancestors(node):
            if isinstance(above, (*FUNCTIONS, ast.Lambda)):
                return None
            if isinstance(above, (ast.For, ast.AsyncFor, ast.While)):
                return above
        return None

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """The statement it belongs to."""
        if isinstance(node, ast.stmt):
            return node
        return next(above for above in self.ancestors(node) if isinstance(above, ast.stmt))

    def qualname(self, node: ast.AST | None) -> str | None:
        """``Class.method`` for a function or class; None for None."""
        if node is None:
            return None
        names = [getattr(node, "name", "")]
        for above in self.ancestors(node):
            if isinstance(above, (*FUNCTIONS, ast.ClassDef)):
                names.insert(0, above.name)
        return ".".join(names)

    @cached_property
    def functions(self) -> dict[str, list[Function]]:
        """Functions and methods by their bare name."""
        found: dict[str, list[Function]] = defaultdict(list)
        for node in self.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
            found[node.name].append(node)
        return found

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Classes by their bare name."""
        return {node.name: node for node in self.nodes(ast.ClassDef)}

    def lineage(self, owner: ast.ClassDef | None) -> Iterator[ast.ClassDef]:
        """Yield a class and its bases in the same module, the first of each only."""
        seen = set()
        while owner is not None and owner.name not in seen:
            seen.add(owner.name)
            yield owner
            bases = [base.id for base in owner.bases if isinstance(base, ast.Name)]
            owner = next((self.classes[base] for base in bases if base in self.classes), None)

    def derived_from(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """The classes of the module that have it as a base."""
        return [each for each in self.classes.values() if owner in self.lineage(each)]

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str | None]]:
        """Every call with the dotted name of what is called, None where it has none."""
        return [(node, self.dotted(node.func)) for node in self.nodes(ast.Call)]

    @cached_property
    def _references(self) -> dict[str, list[ast.AST]]:
        """Loads of a name, and attributes of that name, by the name."""
        found: dict[str, list[ast.AST]] = defaultdict(list)
        for node in self.nodes(ast.Name):
            if isinstance(node.ctx, ast.Load):
                found[node.id].append(node)
        for each in self.nodes(ast.Attribute):
            found[each.attr].append(each)
        return found

    def mentioned(self) -> set[str]:
        """Every name and attribute that is read in the module."""
        return set(self._references)

    def instances_of(self, owner: ast.ClassDef) -> list[str]:
        """Names of the module that hold an instance of a class of it."""
        found = []
        for node in self.nodes(ast.Assign):
            if isinstance(node.value, ast.Call) and self.function_of(node) is None:
                called = self.dotted(node.value.func) or ""
                called = self.class_aliases.get(called, called)
                if called == owner.name:
                    found += [each.id for each in node.targets if isinstance(each, ast.Name)]
        return found

    @cached_property
    def class_aliases(self) -> dict[str, str]:
        """Other names that the module gives its classes: ``CACHE_CLASS = LimitedCache``."""
        found = {}
        for node in self.nodes(ast.Assign):
            for target, value in pairs(node.targets, node.value):
                if isinstance(target, ast.Name) and isinstance(value, ast.Name):
                    if value.id in self.classes:
                        found[target.id] = value.id
        return found

    def references(self, name: str) -> list[ast.AST]:
        """Where a name is read, as a name or as an attribute."""
        return self._references.get(name, [])

    @cached_property
    def attribute_calls(self) -> set[tuple[str, str]]:
        """``(last name of the object, method)`` of every method call: ("client", "close")."""
        found = set()
        for node in self.nodes(ast.Call):
            if isinstance(node.func, ast.Attribute):
                base = node.func.value
                while isinstance(base, ast.Await):
                    base = base.value
                name = getattr(base, "attr", None) or getattr(base, "id", None)
                found.add((name or "", node.func.attr))
        return found

    def runs_once(
        self, function: Function | None, _seen: frozenset[Function] = frozenset()
    ) -> bool:
        """Whether a function runs once in the life of the program, as far as the source shows.

        The top level does; so does a function that only the top level, or what runs once, calls
        outside of a loop; and one that is called as such functions are by convention.
        """
        if function is None:
            return True
        if ONCE_NAMES.match(function.name):
            return True
        outer = self.parent(function)
        if isinstance(outer, ast.ClassDef) or function.decorator_list or function in _seen:
            return False
        uses = [use for use in self.references(function.name) if not self._inside(use, function)]
        if not uses:
            return False
        for use in uses:
            call = self.parent(use)
            if not (isinstance(call, ast.Call) and call.func is use):
                if not (isinstance(call, ast.Call) and self.dotted(call.func) == "asyncio.run"):
                    return False
            elif self.loop_of(call) is not None:
                return False
            if not self.runs_once(self.function_of(use), _seen | {function}):
                return False
        return True

    def _inside(self, node: ast.AST, function: Function) -> bool:
        return any(above is function for above in self.ancestors(node))

    def is_local(self, name: str, function: Function | None) -> bool:
        """Whether a bare name in ``function`` is a parameter or a local, not the module's."""
        while function is not None:
            bound, declared = self._bindings(function)
            if name in declared:
                return False
            if name in bound:
                return True
            function = self.function_of(function)
        return False

    def _bindings(self, function: Function) -> tuple[set[str], set[str]]:
        cached = self._binding_cache.get(function)
        if cached is None:
            cached = (set(), set())
            arguments = function.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            cached[0].update(argument.arg for argument in every)
            cached[0].update(a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None)
            for below in ast.walk(function):
                if isinstance(below, ast.Name) and isinstance(below.ctx, ast.Store):
                    cached[0].add(below.id)
                elif isinstance(below, (ast.Global, ast.Nonlocal)):
                    cached[1].update(below.names)
            self._binding_cache[function] = cached
        return cached

    @cached_property
    def _binding_cache(self) -> dict[Function, tuple[set[str], set[str]]]:
        return {}

    def watch(self, path: str) -> Watch:
        """A reading of ``path`` in this module."""
        return Watch(f"{self.name}:{path}", self.source.path, path)

    def candidate(
        self,
        rule: str,
        title: str,
        message: str,
        node: ast.AST,
        *,
        name: str | None = None,
        lines: tuple[ast.AST, ...] = (),
        runs: tuple[ast.AST, ...] = (),
        watches: tuple[Watch, ...] = (),
        resources: tuple[str, ...] = (),
        holders: tuple[str, ...] = (),
        if_kept: str | None = None,
        unless_kept: str | None = None,
        if_uncalled: tuple[str, ...] = (),
    ) -> Candidate:
        """A candidate at ``node``; ``lines`` belong to it, of ``runs`` one has to run."""
        first = getattr(node, "lineno", 1)
        last = getattr(node, "end_lineno", None) or first
        function = self.function_of(runs[0] if runs else node)
        cells = self.source.cells
        cell, line = cells[first - 1] if cells else (None, first)
        numbers = {_line(each) for each in (node, *lines, *runs)}
        return Candidate(
            rule=rule,
            title=title,
            message=message,
            file=self.source.file,
            line=line,
            end_line=line + (min(last, first + 40) - first),
            column=getattr(node, "col_offset", 0) + 1,
            cell=cell,
            name=f"{self.name}:{name}" if name else None,
            function=self.qualname(function),
            module=self.name,
            text=self.text_lines[first - 1] if first <= len(self.text_lines) else "",
            lines=tuple(sorted(numbers)),
            run_places=tuple(
                sorted(
                    {(_line(each), code_of(each, self.ancestors(each))) for each in runs or (node,)}
                )
            ),
            watches=watches,
            resources=resources,
            holders=holders,
            if_kept=if_kept,
            unless_kept=unless_kept,
            if_uncalled=if_uncalled,
        )


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))


def pairs(targets: list[ast.expr], value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What an assignment binds to what, tuples taken apart."""
    found: list[tuple[ast.expr, ast.expr]] = []
    for target in targets:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            found += zip(target.elts, value.elts, strict=False)
        else:
            found.append((target, value))
    return found


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first keyword argument with one of these names; None without one."""
    for each in call.keywords:
        if each.arg in names:
            return each.value
    return None


def is_constant(node: ast.AST | None) -> bool:
    """Whether an expression is a literal."""
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)
    )
