"""The simulator of the crane maker: repeatable, whole, and its hidden drivers can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest
from examples.crane_works.__main__ import main
from examples.crane_works.parameters import Dirt, Parameters, day_number
from examples.crane_works.systems import SYSTEMS
from examples.crane_works.truth import TRUTH
from examples.crane_works.world import simulate

SMALL = Parameters(customers=30, machines=60, years=1)
COMPANY = Parameters(customers=1_050, machines=2_100, years=2)  # of two blocks


class Company:
    """The tables of a simulated company, in a DuckDB of their own."""

    def __init__(self, parameters: Parameters, until: float | None = None) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        gathered: dict[str, list[pyarrow.Table]] = {}
        for part in simulate(parameters, until):
            gathered.setdefault(part.table.path, []).append(part.rows)
        for system in {path.split(".")[0] for path in gathered}:
            self.connection.execute(f"create schema {system}").fetchall()
        for path, parts in gathered.items():
            name = path.replace(".", "__")
            self.connection.register(name, pyarrow.concat_tables(parts))
            self.connection.execute(f"create view {path} as from {name}").fetchall()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def rank_correlation(self, query: str) -> float:
        """Spearman's, of the two columns of the query."""
        count, correlation = self.rows(
            f"""select count(*), corr(left_rank, right_rank) from (
                  select
                    rank() over (order by x) + count(*) over (partition by x) / 2 as left_rank,
                    rank() over (order by y) + count(*) over (partition by y) / 2 as right_rank
                  from ({query}) as pairs (x, y))"""
        )[0]
        assert count > 100
        return float(correlation)


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    made = Company(COMPANY)
    yield made
    made.connection.close()


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}


def test_a_seed_gives_the_same_bytes_and_the_truth_lies_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--customers", "30", "--machines", "60", "--years", "1"]
    seen, hidden, again, other = (tmp_path / name for name in ("a", "b", "c", "d"))
    assert main(["--parquet", str(seen), "--truth", str(hidden), *size]) == 0
    assert "crm.accounts" in capsys.readouterr().out
    assert main(["--parquet", str(again), *size]) == 0
    assert main(["--parquet", str(other), *size, "--seed", "8"]) == 0
    first = files(seen)
    assert first == files(again)
    others = files(other)
    assert {file for file in first if first[file] == others[file]} == {"mes/models/00000.parquet"}
    for folder, tables in ((seen, SYSTEMS), (hidden, TRUTH)):
        written = {str(file.parent.relative_to(folder)) for file in folder.rglob("*.parquet")}
        assert written == {table.path.replace(".", "/") for table in tables}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"customers": 5}, "customers is 5"),
        ({"machines": 10}, "machines is 10"),
        ({"years": 0}, "years is 0"),
        ({"start": date(2024, 2, 29)}, "start is 2024-02-29"),
    ],
)
def test_sizes_that_cannot_be_simulated_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(SMALL, **wrong)


def test_there_are_as_many_customers_and_machines_as_asked(company: Company) -> None:
    assert company.value("select count(*) from truth.customers") == COMPANY.customers
    assert company.value("select count(*) from truth.machines") == COMPANY.machines


def test_keys_name_one_row(company: Company) -> None:
    for table in (*SYSTEMS, *TRUTH):
        key = table.key or {
            "app.users": ("user_id",),
            "app.events": ("event_id",),
            "crm.activities": ("activity_id",),
            "crm.payment_promises": ("promise_id",),
            "mes.machines": ("serial_no",),
            "mes.deliveries": ("delivery_note",),
            "service_desk.calls": ("call_id",),
            "survey.answers": ("answer_id",),
            "telematics.readings": ("reading_id",),
        }.get(table.path, ())
        if key:
            twice = company.rows(
                f"select {', '.join(key)} from {table.path} group by all having count(*) > 1"
            )
            assert not twice, table.path


