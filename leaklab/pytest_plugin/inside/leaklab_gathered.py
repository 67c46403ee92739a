"""What tools of tests gather over many calls of a body, dropped between one call and the next.

A mock keeps every call, what answers in place of a server every request, Django's test client
leaves a finaliser per request, its mail backend keeps every mail, and pytest's terminal the report
of every subtest: one test ends long before that matters, many calls of its body do not. None of it
is a leak of the test's own.
"""

import functools
import gc
import itertools
import sys
import weakref

# What a mock keeps of its calls: lists, and what goes with them.
LISTS = ("call_args_list", "mock_calls", "method_calls", "await_args_list")
FIGURES = {
    "called": False,
    "call_count": 0,
    "call_args": None,
    "await_count": 0,
    "await_args": None,
}
MOCKS = ("unittest.mock", "mock.mock")


class Gathered:
    """All that is dropped; made before the first call, with what was there by then.

    Before the next call, not after each: whoever looks after the last one sees what it did.
    """

    def __init__(self):
        self._tools = {}
        self._begun = 0
        self._load()

    def begin_call(self):
        """Let each tool forget the call before; after the first they are all there."""
        self._begun += 1
        if self._begun == 1:
            return
        for tool in self._tools.values():
            if self._begun == 2:
                tool.after_first()
            tool.drop()
        if self._begun == 2:
            self._load()

    def _load(self):
        for name, tool in TOOLS:
            if name in sys.modules and tool not in self._tools:
                self._tools[tool] = tool()


class Mocks:
    """Mocks that fixtures and modules made: as they were before the calls.

    One that the first call leaves behind, such as an attribute it asked a mock for, was not called
    before.
    """

    def __init__(self):
        self._kinds = tuple(sys.modules[name].NonCallableMock for name in MOCKS if _has_mock(name))
        # By its number, each with the lengths of its lists and the figures that go with them.
        self._known = {}
        for one in self._all():
            lengths = {name: len(value) for name, value in _lists(one)}
            self._known[id(one)] = one, lengths, _figures(one)

    def after_first(self):
        """Get to know the mocks that the first call left."""
        for one in self._all():
            self._known.setdefault(id(one), (one, {}, {}))

    def drop(self):
        """Have all mocks forget the calls since."""
        for one, lengths, figures in self._known.values():
            for name, value in _lists(one):
                del value[lengths.get(name, 0) :]
            for name in _settable(one):
                setattr(one, name, figures.get(name, FIGURES[name]))

    def _all(self):
        # By their types: of an object's own attributes a mock makes more mocks.
        return [one for one in gc.get_objects() if issubclass(type(one), self._kinds)]


def _has_mock(name):
    return hasattr(sys.modules.get(name), "NonCallableMock")


def _lists(one):
    own = vars(one)
    found = [
        (name, getattr(one, name)) for name in LISTS if name in own or hasattr(type(one), name)
    ]
    if isinstance(one, list):
        found.append(("", one))  # of respx: the calls are the mock's own entries
    return [(name, value) for name, value in found if isinstance(value, list)]


def _figures(one):
    return {name: getattr(one, name) for name in _settable(one)}


def _settable(one):
    """Names of its figures, but those that a kind of mock works out itself."""
    kinds = {name: getattr(type(one), name) for name in FIGURES if hasattr(type(one), name)}
    return [
        name
        for name, kind in kinds.items()
        if not isinstance(kind, property) or kind.fset is not None
    ]


class Records:
    """Lists that objects of a kind keep of what they were asked and told: as they were before.

    ``names``: the attributes; one may be a dictionary of lists.
    """

    def __init__(self, module, kind, names):
        self._kind = getattr(sys.modules[module], kind, ())
        self._names = names
        # By its number, each with the lengths of its lists.
        self._known = {}
        for one in self._all():
            self._known[id(one)] = one, {key: len(value) for key, value in self._lists(one)}

    def after_first(self):
        """Get to know those that the first call left."""
        for one in self._all():
            self._known.setdefault(id(one), (one, {}))

    def drop(self):
        """Drop what came since."""
        for one, lengths in self._known.values():
            for key, value in self._lists(one):
                del value[lengths.get(key, 0) :]

    def _all(self):
        return [one for one in gc.get_objects() if issubclass(type(one), self._kind)]

    def _lists(self, one):
        for name in self._names:
            value = vars(one).get(name)
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, entries in list(parts):
                if isinstance(entries, list):
                    yield (name, part), entries


class ClientSignals:
    """Finalisers of Django's test client: it connects to signals anew for each request.

    Each connection leaves one that waits for its receiver to go: for ever where that is a function
    of a module, for the life of the client where it is the client's own.
    """

    def __init__(self):
        self._newest = self._newest_of()

    def after_first(self):
        """Know all that there is to know."""

    def drop(self):
        """Detach those that came since."""
        mine = sys.modules["django.test.client"]
        signal = sys.modules["django.dispatch"].Signal
        new = itertools.takewhile(lambda one: one is not self._newest, reversed(_finalisers()))
        for finaliser in list(new):
            waits_for, told, _, _ = finaliser.peek() or (None, None, None, None)
            is_clients = waits_for is mine.close_old_connections
            is_clients = is_clients or isinstance(waits_for, mine.ClientMixin)
            if is_clients and isinstance(getattr(told, "__self__", None), signal):
                finaliser.detach()
        self._newest = self._newest_of()

    @staticmethod
    def _newest_of():
        return next(reversed(_finalisers()), None)


def _finalisers():
    return getattr(weakref.finalize, "_registry", {})


class Outbox:
    """Mail that Django's backend for tests keeps in place of sending it."""

    def __init__(self):
        self._count = len(self._mails())

    def after_first(self):
        """Know all that there is to know."""

    def drop(self):
        """Drop the mail of the last call."""
        del self._mails()[self._count :]

    @staticmethod
    def _mails():
        return getattr(sys.modules["django.core.mail"], "outbox", [])


# What answers in place of a server, or tells of subtests: its module, the kind that keeps lists,
# and these.
RECORDS = (
    ("_pytest.terminal", "TerminalReporter", ("stats",)),
    ("responses", "CallList", ("_calls",)),
    ("responses.registries", "FirstMatchRegistry", ("_responses",)),
    ("requests_mock.adapter", "_RequestHistoryTracker", ("request_history", "_matchers")),
    ("pytest_httpx._httpx_mock", "HTTPXMock", ("_requests", "_callbacks")),
    ("pytest_httpserver.httpserver", "HTTPServerBase", ("log",)),
    ("aioresponses.core", "aioresponses", ("requests", "_responses")),
)
# Each with the module that is loaded where it is used.
TOOLS = (
    *((row[0], functools.partial(Records, *row)) for row in RECORDS),
    ("unittest.mock", Mocks),
    ("mock.mock", Mocks),
    ("django.test.client", ClientSignals),
    ("django.core.mail", Outbox),
)
