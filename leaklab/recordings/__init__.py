"""Recordings: make or load one, open one, compare two, a table over all."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from leaklab.arguments import as_path, as_run, check_limit, check_list
from leaklab.errors import RecordingInterruptedError, UsageError
from leaklab.recorder.keywords import RecordKeywords
from leaklab.recordings.locating import find_recording, is_evidence, locate

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.recorder.options import RecordOptions
    from leaklab.results.comparison import Comparison
    from leaklab.results.run import Run

# Options that do not change what is recorded, only for whom and how loudly.
_NO_IDENTITY = ("case", "echo", "stdin")


def record(
    target: str | os.PathLike[str] | Sequence[str],
    args: Sequence[str] = (),
    *,
    name: str | None = None,
    variant: str | None = None,
    store: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    progress: Any = None,
    **options: Unpack[RecordKeywords],
) -> Run:
    """Record ``target`` and return the run.

    ``target`` is a script (``"serve.py"``), ``"-m"`` followed by the module in ``args``, or a whole
    command as a list. ``options`` are the fields of
    :class:`leaklab.recorder.options.RecordOptions`: python, passes, interval_seconds,
    duration_seconds, limit_memory_bytes, watch_files, parameters, collect, native, keep_capture,
    env and so on. A recording with the same source, arguments, versions and options is loaded
    instead of made again, unless ``fresh``. Raises UsageError for a request that makes no sense,
    LeaklabError when the recording failed; a target that fails is a run like any other.
    Without ``progress``, a Jupyter kernel shows a growing curve and a notebook job logs lines; an
    interrupt of it raises KeyboardInterrupt, which says where the run is and holds it as ``run``.

    >>> ll.record("serve.py", passes=("measure",)).verdict()
    """
    from leaklab.present.live import notebook_progress, say_loaded
    from leaklab.recorder.recording import record_run
    from leaklab.results.run import Run
    from leaklab.store import open_run
    from leaklab.verdict.deciding import Decider

    settings, run_name = _settings(target, args, name, variant, store, options)
    found = None if fresh else _recorded(settings, run_name)
    if found is not None:
        say_loaded(found.label, str(found.meta.get("created") or ""))
        return found
    if progress is not None:
        return Run(open_run(str(record_run(settings, progress, Decider))))
    with notebook_progress("/".join(filter(None, (run_name, variant)))) as shown:
        run = Run(open_run(str(record_run(settings, shown, Decider))))
        if shown is not None and run.meta["state"] == "interrupted":
            # The cells below would take it for a whole one.
            raise RecordingInterruptedError(run, str(run.data.path))
    return run


def recorded(
    target: str | os.PathLike[str] | Sequence[str],
    args: Sequence[str] = (),
    *,
    name: str | None = None,
    variant: str | None = None,
    store: str | os.PathLike[str] | None = None,
    **options: Unpack[RecordKeywords],
) -> Run | None:
    """Return the run that `record` would load with these arguments, None if it would make one."""
    return _recorded(*_settings(target, args, name, variant, store, options))


def _settings(
    target: str | os.PathLike[str] | Sequence[str],
    args: Sequence[str],
    name: str | None,
    variant: str | None,
    store: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> tuple[RecordOptions, str]:
    """The recording that is asked for, with its fingerprint, and the name of its run."""
    from leaklab.recorder.command import resolve
    from leaklab.recorder.fingerprint import fingerprint, recorded_from
    from leaklab.recorder.options import RecordOptions
    from leaklab.store import default_store

    if isinstance(target, str | os.PathLike):
        target = [os.fspath(target)]
    check_list("target", target)
    check_list("args", args)
    argv = [str(word) for word in (*target, *args)]
    options = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(options) - set(RecordOptions.__dataclass_fields__))
    if unknown:
        allowed = ", ".join(sorted(RecordOptions.__dataclass_fields__))
        raise UsageError(f"unknown option: {unknown[0]}; allowed: {allowed}")
    identity = {key: value for key, value in options.items() if key not in _NO_IDENTITY}
    # Whoever has named the passes wants them, whatever becomes of the first.
    options.setdefault("after_failure", "passes" in options)
    settings = RecordOptions(
        command=argv,
        name=name,
        variant=variant,
        store=str(store or default_store()),
        **options,
    )
    folder = Path(settings.cwd or Path.cwd())
    if code := recorded_from(argv, settings.python, folder) if argv else None:
        identified = fingerprint(argv, code, folder, identity)
        settings = replace(settings, fingerprint=identified, recorded_from=code)
    return settings, name or (resolve(argv, settings.python, settings.cwd).name if argv else "")


def _recorded(settings: RecordOptions, name: str) -> Run | None:
    from leaklab.results.run import Run
    from leaklab.store import open_run

    if settings.fingerprint is None:
        return None
    found = find_recording(str(settings.store), name, settings.variant, settings.fingerprint)
    return None if found is None else Run(open_run(found), reused=True)


def open(path: str | os.PathLike[str]) -> Run:  # noqa: A001 (ll.open is its name)
    """Open the run at ``path``: its folder or URL, ``name/variant`` or a run id of the store.

    ``name`` or ``name/variant`` means the newest such run in the default store, ``name@-1`` the one
    before it. Raises LeaklabError when there is none, or it is damaged or of a newer leaklab.

    >>> ll.open("unbounded-cache/before").verdict()
    """
    from leaklab.results.run import Run
    from leaklab.store import open_run

    return Run(open_run(locate(as_path(path, "a run"))))


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 (the name of the option)
    time: str | None = None,
    values: Sequence[str] = (),
    unit: str | None = None,
    group: str | None = None,
    line: str | None = None,
    limit_bytes: float | None = None,
    name: str | None = None,
    variant: str | None = None,
    trust_pickle: bool = False,
) -> Run:
    """Read the figures another tool has written as a run in memory; nothing is stored.

    Takes a CSV, TSV, JSON lines or parquet of one's own, an answer of Prometheus or a
    monitoring service, a CSV of Grafana, what mprof, psrecord, pidstat, top, ps and docker stats
    write, a memray capture or page, or with ``line`` any log; plain or gzip, known by content.
    ``time``, ``values`` ("COL" or "COL=rss_bytes") and ``group`` name columns, ``unit`` the unit of
    memory where nothing says it, ``limit_bytes`` what the process may grow to. Raises UsageError
    for a file that is not read, with its name and the way out.

    >>> ll.read("figures.csv", limit_bytes=512 << 20).verdict()
    """
    return _read_file(
        path,
        None,
        format=format,
        limit_bytes=limit_bytes,
        name=name,
        variant=variant,
        time=time,
        values=values,
        unit=unit,
        group=group,
        line=line,
        trust_pickle=trust_pickle,
    )


def from_series(
    series: Mapping[str, Any],
    *,
    unit: str = "second",
    name: str = "series",
    limit_bytes: float | None = None,
) -> Run:
    """Make a run in memory of figures that exist: (x, values) of one process by resource.

    ``unit`` is that of x: "second" or "iteration"; datetimes and timedeltas, of Python, numpy or
    pandas, become seconds. Instead of the two, a pandas Series is its index and its values.
    Resources are named as leaklab names them: rss_bytes, fd_count, gauge:NAME and so on; a gauge
    given here is judged. Raises UsageError for sequences that differ in length or are no numbers,
    and for a name that gets no verdict.

    >>> ll.from_series({"rss_bytes": (seconds, values)}, unit="second").verdict()
    """
    from leaklab.importers.series import from_series as data_of
    from leaklab.results.run import Run

    check_limit("limit_bytes", limit_bytes)
    return Run(data_of(series, unit=unit, name=name, limit_bytes=limit_bytes))


def open_or_read(text: str, store: str | None = None, **how: Any) -> Run:
    """Return the run that ``text`` means, or what a file of this name tells, kept nowhere.

    ``how``: as in :func:`read`, for a file; ``progress`` is told how far that is. What was
    understood of it goes to stderr in one line. Of a stored run only ``limit_bytes`` says anything:
    it is then the limit, whatever others the run knows. Raises UsageError for the rest.
    """
    from leaklab.results.run import Run
    from leaklab.store import open_run

    if is_evidence(text):
        return _read_file(text, _to_stderr, **how)
    data = open_run(locate(text, store))
    _check_only_files(how, text)
    limit_bytes = how.get("limit_bytes")
    if limit_bytes:
        data = replace(data, meta={**data.meta, "limit_asked_bytes": limit_bytes})
    return Run(data)


def _check_only_files(how: Mapping[str, Any], text: str) -> None:
    """Raise UsageError for an option that says how a file is read, where there is only a run."""
    for option in ("format", "time", "values", "unit", "group", "line", "trust_pickle"):
        if how.get(option):
            flag = "value" if option == "values" else option.replace("_", "-")
            raise UsageError(
                f"--{flag} says how a file is read, and this is a stored run: {text}; leave it out"
            )


def _read_file(
    path: str | os.PathLike[str],
    say: Callable[[str], None] | None,
    *,
    format: str | None = None,  # noqa: A002 (the name of the option)
    limit_bytes: float | None = None,
    name: str | None = None,
    variant: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> Run:
    from leaklab.importers.files import read_file
    from leaklab.importers.reading import Options
    from leaklab.results.run import Run
    from leaklab.store.location import local_path

    check_list("values", options.get("values") or ())
    check_limit("limit_bytes", limit_bytes)
    options["values"] = tuple(options.get("values") or ())
    data = read_file(
        Path(local_path(as_path(path, "a file"))),
        Options(**options),
        form=format,
        name=name,
        variant=variant,
        limit_bytes=limit_bytes,
        say=say,
        progress=progress,
    )
    return Run(data)


def _to_stderr(text: str) -> None:
    from leaklab.present.terminal import safe

    print(f"leaklab: {safe(text)}", file=sys.stderr)


def compare(before: Run | str, after: Run | str) -> Comparison:
    """Does the fix work: rates of every resource and site, before and after.

    Takes runs, their paths, or files that :func:`read` takes. Raises LeaklabError when the two may
    not be compared.

    >>> ll.compare(before, after).outcome
    """
    from leaklab.results.comparison import compare as compare_data

    one, other = pair(before, after)
    return compare_data(one.data, other.data, (one.verdict(), other.verdict()))


def pair(
    before: Run | str, after: Run | str, store: str | None = None, **how: Any
) -> tuple[Run, Run]:
    """Return two runs that are to be compared; a file is read under the name of the other one.

    Files have no name of a workload: naming two of them says that they are of one. ``how``: as in
    :func:`read`, for files.
    """
    given = [
        os.fspath(x) if isinstance(x, str | os.PathLike) else as_run(x) for x in (before, after)
    ]
    names = [x for x in given if isinstance(x, str)]
    for_files = any(is_evidence(x) for x in names)
    runs = [
        open_or_read(x, store, **({} if for_files else how))
        if isinstance(x, str) and not is_evidence(x)
        else x
        for x in given
    ]
    how["name"] = next((str(x.meta["name"]) for x in runs if not isinstance(x, str)), "files")
    one, other = (open_or_read(x, store, **how) if isinstance(x, str) else x for x in runs)
    if one.path is not None and one.path == other.path:
        raise UsageError(
            f"the same run twice: {one.path}; name two runs, such as NAME/before and NAME/after"
        )
    return one, other


def runs(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return a table over all runs of a store: one row per run, resource and verdict.

    Columns: run, name, variant, created, state, run_verdict, resource, verdict, rate, rate_low,
    rate_high, unit, role, path, error. Verdicts are kept beside each run (``verdict.json``) once
    they were worked out, and worked out here where they are missing. A run that cannot be read or
    judged is one row with the reason as ``error``, and warned of.

    >>> ll.runs().query("resource == 'rss_bytes'")[["name", "variant", "rate"]]
    """
    from leaklab.results.overview import runs_table

    return runs_table(store)


def suspects(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return a table over the suspects of all runs of a store: one row per run and suspect.

    Columns: run, name, variant, created, state; rank, function, file, line, package, source (text
    of the line), live_bytes, growth_bytes, rate, rate_low, rate_high (bytes per unit), unit, share,
    evidence, role, retained_by (the first path), fingerprint (the same site in any run); path. Kept
    beside each run (``suspects.json``) once they were worked out; what cannot be read is warned of.

    >>> ll.suspects().groupby(["package", "function"])["growth_bytes"].sum().nlargest(10)
    """
    from leaklab.results.overview import suspects_table

    return suspects_table(store)


def _spelled_out(call: Any) -> inspect.Signature:
    """Return a call's signature with each option by name: help and completion show no others."""
    signature = inspect.signature(call)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    named = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=getattr(kind, "__forward_arg__", kind),
        )
        for name, kind in RecordKeywords.__annotations__.items()
    ]
    return signature.replace(parameters=[*own, *named])


for _call in (record, recorded):
    _call.__signature__ = _spelled_out(_call)  # type: ignore[attr-defined]
