"""JSON Schemas of definition files, for editors and for the reference of the tag language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from tagline.definitions import (
    AnyModel,
    BusinessDefinition,
    FileTag,
    IdentityRules,
    LabelSet,
    PolicyDefinition,
    Source,
    Standards,
    TableDefinition,
    ThemeDefinition,
    Vocabulary,
)
from tagline.definitions.expectations import COLUMN_EXPECTATIONS, EXPECTATIONS
from tagline.definitions.types import DURATION_PATTERN
from tagline.schemas.meanings import meaning_of

SHAPES: Mapping[str, Any] = {
    "tag": FileTag,
    "theme": ThemeDefinition,
    "table": TableDefinition,
    "source": Source,
    "vocabulary": Vocabulary,
    "model": AnyModel,
    "label_set": LabelSet,
    "identity": IdentityRules,
    "policy": PolicyDefinition,
    "business": BusinessDefinition,
    "standards": Standards,
}
FILES: Mapping[str, str] = {  # where the files of a kind lie, under include/
    "tag": "tags/*/*/*.yaml",
    "theme": "tags/*/theme.yaml",
    "table": "tables/*.yaml",
    "source": "sources/*.yaml",
    "vocabulary": "vocabularies/*.yaml",
    "model": "models/*.yaml",
    "label_set": "labels/*.yaml",
    "identity": "identity/*.yaml",
    "policy": "policies/*.yaml",
    "business": "businesses/*.yaml",
    "standards": "standards.yaml",
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of the files of a kind, each key with what it means."""
    made = TypeAdapter(SHAPES[kind]).json_schema(by_alias=True, schema_generator=_Generator)
    definitions = made.get("$defs", {})
    for name, part in [*definitions.items(), (str(made.get("title", "")), made)]:
        _describe(name, part)
    if "Expectation" in definitions:
        definitions["Expectation"] |= _of_expectations(definitions["Expectation"])
    return {"$schema": DIALECT, "$comment": f"include/{FILES[kind]}", **made}


def schema_file(kind: str) -> str:
    """The name of the file that `tagline schema --write` makes of a schema."""
    return f"{kind}.schema.json"


def _describe(name: str, part: dict[str, Any]) -> None:
    """Give every key of an object its sentence; Python's names for people are left out."""
    part.pop("title", None)
    for key, schema in part.get("properties", {}).items():
        schema.pop("title", None)
        if said := meaning_of(name, key):
            schema["description"] = said


def _of_expectations(shape: dict[str, Any]) -> dict[str, Any]:
    """What `tagline check` knows of expectations: their names, and which need which keys."""
    shape["properties"]["expect"]["enum"] = sorted(EXPECTATIONS)
    row = {"properties": {"severity": {"const": "row"}}, "required": ["severity"]}
    of_column = {"properties": {"expect": {"enum": sorted(COLUMN_EXPECTATIONS)}}}
    return {
        "allOf": [
            {"if": row, "then": _needed("column", "reason")},
            {
                "if": of_column,
                "then": _needed("column"),
                "else": {"properties": {"column": {"type": "null"}}},
            },
        ]
    }


def _needed(*keys: str) -> dict[str, Any]:
    return {"required": list(keys), "properties": {key: {"type": "string"} for key in keys}}


class _Generator(GenerateJsonSchema):
    """Durations as definitions write them, days as YAML does, no number for a truth value."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """`90 days`."""
        return {"type": "string", "pattern": DURATION_PATTERN, "examples": ["90 days", "6 hours"]}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A mapping whose keys are all slugs; pydantic would say nothing of other keys."""
        made = super().dict_schema(schema)
        patterns = made.pop("patternProperties", None)
        if patterns is None:
            return made
        ((pattern, value),) = patterns.items()
        return {**made, "propertyNames": {"pattern": pattern}, "additionalProperties": value}

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        """`2017-12-01`."""
        return {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
