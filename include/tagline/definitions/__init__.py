"""The shapes of all definition files."""

from tagline.definitions.business import BusinessDefinition, Standard, Standards
from tagline.definitions.identity import IdentityRules
from tagline.definitions.label_set import LabelSet
from tagline.definitions.models import AnyModel
from tagline.definitions.policy import PolicyDefinition
from tagline.definitions.source import FileSource, Source, SqlSource
from tagline.definitions.table import Column, Expectation, TableDefinition
from tagline.definitions.tag import (
    AnyTag,
    ExtractionTag,
    FileTag,
    GradeTag,
    ManualTag,
    ModelTag,
    RankTag,
    RuleTag,
    ScoreTag,
    StatisticTag,
    TagDefinition,
    ThemeDefinition,
)
from tagline.definitions.types import DataType, Names
from tagline.definitions.vocabulary import Vocabulary

__all__ = [
    "AnyModel",
    "AnyTag",
    "BusinessDefinition",
    "Column",
    "DataType",
    "Expectation",
    "ExtractionTag",
    "FileSource",
    "FileTag",
    "GradeTag",
    "IdentityRules",
    "LabelSet",
    "ManualTag",
    "ModelTag",
    "Names",
    "PolicyDefinition",
    "RankTag",
    "RuleTag",
    "ScoreTag",
    "Source",
    "SqlSource",
    "Standard",
    "Standards",
    "StatisticTag",
    "TableDefinition",
    "TagDefinition",
    "ThemeDefinition",
    "Vocabulary",
]
