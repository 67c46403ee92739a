"""Makes figure.png, the figure in README.md, from a fresh recording: `make figure`."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

import leaklab as ll

CASE = ll.case("unbounded-cache")
RUNS = [CASE.record(variant) for variant in ("before", "better_fix")]

figure, (growth, tree) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(3, 4))
ll.plots.growth(RUNS, "heap_bytes", ax=growth)
ll.plots.allocation_tree(RUNS[0], ax=tree)
figure.tight_layout()
figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
