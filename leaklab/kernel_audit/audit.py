"""``ll.kernel()``: what this kernel holds, and which line frees it."""

from __future__ import annotations

import os
import sys
import weakref
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.kernel_audit.cells import current_shell
from leaklab.kernel_audit.holdings import Holding, holdings
from leaklab.kernel_audit.inventory import is_named
from leaklab.kernel_audit.walk import ask, walked
from leaklab.present.formatting import amount
from leaklab.present.live import in_kernel
from leaklab.present.table import Table
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.holders import WhyAlive

_SHOWN_COUNT = 12
# Holdings below this share of what was seen are counted, not listed.
_LEAST_SHARE = 0.002
# Changes below this share of the largest are in .frame() only.
_LEAST_CHANGE = 0.01

# What numpy.zeros asks for has no pages until something is written to it.
_UNTOUCHED = "of which at least {} are in no memory: not touched yet, or swapped out"


@dataclass(frozen=True, eq=False, repr=False)
class KernelAudit:
    """What one walk through this process found.

    holdings: what goes free together, the largest first, with the line that frees it. parts: the
    objects by whose they are (name, bytes, object_count). resident_bytes: of the process;
    seen_bytes: of all objects found; native_bytes: the rest, memory of C libraries and of the
    allocator. All of them sizes at the time of the walk. Shows itself as text and HTML.

    >>> audit = ll.kernel()
    >>> audit.frame().head()          # the holdings as a DataFrame
    >>> audit.why(df)                 # what holds an object, from the same walk
    >>> ll.kernel() - audit           # what has come and gone since
    """

    holdings: list[Holding]
    parts: list[dict[str, Any]]
    resident_bytes: int
    seen_bytes: int
    object_count: int
    walk_seconds: float
    analysis_seconds: float
    _folder: Scratch

    @property
    def native_bytes(self) -> int:
        """Resident memory that no Python object accounts for; negative where objects are swapped
        out or were never touched."""
        return self.resident_bytes - self.seen_bytes

    def frame(self) -> pd.DataFrame:
        """Return the holdings as a DataFrame, the largest first.

        Columns: bytes (what the line frees), holding (what it is), kind (see Holding), cell (number
        of the cell it is from, null where unknown), detail (what most of it is), line (empty where
        none frees it).
        """
        import pandas as pd

        rows = [
            (one.bytes, one.title, one.kind, one.cell, one.detail_text(), one.line)
            for one in self.holdings
        ]
        columns = ["bytes", "holding", "kind", "cell", "detail", "line"]
        return pd.DataFrame(rows, columns=columns).astype({"cell": "Int64", "bytes": "int64"})

    def names(self) -> pd.DataFrame:
        """Return the user's names by the bytes that go with each: bytes, name, type, cell."""
        import pandas as pd

        rows = [
            (one.bytes, name, one.type, one.cell)
            for one in self.holdings
            if one.kind in ("name", "out", "cache")
            for name in one.names
        ]
        frame = pd.DataFrame(rows, columns=["bytes", "name", "type", "cell"])
        return frame.astype({"cell": "Int64", "bytes": "int64"})

    def why(self, one: Any, *, limit: int = 10) -> WhyAlive:
        """Return what holds ``one``, from the walk of this audit: see :func:`leaklab.why_alive`.

        Raises LeaklabError for an object that came into being later, or was held by names only
        that have let go of it since.
        """
        import pandas as pd

        from leaklab.holders import WhyAlive

        answer = ask([str(self._folder.path), str(id(one)), str(limit)])
        kind = type(one)
        is_other = answer["type"].rpartition(".")[2] != kind.__qualname__.rpartition(".")[2]
        names = answer["only_names"]
        # Its address may have been that of another of its type, which is gone.
        if is_other or (names and not is_named(one, names, current_shell())):
            raise LeaklabError(f"not in this audit: this {kind.__name__}; ask ll.kernel() again")
        holders = pd.DataFrame(answer["holders"])
        return WhyAlive(answer["type"], answer["retained_bytes"], holders, answer["native"])

    def __sub__(self, earlier: KernelAudit) -> KernelDifference:
        """Return what has come and gone since an earlier audit."""
        if not isinstance(earlier, KernelAudit):
            return NotImplemented
        before = {one.key: one for one in earlier.holdings}
        now = {one.key: one for one in self.holdings}
        rows = []
        for key in {**now, **before}:
            one, other = now.get(key), before.get(key)
            change = (one.bytes if one else 0) - (other.bytes if other else 0)
            own = (one.beyond_bytes if one else 0) - (other.beyond_bytes if other else 0)
            if abs(own) > _LEAST_CHANGE * abs(change):  # else it is that of a holding inside it
                rows.append((change, one or before[key]))
        rows.sort(key=lambda row: -abs(row[0]))
        return KernelDifference(
            rows,
            self.resident_bytes - earlier.resident_bytes,
            self.native_bytes - earlier.native_bytes,
        )

    def _table(self) -> Table:
        least = _LEAST_SHARE * self.seen_bytes
        large = [one for one in self.holdings if one.beyond_bytes >= least][:_SHOWN_COUNT]
        rows = [(one.bytes_text(), one.text(), one.line_text()) for one in large]
        return Table(["frees", "what is held", "the line that frees it"], rows, numbers=["frees"])

    def _head(self) -> str:
        rest = amount("heap_bytes", abs(self.native_bytes))
        is_native = self.native_bytes >= 0
        return (
            f"{amount('rss_bytes', self.resident_bytes)} resident: "
            f"{amount('heap_bytes', self.seen_bytes)} in {self.object_count:,} objects, "
            + (f"{rest} native (C libraries, allocator)" if is_native else _UNTOUCHED.format(rest))
        )

    def _rest(self) -> str:
        shown = len(self._table().rows)
        left = len(self.holdings) - shown
        which = "smaller holdings, or around these, are" if shown else "small holdings are"
        more = f"{left} {which} in .frame(). " if left else ""
        shares = ", ".join(
            f"{part['name']} {amount('heap_bytes', part['bytes'])}" for part in self.parts
        )
        return f"{more}Objects by whose they are: {shares}."

    def __str__(self) -> str:
        table = self._table()
        return "\n\n".join([self._head(), *([str(table)] if table.rows else []), self._rest()])

    def __repr__(self) -> str:
        return f"<KernelAudit: {self._head()}, {len(self.holdings)} holdings>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        head, rest = escape(self._head()), escape(self._rest())
        table = self._table()
        html = f"<p>{head}</p>{table.html() if table.rows else ''}<p>{rest}</p>"
        return {"text/plain": str(self), "text/html": html}


