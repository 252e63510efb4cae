"""The gift shop by hand, in plain pandas from the raw files: lines, orders, cancellations, tags.

Nothing here shares code with Tagline. Times are the shop's own wall clock.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FILES = ("online_retail_II_2009_2010.parquet", "online_retail_2010_2011.parquet")
NAMES = {
    "Invoice": "invoice",
    "InvoiceNo": "invoice",
    "StockCode": "stock_code",
    "Quantity": "quantity",
    "InvoiceDate": "at",
    "Price": "price",
    "UnitPrice": "price",
    "Customer ID": "customer",
    "CustomerID": "customer",
}
LINE = ["invoice", "stock_code", "quantity", "price"]


def lines_of(*paths: Path) -> pd.DataFrame:
    """The lines of files that overlap, each once: the n-th of equal lines is one line."""
    parts = []
    for path in paths:
        part = pd.read_parquet(path).rename(columns=NAMES)
        part["at"] = pd.to_datetime(part["at"])
        part["nth"] = part.groupby(LINE).cumcount()
        parts.append(part[[*LINE, "nth", "at", "customer"]])
    lines = pd.concat(parts, ignore_index=True).drop_duplicates([*LINE, "nth"])
    lines["pence"] = (lines["price"] * 10_000).round().astype("int64") * lines["quantity"].astype(
        "int64"
    )  # ten-thousandths of a pound
    return lines


def orders_of(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per invoice of a customer, with when it was cancelled, if ever."""
    known = lines[lines["customer"].notna()]
    orders = known.groupby("invoice").agg(
        customer=("customer", "first"),
        at=("at", "min"),
        pence=("pence", "sum"),
        size=("stock_code", "size"),
    )
    orders["amount"] = orders["pence"].abs() / 10_000
    goods: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    for invoice, code, quantity in zip(
        known["invoice"], known["stock_code"], known["quantity"].abs().astype(int), strict=True
    ):
        goods[invoice][code, quantity] += 1
    orders["takes_back"] = orders.index.str.startswith("C")
    orders["status"] = np.where(orders["takes_back"], "returned", "placed")
    orders["cancelled_at"] = pd.NaT
    ordered = orders.reset_index().sort_values(["at", "takes_back", "invoice"])
    still_open: dict[tuple[float, frozenset[tuple[tuple[str, int], int]]], list[str]] = {}
    cancelled: dict[str, pd.Timestamp] = {}
    papers = []
    columns = (ordered[name] for name in ("invoice", "customer", "at", "takes_back"))
    for invoice, customer, at, takes_back in zip(*columns, strict=True):
        waiting = still_open.setdefault((customer, frozenset(goods[invoice].items())), [])
        if not takes_back:
            waiting.append(invoice)
        elif waiting:
            cancelled[waiting.pop()] = at
            papers.append(invoice)
    orders.loc[papers, "status"] = "cancelled"
    orders["cancelled_at"] = pd.Series(cancelled).reindex(orders.index)
    return orders


@dataclass(frozen=True)
class Facts:
    """What held as of an instant; `placed` are orders that were not cancelled by then."""

    as_of: pd.Timestamp
    customers: pd.Series  # first line by customer
    lines: pd.DataFrame
    orders: pd.DataFrame
    placed: pd.DataFrame

    def last(self, frame: pd.DataFrame, days: int | None) -> pd.DataFrame:
        """The rows of the days before as_of."""
        return frame if days is None else frame[frame["at"] >= self.as_of - pd.Timedelta(days=days)]

    def all_of(self, values: pd.Series, missing: int | None = None) -> pd.Series:
        found = values.reindex(self.customers.index)
        return found if missing is None else found.fillna(missing)


def facts(lines: pd.DataFrame, orders: pd.DataFrame, as_of: str) -> Facts:
    """The facts before an instant; what cancels an order later does not count yet."""
    instant = pd.Timestamp(as_of)
    known = lines[lines["customer"].notna()]
    orders = orders[orders["at"] < instant]
    done = orders["cancelled_at"] < instant
    placed = orders[~orders["takes_back"] & ~done].reset_index()
    placed = placed.sort_values(["customer", "at", "invoice"], ignore_index=True)
    elapsed = placed["at"].dt.tz_localize("Europe/London").dt.tz_convert("UTC")
    gap = elapsed - elapsed.groupby(placed["customer"]).shift()
    placed["gap"] = (gap.dt.total_seconds() / 86400).round(6)
    known = known[known["at"] < instant]
    return Facts(instant, known.groupby("customer")["at"].min(), known, orders, placed)


