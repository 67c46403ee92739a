"""What a day of use in JupyterLab found wrong, and the test that keeps each of it mended.

Numbers are those of the findings; 15 to 17 are looks and are kept by the tests of plots and pages.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
KERNEL = "e2e/test_jupyter_kernel.py"
FINDINGS = {
    "1 fixed, though never measured": [
        ("unit/test_analysis_compare.py", "test_what_one_run_has_not_measured_is_not_called_fixed"),
    ],
    "2 holders of a target without marks": [
        (
            "e2e/test_record_graphs.py",
            "test_growth_that_begins_late_is_in_a_graph_at_the_end_of_the_work",
        ),
    ],
    "3 data of numpy, pandas, Arrow": [
        ("unit/test_graph_arrays.py", "test_retained_sizes_are_those_of_the_data"),
        ("unit/test_graph_arrays.py", "test_columns_of_polars_are_counted_once"),
    ],
    "4 a reservation is no live heap": [
        ("unit/test_golden.py", "test_what_is_reserved_is_told_from_what_is_used"),
        ("unit/test_suspect_groups.py", "test_shares_are_of_what_leaks_and_ranks_follow_the_rates"),
    ],
    "5 a cell's tree, places, suspects, holders and live curve": [
        (KERNEL, "test_a_cell_in_place_is_judged_and_leaves_its_variables"),
        (KERNEL, "test_a_cell_shows_a_curve_while_it_runs_and_an_interrupt_keeps_it"),
        ("unit/test_plots_suspects.py", "test_no_retention_is_said_with_the_reason"),
    ],
    "6 a failing cell fails": [(KERNEL, "test_a_cell_that_fails_in_place_is_recorded_to_there")],
    "7 a cell that awaits": [(KERNEL, "test_a_cell_that_awaits_runs_on_the_kernels_loop")],
    "8 figures before a notebook is trusted, and in a narrow place": [
        (KERNEL, "test_a_cell_in_place_is_judged_and_leaves_its_variables"),
    ],
    "9 an interrupt is said and stops": [
        (KERNEL, "test_a_recording_shows_a_curve_and_an_interrupt_keeps_it"),
        (KERNEL, "test_what_a_cell_cannot_do_is_said_in_one_line"),
    ],
    "10 a reused recording says so": [
        (
            "unit/test_jupyter_live.py",
            "test_a_run_that_is_loaded_is_told_from_one_that_is_recorded",
        ),
    ],
    "11 a child that dies says why": [(KERNEL, "test_a_child_cell_that_dies_says_why")],
    "12 completion": [
        ("unit/test_jupyter_magics.py", "test_completion_offers_options_and_files"),
        ("unit/test_layers.py", "test_sub_packages_do_not_replace_the_public_calls"),
        (
            "unit/test_plots_suspects.py",
            "test_a_name_is_no_run_and_the_module_offers_its_figures_only",
        ),
        ("unit/test_run_frames.py", "test_the_options_of_record_are_spelled_out"),
    ],
    "13 reprs of one line": [
        ("unit/test_run_frames.py", "test_suspects_and_verdict_as_rows"),
        ("unit/test_overview.py", "test_a_run_is_not_compared_with_itself"),
    ],
    "14 what a case does not take": [
        (
            "unit/test_jobs_parameters.py",
            "test_what_a_case_does_not_take_is_refused_with_its_name_before_anything_starts",
        ),
    ],
    "18 small ones": [
        ("unit/test_jupyter_magics.py", "test_what_cannot_be_is_refused_in_one_line"),
        ("unit/test_overview.py", "test_a_run_is_not_compared_with_itself"),
        (
            "unit/test_plots_suspects.py",
            "test_a_name_is_no_run_and_the_module_offers_its_figures_only",
        ),
        ("unit/test_libraries.py", "test_make_lab_starts_jupyterlab_on_the_first_notebook"),
        ("unit/test_run_frames.py", "test_suspects_and_verdict_as_rows"),
    ],
}


@pytest.mark.parametrize("finding", FINDINGS)
def test_each_finding_has_a_test(finding: str) -> None:
    for file, name in FINDINGS[finding]:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file} has no {name}"
