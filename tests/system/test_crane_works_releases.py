"""The crane maker from its systems in PostgreSQL to releases: rows change, go and come late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as parquet
import pytest
from examples.crane_works.parameters import Dirt, Parameters, day_number
from examples.crane_works.parquet_files import without_truth
from examples.crane_works.postgres import write_database
from examples.crane_works.world import simulate
from sqlalchemy import NullPool, create_engine, make_url, text
from tests.conftest import drop_databases
from tests.governed import Governed

from tagline import quarantine
from tagline.compute import feature_table
from tagline.deployment import open_deployment
from tagline.serve.exports import export
from tagline.settings import Settings
from tagline.subjects import CUSTOMER
from tagline.versions import entry_columns, row_columns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CLUMSY = Dirt(amount_typo=0.6, misbooked_payments=0.2, rescheduled_instalments=0.2)
COMPANY = Parameters(customers=60, machines=150, years=1, dirt=CLUMSY)
FIRST, SECOND = date(2023, 11, 20), date(2023, 12, 10)  # the survey comes between them
MOVED_TO, MOVED_AT = "K-9999999", datetime(2023, 12, 5, 10)
VARIABLE = "TAGLINE_CRANE_WORKS_URL"

Row = dict[str, Any]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


@dataclass
class Company:
    """The systems' database, and what `tagline run` said of each day."""

    url: str
    settings: Settings
    reports: dict[date, Row] = field(default_factory=dict)
    systems: dict[date, dict[str, list[Row]]] = field(default_factory=dict)

    def stand_at(self, day: date) -> None:
        """Bring the systems to the beginning of a day."""
        parts = without_truth(simulate(COMPANY, day_number(day)), None)
        write_database(self.url, parts, replace=True)

    def execute(self, statement: str, **values: object) -> None:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(statement), values)

    def ask(self, query: str) -> list[Row]:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

    def run(self, day: date) -> None:
        """`tagline run --as-of`, as a user would call it; the systems' rows are kept beside it."""
        for table in ("accounts", "contacts", "contracts", "opportunities", "payments"):
            rows = self.ask(f"select * from crm.{table}")
            self.systems.setdefault(day, {})[table] = rows
        done = subprocess.run(
            [sys.executable, "-m", "tagline.cli", "run", "--json", "--as-of", day.isoformat()],
            env=os.environ | {VARIABLE: self.url} | environment(self.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.reports[day] = json.loads(done.stdout)

    def rows(self, table: str, day: date) -> list[Row]:
        """The rows of a canonical table that hold as of the day."""
        with open_deployment(self.settings) as opened:
            definition = opened.catalog.tables[table]
            keys = (*definition.key, "valid_at", "loaded_at")
            same = " AND ".join(f"e.{key} = r.{key}" for key in keys)
            instant = f"TIMESTAMPTZ '{midnight(day).isoformat()}'"
            event = f"AND r.{definition.event_at} < {instant}" if definition.event_at else ""
            relations = {
                "stored": opened.lake.relation(f"clean.{table}", row_columns(definition)),
                "ended": opened.lake.relation(
                    f"clean.{table}__superseded", entry_columns(definition)
                ),
            }
            found = opened.engine.fetch(
                f"SELECT r.* FROM stored AS r WHERE r.valid_at < {instant} {event} AND NOT EXISTS "
                f"(SELECT 1 FROM ended AS e WHERE {same} AND e.until_at < {instant})",
                relations,
            )
            return list(found.to_pylist())

    def row(self, table: str, day: date, **key: object) -> Row | None:
        """The version of one row that holds as of the day."""
        found = [row for row in self.rows(table, day) if row.items() >= key.items()]
        assert len(found) < 2
        return found[0] if found else None


def environment(settings: Settings) -> dict[str, str]:
    return {
        "TAGLINE_BUSINESS": settings.business,
        "TAGLINE_HOME": str(settings.home_path),
        "TAGLINE_DATABASE_URL": str(settings.database_url),
    }


@pytest.fixture(scope="module")
def company(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Two days are released; between them rows were corrected, deleted, moved and lost."""
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text("create database crane_releases template template0"))
    url = make_url(postgres_url).set(database="crane_releases").render_as_string(False)
    home = tmp_path_factory.mktemp("crane_works")
    settings = Settings(business="crane_works", home=home, database_url=postgres_url)
    made = Company(url, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, url)
        made.stand_at(FIRST)
        made.run(FIRST)
        made.stand_at(SECOND)
        lost = vanishing(made)
        made.execute(f"delete from crm.payments where payment_no = '{lost['payment']}'")
        for table in ("opportunities", "opportunity_stages"):
            made.execute(f"delete from crm.{table} where opportunity_no = '{lost['opportunity']}'")
        made.execute(
            "update crm.contacts set account_no = :moved_to, updated_at = :moved_at "
            "where contact_id = :contact",
            moved_to=MOVED_TO,
            moved_at=MOVED_AT,
            contact=lost["contact"],
        )
        made.run(SECOND)
        yield made
    drop_databases(settings)
    with admin.connect() as connection:
        connection.execute(text("drop database crane_releases with (force)"))


def vanishing(company: Company) -> Row:
    """A payment and an opportunity that will be lost, a contact who will move: the oldest ones."""
    before = company.systems[FIRST]
    open_ones = [row for row in before["opportunities"] if row["closed_at"] is None]
    return {
        "payment": min(row["payment_no"] for row in before["payments"] if not row["is_deleted"]),
        "opportunity": min(row["opportunity_no"] for row in open_ones),
        "contact": min(row["contact_id"] for row in before["contacts"]),
    }


COUNTS = {
    "customers": "select count(*) from crm.accounts",
    "contacts": "select count(*) from crm.contacts",
    "products": "select count(*) from mes.models",
    "machines": "select count(distinct serial_no) from crm.machine_owners",
    "machine_returns": "select count(*) from crm.machine_returns",
    "opportunities": "select count(*) from crm.opportunities",
    "opportunity_activities": "select count(*) from crm.activities",
    "orders": "select count(*) from crm.contracts",
    "order_lines": "select count(*) from crm.contracts",
    "receivables": "select count(*) from crm.instalments",
    "payments": "select count(*) from crm.payments join crm.contracts using (contract_no)",
    "payment_promises": "select count(*) from crm.payment_promises",
    "surveys": "select count(*) from survey.answers",
    "service_calls": "select count(*) from service_desk.calls",
    "parts_used": "select count(*) from service_desk.parts_used",
    "interactions": """
        select (select count(*) + count(delivered_ts) + count(replied_ts)
          + count(*) filter (where status = 'failed' and sent_ts + 86400 < {end})
          from sms.messages) + (select count(*) from app.events)
    """,
}


def test_a_release_holds_every_row_of_the_systems(company: Company) -> None:
    end = midnight(SECOND).timestamp()
    expected = {table: company.ask(query.format(end=end))[0] for table, query in COUNTS.items()}
    found = {table: len(company.rows(table, SECOND)) for table in COUNTS}
    assert found == {table: next(iter(row.values())) for table, row in expected.items()}
    for day in (FIRST, SECOND):
        report = company.reports[day]
        assert report["status"] == "released"
        numbers = {row["contract_no"] for row in company.systems[day]["contracts"]}
        astray = [
            row for row in company.systems[day]["payments"] if row["contract_no"] not in numbers
        ]
        refused = report["quarantined"]
        refused.pop("machine_days", None)  # readings whose clock is wrong
        assert refused == {
            "payments": {"missing_customer_key": sum(1 + row["is_deleted"] for row in astray)}
        }


def test_customers_are_whom_accounts_telephones_users_and_answers_are_linked_to(
    company: Company,
) -> None:
    for day in (FIRST, SECOND):
        accounts = {f"crm:{row['account_no']}" for row in company.systems[day]["accounts"]}
        found = {row["customer_key"]: row for row in company.rows("identity", day)}
        customers = {row["customer_id"] for row in found.values()}
        assert company.reports[day]["customers"] == len(customers)
        assert {f"crm:{number}" for number in customers} <= accounts <= found.keys()
        kinds = {key.split(":")[0] for key in found}
        assert kinds - {"survey"} == {"crm", "phone", "app", "mes"}  # late answers speak of before
        assert "survey" in kinds or day == FIRST
        heard = {row["customer_key"] for row in company.rows("interactions", day)}
        assert len(heard & found.keys()) / len(heard) > 0.95


def test_the_survey_that_came_in_between_was_not_there_before(company: Company) -> None:
    assert len(company.rows("surveys", SECOND)) > 3
    assert {row["score"] > 10 for row in company.rows("surveys", SECOND)} == {True}


def test_what_is_open_is_what_the_bookings_leave(company: Company) -> None:
    left: dict[str, float] = {}
    for row in company.ask("select * from crm.instalments"):
        left[f"{row['contract_no']}/{row['instalment_no']}"] = row["amount"]
    paid = company.systems[SECOND]["payments"]
    for row in paid:
        place = f"{row['contract_no']}/{row['instalment_no']}"
        if place in left and not row["is_deleted"]:
            left[place] -= row["amount"]
    found = {row["receivable_id"]: row for row in company.rows("receivables", SECOND)}
    assert {place for place, row in found.items() if row["is_open"]} == {
        place for place, amount in left.items() if amount > 0.05
    }
    assert 0 < sum(row["is_open"] for row in found.values()) < len(found)
    for place, row in found.items():
        rate = row["amount"] / row["booked_amount"]
        assert row["open_amount"] == pytest.approx(max(left[place], 0) * rate, abs=0.5)


def changed(company: Company, table: str, key: str, column: str) -> list[tuple[str, Any, Any]]:
    """Rows of a system that changed between the days: the key, and the column before and after."""
    before = {row[key]: row[column] for row in company.systems[FIRST][table]}
    after = {row[key]: row[column] for row in company.systems[SECOND][table]}
    return [(k, before[k], after[k]) for k in before if k in after and before[k] != after[k]]


def test_a_corrected_contract_keeps_the_amount_that_was_known_before(company: Company) -> None:
    corrected = changed(company, "contracts", "contract_no", "amount")
    assert corrected
    for day, place in ((FIRST, 1), (SECOND, 2)):
        found = {row["order_id"]: row["booked_amount"] for row in company.rows("orders", day)}
        assert [found[each[0]] for each in corrected] == [each[place] for each in corrected]


def test_a_payment_reversed_later_was_booked_before(company: Company) -> None:
    numbers = {row["contract_no"] for row in company.systems[FIRST]["contracts"]}
    of_contract = {
        row["payment_no"]: row["contract_no"] for row in company.systems[FIRST]["payments"]
    }
    reversed_ones = [
        each
        for each in changed(company, "payments", "payment_no", "is_deleted")
        if of_contract[each[0]] in numbers  # the others went to quarantine
    ]
    assert reversed_ones
    for day, status in ((FIRST, "booked"), (SECOND, "reversed")):
        found = {row["payment_id"]: row["status"] for row in company.rows("payments", day)}
        assert {found[each[0]] for each in reversed_ones} == {status}


def test_an_opportunity_is_at_the_stage_of_the_day(company: Company) -> None:
    moved = changed(company, "opportunities", "opportunity_no", "stage")
    assert any(after in ("won", "lost") for _, _, after in moved)
    for day, place in ((FIRST, 1), (SECOND, 2)):
        found = {row["opportunity_id"]: row for row in company.rows("opportunities", day)}
        assert [found[each[0]]["stage"] for each in moved] == [each[place] for each in moved]
        closed = {row["stage"] in ("won", "lost") for row in found.values() if row["closed_at"]}
        assert closed <= {True}


def test_rows_that_vanished_are_gone(company: Company) -> None:
    lost = vanishing(company)
    for day in (FIRST, SECOND):
        assert company.row("payments", day, payment_id=lost["payment"]) is None
        assert company.row("opportunities", day, opportunity_id=lost["opportunity"]) is None


def test_a_person_who_moves_takes_the_telephone_along(company: Company) -> None:
    contact = vanishing(company)["contact"]
    before = next(r for r in company.systems[FIRST]["contacts"] if r["contact_id"] == contact)
    phone = "+86" + "".join(sign for sign in before["mobile"] if sign.isdigit())[-11:]

    def where(day: date) -> tuple[str, set[str]]:
        row = company.row("contacts", day, contact_id=str(contact))
        assert row is not None
        held = company.rows("identity_evidence", day)
        holders = {
            each["customer_key"]
            for each in held
            if (each["kind"], each["value"], each["is_held"]) == ("phone", phone, True)
        }
        return row["customer_key"], {key for key in holders if key.startswith("crm:")}

    old, new = f"crm:{before['account_no']}", f"crm:{MOVED_TO}"
    account = next(
        row
        for row in company.systems[FIRST]["accounts"]
        if row["account_no"] == before["account_no"]
    )
    stays = {old} if "".join(filter(str.isdigit, account["phone"]))[-11:] == phone[-11:] else set()
    (first, held_before), (second, held_after) = where(FIRST), where(SECOND)
    assert (first, second) == (old, new)
    assert old in held_before
    assert held_after == held_before - {old} | stays | {new}


def test_values_of_the_first_day_stay_what_they_were(company: Company, tmp_path: Path) -> None:
    slugs = ("order_amount_total", "order_count_total")
    released = tmp_path / "released.parquet"
    with open_deployment(company.settings) as opened:
        export(opened, str(released), midnight(FIRST), CUSTOMER)
        again = feature_table(opened, midnight(FIRST), slugs).to_pylist()
    columns = ["customer_id", *slugs]
    first = {
        row["customer_id"]: row for row in parquet.read_table(released, columns=columns).to_pylist()
    }
    assert sum(row["order_count_total"] for row in first.values()) > 20
    assert {row["customer_id"]: {name: row[name] for name in columns} for row in again} == first


def test_machine_days_loaded_in_two_steps_are_those_of_all_readings_at_once(
    company: Company,
) -> None:
    whole = Governed(COMPANY, day_number(SECOND))
    whole.make("crane_telematics", "machine_days")
    with open_deployment(company.settings) as opened:
        columns = tuple(opened.catalog.tables["machine_days"].columns)
        refused = quarantine.counts(opened)["machine_days"]
    expected = whole.rows(f"SELECT {', '.join(columns)}, valid_at FROM machine_days")
    wrong = whole.value("SELECT count(*) FROM judged_machine_days WHERE reason = 'wrong_clock'")
    whole.connection.close()
    found = {
        tuple(map(str, (row[column] for column in (*columns, "valid_at"))))
        for row in company.rows("machine_days", SECOND)
    }
    assert len(found) == len(expected) > 20_000
    assert found == {tuple(map(str, row)) for row in expected}
    assert refused == {"wrong_clock": wrong}
    assert wrong > 0


def test_a_ticket_is_open_until_the_day_on_which_its_closing_is_known(company: Company) -> None:
    before = {row["ticket_id"]: row for row in company.rows("service_tickets", FIRST)}
    after = {row["ticket_id"]: row for row in company.rows("service_tickets", SECOND)}
    going_on = [key for key, row in before.items() if row["status"] == "open" and key in after]
    closed = [key for key in going_on if after[key]["status"] == "closed"]
    assert closed
    for key in closed:
        assert before[key]["closed_at"] is None and before[key]["work_text"] is None
        assert midnight(FIRST) <= after[key]["valid_at"] < midnight(SECOND)
    vanished = before.keys() - after.keys()
    assert {row["status"] for key, row in before.items() if key in vanished} <= {"open"}
