"""What the portal holds open, what it forgets, and what the rest of Airflow pays for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.definition_copies import copied_definitions

from tagline.serve.sensitivity import restricted
from tagline.settings import PROJECT, Settings
from tagline_airflow.portal import opened as module
from tagline_airflow.portal.opened import Opened

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.registry import Registry


def test_airflow_learns_of_the_portal_without_importing_it() -> None:
    program = (
        "import sys; from tagline_airflow.portal.mount import FASTAPI_APP, NAV_ENTRY; "
        "print([m for m in ('fastapi', 'sqlalchemy', 'tagline.catalog') if m in sys.modules])"
    )
    path = f"{PROJECT / 'include'}:{PROJECT / 'plugins'}"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_a_changed_definition_is_seen_and_a_faulty_one_leaves_the_last_good_catalog(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "definitions"
    copied_definitions(root)
    here = settings.model_copy(update={"definitions": root, "business": "grocer"})
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)
    opened = Opened(here)
    try:
        before = opened.catalog
        assert opened.catalog is before
        file = root / before.tag("recency_days").path
        good = file.read_text()
        file.write_text(good.replace("owner: crm", "owner: sales"))
        assert opened.catalog.tag("recency_days").definition.owner == "sales"
        file.write_text(good + "unknown_key: 1\n")
        assert opened.catalog.tag("recency_days").definition.owner == "sales"
        assert "unknown_key" in str(opened.faults[0])
        file.write_text(good)
        assert opened.catalog.tag("recency_days").definition.owner == "crm"
        assert opened.faults == ()
    finally:
        opened.close()


def test_the_reason_of_a_rule_that_reads_a_restricted_tag_is_restricted_too(
    grocer: Catalog,
) -> None:
    secret = grocer.tag("has_kids")
    definition = secret.definition.model_copy(update={"sensitivity": "restricted"})
    tags = {**grocer.tags, "has_kids": replace(secret, definition=definition)}
    found = restricted(replace(grocer, tags=tags), cast("Registry", None), {})
    assert "has_kids" in found.values
    assert "life_stage" not in found.values
    assert {"has_kids", "life_stage"} <= found.reasons
    assert "activity_status" not in found.reasons
