"""What the portal tells of tags, customers and releases, and a steward's decisions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.portal.conftest import Shop, Visitor

pytestmark = pytest.mark.slow


def tag_of(profile: dict[str, Any], slug: str) -> dict[str, Any]:
    return next(tag for tag in profile["tags"] if tag["slug"] == slug)


def test_before_the_first_release_every_page_has_an_answer(viewer: Visitor) -> None:
    catalogue = viewer.get("/api/catalogue")
    assert catalogue["live"] is None
    assert {tag["state"] for tag in catalogue["tags"]} == {"unreleased"}
    assert viewer.get("/api/releases") == {"live": None, "total": 0, "skip": 0, "releases": []}
    assert viewer.get("/api/customers") == {"customers": [], "days": []}
    assert viewer.get("/api/tags/recency_days/distribution")["shape"] is None
    assert "SELECT" in viewer.get("/api/tags/recency_days")["sql"]["text"]
    assert viewer.client.get("/api/profile?customer_id=c001").status_code == 409


def test_the_catalogue_says_why_a_tag_is_not_available(grocer_shop: Shop, viewer: Visitor) -> None:
    grocer_shop.release()
    tags = {tag["slug"]: tag for tag in viewer.get("/api/catalogue")["tags"]}
    assert tags["recency_days"]["state"] == "current"
    assert tags["recency_days"]["coverage"] == 0.9
    assert tags["order_amount_90d"]["unit"] == "USD"
    assert tags["lapse_probability"]["state"] == "unavailable"
    assert tags["lapse_probability"]["reason"] == "not computed here"


def test_a_tag_tells_its_meaning_lineage_versions_and_history(
    grocer_shop: Shop, viewer: Visitor
) -> None:
    first, second = grocer_shop.release(), grocer_shop.release(1)
    page = viewer.get("/api/tags/activity_status")
    assert page["name"]["zh"] == "活跃状态"
    assert {tag["slug"] for tag in page["lineage"]["reads"]} == {"recency_days", "tenure_days"}
    assert [version["live"] for version in page["versions"]] == [True]
    assert [point["release"] for point in page["history"]] == [first, second]
    assert [point["coverage"] for point in page["history"]] == [0.9, 0.91]
    orders = viewer.get("/api/tags/order_amount_90d")
    assert orders["lineage"]["table"]["name"] == "orders"
    assert orders["lineage"]["table"]["sources"] == ["complete_journey"]
    assert "lapse_risk" in orders["lineage"]["models"]
    model = viewer.get("/api/tags/lapse_probability")
    assert model["sql"] == {"text": None, "note": "model", "model": "lapse_risk"}
    later = viewer.get("/api/tags/win_back_priority")
    assert later["sql"]["note"] == "rule"
    assert "given" in later["sql"]["text"]


def test_an_unknown_tag_is_404_with_the_closest_name(viewer: Visitor) -> None:
    answer = viewer.client.get("/api/tags/recency_day")
    assert answer.status_code == 404
    assert "recency_days" in answer.json()["message"]


def test_a_distribution_fits_the_type_of_its_tag(grocer_shop: Shop, viewer: Visitor) -> None:
    grocer_shop.release(customers=400)
    few = viewer.get("/api/tags/recency_days/distribution")
    assert (few["shape"], few["ordered"]) == ("values", True)
    assert sum(count for _, count in few["values"]) == 400
    many = viewer.get("/api/tags/order_amount_90d/distribution")
    assert many["shape"] == "bins"
    assert sum(many["counts"]) + many["below"] + many["above"] == 400
    assert len(many["edges"]) == len(many["counts"]) + 1
    days = viewer.get("/api/tags/last_order_date/distribution")
    assert days["edges"][0] == "2017-11-24"
    lists = viewer.get("/api/tags/top_categories_365d/distribution")
    assert lists["values"][0] == ["BEEF", 400]


def test_a_profile_has_value_unit_age_version_and_reason(
    grocer_shop: Shop, viewer: Visitor
) -> None:
    grocer_shop.release()
    live = grocer_shop.release(1)
    profile = viewer.get("/api/profile", customer_id="c004")
    assert (profile["release"], profile["day"]) == (live, "2017-12-02")
    status = tag_of(profile, "activity_status")
    assert status["value"] == "dormant"
    assert status["because"] == "No order for 5 days."
    assert status["version"] == grocer_shop.deployment.catalog.tag("activity_status").version
    amount = tag_of(profile, "order_amount_90d")
    assert (amount["value"], amount["unit"]) == (50.0, "USD")
    assert amount["made_day"] == "2017-12-02"
    assert amount["expires_day"] == "2017-12-04"
    assert "lapse_probability" in {tag["slug"] for tag in profile["unavailable"]}
    earlier = viewer.get("/api/profile", customer_id="c004", as_of="2017-12-01T00:00:00Z")
    assert earlier["day"] == "2017-12-01"
    assert tag_of(earlier, "recency_days")["value"] == 4


def test_a_value_older_than_it_is_valid_for_is_expired(grocer_shop: Shop, viewer: Visitor) -> None:
    grocer_shop.release()
    grocer_shop.release(1)
    then = viewer.get("/api/profile", customer_id="c004", as_of="2017-12-01T00:00:00Z")
    assert tag_of(then, "recency_days")["expired"] is False


def test_customers_are_found_by_the_beginning_of_their_id(
    grocer_shop: Shop, viewer: Visitor
) -> None:
    grocer_shop.release()
    assert viewer.get("/api/customers", prefix="c03")["customers"] == [
        f"c03{digit}" for digit in range(10)
    ]
    assert viewer.get("/api/customers", prefix="x")["customers"] == []
    assert viewer.get("/api/customers", prefix="%")["customers"] == []
    answer = viewer.client.get("/api/profile", params={"customer_id": "c999'; --"})
    assert answer.status_code == 404


def test_a_profile_takes_a_few_milliseconds(grocer_shop: Shop, viewer: Visitor) -> None:
    grocer_shop.release()
    viewer.get("/api/profile", customer_id="c001")
    times = []
    for number in range(30):
        began = time.perf_counter()
        viewer.get("/api/profile", customer_id=f"c{number:03}")
        times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 0.05  # a generous limit for a busy machine


def test_a_release_tells_what_changed_against_the_day_before(
    grocer_shop: Shop, viewer: Visitor
) -> None:
    first = grocer_shop.release(customers=40)
    second = grocer_shop.release(1, customers=42)
    changes = viewer.get(f"/api/releases/{second}/changes")
    assert changes["earlier"] == {"release": first, "day": "2017-12-01"}
    assert changes["customers"] == {"both": 40, "came": 2, "went": 0}
    assert changes["tags"][0]["slug"] in ("recency_days", "last_order_date")
    assert changes["tags"][0]["moved"] == 40
    assert viewer.get(f"/api/releases/{first}/changes") == {"earlier": None}


def test_a_rollback_says_what_it_will_do_and_does_it(grocer_shop: Shop, admin: Visitor) -> None:
    first, second = grocer_shop.release(), grocer_shop.release(1)
    plan = admin.get("/api/releases/rollback")
    assert plan == {
        "live": second,
        "withdraws": [second],
        "becomes": {"release": first, "day": "2017-12-01"},
    }
    body = {"reason": "wrong prices", "expected_live": second}
    answer = admin.post("/api/releases/rollback", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["live"]["release"] == first
    told = admin.get(f"/api/releases/{second}")
    assert told["status"] == "withdrawn"
    assert told["events"][-1]["actor"] == "admin"
    assert told["events"][-1]["reason"] == "wrong prices"


def test_the_second_of_two_stewards_who_roll_back_at_once_is_refused(
    grocer_shop: Shop, admin: Visitor
) -> None:
    grocer_shop.release()
    second, third = grocer_shop.release(1), grocer_shop.release(2)
    body = {"reason": "wrong prices", "expected_live": third}
    assert admin.post("/api/releases/rollback", body).status_code == 200
    again = admin.post("/api/releases/rollback", body)
    assert again.status_code == 409
    assert f"release {second} is live" in again.json()["message"]
    assert admin.get("/api/releases")["live"]["release"] == second


def test_a_steward_returns_to_an_earlier_release(grocer_shop: Shop, admin: Visitor) -> None:
    first = grocer_shop.release()
    second, third = grocer_shop.release(1), grocer_shop.release(2)
    assert admin.get("/api/releases/rollback", to=first)["withdraws"] == [third, second]
    body = {"reason": "back to Friday", "expected_live": third, "to": first}
    assert admin.post("/api/releases/rollback", body).json()["live"]["release"] == first


def test_a_decision_without_a_reason_is_refused(grocer_shop: Shop, admin: Visitor) -> None:
    grocer_shop.release()
    live = grocer_shop.release(1)
    for reason in ("", "  ", "no"):
        body = {"reason": reason, "expected_live": live}
        assert admin.post("/api/releases/rollback", body).status_code == 422


def test_a_held_release_is_released_by_a_steward(grocer_shop: Shop, admin: Visitor) -> None:
    grocer_shop.release()
    held = grocer_shop.release(1, verdict="hold", reasons=("recency_days: coverage is 0.2",))
    told = admin.get(f"/api/releases/{held}")
    assert (told["status"], told["reasons"]) == ("held", ["recency_days: coverage is 0.2"])
    answer = admin.post(f"/api/releases/{held}/activate", {"reason": "a known gap"})
    assert answer.status_code == 200, answer.text
    assert admin.get("/api/releases")["live"]["release"] == held
    again = admin.post(f"/api/releases/{held}/activate", {"reason": "a known gap"})
    assert again.status_code == 409


def test_metrics_are_given_as_text_to_one_who_is_signed_in(
    grocer_shop: Shop, viewer: Visitor
) -> None:
    live = grocer_shop.release()
    answer = viewer.client.get("/api/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    name = grocer_shop.deployment.catalog.business
    assert f'tagline_live_release{{business="{name}"}} {float(live)}\n' in answer.text
    assert answer.text.endswith("# EOF\n")