def days(f: Facts, times: pd.Series) -> pd.Series:
    found: pd.Series = (f.as_of.normalize() - times.dt.normalize()).dt.days
    return found


def by(frame: pd.DataFrame, column: str, how: str) -> pd.Series:
    found: pd.Series = frame.groupby("customer")[column].agg(how)
    return found


def count(window: int | None) -> Callable[[Facts], pd.Series]:
    return lambda f: f.all_of(by(f.last(f.placed, window), "invoice", "size"), 0)


def amount(window: int | None) -> Callable[[Facts], pd.Series]:
    return lambda f: f.all_of(by(f.last(f.placed, window), "pence", "sum"), 0) / 10_000


def of_placed(column: str, how: str, window: int | None = None) -> Callable[[Facts], pd.Series]:
    return lambda f: f.all_of(by(f.last(f.placed, window), column, how))


def quartile(values: pd.Series, best: str) -> pd.Series:
    """4 is the best quarter; whoever has no value has no quarter."""
    known = sorted(values.dropna())
    cuts = [known[math.ceil(len(known) * quarter / 4) - 1] for quarter in (1, 2, 3)]
    above = sum((values > cut).astype(int) for cut in cuts)
    ranks: pd.Series = 1 + above if best == "high" else 4 - above
    return ranks.where(values.notna())


def trend(f: Facts) -> pd.Series:
    recent = f.all_of(by(f.last(f.placed, 45), "invoice", "size"), 0)
    both = f.all_of(by(f.last(f.placed, 90), "invoice", "size"))
    return (2 * recent - both) / both


def segment(recency: float, frequency: float, monetary: float) -> str | None:
    if math.isnan(recency) or math.isnan(frequency) or math.isnan(monetary):
        return None
    worth = "important" if monetary >= 3 else "general"
    if recency >= 3:
        return f"{worth}_{'value' if frequency >= 3 else 'develop'}"
    return f"{worth}_{'keep' if frequency >= 3 else 'win_back'}"


def status(tenure: float, recency: float) -> str | None:
    if tenure <= 30:
        return "new"
    if math.isnan(recency):
        return None
    return "active" if recency <= 30 else "cooling" if recency <= 180 else "dormant"


def rule(decide: Callable[..., object], *tags: str) -> Callable[[Facts], pd.Series]:
    def decided(f: Facts) -> pd.Series:
        inputs = [TAGS[tag](f).astype(float) for tag in tags]
        values = [decide(*row) for row in zip(*inputs, strict=True)]
        return pd.Series(values, index=f.customers.index, dtype=object)

    return decided


def unless_absent(decide: Callable[..., bool]) -> Callable[..., object]:
    return lambda *row: None if any(map(math.isnan, row)) else decide(*row)


def value_rank_in_status(f: Facts) -> pd.Series:
    total, group = TAGS["order_amount_total"](f), TAGS["activity_status"](f)
    parts = [quartile(part, "high") for _, part in total.groupby(group.fillna("none"))]
    found: pd.Series = pd.concat(parts)
    return found


def day_part_habit(f: Facts) -> pd.Series:
    part = f.placed["at"].dt.hour.floordiv(6).map(dict(enumerate(["night", "morning"])))
    part = part.fillna(f.placed["at"].dt.hour.map(lambda h: "evening" if h >= 18 else "afternoon"))
    sizes = f.placed.assign(part=part).groupby(["customer", "part"]).size().rename("n")
    frame = sizes.reset_index().sort_values(
        ["customer", "n", "part"], ascending=[True, False, True]
    )
    return f.all_of(frame.groupby("customer")["part"].first())


def return_share(f: Facts) -> pd.Series:
    recent = f.last(f.orders, 365)
    # A cancelled order counts as placed until it is cancelled; what cancels one is no return.
    back = by(recent[recent["status"] == "returned"], "pence", "sum").abs()
    placed = by(f.last(f.placed, 365), "pence", "sum")
    return f.all_of(back.reindex(placed.index).fillna(0) / placed.where(placed != 0))


