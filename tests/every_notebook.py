"""Runs every notebook in an interpreter that has leaklab, in each way a user can run it.

``PYTHON tests/every_notebook.py FOLDER [--size smallest|default] [--way WAY] [NOTEBOOK…]``: PYTHON
is the interpreter, FOLDER gets recordings and outputs (the ways share them: each notebook records
once). Prints a line for each notebook and way; exit status 1 when one failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from leaklab.jobs import notebook_parameters
from leaklab.jobs.case_limits import least_values

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LIMIT_SECONDS = 1800


def commands(notebook: Path, values: dict[str, object], folder: Path) -> dict[str, list[str]]:
    """Return the command of each way."""
    given = [text for name, value in values.items() for text in ("-p", name, str(value))]
    executed = str(folder / f"{notebook.stem}.ipynb")
    papermill = [sys.executable, "-m", "papermill", str(notebook), executed, "--no-progress-bar"]
    papermill += ["--cwd", str(notebook.parent), "-k", "python3"]
    run = [sys.executable, "-m", "leaklab", "run", str(notebook), "--output", str(folder / "run")]
    return {
        "papermill": [*papermill, *given],
        "leaklab run": [*run, *given],
        "papermill --engine leaklab": [*papermill, "--engine", "leaklab", *given],
    }


def main() -> int:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=("smallest", "default"), default="smallest")
    parser.add_argument("--way", action="append")
    parser.add_argument("notebooks", nargs="*")
    arguments = parser.parse_intermixed_args()
    folder = arguments.folder.resolve() / f"{platform.python_version()}-{arguments.size}"
    folder.mkdir(parents=True, exist_ok=True)
    own = {name: str(folder / name.lower()) for name in ("LEAKLAB_STORE", "IPYTHONDIR")}
    environment = {**os.environ, **own, "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")}
    failed = 0
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        if arguments.notebooks and notebook.stem[:2] not in arguments.notebooks:
            continue
        content = json.loads(notebook.read_text(encoding="utf-8"))
        least = least_values(content, notebook_parameters(notebook))
        values = dict(least) if arguments.size == "smallest" else {}
        for way, command in commands(notebook, values, folder).items():
            if arguments.way and way not in arguments.way:
                continue
            begun = time.monotonic()
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS
            )
            seconds = time.monotonic() - begun
            failed += done.returncode != 0
            last = (done.stderr.strip().splitlines() or [""])[-1] if done.returncode else ""
            said = f"failed: {last}" if done.returncode else "ok"
            name = f"{platform.python_version()}  {notebook.stem:26}  {way:26}"
            print(f"{name}  {seconds:6.1f} s  {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
