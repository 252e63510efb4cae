"""Profiles, audiences and exports of real releases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as parquet
import pytest

from tagline.errors import ExpressionError, ReleaseRefused, TaglineError, WrongUsage
from tagline.registry.schema import Release
from tagline.release import release, rollback
from tagline.serve.audiences import audience, export_audience, ids
from tagline.serve.exports import export
from tagline.serve.profiles import ProfileReader, profile
from tagline.serve.store import ProfileStore, open_profile_store

if TYPE_CHECKING:
    from tests.conftest import SmallShop

pytestmark = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
AT = DAY + timedelta(hours=12)
CUSTOMERS: list[dict[str, Any]] = [
    {
        "customer_id": "1",
        "recency_days": 91,
        "order_amount_90d": 12.5,
        "segment": "dormant",
        "segment__case": 0,
        "top_products": ['say "hi", tab\there', "back\\slash\nline"],
        "lapse_probability": 0.75,
    },
    {
        "customer_id": "2",
        "recency_days": 3,
        "order_amount_90d": None,
        "segment": "active",
        "segment__case": 1,
        "top_products": None,
        "lapse_probability": float("nan"),
    },
    {
        "customer_id": "O'Neill, 小明",
        "recency_days": None,
        "order_amount_90d": 0.0,
        "segment": "active",
        "segment__case": 1,
        "top_products": [],
        "lapse_probability": None,
    },
]


def make(shop: SmallShop, run: str, days: int = 0, **options: Any) -> Release:
    shop.audited(run, DAY + timedelta(days=days), CUSTOMERS, **options)
    made = release(shop.deployment, run, AT + timedelta(days=days)).release
    return shop.deployment.registry.release(made)


@pytest.fixture
def store(shop: SmallShop) -> Iterator[ProfileStore]:
    with open_profile_store(shop.deployment.settings) as store:
        yield store


def test_without_a_release_every_reader_says_how_to_make_one(
    shop: SmallShop, tmp_path: Path
) -> None:
    target = str(tmp_path / "tags.parquet")
    for read in (
        lambda: profile(shop.deployment, "1", None, AT),
        lambda: audience(shop.deployment, "recency_days > 1"),
        lambda: export(shop.deployment, target),
    ):
        with pytest.raises(ReleaseRefused, match="tagline run --as-of"):
            read()


def test_a_profile_has_every_released_tag_with_its_reason(shop: SmallShop) -> None:
    made = make(shop, "r1")
    found = profile(shop.deployment, "1", None, AT)
    assert found["customer_id"] == "1"
    assert (found["as_of"], found["release"]) == (DAY.isoformat(), made.id)
    assert found["tags"]["segment"] == {
        "value": "dormant",
        "version": "v1",
        "expired": False,
        "because": "no order for 91 days, 12.5 before",
    }
    assert found["tags"]["recency_days"]["because"] == "Whole days since the last order."
    assert found["tags"]["lapse_probability"]["because"] == ("Probability of the model lapse_risk.")
    assert found["tags"]["top_products"]["value"] == CUSTOMERS[0]["top_products"]
    assert "machine_hours" not in found["tags"]


def test_the_otherwise_of_a_rule_and_absent_values_are_told(shop: SmallShop) -> None:
    make(shop, "r1")
    tags = profile(shop.deployment, "2", None, AT)["tags"]
    assert tags["segment"]["because"] == "ordered 3 days ago"
    assert tags["order_amount_90d"]["value"] is None
    assert tags["lapse_probability"]["value"] is None
    third = profile(shop.deployment, "O'Neill, 小明", None, AT)["tags"]
    assert third["segment"]["because"] == "ordered no value days ago"


def test_store_and_files_give_the_same_profile(shop: SmallShop, store: ProfileStore) -> None:
    make(shop, "r1")
    for customer in CUSTOMERS:
        stored = profile(shop.deployment, customer["customer_id"], DAY, AT)
        with store.engine.begin() as connection:
            connection.exec_driver_sql("alter table stored_releases rename to hidden")
            connection.exec_driver_sql("create table stored_releases as table hidden limit 0")
            connection.exec_driver_sql("alter table profiles rename to hidden_profiles")
            connection.exec_driver_sql("create table profiles as table hidden_profiles limit 0")
        assert profile(shop.deployment, customer["customer_id"], DAY, AT) == stored
        with store.engine.begin() as connection:
            connection.exec_driver_sql("drop table stored_releases, profiles")
            connection.exec_driver_sql("alter table hidden rename to stored_releases")
            connection.exec_driver_sql("alter table hidden_profiles rename to profiles")


def test_the_store_keeps_the_last_three_live_releases(shop: SmallShop, store: ProfileStore) -> None:
    made = [make(shop, f"r{n}", days=n).id for n in range(5)]
    assert store.stored() == tuple(reversed(made[2:]))
    assert store.row(made[0], "1") is None
    assert profile(shop.deployment, "1", DAY, AT)["release"] == made[0]  # from its file


def test_a_release_that_leaves_the_store_under_a_reader_is_read_from_its_files(
    shop: SmallShop, store: ProfileStore
) -> None:
    make(shop, "r0")
    reader = ProfileReader(shop.deployment, store)
    before = reader.profile("1", DAY, AT)
    for number in range(1, 4):
        make(shop, f"r{number}", days=number)
    assert reader.profile("1", DAY, AT) == before
    assert store.row(before["release"], "1") is None


def test_connections_that_the_server_closed_are_replaced(
    shop: SmallShop, store: ProfileStore
) -> None:
    make(shop, "r1")
    reader = ProfileReader(shop.deployment, store)
    before = reader.profile("1", None, AT)
    with store.engine.connect() as connection:
        closed = connection.exec_driver_sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            f" and datname like '{shop.deployment.settings.business}%%'"
        ).scalar_one()
    assert closed >= 2
    assert reader.profile("1", None, AT) == before


def test_a_backfilled_day_does_not_enter_the_store(shop: SmallShop, store: ProfileStore) -> None:
    live = make(shop, "r2", days=5)
    older = make(shop, "r1", days=0)
    assert store.stored() == (live.id,)
    assert profile(shop.deployment, "1", DAY, AT)["release"] == older.id


def test_after_a_rollback_the_profile_is_that_of_the_earlier_release(shop: SmallShop) -> None:
    first, second = make(shop, "r1"), make(shop, "r2")
    assert profile(shop.deployment, "1", None, AT)["release"] == second.id
    rollback(shop.deployment, "bad", "wei", AT)
    assert profile(shop.deployment, "1", None, AT)["release"] == first.id


def test_an_unknown_customer_is_refused_from_store_and_files(shop: SmallShop) -> None:
    make(shop, "r0")
    for n in range(1, 4):
        make(shop, f"r{n}", days=n)
    for as_of in (None, DAY):
        with pytest.raises(TaglineError, match="unknown customer '99'"):
            profile(shop.deployment, "99", as_of, AT)


def test_a_value_older_than_valid_for_is_expired(shop: SmallShop) -> None:
    make(shop, "r1")

    def expired(as_of: datetime | None, at: datetime) -> bool:
        found = profile(shop.deployment, "1", as_of, at)["tags"]["segment"]["expired"]
        assert isinstance(found, bool)
        return found

    assert not expired(None, DAY + timedelta(days=2))
    assert expired(None, DAY + timedelta(days=2, seconds=1))
    assert not expired(DAY, DAY + timedelta(days=900))


def test_for_a_business_whose_data_has_ended_time_does_not_pass(shop: SmallShop) -> None:
    make(shop, "r1")
    catalog = shop.deployment.catalog
    ended = catalog.definition.model_copy(update={"ends_on": DAY.date()})
    deployment = replace(shop.deployment, catalog=replace(catalog, definition=ended))
    late = profile(deployment, "1", None, DAY + timedelta(days=900))
    assert not late["tags"]["segment"]["expired"]


def test_a_withheld_tag_says_so_and_may_be_expired(shop: SmallShop) -> None:
    make(shop, "r1")
    make(shop, "r2", days=3, withheld={"segment": "psi 9 > 0.2"})
    tag = profile(shop.deployment, "1", DAY + timedelta(days=3), AT)["tags"]["segment"]
    assert tag["expired"]
    assert tag["because"].endswith("(as of 2017-10-01: psi 9 > 0.2)")


def test_a_tag_withheld_from_the_start_has_no_value_but_a_reason(shop: SmallShop) -> None:
    make(shop, "r1", withheld={"segment": "coverage 0.1"})
    tag = profile(shop.deployment, "1", None, AT)["tags"]["segment"]
    assert tag == {"value": None, "version": None, "expired": False, "because": "coverage 0.1"}


def test_a_profile_uses_the_definition_that_made_the_value(shop: SmallShop) -> None:
    make(shop, "r1")
    catalog = shop.deployment.catalog
    other = replace(catalog.tags["recency_days"], slug="segment", version="v2")
    changed = replace(catalog, tags={**catalog.tags, "segment": other})
    deployment = replace(shop.deployment, catalog=changed)
    tag = profile(deployment, "1", None, AT)["tags"]["segment"]
    assert tag["because"] == "no order for 91 days, 12.5 before"


def test_an_audience_counts_lists_and_exports_the_same_customers(
    shop: SmallShop, tmp_path: Path
) -> None:
    made = make(shop, "r1")
    expression = "recency_days > 60 or order_amount_90d = 0"
    found = audience(shop.deployment, expression)
    assert found.pop("milliseconds") > 0
    assert found == {
        "count": 2,
        "expression": expression,
        "as_of": DAY.isoformat(),
        "release": made.id,
    }
    assert ids(shop.deployment, expression) == ["1", "O'Neill, 小明"]
    path = tmp_path / "audience.parquet"
    assert export_audience(shop.deployment, expression, str(path)) == 2
    assert parquet.read_table(path)["customer_id"].to_pylist() == ["1", "O'Neill, 小明"]


def test_an_unknown_condition_does_not_count_a_customer(shop: SmallShop) -> None:
    make(shop, "r1")
    assert audience(shop.deployment, "order_amount_90d >= 0")["count"] == 2
    assert audience(shop.deployment, "not order_amount_90d >= 0")["count"] == 0


def test_an_audience_reads_standards_as_of_its_release(shop: SmallShop) -> None:
    make(shop, "r1")
    make(shop, "r2", days=1)
    expression = "recency_days > standard('long_without_order')"
    assert audience(shop.deployment, expression, DAY)["count"] == 1
    assert audience(shop.deployment, expression)["count"] == 1
    lower = "recency_days >= standard('long_without_order') - 2"
    assert audience(shop.deployment, lower, DAY)["count"] == 1
    assert audience(shop.deployment, lower)["count"] == 2


REFUSED = (
    "recency_day > 1",
    "segment__case = 0",
    "customer_id = '1'; drop table tags",
    "exists (select 1)",
    "recency_days > (select 1)",
    "recency_days",
    "read_text('/etc/passwd') = ''",
    "now() > as_of",
    "",
)


def test_what_is_no_condition_over_tags_is_refused(shop: SmallShop) -> None:
    make(shop, "r1")
    for expression in REFUSED:
        with pytest.raises(ExpressionError):
            audience(shop.deployment, expression)


def test_an_export_is_the_released_table_without_hidden_columns(
    shop: SmallShop, tmp_path: Path
) -> None:
    make(shop, "r1")
    path = tmp_path / "tags.parquet"
    assert export(shop.deployment, str(path)) == 3
    table = parquet.read_table(path)
    assert table.column_names == [
        "customer_id",
        "as_of",
        "recency_days",
        "order_amount_90d",
        "segment",
        "top_products",
        "lapse_probability",
    ]
    assert table["customer_id"].to_pylist() == ["1", "2", "O'Neill, 小明"]
    assert table["as_of"].to_pylist() == [DAY] * 3


def test_an_export_needs_a_parquet_file_in_an_existing_folder(
    shop: SmallShop, tmp_path: Path
) -> None:
    with pytest.raises(WrongUsage, match=r"\.parquet"):
        export(shop.deployment, str(tmp_path / "tags.csv"))
    with pytest.raises(WrongUsage, match="does not exist"):
        export(shop.deployment, str(tmp_path / "none" / "tags.parquet"))


def test_a_released_file_that_is_gone_is_named(shop: SmallShop) -> None:
    made = make(shop, "r1")
    Path(made.files["customer"][0]).rename(shop.folder / "moved.parquet")
    from tagline.serve.released import file_columns

    file_columns.cache_clear()
    with pytest.raises(TaglineError, match="is gone; run its day again"):
        audience(shop.deployment, "recency_days > 1")
