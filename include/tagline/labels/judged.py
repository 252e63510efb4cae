"""Reads the judgements of a label set from the lake, as they were known as of an instant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tagline.compile import compile_query
from tagline.compute import relations
from tagline.definitions.label_set import LabelSet
from tagline.definitions.types import DataType
from tagline.errors import TaglineError
from tagline.judgements import ABOUT
from tagline.labels.agreement import Agreement, agreement
from tagline.labels.decided import Decided, Judgement, decide, independent
from tagline.sqlfiles import parse_sql

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment

_COLUMNS = {
    "label_id": DataType.TEXT,
    "label_set": DataType.TEXT,
    "value": DataType.TEXT,
    "judged_by": DataType.TEXT,
    "judged_at": DataType.TIMESTAMP,
}


_EVER = datetime(9999, 1, 1, tzinfo=UTC)


class JudgementsRefused(TaglineError):
    """Judgements that cannot be taken in, or questions that cannot be asked; nothing was kept."""


def judgements(deployment: Deployment, label_set: str, as_of: datetime) -> list[Judgement]:
    """Every judgement of a label set before as_of, the oldest first.

    The customers are those who they are known to be as of then. Of a set that speaks of the instant
    asked about, judgements that do not say which are left out.
    """
    catalog = deployment.catalog
    definition = catalog.label_set(label_set)
    require_labels(catalog)
    columns = {"customer_id": DataType.TEXT, **_COLUMNS}
    if ABOUT in catalog.tables["labels"].columns:
        columns[ABOUT] = DataType.TIMESTAMP
    file = parse_sql("judgements", f"SELECT {', '.join(columns)} FROM labels")
    compiled = compile_query(catalog, file, columns, as_of)
    found = deployment.tag_engine.fetch(compiled.sql, relations(deployment, compiled, as_of))
    made = []
    for row in found.to_pylist():
        if row["label_set"] != label_set or row["customer_id"] is None:
            continue
        about_at = _about(catalog, definition, row)
        if about_at is not None:
            made.append(
                Judgement(
                    row["label_id"],
                    str(row["customer_id"]),
                    about_at,
                    row["value"],
                    row["judged_by"],
                    row["judged_at"],
                )
            )
    return sorted(made, key=lambda one: (one.judged_at, one.label_id))


def decisions(deployment: Deployment, label_set: str, as_of: datetime) -> list[Decided]:
    """What the judgements of a label set before as_of come to, by instant and customer."""
    definition = deployment.catalog.label_set(label_set)
    return decide(definition, judgements(deployment, label_set, as_of))


def agreement_of(definition: LabelSet, decided: list[Decided]) -> Agreement:
    """How far the annotators of a label set agree."""
    return agreement(independent(decided), tuple(definition.values))


def too_little_agreement(label_set: str, definition: LabelSet, found: Agreement) -> tuple[str, ...]:
    """Reasons why no model may learn from a label set; none where people agree well enough."""
    if found.customers < definition.min_customers:
        return (
            f"two annotators have judged {found.customers} customers of label set {label_set!r}, "
            f"fewer than min_customers {definition.min_customers}: their agreement is not known",
        )
    if found.kappa is None:
        return (
            f"the annotators of label set {label_set!r} gave one and the same value throughout, "
            "so nothing can be learnt from it",
        )
    if found.kappa.value < definition.min_kappa:
        return (
            f"the annotators of label set {label_set!r} agree with kappa {found.kappa} over "
            f"{found.customers} customers, below min_kappa {definition.min_kappa:g}: make its "
            "guidelines clearer and judge anew",
        )
    return ()


def too_late(deployment: Deployment, label_set: str, as_of: datetime) -> str:
    """A clause on the judgements that an as_of does not know; empty where there are none."""
    later = [one for one in judgements(deployment, label_set, _EVER) if one.judged_at >= as_of]
    if not later:
        return ""
    return (
        f"; {len(later)} answers were judged after as_of {as_of.isoformat()}, which does not know "
        "them: take a later one, or hand them in with the judged_at at which they were given"
    )


def require_labels(catalog: Catalog) -> None:
    """Raise where the business has no table of judgements."""
    if "labels" not in catalog.tables:
        raise JudgementsRefused(
            f"{catalog.business} has no table labels, where judgements lie: add a source that "
            f"feeds it, such as annotators, to sources in businesses/{catalog.business}.yaml"
        )


def _about(catalog: Catalog, definition: LabelSet, row: dict[str, datetime]) -> datetime | None:
    """The instant that a judgement speaks of."""
    if definition.speaks_of == "judged":
        return catalog.midnight(catalog.day(row["judged_at"]))
    return row.get(ABOUT)
