"""Why a tag has its value, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from tagline.definitions.tag import AnyTag, ModelTag, RankTag, RuleTag
from tagline.serve.released import CASE

_NAME = re.compile(r"\{(\w+)\}")


Reason = Callable[[Mapping[str, Any]], str]


def reason_of(slug: str, definition: AnyTag, models: Mapping[str, Mapping[str, Any]]) -> Reason:
    """What tells the reason of a tag's value from a customer's row.

    A rule tells the case that held, with the values of the tags it names; the others say what
    they are made from. `models` are those of the release.
    """
    if isinstance(definition, RuleTag):
        cases = [case.because for case in definition.cases] + [definition.otherwise.because]
        column, unknown, last = slug + CASE, definition.description, len(cases) - 1

        def held(row: Mapping[str, Any]) -> str:
            case = row.get(column)
            return unknown if case is None else fill(cases[min(case, last)], row)

        return held
    text = _made_from(definition, models)
    return lambda _row: text


def _made_from(definition: AnyTag, models: Mapping[str, Mapping[str, Any]]) -> str:
    if isinstance(definition, RankTag):
        inside = f" within each {definition.within}" if definition.within else ""
        return (
            f"Group of {definition.into} by {definition.of}{inside}; "
            f"{definition.into} is the best, where {definition.of} is {definition.best}."
        )
    if isinstance(definition, ModelTag):
        since = str(models.get(definition.model, {}).get("trained_as_of", ""))[:10]
        trained = f", trained as of {since}" if since else ""
        return f"{definition.output.capitalize()} of the model {definition.model}{trained}."
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
