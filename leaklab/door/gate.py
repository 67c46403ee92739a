"""Who may come in, and what they are answered: the same for every kind of server."""

from __future__ import annotations

import hmac
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from leaklab.door import folder as store
from leaklab.door.keeper import FIGURE_SECONDS, Counter, Keeper, close, keeper
from leaklab.door.look import WALK_SECONDS
from leaklab.errors import LeaklabError

TOKEN_VARIABLE = "LEAKLAB_DOOR_TOKEN"  # noqa: S105 - the name of a variable, not a token
SHORTEST_TOKEN = 16
# By what follows the door's path; HEAD is a GET without its body.
_METHODS = {"": ("GET", "HEAD"), "graph": ("GET", "HEAD", "POST")}
_LOOPBACK = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True)
class Answer:
    """Status and JSON of one answer; allow: methods there are; head: its headers alone are sent."""

    status: int
    content: dict[str, Any]
    allow: tuple[str, ...] = ()
    head: bool = False

    @property
    def body(self) -> bytes:
        """What is sent below the headers."""
        return b"" if self.head else self._json

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Of the JSON, also where it is not sent."""
        allow = [("Allow", ", ".join(self.allow))] if self.allow else []
        return [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Content-Length", str(len(self._json))),
            *allow,
        ]

    @property
    def _json(self) -> bytes:
        return json.dumps(self.content).encode("ascii")


class Gate:
    """Decides on requests below ``path``; shut unless there is a token, or loopback is asked for.

    token: what a request must bring as ``Authorization: Bearer TOKEN``, at least 16 characters; by
    default $LEAKLAB_DOOR_TOKEN. With a shorter one, which could be guessed, the door stays shut and
    a line on stderr says so: a service is not kept from its start. loopback: let requests from this
    machine in without one; behind a proxy on this machine every request comes from there, so it is
    refused where a request was forwarded.
    """

    def __init__(
        self,
        path: str,
        token: str | None,
        loopback: bool,
        folder: str | None,
        figure_seconds: float,
    ) -> None:
        self.path = "/" + path.strip("/")
        self._loopback = loopback
        self._token = token if token is not None else os.environ.get(TOKEN_VARIABLE) or None
        if self._token is not None and len(self._token) < SHORTEST_TOKEN:
            self._stay_shut(
                f"a token that could be guessed: {len(self._token)} characters; "
                f"give at least {SHORTEST_TOKEN}, such as from secrets.token_urlsafe()"
            )
        self._folder = store.named_folder(folder)
        self._figure_seconds = figure_seconds
        self.handed_on = Counter()

    @property
    def is_open(self) -> bool:
        """Whether anybody at all may come in."""
        return self._token is not None or self._loopback

    def begin(self) -> None:
        """Keep figures from now on; the application's own start is not held up by a failure."""
        if self.is_open:
            try:
                own = keeper(self._folder, self._figure_seconds)
                if self.handed_on not in own.counters:
                    own.counters.append(self.handed_on)
            except (LeaklabError, OSError) as error:
                self._stay_shut(error)

    def _stay_shut(self, why: object) -> None:
        print(f"leaklab: the door stays shut: {why}", file=sys.stderr)
        self._token, self._loopback = None, False

    def end(self) -> None:
        """Leave nothing behind: the server has shut down."""
        if self.is_open:
            close()

    def is_mine(self, path: str) -> bool:
        """Whether a request's path is the door's."""
        return self.is_open and (path == self.path or path.startswith(self.path + "/"))

    def admits(self, headers: dict[str, str], client: str) -> bool:
        """Whether a request brings the token, or comes from this machine where that is enough."""
        if self.brings_token(headers):
            return True
        forwarded = "x-forwarded-for" in headers or "forwarded" in headers
        return self._loopback and client.startswith(_LOOPBACK) and not forwarded

    def brings_token(self, headers: dict[str, str]) -> bool:
        """Whether a request brings the token."""
        scheme, _, brought = headers.get("authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(brought.encode(), self._token.encode())

    def answer(
        self, method: str, path: str, query: str, headers: dict[str, str], client: str
    ) -> Answer:
        """Answer a request below ``path``: status of all workers, or a look at one's graph."""
        if method == "HEAD":
            return replace(self.answer("GET", path, query, headers, client), head=True)
        if not self.admits(headers, client):
            return Answer(401, {"error": "no token; bring Authorization: Bearer TOKEN"})
        rest = path[len(self.path) :].strip("/")
        own = keeper(self._folder, self._figure_seconds)
        # How a machine is laid out is for who has the token alone.
        where = {"folder": str(own.folder)} if self.brings_token(headers) else {}
        known = f"GET {self.path}, POST and GET {self.path}/graph?worker=PID"
        if rest not in _METHODS:
            return Answer(404, {"error": f"nothing there; known: {known}"})
        if method not in _METHODS[rest]:
            return Answer(
                405, {"error": f"not done here: {method}; known: {known}"}, _METHODS[rest]
            )
        try:
            if rest == "":
                said = self._status(own)
                return Answer(said.status, {**said.content, **where})
            return self._graph(own, method, query)
        except OSError as error:
            status = 507 if error.errno in store.FULL else 503
            return Answer(status, {"error": store.no_room(error, *where.values())})

    def _status(self, own: Keeper) -> Answer:
        said, age, problem, renewing = own.status()
        who = {"answered_by": os.getpid()}
        wrong = {"error": problem} if problem else {}
        if said:
            when = {"judged_seconds_ago": age, "renewing": renewing}
            return Answer(200, {**who, **said, **when, **wrong})
        none = {"verdict": "inconclusive", "workers": []}
        if wrong:
            return Answer(503, {**who, **none, **wrong})
        return Answer(202, {**who, **none, "reason": "being judged; ask again in a moment"})

    def _graph(self, own: Keeper, method: str, query: str) -> Answer:
        workers = store.workers(own.folder)
        given = parse_qs(query).get("worker", [])
        word = given[0] if len(given) == 1 else ""
        pid = int(word) if word.isdecimal() and len(word) < 10 else None
        pid = os.getpid() if not query else pid
        if pid is None or (pid not in workers and pid != os.getpid()):
            return Answer(404, {"error": "no such worker", "workers": sorted(workers)})
        result = store.left_file(own.folder, "graph", pid)
        if method == "GET":
            found = store.read(result)
            if not found:
                return Answer(404, {"error": "no look was taken; POST here"})
            return Answer(200, found | {"filling": _told(found.get("filling", ()))})
        if not store.begin_look(own.folder, pid):
            return Answer(409, {"error": "another look is under way; one at a time"})
        return Answer(202, {"worker": pid, "state": "asked", "within_seconds": WALK_SECONDS})


def _told(filling: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What fills, with the time that is left: the clock that it is full by is the machine's own."""
    return [
        {name: value for name, value in row.items() if name != "full_at"}
        | {"seconds_left": max(float(row["full_at"]) - time.monotonic(), 0.0)}
        for row in filling
    ]


class Doorway:
    """An application with a gate before it; the two kinds of server differ in how they are asked.

    app: what is handed every request that is not the door's. token, loopback: see `Gate`. path:
    where the door is. folder: what the workers share, by default one in the temporary folder,
    which the last of them removes. figure_seconds: how often figures are taken.
    """

    def __init__(
        self,
        app: Any,
        *,
        token: str | None = None,
        loopback: bool = False,
        path: str = "/leaklab",
        folder: str | None = None,
        figure_seconds: float = FIGURE_SECONDS,
    ) -> None:
        self._app = app
        self._gate = Gate(path, token, loopback, folder, figure_seconds)
        self._begun = False

    def _passes(self, path: str) -> bool:
        """Say at next to no cost that a request is none of the door's, and count it."""
        if not self._begun or path.startswith(self._gate.path):
            return False
        self._gate.handed_on.count += 1
        return True

    def _begin(self) -> None:
        """Begin at the first request: then the worker is forked, and its loop runs."""
        if not self._begun:
            self._begun = True
            self._gate.begin()

    def _end(self) -> None:
        """End with the server; one that starts again in this process begins anew."""
        self._begun = False
        self._gate.end()
