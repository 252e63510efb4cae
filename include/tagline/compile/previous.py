"""What rules read of the release before: a relation of each subject, joined to the wide rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tagline.catalog import Catalog, Tag
from tagline.definitions import DataType
from tagline.expressions import previous_name
from tagline.subjects import Subject


def previous_table(subject: Subject) -> str:
    """The name of the relation that holds a subject's key and the columns read."""
    return f"{subject.prefix}previous"


def previous_columns(catalog: Catalog, tags: Iterable[Tag]) -> dict[str, dict[str, DataType]]:
    """By subject, the columns that tags read of the release before, with today's types.

    A tag that the business does not have has no value there either.
    """
    known = {**catalog.lacking, **catalog.tags}
    found: dict[str, dict[str, DataType]] = {}
    for tag in tags:
        for slug in tag.meaning.previous:
            columns = found.setdefault(tag.subject.name, {tag.subject.key: DataType.TEXT})
            columns[slug] = known[slug].definition.type
    return found


def previous_join(tags: Iterable[Tag]) -> str:
    """The join of the release before to wide rows `w`, where a tag of one subject reads it."""
    for subject in {tag.subject for tag in tags if tag.meaning.previous}:
        name = previous_table(subject)
        return f"\n  LEFT JOIN {name} ON {name}.{subject.key} = w.{subject.key}"
    return ""


def previous_names(catalog: Catalog, tag: Tag) -> Mapping[str, tuple[str, DataType]]:
    """The column and type behind each `previous(tag)` of a rule."""
    columns = previous_columns(catalog, [tag]).get(tag.subject.name, {})
    return {previous_name(slug): (slug, columns[slug]) for slug in tag.meaning.previous}
