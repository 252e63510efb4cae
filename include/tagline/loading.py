"""Loads the definition files of a project into a catalog, collecting every fault."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

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
    AnyModel,
    AnyTag,
    BusinessDefinition,
    DataType,
    Expectation,
    FileTag,
    GradeTag,
    IdentityRules,
    LabelSet,
    ModelTag,
    PolicyDefinition,
    ScoreTag,
    Source,
    Standard,
    Standards,
    TableDefinition,
    ThemeDefinition,
    Vocabulary,
)
from tagline.definitions.files import DefinitionFile, parse, read_file
from tagline.definitions.tag import Quality
from tagline.errors import DefinitionError, Fault, UnknownName, did_you_mean
from tagline.grading.checks import check_policy
from tagline.grading.companions import companions, slugs_of
from tagline.identity.checks import check_identity, check_resolved
from tagline.meaning import Meaning, World, digest, graded, understand, version_of
from tagline.sqlfiles import SqlFile, parse_sql, unknown_tables
from tagline.subject_checks import check_before_models, check_subject_table
from tagline.subjects import CUSTOMER, SUBJECTS, Subject
from tagline.vocabularies.checks import check_calls, check_vocabulary


@dataclass
class _Tags:
    definitions: dict[str, AnyTag] = field(default_factory=dict)
    files: dict[str, DefinitionFile] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)  # which policy makes a tag


class _Project:
    """Everything read from the files, with the faults found so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self.broken: set[tuple[str, str]] = set()  # named, though their files have faults
        self.files: dict[tuple[str, str], DefinitionFile] = {}
        self.businesses: dict[str, BusinessDefinition] = self.all("businesses", BusinessDefinition)
        self.tables: dict[str, TableDefinition] = self.all("tables", TableDefinition)
        self.sources: dict[str, Source] = self.all("sources", Source)
        self.models: dict[str, AnyModel] = self.all("models", AnyModel)
        self.label_sets: dict[str, LabelSet] = self.all("label_sets", LabelSet, "labels")
        self.identities: dict[str, IdentityRules] = self.all("identity", IdentityRules)
        self.vocabularies: dict[str, Vocabulary] = self.all("vocabularies", Vocabulary)
        self.standards: dict[str, Standard] = self.read_standards()
        self.derived = self.sql("derived")
        self.labels = self.sql("labels")
        self.inputs = self.sql("inputs")
        self.feeds = {
            (source.name, path.stem): self.one_sql(path)
            for source in sorted((root / "sql" / "sources").glob("*"))
            for path in sorted(source.glob("*.sql"))
        }
        self.themes: dict[str, ThemeDefinition] = {}
        self.tags = self.read_tags()
        self.policies: dict[str, PolicyDefinition] = self.all("policies", PolicyDefinition)
        for name in sorted(self.policies):
            self.add_policy(name, self.policies[name])

    def attempt(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except DefinitionError as error:
            self.faults.extend(error.faults)
            return None

    def one(self, kind: str, path: Path, shape: Any) -> Any:
        file = self.attempt(lambda: read_file(path, self.root))
        if file is None:
            self.broken.add((kind, path.stem))
            return None
        self.files[kind, path.stem] = file
        found = self.attempt(lambda: parse(file, shape))
        if found is None:
            self.broken.add((kind, path.stem))
        return found

    def all(self, kind: str, shape: Any, folder: str | None = None) -> dict[str, Any]:
        found = {
            path.stem: self.one(kind, path, shape)
            for path in sorted((self.root / (folder or kind)).glob("*.yaml"))
        }
        return {name: definition for name, definition in found.items() if definition is not None}

    def read_standards(self) -> dict[str, Standard]:
        path = self.root / "standards.yaml"
        if not path.exists():
            return {}
        found: Standards | None = self.one("standards", path, Standards)
        return dict(found.standards) if found else {}

    def one_sql(self, path: Path) -> SqlFile | None:
        name = path.relative_to(self.root).as_posix()
        found: SqlFile | None = self.attempt(lambda: parse_sql(name, path.read_text("utf-8")))
        return found

    def sql(self, folder: str) -> dict[str, SqlFile]:
        paths = sorted((self.root / "sql" / folder).glob("*.sql"))
        found = {path.stem: self.one_sql(path) for path in paths}
        self.broken |= {(folder, name) for name, file in found.items() if file is None}
        return {name: file for name, file in found.items() if file is not None}

    def read_tags(self) -> _Tags:
        tags = _Tags()
        folder = self.root / "tags"
        for theme in sorted(path for path in folder.glob("*") if path.is_dir()):
            definition = self.one("themes", theme / "theme.yaml", ThemeDefinition)
            if definition is not None:
                self.themes[theme.name] = definition
            for path in sorted(theme.rglob("*.yaml")):
                if path.name != "theme.yaml":
                    self.read_tag(tags, path, theme.name, definition)
        return tags

    def read_tag(
        self, tags: _Tags, path: Path, theme: str, definition: ThemeDefinition | None
    ) -> None:
        name, slug = path.relative_to(self.root).as_posix(), path.stem
        self.faults += check_file_name(name, "tag", slug)
        parts = path.relative_to(self.root / "tags").parts
        if len(parts) != 3:
            message = "a tag lies in tags/<theme>/<dimension>/<tag>.yaml"
            self.faults.append(Fault(name, 1, message))
            return
        if definition is not None and parts[1] not in definition.dimensions:
            close = did_you_mean(parts[1], definition.dimensions)
            message = f"theme {theme} has no dimension {parts[1]!r} in its theme.yaml.{close}"
            self.faults.append(Fault(name, 1, message))
        if slug in tags.places:
            other = tags.files[slug].name if slug in tags.files else slug
            self.faults.append(Fault(name, 1, f"tag {slug!r} is defined already in {other}"))
            return
        tags.places[slug] = (theme, parts[1])
        tag = self.one("tags", path, FileTag)
        if ("tags", slug) in self.files:
            tags.files[slug] = self.files["tags", slug]
        if tag is not None:
            tags.definitions[slug] = tag

    def add_policy(self, name: str, policy: PolicyDefinition) -> None:
        """Add the tags that a policy makes to those that have files."""
        file, tags = self.files["policies", name], self.tags
        made = companions(name, policy)
        self.faults += check_file_name(file.name, "policy", max(made, key=len))
        theme = self.themes.get(policy.theme)
        if theme is None and ("themes", "theme") not in self.broken:
            close = did_you_mean(policy.theme, self.themes)
            self.faults.append(file.fault(("theme",), f"unknown theme {policy.theme!r}.{close}"))
        elif theme is not None and policy.dimension not in theme.dimensions:
            close = did_you_mean(policy.dimension, theme.dimensions)
            said = f"theme {policy.theme} has no dimension {policy.dimension!r}.{close}"
            self.faults.append(file.fault(("dimension",), said))
        for slug, tag in made.items():
            if slug in tags.places:
                other = tags.files[slug].name if slug in tags.files else slug
                said = f"the policy makes a tag {slug!r}, which is defined already in {other}"
                self.faults.append(file.fault((), said))
                continue
            tags.places[slug] = (policy.theme, policy.dimension)
            tags.files[slug], tags.policies[slug] = file, name
            tags.definitions[slug] = tag


def load(root: Path, business: str) -> Catalog:
    """The catalog of one business; raises DefinitionError with all faults of the project."""
    if not (root / "businesses").is_dir():
        raise DefinitionError([Fault(str(root), 1, "no folder 'businesses' here")])
    project = _Project(root)
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
        {name: _standards_of(project, business) for name, business in project.businesses.items()},
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
    return _serve(project, business, built, table_digests)


def _subject(project: _Project, slug: str) -> Subject:
    """What a tag is about, as its theme says; a theme with faults is about customers."""
    return _subject_of_theme(project, project.tags.places[slug][0])


def _subject_of_theme(project: _Project, theme: str) -> Subject:
    found = project.themes.get(theme)
    return SUBJECTS[found.subject] if found is not None else CUSTOMER


def _check_policies(project: _Project, world: World) -> set[str]:
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


def _polarities(project: _Project) -> dict[str, str | None]:
    """Polarities of all tags, of those with faults too."""
    found: dict[str, str | None] = {
        slug: tag.polarity for slug, tag in project.tags.definitions.items()
    }
    for slug, file in project.tags.files.items():
        written = file.data.get("polarity")
        found.setdefault(slug, written if isinstance(written, str) else None)
    return found


def _standards_of(project: _Project, business: BusinessDefinition) -> dict[str, Standard]:
    """The standards with a business's own values in place of everybody's."""
    found = dict(project.standards)
    for name, values in business.standards.items():
        if name in found:
            found[name] = found[name].model_copy(update={"values": values})
    return found


def _tag_types(project: _Project) -> dict[str, DataType]:
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


def _serve(
    project: _Project, business: str, tags: Mapping[str, Tag], table_digests: Mapping[str, str]
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
        standards=_standards_of(project, definition),
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


def _absent(project: _Project, sources: Mapping[str, Source]) -> dict[str, set[str]]:
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
    project: _Project, tag: Tag, has: Collection[str], absent: Mapping[str, Collection[str]]
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
    """The tags that a business chose by slug, theme or policy, with all that those read."""
    if definition.tags is None:
        return set(tags)
    stack = [slug for slug, tag in tags.items() if {slug, tag.theme} & set(definition.tags)]
    stack += [slug for slug, policy in made_by.items() if policy in definition.policies]
    wanted: set[str] = set()
    while stack:
        slug = stack.pop()
        if slug not in wanted:
            wanted.add(slug)
            stack.extend((*tags[slug].reads, *tags[slug].meaning.previous))
    return wanted


def _in_order(project: _Project, meanings: Mapping[str, Meaning]) -> list[str]:
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


def _table_digests(project: _Project) -> dict[str, str]:
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
