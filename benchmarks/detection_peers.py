"""What other tools say about the corpus, each used the way its documentation asks for."""

from __future__ import annotations

import ast
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIMIT_SECONDS = 120
# memray's table names something always: the rule asks for a site that stands out.
MEMRAY_SHARE = 0.1

Answer = dict[str, Any]


def memray_leaks(path: Path, folder: Path) -> Answer:
    """``memray run`` and the records of ``memray table --leaks``, merged by the user's line."""
    capture = folder / "capture.bin"
    _run(["-m", "memray", "run", "-q", "--trace-python-allocators", "-o", capture, path], folder)
    import memray

    sizes: dict[tuple[str, int], int] = defaultdict(int)
    for record in memray.FileReader(capture).get_leaked_allocation_records(merge_threads=True):
        stack = record.stack_trace()
        own = [frame for frame in stack if frame[1] == str(path)] or list(stack[:1])
        place = (own[0][1], own[0][2]) if own else ("", 0)
        sizes[place] += record.size
    ranked = sorted(sizes, key=lambda place: -sizes[place])
    total = sum(sizes.values())
    alarm = bool(ranked) and sizes[ranked[0]] >= MEMRAY_SHARE * total
    return {"alarm": alarm, "lines": [list(place) for place in ranked[:3]]}


def scalene_leaks(path: Path, folder: Path) -> Answer:
    """The leaks of Scalene's profile (it reports those it gives a likelihood of 95 %)."""
    profile = folder / "profile.json"
    _run(["-m", "scalene", "run", "-o", profile, path], folder)
    files = json.loads(profile.read_text() or "{}").get("files", {}) if profile.exists() else {}
    leaks = [
        (float(leak.get("velocity_mb_s", 0)), name, int(line))
        for name, entry in files.items()
        for line, leak in (entry.get("leaks") or {}).items()
    ]
    leaks.sort(reverse=True)
    return {"alarm": bool(leaks), "lines": [[name, line] for _, name, line in leaks[:3]]}


def pytest_memray(path: Path, folder: Path) -> Answer:
    """A test of the unit of work under ``limit_leaks``, after a warm-up of a fifth of the run."""
    test = folder / "test_workload.py"
    test.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "import peer_driver, pytest\n"
        f"step, iterations = peer_driver.load({str(path)!r})\n"
        "for number in range(iterations // 5):\n    step(number)\n"
        '@pytest.mark.limit_leaks("10 KB")\n'
        "def test_workload():\n"
        "    for number in range(iterations // 5, iterations):\n        step(number)\n"
    )
    done = _run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, test], folder)
    return {"alarm": done.returncode == 1, "lines": []}


def driven(tool: str) -> Callable[[Path, Path], Answer]:
    """A tool that runs inside the target, through ``peer_driver.py``."""

    def answer(path: Path, folder: Path) -> Answer:
        done = _run([HERE / "peer_driver.py", tool, path], folder)
        found: Answer = json.loads(done.stdout.splitlines()[-1])
        return found

    return answer


# By name: the package whose version is asked for (None: Python itself), and how it is used.
PEERS: dict[str, tuple[str | None, Callable[[Path, Path], Answer]]] = {
    "memray table --leaks": ("memray", memray_leaks),
    "tracemalloc, two snapshots": (None, driven("tracemalloc")),
    "pytest-memray limit_leaks": ("pytest-memray", pytest_memray),
    "python-leak-hunter": ("python-leak-hunter", driven("leak_hunter")),
    "scalene": ("scalene", scalene_leaks),
}
# These say that something leaks, or which type, and no line.
WITHOUT_LINES = ("pytest-memray limit_leaks", "python-leak-hunter")


def peer_rows(workloads: list[Any], jobs: int, store: Path) -> list[dict[str, object]]:
    """One row per installed tool and workload, as ``detection.result`` makes them.

    Answers are kept in ``store``, by the tool's version.
    """
    work = []
    for name, (package, answer) in PEERS.items():
        try:
            known = version(package) if package else platform.python_version()
        except PackageNotFoundError:
            print(f"not run: {name} is not installed", file=sys.stderr)
            continue
        work += [(name, known, answer, workload, store) for workload in workloads]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda args: _row(*args), work))


def _row(
    name: str, known: str, answer: Callable[[Path, Path], Answer], workload: Any, store: Path
) -> dict[str, object]:
    kept = store / f"{name}-{known}" / f"{workload.name}.json"
    if not kept.exists():
        begin = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(prefix="peer-") as folder:
                found = answer(workload.path, Path(folder))
        except (subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
            print(f"{name} failed on {workload.name}: {error}", file=sys.stderr)
            found = {"alarm": False, "lines": []}
        found["seconds"] = time.perf_counter() - begin
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
    found = json.loads(kept.read_text())
    functions = [_function(file, line) for file, line in found["lines"]]
    named = functions.index(workload.function) + 1 if workload.function in functions else 0
    names_lines = name not in WITHOUT_LINES
    return {
        "tool": name,
        "workload": workload.name,
        "half": workload.half,
        "mode": "plain",
        "seed": 0,
        "label": workload.label,
        "resource": workload.resource,
        "verdict": "leak" if found["alarm"] else "bounded",
        "named": named if workload.label == "leak" and workload.function and names_lines else None,
        "seconds": found["seconds"],
    }


def _function(file: str, line: int) -> str:
    """The function that a line of a source file belongs to."""
    try:
        tree = ast.parse(Path(file).read_text())
    except (OSError, SyntaxError):
        return ""
    inside = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(inside, key=lambda node: node.lineno).name if inside else ""


def _run(arguments: list[Any], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
