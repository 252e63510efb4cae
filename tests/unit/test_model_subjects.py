"""A model is of one subject: what its file, its query and its tags may name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tagline.catalog import load_catalog
from tagline.errors import DefinitionError
from tagline.settings import PROJECT

MODEL = "models/win_probability.yaml"
LABEL = "sql/labels/won_90d.sql"
COUNT = "tags/accounts/firm/open_opportunity_count.yaml"
OUTPUT = "tags/opportunities/deal/is_likely_won.yaml"


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "tests" / "crm", tmp_path / "definitions")
    return tmp_path / "definitions"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            MODEL,
            "  - opportunity_age_days",
            "  - open_opportunity_count",
            "open_opportunity_count is a tag of each customer; the model is of each opportunity",
        ),
        (
            MODEL,
            "population: opportunity_stage = 'engaging'",
            "population: open_opportunity_count > 0",
            "open_opportunity_count is a tag of each customer; the model is of each opportunity",
        ),
        (
            MODEL,
            "rule: {tag: opportunity_amount",
            "rule: {tag: open_opportunity_count",
            "open_opportunity_count is a tag of each customer; the model is of each opportunity",
        ),
        (
            LABEL,
            "  opportunity_id,",
            "  customer_id,",
            "a query of this label returns opportunity_id and label",
        ),
        (
            COUNT,
            "opportunity_stage = 'engaging'",
            "is_likely_won",
            "is_likely_won is made from a model's output, which comes after all statistics",
        ),
        (
            COUNT,
            "opportunity_stage = 'engaging'",
            "next_step = 'revive'",
            "next_step is made from a model's output, which comes after all statistics",
        ),
    ],
)
def test_what_is_of_another_subject_or_made_too_late_is_a_fault(
    definitions: Path, file: str, old: str, new: str, said: str
) -> None:
    text = (definitions / file).read_text("utf-8")
    assert old in text
    (definitions / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(DefinitionError) as raised:
        load_catalog(definitions, "hardware")
    assert any(fault.path == file and said in fault.message for fault in raised.value.faults), (
        raised.value
    )


def test_a_tag_cannot_be_the_output_of_a_model_of_another_subject(definitions: Path) -> None:
    (definitions / OUTPUT).rename(definitions / "tags/accounts/firm/is_likely_won.yaml")
    with pytest.raises(DefinitionError, match="tells of each opportunity, not of each customer"):
        load_catalog(definitions, "hardware")
