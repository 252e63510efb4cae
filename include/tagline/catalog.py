"""The catalog: every definition of the project, loaded, cross-checked and put in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tagline.definitions import (
    AnyModel,
    AnyTag,
    BusinessDefinition,
    DataType,
    IdentityRules,
    LabelSet,
    ModelTag,
    PolicyDefinition,
    RuleTag,
    Source,
    Standard,
    TableDefinition,
    ThemeDefinition,
    Vocabulary,
)
from tagline.errors import DefinitionError, Fault, UnknownName
from tagline.meaning import Meaning, World
from tagline.sqlfiles import SqlFile
from tagline.subjects import CUSTOMER, SUBJECTS, Subject


@dataclass(frozen=True)
class Tag:
    """A tag of the business, with its parsed meaning and its version."""

    slug: str
    theme: str
    dimension: str
    definition: AnyTag
    meaning: Meaning
    path: str
    version: str
    subject: Subject = CUSTOMER

    @property
    def reads(self) -> tuple[str, ...]:
        """The tags whose values it is made from."""
        return self.meaning.reads

    @property
    def table(self) -> str | None:
        """The canonical table that it is made from, if any."""
        return getattr(self.definition, "table", None)

    @property
    def via(self) -> str:
        """How a statistic finds the customer of an event; empty where the row itself says it."""
        return getattr(self.definition, "via", None) or ""

    @property
    def standards(self) -> tuple[str, ...]:
        """The standard values that its own expressions read."""
        meaning = self.meaning
        parts = (
            meaning.value, meaning.where, meaning.by, meaning.pick, *meaning.cases,
            *meaning.parts.values(),
        )  # fmt: skip
        return tuple(sorted({name for part in parts if part for name in part.standards}))

    @property
    def columns(self) -> Mapping[str, DataType]:
        """Its columns in a candidate: the value, and what tells how it came to it."""
        found = {self.slug: self.definition.type}
        if isinstance(self.definition, RuleTag):
            found[case_column(self.slug)] = DataType.INTEGER
        for part, made in self.meaning.parts.items():
            found[self.slug + part] = made.type or DataType.INTEGER
        return found


def case_column(slug: str) -> str:
    """The hidden column that holds which case of a rule held (0-based; their count: none)."""
    return f"{slug}__case"


@dataclass(frozen=True)
class Catalog:
    """All that one business is served from; `tags` are in the order of their dependencies.

    `unavailable` names tags that this business cannot have, with the reason. `tables` are the
    ones it has: fed by its sources, or derived from those.
    """

    root: Path
    business: str
    definition: BusinessDefinition
    sources: Mapping[str, Source]
    tables: Mapping[str, TableDefinition]
    derived: Mapping[str, SqlFile]
    labels: Mapping[str, SqlFile]
    inputs: Mapping[str, SqlFile]
    tags: Mapping[str, Tag]
    unavailable: Mapping[str, str]
    models: Mapping[str, AnyModel]
    standards: Mapping[str, Standard]
    themes: Mapping[str, ThemeDefinition]
    table_digests: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, Tag] = field(default_factory=dict)  # the definitions of `unavailable`
    label_sets: Mapping[str, LabelSet] = field(default_factory=dict)
    identity: IdentityRules | None = None  # of a business whose identity is resolved
    policies: Mapping[str, PolicyDefinition] = field(default_factory=dict)
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which business days are cut."""
        return ZoneInfo(self.definition.timezone)

    def midnight(self, day: date) -> datetime:
        """The UTC instant at which a business day begins."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def before(self, at: datetime, window: timedelta) -> datetime:
        """The instant a window earlier on the business's wall clock."""
        local = at.astimezone(self.zone).replace(tzinfo=None) - window
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def day(self, as_of: datetime) -> date:
        """The business day that an instant lies in."""
        return as_of.astimezone(self.zone).date()

    def tag(self, slug: str) -> Tag:
        """A tag by its slug; raises UnknownName with the closest one."""
        if slug not in self.tags:
            raise UnknownName("tag", slug, self.tags)
        return self.tags[slug]

    def tags_of(self, subject: Subject) -> dict[str, Tag]:
        """The tags of a subject, in order of dependency."""
        return {slug: tag for slug, tag in self.tags.items() if tag.subject is subject}

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the business has tags of: customers, and others where it has tags of them."""
        found = {tag.subject for tag in self.tags.values()} | {CUSTOMER}
        return tuple(subject for subject in SUBJECTS.values() if subject in found)

    def closure(self, slugs: Iterable[str]) -> tuple[Tag, ...]:
        """The tags named and all that they read, in order of dependency."""
        wanted: set[str] = set()
        stack = list(slugs)
        while stack:
            tag = self.tag(stack.pop())
            if tag.slug not in wanted:
                wanted.add(tag.slug)
                stack.extend(tag.reads)
        return tuple(tag for slug, tag in self.tags.items() if slug in wanted)

    def needs_model(self, slug: str) -> bool:
        """Whether a tag is a model's output or reads one, directly or not."""
        return any(isinstance(tag.definition, ModelTag) for tag in self.closure([slug]))

    def feeds(self, table: str) -> tuple[str, ...]:
        """The sources that fill a canonical table."""
        return tuple(name for name, source in self.sources.items() if table in source.feeds)

    def source_sql(self, source: str, table: str) -> str:
        """The SQL of sql/sources/<source>/<table>.sql, its vocabularies written out."""
        from tagline.vocabularies.queries import filled

        name = f"sql/sources/{source}/{table}.sql"
        return filled(name, (self.root / name).read_text("utf-8"), self.vocabularies)

    def tag_text(self, tag: Tag) -> str:
        """The text of a tag's definition file, as its author wrote it."""
        return (self.root / tag.path).read_text("utf-8")

    def label_sql(self, label: str) -> SqlFile:
        """The label query of that name."""
        if label not in self.labels:
            raise UnknownName("label", label, self.labels)
        return self.labels[label]

    def label_set(self, name: str) -> LabelSet:
        """The label set of that name; raises UnknownName with the closest one."""
        if name not in self.label_sets:
            raise UnknownName("label set", name, self.label_sets)
        return self.label_sets[name]

    def input_sql(self, name: str) -> SqlFile:
        """The input query of that name."""
        if name not in self.inputs:
            raise UnknownName("input", name, self.inputs)
        return self.inputs[name]

    def standard(self, name: str, as_of: datetime) -> bool | int | float | str:
        """A standard's value on the business day of as_of: the newest dated up to it."""
        day = self.day(as_of)
        held = [dated for dated in self.standards[name].values if dated.from_ <= day]
        if not held:
            message = f"standard {name!r} has no value on {day}: add one dated from then or before"
            raise DefinitionError([Fault("standards.yaml", 1, message)])
        return max(held, key=lambda dated: dated.from_).value

    def standards_of(self, tag: Tag, as_of: datetime) -> dict[str, bool | int | float | str]:
        """The standard values that a tag's own expressions read, as they hold as of an instant."""
        return {name: self.standard(name, as_of) for name in tag.standards}

    def world(self) -> World:
        """What an expression of this business may refer to."""
        return World(
            self.tables,
            {slug: tag.definition.type for slug, tag in self.tags.items()},
            self.models,
            {name: standard.type for name, standard in self.standards.items()},
            self.table_digests,
            tag_subjects={slug: tag.subject for slug, tag in self.tags.items()},
            label_sets={name: tuple(each.values) for name, each in self.label_sets.items()},
        )


def load_catalog(root: Path, business: str) -> Catalog:
    """Load and cross-check every definition under `root`; serve one business of them.

    Raises DefinitionError that lists all faults found, of all files, also of other businesses.
    """
    from tagline.loading import load

    return load(root, business)
