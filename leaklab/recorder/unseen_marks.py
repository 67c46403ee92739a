"""What to say, and what to try, where nothing of what was to end a unit of work was seen."""

from __future__ import annotations

from collections.abc import Sequence

#: the kind of the event in run.json
UNSEEN = "no marks"
_NAME_IT = "name the function that serves one: --mark-on call:MODULE:FUNCTION"


def unseen_text(mark_on: Sequence[str], *, was_driven: bool) -> str:
    """Return a sentence for each of the ``mark_on`` of a recording that has seen none of them.

    was_driven: whether the target was under a load of ours.

    >>> unseen_text(["task"], was_driven=False)
    '--mark-on task saw nothing: no Celery task ended; figures are per second'
    """
    parts = [f"--mark-on {source} saw nothing: {_why(source, was_driven)}" for source in mark_on]
    return "; ".join([*parts, "figures are per second"])


def _why(source: str, was_driven: bool) -> str:
    kind, _, what = source.partition(":")
    if kind == "call":
        module, _, function = what.rpartition(":")
        return (
            f"{function} was not called by its name in {module}; look whether the program has "
            "both, a decorator or a list may keep the function itself: then call leaklab.mark() at "
            "its end"
        )
    if kind == "line":
        return f"no line of the output matches {what}"
    if kind == "task":
        return "no Celery task ended"
    unknown = f"the server is none that leaklab knows; {_NAME_IT}"
    return unknown if was_driven else f"no request was seen; send some (--drive), or {unknown}"
