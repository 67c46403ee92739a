"""What a target may call: ``mark()`` after each unit of work, ``gauge()`` for its own figures."""

# The running session (see session.py); None outside a recording, where both calls do nothing.
_session = None


def mark(label: "str | None" = None) -> None:
    """End one unit of work: a request, a batch, an iteration.

    ``label`` says of which kind it was (a route, a task): growth is then told by label, see
    ``run.labels()``. Few labels, not one for each customer: the rarest are counted together.

    In a recording the target waits here until the recorder has taken its figures, so that all of
    them belong to the same point of the work. Outside one it does nothing.

    >>> mark(label="GET /export")
    """
    if _session is not None:
        _session.mark(label)


def gauge(name: str, value: float) -> None:
    """Report a figure of the target's own, for example ``gauge("cache_entries", len(cache))``.

    It is stored with the next mark; without marks, a few times a second. Outside a recording it
    does nothing.

    >>> gauge("cache_entries", 12)
    """
    if _session is not None:
        _session.gauge(name, value)


def attach(session) -> None:
    """Make ``session`` the receiver of both calls; None ends that."""
    global _session
    _session = session
