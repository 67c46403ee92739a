"""Each of five connections doubles its receive buffer until the largest message fits."""

import asyncio
import random
import socket

from loop import run

LARGEST = 250_000
LOOP = asyncio.new_event_loop()
CONNECTIONS = []


class Receiver(asyncio.BufferedProtocol):
    def __init__(self):
        self.buffer = bytearray(1_024)
        self.filled = 0
        self.received = None

    def get_buffer(self, sizehint):
        if self.filled == len(self.buffer):
            self.buffer = self.buffer + bytes(len(self.buffer))
        return memoryview(self.buffer)[self.filled :]

    def buffer_updated(self, count):
        self.filled += count
        if self.filled >= 4 + int.from_bytes(self.buffer[:4], "big"):
            self.received.set_result(self.filled)
            self.filled = 0


async def connect():
    for _ in range(5):
        one, other = socket.socketpair()
        one.setblocking(False)
        _, receiver = await LOOP.create_connection(Receiver, sock=other)
        CONNECTIONS.append((one, receiver))


async def exchange():
    sender, receiver = random.choice(CONNECTIONS)
    size = min(LARGEST, int(800 * random.paretovariate(0.55)))
    receiver.received = LOOP.create_future()
    await LOOP.sock_sendall(sender, size.to_bytes(4, "big") + bytes(size))
    await receiver.received


def step(number):
    for _ in range(3):
        LOOP.run_until_complete(exchange())


if __name__ == "__main__":
    LOOP.run_until_complete(connect())
    run(step)
