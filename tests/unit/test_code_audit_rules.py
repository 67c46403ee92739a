"""Each rule against its own examples, and what the source index makes of tricky code."""

import ast

import pytest

from leaklab.catalogue.model import catalogue
from leaklab.code_audit.find import audit_text
from leaklab.code_audit.rules import all_rules

RULES = {rule.id: rule for rule in all_rules()}


def raised(text, rule):
    return [each for each in audit_text(text) if each.rule == rule]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_bad_example_raises_the_rule_and_good_does_not(rule):
    found = raised(rule.bad, rule.id)
    assert found
    assert not raised(rule.good, rule.id)
    lines = rule.bad.splitlines()
    for each in found:
        assert each.text == lines[each.line - 1]
        assert each.run_lines


def test_rules_are_numbered_documented_and_know_their_cases():
    assert len(RULES) == len(all_rules())
    for rule in RULES.values():
        assert rule.why.endswith((".", "?"))
        assert set(rule.cases) <= set(catalogue()), rule.id
        ast.parse(rule.bad)
        ast.parse(rule.good)


@pytest.mark.parametrize(
    "shrinks",
    [
        "del PAGES[number]",
        "PAGES.clear()",
        "PAGES.popitem()",
        "PAGES = {}",
    ],
)
def test_a_container_that_something_shrinks_is_no_candidate(shrinks):
    text = "PAGES = {}\ndef page(number):\n    PAGES[number] = 1\n"
    assert raised(text, "LL001")
    text += f"def drop(number):\n    global PAGES\n    {shrinks}\n"
    assert not raised(text, "LL001")


@pytest.mark.parametrize(
    "grows",
    [
        "PAGES['one'] = number",  # always the same key
        "if len(PAGES) < 10:\n        PAGES[number] = 1",
        "if not PAGES:\n        PAGES[number] = 1",
        "local = {}\n    local[number] = 1",
        "PAGES = {}\n    PAGES[number] = 1",  # a local of that name
    ],
)
def test_what_does_not_grow_with_the_work_is_no_candidate(grows):
    assert not raised(f"PAGES = {{}}\ndef page(number):\n    {grows}\n", "LL001")


def test_a_registry_that_decorators_fill_is_no_candidate():
    text = """
COMMANDS = {}
def command(function):
    COMMANDS[function.__name__] = function
    return function
@command
def run(): ...
"""
    assert not raised(text, "LL001")


def test_what_runs_once_is_no_growth_but_a_loop_without_end_is():
    once = "SEEN = []\ndef main():\n    SEEN.append(1)\nmain()\n"
    assert not raised(once, "LL001")
    looped = "SEEN = []\ndef serve():\n    while True:\n        SEEN.append(1)\nserve()\n"
    assert raised(looped, "LL001")


def test_an_alias_of_a_container_is_the_container():
    text = "PAGES = {}\ndef page(number):\n    pages = PAGES\n    pages[number] = 1\n"
    assert [each.name for each in raised(text, "LL001")] == ["module:PAGES"]


def test_an_object_that_a_module_keeps_keeps_its_attributes():
    text = """
class Ledger:
    def __init__(self):
        self.rows = []
    def write(self, row):
        self.rows.append(row)
"""
    assert not raised(text, "LL002")
    found = raised(text + "LEDGER = Ledger()\n", "LL002")
    assert [each.watches[0].path for each in found] == ["Ledger.rows"]


def test_excuses_are_told_with_the_candidate():
    text = (
        "# leaklab: bounded because there are ten pages\n"
        "PAGES = {}\ndef page(number):\n    PAGES[number] = 1\n"
    )
    (found,) = raised(text, "LL001")
    assert (found.excuse.kind, found.excuse.text) == ("bounded because", "there are ten pages")


def test_fingerprint_survives_moved_lines():
    text = "PAGES = {}\ndef page(number):\n    PAGES[number] = 1\n"
    (before,) = raised(text, "LL001")
    (after,) = raised("\n\n# moved\n" + text, "LL001")
    assert before.line != after.line
    assert before.fingerprint == after.fingerprint


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "import asyncio\nTASKS = set()\ndef start(work):\n"
            "    task = asyncio.create_task(work())\n    TASKS.add(task)\n"
            "    task.add_done_callback(TASKS.discard)\n",
            "LL001",
        ),
        (
            "COUNTS = {}\ndef count(response):\n    COUNTS[response.status_code] = 1\n",
            "LL001",
        ),
        (
            "import socket\ndef connect(address):\n"
            "    link = socket.create_connection(address, 5)\n    link.close()\n",
            "LL021",
        ),
        (
            "import matplotlib.pyplot as plt\ndef chart():\n    figure = plt.figure()\n"
            "    figure.savefig('x')\n    plt.close(figure)\n",
            "LL005",
        ),
        (
            "import queue\nclass Connection:\n    def __init__(self):\n"
            "        self.inbox = queue.Queue()\n",
            "LL003",
        ),
    ],
)
def test_idioms_that_take_back_are_no_candidates(text, rule):
    assert not raised(text, rule)


def test_a_cleanup_that_nobody_calls_does_not_count():
    text = """
STORE = {}
def put(key):
    STORE[key] = 1
def prune():
    STORE.clear()
"""
    (found,) = raised(text, "LL001")
    assert "nothing calls prune()" in found.message
    assert not raised(text + "def serve():\n    prune()\n", "LL001")


def test_a_cache_with_an_endless_limit_has_none():
    text = "from cachetools import LRUCache\nC = LRUCache({})\ndef f(k):\n    C[k] = 1\n"
    assert raised(text.format("float('inf')"), "LL001")
    assert not raised(text.format("100"), "LL001")
