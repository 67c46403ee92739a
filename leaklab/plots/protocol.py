"""What a figure needs of a run, so that figures do not depend on how a run was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.store import RunData


class RunLike(Protocol):
    """A recorded run: its tables, its run.json, and what the analysis says of it."""

    @property
    def data(self) -> RunData: ...

    @property
    def meta(self) -> dict[str, Any]: ...

    def verdict(self) -> Any: ...

    def suspects(self) -> pd.DataFrame: ...

    def retention(self) -> pd.DataFrame: ...

    def tree(self) -> Any: ...
