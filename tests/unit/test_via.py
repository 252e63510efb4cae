"""Whose an event is: the holder of a machine when it happened, from rows to values."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_tags
from tagline.compute import column_types
from tagline.definitions import DataType
from tagline.engines import Engine, Relation, open_engine
from tagline.errors import DefinitionError, WrongUsage
from tagline.examples import run_examples
from tagline.settings import PROJECT, Settings
from tagline.subjects import SUBJECTS

DEFINITIONS = PROJECT / "tests" / "fleet"
GOLDEN = PROJECT / "tests" / "golden"
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
ARROW = {
    DataType.TIMESTAMP: pyarrow.timestamp("us", tz="UTC"),
    DataType.NUMBER: pyarrow.float64(),
    DataType.INTEGER: pyarrow.int64(),
}


@dataclass(frozen=True)
class Version:
    """A machine's owner from an instant on, known since another."""

    machine: str
    owner: str | None
    valid_at: datetime
    loaded_at: datetime = BEGINNING


@dataclass(frozen=True)
class Event:
    machine: str
    at: datetime
    hours: float


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(DEFINITIONS, "fleet")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(threads=1))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_sql_of_each_subject_is_the_golden_file(catalog: Catalog, subject: str) -> None:
    """Set TAGLINE_UPDATE_GOLDEN=1 to write the files anew, and review the difference."""
    compiled = compile_tags(catalog, AS_OF, subject=SUBJECTS[subject])
    path = GOLDEN / f"fleet_{SUBJECTS[subject].table}.sql"
    if os.environ.get("TAGLINE_UPDATE_GOLDEN"):
        path.write_text(compiled.sql + "\n", "utf-8")
    assert compiled.sql + "\n" == path.read_text("utf-8")


def test_all_statistics_with_one_via_are_one_scan_whatever_their_window(catalog: Catalog) -> None:
    sql = compile_tags(catalog, AS_OF, ["owned_hours_total", "owned_faults_30d"]).sql
    assert sql.count("FROM machine_days AS r") == sql.count("FROM machine_days_rows AS r") == 1
    assert sql.count("GROUP BY r.subject_key") == 1
    assert "ASOF" not in sql


def test_an_event_belongs_to_the_holder_of_its_time(catalog: Catalog, engine: Engine) -> None:
    days = [AS_OF - timedelta(days=day) for day in range(10)]
    versions = [Version("m", "ann", days[6]), Version("m", "bob", days[3])]
    events = [
        Event("m", days[7], 1),  # before the first version: of nobody
        Event("m", days[6], 2),  # in the instant from which ann holds
        Event("m", days[3] - timedelta(microseconds=1), 4),
        Event("m", days[3], 8),
        Event("other", days[3], 16),  # of a machine that is not known
        Event("m", days[0], 32),  # at as_of, so not yet
    ]
    assert values(catalog, engine, versions, events) == {"ann": 6.0, "bob": 8.0}


def test_an_undated_owner_holds_from_the_beginning(catalog: Catalog, engine: Engine) -> None:
    event = Event("m", AS_OF - timedelta(days=900), 3)
    assert values(catalog, engine, [Version("m", "ann", BEGINNING)], [event])["ann"] == 3.0


def test_a_machine_that_was_withdrawn_or_has_no_owner_gives_its_events_to_nobody(
    catalog: Catalog, engine: Engine
) -> None:
    day = timedelta(days=1)
    versions = [Version("m", "ann", AS_OF - 9 * day), Version("m", None, AS_OF - 5 * day)]
    events = [Event("m", AS_OF - 6 * day, 1), Event("m", AS_OF - 4 * day, 2)]
    assert values(catalog, engine, versions, events) == {"ann": 1.0, "bob": 0.0}
    gone = {"machine_id": "m", "valid_at": AS_OF - 9 * day, "loaded_at": BEGINNING}
    gone |= {"until_at": AS_OF - 8 * day, "recorded_at": BEGINNING}
    assert values(catalog, engine, versions[:1], events, entries=[gone])["ann"] == 0.0
    later = gone | {"recorded_at": AS_OF}
    known = values(catalog, engine, versions[:1], events, AS_OF - day, entries=[later])
    assert known["ann"] == 3.0