def purchase_days(f: Facts) -> pd.Series:
    """Different days with a placed order, per customer."""
    return f.placed.groupby("customer")["at"].agg(lambda at: at.dt.date.nunique())


def purchase_span(f: Facts) -> pd.Series:
    """Days from the day of the first placed order to that of the last."""
    of_customer = f.placed["at"].dt.normalize().groupby(f.placed["customer"])
    span: pd.Series = (of_customer.max() - of_customer.min()).dt.days
    return span


TAGS: dict[str, Callable[[Facts], pd.Series]] = {
    "recency_days": lambda f: f.all_of(days(f, by(f.placed, "at", "max"))),
    "last_order_date": lambda f: f.all_of(by(f.placed, "at", "max").dt.date),
    "tenure_days": lambda f: days(f, f.customers),
    "order_count_30d": count(30),
    "order_count_90d": count(90),
    "order_count_365d": count(365),
    "order_count_total": count(None),
    "active_days_90d": lambda f: f.all_of(
        f.last(f.placed, 90).groupby("customer")["at"].agg(lambda at: at.dt.date.nunique()), 0
    ),
    "repeat_purchase_days": lambda f: f.all_of(purchase_days(f) - 1),
    "purchase_span_days": lambda f: f.all_of(purchase_span(f)),
    "first_purchase_days": lambda f: f.all_of(days(f, by(f.placed, "at", "min"))),
    "order_trend": trend,
    "order_gap_mean_days": of_placed("gap", "mean"),
    "order_gap_stddev_days": of_placed("gap", "std"),
    "order_gap_last_days": lambda f: f.all_of(
        f.placed.groupby("customer")["gap"].agg(lambda gaps: gaps.iloc[-1])
    ),
    "came_in_last_90d": rule(lambda tenure: tenure < 90, "tenure_days"),
    "activity_status": rule(status, "tenure_days", "recency_days"),
    "is_dormant": rule(unless_absent(lambda recency: recency > 180), "recency_days"),
    "is_overdue": rule(
        lambda recency, gap: None if math.isnan(gap) else recency > 2 * gap,
        "recency_days",
        "order_gap_mean_days",
    ),
    "order_amount_30d": amount(30),
    "order_amount_90d": amount(90),
    "order_amount_365d": amount(365),
    "order_amount_total": amount(None),
    "order_amount_max": of_placed("amount", "max"),
    "order_amount_mean": of_placed("amount", "mean"),
    "order_amount_median_365d": of_placed("amount", "median", 365),
    "large_order_count_365d": lambda f: f.all_of(
        by(f.last(f.placed[f.placed["amount"] >= 500], 365), "invoice", "size"), 0
    ),
    "purchase_day_amount_mean": lambda f: f.all_of(
        f.placed.groupby("customer")["amount"].sum() / purchase_days(f)
    ),
    "last_order_amount": lambda f: f.all_of(f.placed.groupby("customer")["amount"].last()),
    "basket_lines_mean": of_placed("size", "mean"),
    "is_wholesale": rule(unless_absent(lambda usual: usual >= 400), "order_amount_median_365d"),
    "return_share_365d": return_share,
    "recency_rank": lambda f: quartile(TAGS["recency_days"](f), "low"),
    "frequency_rank": lambda f: quartile(TAGS["order_count_365d"](f), "high"),
    "monetary_rank": lambda f: quartile(TAGS["order_amount_365d"](f), "high"),
    "rfm_segment": rule(segment, "recency_rank", "frequency_rank", "monetary_rank"),
    "value_rank_in_status": value_rank_in_status,
    "product_count_365d": lambda f: f.all_of(
        f.last(f.lines[~f.lines["invoice"].str.startswith("C")], 365)
        .groupby("customer")["stock_code"]
        .nunique(),
        0,
    ),
    "evening_share": lambda f: f.all_of(
        (f.placed["at"].dt.hour >= 18).groupby(f.placed["customer"]).mean()
    ),
    "weekend_share": lambda f: f.all_of(
        (f.placed["at"].dt.day_of_week >= 5).groupby(f.placed["customer"]).mean()
    ),
    "day_part_habit": day_part_habit,
}
