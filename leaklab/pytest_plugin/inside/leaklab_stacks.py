"""Where something is made: the frames above it, noted at little cost and told apart later."""

import dis
import os
import sys
import sysconfig

MOST_FRAMES = 40
# All of this plugin.
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = tuple(
    os.path.join(path, "")
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if path
)
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
# The modules of pytest that call a test or a fixture.
CALLERS = ("doctest", "fixtures", "python", "runner", "unittest")
# The files of those, once there is somebody who takes notes.
_callers: set = set()
_suspended = False


def suspend(yes):
    """Take no notes while the heap is measured: they would be growth themselves."""
    global _suspended
    _suspended = yes


def is_suspended():
    """Return whether no notes are to be taken."""
    return _suspended


def noting_self(noted):
    """Return a wrapping that notes for each object where a method of it was called."""

    def wrapping(original):
        def call(self, *args, **kwargs):
            if not _suspended:
                noted[self] = stack_here()
            return original(self, *args, **kwargs)

        return call

    return wrapping


def blamed(stack):
    """Return the innermost frame outside the standard library and installed packages.

    Code without a file is left out, but for a doctest's, which has a name and a line of its own.
    """
    kept = [frame for frame in stack if _is_named(frame[0])]
    own = [frame for frame in kept if not _is_library(frame[0])]
    return own[0] if own else kept[0] if kept else None


def has_own(codes):
    """Return whether any code is outside the standard library and installed packages."""
    files = [code.co_filename for code in codes]
    return any(_is_named(file) and not _is_library(file) for file in files)


def _is_named(file):
    return not file.startswith(PACKAGE) and (file[:1] != "<" or file.startswith("<doctest "))


def _is_library(file):
    return file.startswith(_LIBRARY) or is_installed(file)


def is_by_installed(stack):
    """Return whether the innermost frame outside the standard library is of an installed package.

    Also where there is no frame at all: no Python code was seen making it.
    """
    files = [file for file, _, _ in stack if is_installed(file) or not file.startswith(_LIBRARY)]
    return not files or is_installed(files[0])


def is_installed(file):
    """Return whether a file is of an installed package."""
    return any(part in file for part in _INSTALLED)


def stack_here(above=2):
    """Return the frames from the caller's own caller on, innermost first; ``above`` skips more.

    Flat: each frame's code, then the place in it. A pair for each would have the garbage collector
    run ten times as often. It ends where pytest called the test or the fixture: what lies below is
    the same for all of them.
    """
    noted = []
    frame = sys._getframe(above)
    while frame is not None and len(noted) < 2 * MOST_FRAMES:
        code = frame.f_code
        if code.co_filename in _callers:
            break
        noted += (code, frame.f_lasti)
        frame = frame.f_back
    return tuple(noted)


def _line(code, at):
    """Return the line of a place in a code."""
    line = code.co_firstlineno
    for begin, number in dis.findlinestarts(code):
        if begin > at:
            break
        line = number or line
    return line


def frames_of(noted):
    """Return (file, line, function) of each frame that was noted."""
    pairs = zip(noted[::2], noted[1::2])
    return tuple((code.co_filename, _line(code, at), code.co_name) for code, at in pairs)


def know_callers():
    """Learn where pytest's own code is, now that it is loaded."""
    modules = [sys.modules.get("_pytest." + name) for name in CALLERS]
    _callers.update(module.__file__ for module in modules if module is not None)
