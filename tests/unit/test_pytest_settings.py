"""What markers, options and leaks.toml may say, and how outcomes read."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaklab.pytest_plugin.child import run_name, without_own
from leaklab.pytest_plugin.children import judged_children, read_figures
from leaklab.pytest_plugin.known import KnownLeaks, read
from leaklab.pytest_plugin.looks import rare
from leaklab.pytest_plugin.outcome import (
    BOUNDED,
    INCONCLUSIVE,
    LEAK,
    Grown,
    Outcome,
    Site,
    judged,
    outcome_from_json,
)
from leaklab.pytest_plugin.settings import SettingsError, settings_of
from leaklab.pytest_plugin.summary import markdown, sarif
from leaklab.pytest_plugin.texts import (
    MOST_LINES,
    headline,
    inconclusive_text,
    leak_text,
    limits_text,
)
from leaklab.verdict.resources import ResourceVerdict


@pytest.mark.parametrize(
    ("arguments", "options", "fault"),
    [
        ((50,), {}, "unnamed argument: 50; write units=50"),
        ((), {"unit": 50}, "unknown: unit; allowed: units, allow, reason"),
        ((), {"units": 5}, "units: 5; a whole number from 20 on"),
        ((), {"units": True}, "units: True; a whole number from 20 on"),
        ((), {"allow": {"fds": 1}, "reason": "x"}, "allow: 'fds'; allowed: rss_bytes"),
        ((), {"allow": {"fd_count": 0}, "reason": "x"}, "allow: fd_count=0; growth per unit"),
        ((), {"allow": {"fd_count": 1}}, "allow without its reason"),
        ((), {"allow": ["fd_count"]}, "allow: ['fd_count']; a dict"),
    ],
)
def test_wrong_settings_are_refused_by_name(
    arguments: tuple[Any, ...], options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_of(arguments, options)
    assert str(raised.value).startswith(fault)


def test_settings() -> None:
    settings = settings_of((), {"units": 50, "allow": {"fd_count": 1}, "reason": "a pool"})
    assert (settings.units, settings.allow, settings.reason) == (50, {"fd_count": 1.0}, "a pool")
    assert settings_of((), {}).units is None


def entry(name: str, verdict: str, rate: float = 0.0, more: float = 0.0) -> ResourceVerdict:
    return ResourceVerdict(
        name, verdict, rate, rate - 1, rate + 1, "iteration", 0.0, 60 * rate, 0.0, 60 * rate,
        "why", 1.0,
        more_x=more,
    )  # fmt: skip


def test_a_leak_decides_and_the_heap_speaks_first() -> None:
    outcome = judged([entry("rss_bytes", LEAK, 90), entry("heap_bytes", LEAK, 80)], 60, {})
    assert outcome.verdict == LEAK
    assert [grown.resource for grown in outcome.grown] == ["heap_bytes", "rss_bytes"]


def test_allowed_growth_is_no_leak_and_more_than_allowed_is() -> None:
    leaking = [entry("fd_count", LEAK, 1.0)]
    assert judged(leaking, 60, {"fd_count": 1.0}).verdict == BOUNDED
    assert judged([entry("fd_count", LEAK, 5.0)], 60, {"fd_count": 1.0}).verdict == LEAK


def test_what_is_allowed_of_the_heap_is_allowed_of_resident_memory() -> None:
    allow = {"heap_bytes": 30_000.0}
    heap, resident = entry("heap_bytes", LEAK, 20_000), entry("rss_bytes", LEAK, 20_400)
    assert judged([heap, resident], 60, allow).verdict == BOUNDED
    (grown,) = judged([heap, entry("rss_bytes", LEAK, 50_000)], 60, allow).grown
    assert grown.resource == "rss_bytes"
    assert judged([heap], 60, {"rss_bytes": 30_000.0}).verdict == LEAK


def test_a_failure_says_what_else_has_to_be_allowed() -> None:
    files = [entry("fd_count", LEAK, 1.0), entry("heap_bytes", LEAK, 4_990)]
    resident = entry("rss_bytes", LEAK, 4_700)
    outcome = judged([*files, resident], 60, {"fd_count": 1.0})
    assert judged([*files, resident], 60, outcome.to_allow).verdict == BOUNDED
    assert '  on purpose? allow all of it: allow={"fd_count": 1, "heap_bytes": 5000}' in (
        leak_text(outcome).splitlines()
    )
    assert outcome_from_json(outcome.to_json()) == outcome
    assert "allow" not in leak_text(judged(files, 60, {}))


def test_inconclusive_says_how_many_units_would_decide() -> None:
    outcome = judged([entry("heap_bytes", INCONCLUSIVE, 5, more=119.2)], 60, {})
    assert (outcome.verdict, outcome.needed_units) == (INCONCLUSIVE, 180)
    assert inconclusive_text(outcome).startswith(
        "leaklab: inconclusive after 60 units, 180 would decide: heap_bytes why"
    )
    assert judged([entry("heap_bytes", INCONCLUSIVE, more=math.inf)], 60, {}).needed_units == 120
    assert judged([], 60, {}).verdict == INCONCLUSIVE


def test_fine_states_its_power() -> None:
    power = judged([entry("heap_bytes", BOUNDED, 39.0)], 60, {}).power
    assert power == "at most 40 B per call if one call in 20 leaks, or more of them"


def test_fine_excludes_no_growth_that_was_seen() -> None:
    # In two steps, which a slope over most of the calls passes over.
    stepped = replace(entry("heap_bytes", BOUNDED), rate_high=0.0, last_floor=6000.0)
    assert judged([stepped], 200, {}).power.startswith("at most 30 B per call")


def test_what_still_rises_is_not_fine() -> None:
    outcome = rare(judged([entry("fd_count", BOUNDED)], 1600, {}))
    assert (outcome.verdict, outcome.needed_units, outcome.power) == (INCONCLUSIVE, 6400, "")
    assert "6400 would decide" in inconclusive_text(outcome)


def test_children_are_judged_by_the_units_of_the_test(tmp_path: Path) -> None:
    rows = [f"{unit} 7 {50_000_000 + unit * 100_000}" for unit in range(1, 101)]
    rows += [f"{unit} {100 + unit} 900000" for unit in range(1, 101)]  # one for each unit
    (tmp_path / "children-5.txt").write_text("\n".join(rows) + "\n")
    figures = read_figures(tmp_path)
    found = judged_children(figures, 100)
    assert found is not None
    outcome = judged([found], 100, {})
    assert outcome.verdict == LEAK
    assert leak_text(outcome).startswith(
        "leaklab: leak: resident memory of its child processes grows by 97.7 KiB per call"
    )
    assert judged_children({pid: rows for pid, rows in figures.items() if pid != 7}, 100) is None


def test_every_descendant_is_looked_at_after_a_unit(tmp_path: Path) -> None:
    from leaklab.pytest_plugin.inside.leaklab_inside import Children

    look = Children(str(tmp_path))
    look.begin()
    # A shell with a child of its own, both of which live until their input ends.
    command = "(exec sh -c 'echo $$; read line'); true"
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        child = int(shell.stdout.readline())
        look.look(1)
        look.look(2)
        shell.stdin.close()
    figures = read_figures(tmp_path)
    assert [[unit for unit, _ in figures[pid]] for pid in (shell.pid, child)] == [[1, 2]] * 2
    assert child != shell.pid
    assert all(resident_bytes > 0 for rows in figures.values() for _, resident_bytes in rows)


def test_growth_by_the_second_is_told_per_call() -> None:
    by_time = replace(
        entry("fd_count", LEAK, 9.0), unit="second", role="fork of main", last_floor=120.0
    )
    (grown,) = judged([by_time], 60, {}).grown
    assert (grown.rate, grown.role) == (2.0, "fork of main")


LEAKING = Outcome(
    LEAK,
    60,
    tuple(Grown(name, 2048.0, 2000.0, 2100.0) for name in ("heap_bytes", "rss_bytes", "fd_count")),
    tuple(Site("app.py", line, "render", 2048.0, "KEPT.append(body)") for line in range(9)),
    tuple(f"app.KEPT{number} → list item" for number in range(9)),
    tuple(f"descriptor: 1 per call, made at app.py:{number} open_it" for number in range(9)),
    again="leaklab record -- -m pytest --leaks-here=60 test_app.py::test_render",
    page="pages/test_render.html",
)


def test_a_failure_has_at_most_twelve_lines_and_more_of_them_verbose() -> None:
    text = leak_text(LEAKING)
    assert text.count("\n") + 1 <= MOST_LINES
    assert text.splitlines()[0] == (
        "leaklab: leak: heap grows by 2 KiB per call (1.95 KiB to 2.05 KiB, 95 %), 60 calls"
    )
    assert "  app.py:0 render keeps 2 KiB per call\n      KEPT.append(body)\n" in text
    assert text.endswith("--leaks-here=60 test_app.py::test_render")
    assert len(leak_text(LEAKING, 1).splitlines()) > 2 * MOST_LINES


def test_outcomes_travel_as_json() -> None:
    assert outcome_from_json(LEAKING.to_json()) == LEAKING
    unknown = Outcome(LEAK, 60, (Grown("fd_count", 1.0, math.nan, math.nan),))
    assert unknown.to_json()["grown"][0]["low"] is None


def test_fingerprints_know_the_place_but_not_the_line_or_the_parameters() -> None:
    moved = Outcome(LEAK, 99, LEAKING.grown, (Site("./app.py", 77, "render", 1.0),))
    assert LEAKING.fingerprint("t.py::test[a]") == moved.fingerprint("t.py::test[b]")
    assert LEAKING.fingerprint("t.py::test") != LEAKING.fingerprint("t.py::other")


FOUND = {
    "test": "t.py::test[a]",
    **LEAKING.to_json(),
    "fingerprint": LEAKING.fingerprint("t.py::test"),
    "known": None,
}


def test_known_leaks_ratchet(tmp_path: Path) -> None:
    path = tmp_path / "leaks.toml"
    known = KnownLeaks(path)
    assert known.reason(FOUND["fingerprint"]) is None
    accepting = KnownLeaks(path, 'until "2.0" is out')
    accepting.write(accepting.added([FOUND, FOUND]))
    known = KnownLeaks(path)
    assert known.reason(FOUND["fingerprint"]) == 'until "2.0" is out'
    (only,) = read(path)
    assert (only.test, len(only.since)) == ("t.py::test", 10)
    assert not known.vanished([FOUND])
    assert not known.vanished([{"test": "other.py::test", "verdict": BOUNDED}])
    assert not known.vanished([{"test": "t.py::test[a]", "verdict": INCONCLUSIVE}])
    assert known.vanished([{"test": "t.py::test[a]", "verdict": BOUNDED}]) == [only]


def test_a_known_leak_that_clearly_outgrows_what_was_accepted_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "leaks.toml"
    accepting = KnownLeaks(path, "being mended")
    larger = {**FOUND, "grown": [{**row, "high": 3000.0} for row in FOUND["grown"]]}
    accepting.write(accepting.added([FOUND, larger, FOUND]))
    known, fingerprint = KnownLeaks(path), FOUND["fingerprint"]
    assert known.entries[fingerprint].most_per_call["heap_bytes"] == 3000.0

    def reason(rate: float, low: float | None, resource: str = "heap_bytes") -> str | None:
        rows = [{"resource": resource, "rate": rate, "low": low, "high": None}]
        return known.reason(fingerprint, rows)

    assert reason(90_000.0, 80_000.0) is None
    assert reason(90_000.0, None) is None
    # Within what another version of Python makes of it, or not sure to be more.
    assert reason(5_000.0, 4_900.0) == reason(90_000.0, 100.0) == "being mended"
    assert reason(9.0, 9.0, "task_count") == "being mended"
    # What is said to fail does, and what is counted is exact.
    entry = replace(known.entries[fingerprint], most_per_call={"heap_bytes": 2e4, "fd_count": 1.05})
    assert limits_text(entry.limits) == "fails above 39.1 KiB or 1.05 fds per call"
    for resource, within, above in (("heap_bytes", 39_000, 41_000), ("fd_count", 0.97, 1.93)):
        assert not entry.is_outgrown([{"resource": resource, "rate": 2 * within, "low": within}])
        assert entry.is_outgrown([{"resource": resource, "rate": 2 * above, "low": above}])
    grown = {**FOUND, "grown": [{**row, "low": 9e4, "high": 9e5} for row in FOUND["grown"]]}
    accepting = KnownLeaks(path, "worse by now")
    accepting.write(accepting.added([grown]))
    assert KnownLeaks(path).reason(fingerprint, grown["grown"]) == "worse by now"


def test_a_file_of_known_leaks_without_figures_has_no_limits(tmp_path: Path) -> None:
    path = tmp_path / "leaks.toml"
    fields = {"fingerprint": FOUND["fingerprint"], "test": "t", "reason": "old", "since": "2026"}
    path.write_text("[[leak]]\n" + "".join(f'{name} = "{text}"\n' for name, text in fields.items()))
    assert KnownLeaks(path).reason(FOUND["fingerprint"], FOUND["grown"]) == "old"


def test_a_leak_is_accepted_with_a_reason_and_nothing_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "leaks.toml"
    for blank in ("", "  "):
        with pytest.raises(pytest.UsageError, match=r"^leaklab: --leaks-accept: '\s*'; the reason"):
            KnownLeaks(path, blank)
    KnownLeaks(path, "being mended").write([])
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[leak]", "cannot be read"),
        ('[[leak]]\nfingerprint = "a"\ntest = "t"\nsince = "2026-01-01"', "leak 1: no reason"),
        ('[[leak]]\nwhy = "a"', "leak 1: unknown: why"),
        (
            '[[leak]]\nfingerprint = "a"\ntest = "t"\nreason = "r"\nsince = "s"\n'
            "most_per_call = { heap_bytes = true }",
            "leak 1: most_per_call: {'heap_bytes': True}; growth",
        ),
    ],
)
def test_a_wrong_file_of_known_leaks_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "leaks.toml"
    path.write_text(text)
    with pytest.raises(pytest.UsageError, match=fault):
        read(path)


def test_summaries_for_machines(tmp_path: Path) -> None:
    (result,) = sarif([FOUND], tmp_path)["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "app.py"
    assert result["level"] == "error"
    known = {**FOUND, "known": "because"}
    assert sarif([known], tmp_path)["runs"][0]["results"][0]["level"] == "note"
    text = markdown([FOUND, {**FOUND, "verdict": BOUNDED, "grown": []}])
    assert text.startswith("### Leaks: 1 leak, 0 known, 0 inconclusive, 1 fine\n")
    assert f"| `t.py::test[a]` | leak | {headline(LEAKING)} |" in text


NOWHERE = Site("", 0, "(no Python frame)", 4096.0)
FROZEN = Site("<frozen importlib._bootstrap>", 241, "_call", 512.0)


@pytest.mark.parametrize(
    ("sites", "made", "place"),
    [
        ((NOWHERE, FROZEN, Site("app.py", 6, "begin", 99.0)), (), ("app.py", 6)),
        ((NOWHERE, FROZEN), ("thread: 1 per call, made at a b/c.py:7 go: go()",), ("a b/c.py", 7)),
        ((NOWHERE,), ("thread: 1 per call, made out of sight of Python",), ("t.py", 41)),
        ((), (), ("t.py", 41)),
    ],
)
def test_a_leak_is_placed_at_a_line_that_can_be_gone_to(
    tmp_path: Path, sites: tuple[Site, ...], made: tuple[str, ...], place: tuple[str, int]
) -> None:
    outcome = replace(LEAKING, sites=sites, made=made)
    (result,) = sarif([{**FOUND, **outcome.to_json(), "line": 41}], tmp_path)["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]
    assert (where["artifactLocation"]["uri"], where["region"]["startLine"]) == place


def test_what_no_line_is_known_of_is_told_last() -> None:
    sites = (NOWHERE, Site("app.py", 6, "begin", 99.0, "begin()"))
    outcome = replace(LEAKING, sites=sites, made=())
    lines = leak_text(outcome).splitlines()
    assert lines.index("  app.py:6 begin keeps 99 B per call") < lines.index(
        "  (no Python frame) keeps 4 KiB per call"
    )
    assert headline(outcome).endswith(" at app.py:6 begin")
    assert " at " not in headline(replace(outcome, sites=(NOWHERE,)))


def test_the_other_interpreter_gets_no_option_of_ours() -> None:
    words = ["-q", "--leaks", "--leaks-units", "30", "--leak-guard", "--leaks-report=x", "tests"]
    assert without_own(words) == ["-q", "tests"]
    assert len(run_name("tests/test_a.py::TestX::test_y[" + "z" * 300 + "]")) < 120


def test_both_sides_look_for_the_same_variable() -> None:
    from leaklab import pytest_plugin
    from leaklab.pytest_plugin.inside import leaklab_inside

    assert pytest_plugin.REQUEST_VARIABLE == leaklab_inside.REQUEST_VARIABLE


def test_a_suite_without_leak_tests_pays_for_one_small_module() -> None:
    program = (
        "import sys, pytest, _pytest.fixtures, leaklab\n"
        "before = set(sys.modules)\n"
        "import leaklab.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["leaklab.pytest_plugin"]
