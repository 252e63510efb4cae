"""Why a tag has its value, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from tagline.definitions.tag import (
    AnyTag,
    ExtractionTag,
    ModelTag,
    RankTag,
    RuleTag,
    StatisticTag,
)
from tagline.serve.released import CASE

_NAME = re.compile(r"\{(\w+)\}")


def because(
    slug: str,
    definition: AnyTag,
    row: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
) -> str:
    """The reason of a tag's value in a customer's row.

    A rule says the case that held, with the values of the tags it names; the others say what
    they were made from. `models` are those of the release.
    """
    if isinstance(definition, RuleTag):
        return fill(_held(slug, definition, row), row)
    if isinstance(definition, RankTag):
        inside = f" within each {definition.within}" if definition.within else ""
        return (
            f"Group of {definition.into} by {definition.of}{inside}, "
            f"where {definition.into} is the best ({definition.best} is good)."
        )
    if isinstance(definition, ModelTag):
        used = models.get(definition.model, {})
        since = str(used.get("trained_as_of", ""))[:10]
        trained = f", trained as of {since}" if since else ""
        return f"{definition.output.capitalize()} of the model {definition.model}{trained}."
    assert isinstance(definition, ExtractionTag | StatisticTag)
    return definition.description


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A sentence with its {tags} replaced by their values.

    >>> fill("{days} days without an order, {amount} before", {"days": 91, "amount": 12.5})
    '91 days without an order, 12.5 before'
    """
    return _NAME.sub(lambda match: spoken(values.get(match[1])), template)


def spoken(value: Any) -> str:
    """A value as a sentence shows it.

    >>> [spoken(v) for v in (None, True, 1234.5678, 3.0, ["DAIRY", "MEAT"])]
    ['no value', 'yes', '1234.57', '3', 'DAIRY, MEAT']
    """
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(spoken(item) for item in value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _held(slug: str, definition: RuleTag, row: Mapping[str, Any]) -> str:
    case = row.get(slug + CASE)
    if case is None:
        return definition.description
    number = int(case)
    if 0 <= number < len(definition.cases):
        return definition.cases[number].because
    return definition.otherwise.because
