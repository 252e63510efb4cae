"""Who entered and left an audience between two releases, and how far audiences overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagline.errors import ReleaseRefused, WrongUsage
from tagline.registry.schema import Release
from tagline.serve.audiences import condition_sql
from tagline.serve.changes import comparable
from tagline.serve.released import relation_of, wanted_release
from tagline.serve.saved import expressions

if TYPE_CHECKING:
    from tagline.deployment import Deployment

MOST = 12  # audiences of one matrix


@dataclass(frozen=True)
class Membership:
    """How an audience moved from one release to another; ids in order.

    A customer that only one of the releases has enters or leaves too.
    """

    earlier: Release
    later: Release
    stayed: int
    entered: tuple[str, ...]
    left: tuple[str, ...]


def membership(
    deployment: Deployment, expression: str, earlier: int | None = None, later: int | None = None
) -> Membership:
    """Who entered and left an audience between two releases.

    `later` is the live release where none is named, `earlier` what that is compared with: the
    release it superseded, else the newest day before. The expression of today is asked of both,
    each with the standard values of its day.
    """
    registry = deployment.registry
    new = wanted_release(registry, None) if later is None else registry.release(later)
    old = comparable(registry, new) if earlier is None else registry.release(earlier)
    if old is None:
        raise ReleaseRefused(
            f"release {new.id} is the first one, so nobody entered or left before it"
        )
    saved = expressions(registry)
    conditions = {
        name: condition_sql(deployment.catalog, release, expression, saved)
        for name, release in (("earlier", old), ("later", new))
    }
    chosen = ", ".join(
        f"{name} AS (SELECT customer_id FROM {name}_tags WHERE {condition})"
        for name, condition in conditions.items()
    )
    moved = (
        f"WITH {chosen} SELECT coalesce(l.customer_id, e.customer_id) AS customer_id, "
        "e.customer_id IS NULL AS entered FROM later AS l "
        "FULL JOIN earlier AS e ON e.customer_id = l.customer_id "
        "WHERE e.customer_id IS NULL OR l.customer_id IS NULL ORDER BY 1"
    )
    found = {"earlier_tags": relation_of(old), "later_tags": relation_of(new)}
    rows = deployment.engine.fetch(moved, found).to_pylist()
    entered = tuple(row["customer_id"] for row in rows if row["entered"])
    left = tuple(row["customer_id"] for row in rows if not row["entered"])
    size = f"SELECT count(*) AS n FROM later_tags WHERE {conditions['later']}"
    (now,) = deployment.engine.fetch(size, found).to_pylist()
    return Membership(old, new, now["n"] - len(entered), entered, left)


def overlap(deployment: Deployment, named: Sequence[str]) -> dict[str, Any]:
    """The sizes of audiences and of their intersections in the live release, by one scan.

    Each is the name of a saved audience, else an expression.
    `{release, as_of, customers, sizes: {name: n}, pairs: [{a, b, both, either, jaccard}]}`;
    `jaccard` is both / either, null where nobody is in either.
    """
    release = wanted_release(deployment.registry, None)
    saved = expressions(deployment.registry)
    conditions = _conditions(deployment, release, named, saved)
    names = list(conditions)
    members = ", ".join(
        f"coalesce({condition}, false) AS m{number}"
        for number, condition in enumerate(conditions.values())
    )
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    counts = [f"count(CASE WHEN m{i} THEN 1 END) AS n{i}" for i in range(len(names))]
    counts += [f"count(CASE WHEN m{i} AND m{j} THEN 1 END) AS n{i}_{j}" for i, j in pairs]
    sql = f"SELECT count(*) AS customers, {', '.join(counts)} FROM (SELECT {members} FROM tags)"
    row = deployment.engine.fetch(sql, {"tags": relation_of(release)}).to_pylist()[0]
    listed = []
    for i, j in pairs:
        both = row[f"n{i}_{j}"]
        either = row[f"n{i}"] + row[f"n{j}"] - both
        share = round(both / either, 6) if either else None
        listed.append(
            {"a": names[i], "b": names[j], "both": both, "either": either, "jaccard": share}
        )
    return {
        "release": release.id,
        "as_of": release.as_of.isoformat(),
        "customers": row["customers"],
        "sizes": {name: row[f"n{number}"] for number, name in enumerate(names)},
        "pairs": listed,
    }


def _conditions(
    deployment: Deployment, release: Release, named: Sequence[str], saved: Mapping[str, str]
) -> dict[str, str]:
    names = list(dict.fromkeys(named))
    if not 2 <= len(names) <= MOST:
        raise WrongUsage(f"name 2 to {MOST} different audiences to compare")
    return {
        name: condition_sql(
            deployment.catalog, release, f"audience('{name}')" if name in saved else name, saved
        )
        for name in names
    }
