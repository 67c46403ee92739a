"""Objects that CPython recycles must not carry the probe's name.

CPython keeps freed dicts, their keys, lists, tuples, floats and slices, from 3.14 on also ints,
methods, ranges and iterators, in free lists and hands them out again without the tracer noticing: a
dict that the probe made and freed at a mark becomes the target's next dict and stays charged to the
probe, whose memory is left out. A target that leaks nothing but such objects would not be seen to
leak. So after its own work the probe takes what lies on top of the free lists (they are last in,
first out) and holds it. What it holds is let go right before its work at the next mark, which takes
it from there again: never more than one handful, also where nothing is ever collected.

What is made by a call of its type (``dict(d)``, ``list(x)``) does not come from a free list, but
goes there when it is freed: one more each time. At marks the probe writes ``{**d}`` and ``[*x]``.

A mark that is not told frees less, one of a kind: the time, the count before, and what the
interpreter makes for the tracer at each call, a method and from 3.14 on an int, the place of the
call in a function of more than a few lines.
"""

# The probe frees fewer of each kind at a mark.
COUNT = 24

_number = 1000
_fraction = 0.5


class _Owner:
    def method(self):
        """Do nothing: what is wanted is the object that binds it."""


_owner = _Owner()
_nothing: list = []


def spare():
    """Return objects that fill the place of those that any mark frees."""
    return _number + _number, _number + _number, _fraction + _fraction, _nothing.append


def take(count=COUNT):
    """Return objects that fill the place of those the probe has freed, so many of each kind."""
    held = []
    # Written out, because a slice, a comprehension, a method kept in a variable or the range of a
    # loop would free an object of its own. Numbers as small as COUNT are never freed.
    n = 0
    while n < count:
        numbers = range(n)
        held.append(numbers)
        held.append(iter(numbers))
        held.append(iter(_nothing))
        held.append(iter((n, n)))
        held.append(slice(n))
        held.append(_owner.method)
        held.append(_nothing.append)
        held.append({"key": None})
        held.append(n + 0.5)
        held.append(n + 1000)
        held.append((n,))
        held.append((n, n))
        held.append((n, n, n))
        held.append((n, n, n, n))
        held.append((n, n, n, n, n))
        held.append((n, n, n, n, n, n))
        held.append([])
        n += 1
    return held
