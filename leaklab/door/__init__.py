"""A door into a running service: what it holds and what grows, without a debugger or a tracer.

`leaklab.door.asgi.LeakDoor(app)` and `leaklab.door.wsgi.LeakDoor(app)` wrap an application;
`leaklab.door.open()` is for what speaks no HTTP. Standard library alone in the service: graphs are
walked in a copy of the process and analysed by a process of its own.
"""

from __future__ import annotations

from leaklab.door.keeper import FIGURE_SECONDS, Keeper, keeper

__all__ = ["Keeper", "open"]


def open(  # noqa: A001 (leaklab.door.open is its name)
    folder: str | None = None, *, figure_seconds: float = FIGURE_SECONDS
) -> Keeper:
    """Open the door of this process: it keeps its figures and answers to ``folder``.

    For a Celery worker, a cron job, an asyncio program: whoever runs as the same user asks with
    ``python -m leaklab.door FOLDER``. Call it in each process, after a fork; calling it again does
    nothing. figure_seconds: how often figures are taken. Raises LeaklabError where the folder is
    not private.
    """
    return keeper(folder, figure_seconds)
