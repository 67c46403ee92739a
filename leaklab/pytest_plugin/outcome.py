"""What was found out about one test: leak, inconclusive or bounded, with figures per unit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from leaklab.pytest_plugin.settings import COUNTED

if TYPE_CHECKING:
    from leaklab.verdict.resources import ResourceVerdict

# What happens in one call of n is missed in 3 n calls with a chance of 5 %.
RARE = 3
LEAK, INCONCLUSIVE, BOUNDED = "leak", "inconclusive", "bounded"
# The heap names the line: it speaks before resident memory does.
_ORDER = ("heap_bytes", *COUNTED)
# The same bytes, seen from further away: what is allowed of the heap is allowed of them.
_OF_HEAP = ("in_use_bytes", "rss_bytes")


@dataclass(frozen=True)
class Grown:
    """Growth of one resource: ``rate`` per unit, between ``low`` and ``high`` (95 %).

    role: whose it is, "main" for the process that runs the test.
    """

    resource: str
    rate: float
    low: float
    high: float
    role: str = "main"


@dataclass(frozen=True)
class Site:
    """A line that allocates what stays: ``rate`` bytes per unit; NaN where it is not known."""

    file: str
    line: int
    function: str
    rate: float
    source: str = ""


@dataclass(frozen=True)
class Outcome:
    """The verdict on one test after ``units`` calls of its body.

    grown: what leaks. sites, holders: the lines that allocate it and the paths that keep it, most
    first. made: what else is left behind, each with the line that made it. needed_units: how many
    units would decide an inconclusive one; None otherwise. power: what a bounded one may still grow
    by. reason: why; of a bounded one, what that leaves out. again: the command that does it once
    more outside pytest. page: the report, where one was asked for. native: the function of a
    library in C that takes what stays, where no Python object keeps it. to_allow: where some growth
    is allowed, what would have to be allowed for this to be no leak.
    """

    verdict: str
    units: int
    grown: tuple[Grown, ...] = ()
    sites: tuple[Site, ...] = ()
    holders: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    needed_units: int | None = None
    power: str = ""
    reason: str = ""
    again: str = ""
    page: str = ""
    native: str = ""
    to_allow: Mapping[str, float] = field(default_factory=dict)

    @property
    def shown_sites(self) -> tuple[Site, ...]:
        """The sites to show: those with a line to go to first, then what no line is known of."""
        return tuple(sorted(self.sites, key=lambda site: not _has_line(site)))

    @property
    def place(self) -> Site | None:
        """The first line that can be gone to; None where no site has one."""
        return next(filter(_has_line, self.sites), None)

    def fingerprint(self, test: str) -> str:
        """Return what tells this leak apart over runs: the test, what grows and where, no line."""
        where = [f"{_short(site.file)}:{site.function}" for site in self.sites[:1]]
        what = sorted(entry.resource for entry in self.grown if entry.resource != "rss_bytes")
        text = "\n".join([test.partition("[")[0], *(what or ["rss_bytes"]), *where])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the fields in JSON's own types; a figure that is not known is null."""
        return _plain(asdict(self))  # type: ignore[no-any-return]


def outcome_from_json(fields: Mapping[str, Any]) -> Outcome:
    """Return the outcome that :meth:`Outcome.to_json` was made of."""

    def known(row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: math.nan if value is None else value for key, value in row.items()}

    return Outcome(
        **{
            **fields,
            "grown": tuple(Grown(**known(row)) for row in fields["grown"]),
            "sites": tuple(Site(**known(row)) for row in fields["sites"]),
            "holders": tuple(fields["holders"]),
            "made": tuple(fields["made"]),
        }
    )


def judged(resources: Iterable[ResourceVerdict], units: int, allow: Mapping[str, float]) -> Outcome:
    """Return what the verdicts on the resources come to, with ``allow`` per unit left out."""
    deciding = [entry for entry in resources if entry.decides]
    grown = [
        _grown(entry, units)
        for entry in deciding
        if entry.verdict == LEAK and not entry.rate_low <= _limit(entry.name, allow)
    ]
    if grown:
        grown.sort(key=lambda entry: _rank(entry.resource))
        names = [(entry.resource, entry.role) for entry in grown]
        reasons = [
            f"{entry.title} {entry.reason}"
            for entry in deciding
            if (entry.name, entry.role) in names and entry.verdict == LEAK
        ]
        to_allow = _to_allow(grown, allow) if allow else {}
        return Outcome(LEAK, units, tuple(grown), reason="; ".join(reasons), to_allow=to_allow)
    undecided = [entry for entry in deciding if entry.verdict == INCONCLUSIVE]
    if undecided or not deciding:
        more = max((entry.more_x for entry in undecided), default=float(units))
        needed = units + max(math.ceil(more), 1) if math.isfinite(more) else 2 * units
        reason = f"{undecided[0].title} {undecided[0].reason}" if undecided else "nothing measured"
        return Outcome(INCONCLUSIVE, units, needed_units=needed, reason=reason)
    return Outcome(BOUNDED, units, power=_power(deciding, units))


def _limit(resource: str, allow: Mapping[str, float]) -> float:
    """Up to how much growth of a resource is allowed; minus infinity for none at all."""
    covering = (resource, "heap_bytes") if resource in _OF_HEAP else (resource,)
    return max((allow[name] for name in covering if name in allow), default=-math.inf)


def _to_allow(grown: Iterable[Grown], allow: Mapping[str, float]) -> dict[str, float]:
    """What is allowed, and what else would have to be for ``grown``: the heap comes first."""
    wanted = dict(allow)
    for entry in grown:
        if entry.rate > _limit(entry.resource, wanted):
            if entry.resource in COUNTED:
                wanted[entry.resource] = max(math.ceil(round(entry.rate, 1)), 1)
                continue
            # Up to the next with one figure: another version of Python needs a little more.
            step = 10 ** math.floor(math.log10(max(entry.rate, 1.0)))
            wanted[entry.resource] = step * math.ceil(entry.rate / step)
    return wanted


def _grown(entry: ResourceVerdict, units: int) -> Grown:
    """Growth per unit, also of a process that marks none and was judged by seconds."""
    if entry.unit == "second":
        gained = (entry.last_floor - entry.first_floor) / units
        return Grown(entry.name, gained, math.nan, math.nan, entry.role)
    return Grown(entry.name, entry.rate, entry.rate_low, entry.rate_high, entry.role)


def _power(resources: Iterable[ResourceVerdict], units: int) -> str:
    """What growth of memory the figures still leave room for."""
    from leaklab.present.formatting import amount

    rare = f" if one call in {units // RARE} leaks, or more of them"
    entries = [entry for entry in resources if entry.name in ("heap_bytes", "rss_bytes")]
    entries.sort(key=lambda entry: _rank(entry.name))
    for entry in entries:
        # Not below what it rose by in all, over the units: it may have done so in a few steps.
        rates = (entry.excluded, entry.rate_high, (entry.last_floor - entry.first_floor) / units)
        known = [rate for rate in rates if math.isfinite(rate)]
        if known:
            highest = max(known[0], known[-1], 0.0)
            return f"at most {amount(entry.name, highest)} per call{rare}"
    return ""


def _rank(resource: str) -> int:
    return _ORDER.index(resource) if resource in _ORDER else len(_ORDER)


def _has_line(site: Site) -> bool:
    return bool(site.file) and not site.file.startswith("<")


def _short(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
