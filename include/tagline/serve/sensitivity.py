"""Which of a release's tags are restricted, and which would tell what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagline.serve.reasons import told_tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tagline.catalog import Catalog
    from tagline.registry import Registry

RESTRICTED = "restricted"


@dataclass(frozen=True)
class Restricted:
    """`values` are the tags whose values only some may see.

    `reasons` are those whose sentences could quote such a value: rules, scores and grades that
    read one. The value of such a tag is as open as its own definition says.
    """

    values: frozenset[str]
    reasons: frozenset[str]


def restricted(
    catalog: Catalog, registry: Registry, released: Mapping[str, Mapping[str, Any]]
) -> Restricted:
    """The restricted tags among the released ones (`Release.tags`) and those of the catalog.

    A tag is restricted if its definition of today says so, or the one that made its values.
    """
    known = {**catalog.lacking, **catalog.tags}
    hidden = {slug for slug, tag in known.items() if tag.definition.sensitivity == RESTRICTED}
    telling = {
        slug
        for slug, tag in known.items()
        if not hidden.isdisjoint({*tag.reads, *told_tags(tag.definition)})
    }
    for slug, entry in released.items():
        version = entry.get("version")
        if slug in hidden or version is None:
            continue
        if slug in known and known[slug].version == version:
            continue
        made_by = registry.definition_of(slug, version)
        if made_by.get("sensitivity") == RESTRICTED:
            hidden.add(slug)
        if made_by.get("kind") in ("rule", "score", "grade"):
            telling.add(slug)  # what an earlier rule quoted is not worked out: say nothing
    return Restricted(frozenset(hidden), frozenset(hidden | telling) if hidden else frozenset())
