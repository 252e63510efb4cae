"""The expectations of Great Expectations that a table may name, with their arguments.

Kept here so that a definition is checked without importing Great Expectations; a test compares
this list with the library.
"""

from __future__ import annotations

from collections.abc import Mapping

_RANGE = ("min_value", "max_value")

COLUMN_EXPECTATIONS: Mapping[str, tuple[str, ...]] = {
    "expect_column_distinct_values_to_be_in_set": ("value_set",),
    "expect_column_distinct_values_to_contain_set": ("value_set",),
    "expect_column_distinct_values_to_equal_set": ("value_set",),
    "expect_column_max_to_be_between": _RANGE,
    "expect_column_mean_to_be_between": _RANGE,
    "expect_column_median_to_be_between": _RANGE,
    "expect_column_min_to_be_between": _RANGE,
    "expect_column_proportion_of_non_null_values_to_be_between": _RANGE,
    "expect_column_proportion_of_unique_values_to_be_between": _RANGE,
    "expect_column_stdev_to_be_between": _RANGE,
    "expect_column_sum_to_be_between": _RANGE,
    "expect_column_unique_value_count_to_be_between": _RANGE,
    "expect_column_value_lengths_to_be_between": ("mostly", *_RANGE),
    "expect_column_value_lengths_to_equal": ("mostly", "value"),
    "expect_column_values_to_be_between": ("mostly", *_RANGE),
    "expect_column_values_to_be_in_set": ("mostly", "value_set"),
    "expect_column_values_to_be_null": ("mostly",),
    "expect_column_values_to_be_unique": ("mostly",),
    "expect_column_values_to_match_regex": ("mostly", "regex"),
    "expect_column_values_to_not_be_in_set": ("mostly", "value_set"),
    "expect_column_values_to_not_be_null": ("mostly",),
    "expect_column_values_to_not_match_regex": ("mostly", "regex"),
}

TABLE_EXPECTATIONS: Mapping[str, tuple[str, ...]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": (
        "column_A",
        "column_B",
        "mostly",
        "or_equal",
        "ignore_row_if",
    ),
    "expect_column_pair_values_to_be_equal": ("column_A", "column_B", "mostly", "ignore_row_if"),
    "expect_compound_columns_to_be_unique": ("column_list", "mostly", "ignore_row_if"),
    "expect_multicolumn_sum_to_equal": ("column_list", "mostly", "ignore_row_if", "sum_total"),
    "expect_table_row_count_to_be_between": _RANGE,
    "expect_table_row_count_to_equal": ("value",),
}

EXPECTATIONS: Mapping[str, tuple[str, ...]] = {**COLUMN_EXPECTATIONS, **TABLE_EXPECTATIONS}
