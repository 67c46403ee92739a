"""The processes below this one, from the kernel's tables."""

import os
import sys

# Where multiprocessing remembers the helpers that it keeps for the life of the process: nobody sees
# how they are started.
HELPER_PIDS = (
    ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
    ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
)


def child_pids(process="self"):
    """Return the process ids of a process's children, ended ones included."""
    found = set()
    try:
        threads = os.listdir("/proc/%s/task" % process)
    except OSError:
        return found
    for thread in threads:
        try:
            with open("/proc/%s/task/%s/children" % (process, thread), "rb", buffering=0) as file:
                found.update(int(pid) for pid in file.read().split())
        except OSError:
            continue
    return found


def helper_pids():
    """Return the process ids of the helpers of multiprocessing that are in use."""
    found = set()
    for module, holder, name in HELPER_PIDS:
        helper = getattr(sys.modules.get(module), holder, None)
        found.add(getattr(helper, name, None))
    return found - {None}


def descendant_pids():
    """Return the process ids of this process's children and theirs, ended ones included."""
    found, further = set(), child_pids()
    while further:
        found |= further
        further = set().union(*(child_pids(pid) for pid in further)) - found
    return found


def command_of(pid):
    """Return a process's command line; empty where it has none (any more)."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb", buffering=0) as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
