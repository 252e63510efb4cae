"""What the governance of data finds of the faults that the simulator put in, and what it spoils."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from examples.crane_works.parameters import Dirt, Parameters
from tests.governed import Governed

from tagline.settings import PROJECT

pytestmark = pytest.mark.slow

DIRT = Dirt(  # the rare ones are made less rare, so that a share says something
    amount_in_ten_thousands=0.03,
    amount_typo=0.05,
    misbooked_payments=0.02,
    serial_typo=0.1,
    closed_before_opened=0.02,
)
SIZE = Parameters(customers=300, machines=800, years=2, dirt=DIRT)

# Of each fault: its truth, the rows that it may befall with their key, and whether one is flagged.
READING = ("telematics.readings", "judged_machine_days", "reading_id")
KINDS: dict[str, tuple[str, str, str, str]] = {
    "minutes_for_hours": (*READING, "hours_issue = 'minutes'"),
    "impossible_hours": (*READING, "hours_issue = 'impossible'"),
    "negative_hours": (*READING, "hours_issue = 'negative'"),
    "stuck_load": (*READING, "is_load_stuck"),
    "fuel_unit_missing": (*READING, "is_fuel_unit_inferred"),
    "wrong_clock": (*READING, "reason = 'wrong_clock'"),
    "duplicate": (*READING, "is_left_out"),
    "closed_before_opened": (
        "service_desk.work_orders",
        "(SELECT * FROM service_tickets WHERE kind IN ('repair', 'maintenance'))",
        "replace(ticket_id, 'order:', '')",
        "is_closed_before_opened",
    ),
    "serial_typo": (
        "service_desk.calls",
        "service_call_machines",
        "call_id",
        "serial_check IN ('by_ticket', 'one_digit', 'unknown')",
    ),
    "contract_in_ten_thousands": (
        "crm.contracts",
        "(SELECT * FROM entered_amounts WHERE kind = 'order')",
        "record",
        "issue = 'ten_thousands'",
    ),
    "contract_ten_times": (
        "crm.contracts",
        "(SELECT * FROM entered_amounts WHERE kind = 'order')",
        "record",
        "issue = 'ten_times'",
    ),
    "opportunity_ten_times": (
        "crm.opportunities",
        "(SELECT * FROM entered_amounts WHERE kind = 'opportunity')",
        "record",
        "issue = 'ten_times'",
    ),
    "payment_misbooked": (
        "crm.payments",
        "(SELECT * FROM entered_amounts WHERE kind = 'payment')",
        "record",
        "issue IS NOT NULL",
    ),
}
TRUE_NAMES = {
    "contract_in_ten_thousands": "amount_in_ten_thousands",
    "contract_ten_times": "amount_typo",
    "opportunity_ten_times": "amount_typo",
    "payment_misbooked": "misbooked",
}
# The least share found and the greatest share of sound rows that are flagged. Where chance rules:
# the first day of a stuck sensor looks like any other; a stranger's instalment may be as high as
# the own one, and then nobody can tell which of two payments is wrong.
LIMITS = {
    "minutes_for_hours": (0.99, 0.0001),
    "impossible_hours": (0.99, 0.0001),
    "negative_hours": (0.999, 0.0),
    "stuck_load": (0.93, 0.0003),
    "fuel_unit_missing": (0.999, 0.0),
    "wrong_clock": (0.999, 0.00001),
    "duplicate": (0.999, 0.0),
    "closed_before_opened": (0.999, 0.0),
    "serial_typo": (0.999, 0.0),
    "contract_in_ten_thousands": (0.999, 0.0),
    "contract_ten_times": (0.999, 0.0),
    "opportunity_ten_times": (0.999, 0.0),
    "payment_misbooked": (0.95, 0.01),
}


@pytest.fixture(scope="module")
def company() -> Iterator[Governed]:
    made = Governed(SIZE)
    office = ("machines", "orders", "receivables", "payments", "opportunities", "products")
    made.make("crane_office", *office, newest=False)
    made.make("crane_office", "receivables")
    made.derive("amount_checks")
    made.rows("CREATE TABLE entered_amounts AS FROM amount_checks")
    made.make("crane_office", *office)
    made.derive("amount_checks")
    made.make("crane_telematics", "machine_days")
    made.make("crane_service_desk", "service_tickets", "service_calls", "parts_used")
    made.derive("service_call_machines")
    made.derive("machine_gap_days")
    # a reading that came again is left out: what is not delivered is shown as a row of its own
    made.rows("ALTER TABLE judged_machine_days ADD COLUMN is_left_out BOOLEAN DEFAULT false")
    made.rows(
        """INSERT INTO judged_machine_days BY NAME
           SELECT CAST(r.reading_id AS VARCHAR) AS reading_id, true AS is_left_out
           FROM telematics.readings AS r
           ANTI JOIN judged_machine_days AS d ON d.reading_id = CAST(r.reading_id AS VARCHAR)"""
    )
    yield made
    made.connection.close()


def shares(company: Governed, kind: str) -> tuple[int, float, float]:
    """How many faults there are, the share found, and the share of sound rows that are flagged.

    A duplicate of a reading has its faults, too.
    """
    place, rows, key, flagged = KINDS[kind]
    name = TRUE_NAMES.get(kind, kind)
    count, found, false = company.rows(
        f"""WITH faults AS (
              SELECT DISTINCT source_key FROM truth.faults
              WHERE place = '{place}' AND kind = '{name}'
            ),
            again AS (
              SELECT source_key FROM truth.faults
              WHERE kind = 'duplicate' AND '{name}' <> 'duplicate'
            )
            SELECT
              count(f.source_key),
              avg(CAST({flagged} AS INTEGER)) FILTER (WHERE f.source_key IS NOT NULL),
              avg(CAST(coalesce({flagged}, false) AS INTEGER))
                FILTER (WHERE f.source_key IS NULL AND a.source_key IS NULL)
            FROM (SELECT *, {key} AS faulty_key FROM {rows} AS r) AS r
            LEFT JOIN faults AS f ON f.source_key = r.faulty_key
            LEFT JOIN again AS a ON a.source_key = r.faulty_key"""
    )[0]
    return int(count), float(found or 0), float(false)


def told(measure: str) -> float:
    """A figure of the page's second table; percents as shares."""
    text = (PROJECT / "docs" / "data-governance.md").read_text("utf-8")
    found = re.search(rf"^\| {measure}[^|]*\| ([\d.]+)( %)?[^|]*\|$", text, re.M)
    assert found, measure
    return float(found[1]) / (100 if found[2] else 1)


