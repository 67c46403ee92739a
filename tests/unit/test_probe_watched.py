"""The probe's readings of named containers: no code of the target's runs for them."""

import collections
import functools
import os
import queue
import subprocess
import sys
import textwrap
from types import ModuleType

import pytest

from leaklab.probe.counters import attribute, default_of, size_of
from tests.interpreters import REPOSITORY, every_version, interpreter_or_skip


class Hostile(dict):
    def __len__(self):
        raise AssertionError("code of the target ran")

    def __getattribute__(self, name):
        raise AssertionError("code of the target ran")


class Slotted:
    __slots__ = ("rows", "unset")

    def __init__(self):
        self.rows = [1, 2]


class Lazy:
    @property
    def rows(self):
        raise AssertionError("code of the target ran")


def filled_memo():
    @functools.lru_cache(maxsize=8)
    def double(number):
        return 2 * number

    for number in range(20):
        double(number)
    return double


def filled_queue():
    found = queue.Queue()
    found.put(1)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: 1}, 1),
        ([1, 2], 2),
        ({1, 2, 3}, 3),
        (collections.deque([1]), 1),
        (collections.OrderedDict(a=1), 1),
        (collections.Counter("abc"), 3),
        (collections.UserDict(a=1), 1),
        (filled_memo(), 8),
        (filled_queue(), 1),
        (object(), None),
        ("text", None),
        (5, None),
    ],
)
def test_sizes(value, expected):
    assert size_of(value) == expected


def test_a_container_that_lies_about_its_length_is_asked_past_it():
    assert size_of(Hostile(a=1, b=2)) == 2


def test_attributes_are_read_and_never_worked_out():
    assert attribute(Slotted(), "rows") == [1, 2]
    assert attribute(Slotted(), "unset") is None
    assert attribute(Lazy(), "rows") is None
    assert attribute(Hostile(), "anything") is None


def test_a_pool_of_sqlalchemy_tells_its_own_count():
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.pool import QueuePool

    engine = sqlalchemy.create_engine("sqlite://", poolclass=QueuePool)
    with engine.connect():
        assert size_of(engine) == 1
    assert size_of(engine) == 0
    engine.dispose()


PROGRAM = """
import sys
sys.path.insert(0, {repository!r})
from leaklab.probe.watched import Watched
watched = Watched({listing!r})
import app
first = watched.read()
for number in range(30):
    app.work(number)
    app.short(number)
    app.Many.add(number)
    app.outer(number)
app.KEPT = app.Store()
app.KEPT.put(1)
print(sorted(watched.read().items()))
news = watched.lines.news().values()
print(watched.lines.grain, sorted(place for places in news for place in places))
"""


