"""What goes together when a line is executed, and what of a process is not the user's."""

from __future__ import annotations

from dataclasses import dataclass, field

# fmt: off
JUPYTER = frozenset((
    "IPython", "ipykernel", "ipykernel_launcher", "traitlets", "zmq", "tornado", "jupyter_client",
    "jupyter_core", "comm", "jedi", "parso", "prompt_toolkit", "pygments", "stack_data",
    "executing", "asttokens", "pure_eval", "decorator", "matplotlib_inline", "debugpy",
    "_pydevd_bundle", "_pydevd_sys_monitoring", "pydevd", "nest_asyncio", "ipywidgets",
))
# fmt: on


@dataclass
class Group:
    """What goes together.

    kind: name, out, traceback, figures, widgets, cache, thread, task, event, call, atexit, handler
    or context. line: empty where nothing lets go of it. targets: addresses of what the line lets go
    of. sources: addresses of what holds those under the names that the line removes; source_types:
    of anything of these types, it lets go as well. root_kind: the roots of this kind (see
    object_graph.graph) that are targets, or have the name root_name, go with it; all that no other
    group takes where that is empty. container: address of what the line empties instead. kept:
    addresses of what it keeps. empty_bytes: the container's own size when it is empty, None where
    it does not shrink. native_bytes: memory of C libraries that goes as well and is no object.
    collects: the line calls the collector, so that garbage holds nothing any more.
    """

    key: str
    kind: str
    title: str
    line: str
    cell: int | None = None
    type: str = ""
    names: list[str] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    source_types: list[str] = field(default_factory=list)
    root_kind: str | None = None
    root_name: str | None = None
    container: int | None = None
    kept: list[int] = field(default_factory=list)
    empty_bytes: int | None = None
    native_bytes: int = 0
    collects: bool = False
