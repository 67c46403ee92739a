"""The notebooks as a user meets them: real JupyterLab in a real browser."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_scene import ROWS, scene
from recorded import shared_store

from leaklab.quantities import size_bytes
from leaklab.report import render_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
START_SECONDS = 60.0
CELLS_MILLISECONDS = 180_000
# Of the kernel that the audit was made after, in hundredths: enough to be told from noise.
SCALE = int(os.environ.get("LEAKLAB_SCENE", "20"))
# JupyterLab says these of itself on a plain page.
HARMLESS = ("ResizeObserver loop",)

RUN_ALL = """
async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute('notebook:run-all-cells');
  await panel.context.save();
  return panel.content.model.toJSON();
}
"""


@dataclass
class Lab:
    """A running server with a copy of the notebooks."""

    address: str
    token: str
    folder: Path

    def page_of(self, notebook: str) -> str:
        return f"{self.address}/lab/tree/{notebook}?token={self.token}&reset"


@dataclass
class Watched:
    """A browser page, with what went wrong in it."""

    page: Any
    problems: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Open a notebook."""
        self.page.goto(address)
        self.page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")

    def run_all(self, address: str) -> dict[str, Any]:
        """Open a notebook, run all cells, return it with their outputs."""
        self.open(address)
        # Run-all resolves even when a cell errs: what the cells say decides.
        notebook: dict[str, Any] = self.page.evaluate(RUN_ALL)
        for cell in notebook["cells"]:
            errors = [o for o in cell.get("outputs", ()) if o["output_type"] == "error"]
            assert not errors, (cell["source"], errors)
        return notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    own["LEAKLAB_STORE"] = str(shared_store(tmp_path_factory))
    token = "test"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
             f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={token}",
             "--LabApp.expose_app_in_browser=True",
             f"--LabApp.app_settings_dir={NOTEBOOKS / 'automation' / 'jupyterlab'}",
             f"--ServerApp.root_dir={folder / 'notebooks'}"],
            env={**os.environ, **own}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, folder / "log")
        yield Lab(f"http://127.0.0.1:{port}", token, folder / "notebooks")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.1)  # there is no event to wait for across processes
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(CELLS_MILLISECONDS)
    found = Watched(page)
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            found.problems.append(message.text)
            if message.type == "error" and not message.text.startswith(HARMLESS)
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            found.foreign.append(request.url)
            if not request.url.startswith(
                ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:", "file:")
            )
            else None
        ),
    )
    yield found
    page.close()


@pytest.mark.parametrize(
    ("notebook", "function"),
    [("00-start-here.ipynb", "build_page"), ("99-your-own-script.ipynb", "remember")],
)
def test_a_notebook_runs_and_shows_curves_tree_and_verdict(
    lab: Lab, watched: Watched, notebook: str, function: str, tmp_path: Path
) -> None:
    executed = watched.run_all(lab.page_of(notebook))

    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", ())]
    shown = json.dumps(outputs)
    assert "leak</b>" in shown
    figures = [o for o in outputs if "image/svg+xml" in o.get("data", {})]
    assert len(figures) >= 4
    page = watched.page
    assert page.locator(".jp-OutputArea-output img, .jp-OutputArea-output svg").count() >= 4
    assert page.locator(".Toastify__toast").all_inner_texts() == []  # no question about news
    _use_the_tree(page, function)
    assert watched.foreign == []
    assert watched.problems == []

    # The page rendered from what JupyterLab saved shows the same, from disk.
    rendered = render_notebook(lab.folder / notebook, tmp_path / "rendered.html")
    page.goto(rendered.as_uri())
    assert any("leak" in text for text in page.locator("p > b").all_inner_texts())
    drawn = page.locator(".out > svg")
    assert drawn.count() == len(figures)
    for box in (figure.bounding_box() for figure in drawn.all()):
        assert box["width"] > 300
        assert box["height"] > 30
    _use_the_tree(page, function)
    assert watched.foreign == []
    assert watched.problems == []


def _use_the_tree(page: Any, function: str) -> None:
    """Search in the allocation tree, zoom in and out."""
    from playwright.sync_api import TimeoutError as NotInTimeError  # optional, as the browser is

    frame = page.locator("iframe[srcdoc]").first
    frame.scroll_into_view_if_needed()
    tree = page.frame_locator("iframe[srcdoc]").first
    found = tree.locator("#found", has_text=re.compile(r"\d calls?,"))
    for _ in range(20):
        # JupyterLab may put a cell that was scrolled to up anew: its frame begins again, empty.
        tree.locator("#search").fill(function)
        with contextlib.suppress(NotInTimeError):
            found.wait_for(timeout=5_000)
            break
    found.wait_for()
    tree.locator("#search").press("Enter")
    canvas = tree.locator("#icicle")
    zoomed = "canvas => canvas.ownerDocument.body.dataset.zoomed"
    whole = canvas.evaluate(zoomed)
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        canvas.press(key)
    tree.locator("#status", has_text=".py").wait_for()
    assert canvas.evaluate(zoomed) != whole
    canvas.press("Escape")


# Adds a cell at the end, runs it and returns its outputs.
RUN_CELL = """
async source => {
  const panel = window.jupyterapp.shell.currentWidget;
  const shared = panel.content.model.sharedModel;
  shared.insertCell(shared.cells.length, {cell_type: 'code', source});
  panel.content.activeCellIndex = shared.cells.length - 1;
  await window.jupyterapp.commands.execute('notebook:run-cell');
  return panel.content.model.toJSON().cells.at(-1).outputs;
}
"""


def test_the_kernel_says_what_it_holds_and_each_printed_line_frees_it(
    lab: Lab, watched: Watched
) -> None:
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    notebook.cells = [
        nbformat.v4.new_code_cell(cell, metadata={"tags": ["raises-exception"]})
        for cell in scene(SCALE)
    ]
    nbformat.write(notebook, lab.folder / "kernel.ipynb")
    page = watched.page
    watched.open(lab.page_of("kernel.ipynb"))
    page.evaluate(RUN_ALL)

    def printed(source: str) -> int:
        outputs = page.evaluate(RUN_CELL, source)
        assert not [one for one in outputs if one["output_type"] == "error"], (source, outputs)
        return int(outputs[-1]["text"])

    page.evaluate(RUN_CELL, "before = resident()")
    page.evaluate(RUN_CELL, "%leaklab kernel")
    assert printed("print(resident() - before)") < 5_000_000
    table = page.locator(".jp-OutputArea-output table").last
    rows = [
        [cell.inner_text() for cell in row.locator("td").all()]
        for row in table.locator("tr").all()[1:]
    ]
    held = {next((name for name in ROWS if row[1].startswith(name)), row[1]): row for row in rows}
    assert set(ROWS) <= set(held), rows
    assert "Svc: class" not in str(rows)  # it frees what its method's cache frees and no more
    for name in ROWS:
        size, _, line = held[name]
        freed = printed(f"start = allocated()\n{line}\nprint(start - allocated())")
        assert freed == pytest.approx(size_bytes(size), rel=0.05), line
