"""The SMS gateway and the survey company."""

from __future__ import annotations

import numpy as np
from examples.crane_works import names, service_words
from examples.crane_works.accounts import Accounts, Rows, spelling
from examples.crane_works.customers import Customers
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.systems import MESSAGES, SURVEY
from examples.crane_works.tables import chosen, joined, where

SENT_SHARE = 0.3  # of those who may be called, each month
ANSWER_SHARE = 0.35


def message_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    dissatisfaction: Array,
    intent: Array,
) -> Rows:
    """A campaign a month; who wants to buy replies, who is dissatisfied opts out for good."""
    rng = parameters.generator("messages", block)
    count = len(accounts.contact_of)
    willing = accounts.may_be_called.copy()
    phones = joined("86", accounts.phone(np.arange(count)))
    for month, start in enumerate(parameters.month_starts[:-1]):
        moved = accounts.contact_moved <= start
        owner = np.where(moved, accounts.contact_moved_to, accounts.contact_of)
        known = customers.since[owner] < start
        sent = willing & known & (rng.random(count) < SENT_SHARE)
        arrives, answers, stops = rng.random((3, count))
        delivered = arrives < 0.96
        out = delivered & (stops < 0.004 + 0.04 * dissatisfaction[owner, month] ** 1.5)
        replied = delivered & ~out & (answers < 0.01 + 0.15 * intent[owner, month] ** 1.5)
        sent_at = start + 9 + (10 + rng.random(count)) / 24
        delivered_at = np.where(delivered, sent_at + rng.exponential(0.002, count), np.nan)
        replied_at = np.where(
            replied | out, delivered_at + 0.002 + rng.exponential(0.2, count), np.nan
        )
        columns = {
            "message_id": (block * parameters.months + month) * 10_000 + np.arange(count),
            "msisdn": phones,
            "campaign": f"M{month + 1:03d}",
            "sent_ts": sent_at,
            "delivered_ts": np.full(count, np.nan),
            "replied_ts": np.full(count, np.nan),
            "reply": None,
            "status": "sent",
        }
        yield MESSAGES, MESSAGES.rows(np.where(sent, sent_at, np.inf), columns)
        columns |= {
            "delivered_ts": delivered_at,
            "status": where(delivered, "delivered", "failed"),
        }
        told = np.where(delivered, delivered_at, sent_at + 1)
        yield MESSAGES, MESSAGES.rows(np.where(sent, told, np.inf), columns)
        columns |= {
            "replied_ts": replied_at,
            "reply": where(
                out, "TD", chosen(("1", "想了解", "请联系我"), rng.integers(0, 3, count))
            ),
            "status": where(out, "opted_out", "replied"),
        }
        reply_at = np.where(sent & (replied | out), replied_at, np.inf)
        yield MESSAGES, MESSAGES.rows(np.maximum(reply_at, told), columns)
        willing &= ~(sent & out)


def survey_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    dissatisfaction: Array,
    machines: Array,
) -> Rows:
    """Each November a third of the owners answer; from the second year on, out of 100."""
    rng = parameters.generator("survey", block)
    for month, start in enumerate(parameters.month_starts[:-1]):
        if (parameters.start.month - 1 + month) % 12 != 10:
            continue
        year = month // 12
        asked = (machines[:, month] > 0) & (rng.random(len(customers)) < ANSWER_SHARE)
        who = np.flatnonzero(asked)
        count = len(who)
        anger = dissatisfaction[who, month]
        score = np.clip(np.rint(9.5 - 8.5 * anger + rng.normal(0, 0.8, count)), 1, 10)
        scale = 10 if year == 0 else 100
        remark = where(
            rng.random(count) < anger,
            chosen(service_words.REMARKS_BAD, rng.integers(0, 4, count)),
            chosen(service_words.REMARKS_GOOD, rng.integers(0, 4, count)),
        )
        day = start + 10 + rng.integers(0, 15, count)
        contact = accounts.contact(who, day, rng.random(count))
        phone = where(rng.random(count) < 0.4, accounts.phone(contact), None)
        padding = "　" if year % 2 else ""
        columns = {
            "answer_id": (block * 100 + year) * 10_000 + np.arange(count),
            "company": spelling(rng, customers, who, padding),
            "province": chosen(names.PROVINCES, customers.province[who]),
            "respondent_phone": phone,
            "answered_on": day,
            "score": score * scale / 10,
            "scale": np.full(count, scale),
            "remark": remark,
        }
        yield SURVEY, SURVEY.rows(np.full(count, start + 30), columns)
