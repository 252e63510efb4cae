"""Compiles definitions to SQL: statistics of a table in one scan, then ranks and rules."""

from tagline.compile.plan import Compiled, compile_finish, compile_label, compile_over, compile_tags

__all__ = ["Compiled", "compile_finish", "compile_label", "compile_over", "compile_tags"]
