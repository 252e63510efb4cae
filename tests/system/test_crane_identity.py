"""The crane maker's identity against the truth, at default dirt: which keys are one company.

A key is right when it has the customer of an account of its own company. What is measured are pairs
of keys that carry facts: precision is the share of the pairs put together that belong together,
recall the share of those that belong together that were put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow
import pyarrow.compute as compute
import pytest
import yaml
from examples.crane_works import world
from examples.crane_works.parameters import Parameters
from examples.crane_works.tables import AT, GONE, Table, state
from tests.evidence import EVIDENCE, Resolved

from tagline.definitions import IdentityRules
from tagline.settings import PROJECT

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Asia/Shanghai")
INSTANTS = [datetime(*day, tzinfo=ZONE) for day in ((2023, 9, 1), (2024, 7, 1), (2026, 1, 1))]
SOURCES = ("crane_office", "crane_survey", "crane_app", "crane_service_desk")
CHANGES = {"account_changes": "accounts", "contact_changes": "contacts"}


class Company:
    """The tables of a simulated company as its sources read them, whole and as they changed."""

    def __init__(self, parameters: Parameters) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self._run("SET TimeZone = 'UTC'")
        kept: dict[str, tuple[Table, list[pyarrow.Table]]] = {}
        for part in world.simulate(parameters):
            if part.table.path == "telematics.readings":
                break  # they come last, and say nothing of who is who
            if part.table.system != "truth" or part.table.name == "identities":
                kept.setdefault(part.table.name, (part.table, []))[1].append(part.rows)
        for name, (table, parts) in kept.items():
            every = pyarrow.concat_tables(parts)
            present = state(table, every, parameters.end_day)
            self._add(name, present)
            self._add(f"{name}_changed", every.filter(compute.invert(every[GONE])))

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def _add(self, name: str, rows: pyarrow.Table) -> None:
        hidden = [each for each in (AT, GONE) if each in rows.column_names]
        self.connection.register(f"{name}_read", rows.drop_columns(hidden))
        local = [f.name for f in rows.schema if f.type == pyarrow.timestamp("us")]
        zoned = ", ".join(f"timezone('Asia/Shanghai', {each}) AS {each}" for each in local)
        shown = f"* REPLACE ({zoned})" if local else "*"
        self._run(f"CREATE TABLE {name} AS SELECT DISTINCT {shown} FROM {name}_read")

    def evidence(self, *, daily: bool) -> pyarrow.Table:
        """What the sources' SQL says, read each day from the beginning or once at the end."""
        parts = []
        for source in SOURCES:
            path = PROJECT / f"include/sql/sources/{source}/identity_evidence.sql"
            written = (PROJECT / f"include/sources/{source}.yaml").read_text("utf-8")
            for name in yaml.safe_load(written)["tables"]:
                if name in CHANGES:
                    changed = f"{CHANGES[name]}_changed" if daily else CHANGES[name]
                    self._run(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {changed}")
            columns = ", ".join(EVIDENCE.names[:-1])
            parts.append(f"SELECT {columns} FROM ({path.read_text('utf-8').rstrip().rstrip(';')})")
        sql = f"SELECT DISTINCT *, NULL::TIMESTAMPTZ AS ended_at FROM ({' UNION ALL '.join(parts)})"
        return self.connection.sql(sql).to_arrow_table()

    def truth(self, at: datetime) -> dict[str, str]:
        """The company of each key that carries facts as of an instant."""
        moment = f"TIMESTAMPTZ '{at.isoformat()}'"
        held = {
            (system, key): customer
            for system, key, customer in self._run(
                f"SELECT system, source_key, customer FROM identities WHERE held_from < {moment} "
                f"AND (held_until IS NULL OR held_until >= {moment})"
            )
        }
        found = {f"crm:{key}": name for (system, key), name in held.items() if system == "crm"}
        phones = {key: name for (system, key), name in held.items() if system == "phone"}
        heard = self._run(
            f"SELECT right(msisdn, 11) FROM messages WHERE to_timestamp(sent_ts) < {moment} UNION "
            "SELECT right(regexp_replace(caller_phone, '[^0-9]', '', 'g'), 11) FROM calls "
            f"WHERE called_at < {moment}"
        )
        found |= {f"phone:+86{key}": phones[key] for (key,) in heard if key in phones}
        users = self._run(f"SELECT user_id, phone FROM users WHERE registered_at < {moment}")
        found |= {f"app:{user}": phones[phone] for user, phone in users if phone in phones}
        return found | self._survey(moment)

    def _survey(self, moment: str) -> dict[str, str]:
        """Companies as spelt in the survey: whose telephone was given, else the only such name."""
        told = self._run(
            "SELECT 'survey:' || regexp_replace(company, '^[\\s　]+|[\\s　]+$', '', 'g') || '|' || "
            "a.province AS key, min(i.customer) FROM answers AS a JOIN identities AS i "
            "ON i.system = 'phone' AND i.source_key = a.respondent_phone "
            "AND i.held_from < timezone('Asia/Shanghai', strptime(a.answered_on, '%Y/%m/%d')) "
            "AND (i.held_until IS NULL "
            "OR i.held_until > timezone('Asia/Shanghai', strptime(a.answered_on, '%Y/%m/%d'))) "
            f"WHERE timezone('Asia/Shanghai', strptime(a.answered_on, '%Y/%m/%d')) < {moment} "
            "GROUP BY key HAVING count(DISTINCT i.customer) = 1"
        )
        return dict(told)


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "state", lambda _table, rows, _until: rows)  # every version
        made = Company(Parameters())
    yield made
    made.connection.close()


