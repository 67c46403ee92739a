"""The agreement behind an exact snapshot, known to the probe and to the recorder.

At a mark the probe allocates one block whose size tells the mark's number, from a function of a
known name; a snapshot that shows the block has seen everything the target did before.
"""

FUNCTION = "allocate_marker"

# Above 512 bytes, so that the block goes through malloc whether or not Python's own allocators
# are traced; all of it below 128 KiB, where malloc would begin to adapt its mmap threshold.
BASE_BYTES = 1024
STEP_BYTES = 256
COUNT = 256


def marker_bytes(number: int) -> int:
    """Return the least size of the block that stands for ``number``; repeats after ``COUNT``.

    The object's header may be booked on the same stack: any size up to ``STEP_BYTES`` above
    means the same number.
    """
    return BASE_BYTES + number % COUNT * STEP_BYTES
