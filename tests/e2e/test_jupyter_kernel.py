"""The magics, the live curve and an interrupt in a real kernel."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernels import LIMIT_SECONDS, Kernel, Reply, started_kernel

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


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with started_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        assert kernel.run("%load_ext leaklab\nimport leaklab as ll").error is None
        yield kernel


def has_curve(content: dict[str, Any]) -> bool:
    return "<polyline" in str(content.get("data", {}).get("text/html"))


def ended_run(store: Path) -> dict[str, Any]:
    """Wait until a recorder that nobody hears any more has said how its run ended."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        for file in store.glob("*/*/run.json"):
            meta: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if any(event["kind"] == "cell" for event in meta["events"]):
                return meta
            if meta["state"] == "complete":
                pytest.fail(f"taken for a whole run: {file}")
        time.sleep(0.1)
    pytest.fail("the recorder did not end")


def shown_html(reply: Reply) -> str:
    return "".join(str(data.get("text/html", "")) for data in reply.shown)


def test_a_cell_in_place_is_judged_and_leaves_its_variables(kernel: Kernel) -> None:
    reply = kernel.run(f"%%leaklab --name in-place\n{LEAKY}\nprint('said by the cell')")

    assert reply.error is None
    assert "said by the cell" in reply.text
    assert "in-place: leak" in shown_html(reply)
    assert "<iframe" in shown_html(reply)
    assert sum("image/svg+xml" in data for data in reply.shown) == 5
    assert sum("image/png" in data for data in reply.shown) == 6  # not only where it is trusted
    drawn = [data["image/svg+xml"] for data in reply.shown if "image/svg+xml" in data]
    assert all('<svg width="100%"' in one for one in drawn)
    number = kernel.run("print(len(In) - 2)").text.strip()
    assert f"In [{number}], line 6" in shown_html(reply)
    assert f"most through &lt;module&gt;  In [{number}], line 6" in shown_html(reply)
    facts = kernel.run(
        "heap = leaklab_run.verdict().resource('heap_bytes')\n"
        "print(len(kept), 0.95 < heap.rate / 30_000 < 1.2, leaklab_run.suspects()['line'][0],\n"
        "      leaklab_run.meta['state'])"
    )
    # The kernel may keep some of its own meanwhile.
    assert facts.text.split() == ["40", "True", "6", "complete"], facts.text
    # What the kernel itself allocates meanwhile stands beside the cell.
    tree = kernel.run(
        "nodes = leaklab_run.tree().nodes\n"
        "print(*nodes['file'][nodes['parent'] == 0], repr(leaklab_run).count('\\n'), sep='|')"
    )
    *outermost, lines = tree.text.strip().split("|")
    assert f"In [{number}]" in outermost
    assert lines == "0"
    source = kernel.run("print(*leaklab_run.data.sources['text'])")
    assert "kept.append(bytes(30_000))" in source.text
    paths = kernel.run("print(*leaklab_run.retention()['path'])")
    assert "kept" in paths.text
    assert not re.search(
        r"ipykernel_\d", kernel.run("print(*leaklab_run.data.frames['file'])").text
    )
    # After the recording, marks cost nothing and go nowhere.
    after = kernel.run("from leaklab.probe import marks\nmark()\nprint(marks._session)")
    assert after.text.split() == ["None"]


def test_only_leaklabs_own_figures_are_drawn_its_way(kernel: Kernel) -> None:
    kernel.run("%config InlineBackend.figure_format = 'jpeg'\n%reload_ext leaklab")
    own = kernel.run("from leaklab.plots import style\nstyle.axes().plot([1, 2]);")
    users = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    kernel.run("%config InlineBackend.figure_format = 'png'")

    (own_data,) = (data for data in own.shown if "image/png" in data)
    assert '<svg width="100%"' in own_data["image/svg+xml"]
    assert [sorted(data) for data in users.shown] == [["image/jpeg", "text/plain"]]


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
        f"%%leaklab --name fails --passes measure --quiet\n{LEAKY}\ndef made(): pass\n"
        "raise OSError('in the cell')"
    )
    numbers = kernel.run(
        "print(get_ipython().compile._filename_map[made.__code__.co_filename], len(In) - 2)"
    )
    assert len(set(numbers.text.split())) == 1  # a traceback has the number of its own cell
    assert reply.error == "CellError: leaklab: the cell raised OSError: in the cell"
    facts = kernel.run("print(leaklab_run.label, leaklab_run.meta['processes'][0]['mark_count'])")
    assert facts.text.split() == ["fails", "40"]
    facts = kernel.run("print(leaklab_run.meta['state'], leaklab_run.meta['events'][-1]['text'])")
    assert (
        facts.text.strip() == "failed the cell raised OSError: in the cell after iteration 40 of 40"
    )


def test_a_cell_shows_a_curve_while_it_runs_and_an_interrupt_keeps_it(kernel: Kernel) -> None:
    reply = kernel.run(
        f"%%leaklab --name live --passes measure\n{FOREVER}",
        # Not before it has begun.
        lambda content: has_curve(content) and " marks" in content["data"]["text/plain"],
    )
    assert str(reply.error) == "CellError: leaklab: the cell was interrupted"
    assert "live: measure pass" in reply.updates[0]["text/plain"]
    assert reply.updates[-1]["text/plain"] == "live: recorded"
    facts = kernel.run("print(leaklab_run.meta['state'], len(leaklab_run.data.samples) > 0)")
    assert facts.text.split() == ["interrupted", "True"]
    threads = kernel.run("import threading; print([t.name for t in threading.enumerate()])")
    assert "leaklab cell" not in threads.text


def test_a_kernel_that_dies_during_a_cell_leaves_an_incomplete_run(tmp_path: Path) -> None:
    dies = "    import os\n    if number == 30: os.kill(os.getpid(), 9)\n"
    with started_kernel(tmp_path) as kernel:
        kernel.run("%load_ext leaklab")
        kernel.client.execute(f"%%leaklab --name dies\n{LEAKY}{dies}")
        meta = ended_run(tmp_path / "store" / "dies")
    said = [event["text"] for event in meta["events"] if event["kind"] == "cell"]
    assert meta["state"] == "incomplete"
    assert re.fullmatch(r"the kernel ended during the cell, after iteration \d+ of 40", *said)


@pytest.mark.parametrize("awaited", ["", "import asyncio\nawait asyncio.sleep(0)\n"])
def test_an_interrupt_of_the_recorder_that_finishes_leaves_a_run(
    kernel: Kernel, awaited: str
) -> None:
    many = f"{awaited}many = [[] for _ in range(500_000)]\n"
    reply = kernel.run(
        f"%%leaklab --name hurried\n{many}{LEAKY}",
        lambda content: "object graph" in str(content.get("data", {}).get("text/plain")),
    )
    kernel.run("del many")
    assert reply.error == "CellError: leaklab: the cell has ended, but its recorder was interrupted"
    facts = kernel.run(
        "import psutil\n"
        "print(leaklab_run.meta['state'], leaklab_run.meta['processes'][0]['mark_count'],\n"
        "      len(leaklab_run.data.samples) > 0, len(leaklab_run.data.graph_dumps),\n"
        "      psutil.Process().children())"
    )
    assert facts.text.split() == ["interrupted", "40", "True", "0", "[]"]
    # Nothing is left of it: the next cell is recorded as any other.
    assert kernel.run("%%leaklab --passes measure --quiet\nplain = 1").error is None


def test_a_cell_that_awaits_runs_on_the_kernels_loop(kernel: Kernel) -> None:
    awaiting = (
        "import asyncio\nfrom leaklab import mark\nawaited, loop = [], asyncio.get_running_loop()\n"
        "for _ in range(40):\n    await asyncio.sleep(0)\n    awaited.append(bytes(30_000))\n"
        "    mark()"
    )
    reply = kernel.run(f"%%leaklab --name awaits --passes measure --quiet\n{awaiting}")
    assert reply.error is None, reply.text
    facts = kernel.run(
        "import asyncio\nprint(len(awaited), loop is asyncio.get_running_loop(),\n"
        "      leaklab_run.meta['state'], leaklab_run.meta['processes'][0]['mark_count'])"
    )
    assert facts.text.split() == ["40", "True", "complete", "40"]
    failed = kernel.run("%%leaklab --passes measure --quiet\nawait asyncio.sleep(0)\n1 / 0")
    assert failed.error == "CellError: leaklab: the cell raised ZeroDivisionError: division by zero"
    # Afterwards cells that await nothing are none of this.
    assert kernel.run("%%leaklab --passes measure --quiet\nplain = 1").error is None
    child = kernel.run(f"%%leaklab --child --passes measure --quiet\n{awaiting}")
    assert child.error is None, child.text
    facts = kernel.run("print(leaklab_run.meta['processes'][0]['mark_count'])")
    assert facts.text.split() == ["40"]


def test_what_a_cell_cannot_do_is_said_in_one_line(kernel: Kernel) -> None:
    kernel.run("leaklab_run = 'of an earlier cell'")
    assert "no closing quotation" in kernel.run("%leaklab 'x").text
    assert kernel.run("print('leaklab_run' in globals())").text.strip() == "False"


def test_a_cell_that_cannot_be_compiled_is_no_run(kernel: Kernel) -> None:
    count = "import leaklab as ll\nprint(len(ll.runs()))"
    before = kernel.run(count).text
    reply = kernel.run("%%leaklab --passes measure\nx = 1 +")
    assert (reply.error or "").startswith("SyntaxError: invalid syntax")
    assert (reply.text, reply.shown) == ("", [])
    called = kernel.run("get_ipython().run_cell_magic('leaklab', '', 'return 1')")
    assert "the cell cannot be run: 'return' outside function" in called.text
    assert kernel.run(count).text == before


def test_a_child_cell_that_dies_says_why(kernel: Kernel) -> None:
    reply = kernel.run("%%leaklab --child --passes measure\nprint(only_here)")
    assert "NameError: name &#x27;only_here&#x27; is not defined" in shown_html(reply)
    assert "shares no variables" in shown_html(reply)


def test_a_cell_in_a_child_shares_nothing(kernel: Kernel) -> None:
    reply = kernel.run(f"%%leaklab --child --name child\n{LEAKY}\nonly_there = 1")
    assert reply.error is None
    assert "child: leak" in shown_html(reply)
    facts = kernel.run(
        "print(leaklab_run.suspects()['file'][0], 'only_there' in globals(), len(In) - 2)"
    )
    name, number, other, last = facts.text.split()
    assert (f"{name} {number}", other) == (f"In [{last}]", "False")


def test_a_recording_shows_a_curve_and_an_interrupt_keeps_it(kernel: Kernel) -> None:
    folder = Path(kernel.run("import os; print(os.getcwd())").text.strip())
    (folder / "forever.py").write_text(FOREVER)

    reply = kernel.run("run = ll.record('forever.py', passes=('measure',))", has_curve)

    said = r"RecordingInterruptedError: interrupted; what was .*: ll.open\('(.*/forever/.*)'\)"
    found = re.fullmatch(said, str(reply.error))
    assert found is not None, reply.error  # so that Run All stops
    assert "interrupted in" in reply.updates[-1]["text/plain"]
    kernel.run(f"run = ll.open({found[1]!r})")
    assert any("<polyline" in data["text/html"] for data in reply.updates)
    assert "<polyline" not in reply.updates[-1]["text/html"]
    facts = kernel.run("print(run.meta['state'], len(run.data.samples) > 0, len(run.suspects()))")
    assert facts.text.split() == ["interrupted", "True", "0"]
    left = kernel.run("import psutil; print([c.cmdline() for c in psutil.Process().children()])")
    assert "forever.py" not in left.text
