"""Checks of definitions against each other: every name that one uses must exist in another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from tagline.definitions import (
    AnyModel,
    AnyTag,
    BusinessDefinition,
    DataType,
    Expectation,
    IdentityRules,
    LabelSet,
    ModelTag,
    PolicyDefinition,
    Source,
    Standard,
    TableDefinition,
    ThemeDefinition,
    Vocabulary,
)
from tagline.definitions.files import DefinitionFile, Location
from tagline.definitions.models import MulticlassModel
from tagline.definitions.source import FileTable
from tagline.definitions.table import CANONICAL
from tagline.definitions.types import Slug
from tagline.errors import ExpressionError, Fault, did_you_mean
from tagline.expressions import Scope, parse_condition
from tagline.judgements import lacking_labels
from tagline.literals import literal_fits
from tagline.sqlfiles import SqlFile, unknown_tables
from tagline.subjects import SUBJECTS, Subject

_SLUG: TypeAdapter[str] = TypeAdapter(Slug)
OF_EVERY_ROW = frozenset({"as_of", *(subject.key for subject in SUBJECTS.values())})


@dataclass(frozen=True)
class Names:
    """Every definition of the project by name."""

    tables: Mapping[str, TableDefinition]
    sources: Mapping[str, Source]
    feeds: Mapping[tuple[str, str], SqlFile | None]
    derived: Mapping[str, SqlFile]
    labels: Mapping[str, SqlFile]
    inputs: Mapping[str, SqlFile]
    tags: Mapping[str, AnyTag]
    themes: Mapping[str, ThemeDefinition]
    models: Mapping[str, AnyModel]
    standards: Mapping[str, Standard]
    label_sets: Mapping[str, LabelSet]
    identities: Mapping[str, IdentityRules]
    policies: Mapping[str, PolicyDefinition]
    vocabularies: Mapping[str, Vocabulary]
    broken: frozenset[tuple[str, str]] = frozenset()  # kind and name of files with faults

    def known(self, kind: str) -> frozenset[str]:
        """Names of a kind, of files with faults too, so that one fault does not bring others."""
        return frozenset(getattr(self, kind)) | {
            name for broken, name in self.broken if broken == kind
        }


def check_file_name(path: str, kind: str, name: str) -> list[Fault]:
    """A file is named as what it defines: a slug, and of a tag no column of every released row."""
    try:
        _SLUG.validate_python(name)
    except ValidationError:
        said = (
            f"{name!r} is no name for a {kind}; name the file with lower-case letters, digits "
            "and single underscores between them, at most 60, such as order_count_90d.yaml"
        )
        return [Fault(path, 1, said)]
    if kind == "tag" and name in OF_EVERY_ROW:
        said = f"{name!r} is a column of the released table beside the tags; rename the file"
        return [Fault(path, 1, said)]
    return []


def _unknown(
    file: DefinitionFile, location: Location, kind: str, name: str, known: Iterable[str]
) -> list[Fault]:
    """A fault when `name` is not among `known`."""
    names = list(known)
    if name in names:
        return []
    return [file.fault(location, f"unknown {kind} {name!r}.{did_you_mean(name, names)}")]


def check_table(
    file: DefinitionFile, name: str, table: TableDefinition, names: Names
) -> list[Fault]:
    """Keys, times, references and expectations of a canonical table."""
    faults: list[Fault] = []
    columns = table.columns
    for index, key in enumerate(table.key):
        faults += _unknown(file, ("key", index), "column", key, columns)
    for field, value in (("customer", table.customer), ("event_at", table.event_at)):
        if value is not None:
            faults += _unknown(file, (field,), "column", value, columns)
    if table.event_at in columns and columns[table.event_at].type is not DataType.TIMESTAMP:
        faults.append(file.fault(("event_at",), f"column {table.event_at} is not a timestamp"))
    for column, definition in columns.items():
        place: Location = ("columns", column, "references")
        if definition.references is not None:
            faults += _unknown(file, place, "table", definition.references, names.known("tables"))
            far = names.tables.get(definition.references)
            if not column.endswith("_id"):
                faults.append(file.fault(place, f"a column that references ends in _id: {column}"))
            elif far is not None and len(far.key) != 1:
                message = f"table {definition.references} has no single key column to reference"
                faults.append(file.fault(place, message))
        kept = column in ("valid_at", "loaded_at", "customer_bucket", "as_of")
        if kept or column.startswith("_"):
            faults.append(file.fault(("columns", column), f"{column!r} is kept for Tagline"))
    faults += _check_expectations(file, ("expectations",), table.expectations, table)
    if name in names.derived:
        faults += _lacking(names.derived[name], table, f"tables/{name}.yaml", derived=True)
    elif any(kind in ("sources", "derived") for kind, _ in names.broken):
        pass  # the broken file may be what fills it
    elif name not in CANONICAL and not any(name in s.feeds for s in names.sources.values()):
        faults.append(
            file.fault((), f"no source feeds {name} and there is no sql/derived/{name}.sql")
        )
    return faults


def _check_expectations(
    file: DefinitionFile, place: Location, rules: Iterable[Expectation], table: TableDefinition
) -> list[Fault]:
    """The columns that expectations of a table name."""
    faults: list[Fault] = []
    for index, rule in enumerate(rules):
        if rule.column is not None:
            where: Location = (*place, index, "column")
            faults += _unknown(file, where, "column", rule.column, table.columns)
        for argument, value in rule.with_.items():
            for named in _columns_named(argument, value):
                where = (*place, index, "with", argument)
                faults += _unknown(file, where, "column", named, table.columns)
    return faults


def _columns_named(argument: str, value: object) -> list[str]:
    """The columns that an argument of an expectation names."""
    if argument in ("column_A", "column_B"):
        return [str(value)]
    if argument == "column_list" and isinstance(value, list):
        return [str(name) for name in value]
    return []


def check_standards(file: DefinitionFile, standards: Mapping[str, Standard]) -> list[Fault]:
    """Types of the standards' dated values."""
    return [
        file.fault(
            ("standards", name, "values", index, "value"),
            f"{dated.value!r} is not {standard.type.value}",
        )
        for name, standard in standards.items()
        for index, dated in enumerate(standard.values)
        if not literal_fits(dated.value, standard.type)
    ]


