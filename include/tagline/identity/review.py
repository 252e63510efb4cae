"""The review list: where evidence contradicts itself, or is too weak to decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tagline.identity.components import batches
from tagline.identity.history import doubts
from tagline.identity.standing import microseconds, moment_of

if TYPE_CHECKING:
    import pyarrow

    from tagline.identity.reading import Evidence

CROWDED = "crowded"
_ORDER = ("contradiction", "ambiguous", "candidate", CROWDED)


@dataclass(frozen=True)
class ReviewItem:
    """Something for people to look at, and what to do about it.

    `kind` is contradiction (strong evidence joins what something else says is two customers),
    ambiguous (a key whose evidence names several customers), candidate (weak evidence that two
    customers are one) or crowded (a value of too many keys, which proves nothing).
    """

    kind: str
    rule: str
    evidence: str
    keys: tuple[str, ...]
    detail: str


def to_review(evidence: Evidence, spans: pyarrow.Table, as_of: datetime) -> list[ReviewItem]:
    """What people should look at as of an instant; contradictions first."""
    rules, at = evidence.rules, microseconds(as_of)
    found = {
        ReviewItem(doubt.kind, doubt.rule, doubt.evidence, doubt.keys, doubt.against)
        for batch in batches(spans)
        for doubt in doubts(rules, batch, at)
    }
    for row in evidence.crowded(as_of).to_pylist():
        since = moment_of(row["moment"])
        said = f"held by {row['keys']} keys, too many since {since:%Y-%m-%d}"
        found.add(ReviewItem(CROWDED, row["rule"], row["shown"], (), said))
    return sorted(
        found,
        key=lambda item: (
            _ORDER.index(item.kind), item.rule, item.keys, item.evidence, item.detail,
        ),
    )  # fmt: skip
