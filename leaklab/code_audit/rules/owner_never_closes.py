"""An object that makes a client for itself and has no way to close it."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.things import CLOSING, THINGS


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``self.client = Client()`` in a class none of whose methods closes that attribute."""
    for node in module.nodes(ast.Assign):
        thing = called = None
        if isinstance(node.value, ast.Call):
            called = module.dotted(node.value.func)
            thing = THINGS.get(called or "")
        target = node.targets[0]
        if thing is None or not isinstance(target, ast.Attribute):
            continue
        owner = module.class_of(node)
        if owner is None or module.spelled(target.value) != "self":
            continue
        if is_closed(module, target.attr):
            continue
        path = f"{module.qualname(owner)}.{target.attr}"
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{path} is a {thing.kind} ({called}) and nothing closes it: each {owner.name} leaves "
            "one behind",
            node,
            name=path,
            resources=thing.resources,
            holders=(f".{target.attr}", *thing.holders),
            # One for the whole program, that a module keeps, ends with it.
            unless_kept=owner.name,
        )


def is_closed(module: Module, attribute: str) -> bool:
    """Whether anything in the module closes an attribute of that name, or hands it on to."""
    if any((attribute, closing) in module.attribute_calls for closing in CLOSING):
        return True
    for use in module.references(attribute):
        if isinstance(use, ast.Attribute) and isinstance(use.ctx, ast.Load):
            above = module.parent(use)
            if isinstance(above, ast.Call) and use in above.args:
                return True
            if isinstance(above, ast.withitem):
                return True
            # ``client = self.client`` and the tuple swap of a careful stop().
            if isinstance(above, (ast.Assign, ast.Tuple)):
                return True
    return False


RULE = Rule(
    id="LL006",
    title="owner that never closes its client",
    why=(
        "A client made in __init__ lives as long as its owner; without a close() or a context "
        "manager nobody can end it in time, and an owner per task means a client per task."
    ),
    cases=("http-clients", "lingering-schedulers"),
    bad="""
import httpx

class Wrapper:
    def __init__(self):
        self.client = httpx.Client()

    def generate(self, prompt):
        return self.client.post("/generate", json=prompt)
""",
    good="""
import httpx

class Wrapper:
    def __init__(self):
        self.client = httpx.Client()

    def generate(self, prompt):
        return self.client.post("/generate", json=prompt)

    def close(self):
        self.client.close()
""",
    check=check,
)
