"""Notebooks as jobs, through papermill and a real kernel."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import nbformat
import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs import NotebookResult, run_notebook
from leaklab.jobs.notebook import VERDICT_MIME
from leaklab.recorder.fingerprint import recorded_from

PARAMETERS = "count: int = 3  # how many [1..10]\nfail: bool = False  # raise in the middle"
SHOW = f"""
from IPython.display import display
display({{"{VERDICT_MIME}": {{"run": f"r{{count}}", "verdict": "leak", "as_expected": True}},
         "text/plain": "shown"}}, raw=True)
"""


def write(folder: Path, *cells: str, name: str = "job") -> Path:
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
    )
    notebook.cells = [nbformat.v4.new_markdown_cell("# A job")]
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook.cells[1].metadata["tags"] = ["parameters"]
    path = folder / f"{name}.ipynb"
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


def outputs_of(result: NotebookResult) -> str:
    with fsspec.open(result.executed, "r") as file:
        return str(json.dumps(json.load(file)["cells"]))


def test_a_job_leaves_notebook_page_and_verdict_and_is_not_done_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    says = "import os, sys\nprint(os.environ['LEAKLAB_STORE'])\nprint('half', file=sys.stderr)"
    says += "\nprint('\\rdemo: 2 s', end='')"
    path = write(tmp_path, PARAMETERS, SHOW, says)
    said: list[str] = []

    result = run_notebook(
        path,
        {"count": "7"},
        output_dir=tmp_path / "out",
        store=str(tmp_path / "store"),
        progress=said.append,
    )

    record = json.loads(Path(result.verdict_file).read_text())
    assert (result.state, record["state"], record["verdict"]) == ("done", "done", "leak")
    assert record["parameters"] == {"count": 7}
    assert [run["run"] for run in result.runs] == ["r7"]
    assert str(tmp_path / "store") in outputs_of(result)
    assert "leaklab-job-" not in Path(result.executed).read_text()
    assert "<html" in Path(result.html).read_text()
    assert sorted(said) == ["demo: 2 s", "half"]
    assert result.exit_status() == 0
    assert result.exit_status(("leak",)) == 3
    assert result.exit_status(("inconclusive", "unexpected")) == 0
    assert "LEAKLAB_STORE" not in os.environ
    # Its shutdown begins with an interrupt, which is nobody's business.
    assert "KeyboardInterrupt" not in capfd.readouterr().err

    written = Path(result.verdict_file).stat().st_mtime_ns
    again = run_notebook(path, {"count": 7}, output_dir=tmp_path / "out", resume=True)
    assert (again.state, again.runs) == ("kept", result.runs)
    assert Path(result.verdict_file).stat().st_mtime_ns == written


@pytest.mark.parametrize("setting", ["mine", None])
def test_a_notebook_records_into_the_store_of_who_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAKLAB_STORE", raising=False)
    if setting:
        monkeypatch.setenv("LEAKLAB_STORE", setting)
    says = "from leaklab.store import default_store\nprint(f'store: {default_store()};')"
    path = write(tmp_path / "notebooks", PARAMETERS, says)
    result = run_notebook(path.relative_to(tmp_path), output_dir="out")
    assert f"store: {tmp_path / (setting or 'data/runs')};" in outputs_of(result)


def test_a_job_is_done_again_when_what_it_was_made_of_has_changed(tmp_path: Path) -> None:
    target, given = tmp_path / "work" / "tiny.py", tmp_path / "given.csv"
    target.parent.mkdir()
    target.write_text("KEPT = 3\n")
    given.write_text("1\n")
    code = recorded_from([str(target)], None, tmp_path)
    show = (
        "from IPython.display import display\n"
        f"display({{{VERDICT_MIME!r}: {{'run': 'r', 'recorded_from': {code!r}}}}}, raw=True)"
    )
    path = write(tmp_path, 'file: str = "given.csv"  # figures', show)

    def state(**edited: Path) -> str:
        for file in edited.values():
            file.write_text(f"{file.read_text()}\n")
        return run_notebook(path, output_dir=tmp_path / "out", resume=True).state

    assert [state(), state()] == ["done", "kept"]
    assert [state(file=given), state()] == ["done", "kept"]
    assert state(file=target) == "done"


def test_a_failed_notebook_is_rendered_up_to_its_error(tmp_path: Path) -> None:
    fails = "if fail:\n    raise OSError('no <room>')"
    path = write(tmp_path, PARAMETERS, "print('before it')", fails, "print('never here')")

    result = run_notebook(path, {"fail": True}, output_dir=tmp_path / "out")

    assert (result.state, result.error) == ("failed", "OSError: no <room>")
    assert result.exit_status(("leak",)) == 1
    page = Path(result.html).read_text()
    assert "before it" in page
    assert "no &lt;room&gt;" in page
    assert "no <room>" not in page
    assert json.loads(Path(result.verdict_file).read_text())["error"] == "OSError: no <room>"
    # A failed job is not "done": resuming runs it again, now with what it needs.
    assert run_notebook(path, output_dir=tmp_path / "out", resume=True).state == "done"


def test_a_kernel_that_dies_is_an_error_in_the_page(tmp_path: Path) -> None:
    path = write(tmp_path, PARAMETERS, "print('alive')", "import os\nos._exit(9)")

    result = run_notebook(path, output_dir="memory://leaklab-jobs")

    assert result.state == "failed"
    assert "DeadKernelError" in str(result.error)
    assert "alive" in outputs_of(result)
    with fsspec.open(result.html, "r") as file:
        assert "DeadKernelError" in file.read()


def test_results_go_to_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    started = server.ThreadedMotoServer(port=0, verbose=False)
    started.start()
    try:
        host, port = started.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        fsspec.filesystem("s3").mkdir("leaklab-test")
        path = write(tmp_path, PARAMETERS, SHOW)

        result = run_notebook(path, output_dir="s3://leaklab-test/reports")

        assert result.state == "done"
        with fsspec.open("s3://leaklab-test/reports/job/verdict.json", "r") as file:
            assert json.load(file)["verdict"] == "leak"
        again = run_notebook(path, output_dir="s3://leaklab-test/reports", resume=True)
        assert again.state == "kept"
    finally:
        started.stop()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"cuont": 1}, "job has no parameter: cuont"), ({"count": "many"}, "parameter count: 'many'")],
)
def test_wrong_parameters_start_nothing(
    tmp_path: Path, given: dict[str, object], message: str
) -> None:
    path = write(tmp_path, PARAMETERS, "open('started', 'w')")
    with pytest.raises(UsageError, match=message):
        run_notebook(path, given, output_dir=tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["job.ipynb"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such notebook"), ("", "cannot read as a notebook"), ("[]", "no notebook")],
)
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LeaklabError, match=message):
        run_notebook(path, output_dir=tmp_path / "out")


def test_an_output_that_cannot_be_written_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, PARAMETERS, "open('started', 'w')")
    (tmp_path / "out").write_text("a file, no folder")
    with pytest.raises(LeaklabError, match=r"cannot write to: .*choose another --output"):
        run_notebook(path, output_dir=tmp_path / "out")
    assert not (tmp_path / "started").exists()


SHOW_STATE = f"""
from pathlib import Path
from IPython.display import display
verdict = Path("state.txt").read_text()
display({{"{VERDICT_MIME}": {{"run": f"r-{{verdict}}", "name": "x", "verdict": verdict}},
         "text/plain": "shown"}}, raw=True)
