"""One table over all runs of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import LeaklabError
from leaklab.recordings.locating import locate
from leaklab.results import overview
from leaklab.results.run import Run
from leaklab.store import RunData, RunWriter, open_run


def write(store: str | Path, data: RunData, variant: str) -> str:
    keep = ("processes", "passes", "run_id")
    meta = {key: value for key, value in data.meta.items() if key in keep[:2]}
    writer = RunWriter.create(store, "thing", variant, meta)
    for name in ("samples", "snapshots", "heap", "stacks", "frames"):
        table = data.arrow(name)
        if table.num_rows:
            writer.append(name, table.to_pydict())
    writer.close()
    return writer.path


def test_one_row_per_run_and_resource(tmp_path: Path) -> None:
    leaking = synthetic.run(rss=synthetic.leak(200, 20_000), fd_count=synthetic.leak(200, 1))
    write(tmp_path, leaking, "before")
    write(tmp_path, synthetic.run(rss=synthetic.leak(200, 0)), "after")
    RunWriter.create(tmp_path, "thing", "broken", {}).close()
    damaged = tmp_path / "thing" / "damaged" / "x"
    damaged.mkdir(parents=True)
    (damaged / "run.json").write_text("{")
    linked = tmp_path / "thing" / "linked"
    linked.symlink_to(Path(write(tmp_path / "elsewhere", leaking, "linked")).parent)
    with pytest.warns(UserWarning, match="without a verdict: damaged run: .*/damaged/x"):
        table = ll.runs(tmp_path)
    rss = table[table["resource"] == "rss_bytes"].set_index("variant")
    assert rss.loc["before", "verdict"] == "leak"
    assert rss.loc["before", "rate"] == pytest.approx(20_000, rel=0.01)
    assert rss.loc["after", "verdict"] == "bounded"
    assert rss.loc["linked", "verdict"] == "leak"
    assert set(table["run_verdict"]) >= {"leak", "bounded"}
    unread = table[table["error"].notna()].iloc[0]
    assert unread["run"] == "x" and unread["error"].startswith("damaged run: ")
    latest, errors = overview.last_verdicts(tmp_path)
    assert latest["thing", "before"] == "leak"
    assert errors == [unread["error"]]


def test_a_run_that_cannot_be_judged_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, synthetic.run(rss=synthetic.leak(200, 20_000)), "before")
    odd = write(tmp_path, synthetic.run(rss=synthetic.leak(200, 0)), "odd")
    judge = Run.verdict

    def verdict(run: Run) -> object:
        if run.meta["variant"] == "odd":
            raise FloatingPointError("no infs\nhere")
        return judge(run)

    monkeypatch.setattr(Run, "verdict", verdict)
    said = f"run that cannot be judged: {odd}; FloatingPointError: no infs here"
    with pytest.warns(UserWarning, match="without a verdict: run that cannot be judged"):
        table = ll.runs(tmp_path)
    assert table.set_index("variant")["error"].dropna().to_dict() == {"odd": said}
    assert "leak" in set(table["run_verdict"])
    with pytest.warns(UserWarning, match="without a verdict"):
        ll.scoreboard(store=str(tmp_path))
    assert main(["cases", "--store", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"leaklab: {said}\n"
    pages = tmp_path / "pages"
    names = ["thing/odd", "thing/before"]
    assert main(["report", *names, "--store", str(tmp_path), "--output", str(pages)]) == 1
    assert capsys.readouterr().err == f"leaklab: {said}\n"
    assert [page.name.split("-")[1] for page in pages.iterdir()] == ["before"]


def test_one_row_per_run_and_suspect(tmp_path: Path) -> None:
    sites = {"keep": synthetic.leak(200, 20_000), "lib.py:parse<load": synthetic.leak(200, 10_000)}
    path = write(tmp_path, synthetic.run(sites=sites), "before")
    write(tmp_path, synthetic.run(rss=synthetic.leak(200, 0)), "after")
    table = ll.suspects(tmp_path)
    assert list(table["function"][:2]) == ["keep", "load"]
    assert list(table["rate"][:2]) == pytest.approx([20_000, 10_000], rel=0.01)
    assert set(table["variant"]) == {"before"}
    assert (Path(path) / "suspects.json").is_file()
    assert ll.suspects(tmp_path).equals(table)
    assert "retained_by" in ll.suspects(tmp_path / "nothing")


def test_a_verdict_is_worked_out_once_and_again_by_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, synthetic.run(rss=synthetic.leak(200, 0)), "after")
    ll.runs(tmp_path)
    kept = Path(path) / "verdict.json"
    summary = json.loads(kept.read_text())
    kept.write_text(json.dumps({**summary, "verdict": "kept"}))
    assert set(ll.runs(tmp_path)["run_verdict"]) == {"kept"}
    monkeypatch.setattr(overview, "_method", lambda: "another")
    assert set(ll.runs(tmp_path)["run_verdict"]) == {"bounded"}
    assert open_run(path).meta["state"] == "complete"


def test_a_store_is_no_pattern(tmp_path: Path) -> None:
    store = tmp_path / "runs [prod] #1?*"
    path = write(store, synthetic.run(rss=synthetic.leak(200, 0)), "after")
    assert set(ll.runs(store)["path"]) == {path}
    assert locate("thing/after", str(store)) == path
    assert locate(Path(path).name, str(store)) == path
    with pytest.raises(LeaklabError, match=r"no such run: th\*"):
        locate("th*", str(store))


def test_an_empty_store_is_an_empty_table(tmp_path: Path) -> None:
    assert list(ll.runs(tmp_path / "nothing").columns) == list(overview.COLUMNS)


def test_runs_compare_and_show_themselves() -> None:
    before = Run(synthetic.run(rss=synthetic.leak(200, 20_000)))
    bundle = before._repr_mimebundle_()
    assert bundle["application/vnd.leaklab.verdict+json"]["verdict"] == "leak"
    assert "rss_bytes" in bundle["text/html"] and "leak" in bundle["text/plain"]


def test_the_run_before_the_newest_has_a_name(tmp_path: Path) -> None:
    from leaklab.recordings.locating import locate

    for day in (1, 2, 3):
        folder = tmp_path / "day" / "default" / f"2026010{day}T000000Z-aaaa"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    store = str(tmp_path)
    newest, before, oldest = (locate(f"day{back}", store) for back in ("", "@-1", "@-2"))
    assert "20260103" in newest
    assert "20260102" in before
    assert "20260101" in oldest
    with pytest.raises(LeaklabError, match="no such run: day@-3; of day there are 3 runs in"):
        locate("day@-3", store)


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    path = write(tmp_path, synthetic.run(rss=synthetic.leak(200, 0)), "after")
    with pytest.raises(ll.UsageError, match="the same run twice"):
        ll.compare(path, path)
    assert "\n" not in repr(ll.compare(path, write(tmp_path, synthetic.run(), "after")))
