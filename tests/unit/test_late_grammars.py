"""What reads notebooks is loaded without forty grammars, which come when they are asked for."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

READS_NOTEBOOKS = """
import sys
from pathlib import Path
import leaklab.doctor
from leaklab.report import render_notebook

Path("n.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
render_notebook("n.ipynb", "n.html")
leaklab.doctor._notebooks()
import papermill  # as a job does
assert not {"rfc3987_syntax", "lark"} & set(sys.modules)
"""
CHECKS_ADDRESSES = """
import sys
from leaklab.late_grammars import load_jsonschema

load_jsonschema()
from jsonschema import Draft7Validator, FormatChecker
assert "lark" not in sys.modules
address = Draft7Validator({"format": "iri"}, format_checker=FormatChecker())
assert address.is_valid("https://example.org/straße") and not address.is_valid("no address")
assert "lark" in sys.modules, "no grammar was asked"
"""


@pytest.mark.parametrize("program", [READS_NOTEBOOKS, CHECKS_ADDRESSES])
def test_the_grammars_come_with_the_first_address_that_is_checked(program, tmp_path):
    if find_spec("rfc3987_syntax") is None:  # to import it takes seconds
        pytest.skip("jsonschema has no such check of formats here")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path)
