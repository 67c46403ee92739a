"""Each library does what README says of it, and is loaded by that and not before."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What README names, in this order, and what a user does for it.
PROGRAM = """
import json, sys
loaded = {}
named = {"objgraph", "pandas", "matplotlib", "psutil", "memray", "jupyterlab"}
def after(step):
    loaded[step] = sorted(named & set(sys.modules))
import leaklab as ll
after("import")
import leaklab.recorder.recording
after("record")
import leaklab.recorder.heap.reader
after("explain")
run = ll.from_series({"rss_bytes": (list(range(50)), [1e6 + n for n in range(50)])})
import pandas
assert isinstance(run.series("rss_bytes"), pandas.DataFrame)
after("series")
import matplotlib
matplotlib.use("agg")
assert isinstance(ll.plots.growth(run), matplotlib.axes.Axes)
after("plots")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "leaklab")
shell.run_line_magic("leaklab", "watch")
shell.run_cell("kept = [[number] for number in range(1000)]")
after("watch")
from leaklab.objgraph_picture import objgraph_dot
assert "digraph" in objgraph_dot(shell.user_ns["kept"])
after("picture")
from leaklab.doctor import examine
(lab,) = [finding for finding in examine() if finding.subject == "jupyterlab"]
print(lab.what, lab.works)
after("doctor")
print(json.dumps(loaded))
"""


def test_what_readme_names_is_loaded_where_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    *said, last = done.stdout.strip().splitlines()
    loaded = json.loads(last)
    assert loaded["import"] == []
    assert "psutil" in loaded["record"]
    assert "memray" in set(loaded["explain"]) - set(loaded["record"])
    assert "pandas" in loaded["series"]
    assert "matplotlib" in set(loaded["plots"]) - set(loaded["record"])
    assert "objgraph" in set(loaded["picture"]) - set(loaded["watch"])
    assert "jupyterlab" in set(loaded["doctor"]) - set(loaded["picture"])
    assert any(line.endswith(f"notebooks in {sys.executable} True") for line in said), said
    assert any("1,0" in line and "list" in line for line in said), said


def test_doctor_says_where_a_notebook_would_find_no_leaklab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leaklab.doctor import _notebooks

    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    spec = {"argv": [str(other), "-m", "ipykernel_launcher"], "display_name": "other"}
    folder = tmp_path / "share" / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    (found,) = _notebooks()
    assert not found.works
    assert found.what.endswith(f": notebooks in {other}, which has no leaklab")
    assert found.how == f"{other} -m pip install leaklab"

    (folder / "kernel.json").write_text("no kernel")
    (found,) = _notebooks()
    assert not found.works
    assert found.what.startswith("no notebooks: ")


def test_make_lab_starts_jupyterlab_on_the_first_notebook() -> None:
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "lab"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    words = shlex.split(done.stdout.replace("\\\n", " ").strip().splitlines()[-1])
    assert words[1] == "lab"
    assert words[-1] == "notebooks/00-start-here.ipynb"
    assert Path(words[2].partition("=")[2], "overrides.json").is_file()
    assert (ROOT / "notebooks" / "00-start-here.ipynb").is_file()
    assert importlib.util.find_spec("jupyterlab") is not None
