"""A file that is read whole, added to and written back, and never loses an entry."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.containers import SHRINKING
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module, is_constant

LOADING = (
    "json.load",
    "json.loads",
    "yaml.safe_load",
    "pickle.load",
    "pickle.loads",
    "tomllib.load",
)
SAVING = ("json.dump", "json.dumps", "yaml.safe_dump", "yaml.dump", "pickle.dump", "pickle.dumps")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield writes of a file whose content is loaded and grown in the module, never pruned."""
    loads = [call for call, called in module.calls if called in LOADING]
    saves = [call for call, called in module.calls if called in SAVING]
    if not loads or not saves or not _grows(module) or _prunes(module):
        return
    written = [call for call in saves if _to_file(module, call)]
    if not written:
        return
    save = written[0]
    yield module.candidate(
        RULE.id,
        RULE.title,
        f"the file written in {module.qualname(module.function_of(save)) or 'the top level'} is "
        "loaded, added to and written back; nothing takes entries out",
        save,
        lines=tuple(loads),
        runs=(save,),
        resources=("file_bytes",),
    )


def _to_file(module: Module, call: ast.Call) -> bool:
    if (module.dotted(call.func) or "").endswith("dump"):
        return True
    above = module.parent(call)
    return isinstance(above, ast.Call) and str(getattr(above.func, "attr", "")).startswith("write")


def _grows(module: Module) -> bool:
    """Whether a local gets new keys: ``usage.setdefault(user, {})[day] = 1``."""
    for node in module.nodes(ast.Subscript):
        if isinstance(node.ctx, ast.Store) and not is_constant(node.slice):
            if module.function_of(node) is not None and not isinstance(node.slice, ast.Slice):
                return True
    return any(
        method in ("append", "setdefault") and module.function_of(node) is not None
        for node in module.nodes(ast.Call)
        if (method := getattr(node.func, "attr", None)) is not None
    )


def _prunes(module: Module) -> bool:
    """Whether anything in the module filters or deletes."""
    for kind in (ast.DictComp, ast.ListComp, ast.SetComp):
        for node in module.nodes(kind):
            if any(each.ifs for each in node.generators):
                return True
    if any(_deletes_entry(node) for node in module.nodes(ast.Delete)):
        return True
    return any(method in SHRINKING and method != "flush" for _, method in module.attribute_calls)


def _deletes_entry(node: ast.Delete) -> bool:
    return any(isinstance(target, ast.Subscript) for target in node.targets)


RULE = Rule(
    id="LL023",
    title="file that is rewritten and never pruned",
    why=(
        "An entry per user and day and no retention: the file grows for ever, and every load "
        "brings all of it into memory, a peak that watching the heap does not show."
    ),
    cases=("unpruned-json",),
    bad="""
import json
from pathlib import Path

FILE = Path("usage.json")

def count(user, day):
    usage = json.loads(FILE.read_text())
    usage.setdefault(user, {})[day] = 1
    FILE.write_text(json.dumps(usage))
""",
    good="""
import json
from pathlib import Path

FILE = Path("usage.json")

def count(user, day, oldest):
    usage = json.loads(FILE.read_text())
    usage.setdefault(user, {})[day] = 1
    usage[user] = {date: n for date, n in usage[user].items() if date >= oldest}
    FILE.write_text(json.dumps(usage))
""",
    check=check,
)
