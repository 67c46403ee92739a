"""A test's body as units in an interpreter of its own: recorded, and what came of the test."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leaklab.last_words import last_report
from leaklab.pytest_plugin.children import Figures, read_figures
from leaklab.pytest_plugin.inside.leaklab_inside import REQUEST_VARIABLE

if TYPE_CHECKING:
    from leaklab.results.run import Run

# Lines of what the interpreter of a test said before it was ended.
MOST_SAID = 20
INSIDE = Path(__file__).parent / "inside"
# Options of ours with a value behind them.
VALUED = (
    "--leak-guard-grace", "--leaks-units", "--leaks-python", "--leaks-report", "--leaks-sarif",
    "--leaks-known", "--leaks-accept", "--leaks-here",
)  # fmt: skip


@dataclass(frozen=True)
class ChildResult:
    """What the test itself came to.

    outcome: passed, failed, skipped, xfailed, missing or crashed. text: why; of one that passed
    against a strict mark, that it did. seconds: processor time of all its units.
    children: (unit, resident bytes) rows of each child process, by its id.
    """

    outcome: str
    text: str
    when: str
    units: int
    seconds: float
    made: tuple[Sequence[Any], ...]
    children: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Amount:
    """How often a body is called: ``units`` times, and further up to ``most_units`` times while
    all of them together take no more than ``seconds`` of processor time."""

    units: int
    most_units: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Child:
    """How tests of a session are repeated in interpreters of their own.

    arguments: those of the session; folder: where it was started. python: the interpreter; None for
    this one. store: where runs go. scratch: a folder for requests and results.
    """

    arguments: Sequence[str]
    folder: str
    python: str | None
    store: str
    scratch: Path

    def record(
        self,
        item: pytest.Item,
        amount: Amount,
        passes: Sequence[str] = ("measure", "explain"),
        *,
        progress: Callable[[dict[str, Any]], None],
        graphs: str = "never",
        origins: bool = False,
        renews: bool = False,
        early: bool = False,
        native: bool = False,
    ) -> tuple[Run, ChildResult]:
        """Record calls of a test's body, in each pass anew.

        ``renews``: with its own fixtures anew. ``early``: from when its modules are imported on.
        ``native``: with the functions of libraries in C.

        Returns the run and the first result that is no pass. Raises KeyboardInterrupt when the
        recording was interrupted: nothing of it runs any more then.
        """
        from leaklab.recordings import record

        results = self.scratch / f"results-{len(list(self.scratch.iterdir()))}"
        results.mkdir()
        request = results / "request.json"
        request.write_text(
            json.dumps(
                {
                    "test": item.nodeid,
                    "file": str(item.path),
                    **asdict(amount),
                    "origins": origins,
                    "renews": renews,
                    "early": early,
                    "folder": str(results),
                }
            )
        )
        run = record(
            self._command(item),
            name=run_name(item.nodeid),
            store=self.store,
            fresh=True,
            progress=progress,
            python=self.python,
            cwd=self.folder,
            passes=tuple(passes),
            graphs=graphs,
            native=native,
            expected_mark_count=None if amount.most_units else amount.units,
            env=self._environment(request),
        )
        if run.meta["state"] == "interrupted":
            raise KeyboardInterrupt
        return run, replace(_result(run, results), children=read_figures(results))

    def _command(self, item: pytest.Item) -> list[str]:
        further = ["-p", "leaklab_inside", "--capture=no", "-o", "log_file="]
        words = [*self.arguments, *item.config.getini("addopts")]
        words += os.environ.get("PYTEST_ADDOPTS", "").split()
        if any(word.startswith("--cov") for word in words):
            further.append("--no-cov")
        return ["-m", "pytest", *further, *without_own(self.arguments)]

    def _environment(self, request: Path) -> dict[str, str]:
        paths = [str(INSIDE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            REQUEST_VARIABLE: str(request),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONFAULTHANDLER": "1",
            "LEAKLAB_BEGIN_LATER": "1",
        }
        # Coverage follows child processes by these.
        measured = ("COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE")
        for name in (*measured, "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            if name in os.environ:
                environment[name] = ""
        return environment


def without_own(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a session without the plugin's own: another interpreter has none.

    >>> without_own(["-q", "--leaks", "--leaks-units", "30", "--leak-guard", "tests"])
    ['-q', 'tests']
    """
    kept, skip = [], False
    for word in arguments:
        if skip:
            skip = False
        elif word in VALUED:
            skip = True
        elif not word.startswith(("--leaks", "--leak-guard")):
            kept.append(word)
    return kept


def run_name(test: str) -> str:
    """Return a name for the runs of a test: short, whatever its parameters are."""
    import hashlib

    path, _, rest = test.partition("::")
    function = rest.partition("[")[0].rpartition("::")[2]
    digest = hashlib.sha256(test.encode()).hexdigest()[:8]
    return f"{Path(path).stem[:40]}-{function[:60]}-{digest}"


def reproduction(item: pytest.Item, units: int, folder: str, python: str | None) -> str:
    """Return the command line that records the same units again."""
    import shlex

    rest = item.nodeid.partition("::")[2]
    try:
        path = os.path.relpath(item.path, folder)
    except ValueError:
        path = str(item.path)
    words = ["leaklab", "record"]
    words += ["--python", python] if python else []
    words += ["--", "-m", "pytest", f"--leaks-here={units}", f"{path}::{rest}"]
    return shlex.join(words)


def _result(run: Run, folder: Path) -> ChildResult:
    found = [ChildResult(**fields) for fields in _written(folder)]
    bad = [one for one in found if one.outcome != "passed"]
    if bad:
        return bad[0]
    passes = run.meta["passes"]
    if len(found) >= len(passes):
        return min(found, key=lambda one: one.units)
    for entry in passes:
        ended = entry["signal"] or entry["exit_status"]
        if ended:
            how = f"was ended by {entry['signal']}" if entry["signal"] else f"exited with {ended}"
            said = last_report(entry["stderr_tail"] or entry["stdout_tail"], MOST_SAID)
            return _crashed("\n".join([f"the interpreter of the test {how}", *said]))
    return _crashed("the interpreter of the test ended before the test did")


def _crashed(text: str) -> ChildResult:
    return ChildResult("crashed", text, "call", 0, 0.0, ())


def _written(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("result-*.json")):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        fields["made"] = tuple(fields["made"])
        yield fields
