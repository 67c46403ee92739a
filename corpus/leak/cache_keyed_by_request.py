"""A cached function whose argument is the request itself."""

import asyncio
import functools
import random

from loop import run
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


@functools.cache
def language(request):
    return request.headers.get("accept-language", "en")[:2]


async def page(request):
    return PlainTextResponse("hello in " + language(request))


APP = Starlette(routes=[Route("/items/{item}", page)])
LOOP = asyncio.new_event_loop()


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def request(path):
    sent = []

    async def send(message):
        sent.append(message["type"])

    cookie = b"session=%x" % random.getrandbits(8 * random.randint(100, 300))
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"shop"), (b"accept-language", b"de-DE"), (b"cookie", cookie)],
    }
    await APP(scope, receive, send)
    return sent


def step(number):
    assert LOOP.run_until_complete(request("/items/%d" % random.randrange(50)))


if __name__ == "__main__":
    run(step)
    LOOP.close()
