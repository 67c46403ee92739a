"""Cases of audits 001 and 003 that need real services, against what the documents claim."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaklab.catalogue.model import Case, case
from leaklab.catalogue.services import start_service

pytestmark = pytest.mark.services


def available(case_id: str) -> Case:
    """The case, or the test is skipped with the reason why it cannot run here."""
    found = case(case_id)
    if (reason := found.missing()) is not None:
        pytest.skip(reason)
    return found


def unmet(found: Case, variant: str, store: Path, **parameters: int) -> list[str]:
    """Every expectation that a recording of the variant does not meet."""
    run = found.record(variant, quick=True, store=str(store), **parameters)
    checked = found.check(run)
    wrong = checked[~checked["ok"].fillna(True)]
    return [f"{row.resource}: {row.expected} is {row.measured}" for row in wrong.itertuples()]


@pytest.mark.parametrize("variant", ["documented_fix", "better_fix"])
def test_timeouts_give_no_connection_back_and_a_finally_block_does(
    variant: str, tmp_path: Path
) -> None:
    assert not unmet(available("pool-without-putconn"), variant, tmp_path, iterations=30)


@pytest.mark.parametrize(("variant", "disposed"), [("documented_fix", "0"), ("better_fix", "all")])
def test_the_documented_worker_hook_disposes_nothing_under_prefork(
    variant: str, disposed: str, tmp_path: Path
) -> None:
    found = available("celery-engine-hooks")
    with start_service("valkey") as environment:
        done = subprocess.run(
            [sys.executable, found.target, variant, "--iterations", "1"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    made, _, _, number, *_ = done.stdout.split()
    assert int(made) >= 1
    assert number == (made if disposed == "all" else "0")


def test_react_effects_without_cleanup_leave_their_listeners(tmp_path: Path) -> None:
    assert not unmet(available("react-effects"), "listener_left", tmp_path, iterations=15)
