"""An upload's spool file is closed, except when the upload is refused."""

import contextlib
import os
import random
import socket
import tempfile

from loop import run

CLIENTS = []
REFUSED = [0]


def check(body):
    if not body.startswith(b"%PDF"):
        raise ValueError("not a document")


def spool(body):
    descriptor, path = tempfile.mkstemp(prefix="upload-")
    os.unlink(path)
    os.write(descriptor, body)
    check(body)
    os.close(descriptor)


def connections():
    if random.random() < 0.3 and len(CLIENTS) < 12:
        CLIENTS.extend(socket.socketpair())
    elif CLIENTS and random.random() < 0.4:
        CLIENTS.pop().close()


def step(number):
    connections()
    if random.random() < 0.05:
        REFUSED[0] += random.randint(1, 3)
    head = b"%PDF"
    if REFUSED[0]:
        REFUSED[0] -= 1
        head = b"GIF8"
    with contextlib.suppress(ValueError):
        spool(head + bytes(min(50_000, int(200 * random.paretovariate(1.1)))))


if __name__ == "__main__":
    run(step)
