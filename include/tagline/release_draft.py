"""The release row of a candidate, drafted before the transaction that enters it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tagline.engines import Relation, identifier
from tagline.registry.schema import Release, Run
from tagline.serve.released import file_columns, files_of, keys_of, tag_of
from tagline.storage import beside
from tagline.subject_candidates import candidates
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def draft_release(
    deployment: Deployment, run: Run, score: dict[str, Any], gate: dict[str, Any], at: datetime
) -> Release:
    """The release row of a candidate, with the files that withheld tags need."""
    catalog, registry = deployment.catalog, deployment.registry
    compute, audit = registry.stage(run.id, "compute"), registry.stage(run.id, "audit")
    held = gate["verdict"] == "hold"
    made = candidates(score)
    columns = {name for path in made.values() for name in file_columns(path)}
    withheld = {
        slug: "; ".join(verdict["reasons"])
        for slug, verdict in gate["tags"].items()
        if verdict["verdict"] == "withhold"
        and slug in columns
        # Whoever releases a held candidate accepts what it was held for: its critical tags.
        and not (held and slug in catalog.tags and catalog.tags[slug].definition.critical)
    }
    before = registry.release_before(run.as_of)
    released = {
        subject: _with_earlier_values(deployment, path, set(withheld), before, subject)
        for subject, path in made.items()
    }
    present = {name for path in released.values() for name in file_columns(path)}
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
        if tag.subject is not CUSTOMER:
            tags[slug]["subject"] = tag.subject.name
    tags |= {slug: _unavailable(reason) for slug, reason in reasons.items() if slug not in tags}
    return Release(
        as_of=run.as_of,
        status="held" if held else "active",
        created_at=at,
        run_id=run.id,
        candidate=score["path"],
        customers=score["rows"],
        files={subject.name: [path] for subject, path in released.items()},
        tags=tags,
        models=score.get("models", {}),
        gate=gate,
        profile=audit.get("tags", {}),
    )


def _unavailable(reason: str) -> dict[str, Any]:
    return {"version": None, "state": "unavailable", "as_of": None, "reason": reason}


def _with_earlier_values(
    deployment: Deployment,
    candidate: str,
    withheld: set[str],
    before: Release | None,
    subject: Subject,
) -> str:
    """A file with the earlier release's values of withheld tags; the candidate if there are none.

    A withheld tag that the earlier release does not have, or has in another type, is left out.
    """
    columns = file_columns(candidate)
    withheld = withheld & set(columns)
    if not withheld:
        return candidate
    files = files_of(before, subject) if before and subject.name in before.files else ()
    earlier = file_columns(files[0]) if files else {}
    picked: list[str] = []
    for name, type_ in columns.items():
        if tag_of(name) not in withheld or name in keys_of(subject):
            picked.append(f"c.{identifier(name)}")
        elif earlier.get(name) == type_:
            picked.append(f"e.{identifier(name)}")
    sql = (
        f"SELECT {', '.join(picked)} FROM candidate AS c "
        f"LEFT JOIN earlier AS e ON e.{subject.key} = c.{subject.key} ORDER BY c.{subject.key}"
    )
    relations = {
        "candidate": Relation((candidate,), columns),
        "earlier": Relation(files, earlier or {subject.key: columns[subject.key]}),
    }
    target = beside(candidate, f"released-{uuid4().hex[:12]}.parquet")
    deployment.engine.write(sql, relations, target)
    return target
