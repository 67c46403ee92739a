"""Recordings: make or load one, open one, compare two, a table over all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError

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
    **options: Any,
) -> Run:
    """Record ``target`` and return the run.

    ``target`` is a script (``"serve.py"``), ``"-m"`` followed by the module in ``args``, or a whole
    command as a list. ``options`` are the fields of
    :class:`leaklab.recorder.options.RecordOptions`: python, passes, interval_seconds,
    duration_seconds, limit_memory_bytes, watch_files, parameters, collect, native, keep_capture,
    env and so on. A recording with the same source, arguments, versions and options is loaded
    instead of made again, unless ``fresh``. Raises UsageError for a request that makes no sense,
    LeaklabError when the recording failed; a target that fails is a run like any other.
    Without ``progress``, a Jupyter kernel shows a growing curve and a notebook job logs lines.
    """
    from leaklab.recorder.recording import record_run
    from leaklab.results.run import Run
    from leaklab.store import open_run
    from leaklab.verdict.deciding import Decider

    settings, run_name = _settings(target, args, name, variant, store, options)
    found = None if fresh else _recorded(settings, run_name)
    if found is not None:
        return found
    if progress is not None:
        return Run(open_run(str(record_run(settings, progress, Decider))))
    from leaklab.present.live import notebook_progress

    with notebook_progress("/".join(filter(None, (run_name, variant)))) as shown:
        return Run(open_run(str(record_run(settings, shown, Decider))))


def recorded(
    target: str | os.PathLike[str] | Sequence[str],
    args: Sequence[str] = (),
    *,
    name: str | None = None,
    variant: str | None = None,
    store: str | os.PathLike[str] | None = None,
    **options: Any,
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
    from leaklab.recorder.fingerprint import fingerprint
    from leaklab.recorder.options import RecordOptions
    from leaklab.store import default_store

    argv = [os.fspath(target)] if isinstance(target, str | os.PathLike) else list(target)
    argv += [str(argument) for argument in args]
    options = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(options) - set(RecordOptions.__dataclass_fields__))
    if unknown:
        allowed = ", ".join(sorted(RecordOptions.__dataclass_fields__))
        raise UsageError(f"unknown option: {unknown[0]}; allowed: {allowed}")
    identity = {key: value for key, value in options.items() if key not in _NO_IDENTITY}
    folder = Path(options.get("cwd") or Path.cwd())
    settings = RecordOptions(
        command=argv,
        name=name,
        variant=variant,
        store=str(store or default_store()),
        fingerprint=fingerprint(argv, options.get("python"), folder, identity),
        **options,
    )
    return settings, name or (resolve(argv, settings.python, settings.cwd).name if argv else "")


def _recorded(settings: RecordOptions, name: str) -> Run | None:
    from leaklab.results.run import Run
    from leaklab.store import open_run

    if settings.fingerprint is None:
        return None
    found = find_recording(str(settings.store), name, settings.variant, settings.fingerprint)
    return None if found is None else Run(open_run(found), reused=True)


def find_recording(
    store: str, name: str, variant: str | None, digest: str | None = None
) -> str | None:
    """Return the newest complete run, with fingerprint ``digest`` if given; None without one."""
    from leaklab.store.location import below, filesystem, safe_name

    fs, root = filesystem(store)
    folder = below(root, safe_name(name), safe_name(variant or "default"))
    try:
        entries = sorted(fs.ls(folder, detail=False), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for entry in entries:
        try:
            meta = json.loads(fs.cat_file(f"{entry}/run.json"))
        except (OSError, ValueError):
            continue
        if digest in (None, meta.get("fingerprint")) and meta.get("state") == "complete":
            relative = str(entry).rstrip("/").rsplit("/", 3)[-3:]
            return "/".join((store.rstrip("/"), *relative))
    return None


def open(path: str | os.PathLike[str]) -> Run:  # noqa: A001 (ll.open is its name)
    """Open the run at ``path``: its folder or URL, ``name/variant`` or a run id of the store.

    ``name`` or ``name/variant`` means the newest such run in the default store. Raises
    LeaklabError when there is none, or it is damaged or of a newer leaklab.
    """
    from leaklab.results.run import Run
    from leaklab.store import open_run

    return Run(open_run(locate(os.fspath(path))))


def locate(text: str, store: str | None = None) -> str:
    """Return the path of the run that ``text`` means; see :func:`open`."""
    from leaklab.store import default_store
    from leaklab.store.location import archive_of, below, filesystem, is_local

    path = text.rstrip("/")
    if not is_local(path) or (Path(path) / "run.json").exists():
        return path
    if Path(path).name == "run.json" and Path(path).exists():
        return str(Path(path).parent)
    where = str(store or default_store())
    fs, root = filesystem(where)
    roots = [(where, fs, below(root, path))]
    if Path(path).is_dir() or archive_of(path):
        roots.append((path, *filesystem(path)))
    found = [
        below(archive_of(given) or "", str(hit))
        for given, system, folder in roots
        for depth in range(4)
        for hit in system.glob(below(folder, *"*" * depth, "run.json"))
    ]
    found += [str(hit) for hit in fs.glob(below(root, "*", "*", path, "run.json"))]
    if found:
        newest = max(found, key=lambda hit: hit.rsplit("/", 2)[-2])
        return newest.removesuffix("/run.json") if is_local(where) else _url(where, root, newest)
    if Path(path).is_dir():
        return path  # open_run says what is wrong with it
    raise LeaklabError(f"no such run: {text}; give a run folder, or a name that is in {where}")


def _url(store: str, root: str, hit: str) -> str:
    from leaklab.store.location import below

    inside = hit.removesuffix("/run.json")[len(root.rstrip("/")) :]
    return below(store, inside.lstrip("/"))


def compare(before: Run | str, after: Run | str) -> Comparison:
    """Does the fix work: rates of every resource and site, before and after.

    Takes runs or their paths. Raises LeaklabError when the two may not be compared.
    """
    from leaklab.results.comparison import compare as compare_data

    one, other = _run(before), _run(after)
    return compare_data(one.data, other.data, (one.verdict(), other.verdict()))


def _run(run: Run | str) -> Run:
    return open(run) if isinstance(run, str | os.PathLike) else run


def runs(store: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return a table over all runs of a store: one row per run, resource and verdict.

    Columns: run, name, variant, created, state, run_verdict, resource, verdict, rate, rate_low,
    rate_high, unit, role, path. Verdicts are kept beside each run (``verdict.json``) once they were
    worked out, and worked out here where they are missing; a run that cannot be read is left out.
    """
    from leaklab.results.overview import runs_table

    return runs_table(store)