def documented() -> dict[str, tuple[int, float, float]]:
    """The table of docs/data-governance.md: faults, share found, share falsely flagged."""
    text = (PROJECT / "docs" / "data-governance.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d,]+) \| ([\d.]+) % \| ([\d.]+) % \|", text, re.M)
    return {
        name: (int(count.replace(",", "")), float(found) / 100, float(false) / 100)
        for name, count, found, false in rows
    }


@pytest.mark.parametrize("kind", KINDS)
def test_faults_are_found_and_sound_rows_left_alone(company: Governed, kind: str) -> None:
    count, found, false = shares(company, kind)
    least, most = LIMITS[kind]
    assert count >= 15
    assert found >= least
    assert false <= most


def test_the_page_says_what_is_measured(company: Governed) -> None:
    page = documented()
    assert set(page) == set(KINDS)
    for kind in KINDS:
        count, found, false = shares(company, kind)
        assert page[kind][0] == pytest.approx(count, rel=0.1), kind
        assert page[kind][1] == pytest.approx(found, abs=0.01), kind
        assert page[kind][2] == pytest.approx(false, abs=0.001), kind


def test_no_reading_is_lost_and_what_was_sent_stays_beside_what_was_made_of_it(
    company: Governed,
) -> None:
    assert company.value("SELECT count(*) FROM telematics.readings") == company.value(
        "SELECT count(DISTINCT reading_id) FROM judged_machine_days"
    )
    changed = """
      SELECT count(*) FROM judged_machine_days AS d
      JOIN telematics.readings AS r ON CAST(r.reading_id AS VARCHAR) = d.reading_id
      WHERE NOT d.is_left_out AND (
        d.work_hours_sent, d.idle_hours_sent, d.hour_meter, d.load_percent_sent, d.fuel_sent,
        d.fuel_unit_sent, d.region, d.device_id, d.valid_at
      ) IS DISTINCT FROM (
        r.work_hours, r.idle_hours, r.hour_meter, r.load_pct, r.fuel,
        r.fuel_unit, r.region_code, CAST(r.device_id AS VARCHAR), r.received_at
      )"""
    assert company.value(changed) == 0
    without_equal = """
      SELECT count(*) FROM judged_machine_days AS d
      JOIN telematics.readings AS r ON CAST(r.reading_id AS VARCHAR) = d.reading_id
      WHERE d.is_left_out AND NOT EXISTS (
        SELECT 1 FROM telematics.readings AS k
        JOIN judged_machine_days AS kept ON kept.reading_id = CAST(k.reading_id AS VARCHAR)
        WHERE NOT kept.is_left_out AND k.device_id = r.device_id
          AND k.measured_at = r.measured_at AND k.work_hours = r.work_hours
          AND k.load_pct = r.load_pct AND k.fuel = r.fuel)"""
    assert company.value(without_equal) == 0


def test_no_call_ticket_or_part_is_lost_and_each_text_and_date_stays(company: Governed) -> None:
    for rows, source in (
        ("judged_service_calls", "service_desk.calls"),
        ("judged_parts_used", "service_desk.parts_used"),
        (
            "(FROM service_tickets WHERE starts_with(ticket_id, 'order:'))",
            "service_desk.work_orders",
        ),
        (
            "(FROM service_tickets WHERE starts_with(ticket_id, 'complaint:'))",
            "service_desk.complaints",
        ),
    ):
        assert company.value(f"SELECT count(*) FROM {rows}") == company.value(
            f"SELECT count(*) FROM {source}"
        )
    changed = """
      SELECT count(*) FROM service_tickets AS t
      JOIN service_desk.work_orders AS o ON concat('order:', o.order_no) = t.ticket_id
      WHERE t.status = 'closed' AND (t.closed_sent_at, t.work_text_sent, t.labour_hours)
        IS DISTINCT FROM (timezone('Asia/Shanghai', o.closed_at), o.work_text, o.labour_hours)"""
    assert company.value(changed) == 0
    said = """
      SELECT count(*) FROM service_calls AS c JOIN service_desk.calls AS s USING (call_id)
      WHERE (c.serial_sent, c.text_sent) IS DISTINCT FROM (s.serial_no, s.call_text)"""
    assert company.value(said) == 0


