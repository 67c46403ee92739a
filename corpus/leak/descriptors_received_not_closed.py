"""A store passes documents as descriptors; that of a document already known is not closed."""

import os
import random
import socket
import tempfile

from loop import run

STORE, READER = socket.socketpair()
KNOWN = {}
VIEWERS = []


def send(document, version):
    with tempfile.TemporaryFile() as file:
        file.write(random.Random(document).randbytes(min(30_000, 500 + 40 * document)))
        file.flush()
        socket.send_fds(STORE, [b"%d %d" % (document, version)], [file.fileno()])


def receive():
    head, (descriptor,), _, _ = socket.recv_fds(READER, 100, 1)
    document, version = map(int, head.split())
    if KNOWN.get(document, (None,))[0] == version:
        return KNOWN[document][1]
    with open(descriptor, "rb") as file:
        file.seek(0)
        body = file.read()
    KNOWN[document] = version, body
    return body


def viewers():
    if random.random() < 0.4 and len(VIEWERS) < 10:
        VIEWERS.append(os.memfd_create("viewer"))
    elif VIEWERS and random.random() < 0.6:
        os.close(VIEWERS.pop())


def step(number):
    viewers()
    for _ in range(random.choice([1, 1, 1, 3])):
        send(random.randrange(60), random.choice([1, 1, 1, number + 2]))
        assert receive()


if __name__ == "__main__":
    run(step)