REFERENCES = [
    ("crm.contacts", "account_no", "crm.accounts"),
    ("crm.contracts", "account_no", "crm.accounts"),
    ("crm.opportunities", "account_no", "crm.accounts"),
    ("crm.machine_owners", "account_no", "crm.accounts"),
    ("crm.machine_owners", "serial_no", "mes.machines"),
    ("crm.account_merges", "surviving_account_no as account_no", "crm.accounts"),
    ("crm.account_merges", "merged_account_no as account_no", "crm.accounts"),
    ("crm.contracts", "opportunity_no", "crm.opportunities"),
    ("crm.opportunity_stages", "opportunity_no", "crm.opportunities"),
    ("crm.activities", "opportunity_no", "crm.opportunities"),
    ("crm.instalments", "contract_no", "crm.contracts"),
    ("crm.payments", "contract_no", "crm.contracts"),
    ("crm.payment_promises", "contract_no", "crm.contracts"),
    ("crm.machine_returns", "contract_no", "crm.contracts"),
    ("mes.deliveries", "serial_no", "mes.machines"),
    ("mes.deliveries", "contract_no", "crm.contracts"),
    ("mes.machines", "model_code", "mes.models"),
    ("telematics.devices", "serial_no", "mes.machines"),
    ("telematics.readings", "device_id", "telematics.devices"),
    ("service_desk.work_orders", "call_id", "service_desk.calls"),
    ("service_desk.work_orders", "serial_no", "mes.machines"),
    ("service_desk.complaints", "call_id", "service_desk.calls"),
    ("service_desk.parts_used", "order_no", "service_desk.work_orders"),
    ("app.events", "user_id", "app.users"),
]


@pytest.mark.parametrize(("table", "column", "target"), REFERENCES)
def test_what_a_row_names_is_there(company: Company, table: str, column: str, target: str) -> None:
    name = column.rpartition(" ")[2]
    assert company.value(f"select count({name}) from (select {column} from {table})") > 0
    query = (
        f"select {column} from {table} where {name} is not null except select {name} from {target}"
    )
    assert company.rows(query) == []


def test_what_happens_in_order_is_in_order(company: Company) -> None:
    for query in (
        "from crm.opportunities where closed_at < created_at",
        "from crm.contracts join crm.payments using (contract_no) where not payments.is_deleted "
        "and right(payment_no, 1) <> 'R' and paid_on < signed_on and payment_no not in "
        "(select source_key from truth.faults where kind = 'misbooked')",
        "from mes.machines join mes.deliveries using (serial_no) where built_on > delivered_on",
        "from telematics.readings where received_at < measured_at",
        "from sms.messages where delivered_ts < sent_ts or replied_ts < delivered_ts",
        "from service_desk.complaints where resolved_at < opened_at",
        "from crm.opportunity_stages join crm.opportunities using (opportunity_no) "
        "where entered_at < date_trunc('second', created_at)",
    ):
        assert company.value(f"select count(*) {query}") == 0, query


def test_instalments_add_up_to_the_contract(company: Company) -> None:
    worst = company.value(
        """select max(abs(total / contract.amount - 1)) from (
             select contract_no, sum(amount) as total from crm.instalments group by all
           ) join crm.contracts as contract using (contract_no)
           where contract_no not in (
             select source_key from truth.faults where kind = 'amount_in_ten_thousands')"""
    )
    assert worst < 1e-5  # each instalment is rounded to the cent


def test_a_won_opportunity_has_a_contract_and_its_machines(company: Company) -> None:
    won = "select opportunity_no from crm.opportunities where stage = 'won'"
    assert company.rows(f"{won} except select opportunity_no from crm.contracts") == []
    installed = company.value(
        f"select {COMPANY.machines} - sum(quantity) from ({won}) join "
        "crm.opportunities using (opportunity_no)"
    )
    assert installed == round(COMPANY.machines * 0.6)


