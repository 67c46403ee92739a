"""``%leaklab script.py`` and ``%%leaklab``: record a script or a cell from within a notebook."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.error import UsageError as MagicUsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from leaklab.errors import LeaklabError, RecordingInterruptedError, UsageError
from leaklab.jupyter.in_kernel import (
    awaits,
    cell_name,
    compile_problem,
    numbered_as_shown,
    record_awaiting_cell,
    record_cell,
    what_ended,
)
from leaklab.jupyter.iterations import mark_count
from leaklab.jupyter.kernel_lines import COMMANDS, KernelLines
from leaklab.last_words import last_words
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    import argparse

    from leaklab.results.run import Run

RESULT_NAME = "leaklab_run"
PASSES = ("measure", "explain", "graph", "trim", "mmap")
OPTIONS = (
    "--child", "--drive", "--duration", "--fresh", "--help", "--limit-memory", "--mark-on",
    "--name", "--passes", "--python", "--quiet", "--store", "--trace-share", "--until-decided",
    "--variant",
)  # fmt: skip


class CellError(MagicUsageError):
    """The cell or script that was recorded has raised something or was interrupted."""


@magics_class
class LeaklabMagics(Magics):
    """The magics of ``%load_ext leaklab``."""

    _kernel_lines: KernelLines | None = None

    @magic_arguments()
    @argument("--name", help="name of the run (default: the script's, or 'cell')")
    @argument("--variant", help="variant of the run, for example before or after")
    @argument("--passes", help="measure and explain, separated by commas (default: both)")
    @argument("--duration", help="stop each pass after this long: 30s, 5m")
    @argument("--limit-memory", help="stop the target at this size: 500MB")
    @argument("--python", help="interpreter that runs the script or, with --child, the cell")
    @argument("--store", help="folder or URL the run is stored in (default: $LEAKLAB_STORE)")
    @argument("--mark-on", action="append", help="what ends a unit of work: http, task, call:M:F")
    @argument("--drive", help="command, or Python file with drive(), that puts load on the target")
    @argument("--trace-share", help="trace the heap for this share of the time only: 10%%")
    @argument("--until-decided", action="store_true", help="stop when the verdict is decided")
    @argument("--fresh", action="store_true", help="record again what is already recorded")
    @argument("--quiet", action="store_true", help="show nothing, only bind the run")
    @argument("--help", action="store_true", help="print this")
    @argument(
        "--child", action="store_true", help="cell: run it in a process of its own (see below)"
    )
    @argument("command", nargs="*", help="script.py or '-m module', with its arguments")
    @line_cell_magic
    def leaklab(self, line: str, cell: str | None = None) -> Any:
        """Does it leak? Record a script (``%leaklab script.py args``) or a cell (``%%leaklab``).

        Shows the verdict, the curves and the allocation tree, and binds the run to the name
        ``leaklab_run``. Everything after the script's name belongs to the script.

        A cell is recorded in place: it sees and leaves variables like any other cell, runs once,
        and its loop should call ``mark()`` (``from leaklab import mark``) at the end of each unit
        of work. What the kernel itself does meanwhile is in the figures too, and nothing can stop a
        cell at a limit but you. With ``--child`` the cell runs in a fresh process, once for each
        pass: exact figures, limits, no shared variables.

        ``%leaklab kernel`` says what this kernel holds and which line frees it (``--since``: what
        has come and gone since the last time); ``%leaklab watch`` puts a line under each cell that
        says what it added, ``%leaklab watch off`` ends that.
        """
        if _asks_for_help(line):
            print(self.leaklab.__doc__)
            return None
        if cell is None and (first := line.split()[:1]) and first[0] in COMMANDS:
            return self._about_the_kernel(line.split())
        error: BaseException | None = None
        with _said_in_one_line():
            arguments, command, options = self._asked(line, cell)
            try:
                if cell is None:
                    run = _record_command(command, arguments, options)
                elif arguments.child:
                    run = _record_cell_in_child(self.shell, cell, options)
                else:
                    recorded = record_cell(self.shell, cell, options)
                    run, error = recorded.run, recorded.error
            except RecordingInterruptedError as interrupt:
                run, error = interrupt.run, interrupt
        return self._ended(run, error, quiet=arguments.quiet)

    async def awaiting(self, line: str, cell: str) -> None:
        """Record a cell that awaits, on the kernel's own loop."""
        with _said_in_one_line():
            arguments, _, options = self._asked(line, cell)
            recorded = await record_awaiting_cell(self.shell, cell, options)
        self._ended(recorded.run, recorded.error, quiet=arguments.quiet)

    def awaited(self, lines: list[str]) -> list[str]:
        """Let IPython await the magic over a cell that awaits; it looks at every cell first.

        A cell that cannot be compiled is left to IPython alone: its error is all there is to say.
        """
        if not lines or not lines[0].startswith("%%leaklab"):
            return lines
        name, _, line = lines[0].rstrip().partition(" ")
        cell = "".join(lines[1:])
        if name != "%%leaklab":
            return lines
        if _never_runs(self.shell, cell):
            return [f"# {lines[0]}", *lines[1:]]
        by_itself = "--child" in line.split() or _asks_for_help(line)
        if by_itself or not awaits(self.shell, cell):
            return lines
        magic = "get_ipython().find_cell_magic('leaklab').__self__"
        return [f"await {magic}.awaiting({line!r}, {cell!r})\n"]

    def _asked(
        self, line: str, cell: str | None
    ) -> tuple[argparse.Namespace, list[str], dict[str, Any]]:
        """Return the magic's own arguments, the command after them, and options to record with."""
        from leaklab.quantities import duration_seconds, names, share, size_bytes

        assert self.shell is not None  # IPython calls a registered magic only
        self.shell.user_ns.pop(RESULT_NAME, None)  # an earlier run is not this one's
        own, command = split_line(line)
        arguments = parse_argstring(self.leaklab, own)
        options = {
            "name": arguments.name,
            "variant": arguments.variant,
            "python": arguments.python,
            "passes": names(arguments.passes) if arguments.passes else None,
            "duration_seconds": _read(duration_seconds, arguments.duration),
            "limit_memory_bytes": _read(size_bytes, arguments.limit_memory),
            "store": arguments.store,
            "mark_on": arguments.mark_on,
            "drive": arguments.drive,
            "trace_share": _read(share, arguments.trace_share),
            "until_decided": arguments.until_decided or None,
            "fresh": arguments.fresh,
        }
        if cell is not None and command:
            raise LeaklabError(
                f"a cell takes no command: {shlex.join(command)}; use %leaklab for a script"
            )
        if cell is not None and not arguments.child:
            options["live"] = not arguments.quiet
        return arguments, command, options

    def _ended(self, run: Run, error: BaseException | None, *, quiet: bool) -> None:
        assert self.shell is not None
        self.shell.user_ns[RESULT_NAME] = run
        if not quiet:
            show_run(run)
        if error is not None:
            if isinstance(error, RecordingInterruptedError):
                raise CellError(f"leaklab: {error}") from None
            # The cell's own traceback stands above; this one is for Run All, papermill and CI.
            raise CellError(f"leaklab: the cell {what_ended(error)}") from None

    def close(self) -> None:
        """End what goes on between the cells."""
        if self._kernel_lines is not None:
            self._kernel_lines.close()

    def _about_the_kernel(self, words: list[str]) -> Any:
        if self._kernel_lines is None:
            self._kernel_lines = KernelLines(self.shell)
        with _said_in_one_line():
            return self._kernel_lines.run(words)


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except LeaklabError as problem:
        raise MagicUsageError(f"leaklab: {problem}") from None


