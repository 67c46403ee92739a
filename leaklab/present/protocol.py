"""What a result must offer to be shown: how it was worked out is not asked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd


class ShownResource(Protocol):
    """The verdict on one resource of one role; figures in the resource's own unit."""

    name: Any
    role: Any
    verdict: Any
    rate: Any
    unit: Any
    first: Any
    last: Any
    reason: Any
    excluded: Any
    span: Any


class ShownVerdict(Protocol):
    """The verdict on a run: one word, one sentence, and the same for each resource."""

    @property
    def verdict(self) -> str:
        """``leak``, ``bounded`` or ``inconclusive``."""

    @property
    def reason(self) -> str:
        """What the verdict rests on, in one sentence."""

    @property
    def resources(self) -> Sequence[Any]:
        """A `ShownResource` for each resource and role."""

    def resource(self, name: str, role: str = "main") -> Any:
        """Return the entry of one resource, None where it was not measured."""


class ShownComparison(Protocol):
    """Two runs compared: the outcome, and a table by resource, one by site and one by holder."""

    @property
    def outcome(self) -> str:
        """``fixed``, ``improved``, ``unchanged``, ``worse`` or ``inconclusive``."""

    @property
    def reason(self) -> str:
        """What the outcome rests on, in one sentence."""

    @property
    def runs(self) -> str:
        """Name, state and passes of both runs, and how each pass ended, in one line."""

    @property
    def resources(self) -> pd.DataFrame:
        """One row per resource."""

    @property
    def sites(self) -> pd.DataFrame:
        """One row per allocation site that leaks in either run."""

    @property
    def holders(self) -> pd.DataFrame:
        """One row per path to what objects pile up in, in either run."""


class Suspected(Protocol):
    """A run of which suspects are shown."""

    @property
    def data(self) -> Any:
        """The tables of the recording."""

    def verdict(self) -> Any:
        """Return the verdict."""

    def suspects(self) -> pd.DataFrame:
        """Return the allocation sites that keep growing."""

    def retention(self) -> pd.DataFrame:
        """Return what keeps alive what grows."""


class ShownRun(Suspected, Protocol):
    """A recorded run with what the analysis says of it."""

    @property
    def label(self) -> str:
        """``name/variant``."""

    @property
    def path(self) -> str | None:
        """Folder or URL; None for a run made in memory."""

    @property
    def horizon_seconds(self) -> float | None:
        """For how long "bounded" must hold; None: as the run was recorded with."""

    @property
    def meta(self) -> dict[str, Any]:
        """run.json."""

    def verdict(self) -> ShownVerdict:
        """Return the verdict."""

    def origins(self) -> pd.DataFrame:
        """Return the lines that made what grows in number."""

    def labels(self) -> pd.DataFrame:
        """Return growth per unit of work by its label."""

    def heap(self, by: str = "line", *, limit: int | None = None) -> pd.DataFrame:
        """Return the live heap by line over its snapshots, the largest at the end first."""

    def given_back(self) -> list[dict[str, Any]]:
        """Return what was given back after the work: name, value, after."""

    def reserved(self) -> tuple[float, float] | None:
        """Return bytes of the heap that are only reserved, and resident bytes; None for none."""

    def kept_free(self) -> pd.DataFrame:
        """Return what allocators keep free, and how to get it back."""

    def tried(self) -> pd.DataFrame:
        """Return what the passes that try allocator settings have brought."""

    def notes(self) -> list[str]:
        """Return what to know beside the verdict, a sentence each."""

    def limit_text(self) -> str | None:
        """Return when the smallest limit is reached, or that it has been; None for neither."""
