"""Every variant of every case runs by itself, outside a recording: targets are also to be read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from leaklab.catalogue.model import Case, catalogue
from leaklab.catalogue.services import start_service

CASES = [case for case in catalogue().values() if case.runnable]
# Few units of work, so that what is tested is that it runs at all; not below what a target needs.
SMALL = {"iterations": 3, "requests": 2, "entries": 1000, "batch_bytes": 1_000_000}
SMALLER = {"celery-engine-hooks": {"iterations": 1}}  # each is the whole life of a worker
LIMIT_SECONDS = 60


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    """The environment with every service that any case needs and that is there."""
    names = {name for case in CASES if case.missing() is None for name in case.services}
    with ExitStack() as running:
        environment: dict[str, str] = {}
        for name in sorted(names):
            environment.update(running.enter_context(start_service(name)))
        yield environment


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_all_variants_run(case: Case, services: dict[str, str], tmp_path: Path) -> None:
    reason = case.missing()
    if reason is not None:
        pytest.skip(reason)
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda name: run_variant(case, name, services, tmp_path), case.variants)
        for name, result in zip(case.variants, results, strict=True):
            assert result.returncode == 0, f"{name}: {result.stderr[-2000:]}"


def run_variant(
    case: Case, name: str, services: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    small = SMALL | SMALLER.get(case.id, {})
    values = {
        key: min(small.get(key, value), value) if isinstance(value, int | float) else value
        for key, value in case.values({}, quick=True).items()
    }
    options = [
        part for key, value in values.items() for part in (f"--{key.replace('_', '-')}", value)
    ]
    scratch = folder / name
    scratch.mkdir()
    return subprocess.run(
        [sys.executable, case.target, name, *map(str, options)],
        cwd=scratch,
        env={**os.environ, **services, **case.variants[name].environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
