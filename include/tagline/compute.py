"""Computes tags as of an instant: the candidate of a day, a model's features, its labels."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tagline.catalog import Catalog
from tagline.compile import Compiled, compile_finish, compile_input, compile_label, compile_tags
from tagline.compile.previous import previous_table
from tagline.definitions import DataType
from tagline.definitions.models import LabelQuery
from tagline.deployment import Deployment
from tagline.engines import Relation
from tagline.previous import previous_relation, release_read
from tagline.storage import below
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class ComputeReport:
    """What compute made: a candidate without what needs a model."""

    path: str
    rows: int
    columns: dict[str, str]
    unavailable: dict[str, str]
    seconds: float
    subjects: dict[str, dict[str, Any]]  # path and rows of the others' candidates, by subject
    previous: dict[str, int | None] | None = None  # what previous(tag) read: {"release": id}

    def as_json(self) -> dict[str, Any]:
        """The stage's output."""
        return asdict(self)


def compute(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> ComputeReport:
    """Write the candidate of as_of: every tag that needs no model, one row per customer."""
    from tagline.derived import DerivedTables
    from tagline.subject_candidates import compute_others

    started = time.perf_counter()
    if deployment.settings.customer_buckets > 1:
        from tagline.buckets import compute_by_bucket

        return compute_by_bucket(deployment, run_id, as_of, at)
    remember_tags(deployment, at)
    before = release_read(deployment.catalog, deployment.registry, as_of)
    changed = changed_tables(deployment)
    path = candidate_file(deployment, run_id, "computed")
    compiled, rows = DerivedTables(deployment, as_of, changed).answer(
        partial(compile_tags, deployment.catalog, as_of, changed=changed),
        partial(deployment.tag_engine.write, path=path),
        make=True,
    )
    others = compute_others(deployment, run_id, as_of, changed)
    return save_computed(deployment, run_id, path, rows, compiled.columns, others, before, started)


def remember_tags(deployment: Deployment, at: datetime) -> None:
    """Keep the definitions that a candidate is computed by."""
    deployment.registry.remember_tags(
        {
            slug: (tag.version, tag.definition.model_dump(mode="json", by_alias=True))
            for slug, tag in deployment.catalog.tags.items()
        },
        at,
        deployment.settings.review,
    )


def save_computed(
    deployment: Deployment,
    run_id: str,
    path: str,
    rows: int,
    columns: Mapping[str, DataType],
    others: dict[str, dict[str, Any]],
    before: dict[str, int | None] | None,
    started: float,
) -> ComputeReport:
    """Keep what compute made, for the stages after it.

    `path`, `rows` and `columns` are the customers' candidate, `others` those of other subjects;
    `before` is of `release_read`, `started` of time.perf_counter.
    """
    report = ComputeReport(
        path=path,
        rows=rows,
        columns={name: kind.value for name, kind in columns.items()},
        unavailable=dict(deployment.catalog.unavailable),
        seconds=round(time.perf_counter() - started, 3),
        subjects=others,
        previous=before,
    )
    deployment.registry.save_stage(run_id, "compute", report.as_json(), report.seconds)
    return report


def candidate_file(deployment: Deployment, run_id: str, name: str) -> str:
    """A new path for a file of a run's candidate, in the lake."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in run_id)
    file = f"{name}-{uuid.uuid4().hex[:8]}.parquet"
    return below(deployment.lake.location, "candidates", safe, file)


def finish_candidate(
    deployment: Deployment,
    as_of: datetime,
    candidate: str,
    scores: Mapping[str, str],
    unavailable: Mapping[str, str],
    target: str,
    subject: Subject = CUSTOMER,
) -> int:
    """Write a subject's final candidate: computed tags, models' outputs and what reads those.

    `scores` gives per model of the subject a Parquet file (its key and the outputs); tags named
    in `unavailable` get no column, nor may any kept tag read them. Returns the number of rows.
    """
    catalog = deployment.catalog
    compiled = compile_finish(catalog, as_of, unavailable, scores, subject)
    computed = {
        name: kind
        for slug, tag in catalog.tags_of(subject).items()
        if slug not in unavailable and not catalog.needs_model(slug)
        for name, kind in tag.columns.items()
    }
    key = {subject.key: DataType.TEXT}
    found = {"candidate": Relation((candidate,), {**key, **computed})}
    for model, path in scores.items():
        found[f"scores_{model}"] = Relation((path,), {**key, **catalog.models[model].outputs})
    found |= released_before(deployment, compiled, as_of)
    return deployment.tag_engine.write(compiled.sql, found, target)


def feature_table(
    deployment: Deployment, as_of: datetime, slugs: Sequence[str], known_at: datetime | None = None
) -> pyarrow.Table:
    """The key and tags, all of one subject, of its population as of an instant."""
    from tagline.derived import derived_tables

    derived = derived_tables(deployment, as_of, known_at)

    compiler = partial(
        compile_tags, deployment.catalog, as_of, slugs, known_at, changed=derived.changed
    )
    _, found = derived.answer(compiler, deployment.tag_engine.fetch, make=True)
    subject = deployment.catalog.tag(slugs[0]).subject if slugs else CUSTOMER
    return found.select([subject.key, *slugs])


def label_table(
    deployment: Deployment, query: LabelQuery, as_of: datetime, subject: Subject = CUSTOMER
) -> pyarrow.Table:
    """The subject's key and the query's columns, of every one that the query names."""
    compiled = compile_label(deployment.catalog, query, as_of, subject)
    horizon_end = as_of + 2 * query.horizon  # only prunes files; the query bounds the instants
    return deployment.tag_engine.fetch(compiled.sql, relations(deployment, compiled, horizon_end))


def write_input(
    deployment: Deployment,
    name: str,
    columns: Mapping[str, DataType],
    as_of: datetime,
    path: str,
    subject: Subject = CUSTOMER,
) -> int:
    """Write what an input query returns as of an instant, ordered by the key; how many rows."""
    compiled = compile_input(deployment.catalog, name, columns, as_of, subject)
    ordered = f"SELECT * FROM ({compiled.sql}) AS asked ORDER BY ALL"
    return deployment.tag_engine.write(ordered, relations(deployment, compiled, as_of), path)


def changed_tables(deployment: Deployment) -> frozenset[str]:
    """Stored tables that have superseded versions, so that their readers must look at them."""
    return frozenset(
        name
        for name in deployment.catalog.tables
        if name not in deployment.catalog.derived
        and _superseded(deployment, deployment.catalog, name).files
    )


def relations(
    deployment: Deployment,
    compiled: Compiled,
    before: datetime,
    derived: Mapping[str, str] | None = None,
) -> dict[str, Relation]:
    """The files of every relation that a compiled query reads.

    `derived` gives the file of each derived table that it reads materialised.
    """
    catalog = deployment.catalog
    found: dict[str, Relation] = {}
    for name, columns in compiled.tables.items():
        types = column_types(catalog, name, columns)
        found[name] = deployment.lake.relation(
            f"clean.{name}", types, before=("valid_at", before), after=compiled.since.get(name)
        )
        if name in compiled.superseded:
            found[f"{name}__superseded"] = _superseded(deployment, catalog, name)
    for name, columns in compiled.materialised.items():
        path = (derived or {})[name]
        found[name] = Relation((path,), column_types(catalog, name, columns))
    return found | released_before(deployment, compiled, before)


def files_read(
    deployment: Deployment,
    compiled: Compiled,
    before: datetime,
    derived: Mapping[str, str] | None = None,
) -> dict[str, tuple[int, int]]:
    """Per stored table, how many of its files a query reads, and how many there are.

    `derived` is as of `relations`.
    """
    found = relations(deployment, compiled, before, derived)
    lake = deployment.lake
    return {
        name: (len(found[name].files), len(lake.relation(f"clean.{name}", {}).files))
        for name in compiled.tables
    }


def released_before(
    deployment: Deployment, compiled: Compiled, as_of: datetime
) -> dict[str, Relation]:
    """What a query reads of the release before as_of."""
    return {
        previous_table(SUBJECTS[name]): previous_relation(deployment.registry, as_of, name, columns)
        for name, columns in compiled.previous.items()
    }


def column_types(catalog: Catalog, table: str, columns: Iterable[str]) -> dict[str, DataType]:
    """Types of a stored table's columns, bookkeeping ones included."""
    declared = catalog.tables[table].columns
    return {
        name: declared[name].type if name in declared else DataType.TIMESTAMP for name in columns
    }


def superseded_columns(catalog: Catalog, table: str) -> dict[str, DataType]:
    """Types of the columns that say which of a table's versions are superseded."""
    names = (*catalog.tables[table].key, "valid_at", "loaded_at", "until_at", "recorded_at")
    return column_types(catalog, table, names)


def _superseded(deployment: Deployment, catalog: Catalog, table: str) -> Relation:
    return deployment.lake.relation(
        f"clean.{table}__superseded", superseded_columns(catalog, table)
    )
