"""What the references of an object are called: attributes, locals, cells, default values."""

import sys
import types
from contextvars import Context

from . import graph_types
from .graph_types import text


class Names:
    """Names what objects hold; a walk is made of it."""

    def _names(self, facts, one, held, sizes, place):
        """Return label numbers by address of what ``one`` holds, and edges to add to those."""
        number = self._texts.number
        names, more, kept = {}, [], []
        for name, read in facts.readers:
            try:
                value = read(one)
            except AttributeError:  # an unset slot
                value = None
            if value is not None:
                kept.append(value)  # a number made for us must not give its address away again
                names[id(value)] = number(name if name == "__dict__" else "." + name)
                if name == "__dict__":
                    self._attribute_dict_ids.add(id(value))
        if facts.parts is not None:
            self._walk_array(facts, [one], sizes)
        if facts.dictionary is not None:
            self._name_attributes(facts, one, held, names, sizes, place)
        if facts.frame is not None or facts.way == "frame":
            more = self._name_locals(facts, one)
        elif facts.kind is types.FunctionType:
            more = self._function_parts(one)
        elif facts.kind is types.CellType:
            names.update((id(each), number("cell")) for each in held)
        elif facts.name == "functools._lru_cache_wrapper":
            names.update((id(each), number("cache")) for each in held if type(each) is dict)
        elif facts.is_local:
            more = self._thread_values(held)
        elif facts.kind is Context:
            more = [(value, number("contextvar " + var.name)) for var, value in one.items()]
        elif graph_types.flags_of(facts.kind) & graph_types.TYPE_SUBCLASS:
            attributes = graph_types.attributes_of(one)
            self._attribute_dict_ids.add(id(attributes))
            more = [(attributes, self._dict)]
        for value, label in more:
            names[id(value)] = label
        more = [(value, label) for value, label in more if not any(v is value for v in held)]
        return names, more

    def _name_attributes(self, facts, one, held, names, sizes, place):
        """Name what an instance's ``__dict__`` holds, or the dict itself where there is one."""
        if not self._copy:
            for each in held:  # the getter would create a dict where there is none
                if type(each) is dict and id(each) in self._dict_ids and sys.version_info < (3, 11):
                    names[id(each)] = self._dict
                    self._attribute_dict_ids.add(id(each))
            return
        attributes = facts.dictionary(one)
        if any(each is attributes for each in held):
            names[id(attributes)] = self._dict
            self._attribute_dict_ids.add(id(attributes))
        elif attributes:
            sizes[place] += self._inline_bytes[sys.getsizeof(attributes)]
            keys = list(dict.keys(attributes))
            names.update(zip(map(id, dict.values(attributes)), self._attribute_labels.of(keys)))

    def _name_locals(self, facts, one):
        """Name a frame's variables; returns those that its referents do not show."""
        frame = one
        if facts.frame is not None:
            if not self._copy:
                return []
            frame = facts.frame(one)
        if frame is None:
            return []
        number = self._texts.number
        scope = frame.f_locals
        if type(scope) is dict or type(scope).__name__ == "FrameLocalsProxy":
            pairs = [(name, value) for name, value in scope.items() if type(name) is str]
        else:
            return []
        if scope is frame.f_globals:
            return [(scope, self._plain)]
        return [(value, number("local " + name)) for name, value in pairs]

    def _thread_values(self, held):
        """Return the dicts of a thread-local, one for each thread that has used it."""
        dicts = [each for table in held if type(table) is dict for each in dict.values(table)]
        dicts = [each for each in dicts if type(each) is dict]
        self._attribute_dict_ids.update(map(id, dicts))
        return [(each, self._dict) for each in dicts]

    def _function_parts(self, one):
        """Return the cells and default values of a function with the names of their variables."""
        number = self._texts.number
        parts = []
        closure = one.__closure__
        if closure:
            names = one.__code__.co_freevars
            parts += [(cell, number("closure " + name)) for name, cell in zip(names, closure)]
        if one.__defaults__:
            names = graph_types.default_names(one)
            parts += [
                (held, number("default " + name)) for name, held in zip(names, one.__defaults__)
            ]
        if one.__kwdefaults__:
            for name, held in dict.items(one.__kwdefaults__):
                parts.append((held, number("default " + text(name))))
        return parts
