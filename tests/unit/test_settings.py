"""Settings come from the environment, and a misspelt one is not ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagline.errors import WrongUsage
from tagline.settings import PROJECT, Settings


def test_a_misspelt_variable_is_refused_with_the_right_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGLINE_BUSINES", "gift_shop")
    with pytest.raises(WrongUsage, match="Did you mean TAGLINE_BUSINESS"):
        Settings()


def test_a_variable_of_a_source_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGLINE_CORNER_SHOP_DATA", "/data")
    assert Settings(business="corner_shop").business == "corner_shop"


def test_each_business_has_a_home_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TAGLINE_HOME", raising=False)
    assert Settings(business="grocer").home_path == PROJECT / ".tagline" / "grocer"
    assert Settings(home=tmp_path).home_path == tmp_path