def check_source(file: DefinitionFile, name: str, source: Source, names: Names) -> list[Fault]:
    """Feeds, their SQL files, and the time columns of a source."""
    faults: list[Fault] = []
    for table, definition in source.tables.items():
        if definition.time is not None:
            place: Location = ("tables", table, "time")
            faults += _unknown(file, place, "column", definition.time, definition.columns)
            kind = definition.columns.get(definition.time, DataType.TIMESTAMP)
            if kind not in (DataType.TIMESTAMP, DataType.DATE):
                faults.append(file.fault(place, f"column {definition.time} is {kind.value}"))
        if definition.lookback and definition.time is None:
            message = "lookback needs `time`: without it the SQL sees all rows anyway"
            faults.append(file.fault(("tables", table, "lookback"), message))
        if definition.append_only and definition.time is not None:
            message = (
                "append_only is for tables without `time`: of one with it, only new rows are read "
                "anyway"
            )
            faults.append(file.fault(("tables", table, "append_only"), message))
        if isinstance(definition, FileTable):
            faults += _check_files(file, ("tables", table), definition)
    for table in source.feeds:
        place = ("feeds", table)
        faults += _unknown(file, place, "table", table, names.known("tables"))
        sql = names.feeds.get((name, table))
        if (name, table) not in names.feeds:
            faults.append(file.fault(place, f"add the file sql/sources/{name}/{table}.sql"))
        elif sql is not None:
            faults += unknown_tables(sql, source.tables, f"table of source {name}")
            if table in names.tables:
                faults += _lacking(sql, names.tables[table], f"tables/{table}.yaml")
    for fed, table in names.feeds:
        if fed == name and table not in source.feeds:
            message = f"sql/sources/{name}/{table}.sql is not used: add {table} to feeds"
            faults.append(file.fault(("feeds",), message))
    return faults


