"""What several system tests share: a Chromium that tells what went wrong, and a crane world."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement
    from tests.crane_world import CraneWorld

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-GB",
    "--window-size=1440,960",
)
SCREENSHOTS = "TAGLINE_SCREENSHOTS"  # a folder to put pictures of the pages into
T = TypeVar("T")


@dataclass
class Browser:
    """A browser at one site; `requests` and `errors` are all that it has told so far."""

    driver: Chrome
    site: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to an address of the site."""
        self.driver.get(self.site + path)

    def find(self, selector: str, text: str | None = None, seconds: float = 40) -> WebElement:
        """The first element, once it is there and shown, by CSS selector and part of its text."""

        def look() -> WebElement | None:
            for element in self.driver.find_elements("css selector", selector):
                if element.is_displayed() and (text is None or text in element.text):
                    return element
            return None

        return self.until(look, f"{selector} {text or ''}", seconds)

    def click(self, selector: str, text: str | None = None) -> None:
        """Click an element once it is there."""
        self.find(selector, text).click()

    def has(self, selector: str) -> bool:
        """Whether there is such an element now."""
        return bool(self.driver.find_elements("css selector", selector))

    def until(self, look: Callable[[], T | None], what: str, seconds: float = 40) -> T:
        """What `look` finds, as soon as it finds something."""
        from selenium.common.exceptions import WebDriverException

        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                found = look()
            except WebDriverException:  # the page is being replaced
                found = None
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"not found: {what}; the page says: {self.text()[:600]}")

    def text(self) -> str:
        """All text of the page."""
        return self.driver.find_element("tag name", "body").text

    def enter(self) -> None:
        """Look inside the frame that Airflow shows the portal in."""
        self.driver.switch_to.default_content()
        frame = self.until(
            lambda: next(iter(self.driver.find_elements("css selector", "iframe")), None), "iframe"
        )
        self.driver.switch_to.frame(frame)
        self.find("h1")

    def picture(self, name: str) -> None:
        """Keep a picture of the page, if a folder for pictures is named."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            time.sleep(0.5)  # what fades in is then in
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def collect(self) -> None:
        """Take over what the browser has logged since the last time."""
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message: dict[str, Any] = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        for entry in self.driver.get_log("browser"):  # type: ignore[no-untyped-call]
            if entry["level"] == "SEVERE":
                self.errors.append(entry["message"])

    def other_hosts(self) -> set[str]:
        """Hosts that were asked for something and are not the site's."""
        self.collect()
        own = urlsplit(self.site).netloc
        asked = {urlsplit(url) for url in self.requests}
        return {url.netloc for url in asked if url.scheme.startswith(("http", "ws"))} - {own}


@contextmanager
def _browser(site: str) -> Iterator[Browser]:
    """A fresh browser with a profile of its own."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    with tempfile.TemporaryDirectory(prefix="tl", ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = program or ""
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        chrome = Chrome(options=options, service=ChromeService(driver))
        try:
            yield Browser(chrome, site)
        finally:
            chrome.quit()


@pytest.fixture(scope="session")
def browser() -> Callable[[str], AbstractContextManager[Browser]]:
    """Opens a fresh browser at a site; a test that has none is skipped, saying how to get it."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    return _browser


@pytest.fixture(scope="session")
def cranes(tmp_path_factory: pytest.TempPathFactory) -> CraneWorld:
    """The crane maker after three years, a fifth of its size, with its identity resolved."""
    from tests.crane_identity import resolve_identity
    from tests.crane_world import crane_world

    world = crane_world(tmp_path_factory.mktemp("cranes"), customers=400, machines=1000)
    resolve_identity(world)
    return world
