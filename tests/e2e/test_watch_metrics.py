"""`leaklab watch --metrics` beside a real leaking service: scraped, judged, stored, stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from leaklab.store import open_run

RULES = Path(__file__).parents[2] / "notebooks" / "automation" / "prometheus"
LEAKY = (
    "import time\n"
    "kept = []\n"
    "while True:\n"
    "    kept.append(bytearray(400_000))\n"
    "    time.sleep(0.02)\n"
)


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def test_a_leaking_process_is_told_and_stored(tmp_path: Path) -> None:
    options = ["--interval", "200ms", "--metrics", "127.0.0.1:0"]
    options += ["--store", str(tmp_path), "--name", "service"]
    with subprocess.Popen([sys.executable, "-c", LEAKY]) as leaky:
        try:
            with subprocess.Popen(
                [sys.executable, "-m", "leaklab", "watch", str(leaky.pid), *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as watcher:
                assert watcher.stderr is not None
                said = watcher.stderr.readline()
                port = int(re.findall(r"127\.0\.0\.1:(\d+)/metrics", said)[0])
                leak = 'leaklab_verdict{resource="rss_bytes",verdict="leak",worker="main"} 1.0'
                until = time.monotonic() + 60
                while leak not in (text := scraped(port)) and time.monotonic() < until:
                    time.sleep(0.5)  # the next scrape, as Prometheus does it
                assert leak in text
                watcher.send_signal(signal.SIGINT)
                path = watcher.communicate(timeout=20)[0].strip()
                assert watcher.returncode == 0
        finally:
            leaky.kill()
    run = open_run(path)
    assert run.meta["state"] == "interrupted"
    assert set(run.samples["name"]) >= {"rss_bytes", "fd_count", "thread_count"}
    from leaklab.results.run import Run

    assert Run(run).verdict().verdict == "leak"


def names_in(text: str) -> set[str]:
    return set(re.findall(r"leaklab_\w+", text))


def test_rules_and_dashboard_ask_for_what_is_served() -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    from leaklab.watch.follow import Follower
    from leaklab.watch.metrics import Collector

    registry = CollectorRegistry()
    follower = Follower([os.getpid()])
    follower.look()
    registry.register(Collector(follower))
    served = names_in(generate_latest(registry).decode())
    served |= {"leaklab_control_group_events_total", "leaklab_control_group_bytes"}
    dashboard = json.loads((RULES / "dashboard.json").read_text())
    asked = {t["expr"] for panel in dashboard["panels"] for t in panel["targets"]}
    rules = yaml.safe_load((RULES / "leaklab.rules.yml").read_text())
    asked |= {rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    assert names_in(" ".join(asked)) <= served


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")
def test_promtool_accepts_rules_and_configuration() -> None:
    for words in (["rules", "leaklab.rules.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(
            ["promtool", "check", *words], cwd=RULES, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
