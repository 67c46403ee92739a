"""What happens once, is closed by somebody else or is made anew at each call is no candidate."""

from __future__ import annotations

import pytest

from leaklab.code_audit.find import audit_text

HEAD = "import atexit, functools, logging, socket\n"
ONCE = {
    "asks the logger": (
        "def logger_of(name):\n    found = logging.getLogger(name)\n    if not found.handlers:\n"
        "        found.addHandler(logging.StreamHandler())\n    return found\n"
    ),
    "leaves where it has": (
        "def logger_of(name):\n    found = logging.getLogger(name)\n    if found.hasHandlers():\n"
        "        return found\n    found.addHandler(logging.StreamHandler())\n    return found\n"
    ),
    "asks a function": (
        "def log(name):\n    found = logging.getLogger(name)\n    if not has_handler(found):\n"
        "        found.addHandler(logging.StreamHandler())\n"
    ),
    "made on first use": (
        "POOL = None\ndef pool():\n    global POOL\n    if POOL is None:\n"
        "        POOL = make()\n        atexit.register(POOL.shutdown)\n    return POOL\n"
    ),
    "noted as done": (
        "READY = False\ndef handle():\n    global READY\n    if READY:\n        return\n"
        "    READY = True\n    atexit.register(print)\n"
    ),
    "remembered": "@functools.cache\ndef options():\n    atexit.register(print)\n    return {}\n",
}
AGAIN = {
    "another condition": (
        "def log(name, loud):\n    found = logging.getLogger(name)\n    if loud:\n"
        "        found.addHandler(logging.StreamHandler())\n"
    ),
    "asks only sometimes": (
        "def log(name, loud):\n    found = logging.getLogger(name)\n"
        "    if loud or not found.handlers:\n"
        "        found.addHandler(logging.StreamHandler())\n"
    ),
    "another question": (
        "def log(name):\n    found = logging.getLogger(name)\n    if found.isEnabledFor(10):\n"
        "        found.addHandler(logging.StreamHandler())\n"
    ),
    "set back": (
        "READY = False\ndef handle():\n    global READY\n    if READY:\n        return\n"
        "    READY = True\n    atexit.register(print)\n"
        "def end():\n    global READY\n    READY = False\n"
    ),
    "where it was done": (
        "READY = False\ndef handle():\n    global READY\n    if READY:\n"
        "        atexit.register(print)\n    READY = True\n"
    ),
    "remembered by argument": "@functools.cache\ndef options(key):\n    atexit.register(print)\n",
}


def rules(text: str) -> set[str]:
    return {each.rule for each in audit_text(HEAD + text)}


def test_an_engine_that_a_session_is_given_stays_its_makers() -> None:
    text = (
        "import sqlalchemy\ndef rows(url):\n    engine = sqlalchemy.create_engine(url)\n"
        "    session = Session(engine)\n    return session.execute('SELECT 1').all()\n"
    )
    assert "LL005" in rules(text)


@pytest.mark.parametrize("text", ONCE.values(), ids=ONCE)
def test_a_registration_that_a_condition_lets_by_once_is_no_candidate(text: str) -> None:
    assert "LL008" not in rules(text)


@pytest.mark.parametrize("text", AGAIN.values(), ids=AGAIN)
def test_one_under_any_other_condition_is(text: str) -> None:
    assert "LL008" in rules(text)


@pytest.mark.parametrize(
    ("ending", "is_raised"),
    [
        ("stack.callback(peer.close)", False),
        ("return peer.close, peer.getsockname()", False),
        ("peer.connect(address)", True),
        ("return_to(IOStream(peer))", False),
        ("stream = iostream._Stream(sock=peer)", False),
        ("send_to(peer, address)", True),
        ("return peer.getsockname()", True),
    ],
)
def test_what_is_handed_on_with_its_end_is_closed_by_whoever_has_it(
    ending: str, is_raised: bool
) -> None:
    text = f"def port(stack, address):\n    peer = socket.socket()\n    {ending}\n"
    assert ("LL005" in rules(text)) == is_raised


FILLED = """
class Table:
    def __init__(self):
        {before}

    def fill(self, rows):
        {first}
        {loop}:
            self.rows.append(rows.pop())

TABLE = Table()

def handle(rows):
    TABLE.fill(rows)
"""


@pytest.mark.parametrize(
    ("before", "first", "loop", "is_raised"),
    [
        ("self.fill([])", "self.rows: list = []", "for row in rows", False),
        ("self.fill([])", "self.rows: list = []", "while rows", True),
        ("self.rows = []", "self.rows = list()", "for row in rows", False),
        ("self.rows = []", "self.known = []", "for row in rows", True),
        ("self.rows = []", "rows = []", "for row in rows", True),
    ],
)
def test_a_container_that_the_same_call_has_emptied_does_not_grow_there(
    before: str, first: str, loop: str, is_raised: bool
) -> None:
    text = FILLED.format(before=before, first=first, loop=loop)
    assert ("LL002" in rules(text)) == is_raised
