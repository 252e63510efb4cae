"""Audiences 人群: the customers of a release for whom a condition over tags is true."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tagline.definitions.types import DataType
from tagline.errors import ExpressionError
from tagline.expressions import Scope, audiences_in, names_in, parse_condition
from tagline.expressions.membership import AUDIENCE
from tagline.registry.schema import Release
from tagline.serve.exports import check_target, tags_sql
from tagline.serve.released import relation_of, subject_of, tag_columns, wanted_release
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.catalog import Catalog
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

    Only tags of the release, as_of, standard values and saved audiences may be named; the
    expression is checked before an engine sees any of it.
    """
    from tagline.serve.saved import expressions

    release = wanted_release(deployment.registry, as_of)
    is_named = AUDIENCE in expression and subject is CUSTOMER  # saved audiences are of customers
    saved = expressions(deployment.registry) if is_named else {}
    condition = condition_sql(deployment.catalog, release, expression, saved, subject)
    return Audience(expression, condition, release, subject)


def condition_sql(
    catalog: Catalog,
    release: Release,
    expression: str,
    saved: Mapping[str, str],
    subject: Subject = CUSTOMER,
) -> str:
    """An expression as DuckDB SQL over the release's table, with the meaning it has in a rule.

    `saved` are the expressions of saved audiences. Raises ExpressionError; for a tag that the
    release has not, or has no more, it says why.
    """
    import sqlglot.expressions as exp

    from tagline.compile.instant import Moment

    columns = tag_columns(release, subject)
    for slug in sorted(names_in(expression, saved) - columns.keys() - {"as_of"}):
        reader = _reader(expression, saved, slug)
        reason = _absence(catalog, release, slug, subject)
        if reader is None and reason is None:
            continue  # no tag's name: the typing below says which one is close
        raise ExpressionError(
            f"{f'audience {reader!r}' if reader else repr(expression)} reads tag {slug!r}, which "
            f"release {release.id} as of {release.as_of.isoformat()} does not have: "
            f"{reason or 'it is no longer defined'}."
            + (f" Save the audience anew: `tagline audiences save {reader}`." if reader else "")
        )
    standards = {name: standard.type for name, standard in catalog.standards.items()}
    scope = Scope({**columns, "as_of": DataType.TIMESTAMP}, standards, audiences=saved)
    moment = Moment(catalog, release.as_of)
    tree = moment.rewrite(
        parse_condition(expression, scope), lambda name: exp.column(name, quoted=True), columns
    )
    return tree.sql(dialect="duckdb", comments=False)


def _reader(expression: str, saved: Mapping[str, str], slug: str) -> str | None:
    """The saved audience in an expression that names a tag itself, None where there is none."""
    for name in sorted(audiences_in(expression)):
        if slug in names_in(saved[name], saved):
            return _reader(saved[name], saved, slug) or name
    return None


def _absence(catalog: Catalog, release: Release, slug: str, subject: Subject) -> str | None:
    """Why a release has no values of a tag, None for a name that is no tag's."""
    entry = release.tags.get(slug)
    if entry is not None and subject_of(entry) is not subject:
        other = subject_of(entry)
        return (
            f"it is a tag of each {other.name}; ask for {other.table} with --subject {other.name}"
        )
    if entry is not None:
        return str(entry.get("reason") or "it has no values")
    if slug in catalog.tags:
        return "the tag is newer than the release"
    return catalog.unavailable.get(slug)


def _fetch(
    deployment: Deployment, chosen: Audience, what: str, order: str | None = None
) -> list[Any]:
    sql = f"SELECT {what} AS found FROM tags WHERE {chosen.condition}"
    if order is not None:
        sql += f" ORDER BY {order}"
    table = deployment.engine.fetch(sql, {"tags": relation_of(chosen.release, chosen.subject)})
    found: list[Any] = table.column("found").to_pylist()
    return found
