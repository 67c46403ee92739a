"""A thread or task per object or call whose loop nothing ends."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Function, Module, keyword

THREADS = ("threading.Thread",)
TASKS = ("create_task", "ensure_future")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield threads and tasks started again and again whose function loops without an end."""
    cancelled = any(method == "cancel" for _, method in module.attribute_calls)
    for call, called in module.calls:
        starter = module.function_of(call)
        if starter is None or (module.runs_once(starter) and module.loop_of(call) is None):
            continue
        is_thread = called in THREADS
        is_task = (called or "").rpartition(".")[2] in TASKS
        if not (is_thread or is_task) or (is_task and cancelled):
            continue
        event = _event_of(module, keyword(call, "target")) if is_thread else None
        if event is not None and (event, "set") not in module.attribute_calls:
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"{module.qualname(starter)} starts a thread that waits for {event}, which nobody "
                "sets",
                call,
                runs=(call,),
                resources=("thread_count", "heap_bytes"),
            )
        for worker in _workers(module, call, is_thread):
            loop = endless_loop(module, worker)
            if loop is None:
                continue
            kind = "thread" if is_thread else "task"
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"{module.qualname(starter)} starts a {kind} in {module.qualname(worker)}, whose "
                "loop nothing ends: each stays, with what it refers to",
                loop,
                lines=(call,),
                runs=(call, loop),
                resources=("thread_count" if is_thread else "task_count", "heap_bytes"),
                holders=(module.qualname(worker) or worker.name, worker.name),
            )


def _workers(module: Module, call: ast.Call, is_thread: bool) -> Iterator[Function]:
    """The functions of the module that the thread or task may run."""
    if is_thread:
        target = keyword(call, "target")
    else:
        first = call.args[0] if call.args else None
        target = first.func if isinstance(first, ast.Call) else first
    name = (module.spelled(target) or "").rpartition(".")[2] if target is not None else ""
    yield from module.functions.get(name, ())


def _event_of(module: Module, target: ast.expr | None) -> str | None:
    """The last name of ``event`` where the thread only runs ``event.wait``."""
    if isinstance(target, ast.Attribute) and target.attr == "wait":
        return (module.spelled(target.value) or "").rpartition(".")[2] or None
    return None


def endless_loop(module: Module, worker: Function) -> ast.While | None:
    """The loop of a function that nothing in the module ends; None where something may.

    ``while True`` without break, return or raise; or a loop until an event that nobody sets.
    """
    for loop in ast.walk(worker):
        if not isinstance(loop, ast.While) or module.function_of(loop) is not worker:
            continue
        leaves = any(
            isinstance(below, (ast.Return, ast.Raise))
            or (isinstance(below, ast.Break) and module.loop_of(below) is loop)
            for statement in loop.body
            for below in ast.walk(statement)
        )
        if leaves:
            continue
        if isinstance(loop.test, ast.Constant) and loop.test.value:
            return loop
        event = _event_waited_for(module, loop.test)
        if event is not None and (event, "set") not in module.attribute_calls:
            return loop
    return None


def _event_waited_for(module: Module, test: ast.expr) -> str | None:
    """The last name of ``event`` in ``while not event.wait(…)`` or ``not event.is_set()``."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        call = test.operand
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            if call.func.attr in ("wait", "is_set"):
                return (module.spelled(call.func.value) or "").rpartition(".")[2] or None
    return None


RULE = Rule(
    id="LL012",
    title="thread or task loop without an end",
    why=(
        "A worker whose loop nothing ends lives as long as the process, and keeps its object. "
        "Started per object or request, there is one more each time."
    ),
    cases=("monitor-thread", "periodic-worker", "cleanup-task-shutdown"),
    bad="""
import threading
import time

class Monitor:
    def start(self):
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            time.sleep(60)
            print(self)
""",
    good="""
import threading

class Monitor:
    def start(self):
        self.stopped = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while not self.stopped.wait(60):
            print(self)

    def stop(self):
        self.stopped.set()
""",
    check=check,
)