HOURS = st.integers(-24 * 20, 24 * 5)
MACHINES = st.sampled_from(["m", "n"])
VERSIONS = st.lists(
    st.tuples(MACHINES, st.sampled_from(["ann", "bob", None]), HOURS, st.integers(0, 24 * 20)),
    max_size=6,
    unique_by=lambda row: (row[0], row[2]),
)
EVENTS = st.lists(st.tuples(MACHINES, HOURS, st.integers(1, 40)), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(versions=VERSIONS, events=EVENTS, known=st.none() | st.integers(-24 * 20, 24 * 20))
def test_values_are_those_of_plain_python_as_known_then_whatever_comes_later(
    catalog: Catalog, engine: Engine, versions: Any, events: Any, known: int | None
) -> None:
    held = [
        Version(
            machine,
            owner,
            AS_OF + timedelta(hours=hours),
            AS_OF + timedelta(hours=hours + lag),
        )
        for machine, owner, hours, lag in versions
    ]
    worked = [Event(m, AS_OF + timedelta(hours=at), quarters / 4) for m, at, quarters in events]
    known_at = None if known is None else AS_OF + timedelta(hours=known)
    wanted = {"ann": 0.0, "bob": 0.0}
    for event in worked:
        seen = [v for v in held if known_at is None or v.loaded_at <= known_at]
        before = [v for v in seen if v.machine == event.machine and v.valid_at <= event.at]
        if event.at < AS_OF and before:
            owner = max(before, key=lambda version: version.valid_at).owner
            if owner is not None:
                wanted[owner] += event.hours
    assert values(catalog, engine, held, worked, known_at) == wanted
    past = [version for version in held if version.valid_at < AS_OF]
    assert values(catalog, engine, past, worked, known_at) == wanted


def values(
    catalog: Catalog,
    engine: Engine,
    versions: Sequence[Version],
    events: Sequence[Event],
    known_at: datetime | None = None,
    entries: Sequence[dict[str, Any]] = (),
) -> dict[str, float]:
    """owned_hours_total of the customers ann and bob, whose keys in the source are key-…."""
    machines = [
        {"machine_id": v.machine, "owner": v.owner and f"key-{v.owner}", "since_at": BEGINNING}
        | {"valid_at": v.valid_at, "loaded_at": v.loaded_at}
        for v in versions
    ]
    ended = list(entries)
    for machine in {version.machine for version in versions}:
        chain = sorted(
            (v for v in versions if v.machine == machine), key=lambda version: version.valid_at
        )
        ended += [
            {"machine_id": machine, "valid_at": older.valid_at, "loaded_at": older.loaded_at}
            | {"until_at": newer.valid_at, "recorded_at": max(older.loaded_at, newer.loaded_at)}
            for older, newer in combinations(chain, 2)  # as they are recorded, late ones too
        ]
    stamp = {"valid_at": BEGINNING, "loaded_at": BEGINNING}
    rows: dict[str, list[dict[str, Any]]] = {
        "customers": [{"customer_id": n, "since_at": BEGINNING} | stamp for n in ("ann", "bob")],
        "identity": [
            {"customer_key": f"key-{n}", "customer_id": n} | stamp for n in ("ann", "bob")
        ],
        "machines": machines,
        "machines__superseded": ended,
        "machine_days": [
            {"machine_day_id": f"{number}", "machine_id": event.machine, "hours": event.hours}
            | {"ended_at": event.at, "valid_at": event.at, "loaded_at": BEGINNING}
            for number, event in enumerate(events)
        ],
    }
    compiled = compile_tags(catalog, AS_OF, ["owned_hours_total"], known_at)
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Relation] = {}
        for name, columns in compiled.tables.items():
            keys = (*catalog.tables[name].key, "valid_at", "loaded_at", "until_at", "recorded_at")
            for relation, wanted in ((name, columns), (f"{name}__superseded", keys)):
                types = column_types(catalog, name, wanted)
                found[relation] = _stored(Path(folder), relation, types, rows.get(relation, []))
        got = engine.fetch(compiled.sql, found).to_pylist()
    return {row["customer_id"]: row["owned_hours_total"] for row in got}


def _stored(
    folder: Path, name: str, types: dict[str, DataType], rows: Sequence[dict[str, Any]]
) -> Relation:
    columns = {
        column: pyarrow.array([row.get(column) for row in rows], ARROW.get(kind, pyarrow.string()))
        for column, kind in types.items()
    }
    path = folder / f"{name}.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return Relation((str(path),), types)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the definitions to break."""
    return Path(shutil.copytree(DEFINITIONS, tmp_path / "definitions"))


def faults(project: Path) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        load_catalog(project, "fleet")
    return [str(fault) for fault in refused.value.faults]


def replaced(project: Path, file: str, old: str, new: str) -> None:
    path = project / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