DAYS_OVERDUE = """
  select any_value(morale),
    avg(greatest(0, date_diff('day', due_on, coalesce(paid_on, '2025-01-01'))))
  from crm.instalments
  left join (select contract_no, instalment_no, max(paid_on) as paid_on from crm.payments
             where not is_deleted group by all) using (contract_no, instalment_no)
  join crm.contracts using (contract_no)
  join truth.identities on source_key = account_no
  join truth.customers using (customer)
  where due_on < '2025-01-01' group by customer having count(*) >= 10
"""
VIEWS = """
  select avg(intent), any_value(views) from truth.customer_months
  join (select customer, count(*) / count(distinct user_id) / any_value(date_diff(
          'month', greatest(since_on, DATE '2023-01-01'), DATE '2025-01-01')) as views
        from app.events join app.users using (user_id) join truth.identities on phone = source_key
        join truth.customers using (customer)
        where kind = 'machine_view' and held_until is null group by customer having count(*) > 5
  ) using (customer) group by customer
"""
HOURS_TREND = """
  with yearly as (
    select serial_no, year(measured_at) as year, sum(work_hours) as hours, count(*) as days
    from telematics.readings join telematics.devices using (device_id)
    where work_hours between 0 and 24 group by all having days > 300
  )
  select any_value(growth), sum(later.hours / later.days) / sum(earlier.hours / earlier.days)
  from yearly as earlier
  join yearly as later on later.serial_no = earlier.serial_no and later.year = earlier.year + 1
  join truth.machine_owners on machine_owners.serial_no = earlier.serial_no
  join truth.customers using (customer)
  group by customer having count(*) >= 2
"""
SCORES = """
  select dissatisfaction, score / scale from survey.answers
  join truth.identities on source_key = respondent_phone and held_until is null
  join truth.customer_months using (customer)
  where strftime(month, '%Y%m') = replace(answered_on[:7], '/', '')
"""
COMPLAINTS = """
  select any_value(dissatisfaction), count(complaint_no) / count(distinct order_no)
  from service_desk.work_orders join truth.machine_owners using (serial_no)
  join (select customer, avg(dissatisfaction) as dissatisfaction from truth.customer_months
        group by customer) using (customer)
  left join service_desk.complaints using (call_id)
  where kind = '维修' group by customer having count(*) >= 8
"""
BREAKDOWNS = """
  select failures_expected, count(order_no) from truth.machines
  left join service_desk.work_orders on work_orders.serial_no = machines.serial_no and kind = '维修'
  where failures_expected > 0 group by machines.serial_no, failures_expected
"""
MAINTENANCE = """
  select any_value(discipline), avg(hours / maintenance_hours) from (
    select serial_no, hour_meter - lag(hour_meter) over (
      partition by serial_no order by opened_at) as hours
    from service_desk.work_orders join telematics.devices using (serial_no)
    join telematics.readings on readings.device_id = devices.device_id
      and measured_at::date = opened_at::date where kind = '保养'
  ) join mes.machines using (serial_no) join mes.models using (model_code)
  join truth.machine_owners using (serial_no) join truth.customers using (customer)
  where hours > 0 group by customer having count(hours) >= 5
"""


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        pytest.param(DAYS_OVERDUE, -1, -0.8, id="payment morale and days overdue"),
        pytest.param(HOURS_TREND, 0.75, 1, id="growth and hours from year to year"),
        pytest.param(SCORES, -1, -0.7, id="dissatisfaction and survey scores"),
        pytest.param(COMPLAINTS, 0.4, 1, id="dissatisfaction and complaints"),
        pytest.param(VIEWS, 0.45, 1, id="intent and views in the app"),
        pytest.param(BREAKDOWNS, 0.5, 1, id="expected and seen breakdowns"),
        pytest.param(MAINTENANCE, -1, -0.5, id="discipline and hours between maintenances"),
    ],
)
def test_a_hidden_driver_shows(company: Company, query: str, least: float, most: float) -> None:
    assert least <= company.rank_correlation(query) <= most


def test_win_probabilities_are_calibrated(company: Company) -> None:
    rows = company.rows(
        "select round(win_probability * 4) as band, avg(win_probability), avg(wins::int) "
        "from truth.opportunities group by band having count(*) > 150"
    )
    assert len(rows) >= 4
    assert all(abs(said - seen) < 0.08 for _, said, seen in rows)


def test_competitors_cost_opportunities(company: Company) -> None:
    alone, contested = (
        company.value(
            "select avg((stage = 'won')::int) from crm.opportunities "
            f"where stage in ('won', 'lost') and competitor is {condition}"
        )
        for condition in ("null", "not null")
    )
    assert alone > contested + 0.1


