"""A real Jupyter kernel, asked cell by cell."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

LIMIT_SECONDS = 120.0


@dataclass
class Reply:
    """What a cell has answered: its text, its displays, and its error."""

    text: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


class Kernel:
    """A kernel of its own, asked cell by cell."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_SECONDS)

    def run(self, code: str, interrupt_when: Any = None) -> Reply:
        """Execute `code`; interrupt it once when `interrupt_when(message content)` is true."""
        reply = Reply()
        sent = self.client.execute(code)
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=LIMIT_SECONDS)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return reply
            if kind == "stream":
                reply.text += content["text"]
            elif kind == "update_display_data":
                reply.updates.append(content["data"])
            elif kind in ("display_data", "execute_result"):
                reply.shown.append(content["data"])
            elif kind == "error":
                reply.error = f"{content['ename']}: {content['evalue']}"
            if interrupt_when is not None and interrupt_when(content):
                interrupt_when = None
                self.manager.interrupt_kernel()
        pytest.fail(f"the cell did not end: {code[:60]} {reply}")


@contextmanager
def started_kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel with a store, a profile and a folder of temporary files of its own."""
    manager = KernelManager(kernel_name="python3")
    environment = {**os.environ, "LEAKLAB_STORE": str(folder / "store"), "IPYTHONDIR": str(folder)}
    environment.pop("LEAKLAB_PROGRESS", None)
    # Short, for sockets are made in it, and of nobody else: what is left there is counted.
    with tempfile.TemporaryDirectory(prefix="k") as temporary:
        manager.start_kernel(cwd=str(folder), env={**environment, "TMPDIR": temporary})
        try:
            kernel = Kernel(manager)
            yield kernel
            kernel.client.stop_channels()
        finally:
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()
