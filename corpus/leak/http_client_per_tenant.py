"""Tenants come and go, their HTTP clients stay with a connection each."""

import asyncio
import random
import threading

import requests
from loop import run

CLIENTS = {}
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
    client = CLIENTS.get(tenant)
    if client is None:
        client = CLIENTS[tenant] = requests.Session()
        client.trust_env = False
    return client.get("http://127.0.0.1:%d/" % PORT[0], timeout=10).content


def step(number):
    fetch(number)
    fetch(random.randint(max(0, number - 5), number))


if __name__ == "__main__":
    threading.Thread(target=asyncio.run, args=(listen(),), daemon=True).start()
    READY.wait()
    run(step, iterations=200)
