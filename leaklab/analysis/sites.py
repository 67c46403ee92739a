"""Allocation stacks grouped into sites: the innermost frame of the user's own code.

A site is one line of one function. Library frames below it are folded away: that a dict was
allocated in ``json/decoder.py`` helps less than the line that asked for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaklab.present.formatting import CELL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

# Whose frames count as the user's, best first: a stack without frames of the target belongs to
# its innermost library frame, and one without those to its innermost frame of any origin.
USER_ORIGINS = ("target",)
LIBRARY_ORIGINS = ("site-packages", "leaklab")
# What runs a recorded cell, in the kernel whose magic it is: this and what calls it is around
# every line of the cell, and no part of it.
_CELL_RUNNERS = ("record_cell", "record_awaiting_cell")
# What runs a loop until it is told to stop, and calls what others have registered: the end of the
# file, and the function. The first is one call of it.
LOOPS = (
    ("asyncio/events.py", "_run"),
    ("asyncio/base_events.py", "run_forever"),
    ("asyncio/runners.py", "run"),
    ("socketserver.py", "serve_forever"),
    ("trio/_core/_run.py", "run"),
    ("twisted/internet/base.py", "mainLoop"),
)
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


@dataclass(frozen=True)
class Sites:
    """The sites of a set of stacks.

    of_stack: site number for each of the stacks asked for. frame: row in ``frames`` of the site's
    line, or -1 where the stack has no frame. offsets, flat: the frames (rows) of stack k, most
    recent call first, are ``flat[offsets[k]:offsets[k + 1]]``.
    """

    of_stack: Integers
    frame: Integers
    offsets: Integers
    flat: Integers
    frames: pd.DataFrame

    @property
    def count(self) -> int:
        """How many sites there are."""
        return len(self.frame)

    def rows(self, stack: int) -> Integers:
        """Rows in ``frames`` of one stack, most recent call first."""
        return self.flat[self.offsets[stack] : self.offsets[stack + 1]]


def group_sites(
    stacks: pd.DataFrame,
    frames: pd.DataFrame,
    stack_ids: Integers,
    *,
    user_origins: tuple[str, ...] = USER_ORIGINS,
) -> Sites:
    """Sites of the stacks with these ids (sorted); unknown ids count as stacks without frames."""
    frames = frames.reset_index(drop=True)
    offsets, flat = _from_the_cell(*flat_frames(stacks, frames, stack_ids), frames)
    origin = frames["origin"].astype(object).to_numpy()
    # Code that a library generates ("<sqlalchemy generated …>") is nobody's line to mend, and a
    # comprehension belongs to the function around it.
    generated = frames["file"].astype(str).str.startswith("<")
    inner = (generated | frames["function"].isin(COMPREHENSIONS)).to_numpy(bool)
    owner = np.repeat(np.arange(len(stack_ids)), np.diff(offsets))
    line = _same_line(frames)
    users = np.isin(origin, user_origins) & ~inner
    called_by_loop = _called_by_loop(offsets, flat, users, line, frames)
    chosen = np.full(len(stack_ids), -1, np.int64)
    everything = tuple(dict.fromkeys(origin))
    anywhere = np.ones(len(flat), bool)
    for within, accepted in (
        (called_by_loop, LIBRARY_ORIGINS),
        (anywhere, user_origins),
        (anywhere, LIBRARY_ORIGINS),
        (anywhere, ("stdlib",)),
        (anywhere, everything),
    ):
        suitable = np.isin(origin, list(accepted)) & (~inner | (accepted is everything))
        hits = np.flatnonzero(suitable[flat] & within) if len(flat) else flat
        hits = hits[chosen[owner[hits]] < 0]
        owners, first = np.unique(owner[hits], return_index=True)
        chosen[owners] = flat[hits[first]]
    frame, of_stack = np.unique(line[chosen], return_inverse=True)
    return Sites(of_stack.astype(np.int64), frame, offsets, flat, frames)


def _called_by_loop(
    offsets: Integers,
    flat: Integers,
    users: NDArray[np.bool_],
    line: Integers,
    frames: pd.DataFrame,
) -> NDArray[np.bool_]:
    """Which entries of ``flat`` a loop calls where no line of the user's is among what it calls.

    Whoever started the loop is around everything that it calls later, and is no line to mend where
    other lines of the user's run in it. A line that runs a loop for a library alone asked for what
    that allocates.
    """
    runs = loop_frames(frames, LOOPS)
    if not runs.any() or not len(flat):
        return np.zeros(len(flat), bool)
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    place = np.arange(len(flat))
    loop = innermost(runs[flat], offsets)
    inside = (place < loop[owner]) & (loop < offsets[1:])[owner]
    outside = innermost(users[flat] & (place > loop[owner]), offsets)
    starter = np.where(outside < offsets[1:], line[np.append(flat, -1)[outside]], -1)
    with_users = np.unique(owner[inside & users[flat]])
    hosts = np.setdiff1d(starter[with_users], [-1])
    return inside & np.isin(starter[owner], hosts) & ~np.isin(owner, with_users)


def loop_frames(frames: pd.DataFrame, calls: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    """Which frames are of some calls that run a loop, of `LOOPS`."""
    file = frames["file"].astype(str).str.replace("\\", "/")
    runs = np.zeros(len(frames), bool)
    for end, function in calls:
        runs |= (file.str.endswith(end) & frames["function"].eq(function)).to_numpy(bool)
    return runs


def innermost(hit: NDArray[np.bool_], offsets: Integers) -> Integers:
    """Return the innermost place of each stack where ``hit``, the stack's end without one."""
    first = offsets[1:].copy()
    hits = np.flatnonzero(hit)
    np.minimum.at(first, np.searchsorted(offsets, hits, side="right") - 1, hits)
    return first


