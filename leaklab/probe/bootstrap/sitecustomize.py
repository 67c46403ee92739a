"""Starts the probe in every Python process of a recording; its folder is on PYTHONPATH.

Nothing here may disturb the target: every failure is silent, and the target's own sitecustomize,
which this file hides, still runs.
"""

import os
import sys


def _load(spec):
    # importlib itself is not imported yet in a fresh interpreter; its frozen core always is.
    module = sys.modules["_frozen_importlib"].module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _start_probe(here):
    folder = os.path.dirname(os.path.dirname(here))
    finder = sys.modules["_frozen_importlib_external"].PathFinder
    # Always as `leaklab.probe`, whether or not leaklab is installed here: a real leaklab package
    # then shares the probe's `marks` module.
    probe = _load(finder.find_spec("leaklab.probe", [folder]))
    sys.modules["leaklab.probe"] = probe
    from leaklab.probe import begin

    begin.begin()


def _run_hidden_sitecustomize():
    spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        _load(spec)


def _leaklab():
    here = os.path.dirname(os.path.abspath(__file__))
    # The environment keeps the folder, so that Python processes started from here inherit it.
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != here]
    sys.path_importer_cache.pop(here, None)
    try:
        _start_probe(here)
    except Exception:
        sys.modules.pop("leaklab.probe", None)
    _run_hidden_sitecustomize()


_leaklab()