def rules() -> IdentityRules:
    path = Path(PROJECT / "include/identity/crane_works.yaml")
    return IdentityRules.model_validate(yaml.safe_load(path.read_text("utf-8")))


def pairs(groups: Mapping[str, Any]) -> int:
    return sum(n * (n - 1) // 2 for n in Counter(groups.values()).values())


def measured(customers: Mapping[str, str], truth: Mapping[str, str]) -> tuple[float, float]:
    """Precision and recall of pairs; a key without a customer is alone."""
    mine = {key: customers.get(key, ("alone", key)) for key in truth}
    both = pairs({key: (mine[key], truth[key]) for key in truth})
    return both / pairs(mine), both / pairs(truth)


@pytest.mark.parametrize("daily", [True, False], ids=["read daily", "read once"])
def test_precision_is_99_and_recall_95_percent_at_several_instants(
    company: Company, daily: bool
) -> None:
    found = Resolved(company.evidence(daily=daily), rules())
    for at in INSTANTS:
        truth = company.truth(at)
        customers = found.customers(at)
        precision, recall = measured(customers, truth)
        owner = {key[4:]: name for key, name in truth.items() if key.startswith("crm:")}
        linked = [key for key in truth if key in customers]
        right = sum(owner.get(customers[key]) == truth[key] for key in linked)
        kinds = Counter(key.split(":")[0] for key in truth)
        print(f"{at:%Y-%m-%d} {dict(kinds)}: pairs {precision:.4f} {recall:.4f}, "
              f"keys {right / len(linked):.4f} {right / len(truth):.4f}")  # fmt: skip
        assert precision >= 0.99
        assert recall >= 0.95
        assert right / len(linked) >= 0.99
        assert right / len(truth) >= 0.95
        assert len(kinds) == (4 if at.year > 2023 else 3)  # the first survey is in November


def test_every_right_merge_is_followed_and_no_wrong_one_against_two_tax_numbers(
    company: Company,
) -> None:
    """Of mistaken merges only those stay that nothing contradicts, until they are undone."""
    end = INSTANTS[-1]
    found = Resolved(company.evidence(daily=True), rules())
    truth, customers = company.truth(end), found.customers(end)
    merges = company._run(
        "SELECT 'crm:' || surviving_account_no, 'crm:' || merged_account_no, "
        "reversed_at IS NOT NULL FROM account_merges"
    )
    right = [(a, b) for a, b, undone in merges if truth[a] == truth[b] and not undone]
    wrong = [(a, b) for a, b, undone in merges if truth[a] != truth[b] and undone]
    assert len(right) > 20 and len(wrong) > 5
    assert all(customers[a] == customers[b] for a, b in right)
    assert all(customers[a] != customers[b] for a, b in wrong)
    told = {each.keys for each in found.doubts(end) if each.kind == "contradiction"}
    standing = [(a, b) for a, b, undone in merges if truth[a] != truth[b] and not undone]
    refused = [pair for pair in standing if customers[pair[0]] != customers[pair[1]]]
    assert refused and all(tuple(sorted(pair)) in told for pair in refused)