@every_version
def test_readings_and_lines_on_every_interpreter(version, tmp_path):
    python = interpreter_or_skip(version)
    app = tmp_path / "app.py"
    app.write_text(
        textwrap.dedent(
            """
            ROWS = []
            class Store:
                def __init__(self):
                    self.entries = {}
                def put(self, key):
                    self.entries[key] = 1
            def work(number):
                ROWS.append(number)
            def never(number):
                ROWS.append(number)
            def short(number): ROWS.append(number)
            def unused(number): ROWS.append(number)
            class Many: add = lambda number: len(ROWS); never = [lambda: ROWS.append(1)]
            def outer(number): return lambda: ROWS.append(number)
            import sys, types
            # As bottle does: a module that was never loaded says that it is of this file.
            sys.modules["app.ext"] = types.ModuleType("app.ext")
            sys.modules["app.ext"].__file__ = __file__
            sys.modules["app"] = sys.modules.pop("app")
            class Shop:
                def buy(self, number, bought=[1, 2, 3]):
                    bought.append(number)
            """
        )
    )
    listing = tmp_path / "watched.tsv"
    file = app.resolve()
    listing.write_text(
        f"read\tapp:ROWS\t{file}\tROWS\nread\tapp:Store.entries\t{file}\tStore.entries\n"
        f"read\tapp:GONE\t{file}\tGONE\n"
        f"read\tapp:Shop.buy.bought\t{file}\tShop.buy.bought\nline\t{file}\t9,11,12,13,14,15\n"
    )
    (tmp_path / "program.py").write_text(
        PROGRAM.format(repository=str(REPOSITORY), listing=str(listing))
    )
    done = subprocess.run(
        [python, str(tmp_path / "program.py")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    readings, lines = done.stdout.splitlines()
    assert readings == "[('app:ROWS', 60), ('app:Shop.buy.bought', 3), ('app:Store.entries', 1)]"
    ran = [(9, "work"), (12, "short"), (14, "Many.<lambda>"), (15, "outer")]
    # Where functions are made their lines run as well, which is not told as the functions' run.
    made = [(line, "<module>") for line in (12, 13, 14, 15)]
    expected = {"3.9": "nothing []", "3.10": "nothing []", "3.11": f"functions {ran}"}
    assert lines == expected.get(version, f"lines {sorted([*ran, *made, (14, 'Many')])}")


def test_the_defaults_of_parameters_are_read_through_decorators():
    def plain(number, rows=[1], /, names=(), *, seen={1: 1, 2: 2}):  # noqa: B006
        pass

    wrapped = functools.lru_cache(functools.wraps(plain)(lambda *rest: plain(*rest)))
    for function in (plain, wrapped):
        assert default_of(function, "rows") == [1]
        assert default_of(function, "seen") == {1: 1, 2: 2}
        assert default_of(function, "number") is None
    endless = functools.partial(plain)
    endless.__wrapped__ = endless
    assert default_of(endless, "rows") is None
    assert default_of(Hostile(), "rows") is None


def test_where_few_marks_ask_for_a_reading_none_stays_away_for_long(tmp_path, monkeypatch):
    from leaklab.probe import watched

    monkeypatch.setattr(watched, "FREE_SECONDS", 0.0)
    monkeypatch.setattr(watched, "READ_SHARE", 0.0)
    readings = watched.Watched(str(tmp_path / "missing"))
    asked = [*range(1, 201), *range(208, 1001, 8)]
    at = [mark for mark in asked if readings.changes(mark) is not None]
    assert len(at) < 100
    gaps = [after - before for before, after in zip(at, [*at[1:], 1000], strict=True)]
    assert max(gaps) <= (1000 + len(asked)) * watched.LONGEST_GAP


def test_a_list_that_is_gone_reads_nothing(tmp_path):
    from leaklab.probe.watched import Watched

    assert Watched(str(tmp_path / "missing")).read() == {}


def test_modules_that_cannot_be_looked_into_hide_no_others(tmp_path, monkeypatch):
    from leaklab.probe.watched import Watched

    class StandIn:
        __class__ = ModuleType

    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    relative = ModuleType("relative")
    relative.__file__ = "relative.py"
    app = ModuleType("app")
    app.__file__, app.ROWS = str(tmp_path / "app.py"), [1, 2]
    for name, module in {"standing": StandIn(), "relative": relative, "app": app}.items():
        monkeypatch.setitem(sys.modules, f"watched_{name}", module)
    listing = tmp_path / "list"
    listing.write_text(f"read\tapp:ROWS\t{os.path.realpath(app.__file__)}\tROWS\n")
    assert Watched(str(listing)).read() == {"app:ROWS": 2}


NOWHERE = """
import os, sys
sys.path.insert(0, {repository!r})
from leaklab.probe.executed import ExecutedLines
executed = ExecutedLines({{"/nowhere/app.py": {{3}}}})
os.rmdir(os.getcwd())
exec(compile("def work():\\n    return 1\\nprint(work())", "<string>", "exec"))
executed.news()
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_code_of_no_file_runs_where_the_working_directory_is_gone(version, tmp_path):
    python = interpreter_or_skip(version)
    (tmp_path / "gone").mkdir()
    program = NOWHERE.format(repository=str(REPOSITORY))
    done = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path / "gone"
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