MISTAKES = [
    ("owners/use/owned_hours_total", "via: machine.owner", "via: machine.ownr",
     "owned_hours_total.yaml:6: via: unknown holder 'machine.ownr'. Did you mean 'machine.owner'"),
    ("owners/use/idle_machine_count", "table: machines", "table: machines\nvia: machine.owner",
     "idle_machine_count.yaml:6: via: table machines has no event_at"),
    ("machines/use/machine_fault_count", "table:", "via: machine.owner\ntable:",
     "machine_fault_count.yaml:5: via: finds a customer; this is a tag of each machine"),
    ("owners/use/owned_hours_total", "via: machine.owner\n", "",
     "owned_hours_total.yaml:5: table machine_days has no customer column to group by"),
    ("owners/use/needs_call", "idle_machine_count > 0", "is_idle",
     "needs_call.yaml:7: is_idle is a tag of each machine, and this is one of each customer; "
     "read it by a statistic with 'table: machines'"),
    ("machines/use/is_idle", "machine_hours_30d < 20", "stale_amount < 20",
     "is_idle.yaml:7: stale_amount is a tag of each customer, and this is one of each machine; "
     "a tag reads tags of its own subject"),
    ("machines/use/machine_hours_rank", "of: machine_hours_30d", "of: opportunity_age_days",
     "machine_hours_rank.yaml:5: opportunity_age_days is a tag of each opportunity"),
    ("opportunities/use/opportunity_stage", "table: opportunities", "table: machines",
     "machines has no single row per opportunity"),
    ("owners/use/is_key_account", "type: boolean", "type: number",
     "a manual tag is boolean or text, not number"),
    ("owners/use/mood", "values: [glad, calm, angry]\n", "",
     "a manual text tag lists its 'values'"),
    ("owners/use/mood", "agreement: 0.5", "agreement: 1.5", "less than or equal to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "old", "new", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_place(
    project: Path, tag: str, old: str, new: str, said: str
) -> None:
    replaced(project, f"tags/{tag}.yaml", old, new)
    assert any(said in fault for fault in faults(project)), faults(project)


def test_a_tag_with_the_name_of_a_column_that_it_would_hide_is_refused(project: Path) -> None:
    folder = project / "tags" / "machines" / "use"
    (folder / "machine_model.yaml").rename(folder / "model.yaml")
    replaced(project, "tags/machines/use/machine_hours_rank.yaml", "machine_model", "model")
    assert any("model is a column of machines and a tag" in fault for fault in faults(project))


def test_a_subjects_table_has_its_key_and_a_model_reads_customers_alone(project: Path) -> None:
    replaced(project, "tables/machines.yaml", "key: [machine_id]", "key: [owner]")
    assert any("the key of machines is [machine_id]" in fault for fault in faults(project))


def test_how_the_customer_is_found_is_part_of_the_version(project: Path) -> None:
    before = load_catalog(project, "fleet").tags["owned_hours_total"].version
    replaced(
        project,
        "tables/machines.yaml",
        "  model: {",
        "  driver: {type: text, description: Who uses it.}\n  model: {",
    )
    replaced(project, "sql/sources/telematics/machines.sql", "owner,", "owner, owner AS driver,")
    assert load_catalog(project, "fleet").tags["owned_hours_total"].version == before
    path = project / "tags/owners/use/owned_hours_total.yaml"
    path.write_text(path.read_text("utf-8").replace("machine.owner", "machine.driver"), "utf-8")
    assert load_catalog(project, "fleet").tags["owned_hours_total"].version != before


@pytest.mark.parametrize(
    ("old", "new"),
    [("agreement: 0.6", "agreement: 0.7"), ("key_account", "vip"), ("empty: false", "empty: true")],
)
def test_what_people_were_asked_and_how_many_agree_is_part_of_the_version(
    project: Path, old: str, new: str
) -> None:
    before = load_catalog(project, "fleet").tags["is_key_account"].version
    shutil.copy(project / "labels/key_account.yaml", project / "labels/vip.yaml")
    replaced(project, "tags/owners/use/is_key_account.yaml", f"{old}\n", f"{new}\n")
    assert load_catalog(project, "fleet").tags["is_key_account"].version != before


@pytest.mark.slow
def test_the_examples_of_tags_with_holders_and_judgements_and_machines_hold(
    catalog: Catalog, engine: Engine, project: Path
) -> None:
    count, wrong = run_examples(catalog, engine)
    assert (count, wrong) == (11, [])
    replaced(project, "tags/owners/use/owned_hours_total.yaml", "value: 8.5", "value: 16.5")
    _, wrong = run_examples(load_catalog(project, "fleet"), engine)
    assert [str(fault) for fault in wrong] == [
        "tags/owners/use/owned_hours_total.yaml:12: example 1: gives 8.5, not 16.5"
    ]


def test_a_business_without_machines_and_judgements_misses_their_tags_alone(
    catalog: Catalog,
) -> None:
    kiosk = load_catalog(DEFINITIONS, "kiosk")
    assert kiosk.unavailable["is_idle"] == "kiosk has no table machines"
    assert kiosk.unavailable["owned_hours_total"] == "kiosk has no table machine_days"
    assert kiosk.unavailable["is_key_account"] == "kiosk has no table labels"
    assert kiosk.unavailable["idle_machine_count"] == "kiosk has no table machines"
    assert [subject.name for subject in kiosk.subjects] == ["customer"]
    assert len(catalog.subjects) == 3


def test_tags_of_two_subjects_are_no_table(catalog: Catalog) -> None:
    with pytest.raises(WrongUsage, match="tags of machines and customers share no table"):
        compile_tags(catalog, AS_OF, ["is_idle", "needs_call"])


def test_the_page_on_subjects_shows_the_files_of_the_tests() -> None:
    page = (PROJECT / "docs" / "subjects.md").read_text("utf-8")
    shown = re.findall(r"```(?:yaml|sql)\n(?:#|--) (\S+)\n(.*?)```", page, flags=re.DOTALL)
    assert len(shown) == 7
    for path, text in shown:
        assert (PROJECT / path).read_text("utf-8") == text, path
