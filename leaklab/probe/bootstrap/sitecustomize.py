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
    # A package of its own name: neither is leaklab imported here if it is installed, nor need it
    # be. If the target imports it, it shares the probe's `marks` module.
    external = sys.modules["_frozen_importlib_external"]
    folder = os.path.dirname(here)
    spec = external.spec_from_file_location(
        "_leaklab_probe", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    _load(spec)
    from _leaklab_probe import begin, marks

    sys.modules["leaklab.probe.marks"] = marks
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
        pass
    _run_hidden_sitecustomize()


_leaklab()
