"""Objects that CPython recycles must not carry the probe's name.

CPython keeps freed dicts, their keys, lists, tuples and floats in free lists and hands them out
again without the tracer noticing: a dict that the probe made and freed at a mark becomes the
target's next dict and stays charged to the probe, whose memory is left out. A target that leaks
nothing but such objects would not be seen to leak. So after its own work the probe takes what
lies on top of the free lists (they are last in, first out) and holds it. What it holds is let go
right before its work at the next mark, which takes it from there again: never more than one
handful, also where nothing is ever collected.
"""

# The probe frees fewer of each kind at a mark.
COUNT = 24


def take():
    """Return objects that fill the place of those the probe has freed."""
    held = []
    keep = held.append
    # Written out, because a slice or a comprehension would free a list or tuple of its own.
    for n in range(COUNT):
        keep({"key": None})
        keep(n + 0.5)
        keep((n,))
        keep((n, n))
        keep((n, n, n))
        keep((n, n, n, n))
        keep((n, n, n, n, n))
        keep((n, n, n, n, n, n))
        keep([])
    return held
