"""Signals during a recording are counted, and the handlers of before come back."""

import signal

import pytest

from leaklab.end_signals import AskedToEndError, as_interrupts, exit_status
from leaklab.recorder.interruption import PATIENCE_COUNT, Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_scheduler_s_signal_interrupts_once_and_says_which(number: int, status: int) -> None:
    with as_interrupts():
        with pytest.raises(AskedToEndError) as interrupt:
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)  # what was asked for is on its way
        signal.raise_signal(signal.SIGHUP)
    assert exit_status(interrupt.value) == status
    assert exit_status(KeyboardInterrupt()) == 130
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_recording_takes_the_signals_of_the_command_it_runs_in() -> None:
    with as_interrupts():
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGTERM)
        assert interruption.count == 1
        with pytest.raises(AskedToEndError):
            signal.raise_signal(signal.SIGTERM)


def test_a_command_started_with_nohup_is_not_ended_by_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with as_interrupts(), Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
        assert interruption.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_only_computes_is_left_at_the_first_signal() -> None:
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interruption.count == 2
