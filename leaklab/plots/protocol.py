"""What a figure needs of a run, so that figures do not depend on how a run was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.findings.tree import AllocationTree
    from leaklab.store import RunData
    from leaklab.verdict.judge import Verdict


class RunLike(Protocol):
    """A recorded run: its tables, its run.json, and what the analysis says of it."""

    @property
    def data(self) -> RunData:
        """The tables."""

    @property
    def meta(self) -> dict[str, Any]:
        """run.json."""

    def verdict(self) -> Verdict:
        """The verdict on the run and on each resource."""

    def notes(self) -> list[str]:
        """What to know beside the verdict, one sentence each."""

    def suspects(self) -> pd.DataFrame:
        """The allocation sites that keep growing."""

    def origins(self) -> pd.DataFrame:
        """The lines that made what grows in number."""

    def labels(self) -> pd.DataFrame:
        """Growth per unit of work by its label."""

    def retention(self) -> pd.DataFrame:
        """What keeps the growth alive."""

    def resident(self, role: str | None = None) -> pd.DataFrame:
        """Resident memory in its parts over time."""

    def tree(self) -> AllocationTree:
        """The live heap by call."""
