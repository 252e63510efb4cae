"""Loads the definition files of a project into a catalog, collecting every fault."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tagline.business_catalog import serve, standards_of
from tagline.catalog import Catalog, Tag
from tagline.crosscheck import (
    Names,
    check_business,
    check_file_name,
    check_label_set,
    check_model,
    check_source,
    check_standards,
    check_table,
)
from tagline.definitions import (
    DataType,
    GradeTag,
    ScoreTag,
)
from tagline.errors import DefinitionError, Fault, UnknownName
from tagline.grading.checks import check_policy
from tagline.grading.companions import companions, slugs_of
from tagline.identity.checks import check_identity, check_resolved
from tagline.meaning import Meaning, World, graded, understand
from tagline.project_files import Project
from tagline.sqlfiles import unknown_tables
from tagline.subject_checks import check_before_models, check_subject_table
from tagline.subjects import CUSTOMER, SUBJECTS, Subject
from tagline.tag_versions import digest, version_of
from tagline.vocabularies.checks import check_calls, check_vocabulary


def load(root: Path, business: str) -> Catalog:
    """The catalog of one business; raises DefinitionError with all faults of the project."""
    if not (root / "businesses").is_dir():
        raise DefinitionError([Fault(str(root), 1, "no folder 'businesses' here")])
    project = Project(root)
    tables, tags = project.tables, project.tags
    names = Names(
        tables=tables,
        sources=project.sources,
        feeds=project.feeds,
        derived=project.derived,
        labels=project.labels,
        inputs=project.inputs,
        tags=tags.definitions,
        themes=project.themes,
        models=project.models,
        standards=project.standards,
        label_sets=project.label_sets,
        identities=project.identities,
        policies=project.policies,
        vocabularies=project.vocabularies,
        broken=frozenset(project.broken),
    )
    for (kind, name), file in project.files.items():
        if kind == "tables" and name in tables:
            project.faults += check_file_name(file.name, "table", name)
            project.faults += check_table(file, name, tables[name], names)
            project.faults += check_subject_table(file, name, tables[name])
        elif kind == "sources" and name in project.sources:
            project.faults += check_source(file, name, project.sources[name], names)
        elif kind == "models" and name in project.models:
            project.faults += check_file_name(file.name, "model", name)
            subjects = {slug: _subject(project, slug) for slug in tags.places}
            project.faults += check_model(file, project.models[name], names, subjects)
        elif kind == "label_sets" and name in project.label_sets:
            project.faults += check_file_name(file.name, "label set", name)
            project.faults += check_label_set(file, project.label_sets[name], names)
        elif kind == "vocabularies" and name in project.vocabularies:
            project.faults += check_file_name(file.name, "vocabulary", name)
            project.faults += check_vocabulary(file, project.vocabularies[name])
        elif kind == "businesses" and name in project.businesses:
            project.faults += check_business(file, project.businesses[name], names)
            project.faults += check_resolved(file, name, project.businesses[name], names)
        elif kind == "identity" and name in project.identities:
            project.faults += check_identity(
                file, name, project.identities[name], project.businesses, project.broken
            )
        elif kind == "standards":
            project.faults += check_standards(file, project.standards)
    read = (*project.derived.values(), *project.labels.values(), *project.inputs.values())
    for sql in read:
        project.faults += unknown_tables(sql, names.known("tables"), "table")
    of_sources = [sql for sql in project.feeds.values() if sql is not None]
    project.faults += check_calls(of_sources, read, names.known("vocabularies"))
    table_digests = _table_digests(project)
    world = World(
        tables,
        _tag_types(project),
        project.models,
        {name: standard.type for name, standard in project.standards.items()},
        table_digests,
        names.known("tables") - set(tables),
        names.known("models") - set(project.models),
        {slug: _subject(project, slug) for slug in tags.places},
        {slug: tag.values for slug, tag in tags.definitions.items() if tag.values is not None},
        {name: tuple(each.values) for name, each in project.label_sets.items()},
        frozenset(name for kind, name in project.broken if kind == "label_sets"),
        _polarities(project),
        {name: standards_of(project, business) for name, business in project.businesses.items()},
    )
    faulty = _check_policies(project, world)
    meanings: dict[str, Meaning] = {}
    for slug, definition in tags.definitions.items():
        subject = _subject(project, slug)
        if slug not in tags.policies:
            meanings[slug], faults = understand(tags.files[slug], definition, world, subject)
            project.faults += faults
        elif tags.policies[slug] in faulty:
            meanings[slug] = Meaning()
        elif isinstance(definition, ScoreTag | GradeTag):
            meanings[slug] = graded(definition, world, subject)
    order = _in_order(project, meanings)
    reads = {slug: meanings[slug].reads for slug in order}
    project.faults += check_before_models(tags.files, tags.definitions, reads)
    if project.faults:
        raise DefinitionError(project.faults)
    if business not in project.businesses:
        raise UnknownName("business", business, project.businesses)
    versions: dict[str, str] = {}
    for slug in order:
        versions[slug] = version_of(tags.definitions[slug], meanings[slug], world, versions)
    built = {
        slug: Tag(
            slug, *tags.places[slug], tags.definitions[slug], meanings[slug],
            tags.files[slug].name, versions[slug], _subject(project, slug),
        )
        for slug in order
    }  # fmt: skip
    return serve(project, business, built, table_digests)


def _subject(project: Project, slug: str) -> Subject:
    """What a tag is about, as its theme says; a theme with faults is about customers."""
    return _subject_of_theme(project, project.tags.places[slug][0])


def _subject_of_theme(project: Project, theme: str) -> Subject:
    found = project.themes.get(theme)
    return SUBJECTS[found.subject] if found is not None else CUSTOMER


def _check_policies(project: Project, world: World) -> set[str]:
    """Find the faults of all policies; the names of those that have any."""
    faulty = set()
    for name, policy in project.policies.items():
        faults = check_policy(
            project.files["policies", name],
            policy,
            world,
            _subject_of_theme(project, policy.theme),
            [each for each, used in project.businesses.items() if name in used.policies],
        )
        project.faults += faults
        if faults or any(slug not in project.tags.policies for slug in companions(name, policy)):
            faulty.add(name)
    return faulty


def _polarities(project: Project) -> dict[str, str | None]:
    """Polarities of all tags, of those with faults too."""
    found: dict[str, str | None] = {
        slug: tag.polarity for slug, tag in project.tags.definitions.items()
    }
    for slug, file in project.tags.files.items():
        written = file.data.get("polarity")
        found.setdefault(slug, written if isinstance(written, str) else None)
    return found


def _tag_types(project: Project) -> dict[str, DataType]:
    """Types of all tags, of those with faults too, so that one fault does not bring others."""
    found = {slug: tag.type for slug, tag in project.tags.definitions.items()}
    for slug, file in project.tags.files.items():
        written = file.data.get("type")
        if slug not in found and written in list(DataType):
            found[slug] = DataType(written)
    for kind, name in project.broken:
        if kind == "policies":
            found |= slugs_of(name)
    return found


def _in_order(project: Project, meanings: Mapping[str, Meaning]) -> list[str]:
    """Slugs in order of dependency, then by name; a cycle becomes a fault that names it."""
    known = {
        slug: [s for s in meaning.reads if s in meanings] for slug, meaning in meanings.items()
    }
    try:
        sorter = TopologicalSorter(known)
        sorter.prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        first = min(cycle)
        message = f"tags depend on each other in a cycle: {' → '.join(reversed(cycle))}"
        project.faults.append(project.tags.files[first].fault((), message))
        return []
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def _table_digests(project: Project) -> dict[str, str]:
    """What a derived table's rows are made by: its SQL and that of the derived ones it reads."""

    def of(name: str, seen: tuple[str, ...] = ()) -> str:
        sql = project.derived[name]
        inner = {
            table: of(table, (*seen, name))
            for table in sql.tables
            if table in project.derived and table not in (*seen, name)
        }
        return digest([sql.tree.sql(dialect="duckdb", comments=False), inner])

    return {name: of(name) for name in project.derived}
