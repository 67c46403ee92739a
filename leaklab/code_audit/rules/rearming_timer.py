"""A timer that starts itself again."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

TIMERS = ("threading.Timer",)
LATER = ("call_later", "call_at")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield calls that arm a timer with the very function they stand in, never cancelled."""
    if any(method == "cancel" for _, method in module.attribute_calls):
        return
    helpers = _making_timers(module)
    for call, called in module.calls:
        name = (called or "").rpartition(".")[2]
        if called not in TIMERS and name not in helpers and _method(call) not in LATER:
            continue
        function = module.function_of(call)
        arguments = (*call.args, *(each.value for each in call.keywords))
        if function is not None and any(_is(module, each, function.name) for each in arguments):
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"{module.qualname(function)} starts itself again and nothing cancels it: what it "
                "refers to never goes",
                call,
                runs=(call,),
                resources=("thread_count", "heap_bytes"),
                holders=("Timer", function.name),
            )


def _making_timers(module: Module) -> set[str]:
    """Names of the module's own functions that make a timer."""
    makers = (module.function_of(call) for call, called in module.calls if called in TIMERS)
    return {maker.name for maker in makers if maker is not None}


def _method(call: ast.Call) -> str | None:
    return getattr(call.func, "attr", None)


def _is(module: Module, argument: ast.expr, name: str) -> bool:
    return (module.spelled(argument) or "").removeprefix("self.") == name


RULE = Rule(
    id="LL011",
    title="timer that re-arms itself",
    why=(
        "Each firing starts the next, so the chain never ends: a thread each time, and the object "
        "whose method it is lives for ever. One per object is one more chain per object."
    ),
    cases=("timers",),
    bad="""
import threading

class Automation:
    def run(self):
        self.refresh()
        threading.Timer(3600, self.run).start()
""",
    good="""
import threading

class Automation:
    def run(self):
        self.refresh()
        self.timer = threading.Timer(3600, self.run)
        self.timer.start()

    def stop(self):
        self.timer.cancel()
""",
    check=check,
)
