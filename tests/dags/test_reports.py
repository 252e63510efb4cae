"""Reports in the task log: aligned, complete where it matters, never folded."""

from __future__ import annotations

from tagline_airflow.reports import report_lines


def test_plain_values_are_aligned_and_lists_stand_below_each_other() -> None:
    report = {"verdict": "warn", "rows": 155848, "reasons": ["too few", "too late"], "none": None}
    assert report_lines(report) == [
        "verdict : warn",
        "rows    : 155,848",
        "reasons : too few",
        "        : too late",
        "none    :",
    ]


def test_a_mapping_of_mappings_is_a_table_without_its_empty_columns() -> None:
    report = {
        "seconds": 1.25,
        "tables": {
            "orders": {"rows": 1200, "quarantined": {"missing_amount": 3}, "files": []},
            "客户": {"rows": 2, "quarantined": {}, "files": []},
        },
    }
    assert report_lines(report) == [
        "seconds : 1.25",
        "",
        "tables |  rows | quarantined",
        "-------+-------+-----------------",
        "orders | 1,200 | missing_amount 3",
        "客户   |     2 |",
    ]


def test_a_long_cell_is_cut_and_stays_on_one_line() -> None:
    lines = report_lines({"tags": {"age": {"top": "x" * 500}}})
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert len(lines[-1]) < 80
