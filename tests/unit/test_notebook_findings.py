"""What a day of use in JupyterLab found wrong, and the test that keeps each of it mended.

Numbers are those of the findings; of 15 and 17, which are looks, what can be told without eyes.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
KERNEL = "e2e/test_jupyter_kernel.py"
CURVES = "unit/test_plots_curves.py"
PAGES = "browser/test_pages.py"
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
    "15 figures": [
        (CURVES, "test_what_is_flat_beside_start_up_has_a_panel_after_warm_up"),
        (CURVES, "test_the_rate_is_seen_on_a_run_that_lies_on_it"),
        (CURVES, "test_equal_lines_are_all_seen"),
        (CURVES, "test_where_nothing_grows_the_axis_begins_at_nought"),
        (CURVES, "test_where_nothing_moves_a_line_says_what_was_looked_at"),
        ("unit/test_plots_tree.py", "test_the_frame_is_as_high_as_the_rows_that_are_seen"),
        (PAGES, "test_the_frame_is_filled_by_what_it_shows"),
        ("unit/test_plots_suspects.py", "test_retention_says_between_which_marks_it_grew"),
        ("unit/test_plots_tree.py", "test_a_tree_names_its_run"),
        (PAGES, "test_what_is_shown_can_be_saved"),
    ],
    "16 progress is no error": [
        ("unit/test_jupyter_live.py", "test_a_job_logs_the_beginning_of_a_pass_and_the_end"),
        ("unit/test_report_notebook.py", "test_a_page_says_nothing_of_recordings_under_way"),
    ],
    "17 pages on phones and on paper, search": [
        (PAGES, "test_case_and_run_pages_fit_laptop_and_phone"),
        (PAGES, "test_page_prints_to_pdf_with_still_figures"),
        (PAGES, "test_what_is_wider_than_paper_would_shrink_the_whole_document"),
        (PAGES, "test_index_is_searched_in_the_page"),
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
