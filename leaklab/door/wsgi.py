"""The door for WSGI applications: gunicorn sync and gthread, uWSGI, waitress."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from leaklab.door.gate import Doorway


class LeakDoor(Doorway):
    """Wrap a WSGI application: ``app = LeakDoor(app, token=…)``, as that for ASGI: its token, too,
    has at least 16 characters."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer what is the door's; hand everything else to the application."""
        path = environ.get("PATH_INFO", "")
        if not self._passes(path):
            self._begin()
        if not self._gate.is_mine(path):
            handed_on: Iterable[bytes] = self._app(environ, start_response)
            return handed_on
        headers = {
            key[5:].replace("_", "-").lower(): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        answer = self._gate.answer(
            str(environ["REQUEST_METHOD"]),
            path,
            str(environ.get("QUERY_STRING", "")),
            headers,
            str(environ.get("REMOTE_ADDR", "")),
        )
        status = HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", answer.headers)
        return [answer.body]
