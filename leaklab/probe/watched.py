"""Readings of containers that an audit of the source has named, taken at marks.

The list comes as a file: lines of ``read``, gauge, source file and path in its module; and of
``line``, source file and the line numbers of which it is to be known whether they ran.
"""

import gc
import sys
import time
import types
import weakref

from .counters import attribute, default_of, exit_callbacks, lineage, size_of
from .surroundings import real_path

# Instances are looked for among all objects at these readings and their multiples, while that
# costs less than this share of the program's processor time.
FIRST_SEARCH = 2
SEARCH_FACTOR = 4
SEARCH_SHARE = 0.003
# What readings may cost of the program's processor time, and what the first ones may in any case.
# Telling a reading that has changed costs about so many times what taking it does.
READ_SHARE = 0.002
FREE_SECONDS = 0.002
TELLING_FACTOR = 2.0
# Beyond that one is taken whenever so large a part of all marks so far has gone by without: their
# number grows with the logarithm of the marks, and the end of a short run is seen as well. Not each
# mark asks for one, so marks are counted as well as how often it was asked.
LONGEST_GAP = 1 / 12
INSTANCE_LIMIT = 100


class Watched:
    """What is to be read, and where it was found."""

    def __init__(self, path):
        self._wanted = []
        self._modules = {}
        self._module_count = 0
        self._instances = {}
        self._asked_count = 0
        self._read_at = 0
        self._read_count = 0
        self._next_search = FIRST_SEARCH
        self._spent_seconds = 0.0
        self._took_seconds = 0.0
        self._search_seconds = 0.0
        self._begun_seconds = time.process_time()
        self._last = {}
        self._files = {}
        lines = {}
        try:
            with open(path, encoding="utf-8") as listing:
                for row in listing:
                    fields = row.rstrip("\n").split("\t")
                    if fields[0] == "read":
                        self._wanted.append((fields[1], fields[2], fields[3].split(".")))
                    elif fields[0] == "line":
                        lines[fields[1]] = {int(number) for number in fields[2].split(",")}
        except (OSError, ValueError, IndexError):
            # Without the list there is nothing to read; the target runs on.
            self._wanted = []
        self.lines = None
        if lines:
            from .executed import ExecutedLines

            self.lines = ExecutedLines(lines)

    def changes(self, mark_count):
        """Return the readings that changed since this was asked last, None for one that is gone.

        ``mark_count``: how many marks there were. None altogether where nothing was read: what has
        not changed is not known either then.
        """
        found = self.read(mark_count)
        if found is None:
            return None
        begun = time.process_time()
        last, self._last = self._last, found
        news = {gauge: size for gauge, size in found.items() if last.get(gauge) != size}
        news.update((gauge, None) for gauge in last if gauge not in found)
        self._spent_seconds += time.process_time() - begun
        if found:
            self._spent_seconds += TELLING_FACTOR * self._took_seconds * len(news) / len(found)
        return news

    def forget(self):
        """Tell everything again: whoever was told of it is gone, or another."""
        self._last = {}

    def read(self, mark_count=0):
        """Return the readings by gauge; a container that is not there (yet) is left out.

        None where readings have had their share of the time, or could not be taken.
        """
        begun = time.process_time()
        self._asked_count += 1
        place = self._asked_count + mark_count
        gap = place - self._read_at
        allowed_seconds = FREE_SECONDS + READ_SHARE * (begun - self._begun_seconds)
        if self._spent_seconds > allowed_seconds and gap < LONGEST_GAP * place:
            return None  # the last readings would stand for new ones
        self._read_at = place
        self._read_count += 1
        try:
            # What is looked for now and then is no part of each reading: modules where some were
            # imported, objects within a limit of their own.
            self._find_modules()
            begun = time.process_time()
            begun += self._search_instances()
            found = dict(map(self._one, self._wanted))
            return {gauge: size for gauge, size in found.items() if size is not None}
        except Exception:
            # Another thread changed a dictionary in the middle; the next mark reads again.
            return None
        finally:
            self._took_seconds = time.process_time() - begun
            self._spent_seconds += self._took_seconds

    def _one(self, wanted):
        gauge, file, path = wanted
        if not file:
            return gauge, exit_callbacks()
        names = self._modules.get(file)
        if names is None:
            return gauge, None
        value = names.get(path[0])
        if len(path) == 1:
            return gauge, size_of(value)
        for position, name in enumerate(path[1:], start=1):
            if not isinstance(value, type):
                if value is not None:
                    owner, value = value, default_of(value, name)
                    value = attribute(owner, name) if value is None else value
                continue
            found = _of_class(value, name)
            if found is None and position == len(path) - 1:
                return gauge, self._of_instances(value, name)
            value = found
        return gauge, None if value is None else size_of(value)

    def _find_modules(self):
        """Find the modules by their files: the names they go by are the program's business."""
        if len(sys.modules) == self._module_count:
            return
        self._module_count = len(sys.modules)
        wanted = {file for _, file, _ in self._wanted if file}
        # A copy is made in one go; a list of pairs may collect garbage meanwhile, which may import.
        for name, module in sys.modules.copy().items():
            # By its type: a stand-in for a module says that it is one.
            if not issubclass(type(module), types.ModuleType):
                continue
            names = types.ModuleType.__dict__["__dict__"].__get__(module)
            file = names.get("__file__")
            if not isinstance(file, str):
                continue
            if file not in self._files:
                self._files[file] = real_path(file)
            known = self._modules.get(self._files[file])
            # The program's own file may be imported under a second name as well; and a module
            # that was never loaded (bottle.ext) may say that it is of another's file.
            better = (
                known is None
                or name == "__main__"
                or (known.get("__name__") != "__main__" and known.get("__spec__") is None)
            )
            if self._files[file] in wanted and better:
                self._modules[self._files[file]] = names

    def _search_instances(self):
        """Find the objects whose attributes are read: those of modules, at times all others.

        Returns the seconds that the search of all others took.
        """
        wanted = {}
        for _, file, path in self._wanted:
            owner = (self._modules.get(file) or {}).get(path[0]) if len(path) == 2 else None
            if isinstance(owner, type) and _of_class(owner, path[1]) is None:
                wanted[owner] = [owner]
                for below in _derived(owner):
                    wanted.setdefault(below, []).append(owner)
        if not wanted:
            return 0.0
        for names in self._modules.values():
            self._keep(list(names.values()), wanted)
        if self._read_count < self._next_search:
            return 0.0
        self._next_search *= SEARCH_FACTOR
        begun = time.process_time()
        if self._search_seconds > FREE_SECONDS + SEARCH_SHARE * (begun - self._begun_seconds):
            return 0.0
        self._keep(gc.get_objects(), wanted)
        took_seconds = time.process_time() - begun
        self._search_seconds += took_seconds
        return took_seconds

    def _keep(self, objects, wanted):
        for each in objects:
            for owner in wanted.get(type(each), ()):
                known = self._instances.setdefault(owner, {})
                if id(each) not in known and len(known) < INSTANCE_LIMIT:
                    try:
                        known[id(each)] = weakref.ref(each)
                    except TypeError:
                        continue

    def _of_instances(self, owner, name):
        """The sum over the objects of a class that are known and alive."""
        total = None
        known = self._instances.get(owner, {})
        for key, reference in list(known.items()):
            each = reference()
            if each is None:
                del known[key]
                continue
            value = attribute(each, name)
            size = None if value is None else size_of(value)
            if size is not None:
                total = size if total is None else total + size
        return total


def _of_class(owner, name):
    """What a class or a base of it defines under a name: the function of a method."""
    for base in lineage(owner):
        found = type.__dict__["__dict__"].__get__(base).get(name)
        if isinstance(found, (staticmethod, classmethod)):
            return found.__func__
        if type(found) is not _SLOT and found is not None:
            return found
    return None


def _derived(owner):
    found, todo = [], [owner]
    while todo:
        for each in type.__subclasses__(todo.pop()):
            if each not in found:
                found.append(each)
                todo.append(each)
    return found


_SLOT = types.MemberDescriptorType
