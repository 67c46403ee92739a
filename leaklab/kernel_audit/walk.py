"""One walk through a copy of this process, analysed by a process beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.kernel_audit.inventory import inventory

LIMIT_SECONDS = 120.0


def walked(
    folder: Path, shell: Any, say: Callable[[str], None], limit_seconds: float = LIMIT_SECONDS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Walk the heap and return (inventory, table); the graph stays in ``folder`` for questions.

    Raises LeaklabError when no copy can be made or the walk does not end in time.
    """
    from leaklab.probe import graph

    say("copying the kernel")
    held = json.dumps(inventory(shell))  # a text: none of its lists is in the copy
    try:
        done = graph.dump_by_fork(str(folder / "graph.dump"), limit_seconds=limit_seconds)
    except graph.ForkError as problem:
        raise LeaklabError(f"this process cannot be copied: {problem}") from None
    say(f"walking the copy; the kernel was held for {1000 * done['pause_seconds']:.0f} ms")
    try:
        request = {"pid": done["pid"], "limit_seconds": limit_seconds}
        return json.loads(held), ask([str(folder)], f"{json.dumps(request)}\n{held}", say)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(done["pid"], signal.SIGKILL)
        raise


def ask(
    arguments: list[str], request: str = "", say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Run the sidecar and return its answer; ``say`` is told each line before."""
    command = [sys.executable, "-m", "leaklab.kernel_audit.sidecar", *arguments]
    last = ""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # an interrupt is for the kernel, which then ends it
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request)
            process.stdin.close()
            for line in process.stdout:
                if last and say is not None:
                    say(last)
                last = line.strip()
        except BaseException:
            process.kill()
            raise
    if not last:
        raise LeaklabError("the analysis ended without a word: too little memory? free some first")
    answer: dict[str, Any] = json.loads(last)
    if "error" in answer:
        raise LeaklabError(answer["error"])
    return answer
