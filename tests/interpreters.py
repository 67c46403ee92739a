"""The CPython versions this machine has, for code that runs inside any of them."""

import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
# What a target may run on.
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"

every_version = pytest.mark.parametrize("version", VERSIONS)


def interpreter(version):
    """Return the interpreter of a version such as "3.12", None without one."""
    if version == RUNNING:
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}", path="/usr/bin")


def interpreter_or_skip(version):
    """Return the interpreter of a version; the test is skipped without one."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no CPython {version} on this machine")
    return python


def of_fixed_addresses(python):
    """Say whether an interpreter is no position-independent program, as Debian's are not."""
    with Path(python).open("rb") as file:
        return file.read(18)[16] == 2  # ET_EXEC
