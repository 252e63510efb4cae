"""Back up and restore: what is refused, and what a backup waits for."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tagline.backup import BackupRefused, back_up, dumps, restore
from tagline.release import release
from tagline.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import SmallShop

pytestmark = pytest.mark.slow
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
AT = datetime(2017, 12, 1, 12, tzinfo=UTC)
ROWS = [{"customer_id": "1", "recency_days": 3}]


def released(shop: SmallShop) -> Path:
    """Release a candidate that lies in the home; its file."""
    made = Path(shop.audited("r1", AS_OF, ROWS))
    file = shop.deployment.settings.home_path / "candidates" / made.name
    file.parent.mkdir(parents=True, exist_ok=True)
    made.rename(file)
    score = {"path": str(file), "rows": 1, "models": {}, "unavailable": {}}
    shop.deployment.registry.save_stage("r1", "score", score, 0.1)
    release(shop.deployment, "r1", AT)
    return file


def test_a_backup_waits_for_the_step_under_way(
    shop: SmallShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released(shop)
    settings, registry = shop.deployment.settings, shop.deployment.registry
    monkeypatch.setattr(dumps, "PATIENCE", "100ms")
    with (
        registry.lock("clean:orders"),
        pytest.raises(BackupRefused, match="back up again when the run has ended"),
    ):
        back_up(settings, tmp_path / "one", AT)
    made = back_up(settings, tmp_path / "two", AT)
    assert made.databases == ("registry", "lake", "profiles")
    with registry.lock("clean:orders"):  # and holds back no step after it
        pass


def test_a_file_that_rows_name_and_that_is_gone_is_refused(shop: SmallShop, tmp_path: Path) -> None:
    file = released(shop)
    file.unlink()
    with pytest.raises(BackupRefused, match=rf"{file.name} is named by the databases"):
        back_up(shop.deployment.settings, tmp_path / "backup", AT)
    with pytest.raises(BackupRefused, match="no whole backup"):
        restore(shop.deployment.settings, tmp_path / "backup")


def test_databases_and_homes_that_hold_something_are_left_as_they_are(
    shop: SmallShop, tmp_path: Path
) -> None:
    released(shop)
    settings, backup = shop.deployment.settings, tmp_path / "backup"
    back_up(settings, backup, AT)
    with pytest.raises(BackupRefused, match="is not empty; name a new folder"):
        back_up(settings, backup, AT)
    with pytest.raises(BackupRefused, match="lies in the home"):
        back_up(settings, settings.home_path / "backup", AT)
    with pytest.raises(BackupRefused, match="home is not empty"):
        restore(settings, backup)
    shutil.rmtree(settings.home_path)
    with pytest.raises(BackupRefused, match=f"{settings.business}_registry.* are not empty"):
        restore(settings, backup)
    assert not settings.home_path.exists()
    elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    with pytest.raises(BackupRefused, match=f"set TAGLINE_HOME={settings.home_path}"):
        restore(elsewhere, backup)


def test_a_business_without_a_registry_has_nothing_to_back_up(
    settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BackupRefused, match="nothing to back up"):
        back_up(settings, tmp_path / "backup", AT)
    assert not (tmp_path / "backup").exists()


def test_of_a_lake_in_an_object_store_only_the_databases_are_kept(
    shop: SmallShop, tmp_path: Path
) -> None:
    chosen: Settings = shop.deployment.settings
    stored = chosen.model_copy(update={"lake_url": "s3://bucket/lake"})
    made = back_up(stored, tmp_path / "backup", AT)
    assert not made.has_lake
    assert "registry" in made.databases
    assert not (tmp_path / "backup" / "lake").exists()
