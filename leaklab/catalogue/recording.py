"""Recording a case: its target, in a scratch folder, with its services."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from leaklab.catalogue.requirements import missing_requirement
from leaklab.catalogue.values import as_text, option
from leaklab.errors import LeaklabError, UsageError
from leaklab.scratch import Scratch


class Recordable(Protocol):
    """What a case must offer to be recorded: `leaklab.catalogue.model.Case` does."""

    @property
    def id(self) -> Any:
        """The case's name."""

    @property
    def variants(self) -> Any:
        """By name."""

    @property
    def services(self) -> Any:
        """The servers it needs."""

    @property
    def passes(self) -> Any:
        """Which passes; None for the usual."""

    @property
    def collect(self) -> Any:
        """When to collect garbage; None for the usual."""

    @property
    def watch_files(self) -> Any:
        """Files whose size is followed."""

    @property
    def target(self) -> Any:
        """The script."""

    def variant(self, name: str) -> Any:
        """Return the variant of that name."""

    def variants_for(self, *, quick: bool) -> list[str]:
        """Return the variants that a recording of the whole case takes."""

    def values(self, given: Mapping[str, object], *, quick: bool = False) -> dict[str, Any]:
        """Return all parameters with their values."""

    def missing(self) -> str | None:
        """Return why the case cannot run on this machine."""


class CaseSkipped(LeaklabError):  # noqa: N818 - a skip is no failure of the case
    """The case cannot run on this machine; ``str()`` names it and the ``reason``."""

    def __init__(self, case_id: str, reason: object) -> None:
        super().__init__(case_id, str(reason))
        self.reason = str(reason)

    def __str__(self) -> str:
        return "case {} skipped: {}".format(*self.args)


def target_arguments(variant: str, values: Mapping[str, object]) -> list[str]:
    """The command line of a target: the variant, then every parameter by name.

    Name and value are one argument: a text may begin with a dash.
    """
    return [variant, *(f"{option(name)}={as_text(value)}" for name, value in values.items())]


def record_case(
    case: Recordable,
    variant: str | None,
    given: Mapping[str, object],
    *,
    quick: bool,
    how: Mapping[str, Any],
) -> Any:
    """See `Case.record`; ``how`` holds its arguments for `leaklab.recordings.record`."""
    names = case.variants_for(quick=quick) if variant is None else [case.variant(variant).name]
    values = case.values(given, quick=quick)
    if how["python"] is None:
        reason = case.missing()
    else:
        reason = missing_requirement((), case.services, None)
    if reason is not None:
        raise CaseSkipped(case.id, reason)
    runs = {}
    with ExitStack() as running:
        services = _Services(case, running)
        for name in names:
            runs[name] = _record_variant(case, name, values, services, how)
            if runs[name].meta["state"] == "interrupted":
                break
    return runs if variant is None else runs[variant]


def load_case(case: Recordable, variant: str | None, store: str) -> Any:
    """The newest run of each variant in ``store``, or of one; nothing is recorded."""
    from leaklab.recordings.locating import find_recording
    from leaklab.results.run import Run
    from leaklab.store import open_run
    from leaklab.store.location import filesystem

    opened, folder = filesystem(store)
    if not opened.exists(folder):
        raise UsageError(f"no such store: {store}; give a folder or URL with runs")
    names = list(case.variants) if variant is None else [case.variant(variant).name]
    found = {name: find_recording(store, case.id, name) for name in names}
    runs = {name: Run(open_run(path), reused=True) for name, path in found.items() if path}
    if not runs:
        raise CaseSkipped(case.id, f"no run of it in {store}")
    return runs if variant is None else runs[variant]


class _Services:
    """The environment through which a target finds its services; they start when first asked for.

    Most recordings are there already, and starting a database takes longer than reading a run.
    """

    def __init__(self, case: Recordable, running: ExitStack) -> None:
        self._case = case
        self._running = running
        self._environment: dict[str, str] | None = None

    def environment(self) -> Mapping[str, str]:
        if self._environment is None:
            self._environment = {}
            for service in self._case.services:
                self._environment.update(self._started(service))
        return self._environment

    def _started(self, service: str) -> Mapping[str, str]:
        from leaklab.catalogue.services import ServiceMissingError, start_service

        try:
            return self._running.enter_context(start_service(service))
        except ServiceMissingError as error:
            raise CaseSkipped(self._case.id, error) from None


def _record_variant(
    case: Recordable,
    name: str,
    values: Mapping[str, object],
    services: _Services,
    how: Mapping[str, Any],
) -> Any:
    from leaklab import recordings
    from leaklab.present.live import say_loaded

    variant = case.variants[name]
    chosen: dict[str, Any] = {
        "passes": variant.passes or case.passes or None,
        "collect": variant.collect or case.collect,
        "python": how["python"],
    }
    # Targets write their files (and their litter) into a folder of their own.
    with Scratch("case") as scratch:
        target = str(case.target), target_arguments(name, values)
        wanted = {
            "name": case.id,
            "variant": name,
            "store": how["store"],
            "case": {"id": case.id, "variant": name},
            "parameters": dict(values),
            "watch_files": case.watch_files,
            "cwd": str(scratch),
            **{option: value for option, value in chosen.items() if value is not None},
        }
        found = (
            None
            if how["fresh"]
            else recordings.recorded(*target, **wanted, env=variant.environment)
        )
        if found is not None:
            say_loaded(found.label, str(found.meta.get("created") or ""))
            return found
        environment = {**services.environment(), **variant.environment}
        # Fresh: that there is none to be loaded is known by now.
        return recordings.record(
            *target, **wanted, env=environment, fresh=True, progress=how["progress"]
        )
