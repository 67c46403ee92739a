"""What tools of tests gather over many calls of a body is dropped between one call and the next."""

from __future__ import annotations

import gc
import sys
import weakref
from types import SimpleNamespace
from unittest import mock

import pytest

from leaklab.pytest_plugin.inside.leaklab_gathered import RECORDS, Gathered
from leaklab.pytest_plugin.inside.leaklab_inside import Reporter


def test_a_mock_of_a_fixture_keeps_one_call_however_often_the_body_runs() -> None:
    gateway = mock.MagicMock()
    gateway.connect()
    gathered = Gathered()
    for number in range(5):
        gathered.begin_call()
        gateway.charge(number)
        gateway(number).receipt()
        gateway.charge.assert_called_once_with(number)
        gateway.assert_called_once_with(number)
    gateway.connect.assert_called_once_with()
    # What was called before the body, and the last call: an assertion after it holds.
    made = [mock.call.connect(), mock.call.charge(4), mock.call(4), mock.call().receipt()]
    assert gateway.mock_calls == made
    assert gateway.charge.call_args_list == [mock.call(4)]


async def _awaits(sender: mock.AsyncMock, count: int) -> None:
    gathered = Gathered()
    for number in range(count):
        gathered.begin_call()
        await sender(number)
        sender.assert_awaited_once_with(number)


def test_so_does_one_that_is_awaited_and_one_with_a_fixed_specification() -> None:
    import asyncio

    sender = mock.AsyncMock()
    asyncio.run(_awaits(sender, 3))
    assert sender.await_args_list == [mock.call(2)]
    speced = mock.create_autospec(lambda amount: None, spec_set=True)
    gathered = Gathered()
    for number in range(3):
        gathered.begin_call()
        speced(number)
        speced.assert_called_once_with(number)


def test_a_mock_that_a_call_leaves_behind_is_left_to_the_verdict() -> None:
    kept = []
    gathered = Gathered()
    for _ in range(3):
        gathered.begin_call()
        kept.append(mock.Mock())
    assert len(kept) == 3


def test_finalisers_of_djangos_client_go_and_a_programs_own_stay() -> None:
    client_module = pytest.importorskip("django.test.client")
    signals = pytest.importorskip("django.core.signals")
    gathered = Gathered()

    class Client(client_module.ClientMixin):  # type: ignore[misc, name-defined]
        def told(self, **_: object) -> None:
            pass

    def own(**_: object) -> None:
        pass

    client = Client()
    try:
        for _ in range(4):
            gathered.begin_call()
            before = len(weakref.finalize._registry)  # type: ignore[attr-defined]
            for receiver in (client_module.close_old_connections, client.told):
                signals.request_started.disconnect(receiver)
                signals.request_started.connect(receiver)
        if len(weakref.finalize._registry) == before:  # type: ignore[attr-defined]
            pytest.skip("this Django needs no finalisers")
        assert len(weakref.finalize._registry) == before + 2  # type: ignore[attr-defined]
        gathered.begin_call()
        signals.request_started.connect(own)
        gathered.begin_call()
        assert len(weakref.finalize._registry) == before + 1  # type: ignore[attr-defined]
    finally:
        for receiver in (client.told, own):
            signals.request_started.disconnect(receiver)
    del own
    gc.collect()


def test_mail_of_a_call_goes_and_that_of_its_fixtures_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = SimpleNamespace(outbox=["of a fixture"])
    monkeypatch.setitem(sys.modules, "django.core.mail", mail)
    gathered = Gathered()
    for number in range(3):
        gathered.begin_call()
        mail.outbox.append(f"mail {number}")
    assert mail.outbox == ["of a fixture", "mail 2"]


@pytest.mark.parametrize(("module", "kind", "names"), RECORDS)
def test_requests_of_a_call_go_and_those_of_its_fixtures_stay(
    monkeypatch: pytest.MonkeyPatch, module: str, kind: str, names: tuple[str, ...]
) -> None:
    """Each where it is kept: a list, or a dictionary of lists."""
    known = type(kind, (), {})
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{kind: known}))
    server = known()
    for name in names:
        setattr(server, name, {"GET": ["of a fixture"]} if name == "requests" else ["of a fixture"])
    gathered = Gathered()
    left: list[object] = []
    for number in range(3):
        gathered.begin_call()
        for name in names:
            kept = getattr(server, name)
            (kept["GET"] if isinstance(kept, dict) else kept).append(number)
        left.append(known())
    for name in names:
        kept = getattr(server, name)
        assert (kept["GET"] if isinstance(kept, dict) else kept) == ["of a fixture", 2]


def test_a_mock_that_is_a_list_and_works_out_its_figures_keeps_one_call() -> None:
    class Calls(list, mock.NonCallableMock):  # type: ignore[type-arg, misc]
        def __init__(self) -> None:
            super().__init__()
            mock.NonCallableMock.__init__(self)

        @property
        def called(self) -> bool:
            return bool(self)

        @property
        def call_count(self) -> int:
            return len(self)

    calls = Calls()
    calls.append("of a fixture")
    gathered = Gathered()
    for number in range(3):
        gathered.begin_call()
        calls.append(number)
        assert calls.called
    assert list(calls) == ["of a fixture", 2]


def test_what_ends_the_repeating_session_amid_it_is_told() -> None:
    reporter = Reporter(None, {}, None)
    reporter.pytest_internalerror("AttributeError: no setter")
    assert reporter._result["outcome"] == "crashed"
    assert "no setter" in reporter._result["text"]


SUITE = """
from unittest import TestCase, mock
import pytest
import smtplib

@pytest.fixture
def sent():
    with mock.patch("smtplib.SMTP") as sent:
        yield sent
    sent.assert_called_once_with("host")

def test_sends(sent):
    smtplib.SMTP("host")
    sent.assert_called_once_with("host")

class TestSends(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sent = mock.Mock()

    def test_sends(self):
        self.sent("host")
        assert len(self.sent.mock_calls) < 3
"""


def test_a_repeated_body_finds_its_mocks_as_its_first_call_did(alone: pytest.Pytester) -> None:
    alone.makepyfile(SUITE)
    result = alone.runpytest_inprocess("-p", "leaklab.pytest_plugin", "--leaks-here=4")
    result.assert_outcomes(passed=2)
