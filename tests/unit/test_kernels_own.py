"""What a kernel allocates beside a recorded cell is not the cell's."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.analysis.heap import heap_timeline
from leaklab.analysis.kernels_own import own_stacks
from leaklab.analysis.series import resource_series
from leaklab.probe.graph_roots import running_frames

COUNT = 60
CELL = ("<module>", "In [4]", "target")
SHELL = ("run_code", "site-packages/IPython/core/interactiveshell.py", "site-packages")
RUNNER = ("record_cell", "site-packages/leaklab/jupyter/in_kernel.py", "leaklab")
CALL = ("_run", "stdlib/asyncio/events.py", "stdlib")
TURN = ("_run_once", "stdlib/asyncio/base_events.py", "stdlib")
LOOP = ("run_forever", "stdlib/asyncio/base_events.py", "stdlib")
KERNEL = ("start", "site-packages/ipykernel/kernelapp.py", "site-packages")
SEND = ("send", "site-packages/zmq/sugar/socket.py", "site-packages")
OUTPUT = ("schedule", "site-packages/ipykernel/iostream.py", "site-packages")
HEARD = ("_listen", "site-packages/leaklab/jupyter/heard.py", "leaklab")
SHOWN = ("publish", "site-packages/ipykernel/zmqshell.py", "site-packages")
FED = ("feed_data", "stdlib/asyncio/streams.py", "stdlib")
POOL = ("read", "site-packages/pool/worker.py", "site-packages")
CLOSURE = ("run_closure", "site-packages/ipykernel/ipkernel.py", "site-packages")
THREAD = ("_bootstrap", "stdlib/threading.py", "stdlib")
AROUND = (SHELL, RUNNER, CELL, SHELL, CALL, TURN, LOOP, KERNEL)

Frame = tuple[str, str, str]

OWN: dict[str, tuple[Frame, ...]] = {
    "the live curve": (SEND, OUTPUT, SHOWN, HEARD, THREAD),
    "the output's thread": (SEND, OUTPUT, CALL, TURN, LOOP, THREAD),
    "what the cell prints": (SEND, OUTPUT, CELL, *AROUND),
    "what runs the cell": (SHELL, RUNNER, CELL, SHELL, CALL, TURN, LOOP, KERNEL),
    "a message on the loop": (SEND, CALL, TURN, LOOP, KERNEL),
    "the loop itself": (TURN, LOOP, KERNEL),
}
CELLS: dict[str, tuple[Frame, ...]] = {
    "a line": (CELL, *AROUND),
    "a call": (POOL, CELL, *AROUND),
    "a thread of a library": (POOL, CLOSURE, THREAD),
    "a stream on the loop": (FED, CALL, TURN, LOOP, KERNEL),
}


def _run(stacks: dict[str, tuple[Frame, ...]]) -> s.RunData:
    data = s.run(sites={name: s.leak(COUNT, 100) for name in stacks})
    known = list(dict.fromkeys(frame for stack in stacks.values() for frame in stack))
    rows = [(number, *frame[:2], 1, frame[2]) for number, frame in enumerate(known)]
    frames = pd.DataFrame(rows, columns=["frame_id", "function", "file", "line", "origin"])
    numbers = [[known.index(frame) for frame in stack] for stack in stacks.values()]
    tables = {name: data.table(name) for name in ("snapshots", "heap", "stacks")}
    tables["stacks"]["frame_ids"] = numbers
    return s.RunData.from_tables(data.meta, **tables, frames=frames)


def test_the_kernels_own_stacks_are_told_from_the_cells() -> None:
    data = _run({**OWN, **CELLS})
    names = list({**OWN, **CELLS})
    assert [names[stack] for stack in own_stacks(data)] == list(OWN)
    timeline = heap_timeline(data)
    assert timeline is not None
    assert timeline.stack_ids.tolist() == list(range(len(OWN), len(names)))
    heap = resource_series(data, "heap_bytes")["value"].to_numpy()
    np.testing.assert_array_equal(heap, timeline.total())
    assert heap[-1] == 100 * (COUNT - 1) * len(CELLS)


def test_where_no_cell_is_recorded_the_same_stacks_are_judged() -> None:
    """Whoever records a kernel, or a program with its parts, asks for these lines."""
    data = _run({name: OWN[name] for name in ("a message on the loop", "the loop itself")})
    assert not len(own_stacks(data))


@pytest.mark.parametrize("is_cell", [True, False])
def test_what_runs_a_cell_is_no_holder_of_it(is_cell: bool) -> None:
    """The magic, its callers and IPython between it and the cell hold the shell, and so all."""
    spaces: dict[str, dict[str, Any]] = {}
    source = "def call(*inner):\n    return inner[0](*inner[1:])"
    modules = ("ipykernel.kernelapp", "leaklab.jupyter.in_kernel", "IPython.core.shell", "cell")
    for name in modules:
        spaces[name] = {"__name__": name if is_cell or "leaklab" not in name else "other"}
        exec(source, spaces[name])
    calls = [spaces[name]["call"] for name in modules]
    frames, _ = calls[0](*calls[1:], running_frames)
    here = [
        frame.f_globals["__name__"]
        for name, frame in zip(frames[::2], frames[1::2], strict=True)
        if name == threading.current_thread().name and frame.f_code.co_name == "call"
    ]
    # Callers first: what they hand on is theirs.
    assert here == (["cell"] if is_cell else [modules[0], "other", modules[2], "cell"])


def test_the_standard_library_holds_last_what_the_target_hands_on() -> None:
    """A thread's own object is a local of all that starts it: it is told by who runs it."""

    class Worker(threading.Thread):
        def run(self) -> None:
            self.seen = running_frames()[0]

    worker = Worker(name="seen")
    worker.start()
    worker.join()
    mine = [
        frame.f_code.co_name
        for name, frame in zip(worker.seen[::2], worker.seen[1::2], strict=True)
        if name == "seen"
    ]
    assert mine[0] == "run"
    assert mine[-2:] == ["_bootstrap_inner", "_bootstrap"]
