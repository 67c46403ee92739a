"""A bucket works as a folder does: record into it, show, compare, list."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import LeaklabError
from leaklab.store import RunWriter, open_run

BUCKET = "s3://leaklab-store/runs"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    pytest.importorskip("s3fs")
    import fsspec

    server.start()
    host, port = server.get_host_and_port()
    # What an earlier test has put there outlives its server.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    # fsspec keeps instances for ever, also those of another test's server.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    fsspec.filesystem("s3").mkdir("leaklab-store")
    yield BUCKET
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_record_into_a_bucket_and_work_from_there(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("serve.py").write_text(
        "from leaklab import mark\nKEPT = []\n"
        "for number in range(30):\n    KEPT.append(bytearray(50_000))\n    mark()\n"
    )
    assert main(["record", "--passes", "measure", "--store", bucket, "--", "serve.py"]) == 0
    path = capsys.readouterr().out.strip()
    assert path.startswith(f"{bucket}/serve/default/")
    assert ll.open(path).meta["state"] == "complete"
    assert len(ll.open(path).data.samples)
    assert main(["show", "serve", "--store", bucket, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == path
    again = ll.record("serve.py", passes=("measure",), store=bucket, progress=print)
    assert again.reused and again.path == path
    anew = ll.record("serve.py", passes=("measure",), store=bucket, progress=print, fresh=True)
    assert not anew.reused
    assert set(ll.runs(bucket)["path"]) == {path, anew.path}
    assert not list(Path.cwd().glob("data/*"))
    with pytest.raises(LeaklabError, match="cannot write to the store: s3://nowhere"):
        RunWriter.create("s3://nowhere/runs", "x", None, {})


def marks_in(path: Path) -> int:
    """How many figures at marks a table that is being written has so far."""
    count = 0
    try:
        for batch in pa.ipc.open_stream(path.read_bytes()):
            count += len(batch["mark"].drop_null())
    except (pa.ArrowInvalid, OSError):
        pass  # its end is being written
    return count


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_run_of_a_killed_recorder_is_handed_in_by_the_next(
    bucket: str, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("serve.py").write_text(
        "import time\nfrom leaklab import mark\n"
        "for number in range(200):\n    time.sleep(0.02)\n    mark()\n"
    )
    recorder = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "leaklab",
            *f"record --passes measure --store {bucket} -- serve.py".split(),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not any(marks_in(path) for path in temporary.glob("*/samples.arrows")):
        assert time.monotonic() < deadline
        assert recorder.poll() is None
        time.sleep(0.02)
    recorder.kill()
    recorder.communicate()
    assert list(temporary.iterdir())
    Path("quick.py").write_text("print()")
    ll.record("quick.py", passes=("measure",), store=bucket)
    assert list(temporary.iterdir()) == []
    (path,) = {path for path in ll.runs(bucket)["path"] if "/serve/" in path}
    run = open_run(path)
    assert run.meta["state"] == "incomplete"
    assert run.samples["mark"].max() >= 1
