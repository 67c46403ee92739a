"""Containers that outlive a call, where they grow and where they shrink, for one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from leaklab.code_audit.parameters import shrunk_parameters
from leaklab.code_audit.scopes import FUNCTIONS, Function, Module, is_constant, keyword, pairs

PLAIN = "plain"
COUNTER = "counter"
DEFAULTS = "defaultdict"
DEQUE = "deque"
QUEUE = "queue"
BOUNDED_TYPE = "bounded"
#: handed in from outside: what it is stands elsewhere
UNKNOWN = "unknown"

CONSTRUCTORS = {
    "dict": PLAIN,
    "list": PLAIN,
    "set": PLAIN,
    "collections.OrderedDict": PLAIN,
    "collections.Counter": COUNTER,
    "collections.defaultdict": DEFAULTS,
    "collections.deque": DEQUE,
    "queue.Queue": QUEUE,
    "queue.LifoQueue": QUEUE,
    "queue.PriorityQueue": QUEUE,
    "queue.SimpleQueue": QUEUE,
    "asyncio.Queue": QUEUE,
    "asyncio.LifoQueue": QUEUE,
    "asyncio.PriorityQueue": QUEUE,
    "multiprocessing.Queue": QUEUE,
    "multiprocessing.SimpleQueue": QUEUE,
    "weakref.WeakValueDictionary": BOUNDED_TYPE,
    "weakref.WeakKeyDictionary": BOUNDED_TYPE,
    "weakref.WeakSet": BOUNDED_TYPE,
}
BOUNDED_NAMES = ("LRUCache", "TTLCache", "LFUCache", "FIFOCache", "RRCache", "TLRUCache")
GROWING = frozenset(
    {
        "append", "appendleft", "add", "extend", "extendleft", "insert", "update", "setdefault",
        "put", "put_nowait", "push",
    }
)  # fmt: skip
SHRINKING = frozenset(
    {
        "pop", "popitem", "popleft", "remove", "discard", "clear", "difference_update",
        "intersection_update", "get_nowait", "task_done", "expire", "evict", "prune", "flush",
    }
)  # fmt: skip


@dataclass
class Change:
    """One place where a container grows or shrinks."""

    node: ast.AST
    function: Function | None
    how: str


@dataclass
class Container:
    """A container of a module, a class or the instances of a class.

    ``path`` is its dotted name inside the module ("PAGES", "Cache.entries"); ``scope`` is
    "module", "class" or "instance"; ``handed_in``: the module's containers that a constructor is
    given for it; ``names``: what it is called, by itself and as a local.
    """

    path: str
    scope: str
    kind: str
    node: ast.AST
    owner: ast.ClassDef | None = None
    grows: list[Change] = field(default_factory=list)
    shrinks: list[Change] = field(default_factory=list)
    handed_in: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.path.rpartition(".")[2]


def kind_of(module: Module, value: ast.AST | None) -> str | None:
    """What kind of container an expression makes; None for no container."""
    if isinstance(value, (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)):
        return PLAIN
    if not isinstance(value, ast.Call):
        return None
    called = module.dotted(value.func) or ""
    if called.rpartition(".")[2] in BOUNDED_NAMES:
        return PLAIN if _is_endless(_size(value)) else BOUNDED_TYPE
    kind = CONSTRUCTORS.get(called)
    if kind == DEQUE and (keyword(value, "maxlen") is not None or len(value.args) > 1):
        return BOUNDED_TYPE
    if kind == QUEUE and _has_size(value):
        return BOUNDED_TYPE
    return kind


def _size(call: ast.Call) -> ast.expr | None:
    return keyword(call, "maxsize") or (call.args[0] if call.args else None)


def _has_size(call: ast.Call) -> bool:
    size = _size(call)
    return size is not None and not (isinstance(size, ast.Constant) and size.value in (0, None))


def _is_endless(size: ast.expr | None) -> bool:
    """``float("inf")``, ``math.inf`` or None as a limit."""
    return size is not None and ast.unparse(size) in ("None", "float('inf')", "math.inf")


class Containers:
    """All containers of a module that outlive a call, by path."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.by_path: dict[str, Container] = {}
        self._by_attribute: dict[str, list[Container]] = {}
        self._aliases: dict[Function, dict[str, Container]] = {}
        self._class_aliases: dict[tuple[Function, str], ast.ClassDef] = {}
        self._shrunk_parameters = shrunk_parameters(module, SHRINKING)
        self._define()
        self._follow_rebinding()
        self._find_handed_in()
        self._find_aliases()
        self._find_changes()

    def __iter__(self) -> Iterator[Container]:
        return iter(self.by_path.values())

    def _add(self, container: Container) -> None:
        container.names.add(container.name)
        known = self.by_path.get(container.path)
        if known is None:
            self.by_path[container.path] = container
            if container.owner is not None:
                self._by_attribute.setdefault(container.name, []).append(container)
        elif known.kind == UNKNOWN:
            known.kind = container.kind

    def _define(self) -> None:
        for target, value, node in self._assignments():
            function = self.module.function_of(node)
            kind = kind_of(self.module, value)
            if isinstance(target, ast.Name) and kind is not None and function is None:
                owner = self.module.class_of(node)
                path = f"{self.module.qualname(owner)}.{target.id}" if owner else target.id
                scope = "class" if owner else "module"
                self._add(Container(path, scope, kind, node, owner))
            elif function is not None and isinstance(target, ast.Attribute) and _is_self(target):
                owner = self.module.class_of(function)
                if kind is None and function.name == "__init__" and _is_parameter(value, function):
                    kind = UNKNOWN
                if owner is not None and kind is not None:
                    path = f"{self.module.qualname(owner)}.{target.attr}"
                    known = self.by_path.get(path)
                    if known is not None and function.name == "__init__":
                        known.scope = "instance"  # each object hides what the class has
                    self._add(Container(path, "instance", kind, node, owner))

    def _assignments(self) -> Iterator[tuple[ast.expr, ast.expr | None, ast.stmt]]:
        for node in self.module.nodes(ast.Assign):
            for target, value in pairs(node.targets, node.value):
                yield target, value, node
        for each in self.module.nodes(ast.AnnAssign):
            if each.value is not None:
                yield each.target, each.value, each

    def _follow_rebinding(self) -> None:
        """A module's name may be bound to another kind of container by a function at the start."""
        for target, value, node in self._assignments():
            if not isinstance(target, ast.Name) or target.id not in self.by_path:
                continue
            function = self.module.function_of(node)
            if function is None or self.module.is_local(target.id, function):
                continue
            if self.module.runs_once(function):
                kind = kind_of(self.module, self._made_by(value, function))
                if kind is not None:
                    self.by_path[target.id].kind = kind

    def _made_by(self, value: ast.expr | None, function: Function) -> ast.expr | None:
        """What a call of a local lambda or a one-line factory returns; else the value itself."""
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            return value
        for below in ast.walk(function):
            if isinstance(below, ast.Assign):
                for target, made in pairs(below.targets, below.value):
                    if isinstance(target, ast.Name) and target.id == value.func.id:
                        if isinstance(made, ast.Lambda):
                            return made.body
        return value

    def _find_handed_in(self) -> None:
        """``Client(CACHE)`` that keeps its argument: the attribute is that container."""
        unknown = [each for each in self if each.kind == UNKNOWN and each.owner is not None]
        if not unknown:
            return
        for call, called in self.module.calls:
            given = [each.id for each in call.args if isinstance(each, ast.Name)]
            known = [name for name in given if name in self.by_path]
            for container in unknown:
                if container.owner is not None and called == container.owner.name and known:
                    container.handed_in += known
                    container.kind = self.by_path[known[0]].kind

    def _find_aliases(self) -> None:
        """Locals that are another name of a container: ``cache = self._cache``."""
        for target, value, node in self._assignments():
            function = self.module.function_of(node)
            if function is None or not isinstance(target, ast.Name):
                continue
            owner = self._class_meant(value, node)
            if owner is not None:
                self._class_aliases[function, target.id] = owner
            elif isinstance(value, (ast.Name, ast.Attribute)):
                container = self.find(value, node)
                if container is not None:
                    container.names.add(target.id)
                    self._aliases.setdefault(function, {})[target.id] = container

    def find(self, node: ast.AST | None, at: ast.AST) -> Container | None:
        """The container an expression stands for where it is used; None for any other."""
        function = self.module.function_of(at)
        if isinstance(node, ast.Name):
            alias = self._aliases.get(function, {}).get(node.id) if function else None
            if alias is not None:
                return alias
            known = self.by_path.get(node.id)
            return None if known and self.module.is_local(node.id, function) else known
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                return self._of_class(self.module.class_of(at), node.attr)
            return self._of_class(self._class_meant(node.value, at), node.attr)
        return None

    def _class_meant(self, node: ast.AST | None, at: ast.AST) -> ast.ClassDef | None:
        """The class that ``Name``, ``type(self)`` or ``self.__class__`` stands for where it is."""
        if isinstance(node, ast.Name):
            function = self.module.function_of(at)
            known = self._class_aliases.get((function, node.id)) if function else None
            return known or self.module.classes.get(node.id)
        base: ast.AST | None = None
        if isinstance(node, ast.Attribute) and node.attr == "__class__":
            base = node.value
        elif isinstance(node, ast.Call) and self.module.dotted(node.func) == "type" and node.args:
            base = node.args[0]
        of_self = isinstance(base, ast.Name) and base.id == "self"
        return self.module.class_of(at) if of_self else None

    def _of_class(self, owner: ast.ClassDef | None, attribute: str) -> Container | None:
        """The attribute of a class or of a base of it in the same module."""
        for each in self.module.lineage(owner):
            found = self.by_path.get(f"{self.module.qualname(each)}.{attribute}")
            if found is not None:
                return found
        return None

    def _find_changes(self) -> None:
        for call in self.module.nodes(ast.Call):
            self._change_by_call(call)
        for node in self.module.nodes(ast.Attribute):
            # ``task.add_done_callback(TASKS.discard)``: handed on to be called.
            call = self.module.parent(node)
            called = isinstance(call, ast.Call) and call.func is node
            if node.attr in SHRINKING and not called:
                container = self.find(node.value, node)
                if container is not None:
                    container.shrinks.append(self._change(node, node.attr))
        for node in self.module.nodes(ast.Subscript):
            self._change_by_subscript(node)
        for each in self.module.nodes(ast.AugAssign):
            container = self.find(each.target, each)
            if container is not None and isinstance(each.op, (ast.Add, ast.BitOr)):
                container.grows.append(self._change(each, "+="))
            elif container is not None:
                container.shrinks.append(self._change(each, "-="))
        for target, value, node in self._assignments():
            self._change_by_rebinding(target, value, node)

    def _change(self, node: ast.AST, how: str) -> Change:
        return Change(node, self.module.function_of(node), how)

    def _change_by_call(self, call: ast.Call) -> None:
        called = self.module.dotted(call.func) or ""
        if called in ("heapq.heappush", "heapq.heappop") and call.args:
            container = self.find(call.args[0], call)
            if container is not None:
                changes = container.grows if called.endswith("push") else container.shrinks
                changes.append(self._change(call, called.rpartition(".")[2]))
            return
        if isinstance(call.func, ast.Name):
            self._change_by_handing_on(call, call.func.id)
        if not isinstance(call.func, ast.Attribute):
            return
        method, base = call.func.attr, call.func.value
        if method in SHRINKING:
            self._shrunk_elsewhere(base, call, method)
        if method not in GROWING and method not in SHRINKING and method != "get":
            return
        inner = isinstance(base, ast.Subscript)
        container = self.find(base.value if isinstance(base, ast.Subscript) else base, call)
        if container is None or (method == "get" and container.kind != QUEUE):
            return
        if method in SHRINKING or method == "get":
            if not inner:
                container.shrinks.append(self._change(call, method))
        elif inner:
            if container.kind == DEFAULTS and not is_constant(base.slice):  # type: ignore[attr-defined]
                container.grows.append(self._change(call, "a new key"))
        elif method == "get_nowait" or not _adds_nothing_new(method, call):
            container.grows.append(self._change(call, method))

    def _change_by_handing_on(self, call: ast.Call, name: str) -> None:
        """``shorten(ENTRIES)`` takes out what that function takes out of its parameter."""
        for place in self._shrunk_parameters.get(name, ()):
            container = self.find(call.args[place], call) if place < len(call.args) else None
            if container is not None:
                container.shrinks.append(self._change(call, name))

    def _shrunk_elsewhere(self, base: ast.expr, call: ast.Call, method: str) -> None:
        """``owner.entries.pop()`` counts for every class with such an attribute."""
        if isinstance(base, ast.Attribute):
            spelled = base.value
            if not (isinstance(spelled, ast.Name) and spelled.id in ("self", "cls")):
                for container in self._by_attribute.get(base.attr, ()):
                    container.shrinks.append(self._change(call, method))

    def _change_by_subscript(self, node: ast.Subscript) -> None:
        container = self.find(node.value, node)
        if container is None:
            if isinstance(node.ctx, ast.Del) and isinstance(node.value, ast.Attribute):
                for each in self._by_attribute.get(node.value.attr, ()):
                    each.shrinks.append(self._change(node, "del"))
            return
        if isinstance(node.ctx, ast.Del):
            container.shrinks.append(self._change(node, "del"))
        elif isinstance(node.ctx, ast.Store):
            if isinstance(node.slice, ast.Slice):
                container.shrinks.append(self._change(node, "slice"))
            elif not is_constant(node.slice):
                container.grows.append(self._change(node, "a new key"))
        elif container.kind == DEFAULTS and not is_constant(node.slice):
            container.grows.append(self._change(node, "a key asked for"))

    def _change_by_rebinding(
        self, target: ast.expr, value: ast.expr | None, node: ast.stmt
    ) -> None:
        """A container bound anew lets go of what it held, unless it is made once, at the start."""
        container = self.find(target, node)
        function = self.module.function_of(node)
        if container is None or function is None or node is container.node:
            return
        if isinstance(target, ast.Name) and self.module.is_local(target.id, function):
            return
        if self.module.runs_once(function) or function.name in ("__init__", "__post_init__"):
            return
        container.shrinks.append(self._change(node, "bound anew"))


def _is_self(target: ast.Attribute) -> bool:
    return isinstance(target.value, ast.Name) and target.value.id == "self"


def _is_parameter(value: ast.expr | None, function: Function) -> bool:
    names = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    return isinstance(value, ast.Name) and value.id in names


def _adds_nothing_new(method: str, call: ast.Call) -> bool:
    """Whether a call can only ever add the same: ``seen.add("x")``, ``options.update(a=1)``."""
    if method in ("add", "setdefault"):
        return bool(call.args) and is_constant(call.args[0])
    if method == "update":
        literal = bool(call.args) and all(
            isinstance(each, ast.Dict) and all(is_constant(key) for key in each.keys)
            for each in call.args
        )
        return literal or not call.args
    return False


__all__ = ["FUNCTIONS", "Change", "Container", "Containers", "kind_of"]
