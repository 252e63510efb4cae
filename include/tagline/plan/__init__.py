"""The effect of changed definitions on the released population, before they are released."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tagline.catalog import Catalog
from tagline.clean import to_clean_again
from tagline.definitions import RankTag
from tagline.definitions.tag import AnyTag
from tagline.definitions.types import HIDDEN, DataType
from tagline.engines import Relation
from tagline.errors import UnknownName
from tagline.outdated import outdated
from tagline.plan.computed import Computed, compute_needed
from tagline.plan.differences import Difference, differences
from tagline.plan.downstream import Readers, refusals
from tagline.plan.effects import Compared, Effect, Sides, export
from tagline.registry.schema import Release
from tagline.scratch import scratch_folder
from tagline.serve.exports import check_target
from tagline.serve.reasons import reason_of, tells_why
from tagline.serve.released import relation_of, subject_of, wanted_release
from tagline.subjects import Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_TAG: TypeAdapter[AnyTag] = TypeAdapter(AnyTag)
_DIGITS = 6  # of shares


@contextmanager
def planned(deployment: Deployment, as_of: datetime | None = None) -> Iterator[Plan]:
    """The plan against the live release, or that of an as_of, for the length of the block.

    Computes the tags that changed and what is made of them, as of the release's instant, of the
    rows that the lake holds now; what they read unchanged is taken from the release where that
    is exact. Writes to a scratch folder only, which is removed at the end.
    """
    began = time.perf_counter()
    release = wanted_release(deployment.registry, as_of)
    found = differences(deployment.catalog, deployment.registry, release)
    touched = {each.release: each.touched_at for each in outdated(deployment)} if found else {}
    again = to_clean_again(deployment)
    with scratch_folder(deployment.settings, "plan") as folder:
        current = release.id not in touched
        wanted = [each.slug for each in found if each.how != "removed"]
        computed = compute_needed(
            deployment,
            release,
            wanted,
            _exact(deployment.catalog, release, wanted) if current else frozenset(),
            folder,
            same_population=current,
        )
        refused = refusals(deployment, release.as_of, found)
        yield Plan(
            deployment, release, found, computed, refused, touched.get(release.id), again, began
        )


def _exact(catalog: Catalog, release: Release, differing: Sequence[str]) -> frozenset[str]:
    """The tags whose released values are what computing them now would give."""
    return frozenset(
        slug
        for slug, tag in catalog.tags.items()
        if slug not in differing
        and release.tags.get(slug, {}).get("state") == "current"
        and release.tags[slug]["version"] == tag.version
    )


@dataclass
class Plan:
    """What would become of each differing tag; `differences` and `computed` are how it is known."""

    deployment: Deployment
    release: Release
    differences: Sequence[Difference]
    computed: Computed
    refused: Mapping[str, str]
    outdated_from: datetime | None
    to_clean: tuple[str, ...]
    began: float

    def __post_init__(self) -> None:
        self._compared: dict[str, Compared] = {}
        self._sides: dict[Subject, Sides] = {}
        for each in self.differences:
            subject = self._subject(each.slug)
            if subject not in self._sides:
                self._sides[subject] = self._both_sides(subject)
            after = each.slug if each.slug in self._sides[subject].planned.columns else None
            self._compared[each.slug] = Compared(each.slug, each.before, after)
        started = time.perf_counter()
        self.effects: dict[str, Effect] = {}
        for subject, sides in self._sides.items():
            self.effects |= sides.effects(self._of(subject, self._compared))
        self._compare_seconds = time.perf_counter() - started
        self.differences = [
            each for each in self.differences if each.certain or self.effects[each.slug].differ
        ]

    def _subject(self, slug: str) -> Subject:
        tag = self.deployment.catalog.tags.get(slug)
        return tag.subject if tag else subject_of(self.release.tags[slug])

    def _of(self, subject: Subject, slugs: Iterable[str]) -> list[Compared]:
        return [self._compared[slug] for slug in slugs if self._subject(slug) is subject]

    def _both_sides(self, subject: Subject) -> Sides:
        """The release and the plan of a subject; without files there are no rows."""
        key = {subject.key: DataType.TEXT}
        has = subject.name in self.release.files
        released = relation_of(self.release, subject) if has else Relation((), key)
        after = self.computed.relations.get(subject, Relation(released.files, key))
        return Sides(self.deployment.engine, subject, released, after)

    def ids(self, slug: str) -> list[str]:
        """The customers whose value of a tag differs; none where the tag is the same."""
        if slug in {each.slug for each in self.differences}:
            return self._sides[self._subject(slug)].ids(self._compared[slug])
        if slug in self.deployment.catalog.tags or slug in self.release.tags:
            return []
        raise UnknownName("tag", slug, self.deployment.catalog.tags)

    def export(self, path: str) -> int:
        """Write a row per customer and tag that differs to a Parquet file; how many."""
        check_target(path)
        slugs = [each.slug for each in self.differences]
        parts = [(sides, self._of(subject, slugs)) for subject, sides in self._sides.items()]
        return export(self.deployment.engine, parts, path)

    def as_json(self) -> dict[str, Any]:
        """The whole plan as one JSON document."""
        from tagline.serve.saved import tags_read_by_saved

        populations = {name: sides.population() for name, sides in self._sides.items()}
        audiences = tags_read_by_saved(self.deployment.registry)
        readers = Readers(self.deployment, audiences, self.refused)
        examples = {
            each.slug: self._sides[self._subject(each.slug)].examples(self._compared[each.slug])
            for each in self.differences
        }
        self._explain(examples)
        tags = [
            self._told(each, populations[self._subject(each.slug)])
            | {"moves": self._moves(each), "examples": examples[each.slug]}
            | {"downstream": readers.of(each)}
            for each in self.differences
        ]
        return {
            "release": self.release.id,
            "as_of": self.release.as_of.isoformat(),
            "same": not tags,
            "outdated_from": self.outdated_from.isoformat() if self.outdated_from else None,
            "tables_to_clean_again": list(self.to_clean),
            "tags": tags,
            "computed": list(self.computed.computed),
            "taken_from_release": list(self.computed.taken),
            "seconds": self._seconds(),
        }

    def _told(self, each: Difference, population: int) -> dict[str, Any]:
        tag = self.deployment.catalog.tags.get(each.slug)
        effect = self.effects[each.slug]
        counts = asdict(effect) | {"differ": effect.differ}
        return {
            "tag": each.slug,
            "subject": self._subject(each.slug).name,
            "population": population,
            "how": each.how,
            "why": list(each.why),
            "version_before": each.version_before,
            "version": tag.version if tag else None,
            "unavailable": self.computed.unavailable.get(each.slug),
            "customers": counts,
            "shares": {
                name: round(counts[name] / population, _DIGITS) if population else 0.0
                for name in ("gains", "loses", "changes", "differ")
            },
        }

    def _moves(self, each: Difference) -> list[dict[str, Any]] | None:
        """From which value to which, for tags that have few values."""
        column = self._compared[each.slug]
        side = self._sides[self._subject(each.slug)]
        relation = side.planned if column.after else side.released
        kind = relation.columns.get(column.after or column.before or "")
        tag = self.deployment.catalog.tags.get(each.slug)
        ranked = tag is not None and isinstance(tag.definition, RankTag)
        if kind not in (DataType.TEXT, DataType.BOOLEAN) and not ranked:
            return None
        return side.moves(column) if self.effects[each.slug].differ else []

    def _explain(self, examples: Mapping[str, list[dict[str, Any]]]) -> None:
        """Add to examples why each customer had the old value and gets the new one."""
        catalog, registry = self.deployment.catalog, self.deployment.registry
        old: dict[str, AnyTag] = {}
        new: dict[str, AnyTag] = {}
        for each in self.differences:
            tag = catalog.tags.get(each.slug)
            if tag is not None and tells_why(tag.definition):
                new[each.slug] = tag.definition
            if each.before is not None and each.version_before is not None:
                made_by = _TAG.validate_python(
                    registry.definition_of(each.before, each.version_before)
                )
                if tells_why(made_by):
                    old[each.slug] = made_by
        for each in self.differences:
            if each.slug not in old and each.slug not in new:
                continue
            subject = self._subject(each.slug)
            key, found = subject.key, examples[each.slug]
            ids = [example[key] for example in found]
            rows = self._sides[subject].rows(ids) if ids else {}
            for example in found:
                released, planned_row = rows[example[key]]
                if each.slug in old and _is_told(each.before or "", released):
                    told = reason_of(each.before or "", old[each.slug], self.release.models)
                    example["because_before"] = told(released)
                if each.slug in new and _is_told(each.slug, planned_row):
                    now = {**released, **planned_row}
                    example["because"] = reason_of(each.slug, new[each.slug], {})(now)

    def _seconds(self) -> dict[str, float | None]:
        """What the plan cost, and what computing every tag cost the release's own run."""
        run = self.deployment.registry.run(self.release.run_id)
        cost = {**self.computed.seconds, "compare": self._compare_seconds}
        told: dict[str, float | None] = {name: round(took, 3) for name, took in cost.items()}
        whole = run.seconds.get("compute")
        return told | {
            "total": round(time.perf_counter() - self.began, 3),
            "compute_of_the_release": round(whole, 3) if whole is not None else None,
        }


def _is_told(slug: str, row: Mapping[str, Any]) -> bool:
    """Whether a row holds what a tag's reason is read from; an old release may not."""
    hidden = [value for name, value in row.items() if name.startswith(slug + HIDDEN)]
    return any(value is not None for value in hidden or [row.get(slug)])
