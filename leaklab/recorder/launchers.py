"""What a command runs in the end: behind env, timeout, uv run, a shell and the like.

A run is named after the program that is looked at and not after what starts it, and sites in its
own folder are told from those of libraries.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PYTHON = re.compile(r"(python|pypy)[\d.]*t?")
_SCRIPT = (".py", ".pyw")
# Options of the interpreter that take a value of their own.
_PYTHON_VALUES = ("-X", "-W", "--check-hash-based-pycs")
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash")
# Words of a shell that prepare for the command which matters.
_SHELL_WORDS = ("cd", "export", "set", "source", ".", "umask", "ulimit", "trap", "sleep", "echo")
_MOST_LAYERS = 10


@dataclass(frozen=True)
class Launcher:
    """How a program that starts others is called.

    values: its options that take a value of their own. positional_count: its own arguments that
    come before the command. subcommand: what has to come first (``run``), if anything.
    """

    values: tuple[str, ...] = ()
    positional_count: int = 0
    subcommand: str | None = None


_UV_VALUES = (
    *("--with", "--with-requirements", "--with-editable", "--extra", "--group", "--python", "-p"),
    *("--project", "--directory", "--env-file", "--package", "--index", "--index-url", "-i"),
    *("--default-index", "--extra-index-url", "--find-links", "-f", "--config-file", "--from"),
    *("--only-group", "--no-group", "--no-extra", "--cache-dir"),
)
_CONDA = Launcher(("-n", "--name", "-p", "--prefix", "--cwd"), 0, "run")
_LAUNCHERS = {
    "env": Launcher(("-u", "--unset", "-C", "--chdir")),
    "nohup": Launcher(),
    "setsid": Launcher(),
    "exec": Launcher(("-a",)),
    "command": Launcher(),
    "time": Launcher(("-f", "--format", "-o", "--output")),
    "nice": Launcher(("-n", "--adjustment")),
    "ionice": Launcher(("-c", "--class", "-n", "--classdata")),
    "chrt": Launcher((), 1),
    "taskset": Launcher((), 1),
    "numactl": Launcher(("-N", "-m", "-C", "-i")),
    "timeout": Launcher(("-k", "--kill-after", "-s", "--signal"), 1),
    "stdbuf": Launcher(("-i", "-o", "-e", "--input", "--output", "--error")),
    "tini": Launcher(("-p", "-e")),
    "dumb-init": Launcher(("-r", "--rewrite")),
    "xvfb-run": Launcher(("-n", "--server-num", "-s", "--server-args", "-e", "--error-file")),
    "uv": Launcher(_UV_VALUES, 0, "run"),
    "uvx": Launcher(_UV_VALUES),
    "poetry": Launcher(("-C", "--directory", "-P", "--project"), 0, "run"),
    "pipenv": Launcher(("--python", "--pypi-mirror"), 0, "run"),
    "pdm": Launcher(("-p", "--project", "-s", "--site-packages"), 0, "run"),
    "hatch": Launcher(("-e", "--env", "-p", "--project"), 0, "run"),
    "rye": Launcher((), 0, "run"),
    "pixi": Launcher(("-e", "--environment", "--manifest-path"), 0, "run"),
    "conda": _CONDA,
    "mamba": _CONDA,
    "micromamba": _CONDA,
}


def is_python(word: str) -> bool:
    """Return whether ``word`` names an interpreter: ``python``, ``/usr/bin/python3.12``."""
    return _PYTHON.fullmatch(PurePath(word).name) is not None


def unwrapped(words: Sequence[str]) -> list[str]:
    """Return the command behind all launchers; ``words`` themselves where there is none.

    ``unwrapped(["env", "A=1", "timeout", "5", "python", "x.py"])`` is ``["python", "x.py"]``.
    """
    found = list(words)
    for _ in range(_MOST_LAYERS):
        inner = _without_one(found)
        if not inner:
            break
        found = inner
    return found


def python_part(words: Sequence[str]) -> tuple[str, str] | None:
    """Return what an unwrapped command has Python run: ("module" or "script", its name).

    None where it is another program, or code given in place (``-c``).
    """
    rest = list(words)
    if is_python(rest[0]):
        rest.pop(0)
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
            # -um app: flags may stand before the one that takes a value.
            if re.fullmatch(r"-[A-Za-z]+m", rest[0]):
                rest[0] = "-m"
                break
            del rest[: 2 if rest[0] in _PYTHON_VALUES else 1]
        if rest and not rest[0].startswith("-"):
            return "script", rest[0]
    if rest[:1] == ["-m"] and len(rest) > 1:
        return "module", rest[1]
    if rest and rest[0].endswith(_SCRIPT):
        return "script", rest[0]
    return None


def option_without_probe(words: Sequence[str]) -> str | None:
    """Return the option by which a command starts Python without looking at PYTHONPATH or `site`.

    ``option_without_probe(["env", "python3", "-Es", "x.py"])`` is ``"-E"``; None without one.
    """
    rest = unwrapped(words)
    if not rest or not is_python(rest.pop(0)):
        return None
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word in _PYTHON_VALUES:
            del rest[:1]
        elif not word.startswith("--"):
            # What follows one of these in the word is its value; and -c and -m end the options.
            flags = re.split("[cmXW]", word)[0]
            found = re.search("[IES]", flags)
            if found:
                return f"-{found[0]}"
            if re.search("[cm]", word[len(flags) : len(flags) + 1]):
                break
    return None


def runs_python(path: Path) -> bool:
    """Return whether a file is a script whose first line has Python run it.

    Console scripts with a long path have the shell call it, in their second line.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(512).splitlines()[:2]
    except OSError:
        return False
    if not lines or not lines[0].startswith(b"#!"):
        return False
    shell = lines[0][2:].split()[:1] == [b"/bin/sh"] and len(lines) > 1
    if shell:
        return b"exec" in lines[1] and b"python" in lines[1]
    words = [os.fsdecode(word) for word in lines[0][2:].split()]
    return any(is_python(word) for word in unwrapped(words)[:1] + words[:1])


