"""How large an interactive allocation tree is and how soon it can be used, beside others'.

The same synthetic tree as leaklab's canvas icicle, as d3-flame-graph and as a plotly icicle, each a
file opened from disk in headless chromium. Ready is the second frame drawn after the page says it
has drawn its tree. d3-flame-graph comes from npm into a temporary folder; a peer that cannot be
had is left out with the reason.
"""

from __future__ import annotations

import argparse
import html
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, TimeoutError, sync_playwright

from leaklab.findings.tree import AllocationTree
from leaklab.plots import allocation_tree_html

SIZES = (1_000, 10_000, 100_000)
NPM_TIMEOUT_SECONDS = 180
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
READY = """
() => new Promise((done) => {
  const look = () => document.documentElement.dataset.ready
    ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))
    : setTimeout(look, 5);
  look();
})
"""


def tree(count: int) -> AllocationTree:
    """A tree as recordings have them: deep, a twelfth of the calls distinct, sizes over decades."""
    random = np.random.default_rng(0)
    parent = np.array([-1, *(int(random.integers(max(0, i - 60), i)) for i in range(1, count))])
    own = (random.pareto(1.1, count) * 300).astype(np.int64)
    for node in range(count - 1, 0, -1):
        own[parent[node]] += own[node]
    call = random.integers(0, max(10, count // 12), count)
    nodes = pd.DataFrame({"node": np.arange(count), "parent": parent})
    nodes["function"] = [f"handle_{n % 5000}_of_module" for n in call]
    nodes["file"] = [f"site-packages/package_{n % 40}/module_{n % 400}.py" for n in call]
    nodes["line"] = call * 7 % 2000
    nodes["origin"] = np.array(["target", "site-packages", "stdlib", "native"])[call % 4]
    return AllocationTree(
        nodes.assign(live_bytes=own, growth_bytes=own // 3, allocation_count=own // 90 + 1)
    )


def leaklab_page(shown: AllocationTree, folder: Path) -> Path:
    return allocation_tree_html(shown).save(folder / "leaklab.html")


def d3_page(shown: AllocationTree, folder: Path, modules: Path) -> Path:
    nested = [
        {"name": f"{row.function} {row.file}:{row.line}", "value": int(row.live_bytes)}
        for row in shown.nodes.itertuples()
    ]
    for node, parent in enumerate(shown.nodes["parent"]):
        if parent >= 0:
            nested[parent].setdefault("children", []).append(nested[node])
    flame_graph = modules / "d3-flame-graph" / "dist"
    minified = next(  # version 5 names it otherwise
        path
        for name in ("d3-flamegraph.umd.min.js", "d3-flamegraph.min.js")
        if (path := flame_graph / name).exists()
    )
    scripts = [(modules / "d3" / "dist" / "d3.min.js").read_text(), minified.read_text()]
    sys.setrecursionlimit(100_000)
    data = json.dumps(nested[0], separators=(",", ":")).replace("</", "<\\/")
    draw = f"""
    const make = typeof flamegraph === "function" ? flamegraph
      : flamegraph.flamegraph || flamegraph.default;
    const chart = make().width(1100).inverted(true);
    d3.select("#chart").datum({data}).call(chart);
    document.documentElement.dataset.ready = 1;
    """
    return _page(folder / "d3-flame-graph.html", [*scripts, draw])


def plotly_page(shown: AllocationTree, folder: Path) -> Path:
    import plotly.graph_objects as go

    nodes = shown.nodes
    figure = go.Figure(
        go.Icicle(
            ids=nodes["node"].astype(str),
            labels=nodes["function"],
            parents=["" if parent < 0 else str(parent) for parent in nodes["parent"]],
            values=nodes["live_bytes"],
            branchvalues="total",
            hovertext=nodes["file"] + ":" + nodes["line"].astype(str),
        )
    )
    target = folder / "plotly.html"
    figure.write_html(
        target, include_plotlyjs=True, post_script="document.documentElement.dataset.ready = 1;"
    )
    return target


def _page(target: Path, scripts: list[str]) -> Path:
    inline = "".join(f"<script>{script}</script>" for script in scripts)
    title = html.escape(target.stem)
    target.write_text(
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><div id="chart"></div>{inline}'
    )
    return target


def npm_modules(folder: Path) -> Path | str:
    """d3 and d3-flame-graph in a temporary folder, or why there are none."""
    if shutil.which("npm") is None:
        return "npm is not installed"
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "d3", "d3-flame-graph"]
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=NPM_TIMEOUT_SECONDS,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    except (subprocess.SubprocessError, OSError):
        return "npm could not install d3-flame-graph"
    return folder / "node_modules"


def ready_seconds(browser: Browser, page_file: Path, rounds: int, limit: float) -> float | None:
    """Median time to ready over fresh pages; None beyond the limit."""
    times = []
    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(limit * 1000)
        try:
            page.goto(page_file.as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-ready]", state="attached")
            times.append(float(page.evaluate(READY)) / 1000)
        except TimeoutError:
            return None  # and leave it: a page at work does not close, its browser does
        page.close()
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="pages opened for each figure")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds to wait for a page")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of calls"
    )
    options = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("bench-tree: no chromium on the path: install one", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="leaklab-bench-tree-") as temporary:
        folder = Path(temporary)
        modules = npm_modules(folder)
        tools: dict[str, Callable[[AllocationTree, Path], Path]] = {"leaklab": leaklab_page}
        if isinstance(modules, Path):
            tools["d3-flame-graph"] = lambda shown, out: d3_page(shown, out, modules)
        else:
            print(f"d3-flame-graph left out: {modules}")
        try:
            import plotly  # noqa: F401

            tools["plotly"] = plotly_page
        except ImportError:
            print("plotly left out: not installed")
        print(f"{'calls':>8}  {'tool':<15} {'size':>9}  ready")
        with sync_playwright() as playwright:
            for size in options.sizes:
                shown = tree(size)
                for name, write in tools.items():
                    # A browser each: what one page left behind must not slow the next.
                    browser = playwright.chromium.launch(
                        executable_path=executable, args=list(ARGUMENTS)
                    )
                    page_file = write(shown, folder)
                    seconds = ready_seconds(browser, page_file, options.rounds, options.limit)
                    browser.close()
                    megabytes = page_file.stat().st_size / 1e6
                    ready = f"{seconds:.2f} s" if seconds is not None else f"> {options.limit:g} s"
                    print(f"{size:>8,}  {name:<15} {megabytes:>6.2f} MB  {ready}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
