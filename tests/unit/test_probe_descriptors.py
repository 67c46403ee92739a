"""What the tracer has open is none of the program's to close."""

import errno
import os

import pytest

from leaklab.probe import descriptors


@pytest.fixture
def numbers():
    """A few open descriptors in a row; those still open are closed after the test."""
    # Far above what else is open here, where nothing stands between them.
    opened = [os.dup2(0, number) for number in range(900, 905)]
    yield opened
    descriptors.own(())
    for number in opened:
        try:
            os.close(number)
        except OSError:
            continue


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_range_leaves_them_out(numbers):
    descriptors.own([numbers[1], numbers[3]])
    os.closerange(numbers[0], numbers[4] + 1)
    assert [is_open(number) for number in numbers] == [False, True, False, True, False]


def test_one_is_refused_as_an_unused_number_is(numbers):
    descriptors.own([numbers[1]])
    with pytest.raises(OSError) as refused:
        os.close(numbers[1])
    assert (type(refused.value), refused.value.errno) == (OSError, errno.EBADF)
    os.close(fd=numbers[2])
    assert [is_open(number) for number in numbers[1:3]] == [True, False]


def test_a_number_that_was_closed_behind_its_back_and_given_again_is_the_program_s(numbers):
    descriptors.own([numbers[1]])
    descriptors._below["close"](numbers[1])
    read, write = os.pipe()
    os.dup2(read, numbers[1])
    try:
        os.close(numbers[1])
        assert not is_open(numbers[1])
    finally:
        os.close(read)
        os.close(write)


def test_without_a_tracer_nothing_is_replaced(numbers):
    before = os.close, os.closerange
    descriptors.own(numbers[:1])
    assert os.close is not before[0]
    descriptors.own(())
    assert (os.close, os.closerange) == before
