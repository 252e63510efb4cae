"""Imports Great Expectations as the stages do; for processes that others are forked from."""

from tagline.quality.validation import great_expectations

great_expectations()
