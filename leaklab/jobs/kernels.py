"""Which kernel a notebook runs in, decided before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaklab.errors import LeaklabError, UsageError

# What the kernel of the interpreter that leaklab runs in is called.
OWN_KERNEL = "python3"


def kernel_of(notebook: Mapping[str, Any], name: str, chosen: str | None) -> tuple[str, str]:
    """Return the kernel's name and language: the chosen one, else the one the notebook names.

    A notebook written by a program may name none and runs in leaklab's own. Raises UsageError when
    the chosen kernel is not installed, LeaklabError when the one the notebook names is not.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    metadata = notebook.get("metadata") or {}
    named = (metadata.get("kernelspec") or {}).get("name")
    kernel = str(chosen or named or OWN_KERNEL)
    kernels = KernelSpecManager()
    try:
        return kernel, kernels.get_kernel_spec(kernel).language or "python"
    except NoSuchKernel:
        allowed = ", ".join(sorted(kernels.find_kernel_specs())) or "none found"
    if chosen:
        raise UsageError(f"no such kernel here: {kernel}; allowed: {allowed}")
    raise LeaklabError(
        f"{name} names a kernel that is not here: {kernel}; choose one with --kernel: {allowed}"
    )
