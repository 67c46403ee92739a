"""What the probe tells of the process it is in, on each CPython."""

import json
import subprocess

from interpreters import REPOSITORY, every_version, interpreter_or_skip

SCENE = REPOSITORY / "tests" / "targets" / "task_counts.py"


@every_version
def test_tasks_of_all_loops_are_counted_from_any_thread(version):
    python = interpreter_or_skip(version)
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
