"""The CRM's opportunities, with their stages, activities, corrections and deletions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from examples.crane_works.accounts import Accounts, Rows
from examples.crane_works.customers import Customers
from examples.crane_works.faults import spoilt
from examples.crane_works.fleet import MODEL_CODES
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.sales import (
    COMPETITORS,
    STAGE_WIN_PCT,
    STAGES,
    Opportunities,
    amounts,
)
from examples.crane_works.systems import ACTIVITIES, OPPORTUNITIES, STAGE_HISTORY
from examples.crane_works.tables import chosen, joined, numbered, where
from examples.crane_works.truth import TRUE_FAULTS, TRUE_OPPORTUNITIES

LOST_REASONS = ("价格", "交期", "竞争对手", "项目取消", "资金不足")


def opportunity_no(block: int, index: Array) -> pa.Array:
    """OP-00012345"""
    return numbered("OP-", block * 100_000 + np.asarray(index), 8)


def opportunity_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    opportunities: Opportunities,
) -> Rows:
    """A version at each stage and at the closing; some begin with a wrong amount, some vanish."""
    rng, dirt = parameters.generator("opportunity rows", block), parameters.dirt
    count = len(opportunities)
    key = opportunity_no(block, np.arange(count))
    who, opened = opportunities.customer, opportunities.opened
    worth = amounts(opportunities)
    typo = rng.random(count) < dirt.amount_typo
    second = opportunities.entered[:, 1]
    lead = np.where(np.isnan(second), opportunities.closes, second) - opened
    settled = opened + np.where(typo, np.minimum(rng.uniform(1, 14, count), lead / 2), 0)
    expected = opened + rng.normal(80, 30, count).clip(20)
    columns = {
        "opportunity_no": key,
        "account_no": accounts.account(customers, who, opened, rng.random(count)),
        "model_code": chosen(MODEL_CODES, opportunities.model),
        "quantity": opportunities.quantity,
        "amount_cny": np.where(typo, worth * 10, worth),
        "discount_pct": opportunities.discount,
        "competitor": where(
            opportunities.competitor > 0, chosen(COMPETITORS, opportunities.competitor), None
        ),
        "stage": STAGES[0],
        "win_pct": np.full(count, STAGE_WIN_PCT[0]),
        "expected_close_on": expected,
        "closed_at": np.full(count, np.nan),
        "lost_reason": None,
        "sales_rep": numbered("REP", customers.province[who] * 10 + rng.integers(0, 6, count), 3),
        "created_at": opened,
        "updated_at": opened,
        "is_deleted": False,
    }
    yield OPPORTUNITIES, OPPORTUNITIES.rows(opened, columns)
    wrong = np.where(typo, settled, np.inf)
    yield (
        OPPORTUNITIES,
        OPPORTUNITIES.rows(wrong, columns | {"amount_cny": worth, "updated_at": settled}),
    )
    for number, stage in enumerate(STAGES):
        entered = opportunities.entered[:, number]
        at = np.where(np.isnan(entered), np.inf, entered)
        entry = {"opportunity_no": key, "stage": stage, "entered_at": entered}
        yield STAGE_HISTORY, STAGE_HISTORY.rows(at, entry)
        if number:
            slipped = np.maximum(expected, entered + 10)
            columns |= {
                "amount_cny": np.where(entered < settled, columns["amount_cny"], worth),
                "stage": stage,
                "win_pct": np.full(count, STAGE_WIN_PCT[number]),
                "expected_close_on": slipped,
                "updated_at": entered,
            }
            yield OPPORTUNITIES, OPPORTUNITIES.rows(at, columns)
    closes, wins = opportunities.closes, opportunities.wins
    closing = {
        "amount_cny": worth,
        "stage": where(wins, "won", "lost"),
        "win_pct": np.where(wins, 100, 0),
        "closed_at": closes,
        "lost_reason": where(
            wins, None, chosen(LOST_REASONS, rng.integers(0, len(LOST_REASONS), count))
        ),
        "updated_at": closes,
    }
    yield OPPORTUNITIES, OPPORTUNITIES.rows(closes, columns | closing)
    entry = {"opportunity_no": key, "stage": closing["stage"], "entered_at": closes}
    yield STAGE_HISTORY, STAGE_HISTORY.rows(closes, entry)
    gone = np.where(
        ~wins & (rng.random(count) < dirt.deleted_opportunities),
        closes + rng.uniform(1, 60, count),
        np.inf,
    )
    deleted = {"is_deleted": True, "updated_at": np.where(np.isinf(gone), np.nan, gone)}
    yield OPPORTUNITIES, OPPORTUNITIES.rows(gone, columns | closing | deleted)
    yield TRUE_FAULTS, spoilt(OPPORTUNITIES, "amount_typo", typo, key, worth, opened)
    yield (
        TRUE_OPPORTUNITIES,
        TRUE_OPPORTUNITIES.rows(
            np.zeros(count),
            {
                "opportunity_no": key,
                "customer": customers.ids.take(pa.array(who)),
                "win_probability": opportunities.probability,
                "wins": wins,
                "closes_at": closes,
            },
        ),
    )
    yield from _activities(rng, key, opportunities)


def _activities(rng: np.random.Generator, key: pa.Array, opportunities: Opportunities) -> Rows:
    """Visits, calls and mails while it is open; the likelier ones get more of them."""
    each = np.repeat(np.arange(len(opportunities)), opportunities.activities)
    length = opportunities.closes - opportunities.opened
    happened = opportunities.opened[each] + rng.random(len(each)) * length[each]
    first = np.cumsum(opportunities.activities) - opportunities.activities
    number = np.arange(len(each)) - first[each]
    of = key.take(pa.array(each))
    columns = {
        "activity_id": joined("A", pc.utf8_slice_codeunits(of, 3), "-", numbered("", number, 3)),
        "opportunity_no": of,
        "kind": chosen(("visit", "call", "mail"), rng.integers(0, 3, len(each))),
        "happened_at": happened,
    }
    yield ACTIVITIES, ACTIVITIES.rows(happened, columns)
