"""Dirty files of service tickets: free text to parts and actions, and incidents that change.

The real files are work orders of mining excavators (University of Western Australia, by way of
NIST) and the incident log of an IT firm (UCI). They are not part of the project: they lie in
`../shared/data` beside it, or in the folders that TAGLINE_EXCAVATOR_DATA and TAGLINE_INCIDENT_DATA
name; without them these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases

from tagline import quarantine
from tagline.compute import feature_table
from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import RunReport, run_day
from tagline.serve.released import files_of
from tagline.settings import PROJECT, Settings
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

pytestmark = pytest.mark.slow

DEFINITIONS = PROJECT / "tests" / "tickets"
SHARED = PROJECT.parent / "shared" / "data"
EXCAVATORS = Path(os.environ.get("TAGLINE_EXCAVATOR_DATA", SHARED / "excavator_mwo"))
INCIDENTS = Path(os.environ.get("TAGLINE_INCIDENT_DATA", SHARED / "incident_log"))
ORDERS, LABELS = "excavators.csv.gz", "excavators-cleaned.csv.gz"
EVENTS = "incident_event_log.csv.gz"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHIFTED = 3454  # the line whose unquoted comma shifts its columns
needs_orders = pytest.mark.skipif(
    not (EXCAVATORS / LABELS).exists(), reason="no ../shared/data/excavator_mwo"
)
needs_incidents = pytest.mark.skipif(
    not (INCIDENTS / EVENTS).exists(), reason="no ../shared/data/incident_log"
)


@dataclass(frozen=True)
class Day:
    """A deployment with one released day."""

    deployment: Deployment
    report: RunReport

    def rows(self, subject: Subject = CUSTOMER) -> pd.DataFrame:
        """The released tags of a subject."""
        release = self.deployment.registry.live()
        assert release is not None
        table = parquet.read_table(list(files_of(release, subject)))
        found: pd.DataFrame = table.to_pandas()
        return found.set_index(subject.key)


def released(folder: Path, url: str, business: str, file: Path, as_of: datetime) -> Iterator[Day]:
    """A business after one day of the whole pipeline over a file."""
    definitions = folder / "definitions"
    shutil.copytree(DEFINITIONS, definitions)
    (definitions / "data").mkdir()
    shutil.copy(file, definitions / "data")
    settings = Settings(
        business=business, definitions=definitions, home=folder / "home", database_url=url
    )
    with open_deployment(settings) as deployment:
        yield Day(deployment, run_day(deployment, as_of, "day", lambda: NOW))
    drop_databases(settings)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Day]:
    """The mine after its last work order."""
    as_of = datetime(2012, 12, 14, 16, tzinfo=UTC)
    folder = tmp_path_factory.mktemp("mine")
    yield from released(folder, postgres_url, "mine", EXCAVATORS / ORDERS, as_of)


@pytest.fixture(scope="module")
def help_desk(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Day]:
    """The help desk after the last change of its incidents."""
    as_of = datetime(2017, 2, 19, tzinfo=UTC)
    folder = tmp_path_factory.mktemp("help_desk")
    yield from released(folder, postgres_url, "help_desk", INCIDENTS / EVENTS, as_of)


@pytest.fixture(scope="module")
def labelled(mine: Day) -> pd.DataFrame:
    """Each line's text, its labels as sets of slugs, and the terms that its ticket has."""
    labels = pd.read_csv(EXCAVATORS / LABELS, dtype=str, keep_default_na=False)
    labels["line"] = labels.index + 2  # after the header; no row of the file spans lines
    labels = labels[labels["line"] != SHIFTED]
    tickets = stored(mine, "service_tickets").drop_duplicates("text").set_index("text")
    found = labels.join(tickets[["part", "parts", "action", "actions"]], on="OriginalShorttext")
    for column in ("Part", "Action"):
        found[column] = found[column].map(slugs)
    return found


def slugs(label: str) -> frozenset[str]:
    """`Cover_Pump` as the terms cover and pump; `NA` as none."""
    named = label.split("_") if label != "NA" else []
    return frozenset(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in named)


def stored(day: Day, table: str) -> pd.DataFrame:
    """The cleaned rows of a table, all versions."""
    deployment = day.deployment
    columns = {name: each.type for name, each in deployment.catalog.tables[table].columns.items()}
    relation = deployment.lake.relation(f"clean.{table}", columns)
    rows: pd.DataFrame = deployment.engine.fetch("SELECT * FROM t", {"t": relation}).to_pandas()
    return rows


def shares(rows: pd.DataFrame, label: str, found: str) -> dict[str, float]:
    """What is found of the lines that the labels name, and how much of it is right."""
    named = rows[rows[label].map(len) > 0]
    both = [(wanted, set(terms)) for wanted, terms in zip(named[label], named[found], strict=True)]
    right = sum(len(wanted & terms) for wanted, terms in both)
    return {
        "lines": sum(bool(wanted & terms) for wanted, terms in both) / len(both),
        "terms": right / sum(len(wanted) for wanted, _ in both),
        "precision": right / sum(len(terms) for _, terms in both),
        "unnamed": (rows[rows[label].map(len) == 0][found].map(len) > 0).mean(),
    }


