"""Compiles definitions to SQL: statistics of a table in one scan, then ranks and rules."""

from tagline.compile.compiled import Compiled
from tagline.compile.derived import DerivedRows, compile_derived
from tagline.compile.plan import (
    compile_finish,
    compile_ground,
    compile_identity,
    compile_input,
    compile_label,
    compile_over,
    compile_query,
    compile_ranks_and_rules,
    compile_tags,
)

__all__ = [
    "Compiled",
    "DerivedRows",
    "compile_derived",
    "compile_finish",
    "compile_ground",
    "compile_identity",
    "compile_input",
    "compile_label",
    "compile_over",
    "compile_query",
    "compile_ranks_and_rules",
    "compile_tags",
]
