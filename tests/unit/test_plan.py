"""`tagline plan`: what changed definitions would do to a small stall's release, on real rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
import yaml
from tests.conftest import drop_databases

from tagline.catalog import load_catalog
from tagline.cli import main
from tagline.errors import ReleaseRefused, UnknownName, WrongUsage
from tagline.plan import planned
from tagline.registry.schema import ModelVersion
from tagline.serve.saved import NewAudience, save
from tagline.settings import Settings
from tagline.training.contributions import Described
from tagline.training.estimators.tag_classifier import TagClassifier
from tagline.training.inputs import read_versions

if TYPE_CHECKING:
    from tagline.deployment import Deployment

pytestmark = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
AT = DAY + timedelta(hours=6)
NAME = {"en": "A", "zh": "甲"}
SAID = {"name": NAME, "description": "Made for a test."}
COMMON = {**SAID, "owner": "crm"}
SALES = """number,buyer,amount,sold_at
1,ann,60,2017-09-20 10:00:00
2,ann,70,2017-08-20 10:00:00
3,ben,20,2017-09-25 10:00:00
4,ben,30,2017-03-01 10:00:00
5,cho,90,2017-07-10 10:00:00
6,dan,10,2017-01-05 10:00:00
7,eve,200,2017-09-30 10:00:00
8,eve,5,2017-09-01 10:00:00
"""
COLUMNS = {
    "order_id": {"type": "text", "nullable": False, "description": "The order."},
    "customer_key": {"type": "text", "nullable": False, "description": "The buyer."},
    "ordered_at": {"type": "timestamp", "nullable": False, "description": "When."},
    "amount": {"type": "number", "nullable": False, "description": "How much."},
}
ORDERS = {**SAID, "key": ["order_id"], "customer": "customer_key", "event_at": "ordered_at"}
FILES: dict[str, Any] = {
    "businesses/stall.yaml": {
        **SAID,
        "currency": "EUR",
        "identity": "one_to_one",
        "sources": ["till"],
        "models": ["churn"],
        "starts_on": "2017-01-01",
    },
    "sources/till.yaml": {
        **SAID,
        "type": "files",
        "location": "in",
        "feeds": {"customers": "snapshot", "orders": "interval"},
        "tables": {
            "sales": {
                "path": "sales.csv",
                "time": "sold_at",
                "columns": {
                    "number": "integer",
                    "buyer": "text",
                    "amount": "number",
                    "sold_at": "timestamp",
                },
            }
        },
    },
    "tables/customers.yaml": {
        **SAID,
        "key": ["customer_id"],
        "customer": "customer_id",
        "columns": {
            "customer_id": {"type": "text", "nullable": False, "description": "The customer."},
            "since_at": {"type": "timestamp", "nullable": False, "description": "Since when."},
        },
    },
    "tables/orders.yaml": {**ORDERS, "columns": COLUMNS},
    "tables/big_orders.yaml": {**ORDERS, "columns": COLUMNS},
    "sql/sources/till/customers.sql": "SELECT buyer AS customer_id, min(sold_at) AS since_at, "
    "min(sold_at) AS valid_at FROM sales GROUP BY buyer",
    "sql/sources/till/orders.sql": "SELECT CAST(number AS VARCHAR) AS order_id, "
    "buyer AS customer_key, sold_at AS ordered_at, amount FROM sales",
    "sql/derived/big_orders.sql": "SELECT order_id, customer_key, ordered_at, amount "
    "FROM orders WHERE amount >= 60",
    "sql/labels/no_order.sql": "SELECT customer_id, true AS label FROM customers",
    "standards.yaml": {
        "standards": {
            "high_amount": {
                "description": "From this amount on.",
                "type": "number",
                "values": [{"from": "2000-01-01", "value": 100}],
            },
            "small_amount": {
                "description": "Below this an order is small.",
                "type": "number",
                "values": [{"from": "2000-01-01", "value": 15}],
            },
        }
    },
    "tags/value/theme.yaml": {**SAID, "dimensions": {"amount": NAME}},
    "tags/value/amount/order_count.yaml": {
        **COMMON, "kind": "statistic", "table": "orders", "value": "count(*)", "empty": 0,
        "type": "integer",
    },
    "tags/value/amount/small_count.yaml": {
        **COMMON, "kind": "statistic", "table": "orders", "value": "count(*)", "empty": 0,
        "where": "amount < standard('small_amount')", "type": "integer",
    },
    "tags/value/amount/amount_90d.yaml": {
        **COMMON, "kind": "statistic", "table": "orders", "value": "sum(amount)",
        "window": "90 days", "type": "number",
    },
    "tags/value/amount/big_count.yaml": {
        **COMMON, "kind": "statistic", "table": "big_orders", "value": "count(*)", "empty": 0,
        "type": "integer",
    },
    "tags/value/amount/amount_half.yaml": {
        **COMMON, "kind": "rank", "of": "amount_90d", "into": 2, "best": "high",
        "type": "integer",
    },
    "tags/value/amount/level.yaml": {
        **COMMON,
        "kind": "rule",
        "type": "text",
        "cases": [
            {
                "when": "amount_90d >= standard('high_amount')",
                "value": "high",
                "because": "spent {amount_90d}",
            }
        ],
        "otherwise": {"value": "low", "because": "spent only {amount_90d}"},
    },
    "tags/value/amount/is_regular.yaml": {
        **COMMON,
        "kind": "rule",
        "type": "boolean",
        "cases": [{"when": "order_count > 1", "value": True, "because": "{order_count} orders"}],
        "otherwise": {"value": False, "because": "one order"},
    },
    "tags/value/amount/is_star.yaml": {
        **COMMON,
        "kind": "rule",
        "type": "boolean",
        "cases": [
            {"when": "is_regular and level = 'high'", "value": True, "because": "a star"}
        ],
        "otherwise": {"value": False, "because": "no star"},
    },
    "tags/value/amount/churn_probability.yaml": {
        **COMMON, "kind": "model", "model": "churn", "output": "probability", "type": "number",
    },
    "models/churn.yaml": {
        **COMMON,
        "task": "binary",
        "population": "order_count > 0",
        "label": "no_order",
        "horizon": "60 days",
        "features": ["amount_90d", "small_count"],
        "rule": {"tag": "amount_90d", "high_means": "negative"},
        "candidates": ["logistic_regression"],
        "panels": {"count": 2, "every": "30 days"},
        "gate": {"min_roc_auc": 0.5, "max_calibration_error": 1},
    },
}  # fmt: skip
AMOUNT = "tags/value/amount/"
Changes = Mapping[str, Any]


class Pipeline(TagClassifier):
    """Stands for a trained model: each small order makes churn likelier."""

    def __init__(self) -> None:
        super().__init__(features={}, described={})
        self.training_bins_ = {}

    def explained(self, rows: pd.DataFrame) -> tuple[Any, Any]:
        self.usual_ = dict.fromkeys(rows.columns, 0.0)
        self.described = {
            slug: Described(en=slug, zh=slug, type="number", unit=None) for slug in rows.columns
        }
        chance = 0.1 + 0.2 * rows["small_count"].to_numpy()
        return np.column_stack([1 - chance, chance]), np.zeros(rows.shape)


@dataclass(frozen=True)
class Stall:
    """A released deployment with its definitions in a folder."""

    deployment: Deployment
    root: Path

    def edited(self, folder: Path, changes: Changes) -> Deployment:
        """The deployment with a working tree that is changed: keys merged, None deletes."""
        root = folder / "definitions"
        shutil.copytree(self.root, root)
        for name, change in changes.items():
            path = root / name
            if change is None:
                path.unlink()
            elif isinstance(change, str):
                path.write_text(change, "utf-8")
            else:
                there = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}
                path.write_text(yaml.safe_dump({**there, **change}), "utf-8")
        return replace(self.deployment, catalog=load_catalog(root, "stall"))


def write(root: Path, files: Changes) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")


def release(deployment: Deployment, run: str) -> None:
    """Compute a day of what the lake holds and release it."""
    from tagline.pipeline import run_stage

    deployment.registry.start_run(run, DAY, AT)
    for stage in ("extract", "clean", "compute", "score", "audit", "gate", "release"):
        run_stage(deployment, stage, run, DAY, AT)


@pytest.fixture(scope="module")
def stall(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stall]:
    """A stall whose day is released, with a champion and one saved audience."""
    from tagline.deployment import open_deployment

    folder = tmp_path_factory.mktemp("stall")
    root = folder / "definitions"
    write(root, FILES | {"in/sales.csv": SALES})
    settings = Settings(
        business="stall", definitions=root, home=folder / "home", database_url=postgres_url
    )
    with (
        pytest.MonkeyPatch.context() as patch,
        open_deployment(settings) as deployment,
    ):
        patch.setattr("tagline.training.tracking.load_pipeline", lambda *_: Pipeline())
        definition = deployment.catalog.models["churn"]
        champion = ModelVersion(
            model="churn",
            definition="d",
            trained_as_of=DAY,
            label_end_at=DAY,
            trained_at=DAY,
            verdict="accepted",
            status="promoted",
            reasons=[],
            metrics={},
            features=read_versions(deployment.catalog, definition),
            mlflow_run_id="abc",
            mlflow_version="1",
            model_uri="models:/stall.churn/1",
        )
        with deployment.registry.session() as session:
            session.add(champion)
        release(deployment, "r1")
        save(deployment, NewAudience("spenders", "level = 'high'", "wei"), AT)
        save(deployment, NewAudience("starred", "audience('spenders') and is_star", "wei"), AT)
        save(deployment, NewAudience("rare", "order_count = 1", "wei"), AT)
        yield Stall(deployment, root)
    drop_databases(settings)


@pytest.fixture
def plan(stall: Stall, tmp_path: Path) -> Callable[[Changes], dict[str, Any]]:
    """The plan of a change as the command line prints it."""

    def planning(changes: Changes) -> dict[str, Any]:
        with planned(stall.edited(tmp_path, changes)) as found:
            document: dict[str, Any] = json.loads(json.dumps(found.as_json(), default=str))
            for tag in document["tags"]:
                tag["ids"] = found.ids(tag["tag"])
            return document

    return planning


Planning = Callable[[Changes], dict[str, Any]]


def by_tag(document: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["tag"]: tag for tag in document["tags"]}


def counts(tag: Mapping[str, Any]) -> tuple[int, int, int]:
    return tuple(tag["customers"][name] for name in ("gains", "loses", "changes"))


def test_an_unchanged_tree_changes_nothing_and_computes_nothing(plan: Planning) -> None:
    found = plan({})
    assert (found["same"], found["tags"], found["computed"]) == (True, [], [])


def test_what_is_no_part_of_the_meaning_changes_nothing(plan: Planning) -> None:
    level = FILES[AMOUNT + "level.yaml"]
    reworded = {**level["otherwise"], "because": "too little: {amount_90d}"}
    found = plan(
        {AMOUNT + "level.yaml": {"otherwise": reworded, "owner": "ops", "valid_for": "9 days"}}
    )
    assert found["same"]


def test_a_changed_standard_is_a_change_of_the_tags_that_read_it_and_of_their_readers(
    plan: Planning,
) -> None:
    standards = FILES["standards.yaml"]["standards"]
    lower = {**standards["high_amount"], "values": [{"from": "2000-01-01", "value": 90}]}
    found = plan({"standards.yaml": {"standards": {**standards, "high_amount": lower}}})
    tags = by_tag(found)
    assert {slug: tag["how"] for slug, tag in tags.items()} == {
        "level": "changed",
        "is_star": "affected",
    }
    assert tags["level"]["why"] == ["standard high_amount: 100 → 90"]
    assert (counts(tags["level"]), tags["level"]["ids"]) == ((0, 0, 1), ["cho"])
    assert tags["level"]["shares"]["differ"] == 0.2
    assert tags["level"]["moves"] == [{"before": "low", "after": "high", "customers": 1}]
    assert tags["level"]["examples"] == [
        {
            "customer_id": "cho",
            "effect": "changes",
            "before": "low",
            "after": "high",
            "because_before": "spent only 90",
            "because": "spent 90",
        }
    ]
    assert tags["level"]["downstream"] == {
        "tags": ["is_star"],
        "models": [],
        "audiences": ["spenders", "starred"],
    }
    assert counts(tags["is_star"]) == (0, 0, 0)
    assert (found["computed"], found["taken_from_release"]) == (
        ["level", "is_star"],
        ["amount_90d", "is_regular"],
    )


def test_a_standard_that_changes_after_the_day_changes_nothing_on_it(plan: Planning) -> None:
    standards = FILES["standards.yaml"]["standards"]
    values = [*standards["high_amount"]["values"], {"from": "2017-10-02", "value": 1}]
    later = {**standards["high_amount"], "values": values}
    assert plan({"standards.yaml": {"standards": {**standards, "high_amount": later}}})["same"]


def test_a_changed_window_moves_what_is_made_of_it_and_asks_for_training(plan: Planning) -> None:
    found = plan({AMOUNT + "amount_90d.yaml": {"window": "30 days"}})
    tags = by_tag(found)
    assert tags["amount_90d"]["why"] == ["window: 90 days → 30 days"]
    assert counts(tags["amount_90d"]) == (0, 1, 1)  # cho has none left, ann less
    assert tags["amount_90d"]["ids"] == ["ann", "cho"]
    assert {each["effect"]: each["customer_id"] for each in tags["amount_90d"]["examples"]} == {
        "loses": "cho",
        "changes": "ann",
    }
    assert tags["amount_90d"]["moves"] is None
    assert tags["level"]["how"] == tags["amount_half"]["how"] == "affected"
    assert tags["level"]["moves"] == [{"before": "high", "after": "low", "customers": 1}]
    below = tags["amount_90d"]["downstream"]
    assert set(below["tags"]) == {"amount_half", "level", "is_star", "churn_probability"}
    (model,) = below["models"]
    assert (model["model"], model["needs_training"]) == ("churn", True)
    assert "other versions of amount_90d; train it again" in model["reason"]
    assert "train it again" in tags["churn_probability"]["unavailable"]
    assert counts(tags["churn_probability"]) == (0, 5, 0)
    assert "is_regular" not in tags
    assert "order_count" not in found["computed"]


def test_a_standard_of_a_feature_gives_new_scores_by_the_present_champion(plan: Planning) -> None:
    standards = FILES["standards.yaml"]["standards"]
    higher = {**standards["small_amount"], "values": [{"from": "2000-01-01", "value": 25}]}
    found = plan({"standards.yaml": {"standards": {**standards, "small_amount": higher}}})
    tags = by_tag(found)
    assert tags["small_count"]["ids"] == ["ben"]
    assert tags["churn_probability"]["ids"] == ["ben"]
    (example,) = tags["churn_probability"]["examples"]
    assert (example["before"], example["after"]) == pytest.approx((0.1, 0.3))
    (model,) = tags["small_count"]["downstream"]["models"]
    assert model == {"model": "churn", "needs_training": False}
    assert set(found["computed"]) == {"small_count", "churn_probability"}
    assert found["taken_from_release"] == ["amount_90d", "order_count"]
    assert found["seconds"]["score"] > 0


def test_a_changed_rule_counts_who_gains_a_value(plan: Planning) -> None:
    level = FILES[AMOUNT + "level.yaml"]
    cases = [*level["cases"], {"when": "amount_90d is null", "value": None, "because": "none"}]
    found = plan({AMOUNT + "level.yaml": {"cases": cases}})
    tag = by_tag(found)["level"]
    assert (tag["why"], counts(tag), tag["ids"]) == (["cases"], (0, 1, 0), ["dan"])
    assert tag["examples"][0]["because_before"] == "spent only no value"
    assert tag["examples"][0]["because"] == "none"
    assert tag["version"] != tag["version_before"]


def test_changed_sql_of_a_derived_table_is_seen_in_its_tags(plan: Planning) -> None:
    sql = FILES["sql/derived/big_orders.sql"].replace("60", "80")
    found = plan({"sql/derived/big_orders.sql": sql})
    (tag,) = found["tags"]
    assert (tag["tag"], tag["how"], tag["why"]) == (
        "big_count",
        "changed",
        ["what table big_orders is made by"],
    )
    assert tag["ids"] == ["ann"]  # 60 and 70 are big no more
    assert found["computed"] == ["big_count"]


def test_a_new_tag_is_gained_by_those_who_have_it(plan: Planning) -> None:
    large = {**FILES[AMOUNT + "amount_90d.yaml"], "where": "amount > 50"}
    found = plan({AMOUNT + "large_amount.yaml": large})
    (tag,) = found["tags"]
    assert (tag["how"], counts(tag), tag["ids"]) == ("new", (3, 0, 0), ["ann", "cho", "eve"])
    assert (tag["version_before"], found["computed"]) == (None, ["large_amount"])


def test_a_removed_tag_is_lost_and_its_audiences_are_named(plan: Planning) -> None:
    found = plan({AMOUNT + "is_star.yaml": None})
    (tag,) = found["tags"]
    assert (tag["how"], tag["why"], counts(tag)) == ("removed", ["its file is gone"], (0, 5, 0))
    assert tag["version"] is None
    assert tag["downstream"] == {"tags": [], "models": [], "audiences": ["starred"]}
    assert (found["computed"], len(tag["ids"])) == ([], 5)


def test_a_renamed_tag_is_the_same_under_another_name(plan: Planning) -> None:
    star = FILES[AMOUNT + "is_star.yaml"]
    found = plan({AMOUNT + "is_star.yaml": None, AMOUNT + "is_favourite.yaml": star})
    (tag,) = found["tags"]
    assert (tag["tag"], tag["how"], tag["why"]) == (
        "is_favourite",
        "renamed",
        ["was called is_star"],
    )
    assert counts(tag) == (0, 0, 0)
    assert tag["downstream"]["audiences"] == ["starred"]  # which must be saved anew


def test_another_type_is_compared_as_it_is_written(plan: Planning) -> None:
    regular = FILES[AMOUNT + "is_regular.yaml"]
    cases = [{**regular["cases"][0], "value": "yes"}]
    changed = {"type": "text", "cases": cases, "otherwise": {"value": "false", "because": "one"}}
    star = FILES[AMOUNT + "is_star.yaml"]
    when = {**star["cases"][0], "when": "is_regular = 'yes' and level = 'high'"}
    found = plan({AMOUNT + "is_regular.yaml": changed, AMOUNT + "is_star.yaml": {"cases": [when]}})
    tag = by_tag(found)["is_regular"]
    assert tag["moves"] == [{"before": "true", "after": "yes", "customers": 3}]


def test_a_plan_of_an_older_day_is_against_its_release(stall: Stall) -> None:
    with planned(stall.deployment, DAY) as found:
        assert found.as_json()["as_of"] == DAY.isoformat()
    with (
        pytest.raises(ReleaseRefused, match="no active release"),
        planned(stall.deployment, DAY - timedelta(days=1)),
    ):
        pass


def test_ids_of_a_tag_that_is_the_same_are_none_and_an_unknown_tag_is_refused(
    stall: Stall,
) -> None:
    with planned(stall.deployment) as found:
        assert found.ids("level") == []
        with pytest.raises(UnknownName, match="Did you mean 'level'"):
            found.ids("levle")


def test_every_difference_is_exported_as_a_row(stall: Stall, tmp_path: Path) -> None:
    target = tmp_path / "plan.parquet"
    with planned(stall.edited(tmp_path, {AMOUNT + "amount_90d.yaml": {"window": "30 days"}})) as it:
        rows = it.export(str(target))
        ids = {each.slug: it.ids(each.slug) for each in it.differences}
        with pytest.raises(WrongUsage, match=r"\.parquet"):
            it.export(str(tmp_path / "plan.csv"))
    written = parquet.read_table(target).to_pylist()
    assert len(written) == rows
    assert {slug: [row["id"] for row in written if row["tag"] == slug] for slug in ids} == ids
    level = {"tag": "level", "subject": "customer", "id": "ann"}
    assert level | {"effect": "changes", "before": "high", "after": "low"} in written


def test_a_plan_writes_nothing(stall: Stall, plan: Planning) -> None:
    def state() -> tuple[set[str], dict[str, int]]:
        home = stall.deployment.settings.home_path
        files = {str(path) for path in home.rglob("*") if path.is_file()}
        with stall.deployment.registry.engine.connect() as connection:
            tables = connection.exec_driver_sql(
                "select table_name from information_schema.tables where table_schema = 'public'"
            ).scalars()
            rows = {
                name: connection.exec_driver_sql(f'select count(*) from "{name}"').scalar_one()
                for name in tables.all()
            }
        return files, rows

    before = state()
    assert not plan({AMOUNT + "amount_90d.yaml": {"window": "30 days"}})["same"]
    assert state() == before


def test_the_command_prints_a_table_ids_or_one_document(
    stall: Stall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployment = stall.edited(tmp_path, {AMOUNT + "amount_90d.yaml": {"window": "30 days"}})

    @contextmanager
    def opened(_settings: object = None) -> Iterator[Deployment]:
        yield deployment

    monkeypatch.setattr("tagline.deployment.open_deployment", opened)

    def tagline(*arguments: str) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as ended:
            main(["plan", *arguments])
        return ended.value.code, capsys.readouterr().out

    code, said = tagline()
    assert code == 0
    assert "window: 90 days → 30 days" in said
    assert "churn (needs training)" in said
    assert "spent only 60" in said
    code, said = tagline("--json")
    assert json.loads(said)["same"] is False
    assert tagline("--ids", "amount_90d") == (0, "ann\ncho\n")
    assert tagline("--ids", "level", "--export", "x.parquet")[0] == 2
    assert tagline("--as-of", "2001-01-01")[0] == 1
    deployment = stall.deployment
    assert tagline()[1].startswith("nothing changed")


def test_rows_that_came_since_the_release_are_told_and_nothing_stale_is_taken(
    postgres_url: str, stall: Stall, tmp_path: Path
) -> None:
    """A copy of the stall's lake is not needed: the rows come into a stall of its own."""
    from tagline.clean import clean
    from tagline.deployment import open_deployment
    from tagline.extract import extract

    root = tmp_path / "late" / "definitions"
    shop = FILES["businesses/stall.yaml"]
    write(root, FILES | {"in/sales.csv": SALES, "businesses/late.yaml": {**shop, "models": []}})
    settings = Settings(
        business="late", definitions=root, home=tmp_path / "home", database_url=postgres_url
    )
    with open_deployment(settings) as deployment:
        release(deployment, "r1")
        more = "9,dan,500,2017-09-02 10:00:00\n10,fay,1,2017-09-03 10:00:00\n"
        (root / "in" / "sales.csv").write_text(SALES + more, "utf-8")
        deployment.registry.start_run("r2", DAY, AT)
        extract(deployment, "r2", DAY, AT + timedelta(days=1))
        clean(deployment, "r2", DAY, AT + timedelta(days=1))
        late = replace(stall, deployment=deployment, root=root)
        level = FILES[AMOUNT + "level.yaml"]
        cases = [{**level["cases"][0], "when": "amount_90d > 150"}]
        changed = late.edited(tmp_path, {AMOUNT + "level.yaml": {"cases": cases}})
        catalog = load_catalog(changed.catalog.root, "late")
        with planned(replace(changed, catalog=catalog)) as found:
            told = found.as_json()
            assert found.ids("level") == ["ann", "dan", "fay"]
        assert told["outdated_from"] == "2017-09-02T10:00:00+00:00"
        assert told["tags"][0]["population"] == 6
        assert told["taken_from_release"] == []
        assert set(told["computed"]) == {"amount_90d", "level", "order_count", "is_regular",
                                         "is_star"}  # fmt: skip
        sql = FILES["sql/sources/till/orders.sql"].replace(
            "amount FROM", "amount * 2 AS amount FROM"
        )
        recleaned = late.edited(tmp_path / "sql", {"sql/sources/till/orders.sql": sql})
        catalog = load_catalog(recleaned.catalog.root, "late")
        with planned(replace(recleaned, catalog=catalog)) as found:
            assert found.as_json()["tables_to_clean_again"] == ["orders"]
    drop_databases(settings)
