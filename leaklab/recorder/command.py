"""What the command is: a script, a module or a program; which interpreter; what to call it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaklab.errors import LeaklabError, UsageError
from leaklab.recorder.procfs import command_line


@dataclass(frozen=True)
class Command:
    """A command ready to start. ``source``: the target's own file or folder, where known."""

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
    if first.endswith((".py", ".pyw")) or (python is not None and not shutil.which(first)):
        path = folder / first
        if path.is_dir():
            path = path / "__main__.py"
        if not path.is_file():
            raise LeaklabError(f"no such script: {first}; look at its path and spelling")
        interpreter = find_python(python)
        return Command((interpreter, *command), "script", interpreter, path.stem, path)
    return _program(command, python, folder)


def _program(command: Sequence[str], python: str | None, folder: Path) -> Command:
    first = command[0]
    inside = folder / first if os.sep in first else None
    if inside is not None and inside.exists():
        found: str | None = str(inside)
        if not os.access(inside, os.X_OK) or inside.is_dir():
            raise LeaklabError(f"not a program: {first}; make it executable, or name its program")
    else:
        found = shutil.which(first) or _beside_python(first)
    if found is None:
        raise LeaklabError(f"no such program: {first}; look at its spelling, or give its path")
    if python is not None:
        # A console script of a virtual environment, run by the interpreter that was asked for.
        argv = (find_python(python), found, *command[1:])
    else:
        argv = (found, *command[1:])
    is_python = Path(first).name.startswith("python")
    script = next((part for part in command[1:] if part.endswith(".py")), None)
    source = folder / script if is_python and script else Path(found)
    name = Path(script).stem if is_python and script else Path(first).name
    return Command(argv, "program", find_python(python) if python else None, name, source)


def running(pid: int) -> Command:
    """Return how the process ``pid`` was started; raises UsageError when there is none."""
    argv = tuple(command_line(pid))
    if not argv and not Path(f"/proc/{pid}").exists():
        raise UsageError(f"no such process: {pid}; give the pid of one that runs")
    script = next((part for part in argv[1:] if part.endswith(".py")), None)
    name = Path(script).stem if script else Path(argv[0]).name if argv else f"pid-{pid}"
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


def _beside_python(name: str) -> str | None:
    """Find a console script of the environment leaklab runs in, activated or not."""
    path = Path(sys.executable).parent / name
    return str(path) if os.sep not in name and os.access(path, os.X_OK) else None


def _module_source(module: str, folder: Path) -> Path | None:
    base = folder.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__main__.py"):
        if path.is_file():
            return path
    return None
