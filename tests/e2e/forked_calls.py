"""What tests of the fork server have called in other processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def facts(names: list[str]) -> dict[str, object]:
    """The process seen from inside."""
    return {
        "folder": str(Path.cwd()),
        "variables": [os.environ.get(name) for name in names],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "loaded": [name in sys.modules for name in names],
    }


def kill_itself(_: object) -> None:
    """Die without a result."""
    print("a last word", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_: object) -> None:
    """Raise."""
    raise ValueError("from inside")


def wait_for_ever(file: str) -> None:
    """Wait, deaf to SIGTERM, with a child of its own; both process ids are in ``file``."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(file).write_text(f"{os.getpid()} {child.pid}")
    child.wait()


def wait_until_told(file: str) -> None:
    """Wait; the process id is in ``file``."""
    Path(file).write_text(f"{os.getpid()}")
    signal.pause()
