"""The reasons of a score in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.made_panels import FEATURES, definition, panel

from tagline.definitions.tag import StatisticTag
from tagline.errors import ModelRefused
from tagline.training.contributions import Described, described, reasons, spoken
from tagline.training.fit import fit
from tagline.training.kinds.binary import answers

SPOKEN_OF = {
    "recency_days": Described(en="Days since", zh="距今天数", type="integer", unit="days"),
    "order_amount": Described(en="Amount", zh="金额", type="number", unit="currency"),
    "has_card": Described(en="Has a card", zh="有会员卡", type="boolean", unit=None),
    "region": Described(en="Region", zh="地区", type="text", unit=None),
}
USUAL = {"recency_days": 6.0, "order_amount": 20.5, "has_card": "false", "region": None}
ROWS = pd.DataFrame(
    {
        "recency_days": [43.0, 6.0],
        "order_amount": [1234.56, np.nan],
        "has_card": pd.Series(["true", "false"], dtype=object),
        "region": pd.Series([None, "south"], dtype=object),
    }
)


def test_the_largest_contributions_come_first_with_value_usual_value_and_direction() -> None:
    parts = np.array([[1.2, -0.3, -0.8, 0.1], [0.0, 0.04, -0.01, 0.06]])
    said = reasons(parts, ROWS, USUAL, SPOKEN_OF)
    assert said["en"] == [
        [
            "Days since: 43 (usually 6), raises it",
            "Has a card: yes (usually no), lowers it",
            "Amount: 1,235 (usually 20.5), lowers it",
        ],
        ["Region: south (usually none), raises it"],  # the others are too small to be reasons
    ]
    assert said["zh"][0][:2] == [
        "距今天数：43（通常6），推高",
        "有会员卡：是（通常否），拉低",
    ]


def test_what_is_small_or_as_usual_is_no_reason() -> None:
    parts = np.array([[0.01, 0.0, -0.04, 0.0], [0.9, 0.0, -0.7, 0.0]])
    assert reasons(parts, ROWS, USUAL, SPOKEN_OF) == {
        "en": [["Nothing is unusual"]] * 2,
        "zh": [["各项均与通常相同"]] * 2,
    }


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.347, "share", "35%"), (0.347, None, "0.35"), (12.04, None, "12"), (2500.4, None, "2,500")],
)
def test_numbers_are_said_with_three_digits_and_shares_in_percent(
    value: float, unit: str | None, text: str
) -> None:
    assert spoken(value, Described(en="A", zh="甲", type="number", unit=unit)) == text


def test_a_scored_customer_has_reasons_in_both_languages_that_follow_the_model() -> None:
    fitted = fit("logistic_regression", FEATURES, panel(1), SPOKEN_OF)
    rows = panel(2, rows=400).rows.assign(order_amount=2.0, region="south")
    rows.insert(0, "customer_id", [f"c{number}" for number in range(400)])
    told = answers(definition(), fitted.pipeline, rows)
    assert list(told) == ["customer_id", *definition().outputs]
    assert (told["class"] == (told["probability"] >= 0.5)).all()
    for said, chinese in zip(told["reasons"], told["reasons_zh"], strict=True):
        assert len(said) == len(chinese) >= 1
        assert said[0].startswith("Amount: 2 (usually ") and said[0].endswith("raises it")
        assert chinese[0].startswith("金额：2（通常")


def test_a_champion_of_an_older_kind_is_refused() -> None:
    fitted = fit("logistic_regression", FEATURES, panel(1, rows=200))
    rows = panel(2, rows=5).rows.assign(customer_id="c")
    for older in (fitted.pipeline, fitted.pipeline.model_):
        with pytest.raises(ModelRefused, match="train it again"):
            answers(definition(), older, rows)


def test_a_tag_is_described_by_its_names_type_and_unit() -> None:
    tag = StatisticTag.model_validate(
        {
            "name": {"en": "Orders", "zh": "订单数"},
            "description": "Made up.",
            "kind": "statistic",
            "owner": "crm",
            "table": "orders",
            "value": "count(*)",
            "type": "integer",
            "unit": "orders",
        }
    )
    assert described(tag) == {"en": "Orders", "zh": "订单数", "type": "integer", "unit": "orders"}
