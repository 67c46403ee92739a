"""The built wheel is complete: outside the repository it has the cases, pages and notebooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: make env")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_everything_that_is_not_python_is_in_it(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", "leaklab", "notebooks", cwd=ROOT).split()
    missing = [
        name
        for name in tracked
        if name not in packed and f"leaklab/{name}" not in packed and (ROOT / name).exists()
    ]
    assert not missing
    assert not [name for name in packed if "/tests/" in name or name.startswith("data/")]


def test_cases_run_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    library = next(place.glob("lib/python*/site-packages"))
    # leaklab itself comes from the wheel; what it depends on from the environment of the tests,
    # which is already installed. Files named in a .pth do not load further .pth files, so the
    # checkout does not come in this way.
    zipfile.ZipFile(wheel).extractall(library)
    (library / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    home = run(python, "-c", "import leaklab; print(leaklab.__file__)", cwd=outside)
    assert home.startswith(str(library))
    listed = json.loads(run(python, "-m", "leaklab", "cases", "--json", cwd=outside))
    assert "unbounded-cache" in {case["id"] for case in listed}
    shown = run(
        python, "-m", "leaklab", "investigate", "emptied-store", "--quick", "-p", "iterations",
        "20", cwd=outside,
    )  # fmt: skip
    assert "emptied-store/documented_fix: " in shown
    assert (outside / "data" / "reports" / "cases" / "emptied-store.html").exists()
