"""Sessions of ever new visitors: in a signed cookie (Starlette), or in a dict of the server."""

import asyncio
import secrets

from cachetools import TTLCache
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

SESSIONS = {}


def new_session(number):
    return {"user": f"visitor-{number:08d}", "cart": [number]}


async def in_the_cookie(request, number):
    """The checked program: SessionMiddleware signs the session and the browser keeps it."""
    request.session.update(new_session(number))
    return PlainTextResponse("hello")


async def in_a_dict(request, number):
    identity = secrets.token_urlsafe(24)
    SESSIONS[identity] = new_session(number)
    request.session["id"] = identity
    return PlainTextResponse("hello")


# variant: (handler, where the server keeps sessions)
VARIANTS = {
    "control": (in_the_cookie, lambda arguments: {}),
    "server_side": (in_a_dict, lambda arguments: {}),
    "better_fix": (in_a_dict, lambda arguments: TTLCache(arguments.max_sessions, ttl=3600)),
}


async def run(arguments):
    global SESSIONS
    handler, make_store = VARIANTS[arguments.variant]
    SESSIONS = make_store(arguments)
    number = 0
    sent = []

    async def endpoint(scope, receive, send):
        response = await handler(Request(scope, receive), number)
        await response(scope, receive, send)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    app = SessionMiddleware(endpoint, secret_key=secrets.token_hex(32))
    for _ in range(arguments.iterations):
        for _ in range(arguments.requests):
            number += 1
            scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
            await app(scope, receive, send)
        cookie = dict(sent[0]["headers"])[b"set-cookie"]
        sent.clear()
        gauge("cookie_bytes", len(cookie))
        gauge("session_count", len(SESSIONS))
        mark()


if __name__ == "__main__":
    asyncio.run(run(case_arguments(__file__)))
