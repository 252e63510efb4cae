"""The release row of a candidate, drafted before the transaction that enters it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tagline.engines import Relation, identifier
from tagline.registry.schema import Release, Run
from tagline.serve.released import CASE, KEYS, SUBJECT, file_columns, files_of
from tagline.storage import beside

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def draft_release(
    deployment: Deployment, run: Run, score: dict[str, Any], gate: dict[str, Any], at: datetime
) -> Release:
    """The release row of a candidate, with the file that withheld tags need."""
    catalog, registry = deployment.catalog, deployment.registry
    compute, audit = registry.stage(run.id, "compute"), registry.stage(run.id, "audit")
    held = gate["verdict"] == "hold"
    columns = file_columns(score["path"])
    withheld = {
        slug: "; ".join(verdict["reasons"])
        for slug, verdict in gate["tags"].items()
        if verdict["verdict"] == "withhold"
        and slug in columns
        # Whoever releases a held candidate accepts what it was held for: its critical tags.
        and not (held and slug in catalog.tags and catalog.tags[slug].definition.critical)
    }
    before = registry.release_before(run.as_of)
    path = _with_earlier_values(deployment, score["path"], set(withheld), before)
    present = file_columns(path)
    reasons = {
        **catalog.unavailable,
        **compute.get("unavailable", {}),
        **score.get("unavailable", {}),
    }
    tags: dict[str, Any] = {}
    for slug, tag in catalog.tags.items():
        if slug in withheld:
            old = before.tags.get(slug, {}) if before and slug in present else {}
            tags[slug] = {
                "version": old.get("version"),
                "state": "withheld",
                "as_of": old.get("as_of"),
                "reason": withheld[slug],
            } | {key: old[key] for key in ("standards",) if key in old}
        elif slug in present:
            tags[slug] = {
                "version": tag.version,
                "state": "current",
                "as_of": run.as_of.isoformat(),
            }
            if standards := catalog.standards_of(tag, run.as_of):
                tags[slug]["standards"] = standards  # what `tagline plan` compares with
        else:
            tags[slug] = _unavailable(reasons.get(slug, "not computed"))
    tags |= {slug: _unavailable(reason) for slug, reason in reasons.items() if slug not in tags}
    return Release(
        as_of=run.as_of,
        status="held" if held else "active",
        created_at=at,
        run_id=run.id,
        candidate=score["path"],
        customers=score["rows"],
        files={SUBJECT: [path]},
        tags=tags,
        models=score.get("models", {}),
        gate=gate,
        profile=audit.get("tags", {}),
    )


def _unavailable(reason: str) -> dict[str, Any]:
    return {"version": None, "state": "unavailable", "as_of": None, "reason": reason}


def _with_earlier_values(
    deployment: Deployment, candidate: str, withheld: set[str], before: Release | None
) -> str:
    """A file with the earlier release's values of withheld tags; the candidate if there are none.

    A withheld tag that the earlier release does not have, or has in another type, is left out.
    """
    if not withheld:
        return candidate
    columns = file_columns(candidate)
    earlier = file_columns(files_of(before)[0]) if before else {}
    picked: list[str] = []
    for name, type_ in columns.items():
        if name.removesuffix(CASE) not in withheld or name in KEYS:
            picked.append(f"c.{identifier(name)}")
        elif earlier.get(name) == type_:
            picked.append(f"e.{identifier(name)}")
    sql = (
        f"SELECT {', '.join(picked)} FROM candidate AS c "
        "LEFT JOIN earlier AS e ON e.customer_id = c.customer_id ORDER BY c.customer_id"
    )
    relations = {
        "candidate": Relation((candidate,), columns),
        "earlier": Relation(
            files_of(before) if before else (), earlier or {"customer_id": columns["customer_id"]}
        ),
    }
    target = beside(candidate, f"released-{uuid4().hex[:12]}.parquet")
    deployment.engine.write(sql, relations, target)
    return target
