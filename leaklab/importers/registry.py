"""The formats that can be read, in the order in which they are tried, and how a file finds its."""

from __future__ import annotations

import re
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.importers.foreign import BESIDE_OTHERS, name_of
from leaklab.importers.members import leave_out_unread
from leaklab.importers.reading import Options, Progress, Reading, Source, refuse

# By the name that --format takes. Each module has recognise(source) and read(source, options);
# those that are sure of what they see come before those that guess.
FORMATS = {
    "memray-page": "memray_page",
    "tracemalloc": "tracemalloc_dumps",
    "mprof": "mprof",
    "psrecord": "psrecord",
    "pidstat": "pidstat",
    "top": "top_batch",
    "ps": "ps_loop",
    "smem": "smem",
    "docker-stats": "docker_stats",
    "kubectl-top": "kubectl_top",
    "prometheus": "prometheus",
    "exposition": "exposition",
    "cloudwatch": "cloudwatch",
    "datadog": "datadog",
    "google-monitoring": "google_monitoring",
    "azure-monitor": "azure_monitor",
    "otlp": "otlp",
    "influx": "influx",
    "grafana": "grafana",
    "jsonl": "json_lines",
    "json": "json_document",
    "parquet": "arrow_table",
    "csv": "csv_table",
    "lines": "log_lines",
}
MEMRAY = "memray"
_OF_SERVICES = (
    "prometheus", "exposition", "cloudwatch", "datadog", "google-monitoring", "azure-monitor",
    "otlp", "influx",
)  # fmt: skip
# The options that name columns and their unit, as the formats take them whose columns the user may
# choose; other formats take none.
_TAKES = {
    **dict.fromkeys(
        ("jsonl", "json", "parquet", "csv", "lines"), frozenset(("time", "value", "group", "unit"))
    ),
    "grafana": frozenset(("time", "value", "unit")),
    **dict.fromkeys(_OF_SERVICES, frozenset(("value", "unit"))),
    **dict.fromkeys(
        ("pidstat", "top", "ps", "smem", "docker-stats", "kubectl-top"), frozenset(("group",))
    ),
}
# Figures of memory in lines of text, and the options that take them out.
_FIGURES = (
    (re.compile(r"\b((?:RSS|rss|Rss|[Mm]emory|mem|heap)\b\W{0,3})\d"), r"'{0}(?P<rss>[\d.]+)'"),
    (
        re.compile(r"\b((?:[Mm]emory|RSS|rss|mem|heap) (?:[a-z]+ ){0,3}?(?:is|at|of|was) )\d"),
        r"'{0}(?P<rss>[\d.]+)'",
    ),
    (re.compile(r"\d ?([KMG]i?B)\b"), r"'(?P<memory>[\d.]+ ?[KMG]i?B)'"),
)
# What a loop over `ps -o rss=` prints.
_OF_PS = re.compile(r"(?:^|.*[\d:Z]\s)\d{4,9}\s*")
NAMES = (MEMRAY, *FORMATS)


def check(path: Path) -> None:
    """Raise UsageError where there is no regular file to read, and say what there is instead."""
    text = str(path)
    if text == "-":
        raise UsageError("standard input is read by the command alone: -; save it to a file first")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise refuse(path, "no such file", "name a file with figures, or a capture") from None
    except OSError as error:
        raise LeaklabError(f"cannot be read: {path}; {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise refuse(path, "a folder, no file", "name the files in it; `leaklab show` takes runs")
    if not stat.S_ISREG(mode):
        raise refuse(path, "a pipe or device, no file", "save what comes from it to a file first")
    # Files of /proc have no size that is told, and content all the same.
    if path.stat().st_size == 0 and not _has_content(path):
        raise refuse(path, "an empty file", "nothing was written to it; record again")


def _has_content(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(file.read(1))
    except OSError as error:
        raise LeaklabError(f"cannot be read: {path}; {error.strerror}") from None


def find(source: Source, name: str | None = None) -> Any:
    """Return the module of the format, by ``name`` or by the content; UsageError for neither."""
    if name is not None:
        if name not in FORMATS:
            raise UsageError(f"unknown format: {name}; allowed: {', '.join(NAMES)}")
        return import_module(f"leaklab.importers.{FORMATS[name]}")
    foreign = name_of(source)
    if foreign is not None:
        raise refuse(source.path, foreign.what, foreign.way_out)
    for module_name in FORMATS.values():
        module = import_module(f"leaklab.importers.{module_name}")
        if module.recognise(source):
            return module
    raise _unknown(source)


def _unknown(source: Source) -> UsageError:
    """The error for a file of no format that is known: what it looks like, and what to do then."""
    if foreign := name_of(source, BESIDE_OTHERS):
        return refuse(source.path, foreign.what, foreign.way_out)
    lines = [line for line in source.first_lines if line.strip()]
    if not lines and not source.is_binary:
        return refuse(source.path, "a file of empty lines", "nothing was written to it")
    if not lines:
        return refuse(
            source.path,
            "a binary file of no format that is known",
            "export its figures as CSV with the columns time and rss_bytes",
        )
    if lines[0].lstrip()[0] in "{[":
        return refuse(
            source.path,
            "JSON, but no format that is known",
            'write one object a line: {"time": 1.5, "rss_bytes": 1048576}',
        )
    return refuse(
        source.path,
        "not a format that is known",
        f"take figures out of its lines with --line {_example(lines)}, or name its format with "
        "--format",
    )


def _example(lines: list[str]) -> str:
    """What --line may say for figures like those of the lines; "REGEX" for lines without any."""
    for pattern, option in _FIGURES:
        found = next((match for line in lines if (match := pattern.search(line))), None)
        if found is not None:
            return option.replace("{0}", found[1])
    return r"'(?P<rss>\d+)$' --unit KiB" if all(map(_OF_PS.fullmatch, lines)) else "REGEX"


def check_taken(name: str, options: Options, path: Path) -> None:
    """Raise UsageError for an option that says what the format says already."""
    given = {
        "time": options.time,
        "value": options.values,
        "group": options.group,
        "unit": options.unit,
    }
    taken = _TAKES.get(name, frozenset())
    for option, value in given.items():
        if value and option not in taken:
            allowed = f"it takes --{', --'.join(sorted(taken))}" if taken else "leave it out"
            raise UsageError(f"--{option} says nothing of {name}: {path}; {allowed}")


def read(
    path: Path, options: Options, name: str | None = None, progress: Progress | None = None
) -> Reading:
    """Read one file of figures; the Reading says what was understood."""
    check(path)
    source = Source(path, progress)
    if not source.head:
        raise refuse(path, "an empty file", "nothing was written to it; record again")
    module = find(source, name if name or not options.line else "lines")
    check_taken(module.NAME, options, path)
    reading: Reading = module.read(source, options)
    leave_out_unread(reading, path)
    if source.cut_line_count:
        lines = "line" if source.cut_line_count == 1 else "lines"
        reading.notes.append(f"{source.cut_line_count:,} {lines} with zeros in them left out")
    if source.has_cut_end:
        reading.notes.append(
            "last line left out: it has no end and is shorter than those before, as if its writer "
            "was killed"
        )
    if source.zipped:
        reading.title += " (gzip)"
    return reading
