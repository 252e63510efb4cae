"""Follows README and guides to the letter: writes their files and runs their commands.

A task between two groups is added and run in test_airflow.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.definition_copies import copied_definitions

from tagline.settings import PROJECT

if TYPE_CHECKING:
    from tests.documents import Block, blocks
else:
    from documents import Block, blocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
README = PROJECT / "README.md"
ADD_A_TAG = PROJECT / "docs" / "add-a-tag.md"
ADD_A_SOURCE = PROJECT / "docs" / "add-a-source.md"


@dataclass(frozen=True)
class Reader:
    """Someone with a copy of the definitions, a home of their own, and a shell."""

    project: Path

    def do(self, page: Path, section: str) -> str:
        """Follow a section of a page: write its files, run its commands; what they print."""
        said = ""
        for block in blocks(page):
            if block.section == section:
                said += self.follow(block)
        return said

    def follow(self, block: Block) -> str:
        """Write a block, or run it; a command that fails ends the test with what it said."""
        if block.path:
            block.write(self.project)
        if block.language != "sh":
            return ""
        done = self.run(block.text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run lines of a shell with `tagline` on the path."""
        programs = Path(sys.executable).parent
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.project,
            env=os.environ
            | {
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "TAGLINE_DEFINITIONS": str(self.project / "include"),
                "TAGLINE_HOME": str(self.project / "home"),
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """A reader with a short path, for the sake of the database's socket."""
    folder = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))
    copied_definitions(folder / "include")
    yield Reader(folder)
    shutil.rmtree(folder, ignore_errors=True)


def row(said: str, tag: str) -> str:
    """The line of a tag in what `tagline profile` printed."""
    found = re.findall(rf"^ {tag} .*$", said, flags=re.MULTILINE)
    assert found, said
    return str(found[0])


def test_the_readme_adds_a_tag_that_is_released_and_read(reader: Reader) -> None:
    said = reader.do(README, "Add a tag in five minutes")
    assert "definitions are good" in said
    assert re.search(r"status +released", said)
    assert re.search(r"coupon_order_count_90d +\d+ ", row(said, "coupon_order_count_90d"))
    assert re.search(r"^\d+ customers in release 1 ", said, flags=re.MULTILINE)


def test_the_guide_adds_a_tag_of_each_kind(reader: Reader) -> None:
    """Goes on from the README's tag, as the guide does."""
    said = ""
    for block in blocks(ADD_A_TAG):
        said += reader.follow(block)
    assert re.search(r"Used coupons in (only )?\d+ of \d+ orders", row(said, "is_coupon_user"))
    assert re.search(r"basket_decile +\d", row(said, "basket_decile"))
    assert re.search(r"first_order_date +2017-", row(said, "first_order_date"))
    assert re.search(r"coupon_store +\d*", row(said, "coupon_store"))
    assert re.search(r"is_coupon_user +changed +standard coupon_user_orders: 3 → 4 ", said)
    assert "differences written to effect.parquet" in said


def test_the_guide_adds_a_shop_from_files_of_its_own(reader: Reader) -> None:
    home = Reader(reader.project / "shop")
    shutil.copytree(reader.project / "include", home.project / "include")
    said = "".join(home.do(ADD_A_SOURCE, section) for section in SECTIONS)
    assert re.search(r"^ customers +3 *$", said, flags=re.MULTILINE)
    assert re.search(r"order_amount_30d +59.5 ", row(said, "order_amount_30d"))
    assert "no rows are quarantined" in said
    page = ADD_A_SOURCE.read_text("utf-8")
    (quoted,) = re.findall(r"`(no data for [^`]+)`", page)
    later = home.run(
        "export CORNER_SHOP=$PWD/deliveries\ntagline --business corner_shop run --as-of 2026-03-04"
    )
    assert (later.returncode, quoted in later.stderr) == (4, True)


def test_the_guide_gives_the_shop_a_new_canonical_column(reader: Reader) -> None:
    """Goes on from the shop's first run, as the guide does."""
    home = Reader(reader.project / "shop")
    said = home.do(ADD_A_SOURCE, "A new canonical column")
    assert "definitions are good" in said
    assert re.search(r"^2 customers in release 2 as of 2026-03-03 ", said, flags=re.MULTILINE)
    page = ADD_A_SOURCE.read_text("utf-8")
    (quoted,) = re.findall(r"`(grocer has no column [^`]+)`", page)
    assert quoted in home.run("tagline tags").stdout


SECTIONS = ("Deliveries", "The source", "SQL to canonical tables", "The business", "Run it")
