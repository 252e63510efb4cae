"""Saved audiences: kept in versions, used by name, compared over releases and with each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tagline.cli import main
from tagline.errors import ExpressionError, ReleaseRefused, UnknownName, WrongUsage
from tagline.release import release
from tagline.serve.audiences import audience, ids
from tagline.serve.membership import membership, overlap
from tagline.serve.saved import (
    NewAudience,
    delete,
    save,
    saved_audience,
    saved_audiences,
    sizes,
    tags_read_by_saved,
    versions,
)

if TYPE_CHECKING:
    from tests.conftest import SmallShop

    from tagline.deployment import Deployment

pytestmark = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
AT = datetime(2017, 12, 1, 12, tzinfo=UTC)


def rows(**recency: int | None) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": customer,
            "recency_days": days,
            "order_amount_90d": float(len(customer)),
            "top_products": ["tea"] if customer.startswith("a") else [],
        }
        for customer, days in recency.items()
    ]


def make(shop: SmallShop, run: str, days: int, found: list[dict[str, Any]], **options: Any) -> int:
    shop.audited(run, DAY + timedelta(days=days), found, **options)
    return release(shop.deployment, run, AT).release


def keep(shop: SmallShop, name: str, expression: str, **names: str) -> None:
    save(shop.deployment, NewAudience(name, expression, "wei", **names), AT)


@pytest.fixture
def two(shop: SmallShop) -> tuple[int, int]:
    """Two days: bo comes back, amy grows late, di is new, cy is gone; of ed nothing is known."""
    first = make(shop, "r1", 0, rows(amy=10, bo=90, cy=70, ed=None))
    second = make(shop, "r2", 1, rows(amy=61, bo=1, di=99, ed=None))
    return first, second


def test_a_saved_audience_is_used_by_its_name(shop: SmallShop, two: Any) -> None:
    keep(shop, "late", "recency_days > 60")
    keep(shop, "tea", "'tea' in top_products")
    deployment = shop.deployment
    assert ids(deployment, "audience('late')") == ["amy", "di"]
    assert ids(deployment, "audience('late') and not audience('tea')") == ["di"]
    assert ids(deployment, "audience('late') and audience('tea')") == ["amy"]
    assert ids(deployment, "audience('late') or recency_days = 1") == ["amy", "bo", "di"]
    assert ids(deployment, "audience('late')", DAY) == ["bo", "cy"]
    assert audience(deployment, "not audience('late')")["count"] == 1
    assert sizes(deployment, deployment.registry.release(two[1])) == {"late": 2, "tea": 1}
    assert tags_read_by_saved(deployment.registry)["tea"] == {"top_products"}


def test_every_version_is_kept_and_names_stay_until_they_are_changed(
    shop: SmallShop, two: Any
) -> None:
    keep(shop, "late", "recency_days > 60", name_en="Late ones", name_zh="沉默客户")
    keep(shop, "late", "recency_days > 90")
    keep(shop, "late", "recency_days > 90", name_en="Silent ones")
    found = saved_audience(shop.deployment.registry, "late")
    assert (found.name_en, found.name_zh, found.owner) == ("Silent ones", "沉默客户", "wei")
    history = versions(shop.deployment.registry, "late")
    assert [each.expression for each in history] == [
        "recency_days > 90",
        "recency_days > 90",
        "recency_days > 60",
    ]
    assert audience(shop.deployment, "audience('late')")["count"] == 1


def test_a_deleted_audience_cannot_be_used_but_is_not_lost(shop: SmallShop, two: Any) -> None:
    keep(shop, "late", "recency_days > 60")
    keep(shop, "other", "not audience('late')")
    deployment, registry = shop.deployment, shop.deployment.registry
    with pytest.raises(WrongUsage, match="'other' names 'late'"):
        delete(deployment, "late", "no use", "wei", AT)
    with pytest.raises(WrongUsage, match="a reason is needed"):
        delete(deployment, "other", " ", "wei", AT)
    delete(deployment, "other", "no use", "wei", AT)
    delete(deployment, "late", "no use either", "li", AT)
    assert saved_audiences(registry) == []
    with pytest.raises(UnknownName, match="unknown audience 'late'"):
        audience(deployment, "audience('late')")
    with pytest.raises(UnknownName):
        delete(deployment, "late", "twice", "wei", AT)
    gone, was = versions(registry, "late")
    assert (gone.expression, gone.owner, gone.reason) == (None, "li", "no use either")
    assert was.expression == "recency_days > 60"
    keep(shop, "late", "recency_days > 5")
    assert audience(deployment, "audience('late')")["count"] == 2


def test_what_cannot_be_counted_is_not_saved(shop: SmallShop, two: Any) -> None:
    keep(shop, "late", "recency_days > 60")
    keep(shop, "both", "audience('late') and order_amount_90d > 1")
    for name, expression, said in (
        ("late", "recency_day > 60", "Did you mean 'recency_days'"),
        ("late", "audience('both')", "in a cycle: both → late → both"),
        ("late", "audience('late')", "in a cycle: late → late"),
        ("odd", "recency_days", "where a condition"),
        ("odd", "recency_days > 1; drop table releases", "not one expression|semicolon"),
    ):
        with pytest.raises(ExpressionError, match=said):
            keep(shop, name, expression)
    for name in ("Late", "late ones", "late'); --", "", "recency_days"):
        with pytest.raises(WrongUsage):
            keep(shop, name, "recency_days > 1")
    assert [each.expression for each in versions(shop.deployment.registry, "late")] == [
        "recency_days > 60"
    ]


def test_without_a_release_nothing_is_saved(shop: SmallShop) -> None:
    with pytest.raises(ReleaseRefused, match="tagline run --as-of"):
        keep(shop, "late", "recency_days > 60")


def test_an_audience_whose_tag_is_gone_from_a_release_says_so(shop: SmallShop, two: Any) -> None:
    keep(shop, "late", "recency_days > 60")
    keep(shop, "tea", "'tea' in top_products")
    keep(shop, "both", "audience('late') and audience('tea')")
    less = [{"customer_id": "amy", "recency_days": 70}]
    number = make(shop, "r3", 2, less, unavailable={"top_products": "no such table"})
    said = rf"'tea' reads tag 'top_products', which release {number} .* does not have: no such"
    with pytest.raises(ExpressionError, match=said):
        audience(shop.deployment, "audience('both')")
    found = sizes(shop.deployment, shop.deployment.registry.release(number))
    assert found["late"] == 1
    assert "tagline audiences save tea" in str(found["both"])
    assert ids(shop.deployment, "audience('both')", DAY + timedelta(days=1)) == ["amy"]


def test_who_entered_and_left_between_two_releases(shop: SmallShop, two: tuple[int, int]) -> None:
    keep(shop, "late", "recency_days > 60")
    found = membership(shop.deployment, "audience('late')")
    assert (found.earlier.id, found.later.id) == two
    assert (found.entered, found.left, found.stayed) == (("amy", "di"), ("bo", "cy"), 0)
    back = membership(shop.deployment, "recency_days > 0", two[1], two[0])
    assert (back.entered, back.left, back.stayed) == (("cy",), ("di",), 2)
    by_standard = "recency_days > standard('long_without_order')"  # 60, and 5 from the second day
    found = membership(shop.deployment, by_standard)
    assert (found.entered, found.left) == (("amy", "di"), ("bo", "cy"))


def test_the_first_release_has_none_to_be_compared_with(shop: SmallShop) -> None:
    make(shop, "r1", 0, rows(amy=10))
    with pytest.raises(ReleaseRefused, match="is the first one"):
        membership(shop.deployment, "recency_days > 1")


def test_a_day_released_again_is_compared_with_what_it_superseded(shop: SmallShop) -> None:
    first = make(shop, "r1", 0, rows(amy=10, bo=90))
    make(shop, "r2", 0, rows(amy=80, bo=90))
    found = membership(shop.deployment, "recency_days > 60")
    assert (found.earlier.id, found.entered, found.stayed) == (first, ("amy",), 1)


def test_audiences_overlap_by_counts_and_by_share(shop: SmallShop, two: Any) -> None:
    keep(shop, "late", "recency_days > 60")
    keep(shop, "tea", "'tea' in top_products")
    found = overlap(shop.deployment, ["late", "tea", "recency_days < 0"])
    assert found["customers"] == 4
    assert found["sizes"] == {"late": 2, "tea": 1, "recency_days < 0": 0}
    assert [(pair["a"], pair["b"], pair["both"], pair["jaccard"]) for pair in found["pairs"]] == [
        ("late", "tea", 1, 0.5),
        ("late", "recency_days < 0", 0, 0.0),
        ("tea", "recency_days < 0", 0, 0.0),
    ]
    with pytest.raises(WrongUsage, match="2 to 12 different"):
        overlap(shop.deployment, ["late", "late"])
    none = overlap(shop.deployment, ["false", "recency_days < 0"])
    assert none["pairs"][0]["jaccard"] is None


@pytest.fixture
def tagline(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Any, str, str]]:
    """Runs `tagline audiences …` over the small shop; exit code, stdout and stderr."""

    @contextmanager
    def opened(_settings: object = None) -> Iterator[Deployment]:
        yield shop.deployment

    monkeypatch.setattr("tagline.deployment.open_deployment", opened)

    def run(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["audiences", *arguments])
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


def test_the_commands_save_list_show_compare_and_delete(
    tagline: Callable[..., tuple[Any, str, str]], two: tuple[int, int]
) -> None:
    assert "no audience is saved" in tagline()[1]
    said = tagline("save", "late", "recency_days > 60", "--name-zh", "沉默客户")
    assert said[:2] == (0, f"late is saved: 2 customers in release {two[1]}\n")
    assert json.loads(tagline("save", "tea", "'tea' in top_products", "--json")[1])["count"] == 1
    listed = json.loads(tagline("--json")[1])
    assert [(each["name"], each["count"]) for each in listed["audiences"]] == [
        ("late", 2),
        ("tea", 1),
    ]
    assert "沉默客户" in tagline()[1]
    shown = json.loads(tagline("show", "late", "--json")[1])
    assert (shown["count"], shown["reads"]) == (2, ["recency_days"])
    assert "recency_days > 60" in tagline("show", "late")[1]
    assert "2 entered, 2 left, 0 stayed" in tagline("changes", "late")[1]
    assert tagline("changes", "late", "--ids")[1].splitlines() == [
        "entered amy",
        "entered di",
        "left bo",
        "left cy",
    ]
    moved = json.loads(tagline("changes", "late", "--json")[1])
    assert (moved["before"], moved["after"], moved["entered"]) == (2, 2, 2)
    assert "1 (50.0%)" in tagline("overlap", "late", "tea")[1]
    code, out, err = tagline("changes", "lat")
    assert (code, out) == (1, "")
    assert "Did you mean 'late'" in err
    assert tagline("save", "late ones", "true")[0] == 2
    assert tagline("delete", "tea")[0] == 2  # without a reason
    assert "tea is deleted" in tagline("delete", "tea", "--reason", "no use")[1]
    assert "tea" not in tagline()[1]
