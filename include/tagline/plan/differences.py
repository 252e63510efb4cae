"""Which tags of the working tree mean something else than those of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tagline.catalog import Catalog, Tag
from tagline.definitions.tag import ModelTag, TagDefinition
from tagline.definitions.types import DataType
from tagline.expressions import Scope, parse_condition
from tagline.registry.schema import Release
from tagline.serve.released import subject_of, tag_columns
from tagline.subjects import SUBJECTS

if TYPE_CHECKING:
    from tagline.registry import Registry

How = Literal["changed", "affected", "new", "renamed", "removed"]
OF_PEOPLE = frozenset(TagDefinition.model_fields) - {"type", "unit"}  # no part of the meaning


@dataclass(frozen=True)
class Difference:
    """A tag whose values in the next release may differ from those of this one.

    `affected` is one that means the same itself and reads a tag that does not. `before` is the
    released column that its values are compared with, None where there is none. It is not
    `certain` where the release does not tell which standard values it was made with.
    """

    slug: str
    how: How
    why: tuple[str, ...]
    before: str | None
    version_before: str | None = None
    certain: bool = True


def differences(catalog: Catalog, registry: Registry, release: Release) -> list[Difference]:
    """Every tag that is new, removed, renamed or changed, and what is made of those.

    In the order of dependencies; removed tags come last. An empty list: the next release as of
    the same instant, of the same rows, has the same values.
    """
    columns = released_columns(release)
    gone = {slug: entry for slug, entry in release.tags.items() if slug not in catalog.tags}
    found: dict[str, Difference] = {}
    for slug, tag in _in_order(catalog):
        entry = release.tags.get(slug)
        old_name = None if _was_there(registry, slug, entry) else _by_version(gone, tag.version)
        if old_name is not None:
            entry = gone.pop(old_name)
            why = (f"was called {old_name}",)
            before = old_name if old_name in columns else None
            found[slug] = Difference(slug, "renamed", why, before, entry["version"])
        elif entry is None or not _was_there(registry, slug, entry):
            found[slug] = Difference(slug, "new", (), None)
        else:
            made = _Comparison(catalog, registry, release, tag, entry).difference(found)
            if made is not None:
                found[slug] = made
    for slug, entry in gone.items():
        if slug in columns or (slug not in catalog.unavailable and entry["version"] is not None):
            reason = catalog.unavailable.get(slug, "its file is gone")
            before = slug if slug in columns else None
            found[slug] = Difference(slug, "removed", (reason,), before, entry["version"])
    return list(found.values())


def released_columns(release: Release) -> dict[str, DataType]:
    """The released tags that have values, of every subject."""
    return {
        slug: kind
        for name in release.files
        for slug, kind in tag_columns(release, SUBJECTS[name]).items()
    }


def reads_of(catalog: Catalog, tag: Tag) -> tuple[str, ...]:
    """The tags that a tag's values follow from; of a model also those that choose whom it scores.

    >>> from tagline.catalog import load_catalog
    >>> from tagline.settings import PROJECT
    >>> catalog = load_catalog(PROJECT / "include", "grocer")
    >>> reads_of(catalog, catalog.tag("is_dormant"))
    ('recency_days',)
    """
    if not isinstance(tag.definition, ModelTag):
        return tag.reads
    return model_reads(catalog, tag.definition.model)


def model_reads(catalog: Catalog, model: str) -> tuple[str, ...]:
    """The features of a model and the tags that choose its population."""
    definition = catalog.models[model]
    types = {slug: tag.definition.type for slug, tag in catalog.tags.items()}
    standards = {name: standard.type for name, standard in catalog.standards.items()}
    chosen = parse_condition(definition.population, Scope(types, standards)).names
    return tuple(sorted({*definition.features, *chosen}))


def readers_of(catalog: Catalog, slugs: Set[str]) -> set[str]:
    """All tags that are made of one of these, directly or not, themselves not included."""
    found: set[str] = set()
    for slug, tag in _in_order(catalog):
        if slug not in slugs and not (slugs | found).isdisjoint(reads_of(catalog, tag)):
            found.add(slug)
    return found


def _in_order(catalog: Catalog) -> Iterator[tuple[str, Tag]]:
    """The tags, each after all that it reads (the catalog's order leaves populations out)."""
    left = {slug: set(reads_of(catalog, tag)) for slug, tag in catalog.tags.items()}
    while left:
        ready = [slug for slug, reads in left.items() if left.keys().isdisjoint(reads)]
        for slug in ready or list(left):
            del left[slug]
            yield slug, catalog.tags[slug]


def _was_there(registry: Registry, slug: str, entry: Mapping[str, Any] | None) -> bool:
    """Whether a tag of the release was defined then, though perhaps without values."""
    if entry is None:
        return False
    return entry["version"] is not None or bool(registry.tag_versions(slug))


def _by_version(gone: Mapping[str, Mapping[str, Any]], version: str) -> str | None:
    return next((slug for slug, entry in gone.items() if entry["version"] == version), None)


@dataclass(frozen=True)
class _Comparison:
    """A tag of today beside its entry in the release."""

    catalog: Catalog
    registry: Registry
    release: Release
    tag: Tag
    entry: Mapping[str, Any]

    def difference(self, found: Mapping[str, Difference]) -> Difference | None:
        """What became of the tag, given what was found of those that it reads."""
        slug, before = self.tag.slug, self.entry["version"]
        same = subject_of(self.entry) is self.tag.subject
        column = slug if same and slug in released_columns(self.release) else None
        read = [other for other in reads_of(self.catalog, self.tag) if other in found]
        moving = [other for other in read if found[other].how != "renamed"]
        own, certain = self._own(before, read)
        if own:
            return Difference(slug, "changed", own, column, before, certain or bool(moving))
        if moving:
            sure = any(found[other].certain for other in moving)
            why = (f"reads {', '.join(moving)}",)
            return Difference(slug, "affected", why, column, before, sure)
        return None

    def _own(self, before: str | None, read: list[str]) -> tuple[tuple[str, ...], bool]:
        """What is different about the tag itself, and whether that is certain."""
        why: list[str] = []
        certain = True
        was = subject_of(self.entry)
        if was is not self.tag.subject:
            why.append(f"of each {self.tag.subject.name}, was of each {was.name}")
        if before is None:
            known = {version.version for version, _ in self.registry.tag_versions(self.tag.slug)}
            if self.tag.version not in known:
                why.append("its definition, which no release had")
        elif before != self.tag.version:
            why += self._fields(self.registry.definition_of(self.tag.slug, before))
            if not why and not read:
                why.append(
                    f"what table {self.tag.table} is made by" if self.tag.table else "its model"
                )
        if before is not None and self.tag.standards:
            now = self.catalog.standards_of(self.tag, self.release.as_of)
            then = self.entry.get("standards")
            if then is None:
                why.append("standards, whose values the release does not tell")
                certain = len(why) > 1
            else:
                why += [
                    f"standard {name}: {_told(then.get(name))} → {_told(value)}"
                    for name, value in now.items()
                    if then.get(name) != value
                ]
        return tuple(why), certain

    def _fields(self, then: Mapping[str, Any]) -> list[str]:
        """The keys of the definition that took another meaning, short ones with their values."""
        definition = self.tag.definition
        now = definition.model_dump(mode="json", by_alias=True)
        said = []
        for key in dict.fromkeys([*now, *then]):
            old, new = _meaning(then.get(key)), _meaning(now.get(key))
            if key not in OF_PEOPLE and old != new:
                short = not isinstance(old, list) and not isinstance(new, list)
                values = f": {_told(old)} → {_told(new)}"
                said.append(key + values if short and len(values) < 100 else key)
        return said


def _meaning(value: Any) -> Any:
    """A value of a definition without the wording of its reasons."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key != "because"}
    return [_meaning(item) for item in value] if isinstance(value, list) else value


def _told(value: Any) -> str:
    return "none" if value is None else str(value)
