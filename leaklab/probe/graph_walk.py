"""Walks the heap and writes it as a graph, in bulk: most work per object is done inside C calls.

The file: ``LLGRAPH1``, then chunks of a four-letter tag, a length (8 bytes) and that many bytes.

- ``META`` JSON: who wrote it. ``DONE`` JSON, last: status ("complete" or "failed"), reason, counts.
- ``STRS`` JSON list: texts, numbered from 0 on over all such chunks. ``TYPE`` JSON list: number,
  text number, address of the type, and the size of its objects' own block where what they hold is
  in another one (else 0).
- ``NODE`` objects of one type: type, count, flags, then addresses (u64 each), sizes (u64 each, or
  one for all: flag 1), reference counts without the walker's own (i64 each: flag 2), names (i32
  text numbers: flag 4).
- ``EDGE`` references: count of sources, count of targets, label (text number, or -1: one per edge
  at the end), then source addresses (u64), edges per source (u32), target addresses (u64) and
  labels (i32).
- ``ROOT`` JSON list of [kind, name, address, label].
- ``BNDS`` JSON list of [address, attribute, bound, held]: containers that hold so many at most (see
  graph_bounds).

Numbers are in the machine's byte order. Labels say what an edge means: ``.name`` an attribute,
``[name]`` a value under a short textual key, ``value``, ``key``, ``item``, ``local x``,
``closure x``, ``default x``, ``contextvar x``, ``__dict__``, ``native field of T`` (of what the
collector tracks: a word in it, which may be no reference). What is no node is no target.
"""

import gc
import os
import struct
import sys
import time
from array import array
from itertools import chain, filterfalse

from . import graph_types
from .graph_arrays import NativeMemory, parts_of
from .graph_bounds import bounds_of
from .graph_fields import MOST_OBJECTS, fields_of, has_fields
from .graph_names import Names
from .graph_output import KeyLabels, Output, Texts
from .graph_roots import find_roots
from .graph_types import InlineBytes, TypeFacts, frame_function, text

_NODE = struct.Struct("=III")
_EDGE = struct.Struct("=IIi")
# Objects handled at a time: bounds the memory of one step, and how late the deadline is seen.
_SLICE = 20000
# A dict with at most this many entries is a record whose keys are worth telling.
_RECORD_KEYS = 32


class OutOfTimeError(Exception):
    """The walk has not ended before its limit."""


def write_graph(path, limit_seconds, frames, target_pid, copy):
    """Write the graph of this process to ``path``; True when it is complete.

    ``frames``: what running_frames() returned, of every thread, before any copy was made.
    ``target_pid``: the target's. ``copy``: this is a copy of it that ends afterwards, so objects
    may be created in it.
    """
    begun = time.monotonic()
    if copy:
        gc.unfreeze()
    # Before anything of the walk's own comes into being.
    objects = gc.get_objects()
    own = {id(frames), *map(id, frames), *map(id, frames[1])}
    own.update(map(id, graph_types.interned_texts(objects)))
    out = Output(path)
    try:
        _Walk(out, begun + limit_seconds, target_pid, copy).run(objects, frames[0], own)
        done = {"status": "complete", "reason": None}
    except OutOfTimeError:
        done = {"status": "failed", "reason": "out of time: limit %g s" % limit_seconds}
    except MemoryError:
        done = {"status": "failed", "reason": "out of memory"}
    except Exception as problem:
        done = {"status": "failed", "reason": _reason(problem)}
    done["seconds"] = time.monotonic() - begun
    out.json(b"DONE", done)
    out.close()
    return done["status"] == "complete"


def _reason(problem):
    place = problem.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    where = "%s line %d" % (frame_function(place.tb_frame), place.tb_lineno)
    return "%s: %s (%s)" % (type(problem).__name__, problem, where)