"""


def test_a_job_keeps_the_last_output_and_says_what_changed(tmp_path: Path) -> None:
    path = write(tmp_path, PARAMETERS, SHOW_STATE)
    state, out = tmp_path / "state.txt", tmp_path / "out"
    state.write_text("bounded")
    first = run_notebook(path, {}, output_dir=out)
    assert first.changed == []
    assert json.loads(Path(first.verdict_file).read_text())["since"] is None

    state.write_text("leak")
    second = run_notebook(path, {}, output_dir=out)

    (entry,) = second.changed
    assert (entry["name"], entry["outcome"]) == ("x", "worse")
    assert entry["reason"] == "bounded before, leak now"
    record = json.loads(Path(second.verdict_file).read_text())
    assert record["changed"] == second.changed
    kept = list((out / "job" / "earlier").glob("*/verdict.json"))
    assert [json.loads(file.read_text())["started"] for file in kept] == [record["since"]]
    assert (kept[0].parent / "job.html").exists()
    assert "worse" in Path(second.html).read_text()
    assert second.exit_status(("worse",)) == 3
    assert second.exit_status(("inconclusive",)) == 0


def test_papermill_with_this_engine_is_as_strict(tmp_path: Path) -> None:
    import papermill

    path = write(tmp_path, PARAMETERS, SHOW)
    given = {"engine_name": "leaklab", "progress_bar": False}
    out = tmp_path / "out.ipynb"
    with pytest.raises(UsageError, match=r"count: 70; allowed is int in 1\.\.10"):
        papermill.execute_notebook(path, out, parameters={"count": 70}, **given)
    with pytest.raises(UsageError, match="job has no parameter: cuont; its parameters are"):
        papermill.execute_notebook(path, out, parameters={"cuont": 7}, **given)
    papermill.execute_notebook(path, out, parameters={"count": 7}, **given)
    command = [sys.executable, "-m", "papermill", "--engine", "leaklab", "--no-progress-bar"]
    done = subprocess.run(
        [*command, "-p", "count", "70", str(path), str(tmp_path / "refused.ipynb")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    *_, said = done.stderr.splitlines()
    assert said == "leaklab: parameter count: 70; allowed is int in 1..10"
    assert "Traceback" not in done.stderr
    noted = json.loads(out.read_text())["metadata"]["leaklab"]
    assert noted["verdict"] == "leak"
    assert [run["run"] for run in noted["runs"]] == ["r7"]


def test_the_last_jobs_found_what_the_strip_shows(tmp_path: Path) -> None:
    from leaklab.jobs import earlier

    root = tmp_path / "day"
    found = [("2026-01-01T00:00:00Z", "bounded", "done"), ("2026-01-02T00:00:00Z", "leak", "done"),
             ("2026-01-03T00:00:00Z", None, "failed")]  # fmt: skip
    for started, verdict, state in found:
        folder = root if state == "failed" else root / "earlier" / started.replace(":", "")
        folder.mkdir(parents=True, exist_ok=True)
        record = {"started": started, "verdict": verdict, "state": state}
        (folder / "verdict.json").write_text(json.dumps(record))
    shown = earlier.trend(fsspec.filesystem("file"), str(root))
    assert [(job["started"], job["verdict"]) for job in shown] == [
        (started, verdict or state) for started, verdict, state in found
    ]
    assert len(earlier.trend(fsspec.filesystem("file"), str(root), limit=2)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_job_that_is_asked_to_end_leaves_no_target_behind(tmp_path: Path, number: int) -> None:
    (tmp_path / "target.py").write_text(
        "import time\nheld = open('alive', 'w')\nheld.write('begun')\nheld.flush()\n"
        "while True: time.sleep(1)\n"
    )
    os.mkfifo(tmp_path / "alive")
    path = write(tmp_path, PARAMETERS, "import leaklab\nleaklab.record('target.py', fresh=True)")
    # A pipe that nobody writes to is ready to be read: at its end.
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    command = [sys.executable, "-m", "leaklab", "run", str(path), "--store", "runs"]
    job = subprocess.Popen(
        [*command, "--output", "out"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert select.select([alive], [], [], 60)[0]
        assert os.read(alive, 100) == b"begun"
        job.send_signal(number)
        said = job.communicate(timeout=60)[1]
        assert select.select([alive], [], [], 60)[0]
        assert os.read(alive, 100) == b""
    finally:
        os.close(alive)
        job.kill()
        job.wait()
    assert job.returncode == 128 + number
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"leaklab: interrupted by {signal.Signals(number).name}"
    (run,) = (tmp_path / "runs").glob("*/*/*/run.json")
    assert json.loads(run.read_text())["state"] == "interrupted"
