"""What rules may know beyond one module: the classes of which the code base keeps an instance."""

from __future__ import annotations

import ast

from leaklab.code_audit.containers import Containers
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.scopes import Module, pairs


class Project:
    """The code base, read one module at a time: no more than one tree is held."""

    def __init__(self) -> None:
        self._module: Module | None = None
        self._containers: Containers | None = None
        self._kept: set[str] = set()
        self._mentioned: set[str] = set()
        self._bases: dict[str, set[str]] = {}

    def enter(self, module: Module) -> None:
        """Go on to the next module."""
        self._module, self._containers = module, None
        self._kept |= kept_classes(module)
        self._mentioned |= module.mentioned()
        for node in module.nodes(ast.ClassDef):
            named = {(module.dotted(base) or "").rpartition(".")[2] for base in node.bases}
            self._bases.setdefault(node.name, set()).update(named)

    def containers(self, module: Module) -> Containers:
        """The containers of the module at hand, worked out once."""
        if self._containers is None or module is not self._module:
            self._module, self._containers = module, Containers(module)
        return self._containers

    def is_candidate(self, candidate: Candidate) -> bool:
        """Whether it still is one, now that every module was read."""
        if any(name in self._mentioned for name in candidate.if_uncalled):
            return False
        kept = self.long_lived_classes()
        if candidate.if_kept is not None and candidate.if_kept not in kept:
            return False
        return candidate.unless_kept is None or candidate.unless_kept not in kept

    def long_lived_classes(self) -> set[str]:
        """Bare names of classes, and their bases, of which something lasting has an instance."""
        wanted, todo = set(self._kept), list(self._kept)
        while todo:
            for base in self._bases.get(todo.pop(), ()):
                if base and base not in wanted:
                    wanted.add(base)
                    todo.append(base)
        return wanted


def kept_classes(module: Module) -> set[str]:
    """Bare names of what a module calls to make something it keeps: classes, most of them."""
    found: set[str] = set()
    aliases: dict[str, str] = {}
    for node in (*module.nodes(ast.Assign), *module.nodes(ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        function = module.function_of(node)
        for target, value in pairs(targets, node.value) if node.value is not None else ():
            name = module.dotted(value.func) if isinstance(value, ast.Call) else None
            if isinstance(target, ast.Name) and isinstance(value, ast.Name) and function is None:
                aliases[target.id] = value.id
            elif name and _lasts(module, target, function):
                found.add(name.rpartition(".")[2])
    return found | {aliases[name] for name in found if name in aliases}


def _lasts(module: Module, target: ast.expr, function: ast.AST | None) -> bool:
    """Whether a target outlives the call: a module's name, a global, an application's state."""
    if function is None:
        return True
    if isinstance(target, ast.Name):
        return not module.is_local(target.id, module.function_of(target))
    return (module.spelled(target) or "").startswith(("app.", "self.app.", "cls."))
