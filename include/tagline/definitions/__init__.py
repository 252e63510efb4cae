"""The shapes of all definition files."""

from tagline.definitions.business import BusinessDefinition, Standard, Standards
from tagline.definitions.label_set import LabelSet
from tagline.definitions.models import AnyModel
from tagline.definitions.source import FileSource, Source, SqlSource
from tagline.definitions.table import Column, Expectation, TableDefinition
from tagline.definitions.tag import (
    AnyTag,
    ExtractionTag,
    ManualTag,
    ModelTag,
    RankTag,
    RuleTag,
    StatisticTag,
    TagDefinition,
    ThemeDefinition,
)
from tagline.definitions.types import DataType, Names

__all__ = [
    "AnyModel",
    "AnyTag",
    "BusinessDefinition",
    "Column",
    "DataType",
    "Expectation",
    "ExtractionTag",
    "FileSource",
    "LabelSet",
    "ManualTag",
    "ModelTag",
    "Names",
    "RankTag",
    "RuleTag",
    "Source",
    "SqlSource",
    "Standard",
    "Standards",
    "StatisticTag",
    "TableDefinition",
    "TagDefinition",
    "ThemeDefinition",
]
