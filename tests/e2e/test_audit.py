"""A small service audited with a recording of it: every state, and the ways a run is refused."""

import json
import re

import pytest

import leaklab as ll
from leaklab.cli import main
from leaklab.report.run_page import render_run

APP = """
import functools

PAGES = {}
RECENT = []  # leaklab: bounded because there are fifty shelves


def page(number):
    PAGES[number] = "x" * 2000


def recent(number):
    if number % 50 not in RECENT:
        RECENT.append(number % 50)


class Monitor:
    def __init__(self):
        self.times = []

    def record(self, seconds):
        self.times.append(seconds)


MONITOR = Monitor()


class Report:
    @functools.lru_cache(maxsize=64)  # noqa: B019
    def total(self, number):
        return number * 2


def first_line(path):
    handle = open(path)
    line = handle.readline()
    return line


def export(path):
    handle = open(path)
    return handle.read()
"""
SERVE = """
from leaklab import mark
from app import cache


def main():
    report = cache.Report()
    for number in range(150):
        cache.page(number)
        cache.recent(number)
        cache.MONITOR.record(number)
        cache.first_line(__file__)
        report.total(number)
        mark()


main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited")
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").write_text("")
    (folder / "app" / "cache.py").write_text(APP)
    (folder / "serve.py").write_text(SERVE)
    return folder


@pytest.fixture(scope="module")
def audited(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return ll.audit(".", command=["serve.py"], store="runs", progress=lambda event: None)


def test_each_candidate_gets_its_state_from_the_recording(audited):
    states = {(each.rule, each.name or each.function): each for each in audited.candidates}
    assert {key: each.state for key, each in states.items()} == {
        ("LL001", "app.cache:PAGES"): "confirmed",
        ("LL001", "app.cache:RECENT"): "bounded",
        ("LL002", "app.cache:Monitor.times"): "confirmed",
        ("B019", "app.cache:Report.total"): "bounded",
        ("SIM115", "first_line"): "refuted",
        ("SIM115", "export"): "not exercised",
    }
    recent = states["LL001", "app.cache:RECENT"].evidence
    # Readings have their share of a program's time: of so short a one not each mark has one.
    reached = re.search(r"reached 50 after (\d+) iterations", recent)
    assert reached is not None and 50 <= int(reached[1]) <= 60, recent
    assert "“bounded because there are fifty shelves” held in this run" in recent
    assert "`# noqa: B019` held" in states["B019", "app.cache:Report.total"].evidence
    assert "grows by 1 per iteration" in states["LL001", "app.cache:PAGES"].evidence
    assert "--mark-on call:app.cache:export" in states["SIM115", "export"].evidence


def test_gauges_of_an_audit_do_not_decide_the_run(audited):
    run = ll.open(audited.run)
    gauges = {each.name: each for each in run.verdict().resources if each.name.startswith("gauge:")}
    assert gauges["gauge:app.cache:PAGES"].verdict == "leak"
    assert not any(each.decides for each in gauges.values())


def test_the_command_line_joins_fails_and_writes_sarif(audited, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    command = ["audit", ".", "--run", audited.run, "--fail-on", "confirmed"]
    assert main([*command, "--sarif", "audit.sarif", "--write-baseline", "known.json"]) == 3
    assert "2 confirmed" in capsys.readouterr().out
    results = json.loads((folder / "audit.sarif").read_text())["runs"][0]["results"]
    assert {each["properties"]["state"]: each["level"] for each in results} == {
        "confirmed": "error",
        "bounded": "none",
        "refuted": "none",
        "not exercised": "warning",
    }
    assert main([*command, "--baseline", "known.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["confirmed"] == 2


def test_the_page_of_the_run_has_the_audit(audited, folder, tmp_path):
    page = render_run(ll.open(audited.run), tmp_path / "run.html").read_text()
    assert "What the audit of the source says" in page
    assert "app.cache:PAGES grows by 1 per iteration" in page
    hidden = render_run(ll.open(audited.run), tmp_path / "hidden.html", confidential=True)
    assert "What the audit" not in hidden.read_text()


def test_a_run_of_other_source_is_refused_with_what_differs(audited, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.py").write_text("SEEN = []\n")
    with pytest.raises(ll.LeaklabError, match=r"a run of another program: .*cache\.py"):
        ll.audit("other.py", audited.run)
    copy = tmp_path / "app"
    copy.mkdir()
    (copy / "cache.py").write_text(APP.replace("2000", "1000"))
    with pytest.raises(ll.LeaklabError, match=r"older source: app/cache\.py has changed"):
        ll.audit(".", audited.run)