READINGS = "telematics.readings where reading_id % 2 = 0"
SHARES = [
    ("impossible_hours", "work_hours > 24", READINGS, Dirt.impossible_hours),
    ("negative_hours", "work_hours < 0", READINGS, Dirt.negative_hours),
    ("wrong_clock", "measured_at < '2015-01-01'", READINGS, Dirt.wrong_clock),
    ("duplicate", "reading_id % 2 = 1", READINGS, Dirt.duplicate_readings),
    (
        "fuel_unit_missing",
        "fuel_unit is null",
        f"{READINGS} and coalesce(fuel_unit, 'gal') = 'gal'",
        Dirt.fuel_unit_missing,
    ),
    (
        "minutes_for_hours",
        "work_hours > 18",
        f"{READINGS} and work_hours > 0",
        Dirt.minutes_for_hours,
    ),
    ("stuck_load", "load_pct = 100", f"{READINGS} and work_hours > 0", Dirt.stuck_load),
]


@pytest.mark.parametrize(("kind", "seen", "rows", "share"), SHARES)
def test_wrong_readings_are_as_frequent_as_asked_and_known(
    company: Company, kind: str, seen: str, rows: str, share: float
) -> None:
    faults = f"from truth.faults where place = 'telematics.readings' and kind = '{kind}'"
    known = company.value(f"select count(*) {faults}")
    all_rows = company.value(f"select count(*) from {rows}")
    assert 0.5 * share < known / all_rows < 1.5 * share
    shown = company.value(
        f"select count(*) from telematics.readings where {seen} and reading_id in "
        f"(select source_key::bigint {faults})"
    )
    assert shown / known > 0.85


def test_the_true_hours_of_a_wrong_reading_are_known(company: Company) -> None:
    wrong, true = company.rows(
        """select max(work_hours), max(true_value::double) from truth.faults
           join telematics.readings on reading_id = source_key::bigint
           where kind in ('impossible_hours', 'minutes_for_hours')"""
    )[0]
    assert wrong > 100
    assert true <= 18


def test_a_tenth_of_the_callers_names_no_machine(company: Company) -> None:
    silent, wrong = company.rows(
        """select avg((serial_no is null)::int), avg((serial_no not in
             (select serial_no from mes.machines))::int)
           from service_desk.calls where topic = '报修'"""
    )[0]
    assert 0.08 < silent < 0.12
    assert 0.01 < wrong < 0.03


def test_a_customer_has_other_keys_and_spellings_in_each_system(company: Company) -> None:
    assert company.value("select count(*) from crm.accounts where is_deleted") > 5
    assert (
        company.value(
            """select avg((company not in (select company_name from crm.accounts))::int)
           from survey.answers"""
        )
        > 0.5
    )
    held = company.rows(
        """select count(distinct customer) from truth.identities where system = 'phone'
           group by source_key having count(*) > 1"""
    )
    assert len(held) > 10
    assert set(held) == {(2,)}  # a contact who went to another company
    undone = company.value("select count(*) from crm.account_merges where reversed_at is not null")
    assert undone >= 1


def test_an_earlier_day_shows_what_the_systems_knew_then() -> None:
    at = day_number(date(2023, 10, 1))
    then = Company(replace(SMALL, customers=100, machines=200), at)
    later = Company(replace(SMALL, customers=100, machines=200))
    for table, column in (
        ("crm.accounts", "updated_at"),
        ("crm.opportunities", "updated_at"),
        ("crm.payments", "updated_at"),
        ("service_desk.work_orders", "updated_at"),
        ("telematics.readings", "make_timestamp(epoch_us(received_at)) + interval 8 hours"),
    ):
        assert then.value(f"select max({column}) < '2023-10-01' from {table}"), table
        assert later.value(f"select max({column}) > '2023-10-01' from {table}"), table
    for table, key, condition in (
        ("crm.opportunities", "opportunity_no", "stage not in ('won', 'lost')"),
        ("service_desk.work_orders", "order_no", "status <> 'closed'"),
    ):
        open_then = {row[0] for row in then.rows(f"select {key} from {table} where {condition}")}
        still = {row[0] for row in later.rows(f"select {key} from {table} where {condition}")}
        assert open_then - still, table
    vanished = set(then.rows("select reading_id, received_at from telematics.readings")) - set(
        later.rows("select reading_id, received_at from telematics.readings")
    )
    assert not vanished  # readings are only ever added
    then.connection.close()
    later.connection.close()
