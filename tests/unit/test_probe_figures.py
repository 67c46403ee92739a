"""What the probe tells of the process it is in, on each CPython."""

import json
import subprocess

import pytest
from interpreters import REPOSITORY, interpreter

SCENE = REPOSITORY / "tests" / "targets" / "task_counts.py"


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.12", "3.13", "3.14"])
def test_tasks_of_all_loops_are_counted_from_any_thread(version):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no CPython {version} on this machine")
    done = subprocess.run(
        [python, str(SCENE), str(REPOSITORY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "between two runs": 3,
        "in the loop": 4,  # and the one that counts
        "in another thread": 4,
        "with a loop in another thread": 3 + 4 + 1,
        "when all are done": 0,
    }
