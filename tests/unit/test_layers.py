"""Who may import what: checked in a fresh process through sys.modules."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# What each layer may load besides the standard library and leaklab itself.
DATA = {"numpy", "pandas", "pyarrow", "dateutil", "six", "fsspec", "pytz", "tzdata"}
LAYERS = {
    "leaklab": set(),
    "leaklab.probe.marks": set(),
    "leaklab.errors": set(),
    "leaklab.catalogue": set(),
    "leaklab.cli": set(),
    "leaklab.present.text": set(),
    "leaklab.store.location": set(),
    "leaklab.recorder.options": set(),
    "leaklab.store": DATA,
    # rustworkx: an object graph's dominators are worked out while it is recorded.
    "leaklab.recorder.recording": DATA | {"psutil", "memray", "rustworkx"},
    "leaklab.verdict.judge": DATA | {"scipy"},
    "leaklab.plots": DATA
    | {"scipy", "matplotlib", "mpl_toolkits", "PIL", "kiwisolver", "pyparsing", "cycler"}
    | {"packaging", "contourpy", "matplotlib_inline"},
}
HEAVY = {
    "IPython", "dask", "distributed", "duckdb", "fsspec", "ipykernel", "jinja2", "jupyterlab",
    "matplotlib", "memray", "nbconvert", "nbformat", "numpy", "objgraph", "pandas", "papermill",
    "psutil", "pyarrow", "pydantic", "rich", "rustworkx", "scipy",
}  # fmt: skip

_PROGRAM = """
import sys, json, importlib
before = set(sys.modules)
for module in sys.argv[1:]:
    importlib.import_module(module)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(loaded)))
"""


def loaded_by(*modules: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *modules],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", LAYERS)
def test_layer(module: str) -> None:
    foreign = loaded_by(module) & HEAVY
    assert foreign <= LAYERS[module], f"{module} loads {sorted(foreign - LAYERS[module])}"


def test_every_module_of_the_probe_is_standard_library_only() -> None:
    from pathlib import Path

    import leaklab

    probe = Path(leaklab.__file__).parent / "probe"
    # tracing is what imports memray, when asked
    names = {path.stem for path in probe.glob("*.py")} - {"__init__", "tracing"}
    assert not loaded_by(*(f"leaklab.probe.{name}" for name in sorted(names))) & HEAVY


def test_import_leaklab_is_small() -> None:
    # Reading the code counts too: what is measured is the first import of a process.
    program = (
        "import tracemalloc; tracemalloc.start(); import leaklab; "
        "print(tracemalloc.get_traced_memory()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) < 1 << 20


def test_sub_packages_do_not_replace_the_public_calls() -> None:
    program = (
        "import leaklab, leaklab.recorder.options, leaklab.catalogue.model\n"
        "from leaklab.recorder.options import RecordOptions\n"
        "assert callable(leaklab.record) and callable(leaklab.cases), leaklab.record\n"
        "assert leaklab.mark() is None and leaklab.gauge('x', 1) is None\n"
        "assert set(leaklab.__all__) <= set(dir(leaklab))\n"
        "[getattr(leaklab, name) for name in leaklab.__all__]\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
