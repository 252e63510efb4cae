"""Audiences 人群: the customers of a release for whom a condition over tags is true."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tagline.expressions import Scope, parse_condition
from tagline.registry.schema import Release
from tagline.serve.exports import check_target, tags_sql
from tagline.serve.released import relation_of, tag_columns, wanted_release
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment


@dataclass(frozen=True)
class Audience:
    """A condition over the tags of one release, checked and ready for the engine."""

    text: str
    condition: str  # DuckDB SQL
    release: Release
    subject: Subject


def audience(
    deployment: Deployment,
    expression: str,
    as_of: datetime | None = None,
    subject: Subject = CUSTOMER,
) -> dict[str, Any]:
    """The size of an audience: `{count, expression, as_of, release, milliseconds}`.

    A customer for whom the condition is unknown (null) is not counted.
    """
    chosen = choose(deployment, expression, as_of, subject)
    began = time.perf_counter()
    found = _fetch(deployment, chosen, "count(*)")
    return {
        "count": found[0],
        "expression": expression,
        "as_of": chosen.release.as_of.isoformat(),
        "release": chosen.release.id,
        "milliseconds": round((time.perf_counter() - began) * 1000, 3),
    }


def ids(
    deployment: Deployment,
    expression: str,
    as_of: datetime | None = None,
    subject: Subject = CUSTOMER,
) -> list[str]:
    """The customers of an audience, in order of their ids."""
    chosen = choose(deployment, expression, as_of, subject)
    return [str(found) for found in _fetch(deployment, chosen, subject.key, subject.key)]


def export_audience(
    deployment: Deployment,
    expression: str,
    path: str,
    as_of: datetime | None = None,
    subject: Subject = CUSTOMER,
) -> int:
    """Write the released tags of an audience to a Parquet file; the number of customers."""
    check_target(path)
    chosen = choose(deployment, expression, as_of, subject)
    sql = tags_sql(chosen.release, chosen.condition, subject)
    return deployment.engine.write(sql, {"tags": relation_of(chosen.release, subject)}, path)


def choose(
    deployment: Deployment,
    expression: str,
    as_of: datetime | None,
    subject: Subject = CUSTOMER,
) -> Audience:
    """The audience of an expression in the live release or that of an as_of.

    Only tags of the release and standard values may be named; the expression is checked before
    an engine sees any of it.
    """
    import sqlglot.expressions as exp

    release = wanted_release(deployment.registry, as_of)
    catalog = deployment.catalog
    standards = {name: standard.type for name, standard in catalog.standards.items()}
    parsed = parse_condition(expression, Scope(tag_columns(release, subject), standards))
    tree = parsed.rewritten(
        lambda name: exp.column(name, quoted=True),
        lambda name: exp.convert(catalog.standard(name, release.as_of)),
    )
    return Audience(expression, tree.sql(dialect="duckdb", comments=False), release, subject)


def _fetch(
    deployment: Deployment, chosen: Audience, what: str, order: str | None = None
) -> list[Any]:
    sql = f"SELECT {what} AS found FROM tags WHERE {chosen.condition}"
    if order is not None:
        sql += f" ORDER BY {order}"
    table = deployment.engine.fetch(sql, {"tags": relation_of(chosen.release, chosen.subject)})
    found: list[Any] = table.column("found").to_pylist()
    return found
