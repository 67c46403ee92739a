"""Several cases of the catalogue: what they claim, and their recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from leaklab.catalogue.model import Case, catalogue
from leaklab.catalogue.recording import CaseSkipped
from leaklab.catalogue.telling import claims_table
from leaklab.errors import UsageError

if TYPE_CHECKING:
    from leaklab.present.table import Table
    from leaklab.results.run import Run


class Cases(Mapping[str, Case]):
    """Cases by id. A notebook shows what they claim."""

    def __init__(self, chosen: Mapping[str, Case]) -> None:
        self._cases = dict(chosen)

    def __getitem__(self, name: str) -> Case:
        return self._cases[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)

    def __repr__(self) -> str:
        return f"<Cases: {', '.join(self._cases)}>"

    def claims(self) -> Table:
        """Return what the documents say, in our words, and what the measurement says about it."""
        return claims_table(self._cases.values(), judged=True)

    def record(
        self,
        *,
        quick: bool = False,
        fresh: bool = False,
        recorded: str = "",
        **parameters: Any,
    ) -> dict[str, dict[str, Run]]:
        """Record each case, or load what was recorded before; runs by case and variant.

        As `Case.record`; a parameter that a case does not have is left out there, and all values
        are checked before the first is recorded. Cases that are left out are printed, with the
        reason.
        """
        given = {
            name: {key: value for key, value in parameters.items() if key in case.parameters}
            for name, case in self._cases.items()
        }
        for name, case in self._cases.items():
            case.values(given[name])
        runs: dict[str, dict[str, Run]] = {}
        left_out: dict[str, list[str]] = {}
        for name, case in self._cases.items():
            try:
                runs[name] = case.record(
                    quick=quick, fresh=fresh, recorded=recorded, **given[name]
                )  # fmt: skip
            except CaseSkipped as skipped:
                left_out.setdefault(skipped.reason, []).append(name)
        for reason, names in left_out.items():
            print(f"left out: {', '.join(names)}: {reason}", flush=True)
        return runs

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return claims_table(self._cases.values(), judged=False)._repr_mimebundle_()


def cases(mechanism: str = "", *, without: Iterable[Case] | Case = ()) -> Cases:
    """Return the catalogue: every case by id, or those of one ``mechanism``.

    Raises UsageError for a mechanism that no case has.

    >>> ll.cases("unbounded-caches").claims()
    """
    left_out = {without.id} if isinstance(without, Case) else {case.id for case in without}
    found = catalogue()
    known = sorted({case.mechanism for case in found.values()})
    if mechanism and mechanism not in known:
        raise UsageError(f"no case has the mechanism: {mechanism}; allowed: {', '.join(known)}")
    return Cases(
        {
            name: case
            for name, case in found.items()
            if mechanism in ("", case.mechanism) and name not in left_out
        }
    )
