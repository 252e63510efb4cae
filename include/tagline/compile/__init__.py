"""Compiles definitions to SQL: statistics of a table in one scan, then ranks and rules."""

from tagline.compile.plan import (
    Compiled,
    compile_finish,
    compile_ground,
    compile_identity,
    compile_label,
    compile_over,
    compile_ranks_and_rules,
    compile_tags,
)

__all__ = [
    "Compiled",
    "compile_finish",
    "compile_ground",
    "compile_identity",
    "compile_label",
    "compile_over",
    "compile_ranks_and_rules",
    "compile_tags",
]
