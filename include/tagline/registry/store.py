"""Reading and writing the registry, each call one transaction."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from tagline.database import ValueReader, open_database
from tagline.errors import ReleaseRefused, TaglineError, UnknownName
from tagline.registry.schema import (
    Lock,
    ModelEvent,
    ModelVersion,
    Release,
    Run,
    TagState,
    TagVersion,
)
from tagline.settings import Settings


def open_registry(settings: Settings) -> Registry:
    """The registry of a deployment, migrated to the newest schema."""
    from tagline.registry.migrate import upgrade

    engine = open_database(settings, "registry", json_serializer=to_json, pool_pre_ping=True)
    upgrade(engine)
    return Registry(engine)


def to_json(value: Any) -> str:
    """JSON text that PostgreSQL accepts: instants in ISO 8601, no NaN or infinity (null)."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """A value of only JSON's types."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, str | int):
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return plain(value.item())
    return str(value)


class Registry:
    """What was loaded, run, defined, trained and released.

    Objects are returned detached, with all columns loaded. `engine` must serialise JSON by
    `to_json`, as that of `open_registry` does.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reader = ValueReader(engine.url)
        self._session: Callable[[], Session] = sessionmaker(engine, expire_on_commit=False)

    def close(self) -> None:
        """Close all connections."""
        self._reader.close()
        self.engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back on an error."""
        with self._session() as session, session.begin():
            yield session

    @contextmanager
    def exclusive(self, name: str) -> Iterator[Session]:
        """A transaction that holds the lock `name`; others that want it wait for its end."""
        with self.session() as session:
            if session.get(Lock, name) is None:
                session.execute(insert(Lock).values(name=name).on_conflict_do_nothing())
        with self.session() as session:
            session.execute(select(Lock.name).where(Lock.name == name).with_for_update())
            yield session

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock `name` for the block, across processes; others wait.

        The lock is a row locked in a transaction of its own, so it ends with its process. It is
        not reentrant.
        """
        with self.exclusive(name):
            yield

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Be the only one of this name for the block, across processes; others wait.

        For long work: unlike `lock` it is no row of `locks`, so no backup waits for it, and the
        work may take locks of that kind one by one. It ends with its process too.
        """
        with self.session() as session:
            session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
            yield

    # Runs

    def start_run(self, run_id: str, as_of: datetime, at: datetime) -> None:
        """Begin a run, or begin it again under the same id, keeping its stages."""
        row = insert(Run).values(
            id=run_id, as_of=as_of, status="running", started_at=at, stages={}, seconds={}
        )
        again = row.on_conflict_do_update(
            index_elements=[Run.id],
            set_={"status": "running", "reason": None, "finished_at": None},
            where=Run.as_of == as_of,
        ).returning(Run.id)
        with self.session() as session:
            if session.scalar(again) is None:
                raise TaglineError(
                    f"run {run_id!r} already exists for another as_of; choose another run id"
                )

    def save_stage(
        self, run_id: str, stage: str, output: Mapping[str, Any], seconds: float
    ) -> None:
        """Keep a stage's output and duration, replacing those of an earlier attempt."""
        with self.session() as session:
            found = session.scalar(
                update(Run)
                .where(Run.id == run_id)
                .values(
                    stages=Run.stages.concat({stage: dict(output)}),
                    seconds=Run.seconds.concat({stage: round(seconds, 3)}),
                )
                .returning(Run.id)
            )
            if found is None:
                raise TaglineError(f"run {run_id!r} was never started; call start_run first")

    def stage(self, run_id: str, stage: str) -> dict[str, Any]:
        """The output that a stage of the run has saved."""
        output: dict[str, Any] | None = self.run(run_id).stages.get(stage)
        if output is None:
            raise TaglineError(f"stage {stage!r} of run {run_id!r} has not run; run it first")
        return output

    def run(self, run_id: str) -> Run:
        """One run by id."""
        with self.session() as session:
            run = session.get(Run, run_id)
        if run is None:
            raise UnknownName("run", run_id, ())
        return run

    def finish_run(self, run_id: str, status: str, at: datetime, reason: str | None = None) -> None:
        """End a run as released, held, no_data or failed."""
        with self.session() as session:
            session.execute(
                update(Run)
                .where(Run.id == run_id)
                .values(status=status, finished_at=at, reason=reason)
            )

    # Tags

    def remember_tags(
        self, tags: Mapping[str, tuple[str, dict[str, Any]]], at: datetime, review: str
    ) -> None:
        """Keep the versions of tags that are new, live at once when `review` is automatic."""
        rows = [
            {"slug": slug, "version": version, "definition": definition, "first_seen_at": at}
            for slug, (version, definition) in sorted(tags.items())
        ]
        if not rows:
            return
        state = "live" if review == "automatic" else "in_review"
        with self.session() as session:
            new = session.execute(
                insert(TagVersion)
                .values(rows)
                .on_conflict_do_nothing()
                .returning(TagVersion.slug, TagVersion.version)
            ).all()
            session.add_all(
                TagState(
                    slug=slug,
                    version=version,
                    state=state,
                    actor="tagline",
                    reason=f"first seen; review is {review}",
                    at=at,
                )
                for slug, version in new
            )

    def definition_of(self, slug: str, version: str) -> dict[str, Any]:
        """The definition that a tag's version had."""
        with self.session() as session:
            row = session.get(TagVersion, (slug, version))
        if row is None:
            raise UnknownName("version", f"{slug}@{version}", ())
        return row.definition

    def tag_versions(self, slug: str) -> list[tuple[TagVersion, TagState | None]]:
        """Every version of a tag with its present state, newest first."""
        newest = (
            select(TagState.version, func.max(TagState.id).label("id"))
            .where(TagState.slug == slug)
            .group_by(TagState.version)
            .subquery()
        )
        statement = (
            select(TagVersion, TagState)
            .outerjoin(newest, newest.c.version == TagVersion.version)
            .outerjoin(TagState, TagState.id == newest.c.id)
            .where(TagVersion.slug == slug)
            .order_by(TagVersion.first_seen_at.desc(), TagVersion.version)
        )
        with self.session() as session:
            return [(version, state) for version, state in session.execute(statement)]

    # Releases

    def live(self) -> Release | None:
        """The active release with the newest as_of."""
        return self._first(
            select(Release).where(Release.status == "active").order_by(Release.as_of.desc())
        )

    def live_id(self) -> int | None:
        """The id of `live`, by the shortest way: it is looked up for every profile."""
        found: int | None = self._reader.value(
            "select id from releases where status = 'active' order by as_of desc limit 1"
        )
        return found

    def release_at(self, as_of: datetime) -> Release | None:
        """The active release of exactly this as_of."""
        return self._first(
            select(Release).where(Release.status == "active", Release.as_of == as_of)
        )

    def release_before(self, as_of: datetime) -> Release | None:
        """The active release with the newest as_of earlier than this one."""
        return self._first(
            select(Release)
            .where(Release.status == "active", Release.as_of < as_of)
            .order_by(Release.as_of.desc())
        )

    def release(self, release_id: int) -> Release:
        """One release by id, whatever its status."""
        with self.session() as session:
            found = session.get(Release, release_id)
        if found is None:
            raise ReleaseRefused(f"there is no release {release_id}; see `tagline releases`")
        return found

    def releases(self) -> Sequence[Release]:
        """Every release, the newest as_of first."""
        with self.session() as session:
            return session.scalars(
                select(Release).order_by(Release.as_of.desc(), Release.id.desc())
            ).all()

    def _first(self, statement: Any) -> Release | None:
        with self.session() as session:
            found: Release | None = session.scalars(statement.limit(1)).first()
            return found

    # Models

    def champion(
        self, model: str, as_of: datetime, trained_before: datetime | None = None
    ) -> ModelVersion | None:
        """The newest promoted version of a model that may serve this as_of.

        With `trained_before`, of those that were trained as of an earlier instant than that.
        """
        with self.session() as session:
            return session.scalars(
                select(ModelVersion)
                .where(
                    ModelVersion.model == model,
                    ModelVersion.status == "promoted",
                    ModelVersion.label_end_at <= as_of,
                    *([ModelVersion.trained_as_of < trained_before] if trained_before else []),
                )
                .order_by(ModelVersion.label_end_at.desc(), ModelVersion.id.desc())
                .limit(1)
            ).first()

    def model_events(self, model: str) -> Sequence[ModelEvent]:
        """Every step of a model's versions, the newest first."""
        with self.session() as session:
            return session.scalars(
                select(ModelEvent)
                .join(ModelVersion, ModelVersion.id == ModelEvent.model_version_id)
                .where(ModelVersion.model == model)
                .order_by(ModelEvent.id.desc())
            ).all()

    def model_versions(self, model: str | None = None) -> Sequence[ModelVersion]:
        """Every trained version of a model, or of all models, newest first."""
        statement = select(ModelVersion).order_by(
            ModelVersion.model, ModelVersion.trained_as_of.desc(), ModelVersion.id.desc()
        )
        if model is not None:
            statement = statement.where(ModelVersion.model == model)
        with self.session() as session:
            return session.scalars(statement).all()
