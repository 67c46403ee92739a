"""Origins of a recorded program: the lines that open what stays, beside its bytes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from recorded import record

from leaklab.report.confidential import without_secrets
from leaklab.results.run import Run

SOURCE = """
    import os, socket
    from leaklab import mark

    kept = []
    server = socket.create_server(("127.0.0.1", 0))

    def use_file():
        os.close(os.open(__file__, os.O_RDONLY))

    def keep_file():
        kept.append(open(__file__))

    def connect():
        kept.append(socket.create_connection(server.getsockname()))
        server.accept()[0].close()

    for _ in range(60):
        keep_file()
        use_file()
        connect()
        mark()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("origins")
    return Run(record(folder, SOURCE, passes=("measure", "explain")))


def test_each_line_that_opens_what_stays_is_named_with_its_rate(run: Run) -> None:
    found = run.origins().set_index("function")
    assert list(found.index) == ["keep_file", "connect"]
    assert found.loc["keep_file", "kind"] == "file" and found.loc["connect", "kind"] == "socket"
    assert (found["rate"] == 1).all() and (found["confidence"] == "high").all()
    assert (found["resource"] == "fd_count").all() and found["share"].sum() == pytest.approx(1)
    assert found.loc["keep_file", "subject"].endswith("target.py")
    assert found.loc["connect", "subject"].startswith("127.0.0.1:")
    assert "open(__file__)" in found.loc["keep_file", "source"]


def test_the_text_and_the_json_name_them_too(run: Run) -> None:
    line = run.origins()["line"].iloc[0]
    assert f"1. keep_file  target.py:{line}  1 file/iteration" in str(run)
    assert run.to_json()["origins"][0]["function"] == "keep_file"


def test_the_measure_pass_has_no_hook(run: Run) -> None:
    assert set(run.data.origins["pass"]) == {"explain"}


def test_a_confidential_page_shows_neither_paths_nor_peers(run: Run) -> None:
    redacted = without_secrets(run)
    found = redacted.origins()
    assert list(found["function"]) == ["keep_file", "connect"]
    assert found["subject"].isna().all() and found["source"].isna().all()
    assert "127.0.0.1" not in str(redacted) and "target.py" not in str(redacted)


SEGMENTS = """
    import os, sys
    from multiprocessing import resource_tracker
    from multiprocessing.shared_memory import SharedMemory
    from leaklab import mark

    resource_tracker.ensure_running()

    def put():
        segment = SharedMemory(create=True, size=1000)
        segment.close()
        if "unlinked" in sys.argv:
            segment.unlink()

    for _ in range(40):
        if "forked" in sys.argv and os.fork() == 0:
            put()
            os._exit(0)
        elif "forked" in sys.argv:
            os.wait()
        else:
            put()
        mark()
"""


# From 3.14 on a forked child has a tracker of its own, which removes them when the child ends.
FORKED = "bounded" if sys.version_info >= (3, 14) else "leak"


@pytest.mark.parametrize(
    ("how", "verdict"), [("", "leak"), ("forked", FORKED), ("unlinked", "bounded")]
)
def test_shared_memory_that_is_not_unlinked_counts(tmp_path: Path, how: str, verdict: str) -> None:
    passes = ("measure", "explain") if how == "" else ("measure",)
    run = Run(record(tmp_path, SEGMENTS, how, passes=passes))
    found = run.verdict().resource("shm_count")
    assert found is not None and found.verdict == verdict == run.verdict().verdict
    if verdict == "bounded":
        assert found.last == 0 or how == "forked"
        return
    assert found.rate == pytest.approx(1, rel=0.01)
    # The tracker of multiprocessing has removed them once the target had ended.
    assert re.search(r"released only when it ended, as every leak is: shm_count (3.|40)", str(run))
    if how == "":
        origins = run.origins().set_index("resource").loc["shm_count"]
        assert (origins["function"], origins["kind"], origins["how"]) == ("put", "segment", "made")
