"""HTTP clients of the last eight tenants, each closed when it makes room for another."""

import asyncio
import collections
import random
import threading

import requests
from loop import run

CLIENTS = collections.OrderedDict()
PORT = []
READY = threading.Event()


async def answer(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            body = b"x" * 200
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def listen():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    PORT.append(server.sockets[0].getsockname()[1])
    READY.set()
    await server.serve_forever()


def fetch(tenant):
    client = CLIENTS.pop(tenant, None)
    if client is None:
        client = requests.Session()
        client.trust_env = False
    CLIENTS[tenant] = client
    if len(CLIENTS) > 8:
        CLIENTS.popitem(last=False)[1].close()
    return client.get("http://127.0.0.1:%d/" % PORT[0], timeout=10).content


def step(number):
    fetch(number)
    fetch(random.randint(max(0, number - 5), number))


if __name__ == "__main__":
    threading.Thread(target=asyncio.run, args=(listen(),), daemon=True).start()
    READY.wait()
    run(step, iterations=200)
