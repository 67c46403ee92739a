"""The CPython versions this machine has, for code that runs inside any of them."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def interpreter(version):
    """Return the interpreter of a version such as "3.12", None without one."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(found[-1]) if found else None
