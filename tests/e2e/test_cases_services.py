"""Real servers for cases: usable at once, and gone with whoever started them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from leaklab.catalogue import services
from leaklab.catalogue.model import read_case
from leaklab.catalogue.services import ServiceMissingError, missing_service, start_service

psycopg2 = pytest.importorskip("psycopg2")
redis = pytest.importorskip("redis")

KILLED = """
import os, signal, sys
from leaklab.catalogue.services import start_service
with start_service(sys.argv[1]) as environment:
    print(*environment.values(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def no_servers_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LEAKLAB_POSTGRES_URL", "LEAKLAB_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the unprivileged user of the servers can reach, as it cannot pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def servers(folder: Path) -> set[int]:
    """The ids of the guards and servers that keep their files below this folder."""
    return {
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("TMPDIR") == str(folder)
        or any(str(folder) in part for part in process.info["cmdline"] or ())
    }


def test_postgres_answers_and_goes() -> None:
    if (reason := missing_service("postgres")) is not None:
        pytest.skip(reason)
    with start_service("postgres") as environment:
        url = environment["LEAKLAB_POSTGRES_URL"]
        (folder,) = map(Path, parse_qs(urlsplit(url).query)["host"])
        assert folder.stat().st_mode & 0o077 == 0, "others could connect as superuser"
        connection = psycopg2.connect(url)
        with connection.cursor() as cursor:
            cursor.execute("select usesuper from pg_user where usename = current_user")
            assert cursor.fetchone() == (True,)
        connection.close()
    assert not folder.exists()


def test_valkey_answers_only_with_the_password() -> None:
    if (reason := missing_service("valkey")) is not None:
        pytest.skip(reason)
    with start_service("valkey") as environment:
        url = environment["LEAKLAB_REDIS_URL"]
        with redis.from_url(url) as client:
            assert client.ping()
        stranger = redis.Redis(port=urlsplit(url).port)
        with stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_no_server_outlives_a_leaklab_that_is_killed(name: str, open_folder: Path) -> None:
    if (reason := missing_service(name)) is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, name],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(open_folder)},
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert "://" in done.stdout
    deadline = time.monotonic() + 15
    while servers(open_folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not servers(open_folder)
    assert not list(open_folder.iterdir())


def test_ones_own_server_is_used_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKLAB_REDIS_URL", "redis://elsewhere:6379/1")
    before = set(psutil.Process().children(recursive=True))
    assert missing_service("valkey") is None
    with start_service("valkey") as environment:
        assert environment == {"LEAKLAB_REDIS_URL": "redis://elsewhere:6379/1"}
        # What another test has left may end meanwhile; none is new.
        assert set(psutil.Process().children(recursive=True)) <= before


CASE = """
title = "A case"
mechanism = "database-sessions"
services = ["postgres"]
passes = ["measure"]
claims = [{ document = "001", section = "1", text = "a", verdict = "right", why = "b." }]
[variants.before]
role = "before"
summary = "a"
[variants.better_fix]
role = "better_fix"
summary = "b"
"""


def test_a_server_starts_once_a_case_and_not_for_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEAKLAB_POSTGRES_URL", "postgresql://elsewhere")
    (tmp_path / "case.toml").write_text(CASE)
    (tmp_path / "target.py").write_text(
        "import os\nfrom leaklab import mark\nos.environ['LEAKLAB_POSTGRES_URL']\nmark()"
    )
    started = []

    @contextmanager
    def start(name: str) -> Iterator[dict[str, str]]:
        started.append(name)
        yield {"LEAKLAB_POSTGRES_URL": f"postgresql://{len(started)}"}

    monkeypatch.setattr(services, "start_service", start)
    case = read_case(tmp_path)
    for reused in (False, True):
        runs = case.record(store=tmp_path / "runs", progress=lambda event: None)
        assert [run.meta["passes"][0]["exit_status"] for run in runs.values()] == [0, 0]
        assert [run.reused for run in runs.values()] == [reused, reused]
        assert started == ["postgres"]


def test_node_packages_that_are_missing_come_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "node").write_text("#!/bin/sh\n")
    (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LEAKLAB_NODE_MODULES", str(tmp_path / "node_modules"))
    assert "npm install --prefix" in str(missing_service("node"))
    monkeypatch.setenv("PATH", "")
    assert "it is not on the path" in str(missing_service("node"))


NPM = """#!/bin/sh
echo "no network here" >&2
[ -n "$OFFLINE" ] && exit 1
shift 2
mkdir -p "$1/node_modules/react" "$1/node_modules/react-dom" "$1/node_modules/jsdom"
"""


@pytest.fixture
def node_with_a_pretended_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, text in (("node", "#!/bin/sh\n"), ("npm", NPM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    folder = tmp_path / "cache" / "node_modules"
    monkeypatch.setenv("LEAKLAB_NODE_MODULES", str(folder))
    return folder


def test_node_packages_are_installed_on_first_use(node_with_a_pretended_npm: Path) -> None:
    folder = node_with_a_pretended_npm
    assert missing_service("node") is None
    with start_service("node") as environment:
        assert environment == {"LEAKLAB_NODE_MODULES": str(folder)}
    assert [path.name for path in folder.parent.iterdir()] == ["node_modules"], "litter"


def test_node_packages_that_cannot_be_installed_say_why(
    node_with_a_pretended_npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE", "1")
    with (
        pytest.raises(ServiceMissingError, match=r"no network here; .*npm install --prefix"),
        start_service("node"),
    ):
        pass
    assert not list(node_with_a_pretended_npm.parent.iterdir())
