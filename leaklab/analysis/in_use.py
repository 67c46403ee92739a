"""What a process's own allocators count as in use: malloc's bytes and the interpreter's blocks.

It grows in room that was free inside the process, where resident memory stands still. Both are read
together, malloc's where garbage was collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklab.resources import BLOCK_BYTES, IN_USE

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData

MALLOC, BLOCKS = "malloc_used_bytes", "allocated_blocks_count"
MALLOC_FREE = "malloc_free_bytes"
# CPython's small blocks are of 16 to 512 bytes; most are of 32 to 96.
SMALLEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES = 16.0, 512.0
# The same with every small block as small, and as large, as they come.
AT_LEAST, AT_MOST = (f"{IN_USE}:{size:.0f}" for size in (SMALLEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES))
_TOGETHER = ["pass", "process", "mark", "time_seconds"]


def in_use_points(data: RunData, name: str = IN_USE) -> pd.DataFrame:
    """Return samples of the bytes in use; those of blocks alone where malloc could not be asked.

    name: `IN_USE`, small blocks at their usual size, or `AT_LEAST` or `AT_MOST`.
    """
    size = float(name.partition(":")[2] or BLOCK_BYTES)
    large, small = data.samples_of(MALLOC), data.samples_of(BLOCKS)
    if not len(large):
        return small.assign(value=size * small["value"])
    counted = small[[*_TOGETHER, "value"]].drop_duplicates(_TOGETHER)
    both = large.merge(counted, on=_TOGETHER, how="left", suffixes=("", "_blocks"))
    value = both["value"] + size * both["value_blocks"].fillna(0.0)
    return both.assign(value=value)[list(large)]
