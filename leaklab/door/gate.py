"""Who may come in, and what they are answered: the same for every kind of server."""

from __future__ import annotations

import hmac
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from leaklab.door import folder as store
from leaklab.door.keeper import FIGURE_SECONDS, close, keeper
from leaklab.door.look import WALK_SECONDS
from leaklab.errors import LeaklabError, UsageError

TOKEN_VARIABLE = "LEAKLAB_DOOR_TOKEN"  # noqa: S105 - the name of a variable, not a token
# Verdicts are worked out by a process of their own; so often at the most.
JUDGED_SECONDS = 10.0
SHORTEST_TOKEN = 16
_LOOPBACK = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True)
class Answer:
    """Status and JSON body of one answer."""

    status: int
    content: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The content as JSON, in ASCII."""
        return json.dumps(self.content).encode("ascii")


class Gate:
    """Decides on requests below ``path``; shut unless there is a token, or loopback is asked for.

    token: what a request must bring as ``Authorization: Bearer TOKEN``; by default
    $LEAKLAB_DOOR_TOKEN. loopback: let requests from this machine in without one; behind a proxy
    on this machine every request comes from there, so it is refused where a request was forwarded.
    Raises UsageError for a token that could be guessed.
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
        self._token = token if token is not None else os.environ.get(TOKEN_VARIABLE) or None
        if self._token is not None and len(self._token) < SHORTEST_TOKEN:
            raise UsageError(
                f"a token that could be guessed: {len(self._token)} characters; "
                f"give at least {SHORTEST_TOKEN}, such as from secrets.token_urlsafe()"
            )
        self._loopback = loopback
        self._folder = folder
        self._figure_seconds = figure_seconds
        self._judged: tuple[float, dict[str, Any]] = (-JUDGED_SECONDS, {})

    @property
    def is_open(self) -> bool:
        """Whether anybody at all may come in."""
        return self._token is not None or self._loopback

    def begin(self) -> None:
        """Keep figures from now on; the application's own start is not held up by a failure."""
        if self.is_open:
            try:
                keeper(self._folder, self._figure_seconds)
            except (LeaklabError, OSError) as error:
                print(f"leaklab: the door stays shut: {error}", file=sys.stderr)
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
        given = headers.get("authorization", "")
        if self._token is not None:
            scheme, _, brought = given.partition(" ")
            expected = self._token.encode()
            if scheme.lower() == "bearer" and hmac.compare_digest(brought.encode(), expected):
                return True
        forwarded = "x-forwarded-for" in headers or "forwarded" in headers
        return self._loopback and client.startswith(_LOOPBACK) and not forwarded

    def answer(self, method: str, path: str, query: str) -> Answer:
        """Answer a request that was admitted: status of all workers, or a look at one's graph."""
        rest = path[len(self.path) :].strip("/")
        if rest == "" and method == "GET":
            return Answer(200, self._status())
        if rest == "graph" and method in ("GET", "POST"):
            return self._graph(method, query)
        known = f"GET {self.path}, POST and GET {self.path}/graph?worker=PID"
        return Answer(404, {"error": f"nothing there; known: {known}"})

    def _status(self) -> dict[str, Any]:
        own = keeper(self._folder, self._figure_seconds)
        at, kept = self._judged
        if time.monotonic() - at >= JUDGED_SECONDS:
            own.figures()
            kept = judged(str(own.folder))
            self._judged = (time.monotonic(), kept)
        return {"answered_by": os.getpid(), **kept}

    def _graph(self, method: str, query: str) -> Answer:
        own = keeper(self._folder, self._figure_seconds)
        workers = store.workers(own.folder)
        name, _, value = query.partition("=")
        pid = int(value) if name == "worker" and value.isdecimal() and len(value) < 10 else None
        pid = os.getpid() if not query else pid
        if pid is None or (pid not in workers and pid != os.getpid()):
            return Answer(404, {"error": "no such worker", "workers": sorted(workers)})
        result = own.folder / f"graph-{pid}.json"
        if method == "GET":
            found = store.read(result)
            return Answer(200 if found else 404, found or {"error": "no look was taken; POST here"})
        if not store.begin_look(own.folder, pid):
            return Answer(409, {"error": "another look is under way; one at a time"})
        return Answer(202, {"worker": pid, "state": "asked", "within_seconds": WALK_SECONDS})


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
        """Say at next to no cost that a request is none of the door's, once it is open."""
        return self._begun and not path.startswith(self._gate.path)

    def _begin(self) -> None:
        """Begin at the first request: then the worker is forked, and its loop runs."""
        if not self._begun:
            self._begun = True
            self._gate.begin()

    def _end(self) -> None:
        """End with the server; one that starts again in this process begins anew."""
        self._begun = False
        self._gate.end()


def judged(folder: str) -> dict[str, Any]:
    """Return the verdicts on all workers, worked out in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "leaklab.door.analysis", folder],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    try:
        content = json.loads(done.stdout)
    except ValueError:
        return {"error": "the figures could not be judged"}
    return content if isinstance(content, dict) else {}
