"""The store: what is written is read back, whatever cuts the writing short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from leaklab.cli import main
from leaklab.errors import LeaklabError
from leaklab.recordings.locating import find_recording, locate
from leaklab.store import RunData, RunWriter, open_run
from leaklab.store import writer as writer_module
from leaklab.store.location import filesystem, local_path, reports_folder, safe_name
from leaklab.store.schema import SCHEMA_VERSION, TABLES


def rows(count: int, start: int = 0) -> dict[str, list[object]]:
    return {
        "pass": ["measure"] * count,
        "process": [0] * count,
        "time_seconds": [float(start + i) for i in range(count)],
        "mark": [None if i % 2 else start + i for i in range(count)],
        "name": ["rss_bytes"] * count,
        "value": [1e6 + i for i in range(count)],
    }


def test_round_trip(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, "my/script .py", "before", {"fingerprint": "abc"})
    writer.append("samples", rows(10))
    writer.append("stacks", {"stack_id": [1], "allocator": ["malloc"], "frame_ids": [[3, 2, 1]]})
    writer.event("limit", "stopped", time_seconds=1.5, process=0)
    writer.update(fingerprint="abd")
    writer.close()
    run = open_run(writer.path)
    assert run.meta["state"] == "complete"
    assert run.meta["fingerprint"] == "abd"
    assert run.meta["events"][0]["text"] == "stopped"
    assert len(run.samples) == 10
    assert run.samples["mark"].isna().sum() == 5
    assert run.samples["quiescent"].isna().all()
    assert list(run.stacks["frame_ids"][0]) == [3, 2, 1]
    assert list(run.heap.columns) == TABLES["heap"].names and run.heap.empty
    folder = Path(writer.path)
    assert folder.parent == tmp_path / "my-script-.py" / "before"
    assert sorted(p.name for p in folder.iterdir()) == [
        "run.json",
        "samples.parquet",
        "stacks.parquet",
    ]


def test_a_frame_that_is_changed_does_not_change_the_run(tmp_path: Path) -> None:
    run = RunData.from_tables({}, samples=pd.DataFrame({"name": ["rss_bytes"], "value": [1.0]}))
    frame = run.samples
    frame["value"] = 2.0
    assert run.samples["value"][0] == 1.0


def test_in_memory_tables_have_the_types_of_recorded_ones(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, "x", None, {})
    writer.append("samples", rows(4))
    writer.close()
    recorded = open_run(writer.path)
    built = RunData.from_tables({}, samples=pd.DataFrame(rows(4)))
    pd.testing.assert_frame_equal(recorded.samples, built.samples)


@pytest.mark.parametrize("bad", [{"nope": [1]}, {"process": [1, 2], "name": ["a"]}])
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, bad: dict[str, list[object]]) -> None:
    writer = RunWriter.create(tmp_path, "x", None, {})
    with pytest.raises(LeaklabError, match="do not fit table samples"):
        writer.append("samples", bad)
    writer.close()


def test_killed_writer_leaves_its_last_whole_batch(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal\n"
        "from leaklab.store import RunWriter\n"
        "w = RunWriter.create(sys.argv[1], 'x', 'before', {})\n"
        "for i in range(10):\n"
        "    w.append('samples', {'name': ['n'] * 100, 'value': [1.0] * 100})\n"
        "    w.flush()\n"
        "w.append('samples', {'name': ['lost']})\n"
        "print(w.path, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    folder = Path(done.stdout.strip())
    assert len(open_run(str(folder)).samples) == 1000
    assert open_run(str(folder)).meta["state"] == "incomplete"
    stream = folder / "samples.arrows"
    os.truncate(stream, stream.stat().st_size - 7)
    assert len(open_run(str(folder)).samples) == 900
    os.truncate(stream, 3)
    assert open_run(str(folder)).samples.empty


@pytest.mark.parametrize("state", [None, "incomplete", "complete"])
def test_a_run_that_nobody_closed_has_the_marks_that_are_stored(
    tmp_path: Path, state: str | None
) -> None:
    processes = [{"process": number, "mark_count": count} for number, count in enumerate((0, 9, 0))]
    writer = RunWriter.create(tmp_path, "x", None, {"processes": processes})
    marks = {"process": [0, 0, 1, 2], "mark": [3, 7, 5, None], "value": [1.0] * 4}
    writer.append("samples", {**marks, "name": ["rss_bytes"] * 4})
    # A process that is traced while it runs has a number of its own for its heap.
    writer.update(processes=[*processes, {"process": 3, "mark_count": 0}])
    writer.append("snapshots", {"process": [3, 3], "mark": [2, 6]})
    writer.flush()
    if state is not None:
        writer.close(state)
    told = [entry["mark_count"] for entry in open_run(writer.path).meta["processes"]]
    assert told == ([0, 9, 0, 0] if state == "complete" else [7, 9, 0, 6])
    writer.close()


def test_full_disk_cuts_the_half_written_batch_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    writer = RunWriter.create(tmp_path, "x", None, {})
    writer.append("samples", rows(100))
    writer.flush()
    size = (Path(writer.path) / "samples.arrows").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        writer.append("samples", rows(100))
        with pytest.raises(LeaklabError, match="store is full"):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(open_run(writer.path).samples) == 100
    writer.close("incomplete")  # space is back: what was pending is written after all
    assert len(open_run(writer.path).samples) == 200


def test_no_room_to_compact_keeps_the_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer_module, "_to_parquet", full)
    writer = RunWriter.create(tmp_path, "x", None, {})
    writer.append("samples", rows(10))
    writer.close()
    run = open_run(writer.path)
    assert len(run.samples) == 10
    assert run.meta["state"] == "complete"
    assert "No space left" in run.meta["events"][0]["text"]


def test_unwritable_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LeaklabError, match="cannot write to the store"):
        RunWriter.create(tmp_path / "file", "x", None, {})


def test_runs_are_never_overwritten(tmp_path: Path) -> None:
    first = RunWriter.create(tmp_path, "x", "v", {"run_id": "same"})
    second = RunWriter.create(tmp_path, "x", "v", {"run_id": "same"})
    assert first.path != second.path
    assert second.meta["run_id"] != "same"


def test_foreign_damaged_and_newer_folders(tmp_path: Path) -> None:
    with pytest.raises(LeaklabError, match="not a run"):
        open_run(str(tmp_path))
    with pytest.raises(LeaklabError, match="not a run"):
        open_run(str(tmp_path / "absent"))
    run_json = tmp_path / "run.json"
    run_json.write_text("{")
    with pytest.raises(LeaklabError, match="damaged run"):
        open_run(str(tmp_path))
    run_json.write_text('{"name": "package"}')
    with pytest.raises(LeaklabError, match="not written by leaklab"):
        open_run(str(tmp_path))
    run_json.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(LeaklabError, match="newer leaklab"):
        open_run(str(tmp_path))


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, "x", None, {})
    writer.append("samples", rows(10))
    writer.close()
    parquet = Path(writer.path) / "samples.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-20])
    with pytest.raises(LeaklabError, match=r"damaged run.*samples\.parquet"):
        _ = open_run(writer.path).samples
    parquet.unlink()
    with pytest.raises(LeaklabError, match=r"samples\.parquet is missing"):
        _ = open_run(writer.path).samples


def test_a_store_that_is_a_url() -> None:
    import fsspec

    writer = RunWriter.create("memory://store", "x", "before", {})
    assert open_run(writer.path).meta["state"] == "incomplete"
    writer.append("samples", rows(10))
    writer.close()
    assert len(open_run(writer.path).samples) == 10
    fsspec.filesystem("memory").rm("/store", recursive=True)


SCHEMES = ("file://", "local://", "file:", "file://localhost")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_url_of_this_machine_is_its_path(
    tmp_path: Path, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "my runs"
    writer = RunWriter.create(f"{scheme}{tmp_path}/my%20runs", "x", "before", {})
    writer.close()
    assert Path(writer.path).parents[2] == store
    for path in (writer.path, writer.path.replace(" ", "%20"), f"{store}/x", f"{store}/x@-0"):
        assert locate(f"{scheme}{path}") == writer.path
    for url in (f"{scheme}{store}", f"{scheme}{tmp_path}/my%20runs"):
        assert locate("x/before", url) == writer.path
        assert find_recording(url, "x", "before") == f"{url}/x/before/{Path(writer.path).name}"
        assert open_run(f"{url}/x/before/{Path(writer.path).name}").meta["name"] == "x"
        assert reports_folder(url) == tmp_path / "my runs-reports"
    assert main(["show", f"{scheme}{writer.path}"]) == 0
    assert str(store) in capsys.readouterr().out


def test_a_percent_sign_that_is_in_a_name_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "a%20b"
    assert local_path(f"file://{folder}") == str(tmp_path / "a b")
    folder.mkdir()
    assert local_path(f"file://{folder}") == str(folder)
    assert filesystem(str(folder))[1] == str(folder)
    assert local_path("s3://bucket/a%20b") == "s3://bucket/a%20b"
    assert local_path("file:x") == "file:x"  # a name


def test_a_file_is_read_by_its_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my figures.csv"
    path.write_text("time,rss_mb\n" + "".join(f"{n},50\n" for n in range(20)))
    url = f"file://{tmp_path}/my%20figures.csv"
    for command in (["show", url], ["import", url, "--store", str(tmp_path / "store")]):
        assert main(command) == 0
        assert "20 rows" in capsys.readouterr().err


def test_large_tables_are_compacted_in_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "ROW_GROUP_ROW_COUNT", 1000)
    monkeypatch.setattr(writer_module, "FLUSH_ROW_COUNT", 300)
    writer = RunWriter.create(tmp_path, "x", None, {})
    for start in range(0, 5000, 100):
        writer.append("samples", rows(100, start))
    writer.close()
    assert len(open_run(writer.path).samples) == 5000


def test_pages_lie_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAKLAB_STORE", raising=False)
    assert reports_folder() == tmp_path / "data" / "reports"
    assert reports_folder("s3://bucket/runs") == tmp_path / "data" / "reports"
    assert reports_folder("out/runs") == Path("out/reports")
    assert reports_folder("/srv/soak") == Path("/srv/soak-reports")
    monkeypatch.setenv("LEAKLAB_STORE", "elsewhere")
    assert reports_folder() == Path("elsewhere-reports")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("serve.py_1-2", "serve.py_1-2"),
        ("a b/c:d", "a-b-c-d"),
        ("../..", "unnamed"),
        ("日本", "日本"),
        ("fi\u0308le u\u0308", "f\u00efle-\u00fc"),
        ("bad\udcff\x1b[2J\u202ename", "bad-2J-name"),
        ("x" * 100, "x" * 80),
    ],
)
def test_names_are_safe_and_tell_scripts_apart(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_a_name_is_no_longer_than_a_file_system_takes(tmp_path: Path) -> None:
    name = safe_name("\U00020bb7" * 100)
    assert len(name) == 50
    (tmp_path / f"{name}.html").touch()


def test_a_path_is_shown_without_detours_and_with_its_links(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    detour = f"{tmp_path}/project/../runs"
    assert filesystem(detour)[1] == f"{tmp_path}/runs"
    assert filesystem(f"{tmp_path}/link/runs")[1] == f"{tmp_path}/link/runs"
    # Behind a link the way back leads to another folder.
    behind = f"{tmp_path}/link/../runs"
    assert filesystem(behind)[1] == behind
    writer = RunWriter.create(detour, "x", None, {})
    assert writer.path.startswith(f"{tmp_path}/runs/x/")
    writer.close()
