"""Rows in, rows out: the SQL of the grocer's source on rows written by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

RunSql = Callable[..., list[dict[str, Any]]]


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2017, 3, day, hour, minute, tzinfo=UTC)


def line(**given: Any) -> dict[str, Any]:
    return {
        "household_id": 7,
        "store_id": 330,
        "basket_id": 1001,
        "product_id": 50,
        "quantity": 1,
        "sales_value": 1.0,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "week": 9,
        "transaction_timestamp": at(2, 10),
        **given,
    }


def by(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows), f"{key} is not unique"
    return found


def test_a_basket_becomes_one_order_with_the_sum_of_all_its_lines(source_sql: RunSql) -> None:
    lines = [
        line(product_id=50, sales_value=0.1, retail_disc=0.5),
        line(product_id=51, sales_value=0.2, coupon_disc=0.15, coupon_match_disc=0.05),
        line(product_id=52, sales_value=3.0, quantity=0),
        line(product_id=53, sales_value=0.0, quantity=2),
    ]
    (order,) = source_sql("complete_journey", "orders", transactions=lines)
    assert order == {
        "order_id": "1001",
        "customer_key": "7",
        "ordered_at": at(2, 10),
        "status": "placed",
        "amount": 3.3,
        "discount_amount": 0.55,
        "coupon_amount": 0.15,
        "line_count": 4,
        "store_id": "330",
    }


def test_an_order_of_amount_zero_is_an_order(source_sql: RunSql) -> None:
    lines = [line(sales_value=0.0, quantity=0)]
    (order,) = source_sql("complete_journey", "orders", transactions=lines)
    assert (order["amount"], order["line_count"]) == (0.0, 1)


def test_an_order_is_dated_by_its_first_line(source_sql: RunSql) -> None:
    lines = [
        line(product_id=50, transaction_timestamp=at(2, 10, 5)),
        line(product_id=51, transaction_timestamp=at(2, 10, 1)),
    ]
    (order,) = source_sql("complete_journey", "orders", transactions=lines)
    assert order["ordered_at"] == at(2, 10, 1)


def test_baskets_of_one_household_at_one_instant_are_two_orders(source_sql: RunSql) -> None:
    lines = [line(basket_id=1001), line(basket_id=1002, sales_value=2.5)]
    orders = by(source_sql("complete_journey", "orders", transactions=lines), "order_id")
    assert {key: order["amount"] for key, order in orders.items()} == {"1001": 1.0, "1002": 2.5}


def test_the_amount_of_an_order_is_exact_in_any_order_of_lines(source_sql: RunSql) -> None:
    lines = [line(product_id=number, sales_value=0.1 * (number % 9)) for number in range(90)]
    (one,) = source_sql("complete_journey", "orders", transactions=lines)
    (other,) = source_sql("complete_journey", "orders", transactions=lines[::-1])
    assert one["amount"] == other["amount"] == 36.0


def test_each_line_stays_also_with_quantity_or_amount_zero(source_sql: RunSql) -> None:
    lines = [line(product_id=50, quantity=0), line(product_id=51, sales_value=0.0)]
    found = by(source_sql("complete_journey", "order_lines", transactions=lines), "product_id")
    assert (found["50"]["quantity"], found["50"]["amount"]) == (0, 1.0)
    assert (found["51"]["quantity"], found["51"]["amount"]) == (1, 0.0)


def test_a_line_carries_its_order_its_customer_and_its_discounts(source_sql: RunSql) -> None:
    lines = [line(retail_disc=0.4, coupon_disc=0.3, coupon_match_disc=0.2, quantity=3)]
    (found,) = source_sql("complete_journey", "order_lines", transactions=lines)
    assert found == {
        "order_id": "1001",
        "product_id": "50",
        "line": "1",
        "customer_key": "7",
        "ordered_at": at(2, 10),
        "status": "placed",
        "quantity": 3,
        "amount": 1.0,
        "retail_discount": 0.4,
        "coupon_match_discount": 0.2,
        "coupon_discount": 0.3,
        "store_id": "330",
    }


def test_a_customer_is_a_household_since_its_first_transaction(source_sql: RunSql) -> None:
    lines = [
        line(transaction_timestamp=at(9)),
        line(basket_id=1002, transaction_timestamp=at(4)),
        line(household_id=8, basket_id=1003, transaction_timestamp=at(5)),
    ]
    known = [
        {
            "household_id": 7,
            "age": "35-44",
            "income": "50-74K",
            "marital_status": "Married",
            "household_size": "4",
            "household_comp": "2 Adults Kids",
            "kids_count": "2",
        },
        {"household_id": 9, "age": "65+"},
    ]
    found = by(
        source_sql("complete_journey", "customers", transactions=lines, demographics=known),
        "customer_id",
    )
    assert set(found) == {"7", "8"}, "a household without transactions is no customer yet"
    assert found["7"] == {
        "customer_id": "7",
        "since_at": at(4),
        "age_band": "35-44",
        "income_band": "50-74K",
        "home_ownership": None,
        "marital_status": "Married",
        "household_size": "4",
        "household_type": "2 Adults Kids",
        "kids_count": "2",
    }
    assert found["8"]["since_at"] == at(5)
    assert found["8"]["age_band"] is None


def test_every_household_of_any_table_has_one_identity(source_sql: RunSql) -> None:
    found = source_sql(
        "complete_journey",
        "identity",
        transactions=[line(), line(basket_id=1002)],
        demographics=[{"household_id": 8}, {"household_id": 7}],
        campaigns=[{"campaign_id": 1, "household_id": 9}],
        coupon_redemptions=[{"campaign_id": 1, "household_id": 10}],
    )
    assert {row["customer_key"]: row["customer_id"] for row in by(found, "customer_key").values()} \
        == {"7": "7", "8": "8", "9": "9", "10": "10"}  # fmt: skip


def test_a_product_keeps_its_place_in_the_assortment(source_sql: RunSql) -> None:
    raw = {
        "product_id": 25671,
        "manufacturer_id": 2,
        "department": "GROCERY",
        "brand": "National",
        "product_category": "FRZN ICE",
        "product_type": "ICE - CRUSHED/CUBED",
        "package_size": "22 LB",
    }
    (found,) = source_sql("complete_journey", "products", products=[raw])
    assert found == {
        "product_id": "25671",
        "department": "GROCERY",
        "category": "FRZN ICE",
        "subcategory": "ICE - CRUSHED/CUBED",
        "brand": "National",
        "manufacturer": "2",
        "package_size": "22 LB",
    }


def test_a_household_is_contacted_on_the_first_day_of_its_campaign(source_sql: RunSql) -> None:
    (found,) = source_sql(
        "complete_journey",
        "interactions",
        campaigns=[{"campaign_id": 26, "household_id": 7}],
        campaign_descriptions=[
            {"campaign_id": 26, "campaign_type": "Type B", "start_date": at(1), "end_date": at(20)}
        ],
    )
    assert found == {
        "interaction_id": "contact-26-7",
        "customer_key": "7",
        "happened_at": at(1),
        "kind": "contact",
        "channel": "mail",
        "campaign": "26",
        "campaign_type": "Type B",
        "offer": None,
    }


def test_each_redeemed_coupon_is_an_interaction_of_its_own(source_sql: RunSql) -> None:
    redeemed = {"household_id": 7, "campaign_id": 26, "redemption_date": at(5)}
    found = by(
        source_sql(
            "complete_journey",
            "interactions",
            coupon_redemptions=[
                {**redeemed, "coupon_upc": 51380041013},
                {**redeemed, "coupon_upc": 51380041313},
                {**redeemed, "coupon_upc": 51380041313, "redemption_date": at(6)},
            ],
            campaign_descriptions=[{"campaign_id": 26, "campaign_type": "Type B"}],
        ),
        "interaction_id",
    )
    assert set(found) == {
        "redemption-26-7-51380041013-20170305",
        "redemption-26-7-51380041313-20170305",
        "redemption-26-7-51380041313-20170306",
    }
    first = found["redemption-26-7-51380041013-20170305"]
    assert (first["kind"], first["channel"], first["offer"]) == (
        "redemption",
        "store",
        "51380041013",
    )
    assert (first["happened_at"], first["campaign_type"]) == (at(5), "Type B")


def test_a_contact_of_an_undescribed_campaign_has_no_instant(source_sql: RunSql) -> None:
    """It reaches quarantine as missing_happened_at instead of vanishing without a trace."""
    (found,) = source_sql(
        "complete_journey", "interactions", campaigns=[{"campaign_id": 99, "household_id": 7}]
    )
    assert found["happened_at"] is None
