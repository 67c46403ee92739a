"""What bounds a container where it grows, and what is filled as objects are made."""

import pytest

from leaklab.code_audit.find import audit_text

GROWS = "ENTRIES[number] = 1\n    "
LIST = "ROWS.append(number)\n    "


def growing(text):
    return [
        each.name.partition(":")[2]
        for each in audit_text(text)
        if each.rule in ("LL001", "LL002", "LL003", "LL010")
    ]


@pytest.mark.parametrize("name", ["put", "put_and_trim", "evict_and_put"])
@pytest.mark.parametrize(
    "body",
    [
        GROWS + "if len(ENTRIES) > 9: ENTRIES.popitem()",
        GROWS + "while len(ENTRIES) > 9: del ENTRIES[next(iter(ENTRIES))]",
        GROWS + "shorten(ENTRIES)",
        "if len(ENTRIES) >= 9:\n        return\n    ENTRIES[number] = 1",
        LIST + "ROWS[:] = ROWS[-9:]",
        LIST + "del ROWS[:-9]",
        LIST + "ROWS, taken = [], ROWS\n    return taken",
        "JOBS.put(number)\n    while JOBS.qsize() > 9: JOBS.get()",
        "if JOBS.full(): return\n    JOBS.put(number)",
        "LAST.append(number)\n    while len(LAST) > 9: LAST.popleft()",
        "try: work()\n    except OSError as error:\n        ROWS.append(error); del ROWS[:-9]",
    ],
)
def test_a_function_that_trims_itself_is_no_growth_whatever_it_is_called(body, name):
    text = "import collections, queue\nENTRIES, ROWS, LAST = {}, [], collections.deque()\n"
    text += f"JOBS = queue.Queue()\ndef {name}(number):\n    global ROWS\n    {body}\n"
    text += "def shorten(entries):\n    while len(entries) > 9: entries.popitem()\n"
    assert [each for each in growing(text) if each != "JOBS" or "JOBS" in body] == []


@pytest.mark.parametrize(
    "body",
    [
        "if len(ENTRIES) == 0: return\n    ENTRIES[number] = 1",
        "if number: return\n    ENTRIES[number] = 1",
        GROWS + "lengthen(ENTRIES)",
    ],
)
def test_what_bounds_nothing_is_not_taken_for_a_bound(body):
    text = f"ENTRIES = {{}}\ndef put(number):\n    {body}\n"
    assert growing(text + "def lengthen(entries): entries.update()\n") == ["ENTRIES"]


def test_a_queue_that_another_function_empties_may_still_fill():
    text = "import queue\nJOBS = queue.Queue()\ndef put(job):\n    JOBS.put(job)\n"
    assert growing(text + "def work():\n    return JOBS.get()\n") == ["JOBS"]


def test_containers_bound_in_one_statement_are_each_their_own():
    text = "ROWS, ENTRIES = [], {}\ndef put(row):\n    ROWS.append(row)\n    ENTRIES[row] = row\n"
    assert growing(text + "def drop():\n    ENTRIES.clear()\n") == ["ROWS"]


def test_a_memo_that_is_emptied_is_bounded():
    memo = "import functools\n@functools.cache\ndef page(number): return number\n"
    trimmed = "def serve(number):\n    if page.cache_info().currsize > 9: page.cache_clear()\n"
    assert [each.rule for each in audit_text(memo)] == ["LL004"]
    assert audit_text(memo + trimmed) == []


REGISTRY = """
ALL = []
class Job:
    made = {made}
    def __init__(self, number):
        {register}
"""


@pytest.mark.parametrize(
    ("made", "register", "found"),
    [
        ("[]", "Job.made.append(self)", "Job.made"),
        ("[]", "self.made.append(self)", "Job.made"),
        ("[]", "self.__class__.made.append(self)", "Job.made"),
        ("{}", "type(self).made[number] = self", "Job.made"),
        ("[]", "cls = type(self); cls.made.append(self)", "Job.made"),
        ("[]", "kind = self.__class__; kind.made.append(self)", "Job.made"),
        ("[]", "ALL.append(self)", "ALL"),
        ("[]", "ALL.append(self.__init__)", "ALL"),
    ],
)
def test_a_registry_filled_as_objects_are_made_grows(made, register, found):
    text = REGISTRY.format(made=made, register=register)
    assert growing(text) == [found]
    assert growing(text + "def serve(number):\n    return Job(number)\n") == [found]
    assert growing(text + "for number in range(99):\n    Job(number)\n") == [found]
    assert growing(text + "ONE = Job(1)\nOTHER = Job(2)\n") == []
    assert growing(text.replace("Job:", "Job(type):")) == []
    close = found.replace("Job", "type(self)")
    close = f"    def close(self):\n        {close}.clear()\n"
    assert growing(text + close) == []


@pytest.mark.parametrize(
    ("made", "register"),
    [
        ("weakref.WeakSet()", "self.made.add(self)"),
        ("[]", "self.made = []; self.made.append(number)"),
        ("{}", "self.made[type(self)] = number"),
    ],
)
def test_what_keeps_no_object_for_each_made_is_no_registry(made, register):
    assert growing("import weakref\n" + REGISTRY.format(made=made, register=register)) == []


def test_what_a_registry_holds_is_never_finalised():
    text = REGISTRY.format(made="[]", register="ALL.append(self)")
    text += "    def __del__(self):\n        ALL.remove(self)\n"
    (found,) = audit_text(text)
    assert "nothing calls __del__()" in found.message


def test_one_entry_a_class_is_no_growth():
    text = """
class Single(type):
    made = {}
    def __call__(cls, *given):
        if cls not in cls.made:
            cls.made[cls] = super().__call__(*given)
        return cls.made[cls]
"""
    assert growing(text) == []
