"""The command line: one thin module a command, loaded when it is called."""

from __future__ import annotations

import argparse
import atexit
import gc
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from leaklab.cli import output
from leaklab.cli.recording import pairs_apart
from leaklab.end_signals import as_interrupts, exit_status
from leaklab.errors import LeaklabError, UsageError

# Name and what it does; ``leaklab.cli.<module>`` has configure(parser) and run(arguments).
COMMANDS = {
    "investigate": "record, analyse and report: cases of the catalogue, or a command of your own",
    "record": "record a run of a command, print its folder",
    "show": "verdict, resources, suspects and retention of a run",
    "compare": "does the fix work: the rates of two runs, before and after",
    "report": "render runs or cases as self-contained HTML",
    "audit": "what may leak in a code base, and what a run says of each place",
    "cases": "the catalogue of documented leaks",
    "run": "execute a notebook as a strict papermill job",
    "jobs": "record many cases at once, on this machine or a dask cluster",
    "watch": "follow running processes from outside",
    "import": "turn a capture, a series or a log of another tool into a run",
    "post-mortem": "how a run ended, and what held what",
    "doctor": "what this machine can and cannot record, and how to get it",
}
_MODULES = {"run": "run_notebook", "import": "import_files", "post-mortem": "post_mortem"}

EXIT_STATUS = "exit status: 0 done, 1 failed, 2 wrong usage"
FOUND_STATUS = ", 3 what --fail-on names was found"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in leaklab's own one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # "-3d" is the value of an option, and a wrong one; no option of ours begins with a digit.
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        output.take_over()
        if arguments[:1] in (["show"], ["compare"]):
            _spare_collections()
    try:
        with as_interrupts():
            try:
                return _dispatch(arguments)
            finally:
                output.flush()
    except UsageError as error:
        return _complain(error, 2)
    except output.OutputError as error:
        output.give_up(sys.stdout)
        return _complain(error, 1)
    except LeaklabError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        # Where stdout is not the stream that was taken over, which goes on without a reader.
        output.give_up(sys.stdout)
        return 1
    except KeyboardInterrupt as interrupt:
        return _complain(str(interrupt) or "interrupted", exit_status(interrupt))


def _spare_collections() -> None:
    """Have a short command, whose process it is, collect next to never, and not at its end.

    What it imports stays anyway; looking through that took a fifth of its time.
    """
    gc.set_threshold(1_000_000)
    atexit.register(gc.freeze)


def _complain(error: object, status: int) -> int:
    from leaklab.present.terminal import safe

    try:
        print(f"leaklab: {safe(error)}", file=sys.stderr)
    except OSError:
        output.give_up(sys.stderr)  # the exit status is all that is left to tell
    return status


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else None
    if name is None or name.startswith("-"):
        return _top_level(arguments)
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(COMMANDS)}"
        raise UsageError(f"unknown command: {name}; {hint}")
    parser = command_parser(name)
    own, target = arguments[1:], None
    # Elsewhere `--` ends the options, as of any program: what follows is a file or a run.
    if _takes_target(parser) and "--" in own:
        at = own.index("--")
        own, target = own[:at], own[at + 1 :]
    parsed = parser.parse_args(pairs_apart(own))
    if _takes_target(parser):
        parsed.command = [*(parsed.command or []), *(target or [])]
    if hasattr(parsed, "store"):
        parsed.store = _named_store(parsed.store)
    status: int = import_module(f"leaklab.cli.{_MODULES.get(name, name)}").run(parsed)
    return status


def _named_store(given: str | None) -> str | None:
    """The store that ``--store`` names, a path where it is one; what a command cannot use fails."""
    from leaklab.store.location import check_lasting, default_store, local_path

    check_lasting(given or default_store())
    return local_path(given) if given else None


def command_parser(name: str) -> Parser:
    """Return the parser of one command."""
    module = import_module(f"leaklab.cli.{_MODULES.get(name, name)}")
    parser = Parser(
        prog=f"leaklab {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        epilog=EXIT_STATUS,
        allow_abbrev=False,
    )
    module.configure(parser)
    if any("--fail-on" in action.option_strings for action in parser._actions):
        parser.epilog = EXIT_STATUS + FOUND_STATUS
    return parser


def _takes_target(parser: Parser) -> bool:
    """Whether a command takes one of the user's own to record, after ``--``."""
    return any(action.dest == "command" for action in parser._actions) or (
        "command" in parser._defaults
    )


def _top_level(arguments: list[str]) -> int:
    from leaklab.version import __version__

    lines = "\n".join(f"  {name:<12} {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="leaklab",
        usage="leaklab COMMAND …",
        description="Does it leak, which line allocates what stays, what keeps it, "
        "does the fix work.",
        epilog=f"commands:\n{lines}\n\n{EXIT_STATUS}{FOUND_STATUS}\n"
        "`leaklab COMMAND --help` lists its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"leaklab {__version__}")
    parser.parse_args(arguments)
    parser.print_help(sys.stderr)
    return 2
