"""The registry's tables: what was loaded, run, defined, trained and released."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    """Base of the registry's tables; JSON columns are JSONB."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain dict
        datetime: Instant,
        date: Date,
        str: Text,
        int: BigInteger,
        float: Float,
        bool: Boolean,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Lock(Base):
    """A row to lock in a transaction; names such as `extract:complete_journey.transactions`."""

    __tablename__ = "locks"
    name: Mapped[str] = mapped_column(primary_key=True)


class Load(Base):
    """One delivery of a source table: the rows of [start_at, end_at), or a whole snapshot.

    Rows of an instant come from the newest load that covers it; `digest` of the content lets a
    repeated extraction of the same rows add nothing. Snapshot loads have no interval.
    """

    __tablename__ = "loads"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source: Mapped[str]
    table_name: Mapped[str]
    start_at: Mapped[datetime | None]
    end_at: Mapped[datetime | None]
    loaded_at: Mapped[datetime]
    checked_at: Mapped[datetime]  # when the same content was last seen
    rows: Mapped[int]
    digest: Mapped[str]
    files: Mapped[list[Any]]
    watermark_at: Mapped[datetime | None]  # newest time seen in the source
    run_id: Mapped[str]
    __table_args__ = (Index("loads_of_table", "source", "table_name", "loaded_at"),)


class SourceState(Base):
    """What the files of a source table were when it was read last: version by name."""

    __tablename__ = "source_states"
    source: Mapped[str] = mapped_column(primary_key=True)
    table_name: Mapped[str] = mapped_column(primary_key=True)
    files: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime]


class Cleaning(Base):
    """A load that was cleaned into a canonical table, with what came of it."""

    __tablename__ = "cleanings"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    table_name: Mapped[str]
    load_id: Mapped[int] = mapped_column(ForeignKey("loads.id"))
    definition: Mapped[str]  # digest of the SQL and table definition that cleaned it
    cleaned_at: Mapped[datetime]
    report: Mapped[dict[str, Any]]  # rows, added, superseded, quarantined by reason
    run_id: Mapped[str]
    checked_at: Mapped[datetime | None]  # when its rows met every critical expectation
    __table_args__ = (UniqueConstraint("table_name", "load_id", "definition"),)


class Run(Base):
    """One attempt at an as_of; `stages` holds each stage's output by name, replaced on retry."""

    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    status: Mapped[str]  # running, released, held, no_data, failed
    reason: Mapped[str | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    stages: Mapped[dict[str, Any]]
    seconds: Mapped[dict[str, Any]]
    __table_args__ = (Index("runs_by_as_of", "as_of"),)


class TagVersion(Base):
    """A meaning that a tag has had; `version` is the digest of what the definition means."""

    __tablename__ = "tag_versions"
    slug: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    first_seen_at: Mapped[datetime]


class TagState(Base):
    """A step in the life of a tag's version; the newest row is its state."""

    __tablename__ = "tag_states"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    slug: Mapped[str]
    version: Mapped[str]
    state: Mapped[str]  # draft, in_review, shadow, live, deprecated, retired, rejected
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    __table_args__ = (Index("tag_states_of_tag", "slug", "version", "id"),)


class ModelVersion(Base):
    """A trained and judged model; promoted, it serves as_of instants from `label_end_at` on."""

    __tablename__ = "model_versions"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model: Mapped[str]
    definition: Mapped[str]  # digest of the model's definition
    trained_as_of: Mapped[datetime]
    label_end_at: Mapped[datetime]
    trained_at: Mapped[datetime]
    verdict: Mapped[str]  # accepted, refused
    status: Mapped[str]  # judged, promoted, refused, withdrawn: only a promoted one serves
    reasons: Mapped[list[Any]]
    metrics: Mapped[dict[str, Any]]
    features: Mapped[dict[str, Any]]  # what it reads and predicts -> version
    mlflow_run_id: Mapped[str]
    mlflow_version: Mapped[str | None]  # in the MLflow registry; None if nothing was fitted
    model_uri: Mapped[str | None]
    run_url: Mapped[str | None]
    __table_args__ = (Index("model_versions_of_model", "model", "label_end_at"),)


class ModelEvent(Base):
    """Who promoted, refused or withdrew a model's version, and why."""

    __tablename__ = "model_events"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    action: Mapped[str]  # promoted, refused, withdrawn
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]


class Release(Base):
    """A day's released tags; one active release per as_of.

    `files` names the Parquet files per subject; `tags` says per slug its version, its state
    (current, withheld, unavailable), the as_of of its values and the standard values that they were
    made with; `gate` holds the verdicts.
    `candidate` is the file that it was made from: a retried release makes no second row of it.
    """

    __tablename__ = "releases"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    as_of: Mapped[datetime]
    status: Mapped[str]  # held, active, superseded, withdrawn
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    run_id: Mapped[str]
    candidate: Mapped[str | None]
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("releases.id"))
    customers: Mapped[int]
    files: Mapped[dict[str, Any]]
    tags: Mapped[dict[str, Any]]
    models: Mapped[dict[str, Any]]
    gate: Mapped[dict[str, Any]]
    profile: Mapped[dict[str, Any]]  # per tag: coverage, distinct, quantiles, psi, …
    __table_args__ = (
        Index(
            "one_active_release_per_as_of",
            "as_of",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
    )


class ReleaseEvent(Base):
    """Who did what to a release, and why."""

    __tablename__ = "release_events"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"))
    action: Mapped[str]  # held, activated, superseded, withdrawn, restored
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]


class LakePublication(Base):
    """Which release of an as_of the Iceberg table `tags` shows; it follows the releases."""

    __tablename__ = "lake_publications"
    as_of: Mapped[datetime] = mapped_column(primary_key=True)
    release_id: Mapped[int | None] = mapped_column(Integer)
    published_at: Mapped[datetime]


class SavedAudience(Base):
    """A version of a saved audience; the newest row of a name holds. Rows are never removed.

    `expression` is null where the audience was deleted; the row says by whom and why.
    """

    __tablename__ = "saved_audiences"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str]
    name_en: Mapped[str]
    name_zh: Mapped[str]
    expression: Mapped[str | None]
    owner: Mapped[str]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    __table_args__ = (Index("saved_audiences_by_name", "name", "id"),)
