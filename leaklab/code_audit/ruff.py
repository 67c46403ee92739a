"""The public rules, as ruff finds them: chosen for what they are worth against leaks."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leaklab.code_audit.codes import first_to_run
from leaklab.code_audit.containers import kind_of
from leaklab.code_audit.model import Candidate, Note
from leaklab.code_audit.scopes import FUNCTIONS, Function, Module
from leaklab.code_audit.sources import display_path

# rule: (title, resources that grow if it is right). Left out on purpose: RUF012 (mutable class
# attributes; most are constants, and LL001 sees those that grow), PLW0603 (global statements),
# ASYNC21x and ASYNC25x (they block the loop, which costs time and not memory).
PUBLIC = {
    "B019": ("lru_cache or cache on a method keeps the instance", ("heap_bytes",)),
    "B006": ("mutable default argument", ("heap_bytes",)),
    "B039": ("mutable default of a ContextVar", ("heap_bytes",)),
    "SIM115": ("file opened without a context manager", ("fd_count",)),
    "RUF006": ("task whose reference is dropped", ("task_count",)),
    "S113": ("request without a timeout", ("thread_count", "fd_count")),
    "ASYNC116": ("sleep of more than a day in a task", ("task_count",)),
    "ASYNC220": ("process started in a coroutine", ("child_count", "fd_count")),
    "PLW1509": ("preexec_fn in a threaded program", ("child_count",)),
}
TIMEOUT_SECONDS = 300.0
# One file takes it milliseconds, its start on a busy machine up to seconds.
SHORTEST_SECONDS = 20.0
FAILURES = (OSError, ValueError, subprocess.SubprocessError)
MISSING = (
    "ruff is not installed: only the own rules were looked at; `pip install leaklab[audit]` adds "
    "the public ones"
)
Row = dict[str, Any]


def executable() -> str | None:
    """The ruff of this environment, else the one on the path; None without one."""
    beside = Path(sysconfig.get_path("scripts")) / "ruff"
    if beside.exists():
        return str(beside)
    beside = Path(sys.executable).parent / "ruff"
    return str(beside) if beside.exists() else shutil.which("ruff")


def findings(files: Sequence[Path]) -> tuple[dict[str, list[Row]], list[Note]]:
    """What ruff raises in these files, by resolved path; a note where it is missing or fails.

    The project's own configuration and its ``noqa`` comments are not followed: an excuse is told
    with the candidate, and a run says whether it holds.
    """
    program = executable()
    if program is None:
        return {}, [Note(MISSING)]
    if not files:
        return {}, []
    paths = [str(file.resolve()) for file in files]
    rows, notes = _ask_all(program, paths, TIMEOUT_SECONDS)
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("code") in PUBLIC:
            found.setdefault(str(row["filename"]), []).append(row)
    return found, notes


def _ask_all(
    program: str, paths: list[str], limit_seconds: float, stands: bool = False
) -> tuple[list[Row], list[Note]]:
    """What ruff raises in all files but those that break it; these are named.

    One file that it cannot stand takes the answer on all others with it, so the list is halved
    until the culprit is alone. A half has half the time: that of all tries together stays bounded.
    """
    try:
        return _ask(program, paths, limit_seconds), []
    except FAILURES as error:
        reason = _reason(error)
    if not (stands or _stands(program)):
        return [], [Note(f"ruff failed, only the own rules were looked at: {reason}")]
    if len(paths) == 1:
        text = f"ruff fails on it, only the own rules were looked at: {reason}"
        return [], [Note(text, display_path(Path(paths[0])))]
    middle = len(paths) // 2
    rows, notes = [], []
    for half in (paths[:middle], paths[middle:]):
        more, why = _ask_all(program, half, max(limit_seconds / 2, SHORTEST_SECONDS), True)
        rows += more
        notes += why
    return rows, notes


def _stands(program: str) -> bool:
    """Whether ruff answers at all, so that what broke it is in the files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "empty.py")
        path.touch()
        try:
            _ask(program, [str(path)], SHORTEST_SECONDS)
        except FAILURES:
            return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {error.timeout:.0f} s"
    return str(error)


