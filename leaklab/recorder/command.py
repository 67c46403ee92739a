"""What the command is: a script, a module or a program; which interpreter; what to call it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.launchers import is_python, python_part, runs_python, unwrapped
from leaklab.recorder.procfs import command_line


@dataclass(frozen=True)
class Command:
    """A command ready to start.

    kind: "script", "module" or "program". python: the interpreter asked for, None where the
    program brings its own. name: of what it runs in the end, behind env, a shell and the like.
    source: the target's own file, where known.
    """

    argv: tuple[str, ...]
    kind: str
    python: str | None
    name: str
    source: Path | None


def resolve(command: Sequence[str], python: str | None, cwd: str | None) -> Command:
    """Return what to start for ``command``; raises LeaklabError when it cannot be found."""
    first = command[0]
    folder = Path(cwd or Path.cwd())
    if first == "-m":
        if len(command) < 2:
            raise UsageError("no module named: -m; give its name: -m module")
        interpreter = find_python(python)
        module = command[1]
        source = _module_source(module, folder)
        return Command((interpreter, *command), "module", interpreter, module, source)
    if first.endswith((".py", ".pyw")):
        return _script(command, python, folder)
    return _program(command, python, folder)


def _script(command: Sequence[str], python: str | None, folder: Path) -> Command:
    path = folder / command[0]
    if path.is_dir():
        path = path / "__main__.py"
    if not path.is_file():
        raise LeaklabError(f"no such script: {command[0]}; look at its path and spelling")
    interpreter = find_python(python)
    return Command((interpreter, *command), "script", interpreter, path.stem, path)


def _program(command: Sequence[str], python: str | None, folder: Path) -> Command:
    first = command[0]
    interpreter = None if python is None else find_python(python)
    name, source = _looked_at(command, folder)
    if interpreter is not None and is_python(first):
        return Command((interpreter, *command[1:]), "program", interpreter, name, source)
    found = _find_program(first, interpreter, folder)
    if found is None and python is not None and (folder / first).is_file():
        # A script without a suffix, named without a folder.
        return _script(command, python, folder)
    if found is None:
        beside = f" beside {interpreter} and on the path" if interpreter else ""
        raise LeaklabError(
            f"no such program: {first}{beside}; look at its spelling, or give its path"
        )
    argv: tuple[str, ...] = (found, *command[1:])
    if interpreter is not None and runs_python(Path(found)):
        argv = (interpreter, *argv)
    return Command(argv, "program", interpreter, name, source)


def _find_program(first: str, interpreter: str | None, folder: Path) -> str | None:
    """Find a program: by its path, in the environment asked for, on the path, in our own."""
    inside = folder / first if os.sep in first else None
    if inside is not None and inside.exists():
        usable = os.access(inside, os.X_OK) or (interpreter is not None and runs_python(inside))
        if not usable or inside.is_dir():
            raise LeaklabError(f"not a program: {first}; make it executable, or name its program")
        return str(inside)
    beside = None if interpreter is None else _beside(interpreter, first)
    return beside or shutil.which(first) or _beside(sys.executable, first)


def _looked_at(command: Sequence[str], folder: Path) -> tuple[str, Path | None]:
    """Return the name of what a command runs in the end, and its source where that is known."""
    words = unwrapped(command)
    part = python_part(words)
    if part is None:
        path = folder / words[0]
        known = path.is_file() and runs_python(path)
        return PurePath(words[0]).name, path if known else None
    kind, what = part
    if kind == "module":
        return what, _module_source(what, folder)
    path = folder / what
    if path.is_dir():
        path = path / "__main__.py"
    return PurePath(what).stem or path.stem, path if path.is_file() else None


def search_path(command: Command, path: str) -> str:
    """Return the PATH of a target: what a launcher (env, sh, timeout) finds is of `--python`."""
    if command.kind != "program" or command.python is None:
        return path
    return os.pathsep.join(part for part in (str(Path(command.python).parent), path) if part)


def running(pid: int) -> Command:
    """Return how the process ``pid`` was started; raises UsageError when there is none."""
    argv = tuple(command_line(pid))
    if not argv and not Path(f"/proc/{pid}").exists():
        raise UsageError(f"no such process: {pid}; give the pid of one that runs")
    name, _ = _looked_at(argv, Path()) if argv else (f"pid-{pid}", None)
    return Command(argv, "program", None, name, None)


def find_python(python: str | None) -> str:
    """Return the path of the interpreter to use; raises UsageError when it is none."""
    if python is None:
        return sys.executable
    path = Path(python).expanduser()
    if path.is_dir():
        # A virtual environment's folder is what people have at hand.
        path = path / "bin" / "python"
    found = str(path) if path.is_file() and os.access(path, os.X_OK) else shutil.which(python)
    if found is None:
        raise UsageError(f"no such interpreter: {python}; give the path of a python program")
    return str(Path(found).absolute())


def _beside(interpreter: str, name: str) -> str | None:
    """Find a console script of the environment of an interpreter, activated or not."""
    path = Path(interpreter).parent / name
    runs = os.sep not in name and path.is_file() and os.access(path, os.X_OK)
    return str(path) if runs else None


def _module_source(module: str, folder: Path) -> Path | None:
    base = folder.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__main__.py"):
        if path.is_file():
            return path
    return None
