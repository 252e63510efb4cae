"""Metrics: OpenMetrics text that a monitoring system can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tagline.cli import main
from tagline.metrics import metrics_text
from tagline.registry import Registry
from tagline.release import release

if TYPE_CHECKING:
    from tests.conftest import SmallShop

pytestmark = pytest.mark.slow
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
AT = datetime(2017, 10, 1, 6, tzinfo=UTC)
Figures = dict[tuple[str, ...], float]


def figures(registry: Registry, at: datetime) -> Figures:
    """Each sample by its name and its labels' values (by label), as a strict parser reads them."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = metrics_text(registry, "shop", at)
    found = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("business") == "shop"
            found[sample.name.removeprefix("tagline_"), *labels.values()] = sample.value
    return found


def test_without_a_release_there_are_only_counts_of_nothing(registry: Registry) -> None:
    found = figures(registry, AT)
    assert set(found.values()) == {0.0}
    assert ("held_releases",) in found
    assert ("live_release",) not in found


def test_figures_of_live_and_of_the_newest_run(shop: SmallShop) -> None:
    registry = shop.deployment.registry
    rows = [{"customer_id": str(number), "recency_days": number} for number in range(3)]
    shop.audited("r1", AS_OF, rows, unavailable={"segment": "no model"})
    release(shop.deployment, "r1", AT)
    shop.audited("r2", AS_OF + timedelta(days=1), rows, verdict="hold", reasons=["no customers"])
    release(shop.deployment, "r2", AT)
    registry.start_run("r3", AS_OF + timedelta(days=2), AT + timedelta(days=400))
    cleaned = {"tables": {"orders": {"rows": 9, "quarantined": {"negative_amount": 4}}}}
    registry.save_stage("r3", "clean", cleaned, 1.25)
    registry.finish_run("r3", "failed", AT, "the shop is closed")

    found = figures(registry, AT + timedelta(days=400, hours=1))
    assert found["live_release",] == 1
    assert found["live_age_seconds",] == (timedelta(days=400, hours=7)).total_seconds()
    assert found["customers",] == 3
    assert found["tags", "unavailable"] >= 1
    assert found["held_releases",] == 1
    assert found["runs", "released"] == found["runs", "held"] == found["runs", "failed"] == 1
    assert found["runs", "running"] == 0
    assert found["last_run_status", "failed"] == 1
    assert found["last_run_age_seconds",] == 3600
    assert found["last_run_stage_seconds", "clean"] == 1.25
    assert found["last_run_quarantined_rows", "negative_amount", "orders"] == 4


def test_a_held_release_whose_day_was_released_later_waits_no_more(shop: SmallShop) -> None:
    row = [{"customer_id": "1", "recency_days": 3}]
    shop.audited("r1", AS_OF, row, verdict="hold", reasons=["no customers"])
    release(shop.deployment, "r1", AT)
    assert figures(shop.deployment.registry, AT)["held_releases",] == 1
    shop.audited("r2", AS_OF, row)
    release(shop.deployment, "r2", AT)
    assert figures(shop.deployment.registry, AT)["held_releases",] == 0


def test_the_command_replaces_a_file_as_a_whole(
    shop: SmallShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = shop.deployment.settings
    assert chosen.database_url is not None
    monkeypatch.setenv("TAGLINE_HOME", str(chosen.home_path))
    monkeypatch.setenv("TAGLINE_DATABASE_URL", chosen.database_url)
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "tagline.prom"
    file.write_text("of an hour ago")
    with pytest.raises(SystemExit) as ended:
        main(["--business", chosen.business, "metrics", "--to", str(file)])
    assert not ended.value.code
    assert file.read_text().endswith("# EOF\n")
    assert list(file.parent.iterdir()) == [file]