def candidates(module: Module, rows: Iterable[Row]) -> list[Candidate]:
    """The candidates that ruff's findings in a module stand for."""
    return [each for row in rows for each in _candidate(module, row)]


def _ask(program: str, paths: list[str], limit_seconds: float) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        # As an argument file: a code base has more files than a command line has room for.
        listing = Path(folder, "files.txt")
        listing.write_text("\n".join(paths), encoding="utf-8")
        done = subprocess.run(
            [
                program,
                "check",
                "--isolated",
                "--no-cache",
                "--quiet",
                "--ignore-noqa",
                "--exit-zero",
                "--no-respect-gitignore",
                "--output-format=json",
                f"--select={','.join(PUBLIC)}",
                f"@{listing}",
            ],
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            cwd=folder,
            check=False,
        )
    if not done.stdout.strip():
        raise ValueError((done.stderr.strip().splitlines() or ["no answer"])[-1])
    rows = json.loads(done.stdout)
    if not isinstance(rows, list):
        raise ValueError("its answer is no list")
    return rows


def _candidate(module: Module, row: Row) -> Iterable[Candidate]:
    rule = row["code"]
    title, resources = PUBLIC[rule]
    line = _line_of(module, row)
    node = _node_at(module, line, rule)
    if node is None:
        return
    names = _names(module, node, rule, line)
    found = module.candidate(rule, title, str(row["message"]), node, resources=resources, **names)
    # The comment that excuses it stands where ruff sees it: at a decorator, for one.
    yield replace(found, lines=tuple(sorted({*found.lines, line})))


def _line_of(module: Module, row: Row) -> int:
    line = int(row["location"]["row"])
    cells = module.source.cells
    if cells is None or row.get("cell") is None:
        return line
    # ruff counts all cells; ours are the code cells. Lines inside the cell are the same.
    numbers = sorted({cell for cell, _ in cells})
    wanted = _code_cell(module, int(row["cell"]), numbers)
    return next((number for number, place in enumerate(cells, 1) if place == (wanted, line)), line)


def _code_cell(module: Module, cell: int, numbers: list[int]) -> int:
    document = json.loads(Path(module.source.path).read_bytes())
    kinds = [each.get("cell_type") for each in document.get("cells", ())]
    return sum(kind == "code" for kind in kinds[:cell])


def _node_at(module: Module, line: int, rule: str) -> Any:
    """The node a finding is about: the function for B019, else a call or statement of the line."""
    if rule == "B019":
        for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
            if any(each.lineno == line for each in node.decorator_list) or node.lineno == line:
                return node
    for call in module.nodes(ast.Call):
        if call.lineno == line:
            return call
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.Expr, ast.Return):
        for statement in module.nodes(kind):
            if statement.lineno <= line <= (statement.end_lineno or line):
                return statement
    return None


def _names(module: Module, node: ast.AST, rule: str, line: int) -> dict[str, Any]:
    if rule == "B019" and isinstance(node, FUNCTIONS):
        path = module.qualname(node) or node.name
        return {
            "name": path,
            "watches": (module.watch(path),),
            "holders": (f"{path} → cache", path),
            "lines": tuple(node.decorator_list),
            "runs": first_to_run(node),
        }
    if rule == "B006":
        for function in module.nodes(*FUNCTIONS):
            names = _mutable_defaults(module, function)
            if line in names.values():
                path = module.qualname(function) or function.name
                return {
                    "watches": tuple(module.watch(f"{path}.{name}") for name in names),
                    "holders": tuple(f"{path} → default {name}" for name in names),
                    "runs": first_to_run(function),
                }
    return {"runs": (node,)}


def _mutable_defaults(module: Module, function: Function) -> dict[str, int]:
    """The parameters that have a container by default, with the line where that stands."""
    arguments = function.args
    placed = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(reversed(placed), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        parameter.arg: default.lineno
        for parameter, default in pairs
        if default is not None and kind_of(module, default) is not None
    }
