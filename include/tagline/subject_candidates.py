"""Candidates of what is not a customer: a wide file of machines, one of opportunities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tagline.compile import compile_tags
from tagline.compute import candidate_file
from tagline.derived import DerivedTables
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def compute_others(
    deployment: Deployment, run_id: str, as_of: datetime, changed: frozenset[str]
) -> dict[str, dict[str, Any]]:
    """Write the candidate of every subject but customers; its path and rows by subject.

    `changed` are the tables that have superseded versions.
    """
    made = {}
    derived = DerivedTables(deployment, as_of, changed)
    for subject in deployment.catalog.subjects:
        if subject is CUSTOMER:
            continue
        path = candidate_file(deployment, run_id, f"computed-{subject.table}")
        _, rows = derived.answer(
            partial(compile_tags, deployment.catalog, as_of, changed=changed, subject=subject),
            partial(deployment.tag_engine.write, path=path),
            make=True,
        )
        made[subject.name] = {"path": path, "rows": rows}
    return made


def candidates(score: Mapping[str, Any]) -> dict[Subject, str]:
    """The finished candidate file of each subject, from the output of stage score."""
    others = score.get("subjects", {})
    return {CUSTOMER: score["path"]} | {SUBJECTS[name]: others[name]["path"] for name in others}
