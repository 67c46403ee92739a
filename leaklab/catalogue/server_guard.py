"""Runs one database server for a case and ends it, with its data, when standard input closes.

Started by `leaklab.catalogue.services` as ``python -I server_guard.py KIND
PROGRAM_FOLDER``; prints the server's URL once it accepts connections. A process of its own, because
nothing else survives a leaklab that is killed: the pipe's end closes with whoever held it.
Standard library only.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

STOP_SECONDS = 10
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root


def unprivileged() -> dict[str, Any]:
    """Arguments for subprocess that give up root; none are needed for other users."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def usable_programs(programs: Path, probe: str, scratch: Path) -> Path:
    """The folder of programs, or a copy of its tree that the unprivileged user can reach."""
    try:
        subprocess.run(
            [programs / probe, "--version"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **unprivileged(),
        )
    except (PermissionError, subprocess.CalledProcessError):
        # An environment below /root, say. The programs find their libraries relative to themselves:
        # in their own tree, and beside the package, where wheels have those of the system.
        beside = {one: one.with_name(f"{one.name}.libs") for one in programs.parents if one.name}
        tree = next((one for one, libs in beside.items() if libs.is_dir()), programs.parent)
        for folder in (tree, beside[tree]):
            if folder.is_dir():
                shutil.copytree(folder, scratch / "programs" / folder.name, symlinks=True)
                (scratch / "programs" / folder.name).chmod(0o755)
        (scratch / "programs").chmod(0o755)
        return scratch / "programs" / programs.relative_to(tree.parent)
    return programs


def start_postgres(
    programs: Path, scratch: Path
) -> tuple[subprocess.Popen[str], IO[str], str, str]:
    """A PostgreSQL server on a private socket; the last item is what it logs when it is ready."""
    data, account = scratch / "data", unprivileged()
    programs = usable_programs(programs, "postgres", scratch)
    made = subprocess.run(
        [
            programs / "initdb",
            *("-D", data, "-U", "postgres", "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C"),
        ],
        cwd="/",
        capture_output=True,
        text=True,
        **account,
    )
    if made.returncode != 0:
        sys.exit(made.stderr.strip())
    server = subprocess.Popen(
        [
            programs / "postgres",
            "-D",
            data,
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            f"unix_socket_directories={scratch}",
            "-c",
            "max_connections=100",
        ],
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **account,
    )
    assert server.stderr is not None
    url = f"postgresql://postgres@/postgres?host={scratch}"
    return server, server.stderr, url, "ready to accept connections"


def start_valkey(programs: Path, scratch: Path) -> tuple[subprocess.Popen[str], IO[str], str, str]:
    """A Valkey server on a free loopback port, with a password; see `start_postgres`."""
    programs = usable_programs(programs, "valkey-server", scratch)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    password = secrets.token_hex(16)
    server = subprocess.Popen(
        [programs / "valkey-server", "-"],
        cwd=scratch,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **unprivileged(),
    )
    assert server.stdin is not None and server.stdout is not None
    # By standard input: on the command line the password would be everybody's.
    server.stdin.write(f"bind 127.0.0.1\nport {port}\nsave ''\nrequirepass {password}\n")
    server.stdin.close()
    return server, server.stdout, f"redis://:{password}@127.0.0.1:{port}/0", "Ready to accept"


def serve(kind: str, programs: Path, scratch: Path) -> None:
    """Start the server, tell its URL, and stop it when our standard input closes."""
    if os.geteuid() == 0:
        shutil.chown(scratch, UNPRIVILEGED_USER)
    start = {"postgres": start_postgres, "valkey": start_valkey}[kind]
    server, log, url, ready = start(programs, scratch)
    lines = []
    try:
        for line in log:
            lines.append(line)
            if ready in line:
                break
        else:
            sys.exit(f"{kind} did not start: {''.join(lines[-5:])}")
        threading.Thread(target=lambda: [None for _ in log], daemon=True).start()
        print(url, flush=True)
        sys.stdin.read()
    finally:
        # SIGINT is PostgreSQL's fast shutdown (it does not wait for clients); Valkey obeys it too.
        for stop in (signal.SIGINT, signal.SIGKILL):
            try:
                server.send_signal(stop)
                server.wait(STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue


def main() -> None:
    """Run the server named on the command line in a scratch folder of its own."""
    # Ctrl-C and a closed terminal are for leaklab: when it ends, our standard input does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    kind, programs = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix=f"leaklab-{kind}-") as scratch:
        serve(kind, programs, Path(scratch))


if __name__ == "__main__":
    main()
