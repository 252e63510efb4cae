"""What rules read of the release before: one relation, joined to the wide row by customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tagline.catalog import Catalog, Tag
from tagline.definitions import DataType
from tagline.expressions import previous_name

PREVIOUS = "previous"  # the relation: customer_id and the columns read


def previous_columns(catalog: Catalog, tags: Iterable[Tag]) -> dict[str, DataType]:
    """The columns that tags read of the release before, with today's types; none: no such tag.

    A tag that the business does not have has no value there either.
    """
    read = sorted({slug for tag in tags for slug in tag.meaning.previous})
    known = {**catalog.lacking, **catalog.tags}
    found = {slug: known[slug].definition.type for slug in read}
    return {"customer_id": DataType.TEXT, **found} if found else {}


def previous_join(tags: Iterable[Tag]) -> str:
    """The join of the release before to wide rows `w`, where a tag reads it."""
    if not any(tag.meaning.previous for tag in tags):
        return ""
    return f"\n  LEFT JOIN {PREVIOUS} ON {PREVIOUS}.customer_id = w.customer_id"


def previous_names(catalog: Catalog, tag: Tag) -> Mapping[str, tuple[str, DataType]]:
    """The column and type behind each `previous(tag)` of a rule."""
    columns = previous_columns(catalog, [tag])
    return {previous_name(slug): (slug, columns[slug]) for slug in tag.meaning.previous}
