"""What ``cases`` and ``doctor`` print, what is refused, and two pages, as whole texts.

``--update-golden`` rewrites them. Figures and styles are left out of pages: those depend on the
versions that draw them, and have tests of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
import synthetic as s

from leaklab import doctor, report
from leaklab.catalogue.model import case
from leaklab.cli import main
from leaklab.results.run import Run

Golden = Callable[[str, str], None]
COUNT = 120
CASE = "unbounded-cache"
# Each is refused in one line; what is in the line is the same on every machine.
REFUSED = """
recrod
frobnicate
record
record --pid 1 -- x.py
record --pid abc
record --duration 5x -- x.py
record --horizon soon -- x.py
record --limit-memory lots -- x.py
record --env NOVALUE -- x.py
record --passes explain,guess -- x.py
record --passes measure,measure -- x.py
record --mark-on line:( -- x.py
record --graph-at 120% -- x.py
record --graph-at 90% --passes measure -- x.py
record --drive-port 80 -- x.py
record --interval 1ns -- x.py
record --traced-window 5s -- x.py
record --frobnicate -- x.py
record --python /nowhere/python -- -m json
record -- missing.py
record -- no-such-program-anywhere
investigate
investigate --all -- x.py
investigate no-such-case
investigate unbounded-cache -p itertions 5
investigate unbounded-cache -p iterations ten
investigate unbounded-cache -p iterations 5 -p iterations 6
investigate unbounded-cache --native
investigate unbounded-cache --name mine
investigate --quick -- x.py
investigate --all -p iterations 5
show no-such-run
show a --fail-on leaks
compare a b --fail-on bad
compare no-such-run no-such-run
cases no-such-case
run nowhere.ipynb
watch x
watch
import nowhere.bin
report no-such-run
audit nowhere
post-mortem no-such-run
jobs no-such-case
"""


def test_what_the_command_line_refuses(
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKLAB_STORE", "runs")
    lines = []
    for command in REFUSED.strip().splitlines():
        status = main(command.split())
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1, printed.err
        lines += [f"$ leaklab {command}", f"{printed.err.rstrip()}  [{status}]", ""]
    golden("refused", "\n".join(lines).rstrip())
    assert not list(tmp_path.iterdir())


def test_the_catalogue(
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(["cases", "--store", str(tmp_path)]) == 0
    golden("cases", capsys.readouterr().out.rstrip())
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["cases", "--store", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 60
    assert lines[0].split() == ["case", "title"]
    assert main(["cases", CASE, "--store", str(tmp_path)]) == 0
    golden("case", capsys.readouterr().out.rstrip())


def test_doctor(
    golden: Golden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [
        doctor.Finding("interpreter", True, "CPython 3.12.1", required=True),
        doctor.Finding("memray", False, "cannot be imported", "pip install memray", required=True),
        doctor.Finding("graphviz", False, "no dot on the path", "apt install graphviz"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert main(["doctor"]) == 1
    golden("doctor", capsys.readouterr().out.rstrip())


def words(html: str) -> str:
    """Return what a page says, in its order: a line for each piece of text or label."""
    bare = re.sub(r"<(style|script|svg|iframe)\b.*?</\1>", r"<\1>", html, flags=re.DOTALL)
    bare = re.sub(r"<(svg|iframe)>", r"[\1]", bare)
    pieces = (re.sub(r"\s+", " ", unescape(piece)).strip() for piece in re.split("<[^>]*>", bare))
    return "\n".join(piece for piece in pieces if piece)


def recorded(variant: str, rate: float) -> Run:
    return Run(
        s.run(
            rss=s.leak(COUNT, rate) + s.noise(COUNT, 2e4),
            sites={"build_page": s.leak(COUNT, rate), "index": s.warm_up(COUNT, 9e4, half_life=5)},
            fd_count=s.steady(COUNT, 5.0),
            meta={
                "name": CASE,
                "variant": variant,
                "run_id": f"20260101-{variant}",
                "versions": {"python": "3.12.1"},
                "platform": {"system": "Linux"},
            },
        )
    )


def test_pages(golden: Golden, tmp_path: Path) -> None:
    runs = {"before": recorded("before", 20_000.0), "better_fix": recorded("better_fix", 0.0)}
    golden("run-page", words(report.render_run(runs["before"], tmp_path / "run.html").read_text()))
    page = report.render_case(case(CASE), runs, tmp_path / "case.html")
    golden("case-page", words(page.read_text()))
