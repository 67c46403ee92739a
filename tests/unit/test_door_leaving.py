"""What the door leaves behind: nothing at a normal end, and after a kill until the next start."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leaklab.door import folder as store
from leaklab.door.asgi import LeakDoor
from leaklab.door.keeper import Keeper
from leaklab.door.leaving import leave, sweep


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def unnamed(place: Path, name: str) -> Path:
    made = place / f"{store.unnamed_prefix()}{name}"
    store.make(made)
    return made


def test_a_program_that_ends_leaves_nothing_and_its_children_leave_it_alone(tmp_path: Path) -> None:
    program = (
        "import os, sys, leaklab.door\n"
        "(own,) = leaklab.door.open().folder.glob(f'worker-{os.getpid()}-*.json')\n"
        "for opens in (False, True):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        if opens: leaklab.door.open(str(own.parent))\n"
        "        sys.exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    assert [*own.parent.iterdir()] == [own], [*own.parent.iterdir()]\n"
        "print(own)\n"
    )
    done = subprocess.run(
        # From Python 3.12 on a fork beside threads, the door's too, is warned of.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith(f"{tmp_path}/{store.unnamed_prefix()}")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_shuts_down_leaves_nothing(place: Path) -> None:
    seen = []

    async def service(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            seen.append(len(list(place.glob("*/worker-*.json"))))

    async def send(message: Any) -> None:
        raise AssertionError(message)

    door = LeakDoor(service, loopback=True)
    for _ in range(2):  # it may start again in the same process
        messages = iter(["startup", "shutdown"])

        async def receive(messages: Any = messages) -> dict[str, str]:
            return {"type": f"lifespan.{next(messages)}"}

        asyncio.run(door({"type": "lifespan"}, receive, send))
        assert list(place.iterdir()) == []
    assert seen == [1, 1]


LEFT = ("worker-{pid}-{tag}.json", "graph-{pid}-{tag}.last", ".graph-{pid}-{tag}.json.7")


def test_the_last_worker_removes_a_folder_that_nobody_has_named(place: Path) -> None:
    named = place / "named"
    store.make(named)
    for folder in (named, unnamed(place, "a")):
        tag = store.place_tag()
        for pid in (101, 102):
            for name in LEFT:
                (folder / name.format(pid=pid, tag=tag)).touch()
            # In another container one has the same number.
            (folder / f"worker-{pid}-another.json").touch()
        assert store.begin_look(folder, 101)
        leave(folder, 101)
        others = {"worker-101-another.json", "worker-102-another.json"}
        theirs = {name.format(pid=102, tag=tag) for name in LEFT}
        assert {path.name for path in folder.iterdir()} == others | theirs
        leave(folder, 102)
        assert {path.name for path in folder.iterdir()} == others
        for name in others:
            (folder / name).unlink()
        leave(folder, 102)
    assert list(place.iterdir()) == [named]


def test_a_folder_that_was_removed_is_made_again(place: Path) -> None:
    keeper = Keeper(unnamed(place, "a"), figure_seconds=100)
    shutil.rmtree(keeper.folder)
    keeper.figures()
    assert store.left_file(keeper.folder, "worker", keeper.pid).exists()
    assert keeper.folder.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(keeper.folder)
    (place / "elsewhere").mkdir(mode=0o777)
    keeper.folder.symlink_to(place / "elsewhere")
    keeper.figures()  # nothing of it goes where others may read it
    assert list((place / "elsewhere").iterdir()) == []
    keeper.close()


def ended() -> dict[str, Any]:
    """What a worker has left that was killed."""
    with subprocess.Popen(["sleep", "100"]) as process:
        ticks = store.started_ticks(process.pid)
        process.kill()
    return {"pid": process.pid, "started_ticks": ticks, "place": store.place()}


def living() -> dict[str, Any]:
    return {**ended(), "pid": os.getpid(), "started_ticks": store.started_ticks(os.getpid())}


STAYS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "a living worker": lambda: [ended(), living()],
    "a worker of another container, or machine": lambda: [{**ended(), "place": "elsewhere"}],
    "a worker of an older door": lambda: [{**ended(), "place": None}],
    "nothing that can be read": lambda: [{}],
}


@pytest.mark.parametrize("left", STAYS.values(), ids=STAYS)
def test_only_what_is_sure_is_swept(place: Path, left: Callable[[], list[dict[str, Any]]]) -> None:
    folder = unnamed(place, "before")
    for number, worker in enumerate(left()):
        path = store.left_file(folder, "worker", worker.get("pid", number))
        path.write_text(json.dumps(worker))
    before = set(folder.iterdir())
    sweep(unnamed(place, "now"))
    assert set(folder.iterdir()) == before


def test_folders_of_killed_services_are_swept_and_nothing_else(place: Path) -> None:
    now = unnamed(place, "now")
    gone = ended()
    pid = gone["pid"]
    for name in ("killed", "with more", "open"):
        store.write(store.left_file(unnamed(place, name), "worker", pid), gone)
        store.left_file(unnamed(place, name), "dump", pid, "graph").touch()
        (unnamed(place, name) / "look.lock").touch()
    (unnamed(place, "with more") / "notes").touch()
    (unnamed(place, "empty"))
    others = unnamed(place, "open")
    others.chmod(0o755)
    elsewhere = place / "elsewhere"
    store.make(elsewhere)
    store.write(store.left_file(elsewhere, "worker", pid), gone)
    link = place / f"{store.unnamed_prefix()}link"
    link.symlink_to(elsewhere)
    sweep(elsewhere)  # beside a folder that somebody has named nothing is looked for
    assert unnamed(place, "killed").exists()
    busy = unnamed(place, "busy")
    with store.alone(busy):  # where a look is just being asked for
        sweep(now)
    assert {path.name.removeprefix(store.unnamed_prefix()) for path in place.iterdir()} == {
        "now", "busy", "with more", "open", "link", "elsewhere",
    }  # fmt: skip
    assert [path.name for path in unnamed(place, "with more").iterdir()] == ["notes"]
    assert len(list(others.iterdir())) == 3
    assert list(elsewhere.iterdir()) != []