@dataclass(frozen=True, eq=False, repr=False)
class KernelDifference:
    """What came and went between two audits.

    changes: (bytes, Holding), the largest change first; negative where something went.
    resident_bytes and native_bytes: how much those changed.
    """

    changes: list[tuple[int, Holding]]
    resident_bytes: int
    native_bytes: int

    def frame(self) -> pd.DataFrame:
        """Return the changes: bytes, holding, cell, line."""
        import pandas as pd

        rows = [(size, one.title, one.cell, one.line) for size, one in self.changes]
        frame = pd.DataFrame(rows, columns=["bytes", "holding", "cell", "line"])
        return frame.astype({"cell": "Int64", "bytes": "int64"})

    def _table(self) -> Table:
        least = _LEAST_CHANGE * max((abs(size) for size, _ in self.changes), default=0)
        rows = [
            (
                amount("heap_bytes", size, signed=True),
                one.text(),
                one.line_text() if size > 0 else "",
            )
            for size, one in self.changes[:_SHOWN_COUNT]
            if abs(size) >= least
        ]
        return Table(["change", "what is held", "the line that frees it"], rows, numbers=["change"])

    def _head(self) -> str:
        resident = amount("rss_bytes", self.resident_bytes, signed=True)
        native = amount("heap_bytes", self.native_bytes, signed=True)
        return f"since the earlier audit: {resident} resident, {native} native"

    def __str__(self) -> str:
        return f"{self._head()}\n\n{self._table()}" if self.changes else self._head()

    def __repr__(self) -> str:
        return f"<KernelDifference: {self._head()}, {len(self.changes)} changes>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = f"<p>{escape(self._head())}</p>{self._table().html() if self.changes else ''}"
        return {"text/plain": str(self), "text/html": html}


def kernel(*, progress: bool = True) -> KernelAudit:
    """Say what this kernel holds, by what goes free together, and which line frees it.

    One walk through a copy of the process, analysed beside it: the kernel itself stands still for
    some milliseconds and grows by the table only. Every line of ``line``, executed in a cell, frees
    the bytes it is printed with. Also works in a plain Python process, on the names of
    ``__main__``; there ``progress`` writes a line that says how far it is. (In a notebook each
    output stays as a box under the cell, also one that is empty in the end.)

    >>> ll.kernel()
    >>> ll.kernel().frame()

    Raises LeaklabError when the process cannot be copied or the walk takes over two minutes.
    """
    folder = Scratch("kernel")
    progress = progress and not in_kernel()
    try:
        held, table = walked(folder.path, current_shell(), _say if progress else _quiet)
    except BaseException:
        folder.close()
        raise
    finally:
        if progress:
            _say("")
    audit = KernelAudit(
        holdings=holdings(held["groups"], table),
        parts=table["parts"],
        resident_bytes=_resident_bytes(),
        seen_bytes=table["seen_bytes"],
        object_count=table["object_count"],
        walk_seconds=table["walk_seconds"],
        analysis_seconds=table["analysis_seconds"],
        _folder=folder,
    )
    weakref.finalize(audit, folder.close)
    return audit


def _say(text: str) -> None:
    print(f"\r{text:<70}\r" if not text else f"\r{text:<70}", end="", file=sys.stderr, flush=True)


def _quiet(text: str) -> None:
    pass


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
