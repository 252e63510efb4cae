"""`previous(tag)`: what a rule reads of the release before, in examples and over days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.till import FIRST, SALES, TAGS, Shop, by_hand, define, sell

from tagline.catalog import load_catalog
from tagline.compile import compile_tags
from tagline.compute import compute
from tagline.deployment import open_deployment
from tagline.engines import open_engine
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import DefinitionError
from tagline.examples import run_examples
from tagline.outdated import outdated
from tagline.release import rollback
from tagline.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Iterator[Shop]:
    root = tmp_path / "definitions"
    define(root, settings.business)
    sell(root, SALES)
    with open_deployment(settings.model_copy(update={"definitions": root})) as deployment:
        yield Shop(deployment, root)


def test_days_in_order_give_what_is_worked_out_by_hand(shop: Shop) -> None:
    wanted = {key: value for key, value in by_hand(SALES).items() if key[1] < 5}
    made = [shop.run(day) for day in range(5)]
    assert shop.values() == wanted
    assert [wanted[buyer, 4][0] for buyer in SALES] == ["plain", "good", "good"]
    assert [shop.read(number) for number in made] == [None, *made[:-1]]
    assert outdated(shop.deployment) == []
    assert shop.run(4) not in made  # again, with the same release before it
    assert shop.values() == wanted


def test_an_older_day_made_again_lists_all_later_days_until_they_are(shop: Shop) -> None:
    made = [shop.run(day) for day in range(4)]
    later = SALES | {"b": [50, 60, 0, 90, 20, 40]}  # b is good after the second day
    sell(shop.root, later)
    shop.run(1)
    listed = outdated(shop.deployment)
    assert [(each.release, each.previous) for each in listed] == [
        (made[2], made[1]), (made[3], made[2]),
    ]  # fmt: skip
    early = shop.run(3)  # out of order: it reads the second day's values of before
    (second, third) = outdated(shop.deployment)
    assert (second.release, bool(second.tables)) == (made[2], True)
    assert (third.release, third.previous, third.tables) == (early, made[2], ())
    assert third.touched_at == second.touched_at
    shop.run(2)
    (third,) = outdated(shop.deployment)
    assert (third.release, third.previous, third.tables) == (early, made[2], ())
    assert third.touched_at == FIRST + timedelta(days=2)
    shop.run(3)
    assert outdated(shop.deployment) == []
    assert shop.values() == {key: v for key, v in by_hand(later).items() if key[1] < 4}


def test_a_day_reads_the_newest_active_release_before_it(shop: Shop) -> None:
    first, third = shop.run(0), shop.run(2)
    assert shop.read(third) == first
    fourth = shop.run(3)
    rollback(shop.deployment, "a test", "tester", shop.clock)
    assert shop.read(shop.run(4)) == third
    assert [(each.previous, each.tables) for each in outdated(shop.deployment)] == []
    assert fourth not in {each.id for each in shop.deployment.registry.releases()[:1]}


def test_a_run_names_the_release_that_its_values_are_of(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [shop.run(day) for day in range(2)]
    deployment, as_of, write = shop.deployment, FIRST + timedelta(days=2), DuckDBEngine.write

    def write_late(*given: Any, **named: Any) -> int:
        live = deployment.registry.live()
        if live is not None and live.id == made[1]:
            rollback(deployment, "a test", "tester", shop.clock)
        return write(*given, **named)

    monkeypatch.setattr(DuckDBEngine, "write", write_late)
    deployment.registry.start_run("late", as_of, shop.clock)
    report = compute(deployment, "late", as_of, shop.clock)
    live = deployment.registry.live()
    assert live is not None
    assert (live.id, report.previous) == (made[0], {"release": made[1]})


def test_a_value_of_another_type_is_no_value(shop: Shop) -> None:
    """Such a day is computed, though the lake then refuses to keep two types under one name."""
    from tagline.compute import feature_table

    shop.run(0)
    at = FIRST + timedelta(days=1)
    risen = feature_table(shop.deployment, at, ["is_rising"]).to_pylist()
    assert [row["is_rising"] for row in risen] == [False, True, False]
    number = TAGS["amount_2d"] | {"type": "number", "empty": 0.0}
    define(shop.root, shop.deployment.settings.business, TAGS | {"amount_2d": number})
    with open_deployment(shop.deployment.settings) as changed:
        risen = feature_table(changed, at, ["is_rising"]).to_pylist()
    assert [row["is_rising"] for row in risen] == [False, False, False]


# Without a deployment


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    def make(**tags: dict[str, Any]) -> Path:
        define(tmp_path, "shop", TAGS | tags)
        return tmp_path

    return make


def rule(*cases: str, **keys: Any) -> dict[str, Any]:
    made = [{"when": case, "value": True, "because": "So."} for case in cases]
    otherwise = {"value": False, "because": "Not so."}
    return {"kind": "rule", "type": "boolean", "cases": made, "otherwise": otherwise} | keys


def test_an_example_gives_the_value_of_the_release_before(
    project: Callable[..., Path], settings: Settings
) -> None:
    catalog = load_catalog(project(), "shop")
    assert run_examples(catalog, open_engine(settings)) == (2, [])
    wrong = {**TAGS["grade"], "examples": [{**TAGS["grade"]["examples"][0], "value": "plain"}]}
    catalog = load_catalog(project(grade=wrong), "shop")
    (fault,) = run_examples(catalog, open_engine(settings))[1]
    assert "gives ['good'], not ['plain']" in fault.message


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (rule("previous(grde) = 'good'"), "unknown tag 'grde'. Did you mean 'grade'?"),
        (rule("previous('grade') = 'good'"), "write previous(tag)"),
        (rule("previous(amount_2d + 1) > 2"), "write previous(tag)"),
        (rule("previous(grade) > 2"), "compares text with integer"),
        (rule("previous(grade) = 'goood'"), "Did you mean 'good'?"),
        (rule("previous(grade) = 'good'", "previous(grade) in ('good')"), "can never be reached"),
        (TAGS["amount_2d"] | {"value": "sum(previous(amount_2d))"}, "only in the cases of a rule"),
        (
            rule(
                "is_rising",
                examples=[{"as_of": date(2020, 1, 1), "tags": {"previous(x)": 1}, "value": True}],
            ),
            "unknown tag 'x'",
        ),
    ],
)
def test_a_faulty_use_is_refused(
    project: Callable[..., Path], tag: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError, match=r"^[^ ]*made_for_this\.yaml:") as refused:
        load_catalog(project(made_for_this=tag), "shop")
    assert said in str(refused.value)


def test_what_is_read_of_the_release_before_is_part_of_the_meaning(
    project: Callable[..., Path],
) -> None:
    before = load_catalog(project(made=rule("previous(is_rising)")), "shop").tags["made"]
    after = load_catalog(project(made=rule("is_rising")), "shop").tags["made"]
    assert (before.reads, before.meaning.previous) == ((), ("is_rising",))
    assert (after.reads, after.meaning.previous) == (("is_rising",), ())
    assert before.version != after.version


def test_tags_may_read_each_other_from_the_release_before(project: Callable[..., Path]) -> None:
    catalog = load_catalog(
        project(one=rule("previous(two)"), two=rule("not previous(one)")), "shop"
    )
    compiled = compile_tags(catalog, FIRST, ["one", "two"])
    assert set(compiled.previous) == {"customer"}
    assert set(compiled.previous["customer"]) == {"customer_id", "one", "two"}
    assert compile_tags(catalog, FIRST, ["amount_2d"]).previous == {}
