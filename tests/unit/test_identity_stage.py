"""The stage resolve on a small business: merges move facts, releases stay, all is done once."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases
from tests.evidence import Said, account, day
from tests.identity_business import FILES, define, mapped

from tagline.audit import audit
from tagline.clean import clean
from tagline.cli import main
from tagline.compute import compute
from tagline.deployment import Deployment, open_deployment
from tagline.errors import UnknownCustomer
from tagline.extract import extract
from tagline.gate import gate
from tagline.identity.evidence import live_sql
from tagline.identity.explain import explain
from tagline.identity.reading import stored
from tagline.identity.resolve import ResolveReport, resolve
from tagline.lake import Lake
from tagline.release import release
from tagline.serve.released import files_of
from tagline.settings import Settings
from tagline.training.score import score

pytestmark = pytest.mark.slow

MERGED = [
    *account("K1", phone="+1"),
    *account("K2", 1, phone="+2"),
    *account("K3", 2, phone="+3"),
    Said("phone:+2", "phone", "+2", 3),
    Said("crm:K2", "merged_into", "crm:K1", 5),
]
UNDONE = Said("crm:K2", "merged_into", "crm:K1", 8, is_held=False)


class Office:
    """The small business; its days are runs without validation."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.clock, self.numbers = day(1000), count(1)
        self.file("accounts", [(f"K{n}", day(n - 1)) for n in (1, 2, 3)])
        self.sell([("o1", "crm:K1", 1), ("o2", "phone:+2", 2), ("o3", "crm:K3", 4)])

    def file(self, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self.folder.mkdir(exist_ok=True)
        shown = [[each.isoformat() if isinstance(each, datetime) else each for each in row]
                 for row in rows]  # fmt: skip
        with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(FILES[name]), *shown])

    def sell(self, sold: Iterable[tuple[str, str, int]]) -> None:
        self.file("sales", [(order, key, day(3.5), amount) for order, key, amount in sold])

    def say(self, said: Iterable[Said]) -> None:
        rows = [each.row() for each in said]
        self.file("evidence", [tuple(row[name] for name in FILES["evidence"]) for row in rows])

    def begin(self, at: int) -> tuple[str, datetime, datetime]:
        self.clock += timedelta(hours=1)
        run, as_of = f"run-{next(self.numbers)}", day(at)
        self.deployment.registry.start_run(run, as_of, self.clock)
        return run, as_of, self.clock

    def resolve(self, at: int = 20) -> ResolveReport:
        """What is new in the sources, and who is who."""
        run = self.begin(at)
        extract(self.deployment, *run)
        clean(self.deployment, *run)
        return resolve(self.deployment, *run)

    def run(self, at: int) -> dict[str, int]:
        """Release a day; the amount of each customer."""
        run = self.begin(at)
        for stage in (extract, clean, resolve, compute, score, audit, gate):
            if stage is not resolve or self.deployment.catalog.identity is not None:
                stage(self.deployment, *run)
        return self.released(release(self.deployment, run[0], run[2]).release)

    def released(self, number: int) -> dict[str, int]:
        [found] = [each for each in self.deployment.registry.releases() if each.id == number]
        rows = parquet.read_table(list(files_of(found))).to_pylist()
        return {row["customer_id"]: row["amount"] for row in rows}

    def identity(self) -> list[dict[str, Any]]:
        """The rows of identity that hold, but for when they were loaded."""
        sql = (
            f"WITH {live_sql(['customer_key'])} SELECT customer_key, valid_at, customer_id, rule, "
            "evidence, linked_key FROM evidence ORDER BY ALL"
        )
        found = self.deployment.engine.fetch(sql, stored(self.deployment, "identity"))
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


@pytest.fixture
def office(settings: Settings, tmp_path: Path) -> Iterator[Office]:
    root = tmp_path / "definitions"
    define(root, settings.business, tmp_path / "in")
    with open_deployment(settings.model_copy(update={"definitions": root})) as deployment:
        yield Office(deployment, tmp_path / "in")


