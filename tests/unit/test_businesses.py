"""What a business has of the tables and tags of all, and what it expects of its own."""

from __future__ import annotations

from pathlib import Path

from tagline.catalog import load_catalog

DEFINITIONS = Path(__file__).resolve().parents[2] / "include"


def test_a_tag_over_a_column_or_table_that_no_source_knows_is_unavailable() -> None:
    catalog = load_catalog(DEFINITIONS, "gift_shop")
    assert catalog.unavailable["main_store"] == "gift_shop has no column orders.store_id"
    assert catalog.unavailable["age_band"] == "gift_shop has no column customers.age_band"
    assert catalog.unavailable["top_department"] == "gift_shop has no table products"
    assert catalog.unavailable["campaign_contacts_90d"] == "gift_shop has no table interactions"
    assert "reads discount_share_90d" in catalog.unavailable["discount_affinity"]
    assert load_catalog(DEFINITIONS, "grocer").unavailable == {}


def test_a_business_expects_of_its_tables_what_others_do_not() -> None:
    def reasons(business: str) -> set[str | None]:
        table = load_catalog(DEFINITIONS, business).tables["order_lines"]
        return {each.reason for each in table.expectations if each.severity == "row"}

    assert "no_customer" in reasons("gift_shop") - reasons("grocer")
    assert "missing_retail_discount" in reasons("grocer") - reasons("gift_shop")
    assert "negative_amount" in reasons("gift_shop") & reasons("grocer")


def test_a_business_has_its_own_limits_where_it_says_so() -> None:
    def least(business: str, slug: str) -> float:
        tag = load_catalog(DEFINITIONS, business).tags[slug]
        return tag.definition.quality.coverage["min"]

    assert least("grocer", "recency_days") == 0.99
    assert least("gift_shop", "recency_days") == 0.9
    assert least("gift_shop", "tenure_days") == least("grocer", "tenure_days")