def _check_files(file: DefinitionFile, place: Location, table: FileTable) -> list[Fault]:
    """Names in a file table's aliases, accepted types, formats and file column."""
    faults: list[Fault] = []
    taken = dict.fromkeys(table.columns, "a column")
    for field in ("aliases", "accepts", "formats"):
        for column in getattr(table, field):
            faults += _unknown(file, (*place, field, column), "column", column, table.columns)
    for column, names in table.aliases.items():
        for index, name in enumerate(names):
            if name in taken:
                message = f"{name!r} is already {taken[name]}: a name stands for one column"
                faults.append(file.fault((*place, "aliases", column, index), message))
            taken[name] = f"an alias of {column}"
    for column in table.formats:
        kind = table.columns.get(column, DataType.DATE)
        if kind not in (DataType.DATE, DataType.TIMESTAMP):
            message = f"column {column} is {kind.value}: only a date or timestamp has formats"
            faults.append(file.fault((*place, "formats", column), message))
    if table.file_column is not None:
        where: Location = (*place, "file_column")
        faults += _unknown(file, where, "column", table.file_column, table.columns)
        if table.columns.get(table.file_column, DataType.TEXT) is not DataType.TEXT:
            faults.append(file.fault(where, f"column {table.file_column} is not a text"))
    return faults


def _lacking(
    sql: SqlFile, table: TableDefinition, where: str, *, derived: bool = False
) -> list[Fault]:
    """Faults for declared columns that a query does not return, and returned undeclared ones.

    A source need not return a nullable column: then it is null.
    """
    if not sql.columns:
        return [Fault(sql.name, 1, "name the columns instead of *")]
    known = [*table.columns, "valid_at"]
    return [
        Fault(sql.name, 1, f"returns no column {column!r} of {where}: add it")
        for column, definition in table.columns.items()
        if column not in sql.columns and (derived or not definition.nullable or column in table.key)
    ] + [
        Fault(sql.name, 1, f"returns {column!r}, not in {where}.{did_you_mean(column, known)}")
        for column in sql.columns
        if column not in known
    ]


def check_model(
    file: DefinitionFile, model: AnyModel, names: Names, subjects: Mapping[str, Subject]
) -> list[Fault]:
    """Population, label, features and rule of a model; `subjects` are what tags tell of."""
    faults: list[Fault] = []
    read: list[tuple[Location, str]] = []
    said = f"the model is of each {model.subject}"
    types = {slug: tag.type for slug, tag in names.tags.items()}
    standards = {name: standard.type for name, standard in names.standards.items()}
    try:
        chosen = parse_condition(model.population, Scope(types, standards)).names
        read = [(("population",), slug) for slug in sorted(chosen)]
    except ExpressionError as error:
        if not any(kind in ("tags", "standards") for kind, _ in names.broken):
            faults.append(file.fault(("population",), f"population: {error}"))
    key = SUBJECTS[model.subject].key
    read += [(("features", index), slug) for index, slug in enumerate(model.features)]
    read += model.compared.items()
    faults += [
        file.fault(place, f"{slug} is a tag of each {subjects[slug].name}; {said}")
        for place, slug in read
        if slug in subjects and subjects[slug].name != model.subject
    ]
    if (label := model.label_query) is not None:
        returned = (key, *label.columns)
        faults += _check_query(file, ("label",), label.name, returned, names, "labels")
    if isinstance(model, MulticlassModel) and model.label_set is not None:
        faults += _check_learnt_from_people(file, model, model.label_set, names)
    for name, columns in model.input_columns.items():
        faults += _check_query(file, ("input",), name, (key, *columns), names, "inputs")
    for place, slug in zip(model.feature_places, model.features, strict=True):
        faults += _unknown(file, place, "tag", slug, names.known("tags"))
        if isinstance(names.tags.get(slug), ModelTag):
            message = f"{slug} is a model's output, which is no feature"
            faults.append(file.fault(place, message))
    for place, slug in model.compared.items():
        faults += _unknown(file, place, "tag", slug, names.known("tags"))
    return faults


