"""Which lines of some files have run: each is told once and costs nothing after that.

By sys.monitoring where there is one (CPython 3.12): functions of these files get line events when
they first start, and each line switches its own off. On 3.11 by the interpreter's own note that a
function has run often enough to be specialised. Elsewhere nothing is told.
"""

import sys
import types

from .surroundings import real_path

# The end of a longer name of a code object has to do.
LONGEST_NAME = 200
# They run where they stand.
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
# Free for tools that register no number of their own.
TOOL_NUMBERS = (4, 3)


class ExecutedLines:
    """Collects the lines of ``{file: {line, ...}}`` that run; files as resolved paths."""

    def __init__(self, wanted):
        self._wanted = wanted
        self._resolved = {}
        self._news = {}
        self._told = {}
        #: "lines", "functions" (whether a line's function ran several times) or "nothing"
        self.grain = "nothing"
        self.told = False
        if hasattr(sys, "monitoring"):
            self._monitor()
        elif hasattr(self._monitor.__code__, "_co_code_adaptive"):
            self.grain = "functions"

    def news(self):
        """Return by file the lines known to have run since the last call.

        Each with the name of the code object that ran on it: the line of a one-line function also
        runs in the code that makes the function.
        """
        if self.grain == "functions":
            self._look_at_functions()
        found, self._news = self._news, {}
        return {file: sorted(places) for file, places in found.items()}

    def _note(self, file, line, code):
        place = line, code.co_qualname[-LONGEST_NAME:]
        told = self._told.setdefault(file, set())
        if place not in told:
            told.add(place)
            self._news.setdefault(file, set()).add(place)

    def _lines_of(self, code):
        name = code.co_filename
        if name not in self._resolved:
            file = real_path(name)
            self._resolved[name] = file if self._wanted.get(file) else None
        return self._resolved[name]

    def _monitor(self):
        monitoring = sys.monitoring
        for number in TOOL_NUMBERS:
            try:
                monitoring.use_tool_id(number, "leaklab")
            except ValueError:
                continue
            break
        else:
            return
        events = monitoring.events
        disable = monitoring.DISABLE

        def started(code, offset):
            file = self._lines_of(code)
            if file and _lines(code) & self._wanted[file]:
                monitoring.set_local_events(number, code, events.LINE)
            return disable

        def line_ran(code, line):
            file = self._lines_of(code)
            if file and line in self._wanted[file]:
                self._note(file, line, code)
            return disable

        monitoring.register_callback(number, events.PY_START, started)
        monitoring.register_callback(number, events.LINE, line_ran)
        monitoring.set_events(number, events.PY_START)
        self.grain = "lines"

    def _look_at_functions(self):
        """Find the code around each line that is left, and look whether it was specialised."""
        open_files = {file for file, lines in self._wanted.items() if lines}
        if not open_files:
            return
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            file = names.get("__file__") if type(names) is dict else None
            if isinstance(file, str) and real_path(file) in open_files:
                for code in _codes(names):
                    self._note_code(code)

    def _note_code(self, code):
        file = self._lines_of(code)
        if not file or code._co_code_adaptive == code.co_code:
            return
        ran = self._wanted[file] & _lines(code)
        for line in ran:
            self._note(file, line, code)
        # A function that is made on the same line may still run: of such a line more may come.
        inner = [each for each in code.co_consts if type(each) is types.CodeType]
        made = [each for each in inner if each.co_name not in COMPREHENSIONS]
        self._wanted[file] -= ran.difference(*map(_lines, made))


def _lines(code):
    return {line for _, _, line in code.co_lines()}


def _codes(names):
    """Yield the code of functions and methods that a module's names lead to, nested ones too."""
    seen, todo = set(), list(names.values())
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        kind = type(value)
        if kind is types.CodeType:
            yield value
            todo += [each for each in value.co_consts if type(each) is types.CodeType]
        elif kind is types.FunctionType:
            todo.append(value.__code__)
            if "__wrapped__" in value.__dict__:
                todo.append(value.__dict__["__wrapped__"])
        elif kind in (staticmethod, classmethod):
            todo.append(value.__func__)
        elif kind is property:
            todo += [value.fget, value.fset]
        elif isinstance(value, type) and value.__module__ == names.get("__name__"):
            todo += list(type.__dict__["__dict__"].__get__(value).values())
