"""Computes the tags of a plan into a scratch file, and no others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.catalog import Tag
from tagline.compile import compile_tags
from tagline.compile.given import compile_given
from tagline.compute import relations
from tagline.definitions import DataType, ExtractionTag, ManualTag, ModelTag, StatisticTag
from tagline.derived import derived_tables
from tagline.engines import Relation
from tagline.errors import ModelRefused
from tagline.plan.differences import model_reads, reads_of
from tagline.registry.schema import Release
from tagline.serve.released import files_of, relation_of
from tagline.subjects import Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment


_OF_ROWS = ExtractionTag | StatisticTag | ManualTag


@dataclass(frozen=True)
class Computed:
    """Values of tags as of the release's instant: by subject, a row for each of the population.

    `taken` are columns of the release that were read in place of being computed, `unavailable`
    the tags that no model version may serve now, with the reason.
    """

    relations: Mapping[Subject, Relation]
    computed: tuple[str, ...]
    taken: tuple[str, ...]
    unavailable: Mapping[str, str]
    seconds: Mapping[str, float]


def compute_needed(
    deployment: Deployment,
    release: Release,
    wanted: Sequence[str],
    exact: frozenset[str],
    folder: Path,
    *,
    same_population: bool,
) -> Computed:
    """Compute the wanted tags and what they read, where that is not in the release.

    `exact` are the released columns that hold what computing them now would give. With
    `same_population` the release's customers are those of as_of now. Nothing is written outside
    of `folder`.
    """
    catalog = deployment.catalog
    parts: dict[Subject, _Part] = {}
    for subject in catalog.subjects:
        of_subject = [slug for slug in wanted if catalog.tags[slug].subject is subject]
        if of_subject:
            population = same_population and subject.name in release.files
            computation = _Computation(deployment, release, exact, folder, population, subject)
            parts[subject] = computation.run(of_subject)
    return Computed(
        {subject: part.relation for subject, part in parts.items()},
        tuple(slug for part in parts.values() for slug in part.computed),
        tuple(slug for part in parts.values() for slug in part.taken),
        {slug: reason for part in parts.values() for slug, reason in part.unavailable.items()},
        {
            step: sum(part.seconds.get(step, 0.0) for part in parts.values())
            for step in dict.fromkeys(step for part in parts.values() for step in part.seconds)
        },
    )


@dataclass(frozen=True)
class _Part:
    """What was computed of one subject; see Computed."""

    relation: Relation
    computed: tuple[str, ...]
    taken: tuple[str, ...]
    unavailable: Mapping[str, str]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Computation:
    deployment: Deployment
    release: Release
    exact: frozenset[str]
    folder: Path
    same_population: bool
    subject: Subject

    def run(self, wanted: Sequence[str]) -> _Part:
        catalog = self.deployment.catalog
        needed, taken = self._needed(wanted)
        tags = [tag for slug, tag in catalog.tags.items() if slug in needed]
        ground = [tag for tag in tags if isinstance(tag.definition, _OF_ROWS)]
        plain = [tag for tag in tags if tag not in ground and not catalog.needs_model(tag.slug)]
        later = [tag for tag in tags if catalog.needs_model(tag.slug)]
        began = time.perf_counter()
        first = self._ground(ground)
        types = {
            name: kind
            for slug in sorted(taken)
            for name, kind in catalog.tags[slug].columns.items()
        }
        found = self._over("plain", self._beside_release(first, types), plain)
        seconds = {"compute": time.perf_counter() - began}
        unavailable: dict[str, str] = {}
        if later:
            began = time.perf_counter()
            found, unavailable = self._scored(found, later)
            seconds["score"] = time.perf_counter() - began
        return _Part(
            found,
            tuple(tag.slug for tag in tags if tag.slug not in unavailable),
            tuple(sorted(taken)),
            unavailable,
            seconds,
        )

    def _needed(self, wanted: Sequence[str]) -> tuple[set[str], set[str]]:
        """The tags to compute, and the released columns to take instead of computing more.

        What a statistic reads are tags of other subjects, which its own query works out.
        """
        catalog = self.deployment.catalog
        needed, taken = set(wanted), set[str]()
        stack = list(wanted)
        while stack:
            tag = catalog.tag(stack.pop())
            for read in () if isinstance(tag.definition, _OF_ROWS) else reads_of(catalog, tag):
                if read in self.exact and read not in needed:
                    taken.add(read)
                elif read not in needed:
                    needed.add(read)
                    stack.append(read)
        return needed, taken

    @property
    def key(self) -> str:
        """The column that says whose row it is."""
        return self.subject.key

    def _file(self, name: str) -> str:
        return str(self.folder / f"{self.subject.prefix}{name}.parquet")

    def _ground(self, tags: Sequence[Tag]) -> Relation:
        """The population with the tags that are made of tables."""
        if not tags and self.same_population:
            return Relation(files_of(self.release, self.subject), {self.key: DataType.TEXT})
        as_of = self.release.as_of
        derived = derived_tables(self.deployment, as_of)
        compiler = partial(
            compile_tags,
            self.deployment.catalog,
            as_of,
            [tag.slug for tag in tags],
            changed=derived.changed,
            subject=self.subject,
        )
        path = self._file("ground")
        write = partial(self.deployment.engine.write, path=path)
        compiled, _ = derived.answer(compiler, write, make=False)
        columns = {name: kind for name, kind in compiled.columns.items() if name != "as_of"}
        return Relation((path,), columns)

    def _beside_release(
        self, first: Relation, taken: Mapping[str, DataType]
    ) -> dict[str, tuple[Relation, Mapping[str, DataType]]]:
        own = {name: kind for name, kind in first.columns.items() if name != self.key}
        found: dict[str, tuple[Relation, Mapping[str, DataType]]] = {"given": (first, own)}
        if taken:
            found["released"] = (relation_of(self.release, self.subject), dict(taken))
        return found

    def _over(
        self,
        name: str,
        given: Mapping[str, tuple[Relation, Mapping[str, DataType]]],
        tags: Sequence[Tag],
        scores: Mapping[str, Relation] | None = None,
    ) -> Relation:
        """A file of the given columns and the tags made of them."""
        compiled = compile_given(
            self.deployment.catalog,
            self.release.as_of,
            {relation: columns for relation, (_, columns) in given.items()},
            tags,
            self.subject,
        )
        path = self._file(name)
        found = {relation: files for relation, (files, _) in given.items()}
        found |= relations(self.deployment, compiled, self.release.as_of)
        self.deployment.engine.write(compiled.sql, found | dict(scores or {}), path)
        return Relation((path,), compiled.columns)

    def _scored(self, candidate: Relation, later: Sequence[Tag]) -> tuple[Relation, dict[str, str]]:
        """The file with models' outputs and what is made of those; what no model can serve."""
        from tagline.training.score import score_model, serving_version, without

        catalog = self.deployment.catalog
        names = {tag.definition.model for tag in later if isinstance(tag.definition, ModelTag)}
        scores: dict[str, Relation] = {}
        unavailable: dict[str, str] = {}
        for model in sorted(names):
            path = self._file(f"scores-{model}")
            try:
                lacking = sorted(set(model_reads(catalog, model)) & unavailable.keys())
                if lacking:
                    raise ModelRefused(f"reads {', '.join(lacking)}, which is unavailable")
                version = serving_version(self.deployment, model, self.release.as_of)
                as_of = self.release.as_of
                score_model(self.deployment, model, version, as_of, candidate.files[0], path)
            except ModelRefused as error:
                unavailable |= without(catalog, model, str(error))
                continue
            columns = {self.key: DataType.TEXT, **catalog.models[model].outputs}
            scores[f"scores_{model}"] = Relation((path,), columns)
        own = {name: kind for name, kind in candidate.columns.items() if name != self.key}
        tags = [tag for tag in later if tag.slug not in unavailable]
        found = self._over("scored", {"given": (candidate, own)}, tags, scores)
        kept = {tag.slug: unavailable[tag.slug] for tag in later if tag.slug in unavailable}
        return found, kept