def test_a_merge_moves_facts_from_its_day_and_an_undone_one_moves_exactly_those_back(
    office: Office,
) -> None:
    """The reversal of day 8 is heard of after day 9 was released."""
    office.say(MERGED)
    assert office.run(4) == {"K1": 1, "K2": 2, "K3": 4}
    merged = office.run(9)
    assert merged == {"K1": 3, "K3": 4}
    first, second = sorted(each.id for each in office.deployment.registry.releases())
    office.say([*MERGED, UNDONE])
    assert office.run(9) == {"K1": 1, "K2": 2, "K3": 4}
    assert office.run(7) == {"K1": 3, "K3": 4}  # a day between stays merged
    assert office.run(4) == office.released(first)
    assert office.released(second) == merged  # what was released stays what it was


def test_a_backfilled_day_is_what_it_was_as_it_ran(office: Office) -> None:
    later = [*MERGED, UNDONE, Said("crm:K3", "phone", "+1", 12)]
    as_it_ran = {}
    for at in (3, 6, 9, 13):
        office.say([said for said in later if said.at < at])
        as_it_ran[at] = office.run(at)
    assert as_it_ran[13] == {"K1": 5, "K2": 2}
    for at in (9, 3, 6):
        assert office.run(at) == as_it_ran[at]


