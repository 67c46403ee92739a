"""Tasks are called as the user calls them: by their own names, or what of them is the target's."""

import json
import subprocess
import sys
from pathlib import Path

from interpreters import REPOSITORY

from leaklab.object_graph.file import read_dump
from leaklab.object_graph.paths import root_text
from leaklab.recorder.graph import wait_dump


def test_names_of_tasks(tmp_path: Path) -> None:
    dump = tmp_path / "graph.dump"
    scene = REPOSITORY / "tests" / "targets" / "task_names.py"
    done = subprocess.run(
        [sys.executable, str(scene), str(REPOSITORY), str(dump)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    wait_dump(dump, json.loads(done.stdout)["pid"], 30)
    roots = read_dump(dump).roots
    names = sorted(root_text(root) for root in roots if root.kind == "task")
    # anyio names its tasks by what they run; a library's coroutine is not what anybody looks for.
    assert {"task main()", "task poller-#", "task serve()", "task mailer"} <= set(names)
    assert "task wait_on()" in names
    assert not any("TaskHandle" in name or "in_library" in name for name in names), names
