"""The servers of `make demo` and `make up`, started and stopped as child processes."""