def _from_the_cell(
    offsets: Integers, flat: Integers, frames: pd.DataFrame
) -> tuple[Integers, Integers]:
    """Let stacks begin at the notebook's cell: what calls a cell is the same for every line.

    The magic over a recorded cell is of a cell as well: stacks begin inside of it.
    """
    in_cell = frames["file"].astype(str).str.startswith(CELL_PREFIX).to_numpy(bool)
    if not in_cell.any() or not len(flat):
        return offsets, flat
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    end = offsets[1:].copy()
    callers = np.flatnonzero(cell_runners(frames)[flat])
    np.minimum.at(end, owner[callers], np.maximum(callers, offsets[owner[callers]] + 1))
    hits = np.flatnonzero(in_cell[flat] & (np.arange(len(flat)) < end[owner]))
    end[owner[hits]] = hits + 1  # the last one counts: it is the outermost
    kept = np.arange(len(flat)) < end[owner]
    lengths = np.bincount(owner[kept], minlength=len(offsets) - 1)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), flat[kept]


def cell_runners(frames: pd.DataFrame) -> NDArray[np.bool_]:
    """Which frames are of what runs a recorded cell in its kernel."""
    runs: NDArray[np.bool_] = (
        frames["origin"].eq("leaklab") & frames["function"].isin(_CELL_RUNNERS)
    ).to_numpy(bool)
    return runs


def site_fingerprint(sites: Sites, stack: int, site: int) -> str:
    """Twelve hex digits that stay the same when lines shift: functions and files, no lines.

    Made of the site's function and the user's frames above it in the stack that stands for the
    site; runs of one function (recursion) count once.
    """
    rows = sites.rows(stack)
    origin = sites.frames["origin"]
    own = [row for row in rows if origin.iat[row] in USER_ORIGINS] or list(rows)
    names = [_name(sites.frames, row) for row in own]
    if sites.frame[site] >= 0:
        names.insert(0, _name(sites.frames, int(sites.frame[site])))
    unrepeated = [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    return hashlib.sha256("\n".join(unrepeated).encode()).hexdigest()[:12]


def _name(frames: pd.DataFrame, row: int) -> str:
    return f"{frames['file'].iat[row]}:{frames['function'].iat[row]}"


def _same_line(frames: pd.DataFrame) -> Integers:
    """For each frame row, the first row with the same function, file and line; -1 stays -1."""
    if not len(frames):
        return np.array([-1], np.int64)
    codes = frames.groupby(["file", "function", "line"], sort=False, dropna=False).ngroup()
    _, first, inverse = np.unique(codes.to_numpy(), return_index=True, return_inverse=True)
    return np.append(first[inverse], -1).astype(np.int64)


def flat_frames(
    stacks: pd.DataFrame, frames: pd.DataFrame, stack_ids: Integers
) -> tuple[Integers, Integers]:
    """Frame rows of all stacks one after another, and where each stack begins."""
    known = pd.Index(stacks["stack_id"].to_numpy(np.int64))
    rows = known.get_indexer(stack_ids)
    lists = stacks["frame_ids"].to_numpy()
    wanted = [lists[row] if row >= 0 else () for row in rows]
    lengths = np.fromiter((len(entry) for entry in wanted), np.int64, len(wanted))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    filled = [entry for entry in wanted if len(entry)]
    ids = np.concatenate(filled).astype(np.int64) if filled else np.empty(0, np.int64)
    flat = pd.Index(frames["frame_id"].to_numpy(np.int64)).get_indexer(ids).astype(np.int64)
    if (flat < 0).any():  # a frame that was never written: drop it from its stack
        owner = np.repeat(np.arange(len(wanted)), lengths)[flat >= 0]
        flat = flat[flat >= 0]
        lengths = np.bincount(owner, minlength=len(wanted))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return offsets, flat
