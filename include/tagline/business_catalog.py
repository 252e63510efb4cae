"""What one business has of a project: its tables, and the tags that they can carry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tagline.catalog import Catalog, Tag
from tagline.definitions import (
    BusinessDefinition,
    Expectation,
    ModelTag,
    Source,
    Standard,
    TableDefinition,
)
from tagline.definitions.tag import Quality
from tagline.project_files import Project
from tagline.serve.reasons import told_tags


def serve(
    project: Project, business: str, tags: Mapping[str, Tag], table_digests: Mapping[str, str]
) -> Catalog:
    """The catalog of one business: its own tables, and the tags that they can carry."""
    definition = project.businesses[business]
    sources = {name: project.sources[name] for name in definition.sources}
    has = {table for source in sources.values() for table in source.feeds}
    if definition.identity == "resolved":
        has.add("identity")
    while more := {
        name
        for name, sql in project.derived.items()
        if name in project.tables and name not in has and set(sql.tables) <= has
    }:
        has |= more
    absent = _absent(project, sources)
    unavailable: dict[str, str] = {}
    kept: dict[str, Tag] = {}
    made_by = project.tags.policies
    wanted = _wanted(definition, tags, made_by)
    for slug, tag in tags.items():
        lacking = next((other for other in tag.reads if other in unavailable), None)
        if slug not in wanted:
            continue
        gap = _gap(project, tag, has, absent)
        if gap is not None:
            unavailable[slug] = f"{business} has no {gap}"
        elif isinstance(tag.definition, ModelTag) and tag.definition.model not in definition.models:
            unavailable[slug] = f"{business} does not use model {tag.definition.model}"
        elif slug in made_by and made_by[slug] not in definition.policies:
            unavailable[slug] = f"{business} does not use policy {made_by[slug]}"
        elif lacking is not None:
            unavailable[slug] = f"reads {lacking}, which is unavailable: {unavailable[lacking]}"
        else:
            own = definition.quality.get(slug)
            kept[slug] = _limited(tag, own) if own else tag
    return Catalog(
        root=project.root,
        business=business,
        definition=definition,
        sources=sources,
        tables={
            name: _expecting(table, definition.expectations.get(name, ()))
            for name, table in project.tables.items()
            if name in has
        },
        derived={name: sql for name, sql in project.derived.items() if name in has},
        labels=project.labels,
        inputs=project.inputs,
        tags=kept,
        unavailable=unavailable,
        models={name: project.models[name] for name in definition.models},
        standards=standards_of(project, definition),
        themes=project.themes,
        table_digests=table_digests,
        lacking={slug: tags[slug] for slug in unavailable},
        label_sets=project.label_sets,
        identity=project.identities[business] if definition.identity == "resolved" else None,
        policies={name: project.policies[name] for name in definition.policies},
        vocabularies=project.vocabularies,
    )


def _limited(tag: Tag, own: Quality) -> Tag:
    """A tag with the limits that a business has for it in place of everybody's."""
    return replace(tag, definition=tag.definition.model_copy(update={"quality": own}))


def _expecting(table: TableDefinition, own: tuple[Expectation, ...]) -> TableDefinition:
    """A table with the expectations that a business has of it beside everybody's."""
    expectations = (*table.expectations, *own)
    return table.model_copy(update={"expectations": expectations}) if own else table


def _absent(project: Project, sources: Mapping[str, Source]) -> dict[str, set[str]]:
    """The columns of each table that none of the sources that fill it knows."""
    found: dict[str, set[str]] = {}
    for name, source in sources.items():
        for table in source.feeds:
            sql = project.feeds.get((name, table))
            if sql is not None and table in project.tables:
                lacking = set(project.tables[table].columns) - set(sql.columns)
                found[table] = found.get(table, lacking) & lacking
    return found


def _gap(
    project: Project, tag: Tag, has: Collection[str], absent: Mapping[str, Collection[str]]
) -> str | None:
    """The table or column that a tag is made from and that the business does not have."""
    if tag.subject.table not in has:
        return f"table {tag.subject.table}"
    if tag.table is None:
        return None
    if tag.table not in has:
        return f"table {tag.table}"
    columns = project.tables[tag.table].columns
    parts = (tag.meaning.value, tag.meaning.where, tag.meaning.by, tag.meaning.pick)
    named = {name for part in parts if part for name in part.names} | ({tag.via} - {""})
    for name in sorted(named):
        alias, _, column = name.rpartition(".")
        table = (columns[f"{alias}_id"].references or "") if alias else tag.table
        if table not in has:
            return f"table {table}"
        if column in absent.get(table, ()):
            return f"column {table}.{column}"
    return None


def _wanted(
    definition: BusinessDefinition, tags: Mapping[str, Tag], made_by: Mapping[str, str]
) -> set[str]:
    """The tags that a business chose by slug, theme or policy, with all that those read or tell."""
    if definition.tags is None:
        return set(tags)
    stack = [slug for slug, tag in tags.items() if {slug, tag.theme} & set(definition.tags)]
    stack += [slug for slug, policy in made_by.items() if policy in definition.policies]
    wanted: set[str] = set()
    while stack:
        slug = stack.pop()
        if slug not in wanted:
            wanted.add(slug)
            tag = tags[slug]
            stack.extend((*tag.reads, *tag.meaning.previous, *told_tags(tag.definition)))
    return wanted


def standards_of(project: Project, business: BusinessDefinition) -> dict[str, Standard]:
    """The standards with a business's own values in place of everybody's."""
    found = dict(project.standards)
    for name, values in business.standards.items():
        if name in found:
            found[name] = found[name].model_copy(update={"values": values})
    return found
