"""Run a piece of Python in a process of its own: one that walks its heap passes nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def printed_by(program: str, folder: Path | None = None) -> str:
    """Return what a program prints; ``folder``: where it runs, and whose tests it may import.

    A walk in this process would pass all that anything has ever imported. Raises
    CalledProcessError where the program fails.
    """
    shared = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, shared))},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout
