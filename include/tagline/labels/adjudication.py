"""The customers on whom annotators disagree, as a sheet for an adjudicator to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.errors import did_you_mean
from tagline.labels.decided import Decided
from tagline.labels.delivery import customer_keys
from tagline.labels.judged import JudgementsRefused, decisions
from tagline.labels.sheets import COLUMNS, write_sheet

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def disagreements(
    deployment: Deployment, label_set: str, at: datetime, adjudicator: str | None = None
) -> list[tuple[str, Decided]]:
    """Customer keys and what was said of each on whom the annotators disagree, by instant.

    JudgementsRefused where the label set has no adjudicators, or not the one named.
    """
    definition = deployment.catalog.label_set(label_set)
    known = definition.adjudicators
    if not known:
        raise JudgementsRefused(
            f"label set {label_set!r} names no adjudicators, so nobody's answer would decide: add "
            f"adjudicators to labels/{label_set}.yaml"
        )
    if adjudicator is not None and adjudicator.strip() not in known:
        raise JudgementsRefused(
            f"{adjudicator!r} is no adjudicator of label set {label_set!r}."
            f"{did_you_mean(adjudicator, known)}"
        )
    keys = customer_keys(deployment, at)
    return [
        (keys[one.customer_id], one)
        for one in decisions(deployment, label_set, at)
        if one.state == "disagreed" and one.customer_id in keys
    ]


def write_disagreements(
    label_set: str,
    found: Sequence[tuple[str, Decided]],
    path: Path,
    adjudicator: str | None = None,
) -> None:
    """Write a new sheet, with a column for each annotator's answer; see `write_sheet`."""
    people = sorted({name for _, one in found for name in one.answers})
    decides = (adjudicator or "").strip()
    rows = []
    for key, one in found:
        head = (label_set, key, one.about_at.isoformat(), "disagreement", "", decides, "")
        rows.append((*head, *(one.answers.get(name, "") for name in people)))
    write_sheet(path, (*COLUMNS, *(f"answer of {name}" for name in people)), rows)