def split_line(line: str) -> tuple[str, list[str]]:
    """A magic's line as its own options and the command after them.

    Raises UsageError for an unknown option and for a quotation mark without its other.
    """
    try:
        words = shlex.split(line)
    except ValueError as problem:
        raise UsageError(f"not a command line: {line}; {str(problem).lower()}") from None
    flags = {"--child", "--fresh", "--help", "--quiet", "--until-decided"}
    position = 0
    while position < len(words) and words[position].partition("=")[0] in OPTIONS:
        stands_alone = words[position] in flags or "=" in words[position]
        position += 1 if stands_alone else 2
    if position < len(words) and words[position] == "--":
        return shlex.join(words[:position]), words[position + 1 :]
    if position < len(words) and words[position].startswith("--"):
        raise UsageError(f"unknown option: {words[position]}; allowed: {', '.join(OPTIONS)}")
    return shlex.join(words[:position]), words[position:]


def _asks_for_help(line: str) -> bool:
    words = line.split()
    if words and words[0] in COMMANDS:
        return "--help" in words
    try:
        return "--help" in split_line(line)[0].split()
    except UsageError:  # said where the line is executed
        return False


def _never_runs(shell: Any, cell: str) -> bool:
    try:
        return compile_problem(shell.transform_cell(cell)) is not None
    except SyntaxError:  # of a magic in the cell
        return True


