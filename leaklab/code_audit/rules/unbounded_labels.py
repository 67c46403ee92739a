"""Label values of a metric that come from the traffic: a time series for each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module, is_constant

# Values of these names are as many as there are users, addresses or requests.
OPEN_VALUES = re.compile(
    r"(^|_)(id|ids|user|client|customer|tenant|path|url|uri|ip|addr|address|host|email|token|"
    r"session|key|query|agent|name|number|message|error|exception)$",
    re.IGNORECASE,
)
BOUNDED_VALUES = re.compile(r"(route|endpoint|method|status|status_code|code|kind|type|level)$")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``metric.labels(value)`` where the value is one of an open set."""
    for call in module.nodes(ast.Call):
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "labels":
            continue
        if module.function_of(call) is None:
            continue
        values = [*call.args, *(each.value for each in call.keywords)]
        open_values = [value for value in values if is_open(value)]
        if not open_values:
            continue
        base = call.func.value
        path = base.id if isinstance(base, ast.Name) else None
        function = module.function_of(call)
        shared = path is not None and not module.is_local(path, function)
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{module.spelled(base) or 'a metric'} gets a time series for each value of "
            f"{ast.unparse(open_values[0])}",
            call,
            name=path if shared else None,
            runs=(call,),
            watches=(module.watch(path),) if path and shared else (),
            resources=("heap_bytes",),
            holders=(path,) if path else (),
        )


def is_open(value: ast.expr) -> bool:
    """Whether an expression has as many values as there is traffic."""
    if is_constant(value):
        return False
    if isinstance(value, ast.JoinedStr):
        return any(
            is_open(part.value) for part in value.values if isinstance(part, ast.FormattedValue)
        )
    if isinstance(value, ast.BinOp):
        # "client-%d" % number, "client-" + name
        return is_open(value.right) or is_open(value.left)
    if isinstance(value, ast.Call):
        named = isinstance(value.func, ast.Name) and value.func.id in ("str", "repr", "format")
        return named and any(is_open(each) for each in value.args)
    name = getattr(value, "attr", None) or getattr(value, "id", None)
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
        name = str(value.slice.value)
    if name is None:
        return False
    return bool(OPEN_VALUES.search(name)) and not BOUNDED_VALUES.search(name)


RULE = Rule(
    id="LL009",
    title="metric label with values from the traffic",
    why=(
        "A metrics library keeps one child per set of label values for ever. A user, path or "
        "address as a label makes as many as there are of them."
    ),
    cases=("prometheus-labels",),
    bad="""
from prometheus_client import Counter

REQUESTS = Counter("requests", "served", ["user"])

def handle(request):
    REQUESTS.labels(request.user_id).inc()
""",
    good="""
from prometheus_client import Counter

REQUESTS = Counter("requests", "served", ["route"])

def handle(request):
    REQUESTS.labels(request.route).inc()
""",
    check=check,
)
