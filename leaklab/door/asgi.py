"""The door for ASGI applications: uvicorn, hypercorn, gunicorn with uvicorn's workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from leaklab.door.gate import Doorway

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class LeakDoor(Doorway):
    """Wrap an ASGI application: ``app = LeakDoor(app, token=…)``; see `leaklab.door.gate.Gate`.

    Shut without a token of at least 16 characters and without ``loopback=True``: then it only hands
    requests on, and says why where a token was too short. ``GET /leaklab`` answers with verdicts on
    every worker, ``POST /leaklab/graph?worker=PID`` takes a look at what one holds, ``GET`` of the
    same has the answer. Nobody waits: what was last said comes with its age
    (``judged_seconds_ago``), ``renewing`` says that it is being judged anew, and 202 that nothing
    was said yet. ``uptime_seconds`` of a worker counts from when its figures began; ``age_seconds``
    is the same under its former name.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is the door's; hand everything else to the application."""
        path = _path(scope)
        if path and self._passes(path):
            await self._app(scope, receive, send)
            return
        self._begin()
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "http" or not self._gate.is_mine(path):
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        client = (scope.get("client") or ("",))[0]
        query = scope.get("query_string", b"").decode("latin-1")
        # In a thread: the event loop goes on serving while files are read.
        answer = await asyncio.to_thread(
            self._gate.answer, scope["method"], path, query, headers, client
        )
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (name.lower().encode("ascii"), value.encode("ascii"))
                    for name, value in answer.headers
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the lifespan on and end with it: a server may then end by the signal that it got,
        without a word to anybody else.
        """
        ending = False

        async def heard() -> dict[str, Any]:
            nonlocal ending
            message = await receive()
            ending = ending or message["type"] == "lifespan.shutdown"
            return message

        try:
            await self._app(scope, heard, send)
        finally:
            if ending:
                self._end()


def _path(scope: Scope) -> str:
    """The path of a request below the root that a server was told of, which is part of its path."""
    path: str = scope.get("path", "")
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
