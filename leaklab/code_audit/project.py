"""What rules may know of the whole code base: the modules, and what is made at their top level."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cached_property

from leaklab.code_audit.containers import Containers
from leaklab.code_audit.scopes import Module


class Project:
    """All modules of one audit."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        self._containers: dict[Module, Containers] = {}

    def containers(self, module: Module) -> Containers:
        """The containers of a module, worked out once."""
        if module not in self._containers:
            self._containers[module] = Containers(module)
        return self._containers[module]

    @cached_property
    def long_lived_classes(self) -> frozenset[str]:
        """Bare names of classes of which a module or a class keeps an instance."""
        found: set[str] = set()
        for module in self.modules:
            for node in (*module.nodes(ast.Assign), *module.nodes(ast.AnnAssign)):
                value = node.value
                if not isinstance(value, ast.Call):
                    continue
                function = module.function_of(node)
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                kept = function is None or any(
                    isinstance(target, ast.Name) and not module.is_local(target.id, function)
                    for target in targets
                )
                # An attribute of an application lives as long as that does.
                kept = kept or any(
                    (module.spelled(target) or "").startswith(("app.", "self.app.", "cls."))
                    for target in targets
                )
                name = module.dotted(value.func)
                if kept and name:
                    found.add(name.rpartition(".")[2])
        return self._with_bases(found)

    def _with_bases(self, names: set[str]) -> frozenset[str]:
        bases: dict[str, set[str]] = {}
        for module in self.modules:
            for node in module.nodes(ast.ClassDef):
                named = {(module.dotted(base) or "").rpartition(".")[2] for base in node.bases}
                bases.setdefault(node.name, set()).update(named)
        wanted, todo = set(names), list(names)
        while todo:
            for base in bases.get(todo.pop(), ()):
                if base and base not in wanted:
                    wanted.add(base)
                    todo.append(base)
        return frozenset(wanted)