def _without_one(words: Sequence[str]) -> list[str]:
    """Return the command behind the first launcher; empty where there is none."""
    name = PurePath(words[0]).name if words else ""
    if name in _SHELLS:
        return _in_shell(words[1:])
    launcher = _LAUNCHERS.get(name)
    if launcher is None:
        return []
    return _behind(list(words[1:]), launcher, name)


def _behind(rest: list[str], launcher: Launcher, name: str) -> list[str]:
    wanted = launcher.subcommand
    while rest:
        word = rest[0]
        if word == "--":
            rest.pop(0)
            break
        if name == "env" and (word == "-S" or word.startswith("--split-string")):
            text = rest[1] if word in ("-S", "--split-string") else word.partition("=")[2]
            taken = 2 if word in ("-S", "--split-string") else 1
            rest[:taken] = _split(text if len(rest) >= taken else "")
        elif name == "uv" and word in ("-m", "--module") and wanted is None:
            return ["-m", *rest[1:]]
        elif word.startswith("-"):
            del rest[: 2 if word in launcher.values else 1]
        elif name in ("env", "exec") and _ASSIGNMENT.match(word):
            rest.pop(0)
        elif wanted is not None:
            if word != wanted:
                return []
            wanted = None
            rest.pop(0)
        else:
            break
    return rest[launcher.positional_count :] if wanted is None else []


def _in_shell(rest: Sequence[str]) -> list[str]:
    """Return the command that matters of ``sh -c '…'``: the first that runs a program."""
    for place, word in enumerate(rest):
        if re.fullmatch(r"-[a-z]*c", word) and place + 1 < len(rest):
            return _first_program(rest[place + 1])
        if not word.startswith("-"):
            break
    return []


def _first_program(text: str) -> list[str]:
    commands: list[list[str]] = [[]]
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        for word in lexer:
            if set(word) <= set(";&|()\n"):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:
        return []
    for words in commands:
        while words and _ASSIGNMENT.match(words[0]):
            words.pop(0)
        if words and words[0] not in _SHELL_WORDS:
            return words
    return []


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []
