"""Whether a debugger can call functions in a process on this machine, tried on one of ours.

gdb 13 cannot write the registers of newer processors ("Couldn't write extended state status"), and
a process that waited in a system call when it tried does not survive it.
"""

from __future__ import annotations

import subprocess
import sys

_SECONDS = 30.0
_WAITS = "import sys, time; sys.stdout.write('up'); sys.stdout.flush(); time.sleep(3600)"


def why_unusable(debugger: str = "gdb") -> str | None:
    """Return why the debugger cannot be used on a process, in one line; None where it can."""
    words = [sys.executable, "-I", "-S", "-c", _WAITS]
    # What it says when it dies is no news of the target's.
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as own:
        try:
            assert own.stdout is not None
            own.stdout.read(2)
            command = [debugger, "-nx", "-batch", "-p", str(own.pid), "-ex", "call (int)getpid()"]
            tried = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{debugger} was not done with a process of ours after {_SECONDS:.0f} s"
        except OSError as problem:
            return f"{debugger}: {problem}"
        finally:
            own.kill()
    if f"= {own.pid}" in tried.stdout:
        return None
    said = [line for line in tried.stderr.splitlines() if line.strip()]
    return (
        f"{debugger} cannot call a function in a process on this machine, and one that waits would "
        f"not survive it ({said[-1].strip() if said else 'it said nothing'}); a newer one may"
    )
