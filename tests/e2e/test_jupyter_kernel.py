"""The magics, the live curve and an interrupt in a real kernel."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

LIMIT_SECONDS = 120.0

LEAKY = """
from leaklab import mark
kept = []
for number in range(40):
    kept.append(bytes(30_000))
    mark()
"""
FOREVER = """
from leaklab import mark
kept = []
while True:
    kept.append(bytes(10_000))
    mark()
"""


@dataclass
class Reply:
    """What a cell has answered: its text, its displays, and its error."""

    text: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


class Kernel:
    """A kernel of its own, asked cell by cell."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_SECONDS)

    def run(self, code: str, interrupt_when: Any = None) -> Reply:
        """Execute `code`; interrupt it once when `interrupt_when(message content)` is true."""
        reply = Reply()
        sent = self.client.execute(code)
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=LIMIT_SECONDS)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return reply
            if kind == "stream":
                reply.text += content["text"]
            elif kind == "update_display_data":
                reply.updates.append(content["data"])
            elif kind in ("display_data", "execute_result"):
                reply.shown.append(content["data"])
            elif kind == "error":
                reply.error = f"{content['ename']}: {content['evalue']}"
            if interrupt_when is not None and interrupt_when(content):
                interrupt_when = None
                self.manager.interrupt_kernel()
        pytest.fail(f"the cell did not end: {code[:60]} {reply}")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3")
    environment = {**os.environ, "LEAKLAB_STORE": str(folder / "store"), "IPYTHONDIR": str(folder)}
    environment.pop("LEAKLAB_PROGRESS", None)
    manager.start_kernel(cwd=str(folder), env=environment)
    try:
        kernel = Kernel(manager)
        assert kernel.run("%load_ext leaklab\nimport leaklab as ll").error is None
        yield kernel
        kernel.client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def shown_html(reply: Reply) -> str:
    return "".join(str(data.get("text/html", "")) for data in reply.shown)


def test_a_cell_in_place_is_judged_and_leaves_its_variables(kernel: Kernel) -> None:
    reply = kernel.run(f"%%leaklab --name in-place\n{LEAKY}\nprint('said by the cell')")

    assert reply.error is None
    assert "said by the cell" in reply.text
    assert "in-place: leak" in shown_html(reply)
    assert "<iframe" in shown_html(reply)
    assert sum("image/svg+xml" in data for data in reply.shown) == 3
    facts = kernel.run(
        "heap = leaklab_run.verdict().resource('heap_bytes')\n"
        "print(len(kept), round(heap.rate / 1000), leaklab_run.suspects()['line'][0],\n"
        "      leaklab_run.meta['state'])"
    )
    assert facts.text.split() == ["40", "30", "4", "complete"]
    paths = kernel.run("print(*leaklab_run.retention()['path'])")
    assert "kept" in paths.text
    # After the recording, marks cost nothing and go nowhere.
    after = kernel.run("from leaklab.probe import marks\nmark()\nprint(marks._session)")
    assert after.text.split() == ["None"]


def test_collections_at_marks_leave_the_kernels_own_objects_out(kernel: Kernel) -> None:
    # Hundreds of thousands of them would make every mark of a cell wait.
    reply = kernel.run(
        "%%leaklab --quiet --passes measure\nimport gc\nfrom leaklab import mark\nmark()\n"
        "print(gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 10_000)"
    )
    assert reply.text.split() == ["True", "True"]
    after = kernel.run("print(gc.get_freeze_count(), len(gc.get_objects()) > 10_000)")
    assert after.text.split() == ["0", "True"]


def test_a_cell_that_fails_in_place_is_recorded_to_there(kernel: Kernel) -> None:
    reply = kernel.run(
        f"%%leaklab --name fails --passes measure --quiet\n{LEAKY}\nraise OSError('in the cell')"
    )
    # The error itself is shown as that of any cell.
    assert "in the cell" in reply.text + str(reply.error)
    facts = kernel.run("print(leaklab_run.label, leaklab_run.meta['processes'][0]['mark_count'])")
    assert facts.text.split() == ["fails", "40"]


def test_a_cell_in_a_child_shares_nothing(kernel: Kernel) -> None:
    reply = kernel.run(f"%%leaklab --child --name child\n{LEAKY}\nonly_there = 1")
    assert reply.error is None
    assert "child: leak" in shown_html(reply)
    facts = kernel.run(
        "print(leaklab_run.suspects()['file'][0].rpartition('/')[2], 'only_there' in globals())"
    )
    assert facts.text.split() == ["cell.py", "False"]


def test_a_recording_shows_a_curve_and_an_interrupt_keeps_it(kernel: Kernel) -> None:
    folder = Path(kernel.run("import os; print(os.getcwd())").text.strip())
    (folder / "forever.py").write_text(FOREVER)

    def has_curve(content: dict[str, Any]) -> bool:
        return "<polyline" in str(content.get("data", {}).get("text/html"))

    reply = kernel.run("run = ll.record('forever.py', passes=('measure',))", has_curve)

    assert reply.error is None
    assert any("<polyline" in data["text/html"] for data in reply.updates)
    assert "<polyline" not in reply.updates[-1]["text/html"]
    facts = kernel.run("print(run.meta['state'], len(run.data.samples) > 0, len(run.suspects()))")
    assert facts.text.split() == ["interrupted", "True", "0"]
    left = kernel.run("import psutil; print([c.cmdline() for c in psutil.Process().children()])")
    assert "forever.py" not in left.text
