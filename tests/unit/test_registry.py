"""The registry: migrations, locks, runs, tags, releases and models on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError

from tagline.errors import ReleaseRefused, TaglineError, UnknownName
from tagline.registry import Registry, open_registry
from tagline.registry.migrate import HEAD, alembic_config, upgrade
from tagline.registry.schema import Base, ModelVersion, Release
from tagline.settings import Settings

pytestmark = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_release(as_of: datetime, status: str = "active", **values: Any) -> Release:
    defaults: dict[str, Any] = {
        "as_of": as_of,
        "status": status,
        "created_at": NOW,
        "run_id": "run",
        "customers": 1,
        "files": {},
        "tags": {},
        "models": {},
        "gate": {},
        "profile": {},
    }
    return Release(**(defaults | values))


def a_version(days: int, status: str = "promoted") -> ModelVersion:
    return ModelVersion(
        model="lapse_risk",
        definition="d",
        trained_as_of=DAY,
        label_end_at=DAY + timedelta(days=days),
        trained_at=NOW,
        verdict="accepted",
        status=status,
        reasons=[],
        metrics={},
        features={},
        mlflow_run_id=f"run-{days}",
    )


def add(registry: Registry, *rows: object) -> None:
    with registry.session() as session:
        session.add_all(rows)


def test_migrations_give_exactly_the_tables_of_the_schema(registry: Registry) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with registry.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_head_revision_is_the_one_that_upgrade_looks_for() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_downgrade_removes_every_table(registry: Registry) -> None:
    from alembic import command
    from sqlalchemy import inspect

    with registry.engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert inspect(registry.engine).get_table_names() == ["alembic_version"]


def test_after_a_downgrade_no_version_serves_that_was_not_promoted(registry: Registry) -> None:
    from alembic import command

    for status in ("judged", "promoted", "withdrawn"):
        add(registry, a_version(0, status))
    with registry.engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        told = connection.execute(text("select verdict from model_versions order by id")).all()
    assert [verdict for (verdict,) in told] == ["refused", "accepted", "refused"]


def test_two_upgrades_at_once_both_succeed(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        registries = list(pool.map(open_registry, [settings] * 4))
    for registry in registries:
        assert registry.live() is None
        registry.engine.dispose()


def test_an_upgrade_with_nothing_to_do_only_asks_for_the_revision(registry: Registry) -> None:
    asked: list[str] = []
    listen(registry.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    upgrade(registry.engine)
    assert 1 <= len(asked) <= 3
    assert all(statement.upper().startswith("SELECT") for statement in asked)


def test_a_lock_keeps_others_out_until_its_block_ends(registry: Registry) -> None:
    seen: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with registry.lock("extract:shop.orders"):
            seen.append("second")

    with registry.lock("extract:shop.orders"):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        with registry.lock("extract:shop.lines"):  # another name does not wait
            time.sleep(0.2)
        seen.append("first")
    thread.join()
    assert seen == ["first", "second"]


def test_a_run_keeps_the_output_of_each_stage(registry: Registry) -> None:
    registry.start_run("r1", DAY, NOW)
    registry.save_stage("r1", "extract", {"rows": 3, "until": DAY}, 1.25)
    registry.save_stage("r1", "clean", {"share": float("nan")}, 0.5)
    registry.save_stage("r1", "extract", {"rows": 4}, 2)
    assert registry.stage("r1", "extract") == {"rows": 4}
    assert registry.stage("r1", "clean") == {"share": None}
    assert registry.run("r1").seconds == {"extract": 2, "clean": 0.5}


def test_a_run_that_starts_again_is_running_and_keeps_its_stages(registry: Registry) -> None:
    registry.start_run("r1", DAY, NOW)
    registry.save_stage("r1", "extract", {"rows": 3}, 1)
    registry.finish_run("r1", "failed", NOW, "disk full")
    assert (registry.run("r1").status, registry.run("r1").reason) == ("failed", "disk full")
    registry.start_run("r1", DAY, NOW)
    again = registry.run("r1")
    assert (again.status, again.reason, again.finished_at) == ("running", None, None)
    assert again.stages == {"extract": {"rows": 3}}


def test_a_run_id_belongs_to_one_as_of(registry: Registry) -> None:
    registry.start_run("r1", DAY, NOW)
    with pytest.raises(TaglineError, match="another as_of"):
        registry.start_run("r1", DAY + timedelta(days=1), NOW)


def test_a_stage_that_has_not_run_is_named(registry: Registry) -> None:
    registry.start_run("r1", DAY, NOW)
    with pytest.raises(TaglineError, match="stage 'audit' of run 'r1' has not run"):
        registry.stage("r1", "audit")
    with pytest.raises(UnknownName):
        registry.stage("r2", "audit")
    with pytest.raises(TaglineError, match="never started"):
        registry.save_stage("r2", "audit", {}, 1)


def test_instants_come_back_in_utc(registry: Registry) -> None:
    registry.start_run("r1", DAY, NOW)
    assert registry.run("r1").as_of.isoformat() == "2017-10-01T00:00:00+00:00"


def test_new_tag_versions_go_straight_to_live_without_review(registry: Registry) -> None:
    registry.remember_tags({"a": ("v1", {"kind": "rule"})}, NOW, "automatic")
    registry.remember_tags({"a": ("v1", {"kind": "rule"})}, NOW + timedelta(days=1), "automatic")
    registry.remember_tags({"a": ("v2", {"kind": "rank"})}, NOW + timedelta(days=2), "required")
    states = [(v.version, s.state if s else None) for v, s in registry.tag_versions("a")]
    assert states == [("v2", "in_review"), ("v1", "live")]
    assert registry.definition_of("a", "v1") == {"kind": "rule"}
    with pytest.raises(UnknownName):
        registry.definition_of("a", "v3")


def test_live_is_the_active_release_with_the_newest_as_of(registry: Registry) -> None:
    days = [DAY + timedelta(days=n) for n in range(4)]
    add(
        registry,
        a_release(days[1]),
        a_release(days[0]),
        a_release(days[2], "withdrawn"),
        a_release(days[3], "held"),
    )
    live = registry.live()
    assert live is not None
    assert live.as_of == days[1]
    before = registry.release_before(days[1])
    assert before is not None
    assert before.as_of == days[0]
    assert registry.release_at(days[2]) is None
    assert [r.as_of for r in registry.releases()] == days[::-1]
    with pytest.raises(ReleaseRefused, match="no release 99"):
        registry.release(99)


def test_an_as_of_has_at_most_one_active_release(registry: Registry) -> None:
    add(registry, a_release(DAY), a_release(DAY, "superseded"))
    with pytest.raises(IntegrityError):
        add(registry, a_release(DAY))


def test_the_champion_is_the_newest_promoted_model_that_could_have_existed(
    registry: Registry,
) -> None:
    add(
        registry,
        a_version(0),
        a_version(10),
        a_version(20),
        a_version(15, "judged"),
        a_version(16, "withdrawn"),
    )

    def champion(days: int) -> str | None:
        found = registry.champion("lapse_risk", DAY + timedelta(days=days))
        return found.mlflow_run_id if found else None

    assert [champion(d) for d in (-1, 0, 17, 20)] == [None, "run-0", "run-10", "run-20"]
    assert len(registry.model_versions()) == 5
