"""The version of a tag: a digest of what it means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tagline.definitions import (
    ExtractionTag,
    ManualTag,
    ModelTag,
    RankTag,
    RuleTag,
    StatisticTag,
    TagDefinition,
)
from tagline.expressions import Expression
from tagline.meaning import Meaning, World, tag_kind


def version_of(
    tag: TagDefinition, meaning: Meaning, world: World, versions: Mapping[str, str]
) -> str:
    """The digest of what a tag means: its computation and that of everything it reads.

    Names, descriptions, owners, limits and wording of reasons are not part of the meaning.
    """
    parts: dict[str, Any] = {"kind": tag_kind(tag), "type": tag.type.value, "unit": tag.unit}
    for name in ("value", "where", "by", "pick"):
        expression: Expression | None = getattr(meaning, name)
        parts[name] = expression.sql() if expression else None
    parts["count"] = meaning.pick_count
    if isinstance(tag, ExtractionTag | StatisticTag):
        parts |= {"table": tag.table, "made": world.table_digests.get(tag.table)}
        parts["empty"] = tag.empty
    if isinstance(tag, StatisticTag):
        parts["window"] = tag.window.total_seconds() if tag.window else None
        if tag.via is not None:  # a key of its own: versions of other statistics stay
            parts["via"] = tag.via
    if isinstance(tag, RankTag):
        parts |= {"of": tag.of, "into": tag.into, "best": tag.best, "within": tag.within}
    if isinstance(tag, RuleTag):
        parts["cases"] = [
            [when.sql(), case.value] for when, case in zip(meaning.cases, tag.cases, strict=True)
        ]
        parts["otherwise"] = tag.otherwise.value
    if meaning.parts:
        parts["parts"] = {name: part.sql() for name, part in meaning.parts.items()}
    if isinstance(tag, ModelTag):
        parts |= {"model": tag.model, "output": tag.output}
    if isinstance(tag, ManualTag):
        parts |= {"label_set": tag.label_set, "agreement": tag.agreement, "values": tag.values}
        parts |= {"empty": tag.empty, "made": world.table_digests.get(tag.table)}
    used = set(meaning.reads)
    parts["reads"] = {slug: versions[slug] for slug in sorted(used) if slug in versions}
    return digest(parts)


def digest(value: Any) -> str:
    """Twelve hexadecimal digits of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