def test_resolving_again_writes_nothing_and_parts_give_what_the_whole_gives(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    late_first = [*MERGED[7:], UNDONE, *MERGED[2:4]]
    office.say(late_first)
    assert office.resolve().added > 0
    office.say([*MERGED, UNDONE])
    assert office.resolve().added > 0
    kept = office.identity()
    again = office.resolve()
    assert (again.added, again.superseded) == (0, 0)
    office.say([UNDONE, *reversed(MERGED)])
    assert office.resolve().added == 0
    root = office.deployment.settings.definitions
    other = settings.model_copy(
        update={"definitions": root, "home": tmp_path / "other", "customer_buckets": 3}
        | {"database_url": settings.database_url, "business": settings.business}
    )
    drop_databases(settings)
    with open_deployment(other) as deployment:
        whole = Office(deployment, tmp_path / "in")
        whole.say([*MERGED, UNDONE])
        whole.resolve()
        assert whole.identity() == kept
        assert whole.run(7) == {"K1": 3, "K3": 4}  # in three buckets
        assert whole.run(9) == {"K1": 1, "K2": 2, "K3": 4}


def kill_between_commits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Lake.append

    def killed(lake: Lake, table: str, *given: Any) -> None:
        if table == "clean.identity__superseded":
            raise KeyboardInterrupt
        append(lake, table, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Lake, "append", killed)
        office.resolve()


def test_a_resolve_killed_between_its_two_commits_is_finished_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.say(MERGED[:-1])
    office.resolve()
    office.say(MERGED)
    kill_between_commits(office, monkeypatch)
    assert office.resolve().added == 0
    assert office.run(9) == {"K1": 3, "K3": 4}


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_business_that_no_longer_resolves_takes_identity_from_its_source(
    office: Office, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    office.say(MERGED[:-1])
    office.resolve()
    office.say(MERGED)
    if is_killed:
        kill_between_commits(office, monkeypatch)
    else:
        assert office.run(9) == {"K1": 3, "K3": 4}
    settings = office.deployment.settings
    mapped(settings.definitions, settings.business)
    with open_deployment(settings) as deployment:
        changed = Office(deployment, office.folder)
        changed.clock, changed.numbers = office.clock, count(50)
        changed.say(MERGED)
        for _ in range(2):
            assert changed.run(9) == {"K1": 1, "K2": 0, "K3": 6}
        kept = [(row["customer_key"], row["customer_id"]) for row in changed.identity()]
        assert kept == [
            ("crm:K1", "K1"), ("crm:K2", "K2"), ("crm:K3", "K3"), ("phone:+2", "K3"),
        ]  # fmt: skip
        assert not [row for row in changed.identity() if row["rule"]]


def test_a_link_is_explained_by_rule_evidence_and_chain(office: Office) -> None:
    office.say([*MERGED, UNDONE])
    report = office.resolve(7)
    assert (report.keys, report.linked, report.customers) == (4, 4, 2)
    assert report.by_rule == {"lead": 2, "merge": 1, "same_phone": 1}
    found = explain(office.deployment, "phone:+2", day(7))
    assert found.customer_id == "K1"
    assert [(link.customer_key, link.rule, link.linked_key) for link in found.chain] == [
        ("phone:+2", "same_phone", "crm:K2"),
        ("crm:K2", "merge", "crm:K1"),
        ("crm:K1", "lead", None),
    ]
    assert [(link.customer_id, link.since) for link in found.history] == [
        ("K2", day(3)), ("K1", day(5)),
    ]  # fmt: skip
    assert [link.customer_key for link in found.keys] == ["crm:K1", "crm:K2", "phone:+2"]
    assert explain(office.deployment, "K2", day(9)).customer_key == "crm:K2"
    with pytest.raises(UnknownCustomer, match=r"no key 'phone:\+9' has a customer"):
        explain(office.deployment, "phone:+9", day(9))


def crowd(*values: str, at: float = 6) -> list[Said]:
    """Five apps with each of the telephones, of which rules let four have one."""
    return [Said(f"app:{n}{value}", "phone", value, at) for value in values for n in range(5)]


def test_what_is_to_review_is_always_listed_in_the_same_order(office: Office) -> None:
    values = [f"+{n}" for n in range(20, 29)]
    office.say([*MERGED, *crowd(*values)])
    assert [item["evidence"] for item in office.resolve().review] == values


def test_a_report_of_a_day_counts_no_evidence_of_later_ones(office: Office) -> None:
    held = [*MERGED, *crowd("+20")]
    later = [Said("app:9", "phone", "+20", 12), *crowd("+30", at=12), *account("K4", 13)]
    office.say(held)
    as_it_ran = office.resolve(9)
    office.say([*held, *later])
    again = office.resolve(9)
    assert again.keys == as_it_ran.keys == 9
    assert [item["detail"] for item in again.review] == [
        "held by 5 keys, too many since 2026-01-07"
    ]
    assert again.review == as_it_ran.review
    assert office.resolve(20).keys == 16


def test_the_commands_explain_a_key_and_list_what_is_doubtful(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tax = [Said("crm:K1", "tax", "911111111"), Said("crm:K2", "tax", "922222222", 1)]
    office.say([*MERGED, *tax, Said("crm:K1", "colour", "red")])
    report = office.resolve()
    assert (report.doubts, report.ignored) == ({"contradiction": 1}, {"colour": 1})
    chosen = office.deployment.settings
    monkeypatch.setenv("TAGLINE_DEFINITIONS", str(chosen.definitions))
    monkeypatch.setenv("TAGLINE_HOME", str(chosen.home))
    monkeypatch.setenv("TAGLINE_DATABASE_URL", str(chosen.database_url))
    monkeypatch.setenv("TAGLINE_BUSINESS", chosen.business)

    def tagline(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        assert end.value.code == 0
        return capsys.readouterr().out

    told = tagline("identity", "explain", "phone:+2", "--as-of", day(9).isoformat())
    assert "phone:+2 is customer K2." in told
    assert "phone +2" in told
    listed = json.loads(tagline("identity", "review", "--as-of", day(9).isoformat(), "--json"))
    [item] = listed["items"]
    assert (item["kind"], item["rule"]) == ("contradiction", "merge")
    assert item["keys"] == ["crm:K1", "crm:K2"]
    assert item["detail"] == "tax 911111111 and 922222222"
    assert "1 of 1" in tagline("identity", "review", "--as-of", day(9).isoformat())
