"""Servers of the catalogue: where their programs are run from."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from leaklab.catalogue.server_guard import unprivileged, usable_programs


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_programs_below_a_closed_folder_are_copied_with_their_libraries(tmp_path: Path) -> None:
    closed = tmp_path / "site-packages"
    programs = closed / "server" / "install" / "bin"
    programs.mkdir(parents=True)
    (closed / "server.libs").mkdir()
    (closed / "server.libs" / "library").write_text("found\n")
    probe = programs / "probe"
    probe.write_text('#!/bin/sh\nexec cat "$(dirname "$0")/../../../server.libs/library"\n')
    probe.chmod(0o755)
    closed.chmod(0o700)
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        usable = usable_programs(programs, "probe", Path(scratch))
        done = subprocess.run(
            [usable / "probe"], capture_output=True, text=True, cwd="/", **unprivileged()
        )
    assert (done.returncode, done.stdout) == (0, "found\n"), done.stderr
