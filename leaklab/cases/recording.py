"""Recording a case: its target, in a scratch folder, with its services."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from leaklab.cases.requirements import missing_requirement
from leaklab.errors import LeaklabError
from leaklab.scratch import Scratch

if TYPE_CHECKING:
    from leaklab.cases.catalogue import Case


class CaseSkipped(LeaklabError):  # noqa: N818 - a skip is no failure of the case
    """The case cannot run on this machine; ``str()`` is the reason."""


def target_arguments(variant: str, values: Mapping[str, object]) -> list[str]:
    """The command line of a target: the variant, then every parameter by name."""
    arguments = [variant]
    for name, value in values.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    return arguments


def record_case(
    case: Case,
    variant: str | None,
    given: Mapping[str, object],
    *,
    quick: bool,
    how: Mapping[str, Any],
) -> Any:
    """See `Case.record`; ``how`` holds its arguments for `leaklab.api.record`."""
    names = case.variants_for(quick=quick) if variant is None else [case.variant(variant).name]
    values = case.values(given, quick=quick)
    if how["python"] is None:
        reason = case.missing()
    else:
        reason = missing_requirement((), case.services, None)
    if reason is not None:
        raise CaseSkipped(f"case {case.id} skipped: {reason}")
    with ExitStack() as running:
        environment: dict[str, str] = {}
        if case.services:
            from leaklab.cases.services import ServiceMissingError, start_service

            try:
                for service in case.services:
                    environment.update(running.enter_context(start_service(service)))
            except ServiceMissingError as error:
                raise CaseSkipped(f"case {case.id} skipped: {error}") from None
        runs = {name: _record_variant(case, name, values, environment, how) for name in names}
    return runs if variant is None else runs[variant]


def _record_variant(
    case: Case,
    name: str,
    values: Mapping[str, object],
    environment: Mapping[str, str],
    how: Mapping[str, Any],
) -> Any:
    from leaklab import api

    variant = case.variants[name]
    chosen: dict[str, Any] = {
        "passes": variant.passes or case.passes,
        "collect": variant.collect or case.collect,
    }
    # Targets write their files (and their litter) into a folder of their own.
    with Scratch("case") as scratch:
        return api.record(
            str(case.target),
            target_arguments(name, values),
            name=case.id,
            variant=name,
            case={"id": case.id, "variant": name},
            parameters=dict(values),
            watch_files=case.watch_files,
            cwd=str(scratch),
            env={**environment, **variant.environment},
            **how,
            **{option: value for option, value in chosen.items() if value is not None},
        )
