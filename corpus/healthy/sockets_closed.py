"""A pair of sockets opened and closed."""

import socket

from loop import run


def step(number):
    one, other = socket.socketpair()
    one.send(b"hello")
    other.recv(5)
    one.close()
    other.close()


if __name__ == "__main__":
    run(step)
