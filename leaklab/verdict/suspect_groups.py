"""Suspects that one leak has: sites that are reached through the same call.

A leak seldom allocates at one line: the function that keeps something makes it, wraps it and files
it, on lines of its own and in functions that it calls. All of that is reached through one call, and
together it is one leak with its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from leaklab.analysis.sites import LIBRARY_ORIGINS, USER_ORIGINS, Sites

if TYPE_CHECKING:
    from collections.abc import Iterator

Line = tuple[str, str, int]
_TOP = "<module>"


def calls_to(sites: Sites, site: int, stack: int) -> list[Line]:
    """Return the lines that lead to a site's function, nearest first: (function, file, line).

    Those of the target; in a stack without any, those of libraries. Lines of modules and of the
    site's own function are left out: the first leads to everything, the other is the site.
    """
    frames = sites.frames
    origin = frames["origin"]
    rows = [int(row) for row in sites.rows(stack)]
    for accepted in (USER_ORIGINS, LIBRARY_ORIGINS):
        lines = [_line(sites, row) for row in rows if origin.iat[row] in accepted]
        if lines:
            break
    place = int(sites.frame[site])
    if not lines or place < 0:
        return []
    own = _line(sites, place)
    after = lines[lines.index(own) + 1 :] if own in lines else lines
    return [line for line in after if line[0] != _TOP and line[:2] != own[:2]]


def groups(
    calls: Sequence[Sequence[Line]], rates: Sequence[float]
) -> list[tuple[int, Line] | None]:
    """Return, for each site, the number of the first of its group and the call they share.

    ``calls``: of each site, from :func:`calls_to`; ``rates``: bytes per unit of each. None for a
    site that stands alone. A call is shared by the sites behind it, if it leads straight to one of
    them: through a call further out other leaks may be reached as well.

    >>> handle, serve = ("handle", "app.py", 7), ("serve", "app.py", 30)
    >>> groups([[handle, serve], [("parse", "app.py", 3), handle, serve], [serve]], [9, 5, 1])
    [(0, ('handle', 'app.py', 7)), (0, ('handle', 'app.py', 7)), None]
    """
    found: list[tuple[int, Line] | None] = [None] * len(calls)
    taken: set[int] = set()
    for call, members in _candidates(calls, rates):
        free = [member for member in members if member not in taken]
        if len(free) < 2:
            continue
        taken.update(free)
        for member in free:
            found[member] = (min(free), call)
    return found


def _candidates(
    calls: Sequence[Sequence[Line]], rates: Sequence[float]
) -> Iterator[tuple[Line, list[int]]]:
    """Yield calls that lead straight to a site, with all sites behind them; nearest first."""
    direct = dict.fromkeys(of_site[0] for of_site in calls if of_site)
    behind = {
        call: [number for number, of_site in enumerate(calls) if call in of_site] for call in direct
    }
    # Through a call further out more sites are reached: those with fewer come first.
    order = sorted(behind, key=lambda call: (len(behind[call]), -_sum(rates, behind[call])))
    for call in order:
        yield call, behind[call]


def _sum(rates: Sequence[float], members: Sequence[int]) -> float:
    return float(np.nansum([rates[member] for member in members]))


def _line(sites: Sites, row: int) -> Line:
    frames = sites.frames
    return (
        str(frames["function"].iat[row]),
        str(frames["file"].iat[row]),
        int(frames["line"].iloc[row]),
    )
