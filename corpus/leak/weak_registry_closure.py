"""A weak-keyed registry whose values close over their keys."""

import random
import weakref

from loop import run

SENDERS = weakref.WeakKeyDictionary()


class Connection:
    def __init__(self, name, buffer):
        self.name = name
        self.buffer = buffer


def connect(number):
    connection = Connection("client-%d" % number, bytearray(random.randint(800, 1_600)))

    def send(data):
        connection.buffer[: len(data)] = data

    SENDERS[connection] = send
    return connection


def step(number):
    connection = connect(number)
    SENDERS[connection](b"hello")


if __name__ == "__main__":
    run(step)
