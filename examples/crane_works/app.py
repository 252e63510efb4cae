"""The app: who registered, and what they look at, learn, ask and post."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from examples.crane_works import names
from examples.crane_works.accounts import Accounts, Rows, spelling
from examples.crane_works.customers import Customers
from examples.crane_works.fleet import MODEL_CODES
from examples.crane_works.parameters import Array, Parameters, rows_and_columns
from examples.crane_works.systems import APP_EVENTS, APP_USERS
from examples.crane_works.tables import chosen, joined, numbered, where

USER_SHARE = 0.55  # of the contacts
COURSES = ("履带吊操作", "安全吊装", "液压维护", "力矩限制器", "风电吊装")


def app_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    intent: Array,
    sites: Array,
) -> Rows:
    """Users by their telephone, and their events; who wants to buy looks at machines."""
    rng = parameters.generator("app", block)
    start, end = parameters.first_day, parameters.end_day
    contact = np.flatnonzero(rng.random(len(accounts.contact_of)) < USER_SHARE)
    owner = accounts.contact_of[contact]
    count = len(contact)
    begins = np.maximum(start, customers.since[owner])
    registered = begins + rng.random(count) ** 2 * (end - begins)
    key = numbered("u", accounts.contact_number[contact] * 9_973 % 99_999_989, 8)
    typed = where(rng.random(count) < 0.3, None, spelling(rng, customers, owner))
    columns = {
        "user_id": key,
        "phone": accounts.phone(contact),
        "company_typed": typed,
        "registered_at": registered,
    }
    yield APP_USERS, APP_USERS.rows(registered, columns)
    months = parameters.month_starts
    liveliness = rng.gamma(2, 0.5, count)[:, None]
    present = months[:-1] >= registered[:, None]
    moved = accounts.contact_moved[contact][:, None] <= months[:-1]
    works_at = np.where(moved, accounts.contact_moved_to[contact][:, None], owner[:, None])
    wish = intent[works_at, np.arange(parameters.months)]
    kinds = (
        ("login", 3.0 * liveliness * np.ones_like(wish)),
        ("machine_view", 5.0 * wish**1.5 * liveliness),
        ("course_bought", 0.06 * liveliness * np.ones_like(wish)),
        ("expert_question", 0.08 * liveliness * np.ones_like(wish)),
        ("project_post", 0.07 * liveliness * np.ones_like(wish)),
    )
    for kind, (name, rate) in enumerate(kinds):
        counts = rng.poisson(np.where(present, rate, 0))
        user, month = rows_and_columns(counts)
        happened = months[month] + rng.random(len(month)) * (months[month + 1] - months[month])
        where_now = works_at[user, month]
        number = (block * len(kinds) + kind) * 10_000_000 + np.arange(len(user))
        columns = {
            "event_id": numbered("e", number, 12),
            "user_id": key.take(pa.array(user)),
            "kind": name,
            "happened_at": happened,
            "subject": _subjects(rng, name, customers, where_now, sites),
            "amount_cny": np.where(
                name == "course_bought", rng.choice([99, 199, 399], len(user)), np.nan
            ),
        }
        yield APP_EVENTS, APP_EVENTS.rows(happened + 0.0001, columns)


def _subjects(
    rng: np.random.Generator, kind: str, customers: Customers, owner: Array, sites: Array
) -> pa.Array:
    """What an event is about: a model, a course, a building site."""
    count = len(owner)
    if kind in ("machine_view", "expert_question"):
        favourite = customers.brand[owner] % len(MODEL_CODES)
        other = rng.integers(0, len(MODEL_CODES), count)
        return chosen(MODEL_CODES, np.where(rng.random(count) < 0.5, favourite, other))
    if kind == "course_bought":
        return chosen(COURSES, rng.integers(0, len(COURSES), count))
    if kind == "project_post":
        site = numbered("S", sites[owner, rng.integers(0, 3, count)], 4)
        return joined(site, " ", chosen(names.TRADES, customers.industry[owner]))
    return pa.nulls(count, pa.string())
