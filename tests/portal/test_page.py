"""The page's files: both languages say the same, and nothing comes from anywhere else."""

from __future__ import annotations

import json
import re

import pytest

from tagline_airflow.portal.pages import FOLDER

SCRIPTS = {path.name: path.read_text("utf-8") for path in FOLDER.rglob("*.js")}
TEXTS = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (FOLDER / "languages").glob("*.json")
}
FAMILIES = ("kind", "state", "verdict", "status", "type", "polarity", "sensitivity", "life")


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert set(TEXTS) == {"en", "zh"}
    assert list(TEXTS["en"]) == list(TEXTS["zh"])


def test_both_languages_fill_the_same_places() -> None:
    for key, english in TEXTS["en"].items():
        places = re.findall(r"\{(\w+)\}", english)
        assert sorted(places) == sorted(re.findall(r"\{(\w+)\}", TEXTS["zh"][key])), key
        assert english.strip()
        assert TEXTS["zh"][key].strip()


def test_every_text_that_a_script_names_exists() -> None:
    for name, script in SCRIPTS.items():
        for key in re.findall(r"""\bt(?:Or)?\(\s*"([^"]+)\"""", script):
            assert key in TEXTS["en"], f"{name} asks for {key!r}"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_text_of_a_family_exists(family: str) -> None:
    from tagline.definitions import DataType

    known = {
        "kind": ["extraction", "statistic", "rank", "rule", "model"],
        "state": ["current", "withheld", "unavailable", "unreleased"],
        "verdict": ["pass", "warn", "withhold", "hold", "pass.means", "warn.means", "hold.means"],
        "status": ["live", "active", "held", "superseded", "withdrawn"],
        "type": [kind.value for kind in DataType],
        "polarity": ["positive", "negative", "special"],
        "sensitivity": ["open", "internal", "restricted"],
        "life": ["draft", "in_review", "shadow", "live", "deprecated", "retired", "rejected"],
    }
    for name in known[family]:
        assert f"{family}.{name}" in TEXTS["en"]


def test_no_file_names_another_host() -> None:
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            found = re.findall(r"(?:https?:)?//[\w.]+\.\w+[\w/]*", path.read_text("utf-8"))
            hosts = [it for it in found if "www.w3.org" not in it]
            assert not hosts, f"{path.name}: {hosts}"


def test_no_value_can_become_markup() -> None:
    for name, script in SCRIPTS.items():
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in script, f"{name} uses {way}"