def show_run(run: Run) -> None:
    """A run in the order one reads it: verdict, curves, suspects, holders, tree."""
    from leaklab import plots
    from leaklab.analysis.series import resource_names
    from leaklab.jupyter.show import figure, say, show
    from leaklab.present.formatting import holders_worth_showing, why_no_holder
    from leaklab.resources import IN_USE

    show(run)
    for reason in _ends(run):
        say(reason)
    measured = resource_names(run.data)
    leaking = {entry.name for entry in run.verdict().resources if entry.verdict == "leak"}
    for resource in ("rss_bytes", "heap_bytes", IN_USE):
        if resource in (leaking if resource == IN_USE else measured):
            figure(plots.growth(run, resource))
    figure(plots.curves(run))
    if len(run.suspects()):
        figure(plots.suspects(run))
    if len(holders_worth_showing(run)):
        figure(plots.retention(run))
    elif {"explain", "graph"} & {entry["pass"] for entry in run.meta["passes"]}:
        say(f"No retention path: {why_no_holder(run)}.")
    if "heap_bytes" in measured:
        show(plots.allocation_tree_html(run))


def _ends(run: Run) -> Iterator[str]:
    """What went wrong in the target or the cell, in its own last words."""
    for event in run.meta["events"]:
        if event.get("kind") == "cell":
            yield f"{event['text'][:1].upper()}{event['text'][1:]}."
    for entry in run.meta["passes"]:
        last = last_words(entry.get("stderr_tail"))
        if entry.get("exit_status") and last:
            child = (
                "; a cell with --child shares no variables" if last.startswith("NameError") else ""
            )
            status = f"exit status {entry['exit_status']}"
            yield f"The {entry['pass']} pass ended with {status}: {last}{child}"
            return


@context_matcher()
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """What may follow on a line of the magic: options after a dash, commands, passes, files."""
    line = context.line_with_cursor
    words = line[: context.cursor_position].split(" ")
    if words[0] not in ("%leaklab", "%%leaklab"):
        return {"completions": []}
    word, before = words[-1], words[-2] if len(words) > 1 else ""
    found = [SimpleCompletion(text=text, type="param") for text in _continued(words, word, before)]
    return {"completions": found, "suppress": bool(found), "matched_fragment": word}


def _continued(words: list[str], word: str, before: str) -> list[str]:
    if len(words) == 1:
        return []
    if words[1] in COMMANDS and len(words) > 2:
        return [one for one in COMMANDS[words[1]] if one.startswith(word)]
    if before == "--passes":
        done, comma, last = word.rpartition(",")
        return [f"{done}{comma}{one}" for one in PASSES if one.startswith(last)]
    if word.startswith("-"):
        return [option for option in OPTIONS if option.startswith(word)]
    commands = [one for one in COMMANDS if len(words) == 2 and one.startswith(word)]
    paths = sorted(Path().glob(f"{word}*")) if not word.startswith("/") else []
    return commands + [f"{path}/" if path.is_dir() else str(path) for path in paths]


def _read(reader: Any, text: str | None) -> Any:
    return None if text is None else reader(text)


def _record_command(
    command: list[str], arguments: argparse.Namespace, options: dict[str, Any]
) -> Run:
    from leaklab.recordings import record

    if arguments.child:
        raise LeaklabError("--child is for a cell: a script always runs in a process of its own")
    if not command:
        raise LeaklabError("nothing to record; write %leaklab script.py, or %%leaklab over a cell")
    return record(command, **options)


# Runs a cell that awaits, under its own name and lines.
_AWAITED = """\
import ast, asyncio, inspect, pathlib, sys
path = pathlib.Path(sys.argv[1])
flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
result = eval(compile(path.read_text(encoding="utf-8"), str(path), "exec", flags))
if inspect.iscoroutine(result):
    asyncio.run(result)
"""


def _record_cell_in_child(shell: Any, cell: str, options: dict[str, Any]) -> Run:
    from leaklab.recordings import record

    waits = awaits(shell, cell)
    cell = numbered_as_shown(cell)
    if not options["python"] and (problem := compile_problem(cell)) is not None:
        raise LeaklabError(f"the cell cannot be run without IPython: {problem}")
    with Scratch("cell") as folder:
        script = Path(folder, "cell.py")
        script.write_text(cell, encoding="utf-8")
        options["name"] = options["name"] or "cell"
        options["cells"] = {str(script): (cell_name(shell), cell)}
        options["expected_mark_count"] = mark_count(cell, {})
        command = [str(script)]
        if waits:
            command.insert(0, str(Path(folder, "awaited.py")))
            Path(command[0]).write_text(_AWAITED, encoding="utf-8")
        return record(command, **options)
