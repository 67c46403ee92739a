"""A handler, listener, signal, job or exit function registered at every call."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate, Watch
from leaklab.code_audit.once import happens_once, is_remembered
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module, is_constant, keyword

# method or function: what takes it back
REGISTERING: dict[str, tuple[str, ...] | None] = {
    "addHandler": ("removeHandler",),
    "addFilter": ("removeFilter",),
    "add_job": ("remove_job", "remove"),
    "scheduled_job": ("remove_job",),
    "add_listener": ("remove_listener",),
    "add_event_handler": ("remove_event_handler",),
    "add_signal_handler": ("remove_signal_handler",),
    "add_done_callback": None,
    "set_function": ("remove", "clear"),
    "subscribe": ("unsubscribe",),
    "register_callback": ("unregister_callback", "deregister_callback"),
    "add_reader": ("remove_reader",),
}
FUNCTIONS: dict[str, tuple[str, ...] | None] = {
    "atexit.register": ("atexit.unregister",),
    "os.register_at_fork": (),
    "sqlalchemy.event.listen": ("sqlalchemy.event.remove",),
    "weakref.finalize": None,
}
# ``x.connect(receiver)`` registers for a signal; for a database or socket it connects.
SIGNAL_NAMES = ("signal", "post_save", "pre_save", "shutdown", "init", "task", "ready", "done")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield registrations in functions that run again and again, never taken back."""
    for call, called in module.calls:
        undo = _undone_by(module, call, called)
        if undo is None:
            continue
        function = module.function_of(call)
        if function is None or module.runs_once(function) or is_remembered(module, function):
            continue
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        if happens_once(module, call, receiver):
            continue
        if isinstance(module.parent(call), ast.withitem):
            continue  # a context manager that takes it back
        if _replaces(call) or any(_is_called(module, name) for name in undo):
            continue
        if _is_made_by(module, function, call):
            continue  # it goes with its receiver, which is another one at each call
        what = module.spelled(call.func) or getattr(call.func, "attr", "it")
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{what}() in {module.qualname(function)} registers once more at each call, and "
            "nothing takes it back",
            call,
            name=what if _receiver_path(module, call) else None,
            runs=(call,),
            watches=_watches(module, call, called),
            resources=("heap_bytes",),
            holders=_holders(module, call),
        )


def _undone_by(module: Module, call: ast.Call, called: str | None) -> tuple[str, ...] | None:
    if called in FUNCTIONS:
        return FUNCTIONS[called]
    if not isinstance(call.func, ast.Attribute):
        return None
    method = call.func.attr
    if method in REGISTERING:
        if method == "addHandler" and call.args and isinstance(call.args[0], ast.Call):
            if (module.dotted(call.args[0].func) or "").endswith("NullHandler"):
                return None
        return REGISTERING[method]
    if method == "connect" and call.args and isinstance(call.args[0], (ast.Name, ast.Attribute)):
        base = (module.spelled(call.func.value) or "").rpartition(".")[2].lower()
        strongly = is_constant(keyword(call, "weak"))
        if strongly or any(base.endswith(name) for name in SIGNAL_NAMES):
            return ("disconnect",)
    return None


def _is_made_by(module: Module, function: ast.AST, call: ast.Call) -> bool:
    """Whether the function makes the receiver: x = Thing(); x.register(f)."""
    if not isinstance(call.func, ast.Attribute):
        return False
    receiver = module.spelled(call.func.value)
    return receiver is not None and any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, (ast.Name, ast.Attribute))
        and (module.spelled(node.value.func) or "").rpartition(".")[2][:1].isupper()
        and any(module.spelled(target) == receiver for target in node.targets)
        for node in ast.walk(function)
    )


def _replaces(call: ast.Call) -> bool:
    """Whether it takes the place of what was registered under the same name."""
    replacing = keyword(call, "replace_existing")
    return keyword(call, "dispatch_uid") is not None or (
        is_constant(replacing) and bool(getattr(replacing, "value", False))
    )


def _is_called(module: Module, name: str) -> bool:
    method = name.rpartition(".")[2]
    return any(called == method for _, called in module.attribute_calls) or any(
        called == name for _, called in module.calls
    )


def _receiver_path(module: Module, call: ast.Call) -> str | None:
    """The receiver where it is a name of the module."""
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        name = call.func.value.id
        return name if _is_shared(module, call, name) else None
    return None


def _is_shared(module: Module, call: ast.Call, name: str) -> bool:
    return not module.is_local(name, module.function_of(call)) and name not in module.imports


def _watches(module: Module, call: ast.Call, called: str | None) -> tuple[Watch, ...]:
    if called == "atexit.register":
        return (Watch("atexit:callbacks", "", "atexit"),)
    path = _receiver_path(module, call)
    return (module.watch(path),) if path else ()


def _holders(module: Module, call: ast.Call) -> tuple[str, ...]:
    """The name of the module below which it stays: METRIC of METRIC.labels(x).set_function(f)."""
    below: ast.AST = call.func
    while isinstance(below, (ast.Attribute, ast.Call, ast.Subscript)):
        below = below.func if isinstance(below, ast.Call) else below.value
    if isinstance(call.func, ast.Attribute) and isinstance(below, ast.Name):
        return (below.id,) if _is_shared(module, call, below.id) else ()
    return ()


RULE = Rule(
    id="LL008",
    title="registration at every call",
    why=(
        "A handler, listener, job or callback stays with what it was registered at, with "
        "everything it refers to. Registered per request it is one more each time."
    ),
    cases=("scheduler-jobs", "lingering-schedulers", "prometheus-labels"),
    bad="""
import logging

def handle(request):
    logger = logging.getLogger("app")
    logger.addHandler(logging.StreamHandler())
    logger.info("served %s", request)
""",
    good="""
import logging

def handle(request):
    logger = logging.getLogger("app")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        logger.info("served %s", request)
    finally:
        logger.removeHandler(handler)
""",
    check=check,
)
