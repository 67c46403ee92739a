"""Settings of the garbage collector where a leak is to be cured."""

from __future__ import annotations

from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield gc.set_threshold, gc.disable without enable, and gc.collect() in the work."""
    enables = any(called == "gc.enable" for _, called in module.calls)
    for call, called in module.calls:
        function = module.function_of(call)
        if called == "gc.set_threshold":
            why = "the collector's thresholds decide when cycles go, never whether"
        elif called == "gc.disable" and not enables:
            why = "without the collector every reference cycle stays"
        elif called == "gc.collect" and function is not None and not module.runs_once(function):
            why = "a full collection at each call; it frees nothing that is still referred to"
        else:
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{called}(): {why}",
            call,
            runs=(call,),
            resources=("heap_bytes",),
            holders=("unreachable cycle",),
        )


RULE = Rule(
    id="LL020",
    title="garbage collector settings as a cure",
    why=(
        "The collector frees cycles nobody refers to. A leak is what somebody does refer to: no "
        "threshold and no gc.collect() ends it, and switched off it makes leaks of its own."
    ),
    cases=("gc-tuning", "monitor-thread"),
    bad="""
import gc

def handle(request):
    answer = request.run()
    gc.collect()
    return answer
""",
    good="""
def handle(request):
    return request.run()
""",
    check=check,
)
