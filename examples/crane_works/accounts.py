"""The CRM's accounts and contacts: duplicates, merges, corrections, people who change company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from examples.crane_works import names
from examples.crane_works.customers import Customers
from examples.crane_works.faults import spoilt
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.systems import ACCOUNT_MERGES, ACCOUNTS, CONTACTS
from examples.crane_works.tables import Table, chosen, joined, numbered, where
from examples.crane_works.truth import TRUE_FAULTS, TRUE_IDENTITIES

DUPLICATE = 5_000_000  # added to a customer's number for its second account
ROLES = ("采购", "设备主管", "财务", "老板", "司机长")
Rows = Iterator[tuple[Table, pa.Table]]


@dataclass(frozen=True)
class Accounts:
    """Which accounts and contacts each company of a block has; days are NaN where there is none.

    A company has a second account from `second_from`, until it was merged at `merged`. Contacts lie
    company by company: those of company c start at `first_contact[c]`.
    """

    second_from: Array
    merged: Array
    first_contact: Array
    contact_of: Array
    contact_number: Array
    contact_moved: Array
    contact_moved_to: Array
    may_be_called: Array

    def account(self, customers: Customers, customer: Array, day: Array, coin: Array) -> pa.Array:
        """The account under which something of that day is booked; the coin is 0..1."""
        second = (day >= self.second_from[customer]) & (coin < 0.5)
        second &= ~(day >= self.merged[customer])
        return account_no(customers.numbers[customer] + DUPLICATE * second)

    def contact(self, customer: Array, day: Array, coin: Array) -> Array:
        """A contact of each company who works there on the day."""
        following = np.append(self.first_contact[1:], len(self.contact_of))
        count = following[customer] - self.first_contact[customer]
        contact = self.first_contact[customer] + np.floor(coin * count).astype(np.int64)
        gone = day >= self.contact_moved[contact]
        return np.where(gone, self.first_contact[customer], contact)

    def phone(self, contact: Array) -> pa.Array:
        """Their mobile numbers."""
        return names.mobile(self.contact_number[contact])


def account_no(number: Array) -> pa.Array:
    """K-1234567; the numbers say nothing of who belongs together."""
    return numbered("K-", np.asarray(number, np.int64) * 7_368_787 % 9_999_991, 7)


def draw_accounts(parameters: Parameters, block: int, customers: Customers) -> Accounts:
    """Second accounts, and one to three contacts of each company, the first of whom stays."""
    rng, dirt = parameters.generator("accounts", block), parameters.dirt
    count = len(customers)
    length = parameters.end_day - parameters.first_day
    second = np.where(
        rng.random(count) < dirt.duplicate_accounts,
        np.maximum(parameters.first_day, customers.since + 30) + rng.random(count) * length * 0.8,
        np.nan,
    )
    merged = np.where(
        rng.random(count) < dirt.merged_duplicates,
        second + 20 + rng.exponential(180, count),
        np.nan,
    )
    contacts = 1 + drawn_contacts(rng, count)
    contact_of = np.repeat(np.arange(count), contacts)
    first = np.cumsum(contacts) - contacts
    place = np.arange(len(contact_of)) - first[contact_of]
    moves = (place > 0) & (rng.random(len(place)) < 0.06)
    moved = np.where(
        moves, parameters.first_day + 60 + rng.random(len(place)) * (length - 60), np.nan
    )
    target = rng.integers(0, count, len(place))
    moved[(target == contact_of) | (customers.since[target] > moved)] = np.nan
    moved[customers.since[contact_of] > moved] = np.nan
    return Accounts(
        second_from=second,
        merged=merged,
        first_contact=first,
        contact_of=contact_of,
        contact_number=customers.numbers[contact_of] * 4 + place,
        contact_moved=moved,
        contact_moved_to=target,
        may_be_called=rng.random(len(place)) < 0.9,
    )


def drawn_contacts(rng: np.random.Generator, count: int) -> Array:
    """How many contacts there are beside the first: none to two."""
    return names.drawn(rng, (0.45, 0.35, 0.2), count)


def account_rows(
    parameters: Parameters, block: int, customers: Customers, accounts: Accounts
) -> Rows:
    """Accounts with their corrections and merges, contacts, and who is who."""
    rng, dirt = parameters.generator("account rows", block), parameters.dirt
    double = np.flatnonzero(~np.isnan(accounts.second_from))
    who = np.concatenate([np.arange(len(customers)), double])
    is_second = np.repeat([False, True], [len(customers), len(double)])
    created = np.where(is_second, accounts.second_from[who], customers.since[who] - 0.5)
    count = len(who)
    right = names.tax_number(customers.numbers[who], customers.province[who])
    typo = rng.random(count) < dirt.tax_number_typo
    missing = rng.random(count) < dirt.tax_number_missing * np.where(is_second, 4, 1)
    written = names.some_mistyped(right, typo, rng.integers(9, 17, count))
    style = np.where(is_second, rng.integers(1, 6, count), 0)
    city, brand, industry = (
        each[who] for each in (customers.city, customers.brand, customers.industry)
    )
    key = account_no(customers.numbers[who] + DUPLICATE * is_second)
    rep = numbered("REP", customers.province[who] * 10 + rng.integers(0, 6, count), 3)
    phones = accounts.phone(accounts.first_contact[who])
    columns = {
        "account_no": key,
        "company_name": names.spelt(style, city, brand, industry),
        "tax_number": where(missing, None, written),
        "phone": names.phone_written(names.drawn(rng, (0.7, 0.1, 0.1, 0.1), count), phones),
        "province": chosen(names.PROVINCES, customers.province[who]),
        "city": chosen(names.CITIES, city),
        "industry": chosen(names.INDUSTRIES, industry),
        "dealer_code": numbered("D", customers.province[who] * 10 + customers.brand[who] % 3, 3),
        "sales_rep": rep,
        "created_at": created,
        "updated_at": created,
        "is_deleted": False,
    }
    yield ACCOUNTS, ACCOUNTS.rows(created, columns)
    corrected = created + rng.uniform(30, 500, count)
    corrects = (rng.random(count) < 0.1) | ((missing | typo) & (rng.random(count) < 0.4))
    merged = np.where(is_second, accounts.merged[who], np.nan)
    corrects &= ~(corrected >= merged)
    columns |= {
        "tax_number": where(corrects, right, columns["tax_number"]),
        "updated_at": corrected,
    }
    yield ACCOUNTS, ACCOUNTS.rows(np.where(corrects, corrected, np.inf), columns)
    columns |= {"is_deleted": True, "updated_at": merged}
    yield ACCOUNTS, ACCOUNTS.rows(np.where(np.isnan(merged), np.inf, merged), columns)
    for kind, which in (("tax_number_missing", missing), ("tax_number_typo", typo & ~missing)):
        yield from _fault(ACCOUNTS, kind, which, key, right, created)
    yield from _identities("crm", key, customers, who, created, np.full(count, np.nan))
    yield from _merge_rows(parameters, rng, block, customers, accounts)
    yield from _contact_rows(rng, customers, accounts)


def _fault(
    table: Table, kind: str, which: Array, key: pa.Array, truth: pa.Array, at: Array
) -> Rows:
    yield TRUE_FAULTS, spoilt(table, kind, which, key, truth, at)


def _identities(
    system: str, key: pa.Array, customers: Customers, who: Array, begins: Array, ends: Array
) -> Rows:
    columns = {
        "system": system,
        "source_key": key,
        "customer": customers.ids.take(pa.array(who)),
        "held_from": begins,
        "held_until": ends,
    }
    yield TRUE_IDENTITIES, TRUE_IDENTITIES.rows(np.zeros(len(who)), columns)


def _merge_rows(
    parameters: Parameters,
    rng: np.random.Generator,
    block: int,
    customers: Customers,
    accounts: Accounts,
) -> Rows:
    """Right merges of second accounts, and wrong ones of neighbours, most of them undone later."""
    right = np.flatnonzero(~np.isnan(accounts.merged))
    count = round(len(customers) * parameters.dirt.wrong_merges)
    order = np.argsort(customers.province + rng.random(len(customers)), kind="stable")
    at = rng.choice(len(customers) - 1, count, replace=False)
    first, second = order[at], order[at + 1]
    length = parameters.end_day - parameters.first_day
    when = np.maximum(customers.since[first], customers.since[second])
    when = np.maximum(when, parameters.first_day) + 30 + rng.random(count) * length * 0.6
    undone = np.where(rng.random(count) < 0.8, when + rng.uniform(20, 120, count), np.nan)
    survivor = np.concatenate([customers.numbers[right], customers.numbers[first]])
    loser = np.concatenate([customers.numbers[right] + DUPLICATE, customers.numbers[second]])
    merged = np.concatenate([accounts.merged[right], when])
    reverse = np.concatenate([np.full(len(right), np.nan), undone])
    columns = {
        "merge_id": block * 10_000 + np.arange(len(merged)),
        "surviving_account_no": account_no(survivor),
        "merged_account_no": account_no(loser),
        "merged_at": merged,
        "reversed_at": np.full(len(merged), np.nan),
    }
    yield ACCOUNT_MERGES, ACCOUNT_MERGES.rows(merged, columns)
    undo = np.where(np.isnan(reverse), np.inf, reverse)
    yield ACCOUNT_MERGES, ACCOUNT_MERGES.rows(undo, columns | {"reversed_at": reverse})


def _contact_rows(rng: np.random.Generator, customers: Customers, accounts: Accounts) -> Rows:
    who, count = accounts.contact_of, len(accounts.contact_of)
    created = customers.since[who] + rng.exponential(20, count) * (accounts.contact_number % 4 > 0)
    created = np.minimum(
        created, np.where(np.isnan(accounts.contact_moved), np.inf, accounts.contact_moved - 1)
    )
    phones = accounts.phone(np.arange(count))
    columns = {
        "contact_id": accounts.contact_number + 1,
        "account_no": account_no(customers.numbers[who]),
        "full_name": names.person(rng, count),
        "mobile": names.phone_written(names.drawn(rng, (0.75, 0.1, 0.1, 0.05), count), phones),
        "role": chosen(ROLES, rng.integers(0, len(ROLES), count)),
        "may_be_called": accounts.may_be_called,
        "created_at": created,
        "updated_at": created,
        "is_deleted": False,
    }
    yield CONTACTS, CONTACTS.rows(created, columns)
    moved = accounts.contact_moved
    to = np.where(np.isnan(moved), who, accounts.contact_moved_to)
    columns |= {"account_no": account_no(customers.numbers[to]), "updated_at": moved}
    yield CONTACTS, CONTACTS.rows(np.where(np.isnan(moved), np.inf, moved), columns)
    yield from _identities("phone", phones, customers, who, created, moved)
    movers = np.flatnonzero(~np.isnan(moved))
    keys = phones.take(pa.array(movers))
    ends = np.full(len(movers), np.nan)
    yield from _identities("phone", keys, customers, to[movers], moved[movers], ends)


def spelling(
    rng: np.random.Generator, customers: Customers, who: Array, padding: str = ""
) -> pa.Array:
    """How somebody outside the CRM writes the companies' names."""
    style = names.drawn(rng, (0.25, 0.15, 0.3, 0.1, 0.1, 0.1), len(who))
    made = names.spelt(style, customers.city[who], customers.brand[who], customers.industry[who])
    return joined(made, padding)
