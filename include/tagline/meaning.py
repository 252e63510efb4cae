"""What a tag means: its expressions parsed and typed, and what it reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tagline.definitions import (
    AnyModel,
    DataType,
    ExtractionTag,
    GradeTag,
    ManualTag,
    ModelTag,
    RankTag,
    RuleTag,
    ScoreTag,
    Standard,
    StatisticTag,
    TagDefinition,
)
from tagline.definitions.files import DefinitionFile, Location
from tagline.definitions.table import TableDefinition
from tagline.definitions.types import HIDDEN, PLACEHOLDER
from tagline.errors import ExpressionError, Fault, did_you_mean
from tagline.expressions import (
    Expression,
    Scope,
    parse_aggregate,
    parse_condition,
    parse_pick,
    parse_value,
)
from tagline.expressions.cases import case_faults
from tagline.grading.checks import check_score
from tagline.grading.meanings import grade, score
from tagline.judgements import lacking_labels
from tagline.literals import literal_fits
from tagline.references import Holder, holder_of, holder_since
from tagline.subjects import CUSTOMER, Subject, subject_of_table

_OVER_ROWS = (ExtractionTag, StatisticTag, ManualTag)
_PREVIOUS = re.compile(r"previous\((\w+)\)")
_ASSIGNABLE = {
    DataType.NUMBER: {DataType.INTEGER, DataType.NUMBER},
    DataType.INTEGER: {DataType.INTEGER},
    DataType.DATE: {DataType.DATE, DataType.TIMESTAMP},
    DataType.TIMESTAMP: {DataType.TIMESTAMP},
}


@dataclass(frozen=True)
class Meaning:
    """The parsed parts of a tag; which are set depends on its kind."""

    reads: tuple[str, ...] = ()  # tags
    previous: tuple[str, ...] = ()  # tags whose value of the release before a rule reads
    value: Expression | None = None
    where: Expression | None = None
    via: Holder | None = None
    by: Expression | None = None
    pick: Expression | None = None  # the aggregate that ranks the groups
    pick_count: int | None = None
    cases: tuple[Expression, ...] = ()
    parts: Mapping[str, Expression] = field(default_factory=dict)
    """What a score or grade is made through: hidden columns, by what follows the tag's name."""


@dataclass
class World:
    """What a tag's definition may refer to."""

    tables: Mapping[str, TableDefinition]
    tag_types: Mapping[str, DataType]
    models: Mapping[str, AnyModel]
    standards: Mapping[str, DataType]
    table_digests: Mapping[str, str] = field(default_factory=dict)
    broken_tables: frozenset[str] = frozenset()  # they exist, but their files have faults
    broken_models: frozenset[str] = frozenset()
    tag_subjects: Mapping[str, Subject] = field(default_factory=dict)  # customers' if not here
    tag_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of texts with values
    label_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # their values
    broken_label_sets: frozenset[str] = frozenset()
    tag_polarities: Mapping[str, str | None] = field(default_factory=dict)
    timelines: Mapping[str, Mapping[str, Standard]] = field(default_factory=dict)
    """The standards of each business, with their dated values."""

    def tags_of(self, subject: Subject) -> dict[str, DataType]:
        """Types of a subject's tags."""
        return {
            slug: kind
            for slug, kind in self.tag_types.items()
            if self.tag_subjects.get(slug, CUSTOMER) is subject
        }

    def foreign(self, slug: str, subject: Subject) -> str | None:
        """What to tell a tag of a subject that reads a tag of another one; None of its own."""
        other = self.tag_subjects.get(slug, CUSTOMER)
        if other is subject:
            return None
        said = f"{slug} is a tag of each {other.name}, and this is one of each {subject.name}"
        if subject is CUSTOMER:
            return f"{said}; read it by a statistic with 'table: {other.table}'"
        return f"{said}; a tag reads tags of its own subject"


def table_scope(world: World, table: str) -> Scope:
    """Names in reach of an expression over a table: its columns, referenced ones, as_of.

    Over machines or opportunities, a customer's tag also reads the tags of each of them.
    """
    definition = world.tables[table]
    columns = {name: column.type for name, column in definition.columns.items()}
    for name, column in definition.columns.items():
        referenced = world.tables.get(column.references or "")
        if referenced is not None:
            for other, far in referenced.columns.items():
                columns[f"{name.removesuffix('_id')}.{other}"] = far.type
    subject = subject_of_table(table)
    tags = world.tags_of(subject) if subject not in (None, CUSTOMER) else {}
    return Scope({**tags, **columns, "as_of": DataType.TIMESTAMP}, world.standards)