@needs_orders
def test_a_shifted_line_waits_in_quarantine_and_all_others_are_tickets(mine: Day) -> None:
    name = quarantine.table_name("work_orders.work_orders")
    assert quarantine.counts(mine.deployment) == {name: {"unparsable_cost": 1}}
    (row,) = quarantine.rows(mine.deployment, name)
    assert json.loads(row["position"]) == {"file": ORDERS, "line": SHIFTED}
    assert row["reason"] == "unparsable_cost"
    assert json.loads(row["row"])["cost"] == "PM01"
    assert json.loads(row["row"])["short_text"] == "won"
    tickets = stored(mine, "service_tickets")
    assert len(tickets) == 5485 - 1
    assert tickets["ticket_id"].is_unique and tickets["cost"].notna().all()
    assert not tickets["text"].eq("won").any()


@needs_orders
@pytest.mark.parametrize("remainder", [1, 0], ids=["seen_lines", "unseen_lines"])
def test_the_part_is_found_where_the_hand_labels_name_one(
    labelled: pd.DataFrame, remainder: int
) -> None:
    found = shares(labelled[labelled["line"] % 2 == remainder], "Part", "parts")
    print(f"\nparts: {found}")
    assert found["lines"] >= 0.8
    assert found["precision"] >= 0.8
    assert found["unnamed"] <= 0.1


@needs_orders
@pytest.mark.parametrize("remainder", [1, 0], ids=["seen_lines", "unseen_lines"])
def test_the_action_is_found_where_the_hand_labels_name_one(
    labelled: pd.DataFrame, remainder: int
) -> None:
    found = shares(labelled[labelled["line"] % 2 == remainder], "Action", "actions")
    print(f"\nactions: {found}")
    assert found["lines"] >= 0.9
    assert found["precision"] >= 0.9


@needs_orders
def test_what_is_found_makes_tags_of_machines(mine: Day, labelled: pd.DataFrame) -> None:
    assert mine.report.status == "released"
    machines = mine.rows(SUBJECTS["machine"])
    assert machines["ticket_count"].to_dict() == labelled.groupby("Asset").size().to_dict()
    assert machines["most_replaced_part"].to_dict()["D"] == "get"
    last = labelled[pd.to_datetime(labelled["BscStartDate"]) >= pd.Timestamp("2011-12-16")]
    greased = last[last["parts"].map(lambda parts: "grease_system" in parts)]
    wanted = greased.groupby("Asset").size().reindex(machines.index, fill_value=0)
    assert machines["grease_count_365d"].to_dict() == wanted.to_dict()


@needs_incidents
def test_the_share_of_incidents_in_time_is_that_of_their_last_change(help_desk: Day) -> None:
    assert help_desk.report.status == "released"
    callers = help_desk.rows()
    tickets = callers["ticket_count_all"]
    assert tickets.sum() == 24_918 - 3, "of three, the last change names no caller"
    assert round(callers["sla_kept_count"].sum() / tickets.sum(), 3) == 0.634
    assert round((callers["sla_kept_share"] * tickets).sum() / tickets.sum(), 3) == 0.634
    raw = pd.read_csv(INCIDENTS / EVENTS, usecols=["made_sla"])
    assert round(raw["made_sla"].mean(), 3) == 0.935, "the events' mean would be another figure"
    assert callers["open_ticket_count"].sum() == 0


@needs_incidents
def test_an_unknown_state_waits_in_quarantine_and_a_question_mark_is_no_caller(
    help_desk: Day,
) -> None:
    (kind,) = quarantine.counts(help_desk.deployment).items()
    assert kind == ("service_tickets", {"unknown_status": 4}), "five, one put right in its minute"
    callers = help_desk.rows()
    assert "?" not in callers.index and len(callers) == 5245 - 1
    tickets = stored(help_desk, "service_tickets")
    assert not tickets.isin(["?"]).any(axis=None)
    assert tickets["customer_key"].isna().sum() > 0


@needs_incidents
def test_the_past_sees_an_incident_as_it_was(help_desk: Day) -> None:
    def of_caller(day: datetime) -> dict[str, Any]:
        slugs = ("ticket_count_all", "open_ticket_count", "sla_kept_count")
        frame = feature_table(help_desk.deployment, day, slugs).to_pandas()
        return dict(frame.set_index("customer_id").loc["Caller 2403", list(slugs)])

    raw = pd.read_csv(INCIDENTS / EVENTS)
    raw = raw[raw["caller_id"] == "Caller 2403"]
    written = "%d/%m/%Y %H:%M"
    raw["at"] = pd.to_datetime(raw["sys_updated_at"], format=written, utc=True)
    raw["opened"] = pd.to_datetime(raw["opened_at"], format=written, utc=True)
    for day in (datetime(2016, 3, 1, tzinfo=UTC), datetime(2016, 3, 4, tzinfo=UTC)):
        known = raw[(raw["at"] < day) & (raw["opened"] < day)].sort_values(["at", "sys_mod_count"])
        last = known.groupby("number").tail(1)
        is_open = ~last["incident_state"].isin(["Resolved", "Closed"])
        assert len(last) > 1
        assert of_caller(day) == {
            "ticket_count_all": len(last),
            "open_ticket_count": is_open.sum(),
            "sla_kept_count": last["made_sla"].sum(),
        }