def test_hours_put_right_are_the_true_ones(company: Governed) -> None:
    """To a tenth of an hour, as far as the meter shows it."""
    repaired, close = company.rows(
        """SELECT
             count(*),
             avg(CAST(abs(d.work_hours - CAST(f.true_value AS DOUBLE)) <= 0.11 AS INTEGER))
           FROM machine_days AS d JOIN truth.faults AS f ON f.source_key = d.reading_id
           WHERE f.kind IN ('minutes_for_hours', 'impossible_hours', 'negative_hours')
             AND d.hours_from IN ('minutes', 'hour_meter')"""
    )[0]
    faults = company.value(
        """SELECT count(*) FROM machine_days AS d JOIN truth.faults AS f
           ON f.source_key = d.reading_id
           WHERE f.kind IN ('minutes_for_hours', 'impossible_hours', 'negative_hours')"""
    )
    assert repaired / faults >= 0.95
    assert close >= 0.995
    assert told("wrong hours that are put right") == pytest.approx(repaired / faults, abs=0.01)
    assert told("of these, within a tenth") == pytest.approx(close, abs=0.005)


def test_serial_numbers_put_right_are_the_true_ones(company: Governed) -> None:
    found = dict(
        company.rows(
            """SELECT serial_check, count(*) FROM service_call_machines AS c
               JOIN truth.faults AS f ON f.kind = 'serial_typo' AND f.source_key = c.call_id
               WHERE c.machine_id = f.true_value GROUP BY ALL"""
        )
    )
    wrong = company.value(
        """SELECT count(*) FROM service_call_machines AS c
           JOIN truth.faults AS f ON f.kind = 'serial_typo' AND f.source_key = c.call_id
           WHERE c.machine_id <> f.true_value"""
    )
    assert found["by_ticket"] >= 20 and found["one_digit"] >= 3
    faults = shares(company, "serial_typo")[0]
    right = sum(found.values()) / faults
    assert told("serial numbers with a wrong digit") == pytest.approx(right, abs=0.01)
    assert told("serial numbers that are put right wrongly") == wrong == 0


def test_gaps_are_filled_by_the_meter_and_the_estimates_are_close(company: Governed) -> None:
    company.rows(
        """CREATE OR REPLACE TABLE known_days AS
           SELECT machine_id, day, work_hours FROM machine_days WHERE work_hours IS NOT NULL"""
    )
    lost, filled = company.rows(
        """WITH every AS (
             SELECT machine_id, unnest(range(min(day), max(day), INTERVAL 1 DAY)) AS moment
             FROM known_days GROUP BY machine_id
           ),
           missing AS (
             SELECT machine_id, CAST(moment AS DATE) AS day FROM every
             ANTI JOIN known_days AS k
               ON k.machine_id = every.machine_id AND k.day = CAST(moment AS DATE)
           )
           SELECT count(*), count(g.work_hours) FROM missing AS m
           LEFT JOIN machine_gap_days AS g ON g.machine_id = m.machine_id AND g.day = m.day"""
    )[0]
    overlapping = company.value(
        "SELECT count(*) FROM machine_gap_days JOIN known_days USING (machine_id, day)"
    )
    # a reading whose clock was wrong has true hours, but nobody knows its day
    known, error, usual = company.rows(
        """SELECT count(*), median(abs(g.work_hours - r.work_hours)), median(r.work_hours)
           FROM truth.faults AS f
           JOIN telematics.readings AS r ON CAST(r.reading_id AS VARCHAR) = f.source_key
           JOIN telematics.devices AS d ON d.device_id = r.device_id
           JOIN machine_gap_days AS g
             ON g.machine_id = d.serial_no AND g.day = CAST(f.happened_at AS DATE)
           WHERE f.kind = 'wrong_clock' AND g.method = 'hour_meter'"""
    )[0]
    assert lost > 2000 and known > 30
    assert overlapping == 0
    assert filled / lost >= 0.97
    assert error <= 0.1 < usual
    assert told("days without usable hours") == pytest.approx(filled / lost, abs=0.005)
    assert told("how far the estimates lie") == pytest.approx(error, abs=0.01)


def test_few_sound_days_are_called_outliers(company: Governed) -> None:
    share = company.value("SELECT avg(CAST(is_hours_outlier AS INTEGER)) FROM machine_days")
    assert 0.002 < share < 0.015
    assert told("days that are flagged as outliers") == pytest.approx(share, abs=0.002)