def understand(
    file: DefinitionFile, definition: TagDefinition, world: World, subject: Subject = CUSTOMER
) -> tuple[Meaning, list[Fault]]:
    """Parse a tag's expressions; returns its meaning and every fault found."""
    reader = _Reader(file, world, subject)
    if isinstance(definition, ExtractionTag | StatisticTag):
        meaning = reader.over_table(definition)
    elif isinstance(definition, RankTag):
        meaning = reader.rank(definition)
    elif isinstance(definition, RuleTag):
        meaning = reader.rule(definition)
    elif isinstance(definition, ModelTag):
        meaning = reader.model(definition)
    elif isinstance(definition, ManualTag):
        meaning = reader.manual(definition)
    elif isinstance(definition, ScoreTag):
        found = check_score(file, definition, world, subject)
        reader.faults += found
        meaning = Meaning() if found else graded(definition, world, subject)
    else:
        raise TypeError(f"no meaning for {type(definition).__name__}")
    reader.common(definition)
    return meaning, reader.faults


def graded(tag: ScoreTag | GradeTag, world: World, subject: Subject) -> Meaning:
    """The meaning of a score or of a policy's tag in which no fault was found."""
    types = world.tags_of(subject)
    scope = Scope({**types, "as_of": DataType.TIMESTAMP}, world.standards, types)
    if isinstance(tag, ScoreTag):
        value, parts = score(tag, scope, world.tag_polarities)
    else:
        value, parts = grade(tag, scope)
    used = (value, *parts.values())
    names = {name.partition(HIDDEN)[0] for each in used for name in each.names}
    return Meaning(
        reads=tuple(sorted(names - {"", "as_of"})),
        previous=tuple(sorted({slug for each in used for slug in each.previous})),
        value=value,
        parts=parts,
    )


