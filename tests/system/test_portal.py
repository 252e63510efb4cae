"""The portal as people meet it: a real Airflow, real releases, a real browser."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import run_day
from tagline.servers.stack import running
from tagline.settings import Settings

if TYPE_CHECKING:
    from tests.system.conftest import Browser

    OpenBrowser = Callable[[str], AbstractContextManager[Browser]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    # Selenium and its websocket client leave sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
DAYS = [datetime(2017, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
USERS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
PORTAL = "/tagline"
READ = (
    "/",
    "/static/main.js",
    "/static/languages/zh.json",
    "/api/session",
    "/api/catalogue",
    "/api/tags/recency_days",
    "/api/tags/recency_days/distribution",
    "/api/customers",
    "/api/profile?customer_id=1",
    "/api/releases",
    "/api/releases/1",
    "/api/releases/1/changes",
    "/api/releases/rollback",
    "/nothing",
)


@dataclass(frozen=True)
class Site:
    """A running Airflow with the portal, and the deployment that it shows."""

    url: str
    passwords: dict[str, str]
    deployment: Deployment

    def token(self, user: str) -> dict[str, str]:
        """A header with an API token of a user."""
        body = {"username": user, "password": self.passwords[user]}
        answer = requests.post(f"{self.url}/auth/token", json=body, timeout=30)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def live(self) -> int:
        """The live release."""
        found = self.deployment.registry.live()
        assert found is not None
        return found.id


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Three released days, then Airflow with an admin and a viewer."""
    home = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))  # a socket path must be short
    settings = Settings(home=home)
    os.environ[USERS] = "admin:admin,viewer:viewer"
    try:
        with open_deployment(settings) as deployment:
            for day in DAYS:
                run_day(deployment, day, f"by-hand-{day:%d}", lambda: datetime.now(UTC))
            with running(settings, print) as stack:
                file = home / "airflow" / "simple_auth_manager_passwords.json.generated"
                yield Site(stack.airflow.url, json.loads(file.read_text()), deployment)
    finally:
        del os.environ[USERS]
        shutil.rmtree(home, ignore_errors=True)


def sign_in(page: Browser, site: Site, user: str) -> None:
    """Sign in to Airflow by its form."""
    page.open("/")
    page.find("input[name=username]").send_keys(user)
    page.find("input[name=password]").send_keys(site.passwords[user])
    page.click("button[type=submit]")
    page.find("a[href$='/plugin/tags']")
    page.collect()
    page.errors.clear()  # Airflow itself asks for things before it knows who is there


def open_tags(page: Browser) -> None:
    """Open the portal by its entry in Airflow's navigation."""
    page.click("a[href$='/plugin/tags']")
    page.enter()
    page.find("h1", "Tags")


def test_a_steward_looks_at_tags_and_customers_and_rolls_a_release_back(
    site: Site, browser: OpenBrowser
) -> None:
    before = site.live()
    with browser(site.url) as page:
        sign_in(page, site, "admin")
        assert "Tags 标签" in page.text()
        open_tags(page)
        page.picture("catalogue-en")
        page.find("#search").send_keys("activity status")
        page.click("a.tag-card", "Activity status")
        page.find("h1", "Activity status")
        page.find("#distribution .bar-row", "active")
        page.find("svg.chart")
        page.picture("tag-en")
        page.click("summary", "lines")
        assert "recency_days" in page.find("pre").text

        page.click("nav a", "Customers")
        page.find("#customer").send_keys("1")
        page.click("button.primary")
        page.find("h1", "Customer 1")
        page.find(".profile li", "The last order was")
        page.picture("customer-en")

        page.click("#language-zh")
        page.find("h1", "客户 1")
        page.picture("customer-zh")
        page.driver.refresh()
        page.enter()
        page.find("h1", "标签目录")
        assert page.driver.find_element("tag name", "html").get_attribute("lang") == "zh-CN"
        page.picture("catalogue-zh")
        page.click("a.tag-card", "近90天消费金额")
        page.find("#distribution svg")
        page.picture("tag-zh")
        page.click("nav a", "发布")
        page.find("h1", "发布")
        page.picture("releases-zh")
        page.click("#language-en")
        page.find("h1", "Releases")

        page.driver.execute_script(
            "const outer = window.parent.document.documentElement;"
            "outer.classList.remove('light'); outer.classList.add('dark');"
        )
        page.find(":root[data-theme=dark]")
        page.picture("releases-dark")

        page.click("#rollback")
        page.click("#confirm")  # without a reason nothing happens
        assert site.live() == before
        page.find("#reason").send_keys("prices of that day were wrong")
        page.picture("rollback-en")
        page.click("#confirm")
        page.find("#notice.shown", "is live")
        page.find(".live-card", "2 Mar 2017")
        page.picture("releases-after-rollback")
        after = site.live()
        assert after < before
        page.click(".releases a", f"release {before}")
        page.find(".badge", "withdrawn")
        page.find(".events li", "prices of that day were wrong")
        page.find("#changes table")
        page.picture("release-en")
        page.click("#activate")
        page.find("#reason").send_keys("they were right after all")
        page.click("#confirm")
        page.find(".badge", "live")
        assert site.live() == before

        assert page.other_hosts() == set()
        assert page.errors == []
        assert any("/tagline/api/profile" in url for url in page.requests)


def test_without_a_login_every_route_is_401(site: Site) -> None:
    answers = {path: requests.get(site.url + PORTAL + path, timeout=30) for path in READ}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(
        READ, 401
    )
    for path in ("/api/releases/rollback", "/api/releases/1/activate", "/nothing"):
        answer = requests.post(site.url + PORTAL + path, json={}, timeout=30)
        assert answer.status_code == 401


def test_a_viewer_may_look_but_is_refused_a_rollback(site: Site, browser: OpenBrowser) -> None:
    live = site.live()
    token = site.token("viewer")
    for path in READ[:-1]:
        assert requests.get(site.url + PORTAL + path, headers=token, timeout=60).ok, path
    answer = requests.post(
        f"{site.url}{PORTAL}/api/releases/rollback",
        json={"reason": "because", "expected_live": live},
        headers=token | {"X-Tagline-Portal": "1"},
        timeout=30,
    )
    assert answer.status_code == 403
    assert site.live() == live
    with browser(site.url) as page:
        sign_in(page, site, "viewer")
        open_tags(page)
        page.click("nav a", "Releases")
        page.find(".live-card")
        assert not page.has("#rollback")
        assert "You may look" in page.text()
        page.picture("releases-viewer")
        assert page.other_hosts() == set()
        assert page.errors == []


def test_a_profile_over_http_takes_a_few_milliseconds(site: Site) -> None:
    session = requests.Session()
    session.headers.update(site.token("viewer"))
    address = f"{site.url}{PORTAL}/api/profile"
    took = sorted(
        session.get(address, params={"customer_id": number}, timeout=30).elapsed
        for number in (*range(1, 30), *range(1, 30))
    )
    print(f"median {took[len(took) // 2]}, fastest {took[0]}")
    assert took[len(took) // 2] < timedelta(milliseconds=100)  # of a machine that is busy
