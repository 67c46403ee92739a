"""A real run of a program that names everything after a secret: none of it is on its page."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from pages import unpacked

from leaklab.cli import main
from leaklab.report.confidential import without_secrets
from leaklab.results.run import Run
from leaklab.store import open_run

SECRET = "acme4711"
MODULE = """
CACHE = {}
class Entry:
    def __init__(self):
        self.body = bytearray(2_000)
"""
CHILD = "import time\nkept = [bytearray(50_000) for _ in range(40)]\ntime.sleep(0.5)\n"
PROGRAM = """
import asyncio, contextvars, subprocess, sys, threading
import leaklab, SECRET_pages

VARIABLE = contextvars.ContextVar("SECRET variable")
held, tasks, files = {}, [], []

async def wait():
    await asyncio.sleep(3600)

def rest(event):
    event.wait()

async def main(argument):
    print("SECRET on stdout")
    print("SECRET on stderr", file=sys.stderr)
    VARIABLE.set([argument])
    subprocess.run([sys.executable, "SECRET_child.py", argument])
    event = threading.Event()
    for number in range(60):
        tasks.append(asyncio.create_task(wait(), name=f"SECRET-task-{number}"))
        name = f"SECRET-thread: {number}"
        threading.Thread(target=rest, args=(event,), name=name, daemon=True).start()
        held[f"SECRET_customer_{number}"] = [bytearray(3_000)]
        SECRET_pages.CACHE["SECRET"] = [*SECRET_pages.CACHE.get("SECRET", []), SECRET_pages.Entry()]
        files.append(open(f"SECRET-{number}.txt", "w"))
        leaklab.gauge("SECRET queue_bytes", 5_000.0 * number)
        await asyncio.sleep(0)
        leaklab.mark(label=f"GET /SECRET/{number % 3}")
    raise RuntimeError("SECRET was raised")

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(SECRET)
    for name, text in (("pages", MODULE), ("child", CHILD), ("work", PROGRAM)):
        (folder / f"{SECRET}_{name}.py").write_text(text.replace("SECRET", SECRET))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ACCOUNT", SECRET)
        argv = [
            "investigate",
            "--confidential",
            "--horizon",
            "30d",
            "--watch-file",
            f"{SECRET}.log",
        ]
        main([*argv, "--output", "pages", "--", f"{SECRET}_work.py", SECRET])
    (written,) = (folder / "pages").glob("*.html")
    return written


def test_the_page_has_no_secret(page: Path) -> None:
    text = unescape(page.read_text())
    header, _ = unpacked(unescape(re.search(r'srcdoc="([^"]*)"', page.read_text())[1]))
    whole = f"{page.name}\n{text}\n{header!r}"
    secrets = (SECRET, str(page.parents[1]), "was raised", "ACCOUNT")
    assert [secret for secret in secrets if secret in whole] == []
    assert page.name.startswith("target-2")
    for told in ("task 1", "thread 1: ", "label 3", "figure 1", "30 days"):
        assert told in whole, told
    assert re.search(r"target file \d:", whole)  # the child's is told, too, where it was traced


def test_it_is_judged_as_the_open_one(page: Path) -> None:
    (folder,) = (page.parents[1] / "data" / "runs").glob("*/*/*")
    shown = Run(open_run(str(folder)))
    hidden = without_secrets(shown)
    names = ("verdict", "rate", "rate_low", "rate_high", "unit", "first", "last", "decides")
    figures = [
        [[repr(getattr(entry, name)) for name in names] for entry in run.verdict().resources]
        for run in (shown, hidden)
    ]
    assert figures[0] == figures[1]
    for table in ("labels", "origins", "suspects", "retention"):
        before, after = (getattr(run, table)().select_dtypes("number") for run in (shown, hidden))
        assert before.equals(after), table
    assert len(hidden.retention())
