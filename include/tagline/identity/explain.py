"""Why a key is a customer: each link with its rule, its evidence and since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tagline.engines import literal
from tagline.errors import UnknownCustomer
from tagline.identity.checks import IDENTITY
from tagline.identity.evidence import live_sql
from tagline.identity.reading import rules_of, stored
from tagline.sources.delivery import instant

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_COLUMNS = "customer_key, customer_id, rule, evidence, linked_key, valid_at"


@dataclass(frozen=True)
class KeptLink:
    """A key's customer since an instant; no customer where its evidence ended."""

    customer_key: str
    customer_id: str | None
    rule: str | None
    evidence: str | None
    linked_key: str | None
    since: datetime


@dataclass(frozen=True)
class Explained:
    """A key as of an instant: its link, those that lead to the customer's own key, and others.

    `chain` begins with the key itself and ends with the key that leads; `history` are all links of
    the key up to the instant, `keys` all keys of the customer.
    """

    customer_key: str
    customer_id: str | None
    chain: tuple[KeptLink, ...]
    history: tuple[KeptLink, ...]
    keys: tuple[KeptLink, ...]

    def as_json(self) -> dict[str, Any]:
        """The explanation as one JSON document."""
        return asdict(self)


def explain(deployment: Deployment, key: str, as_of: datetime) -> Explained:
    """The link of a key as of an instant; a customer's number stands for the key that leads.

    Raises UnknownCustomer for a key that has never had a customer by then.
    """
    rules_of(deployment)
    history = _links(deployment, as_of, f"customer_key = {literal(key)}")
    if not history:
        leading = _links(deployment, as_of, f"customer_id = {literal(key)} AND linked_key IS NULL")
        if not leading:
            raise UnknownCustomer(
                f"no key {key!r} has a customer as of {as_of.isoformat()}. Keys are written with "
                "their system, such as crm:K-0000001; see `tagline identity review` for those "
                "whose evidence decides nothing."
            )
        key = leading[-1].customer_key
        history = _links(deployment, as_of, f"customer_key = {literal(key)}")
    newest = history[-1]
    if newest.customer_id is None:
        return Explained(key, None, (), tuple(history), ())
    number = literal(newest.customer_id)
    ever = (
        f"customer_key IN (SELECT e.customer_key FROM evidence AS e WHERE e.customer_id = {number})"
    )
    latest = {link.customer_key: link for link in _links(deployment, as_of, ever)}
    mine = {k: link for k, link in latest.items() if link.customer_id == newest.customer_id}
    chain = [newest]
    while (linked := chain[-1].linked_key) is not None and linked in mine:
        chain.append(mine[linked])
    keys = tuple(mine[each] for each in sorted(mine))
    return Explained(key, newest.customer_id, tuple(chain), tuple(history), keys)


def _links(deployment: Deployment, as_of: datetime, condition: str) -> list[KeptLink]:
    """Links that began before an instant, oldest first."""
    table = deployment.catalog.tables[IDENTITY]
    sql = (
        f"WITH {live_sql(table.key)} SELECT {_COLUMNS} FROM evidence "  # in order of KeptLink
        f"WHERE valid_at < {instant(as_of)} AND {condition} ORDER BY customer_key, valid_at"
    )
    found = deployment.engine.fetch(sql, stored(deployment, IDENTITY))
    return [KeptLink(*row.values()) for row in found.to_pylist()]
