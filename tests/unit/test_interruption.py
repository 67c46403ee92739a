"""Signals during a recording are counted, and the handlers of before come back."""

import signal

import pytest

from leaklab.recorder.interruption import PATIENCE_COUNT, Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_counted_and_raises_nothing_until_patience_ends(number: int) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        for asked in range(1, PATIENCE_COUNT):
            signal.raise_signal(number)
            assert interruption.count == asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert interruption.count == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_programs_own_plan_for_sigterm_is_kept() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGTERM)
        assert (heard, interruption.count) == ([signal.SIGTERM], 0)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_only_computes_is_left_at_the_first_signal() -> None:
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interruption.count == 2
