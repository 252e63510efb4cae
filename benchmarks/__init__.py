"""Measures the pipeline on the grocer's full year; `make bench`."""
