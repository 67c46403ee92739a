"""``%leaklab kernel`` and ``%leaklab watch``: what this kernel holds, and what each cell adds."""

from __future__ import annotations

from typing import Any

from leaklab.errors import UsageError
from leaklab.jupyter.watch_line import Watch

AUDIT_NAME = "leaklab_kernel"
COMMANDS = {"kernel": ("--since", "--quiet"), "watch": ("on", "off")}


class KernelLines:
    """The commands of ``%leaklab`` that are about the kernel itself."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._watch: Watch | None = None

    def run(self, words: list[str]) -> Any:
        """Do what ``kernel …`` or ``watch …`` says and return what is to be shown."""
        command, *rest = words
        unknown = [word for word in rest if word not in COMMANDS[command]]
        if unknown:
            allowed = ", ".join(COMMANDS[command])
            raise UsageError(f"%leaklab {command}: {unknown[0]}; allowed: {allowed}")
        return self._kernel(rest) if command == "kernel" else self._watched(rest)

    def _kernel(self, options: list[str]) -> Any:
        from leaklab.kernel_audit.audit import KernelAudit, kernel

        earlier = self._shell.user_ns.get(AUDIT_NAME)
        audit = kernel()
        self._shell.user_ns[AUDIT_NAME] = audit
        if "--quiet" in options:
            return None
        if "--since" in options:
            if not isinstance(earlier, KernelAudit):
                raise UsageError("--since: no earlier audit; this one is kept for the next time")
            return audit - earlier
        return audit

    def _watched(self, options: list[str]) -> None:
        self.close()
        if "off" not in options:  # a cell that is run again asks for the same again
            self._watch = Watch(self._shell)

    def close(self) -> None:
        """End what goes on between the cells."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