class _Reader:
    def __init__(self, file: DefinitionFile, world: World, subject: Subject) -> None:
        self.file = file
        self.world = world
        self.subject = subject
        self.faults: list[Fault] = []

    def fault(self, location: Location, message: str) -> None:
        self.faults.append(self.file.fault(location, message))

    def parse(
        self, location: Location, text: str | None, scope: Scope, how: Callable[..., Expression]
    ) -> Expression | None:
        if text is None:
            return None
        try:
            return how(text, scope)
        except ExpressionError as error:
            self.fault(location, f"{'.'.join(str(part) for part in location)}: {error}")
            return None

    def over_table(self, tag: ExtractionTag | StatisticTag) -> Meaning:
        if tag.table in self.world.broken_tables:
            return Meaning()
        if tag.table not in self.world.tables:
            close = did_you_mean(tag.table, self.world.tables)
            self.fault(("table",), f"unknown table {tag.table!r}.{close}")
            return Meaning()
        table = self.world.tables[tag.table]
        scope = table_scope(self.world, tag.table)
        if isinstance(tag, ExtractionTag):
            if table.key != (self.subject.group_column(tag.table, table),):
                said = f"{tag.table} has no single row per {self.subject.name}; use statistic"
                self.fault(("table",), said)
            value = self.parse(("value",), tag.value, scope, parse_value)
            self.assignable(("value",), value, tag.type)
            return Meaning(reads=self.tags_of_rows(tag.table, value), value=value)
        via = self.holder(tag)
        if self.subject.group_column(tag.table, table) is None and tag.via is None:
            self.fault(("table",), f"table {tag.table} has no {self._column} column to group by")
        if tag.window is not None and table.event_at is None:
            self.fault(("window",), f"table {tag.table} has no event_at, so no window; remove it")
        where = self.parse(("where",), tag.where, scope, parse_condition)
        if (tag.by is None) != (tag.pick is None) or (tag.by is None) == (tag.value is None):
            self.fault((), "a statistic has either 'value', or 'by' with 'pick'")
            return Meaning(where=where, via=via)
        if tag.by is None:
            value = self.parse(("value",), tag.value, scope, parse_aggregate)
            self.assignable(("value",), value, tag.type)
            reads = self.tags_of_rows(tag.table, value, where)
            return Meaning(reads=reads, value=value, where=where, via=via)
        by = self.parse(("by",), tag.by, scope, parse_value)
        if by is not None and by.type is not DataType.TEXT:
            self.fault(("by",), "by: needs a text; cast it, for example cast(x as text)")
        pick, count = None, None
        try:
            pick, count = parse_pick(tag.pick or "", scope)
        except ExpressionError as error:
            self.fault(("pick",), f"pick: {error}")
        wanted = DataType.TEXT if count is None else DataType.TEXT_LIST
        if pick is not None and tag.type is not wanted:
            self.fault(("type",), f"type: this pick gives {wanted.value}, not {tag.type.value}")
        reads = self.tags_of_rows(tag.table, where, by, pick)
        return Meaning(reads=reads, where=where, via=via, by=by, pick=pick, pick_count=count)

    @property
    def _column(self) -> str:
        return "customer" if self.subject is CUSTOMER else self.subject.key

    def tags_of_rows(self, table: str, *expressions: Expression | None) -> tuple[str, ...]:
        """The tags, of what the rows are about, that expressions over a table name."""
        subject, columns = subject_of_table(table), self.world.tables[table].columns
        if subject is None or subject is CUSTOMER:
            return ()
        tags = self.world.tags_of(subject)
        named = {name for each in expressions if each for name in each.names if name in tags}
        for name in sorted(named):
            if name in columns:
                self.fault((), f"{name} is a column of {table} and a tag; rename the tag")
            elif self.subject is not CUSTOMER:
                self.fault((), self.foreign(name) or f"{name} is no column of {table}; use a rule")
        return tuple(sorted(named - set(columns)))

    def foreign(self, slug: str) -> str | None:
        """What to say of a tag of another subject; None of one's own."""
        return self.world.foreign(slug, self.subject)

    def holder(self, tag: StatisticTag) -> Holder | None:
        if tag.via is None:
            return None
        if self.subject is not CUSTOMER:
            self.fault(
                ("via",), f"via: finds a customer; this is a tag of each {self.subject.name}"
            )
            return None
        try:
            return holder_of(tag.via, tag.table, self.world.tables, self.world.table_digests)
        except ExpressionError as error:
            self.fault(("via",), f"via: {error}")
            return None

    def rank(self, tag: RankTag) -> Meaning:
        for key, slug in (("of", tag.of), ("within", tag.within)):
            if slug is not None:
                self.known_tag((key,), slug)
        of = self.world.tag_types.get(tag.of)
        if of is not None and of not in (DataType.INTEGER, DataType.NUMBER, DataType.DATE):
            self.fault(("of",), f"of: {tag.of} is {of.value}, which has no order to rank by")
        if tag.type is not DataType.INTEGER:
            self.fault(("type",), f"type: a rank is an integer, not {tag.type.value}")
        return Meaning(reads=tuple(slug for slug in (tag.of, tag.within) if slug))

    def rule(self, tag: RuleTag) -> Meaning:
        types = self.world.tag_types
        scope = Scope({**types, "as_of": DataType.TIMESTAMP}, self.world.standards, types)
        reads: set[str] = set()
        previous: set[str] = set()
        cases = []
        for index, case in enumerate(tag.cases):
            parsed = self.parse(("cases", index, "when"), case.when, scope, parse_condition)
            if parsed is not None:
                cases.append(parsed)
                reads |= parsed.names - {"as_of"}
                previous |= parsed.previous
                for name in sorted((parsed.names - {"as_of"}) | parsed.previous):
                    if said := self.foreign(name):
                        self.fault(("cases", index, "when"), said)
            self.fits(("cases", index, "value"), case.value, tag)
            reads |= self.placeholders(("cases", index, "because"), case.because)
        self.fits(("otherwise", "value"), tag.otherwise.value, tag)
        reads |= self.placeholders(("otherwise", "because"), tag.otherwise.because)
        if len(cases) == len(tag.cases):
            for location, message in case_faults(cases, scope.columns, self.world.tag_values):
                self.fault(location, message)
        return Meaning(tuple(sorted(reads)), tuple(sorted(previous)), cases=tuple(cases))

    def model(self, tag: ModelTag) -> Meaning:
        if tag.model in self.world.broken_models:
            return Meaning()
        if tag.model not in self.world.models:
            close = did_you_mean(tag.model, self.world.models)
            self.fault(("model",), f"unknown model {tag.model!r}.{close}")
            return Meaning()
        model = self.world.models[tag.model]
        if model.subject != self.subject.name:
            said = f"model {tag.model} tells of each {model.subject}, not of each"
            self.fault(("model",), f"{said} {self.subject.name}")
        wanted = model.outputs.get(tag.output)
        if wanted is None:
            close = did_you_mean(tag.output, model.outputs)
            message = f"model {tag.model} has no output {tag.output!r}.{close}"
            self.fault(("output",), f"{message} It gives {', '.join(model.outputs)}.")
        elif tag.type is not wanted:
            self.fault(("type",), f"type: output {tag.output} is {wanted.value}")
        return Meaning(reads=tuple(sorted(model.features)))

    def manual(self, tag: ManualTag) -> Meaning:
        if self.subject is not CUSTOMER:
            self.fault(("kind",), f"people judge customers, not each {self.subject.name}")
        if tag.table not in self.world.broken_tables:
            for said in lacking_labels(self.world.tables.get(tag.table)):
                self.fault(("kind",), said)
        if tag.type not in (DataType.BOOLEAN, DataType.TEXT):
            self.fault(("type",), f"type: a manual tag is boolean or text, not {tag.type.value}")
        elif tag.type is DataType.TEXT and tag.values is None:
            self.fault((), "a manual text tag lists its 'values', so that others do not count")
        self.answers(tag)
        return Meaning()

    def answers(self, tag: ManualTag) -> None:
        if tag.label_set in self.world.broken_label_sets:
            return
        known = self.world.label_sets.get(tag.label_set)
        if known is None:
            close = did_you_mean(tag.label_set, self.world.label_sets)
            said = f"unknown label set {tag.label_set!r}: there is no labels/{tag.label_set}.yaml."
            self.fault(("label_set",), f"{said}{close}")
            return
        read = ("true", "false") if tag.type is DataType.BOOLEAN else tag.values or ()
        for value in read:
            if value not in known:
                said = f"label set {tag.label_set} has no value {value!r}."
                self.fault(("label_set",), f"{said}{did_you_mean(value, known)}")

    def placeholders(self, location: Location, text: str) -> set[str]:
        names = set(PLACEHOLDER.findall(text))
        for name in names:
            self.known_tag(location, name)
        return names & set(self.world.tag_types)

    def known_tag(self, location: Location, slug: str) -> None:
        if slug not in self.world.tag_types:
            close = did_you_mean(slug, self.world.tag_types)
            self.fault(location, f"unknown tag {slug!r}.{close}")
        elif said := self.foreign(slug):
            self.fault(location, said)

    def assignable(self, location: Location, value: Expression | None, wanted: DataType) -> None:
        if value is None or value.type is None:
            return
        if value.type not in _ASSIGNABLE.get(wanted, {wanted}):
            self.fault(location, f"the value is {value.type.value}, but type says {wanted.value}")

    def fits(self, location: Location, value: Any, tag: TagDefinition) -> None:
        """Whether a literal is of the tag's type and among its values."""
        if value is None:
            return
        if not literal_fits(value, tag.type):
            self.fault(location, f"{value!r} is not {tag.type.value}")
        elif tag.values is not None and value not in tag.values:
            self.fault(location, f"{value!r} is not among values.{did_you_mean(value, tag.values)}")

    def common(self, tag: TagDefinition) -> None:
        if tag.values is not None and tag.type not in (DataType.TEXT, DataType.TEXT_LIST):
            self.fault(("values",), "only a text tag has values")
        values = tag.values or ()
        for each in sorted({each for each in values if values.count(each) > 1}):
            self.fault(("values",), f"values: {each!r} is there more than once")
        if isinstance(tag, _OVER_ROWS):
            self.fits(("empty",), tag.empty, tag)
        for index, example in enumerate(tag.examples):
            table = tag.table if isinstance(tag, _OVER_ROWS) else None
            needed, other = ("rows", "tags") if table else ("tags", "rows")
            if getattr(example, needed) is None or getattr(example, other) is not None:
                self.fault(("examples", index), f"an example of a {tag_kind(tag)} has '{needed}'")
            if table is not None and table in self.world.tables:
                known = dict(table_scope(self.world, table).columns)
                if isinstance(tag, StatisticTag) and tag.via is not None:
                    known[holder_since(tag.via)] = DataType.TIMESTAMP
                for number, row in enumerate(example.rows or ()):
                    for name in row:
                        if name not in known:
                            close = did_you_mean(name, known)
                            place = ("examples", index, "rows", number, name)
                            self.fault(place, f"unknown column {name!r}.{close}")
            for name in example.tags or ():
                read = _PREVIOUS.fullmatch(name)
                self.known_tag(("examples", index, "tags", name), read[1] if read else name)


def tag_kind(tag: TagDefinition) -> str:
    """The word for a tag's kind."""
    return str(getattr(tag, "kind", "tag"))