class _Walk(Names):
    def __init__(self, out, deadline, target_pid, copy):
        self._out = out
        self._deadline = deadline
        self._copy = copy
        self._facts = {}
        self._texts = Texts()
        self._item = self._texts.number("item")
        self._key = self._texts.number("key")
        self._value = self._texts.number("value")
        self._dict = self._texts.number("__dict__")
        self._plain = self._texts.number("")
        self._attribute_labels = KeyLabels(self._texts, ".%s", self._value)
        self._record_labels = KeyLabels(self._texts, "[%s]", self._value)
        self._inline_bytes = InlineBytes()
        self._seen = set()
        self._found = []
        self._dict_ids = set()
        self._attribute_dict_ids = set()
        self._native = NativeMemory(target_pid)

    def run(self, objects, frames, own):
        self._out.json(
            b"META",
            {
                "python": "%d.%d.%d" % sys.version_info[:3],
                "pid": os.getpid(),
                "parent": os.getppid(),
                "copy": self._copy,
            },
        )
        self._write_roots(find_roots(objects, frames, self._copy))
        self._walk_dicts(self._walk_tracked(objects, own))
        while self._found:
            found, self._found = self._found, []
            self._walk_found(found)
        self._write_native()
        self._tell_texts()

    def _walk_tracked(self, objects, own):
        """Walk everything the collector knows except dicts; returns those by type."""
        groups = _by_type([one for one in objects if id(one) not in own])
        # All at once: a frame that is asked for its variables keeps them once more from then on.
        base = _base_count()
        counts = {
            number: array("q", [count - base for count in map(sys.getrefcount, group)])
            for number, group in groups.items()
        }
        dicts = []
        for number in list(groups):
            facts = self._learn(groups[number][0])
            if graph_types.flags_of(facts.kind) & graph_types.DICT_SUBCLASS:
                group = groups.pop(number)
                self._dict_ids.update(map(id, group))
                dicts.append((facts, group, counts.pop(number)))
        while groups:
            number, group = groups.popitem()
            self._walk_group(self._learn(group[0]), group, counts.pop(number))
        return dicts

    def _walk_dicts(self, dicts):
        for facts, group, counts in dicts:
            self._walk_group(facts, group, counts)

    def _walk_found(self, found):
        """Walk objects the collector does not track: texts, numbers, and what holds only such."""
        groups = _by_type(found)
        found.clear()
        for group in groups.values():
            self._walk_group(self._learn(group[0]), group, None)

    def _walk_group(self, facts, group, counts):
        """Walk objects of one type; ``counts``: of references to each, None where untracked."""
        walk = getattr(self, "_walk_" + facts.way)
        for start in range(0, len(group), _SLICE):
            if time.monotonic() > self._deadline:
                raise OutOfTimeError
            part = group[start : start + _SLICE]
            sizes = self._sizes(facts, part)
            walk(facts, part, sizes)
            self._nodes(facts, part, sizes, counts and counts[start : start + _SLICE])
            if counts and facts.way in ("instance", "general", "sequence"):
                self._write_bounds(facts, part)
            if counts and facts.way == "general":
                self._walk_atom(facts, part, sizes)
        self._tell_texts()

    # Nodes

    def _sizes(self, facts, part):
        if facts.size is not None:
            return array("Q", [facts.size]) * len(part)
        if facts.kind is int:
            least = graph_types.LEAST_INT_BYTES
            return array("Q", [max(least, size) for size in map(sys.getsizeof, part)])
        try:
            return array("Q", map(sys.getsizeof, part))
        except Exception:  # a C extension's own __sizeof__ failed
            return array("Q", [graph_types.basic_size_of(facts.kind)]) * len(part)

    def _nodes(self, facts, part, sizes, counts):
        parts = [array("Q", map(id, part)), sizes]
        flags = 0
        if counts is not None:
            flags |= 2
            parts.append(counts)
        if facts.label is not None:
            flags |= 4
            number = self._texts.number
            label = facts.label
            parts.append(array("i", [number(text(label(one))) for one in part]))
        elif facts.way == "frame":
            flags |= 4
            number = self._texts.number
            parts.append(array("i", [number(frame_function(one)) for one in part]))
        self._out.chunk(b"NODE", _NODE.pack(facts.number, len(part), flags), *parts)

    def _learn(self, one):
        kind = type(one)
        facts = self._facts.get(id(kind))
        if facts is None:
            facts = self._facts[id(kind)] = TypeFacts(kind, len(self._facts), parts_of(kind))
            number = self._texts.number(facts.name)
            self._tell_texts()
            self._out.json(b"TYPE", [facts.number, number, id(kind), _head_bytes(facts, one)])
            self._discover(graph_types.mro_of(kind))  # static types are known to nobody else
        return facts

    def _tell_texts(self):
        if self._texts.new:
            self._out.json(b"STRS", self._texts.new)
            self._texts.new = []

    # Edges

    def _edges(self, sources, counts, targets, labels):
        """Write edges: ``targets`` in the order of ``sources``; ``labels``: one, or one each."""
        if not targets:
            return
        self._discover(targets)
        each = type(labels) is not int
        header = _EDGE.pack(len(sources), len(targets), -1 if each else labels)
        parts = [array("Q", map(id, sources)), counts, array("Q", map(id, targets))]
        if each:
            parts.append(array("i", labels))
        self._out.chunk(b"EDGE", header, *parts)

    def _discover(self, targets):
        """Remember referents the collector does not know: nothing else leads to them."""
        untracked = list(filterfalse(gc.is_tracked, targets))
        found = dict(zip(map(id, untracked), untracked))
        new = found.keys() - self._seen
        self._seen |= new
        self._found.extend(map(found.__getitem__, new))

    def _walk_atom(self, facts, part, sizes):
        """Write what the fields of foreign objects may hold; who reads it knows the addresses."""
        if len(part) > MOST_OBJECTS or not has_fields(facts.kind):
            return
        owners, held = fields_of(facts.kind, part)
        label = self._texts.number("native field of " + facts.name)
        self._tell_texts()
        header = _EDGE.pack(len(owners), len(held), label)
        self._out.chunk(b"EDGE", header, owners, array("I", [1]) * len(owners), held)

    def _walk_array(self, facts, part, sizes):
        for one in part:
            for label, held in facts.parts.held(one, self._native, self._copy):
                number = self._texts.number(label)
                self._edges([one], array("I", [len(held)]), held, number)

    def _walk_sequence(self, facts, part, sizes):
        held = list(map(gc.get_referents, part))
        self._edges(part, array("I", map(len, held)), list(chain.from_iterable(held)), self._item)

    def _walk_dict(self, facts, part, sizes):
        attributes, records, tables = [], [], []
        named = self._attribute_dict_ids
        for one in part:
            if id(one) in named:
                attributes.append(one)
            elif dict.__len__(one) <= _RECORD_KEYS:
                records.append(one)
            else:
                tables.append(one)
        self._dict_values(attributes, self._attribute_labels)
        self._dict_values(records, self._record_labels)
        self._dict_values(tables, None)
        self._dict_keys(records)
        self._dict_keys(tables)

    def _dict_values(self, dicts, labels):
        counts = array("I", map(dict.__len__, dicts))
        values = list(chain.from_iterable(map(dict.values, dicts)))
        if labels is None:
            self._edges(dicts, counts, values, self._value)
        elif values:
            keys = list(chain.from_iterable(map(dict.keys, dicts)))
            self._edges(dicts, counts, values, labels.of(keys))

    def _dict_keys(self, dicts):
        counts = array("I", map(dict.__len__, dicts))
        keys = list(chain.from_iterable(map(dict.keys, dicts)))
        self._edges(dicts, counts, keys, self._key)

    def _walk_instance(self, facts, part, sizes):
        """Instances whose attributes are all they hold, in a dict or in place of one."""
        if not self._copy and sys.version_info >= (3, 11):
            self._walk_general(facts, part, sizes)
            return
        known = self._dict_ids
        with_dict, without, inline = [], [], []
        dicts = list(map(facts.dictionary, part))
        for place, held in enumerate(dicts):
            if id(held) in known:
                with_dict.append(place)
            else:
                without.append(part[place])
                inline.append(held)
                sizes[place] += self._inline_bytes[sys.getsizeof(held)] if held else 0
        held = [dicts[place] for place in with_dict]
        self._attribute_dict_ids.update(map(id, held))
        sources = [part[place] for place in with_dict]
        self._edges(sources, array("I", [1]) * len(sources), held, self._dict)
        self._edges(
            without,
            array("I", map(dict.__len__, inline)),
            list(chain.from_iterable(map(dict.values, inline))),
            self._attribute_labels.of(list(chain.from_iterable(map(dict.keys, inline)))),
        )

    def _walk_general(self, facts, part, sizes):
        kind = facts.kind
        flags = graph_types.flags_of(kind)
        if flags & graph_types.DICT_SUBCLASS:
            self._walk_dict(facts, part, sizes)
        sequence = flags & graph_types.SEQUENCE_SUBCLASS
        default = self._item if sequence else self._plain
        counts, targets, labels = array("I"), [], []
        for place, one in enumerate(part):
            held = gc.get_referents(one)
            names, more = self._names(facts, one, held, sizes, place)
            if flags & graph_types.DICT_SUBCLASS:
                held = [each for each in held if id(each) in names]
            else:
                held = [each for each in held if each is not kind]
            held.extend(each for each, _ in more)
            labels.extend(names.get(id(each), default) for each in held)
            targets.extend(held)
            counts.append(len(held))
        self._edges(part, counts, targets, labels)

    _walk_frame = _walk_general

    def _write_bounds(self, facts, part):
        found = bounds_of(facts.kind, part, facts.dictionary, self._copy)
        if found:
            self._out.json(b"BNDS", [[id(one), text(name), *rest] for one, name, *rest in found])

    def _write_native(self):
        """Write the blocks of memory that arrays hold as nodes, and the edges to them."""
        addresses, sizes = self._native.nodes()
        if not addresses:
            return
        kind = len(self._facts)  # a type that no object has
        name, label = self._texts.number("native memory"), self._texts.number(".data")
        self._tell_texts()
        self._out.json(b"TYPE", [kind, name, 0, 0])
        self._out.chunk(b"NODE", _NODE.pack(kind, len(addresses), 0), addresses, sizes)
        owners, counts, targets = self._native.edges()
        header = _EDGE.pack(len(owners), len(targets), label)
        self._out.chunk(b"EDGE", header, owners, counts, targets)

    def _write_roots(self, found):
        number = self._texts.number
        rows = [(kind, name, id(one), number(label)) for kind, name, one, label in found]
        self._discover([one for _, _, one, _ in found])
        self._tell_texts()
        self._out.json(b"ROOT", rows)


def _head_bytes(facts, one):
    """Return the size of the block that is the object itself, 0 where it is one with the rest."""
    if facts.kind is list:
        return list.__basicsize__ + 16
    if facts.way == "instance" and sys.version_info < (3, 13):
        return sys.getsizeof(one) if facts.size is None else facts.size
    return 0


def _by_type(objects):
    """Return the objects in lists, by the number of their type.

    The loop's variable ends here: where references are counted, it would be one more to the last.
    """
    groups = {}
    for number, one in zip(map(id, map(type, objects)), objects):
        if number in groups:
            groups[number].append(one)
        else:
            groups[number] = [one]
    return groups


def _base_count():
    """Return what sys.getrefcount tells of an object that nothing but the walk holds."""
    probe = [[]]
    group = list(probe)
    return next(map(sys.getrefcount, group)) if group else 0