def _check_learnt_from_people(
    file: DefinitionFile, model: MulticlassModel, label_set: str, names: Names
) -> list[Fault]:
    """The label set that a model learns from, whose values are its classes."""
    faults = _unknown(file, ("label_set",), "label set", label_set, names.known("label_sets"))
    known = names.label_sets.get(label_set)
    if model.subject != "customer":
        message = f"people judge customers, not each {model.subject}"
        faults.append(file.fault(("label_set",), message))
    if known is None:
        return faults
    for place, name in enumerate(model.classes):
        faults += _unknown(
            file, ("classes", place), f"value of label set {label_set}", name, known.values
        )
    missing = [value for value in known.values if value not in model.classes]
    if missing:
        message = f"classes lacks {missing[0]!r}, a value of label set {label_set}: add it"
        faults.append(file.fault(("classes",), message))
    return faults


def _check_query(
    file: DefinitionFile,
    place: Location,
    name: str,
    wanted: Sequence[str],
    names: Names,
    folder: Literal["labels", "inputs"],
) -> list[Fault]:
    """A query sql/<folder>/<name>.sql that a model reads, and the columns it has to return."""
    kind = folder.removesuffix("s")
    faults = _unknown(file, place, kind, name, names.known(folder))
    query: SqlFile | None = getattr(names, folder).get(name)
    if query is not None and set(query.columns) != set(wanted):
        listed = f"{', '.join(wanted[:-1])} and {wanted[-1]}"
        faults.append(Fault(query.name, 1, f"a query of this {kind} returns {listed}"))
    return faults


def check_label_set(file: DefinitionFile, label_set: LabelSet, names: Names) -> list[Fault]:
    """The table that the judgements of a label set lie in."""
    if "labels" in names.known("tables") - set(names.tables):
        return []  # its file has faults, which are told
    asked = label_set.speaks_of == "asked"
    table = names.tables.get("labels")
    place = ("speaks_of",) if asked else ()
    return [file.fault(place, said) for said in lacking_labels(table, "a label set", asked=asked)]


def check_business(file: DefinitionFile, business: BusinessDefinition, names: Names) -> list[Fault]:
    """Sources, tags, models and standards that a business names."""
    faults: list[Fault] = []
    for index, source in enumerate(business.sources):
        faults += _unknown(file, ("sources", index), "source", source, names.known("sources"))
    for index, tag in enumerate(business.tags or ()):
        known = names.known("tags") | names.known("themes")
        faults += _unknown(file, ("tags", index), "tag or theme", tag, known)
    for index, model in enumerate(business.models):
        faults += _unknown(file, ("models", index), "model", model, names.known("models"))
    for index, policy in enumerate(business.policies):
        known = names.known("policies")
        faults += _unknown(file, ("policies", index), "policy", policy, known)
    for name in business.quality:
        faults += _unknown(file, ("quality", name), "tag", name, names.known("tags"))
    for name, rules in business.expectations.items():
        faults += _unknown(file, ("expectations", name), "table", name, names.known("tables"))
        if name in names.tables:
            faults += _check_expectations(file, ("expectations", name), rules, names.tables[name])
    for name, values in business.standards.items():
        faults += _unknown(file, ("standards", name), "standard", name, names.standards)
        for index, dated in enumerate(values):
            standard = names.standards.get(name)
            if standard is not None and not literal_fits(dated.value, standard.type):
                place: Location = ("standards", name, index, "value")
                faults.append(file.fault(place, f"{dated.value!r} is not {standard.type.value}"))
    if business.ends_on is not None and business.ends_on <= business.starts_on:
        faults.append(file.fault(("ends_on",), "ends_on is not after starts_on"))
    return faults
