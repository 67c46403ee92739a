"""Whether a candidate ran: by its line, and where several codes share the line by the code."""

import ast
from types import SimpleNamespace

import pandas as pd
import pytest

from leaklab.code_audit.codes import code_of
from leaklab.code_audit.evidence import RunEvidence
from leaklab.code_audit.find import audit_text
from leaklab.code_audit.same_source import Files
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.sources import Source
from leaklab.verdict.resources import LEAK

FILE = "module.py"


def only_candidate(text):
    (found,) = audit_text(text, FILE)
    return found


def evidence(watched, frames=()):
    """What is known by a run that tells this of its lines and stacks."""
    columns = ["function", "file", "line", "origin"]
    data = SimpleNamespace(frames=pd.DataFrame(list(frames), columns=columns))
    verdict = SimpleNamespace(resources=(), verdict=f"no {LEAK}")
    run = SimpleNamespace(meta={"watched": watched}, data=data, verdict=lambda: verdict)
    return RunEvidence(run, Files([FILE]))


def told(*places):
    executed, executed_in = set(), {}
    for line, code in places:
        executed.add(line)
        executed_in.setdefault(code, []).append(line)
    return {
        "line_grain": "lines",
        "executed": {FILE: sorted(executed)},
        "executed_in": {FILE: executed_in},
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("C = {}\ndef put(key): C[key] = 1\n", "put"),
        ("C = {}\nclass A:\n    def put(self, key): C[key] = 1\n", "A.put"),
        ("C = {}\ndef outer():\n    def put(key): C[key] = 1\n    return put\n", "outer.put"),
        ("C = []\ndef make():\n    return lambda key: C.append(key)\n", "make.<lambda>"),
        ("C = []\ndef put(key,\n        size=1): C.append(key)\n", "put"),
        ("C = []\ndef put(key): return lambda: C.append(key)\n", "put.<lambda>"),
        ("C = []\ndef put(keys): return [C.append(key) for key in keys]\n", "put"),
    ],
)
def test_the_line_of_a_one_line_function_tells_nothing_without_its_code(text, code):
    found = only_candidate(text)
    ((line, name),) = found.run_places
    assert name == code
    made = [(line, "<module>"), (line, code.rpartition(".")[0] or "other")]
    assert evidence(told(*made)).ran(found) is False
    recorded = code.replace(".", ".<locals>.")
    assert evidence(told(*made, (line, recorded))).ran(found) is True
    # A stack of an allocation says the same: of the function's making, or of its call.
    frame = {"file": FILE, "line": line, "origin": "target"}
    assert evidence(told(), [{**frame, "function": "<module>"}]).ran(found) is False
    assert evidence(told(), [{**frame, "function": recorded}]).ran(found) is True
    # A run from before codes were told does not say; where the line never ran, nothing of it did.
    older = {"line_grain": "lines", "executed": {FILE: [line]}}
    assert evidence(older).ran(found) is None
    assert evidence({**older, "executed": {}}).ran(found) is False


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("put = lambda key: grow(key)\n", "<lambda>"),
        ("class A: put = lambda self, key: grow(key)\n", "A.<lambda>"),
        ("class A(B): grow(B)\n", "A"),
        ("class A(\n    B): grow(B)\n", "A"),
        ("def put(key, size=grow(1)): pass\n", ""),
        ("put = lambda key=grow(1): key\n", ""),
        ("@grow()\ndef put(key): pass\n", ""),
        ("class A(grow(1)): pass\n", ""),
        ("async def put(key): return {each: grow(each) for each in key}\n", "put"),
        ("def put(key):\n    grow(key)\n", ""),
        ("for key in range(9): grow(key)\n", ""),
    ],
)
def test_what_shares_its_line_with_the_code_that_makes_it_is_known_by_its_code(text, code):
    module = Module(Source(FILE, FILE, text, ast.parse(text), ""))
    (call,) = (node for node, called in module.calls if called == "grow")
    assert code_of(call, module.ancestors(call)) == code


def test_a_line_of_its_own_tells_by_itself():
    found = only_candidate("C = {}\ndef put(key):\n    C[key] = 1\n")
    assert found.run_places == ((3, ""),)
    assert evidence({"line_grain": "lines", "executed": {FILE: [3]}}).ran(found) is True
    assert evidence(told((2, "<module>"))).ran(found) is False
    assert evidence({}).ran(found) is None


def test_the_functions_that_ran_are_named_once_and_only_where_others_did_not():
    text = "C = []\nclass A:\n    def put(self, key):\n        C.append(key)\ndef never(key):\n"
    found = only_candidate(text + "    C.append(key)\n")
    frame = {"file": FILE, "line": 4, "origin": "target", "function": "put"}
    assert evidence(told((4, "A.put")), [frame]).codes_that_ran(found) == ["A.put"]
    assert evidence(told(), [frame]).codes_that_ran(found) == ["put"]
    assert evidence(told((4, "A.put"), (6, "never"))).codes_that_ran(found) == []
