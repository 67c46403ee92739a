"""A timer that starts itself again."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate, Rule
from leaklab.code_audit.project import Project
from leaklab.code_audit.scopes import Module

TIMERS = ("threading.Timer",)
LATER = ("call_later", "call_at")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield calls that arm a timer with the very function they stand in, never cancelled."""
    cancelled = any(method == "cancel" for _, method in module.attribute_calls)
    for call, called in module.calls:
        function = module.function_of(call)
        if function is None or cancelled or not _arms(module, call, called):
            continue
        itself = [
            argument
            for argument in (*call.args, *(each.value for each in call.keywords))
            if (module.spelled(argument) or "").removeprefix("self.") == function.name
        ]
        if itself:
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


def _arms(module: Module, call: ast.Call, called: str | None) -> bool:
    if called in TIMERS or getattr(call.func, "attr", None) in LATER:
        return True
    # A function of the module that makes the timer.
    for helper in module.functions.get((called or "").rpartition(".")[2], ()):
        if any(
            isinstance(below, ast.Call) and module.dotted(below.func) in TIMERS
            for below in ast.walk(helper)
        ):
            return True
    return False


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
