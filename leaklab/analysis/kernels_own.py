"""What a notebook's kernel allocates beside the cell that is recorded in it.

The kernel sends each output and hears of each message, in threads of its own and on the cell's
loop; and leaklab's own thread there shows the live curve. None of it is the cell's growth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from leaklab.analysis.sites import LOOPS, cell_runners, flat_frames, innermost, loop_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaklab.store import RunData

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

# Whose threads are the kernel's. What it calls on the loop also passes through its messages.
_KERNEL = tuple(
    f"site-packages/{name}/"
    for name in ("ipykernel", "IPython", "jupyter_client", "debugpy", "leaklab/jupyter")
)
_MESSAGES = ("site-packages/zmq/",)
# Sends what the cell has printed or shown, and keeps none of it.
_OUTPUT = "site-packages/ipykernel/iostream.py"
# Of the kernel and around every thread, the user's too.
_AROUND_THREADS = ("run_closure", "init_closure")

_OWN: WeakKeyDictionary[RunData, Integers] = WeakKeyDictionary()


def own_stacks(data: RunData) -> Integers:
    """Return the ids of a run's stacks that are the kernel's own; none where no cell was recorded.

    A stack with a line of the user's is the cell's, but for the sending of its output. One without
    is the kernel's where what a thread, or the loop, calls in it is of the kernel.
    """
    if data not in _OWN:
        runs_cell = cell_runners(data.frames)
        if runs_cell.any() and len(data.stacks):
            ids = data.stacks["stack_id"].to_numpy(np.int64)
            _OWN[data] = ids[_are_own(data.stacks, data.frames, ids)]
        else:
            _OWN[data] = np.empty(0, np.int64)
    return _OWN[data]


def own_bytes(data: RunData) -> pd.Series:
    """Return what the kernel itself holds at each snapshot of ``data.snapshots``, in bytes."""
    snapshots, own = data.snapshots, own_stacks(data)
    total = pd.Series(0.0, index=snapshots.index)
    if not len(own):
        return total  # of most runs, whose heap may be millions of rows
    rows = data.heap
    rows = rows[rows["stack_id"].isin(own)]
    rows = rows.sort_values("snapshot", kind="stable")
    before = rows.groupby(["process", "stack_id"])["live_bytes"].shift(fill_value=0)
    changes = rows.assign(change=rows["live_bytes"] - before)
    for process, mine in changes.groupby("process"):
        taken = snapshots.index[snapshots["process"] == process]
        numbers = snapshots.loc[taken, "snapshot"].to_numpy()
        held = np.concatenate([[0.0], np.cumsum(mine["change"].to_numpy(float))])
        total[taken] = held[np.searchsorted(mine["snapshot"].to_numpy(), numbers, side="right")]
    return total


def _are_own(stacks: pd.DataFrame, frames: pd.DataFrame, ids: Integers) -> Flags:
    frames = frames.reset_index(drop=True)
    offsets, flat = flat_frames(stacks, frames, ids)
    owner = np.repeat(np.arange(len(ids)), np.diff(offsets))
    place = np.arange(len(flat))
    file = frames["file"].astype(str).str.replace("\\", "/")
    function = frames["function"].astype(str)
    in_kernel = (file.str.startswith(_KERNEL) & ~function.isin(_AROUND_THREADS)).to_numpy()
    messages = in_kernel | file.str.startswith(_MESSAGES).to_numpy()
    calls = loop_frames(frames, LOOPS[:1])
    starts_thread = (file.eq("stdlib/threading.py") & function.eq("_bootstrap")).to_numpy()
    runner = innermost(cell_runners(frames)[flat], offsets)
    user = innermost(frames["origin"].eq("target").to_numpy()[flat], offsets)
    user = np.where(user < runner, user, offsets[1:])
    has_user, has_runner = user < offsets[1:], runner < offsets[1:]
    loop = innermost(loop_frames(frames, LOOPS)[flat], offsets)
    outer = flat[np.maximum(offsets[1:] - 1, 0)] if len(flat) else np.empty(0, np.int64)
    in_thread = starts_thread[outer] if len(flat) else np.zeros(len(ids), bool)
    in_thread &= np.diff(offsets) > 0

    def any_of(wanted: Flags, end: Integers) -> Flags:
        hits = wanted[flat] & (place < end[owner])
        return np.bincount(owner[hits], minlength=len(ids)) > 0

    # The main thread is the kernel's: what its loop does itself, and what that calls of the kernel.
    turns = (loop < offsets[1:]) & ~any_of(calls, np.minimum(loop + 1, offsets[1:]))
    on_main = has_runner | turns | any_of(messages, loop)
    without_user = np.where(in_thread, any_of(in_kernel, offsets[1:]), on_main)
    sends = any_of(file.eq(_OUTPUT).to_numpy(), user)
    own: Flags = np.where(has_user, sends, without_user & (np.diff(offsets) > 0))
    return own
