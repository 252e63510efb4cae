"""Who may ask the portal what, and that no other site can make it change something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastapi import FastAPI
    from tests.portal.conftest import Shop, Visitor

pytestmark = pytest.mark.slow
ROLLBACK = {"reason": "wrong prices", "expected_live": 2}


def addresses(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path that the portal has a route for, with some that it has not."""
    from fastapi.routing import APIRoute

    from tagline_airflow.portal.pages import files

    found = [
        (method, re.sub(r"\{[^}]+\}", "1", route.path))
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]
    assert len(found) > 20
    found += [("GET", f"/static/{name}") for name in files()]
    return [*found, ("GET", "/nothing"), ("PUT", "/api/releases"), ("GET", "/static/../secret")]


def test_every_route_answers_401_to_one_who_is_not_signed_in(
    app: FastAPI, stranger: Visitor
) -> None:
    answers = {
        (method, path): stranger.client.request(method, path).status_code
        for method, path in addresses(app)
    }
    assert set(answers.values()) == {401}, answers


def test_a_forged_token_is_refused(app: FastAPI, stranger: Visitor) -> None:
    headers = {"authorization": "Bearer eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.forged"}
    for method, path in addresses(app):
        assert stranger.client.request(method, path, headers=headers).status_code == 403


def test_an_address_that_is_none_is_404_for_one_who_is_signed_in(viewer: Visitor) -> None:
    for path in ("/nothing", "/static/nothing.js", "/static/../application.py", "/docs"):
        assert viewer.client.get(path).status_code == 404, path


def test_every_answer_forbids_the_browser_to_load_from_elsewhere(
    viewer: Visitor, stranger: Visitor
) -> None:
    for answer in (
        viewer.client.get("/"),
        viewer.client.get("/nothing"),
        viewer.client.get("/api/tags/nothing"),
        stranger.client.get("/"),
    ):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_viewer_sees_everything_but_changes_nothing(grocer_shop: Shop, viewer: Visitor) -> None:
    grocer_shop.release()
    live = grocer_shop.release(1)
    assert viewer.get("/api/session")["may_change"] is False
    assert viewer.get("/api/releases")["live"]["release"] == live
    assert viewer.post("/api/releases/rollback", ROLLBACK).status_code == 403
    assert viewer.post("/api/releases/1/activate", {"reason": "because"}).status_code == 403
    assert viewer.get("/api/releases")["live"]["release"] == live


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_tagline_portal": None}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_a_change_that_another_site_may_have_sent_is_refused(
    grocer_shop: Shop, admin: Visitor, headers: dict[str, str | None], status: int
) -> None:
    grocer_shop.release()
    live = grocer_shop.release(1)
    answer = admin.post("/api/releases/rollback", ROLLBACK, **headers)
    assert answer.status_code == status, answer.text
    assert admin.get("/api/releases")["live"]["release"] == live


def test_a_preflight_of_another_origin_grants_nothing(admin: Visitor) -> None:
    answer = admin.client.options(
        "/api/releases/rollback",
        headers={
            "origin": "https://elsewhere.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-tagline-portal",
        },
    )
    assert answer.status_code == 404
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_restricted_values_are_shown_only_to_who_may_change_releases(
    grocer_shop: Shop, admin: Visitor, viewer: Visitor
) -> None:
    grocer_shop.release()
    for who, sees in ((admin, True), (viewer, False)):
        profile = who.get("/api/profile", customer_id="c001")
        income = next(tag for tag in profile["tags"] if tag["slug"] == "income_band")
        assert (income["value"] == "35-49K") is sees
        assert income["hidden"] is not sees
        spread = who.get("/api/tags/income_band/distribution")
        assert (spread["shape"] == "values") is sees
        page = who.get("/api/tags/income_band")
        assert (page["figures"] is not None) is sees
        assert page["definition"].startswith("name:")
    assert "35-49K" not in viewer.client.get("/api/profile?customer_id=c001").text
