"""The twenty tags by pandas, as of 2021-12-31; prints the seconds without the imports.

Called with the files of the clean tables as JSON, and the Parquet file to write.
"""

from __future__ import annotations

import json
import sys
import time

import pandas as pd

AS_OF = pd.Timestamp("2021-12-31", tz="UTC")
COLUMNS = ["customer_key", "ordered_at", "status", "channel", "amount", "discount_amount"]


def main(files: dict[str, list[str]], target: str) -> None:
    """Read, aggregate, write."""
    started = time.perf_counter()
    customers = read(files["customers"], ["customer_id", "since_at"])
    orders = read(files["orders"], COLUMNS)
    orders = orders[orders["ordered_at"] < AS_OF]
    wide = customers[customers["since_at"] < AS_OF].set_index("customer_id")
    placed = orders[orders["status"] == "placed"]
    recent = {days: placed[placed["ordered_at"] >= since(days)] for days in (30, 90, 365)}
    by_customer = placed.groupby("customer_key", sort=False)

    wide["tenure_days"] = (AS_OF - wide["since_at"].dt.normalize()).dt.days
    last = by_customer["ordered_at"].max().dt.normalize()
    wide["last_order_date"] = last
    wide["recency_days"] = (AS_OF - wide["last_order_date"]).dt.days
    wide["last_order_date"] = wide["last_order_date"].dt.date
    wide["order_count_total"] = by_customer.size()
    amounts = by_customer["amount"].agg(["sum", "mean", "max"])
    wide[["order_amount_total", "order_amount_mean", "order_amount_max"]] = amounts
    for days, rows in recent.items():
        groups = rows.groupby("customer_key", sort=False)
        wide[f"order_count_{days}d"] = groups.size()
        wide[f"order_amount_{days}d"] = groups["amount"].sum()
    days_of = recent[90].assign(day=recent[90]["ordered_at"].dt.normalize())
    wide["active_days_90d"] = days_of.groupby("customer_key", sort=False)["day"].nunique()
    discounts = recent[365].groupby("customer_key", sort=False)["discount_amount"].sum()
    before = wide["order_amount_365d"] + discounts.reindex(wide.index)
    wide["discount_share_365d"] = discounts.reindex(wide.index) / before.where(before != 0)
    year = orders[orders["ordered_at"] >= since(365)]
    returned = (year["status"] == "returned").groupby(year["customer_key"], sort=False)
    wide["return_share_365d"] = returned.mean()
    channels = recent[365].groupby(["customer_key", "channel"]).size().reset_index(name="orders")
    channels = channels.sort_values(["orders", "channel"], ascending=[False, True])
    wide["main_channel"] = channels.drop_duplicates("customer_key").set_index("customer_key")[
        "channel"
    ]
    # To cents: customers with equal amounts must get the same rank.
    wide["order_amount_365d"] = wide["order_amount_365d"].round(2)
    zero = [name for name in wide if name.startswith(("order_count", "order_amount", "active"))]
    zero = [name for name in zero if not name.endswith(("_mean", "_max"))]
    wide[zero] = wide[zero].fillna(0)

    exact = wide["order_amount_365d"].sort_values().to_numpy()
    cuts = [exact[discrete(len(exact), share)] for share in (0.25, 0.5, 0.75)]
    wide["monetary_rank"] = 1 + sum((wide["order_amount_365d"] > cut).astype(int) for cut in cuts)
    recency = wide["recency_days"]
    wide["activity_status"] = None
    wide.loc[recency <= 30, "activity_status"] = "active"
    wide.loc[(recency > 30) & (recency <= 90), "activity_status"] = "cooling"
    wide.loc[recency > 90, "activity_status"] = "dormant"
    valuable = (wide["monetary_rank"] == 4) & (recency <= 90)
    wide["is_valuable"] = valuable.astype("boolean").where(recency.notna())
    wide.drop(columns="since_at").reset_index().to_parquet(target)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def read(files: list[str], columns: list[str]) -> pd.DataFrame:
    """These columns of all files."""
    return pd.concat([pd.read_parquet(file, columns=columns) for file in files])


def since(days: int) -> pd.Timestamp:
    """The start of a window."""
    return AS_OF - pd.Timedelta(days=days)


def discrete(rows: int, share: float) -> int:
    """The place of a discrete quantile in sorted values: the first that reaches the share."""
    return max(0, -int(-rows * share // 1) - 1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
