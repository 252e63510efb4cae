"""Audiences saved by name in the registry, with every version that they have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select

from tagline.definitions.types import Slug
from tagline.errors import ExpressionError, UnknownName, WrongUsage
from tagline.expressions import audiences_in, names_in
from tagline.registry import Registry
from tagline.registry.schema import Release, SavedAudience
from tagline.serve.audiences import choose, condition_sql

if TYPE_CHECKING:
    from tagline.deployment import Deployment

LOCK = "audiences"  # one change of saved audiences at a time, so that none closes a cycle
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)


@dataclass(frozen=True)
class NewAudience:
    """What a person saves; a name in a language that is not given stays, else is the slug."""

    name: str
    expression: str
    owner: str
    name_en: str | None = None
    name_zh: str | None = None


def save(deployment: Deployment, new: NewAudience, at: datetime) -> SavedAudience:
    """Save an audience, or a new version of it, after counting it in the live release.

    Raises ExpressionError for one that the live release cannot count, also for a cycle;
    WrongUsage for a name that is not written like a tag's, or that a tag has.
    """
    registry = deployment.registry
    try:
        _SLUG.validate_python(new.name)
    except ValidationError as error:
        raise WrongUsage(
            f"{new.name!r} is no name for an audience: write small letters, digits and "
            "underscores, such as big_spenders"
        ) from error
    if new.name in deployment.catalog.tags:
        raise WrongUsage(f"{new.name!r} is the name of a tag; choose another for the audience")
    with registry.exclusive(LOCK) as session:
        old = versions(registry, new.name)[:1]
        saved = expressions(registry) | {new.name: new.expression}
        release = choose(deployment, "true", None).release
        condition_sql(deployment.catalog, release, new.expression, saved)
        row = SavedAudience(
            name=new.name,
            name_en=new.name_en or (old[0].name_en if old else new.name),
            name_zh=new.name_zh or (old[0].name_zh if old else new.name),
            expression=new.expression,
            owner=new.owner,
            created_at=at,
        )
        session.add(row)
    return row


def delete(
    deployment: Deployment, name: str, reason: str, actor: str, at: datetime
) -> SavedAudience:
    """Delete an audience: from then on it cannot be named; its versions are kept.

    Refused while another audience names it.
    """
    registry = deployment.registry
    if not reason.strip():
        raise WrongUsage("a reason is needed; it is kept with the audience")
    with registry.exclusive(LOCK) as session:
        old = saved_audience(registry, name)
        saved = expressions(registry)
        left = {other: text for other, text in saved.items() if other != name}
        for other, text in left.items():
            if name in audiences_in(text):
                raise WrongUsage(f"audience {other!r} names {name!r}; change or delete it first")
        row = SavedAudience(
            name=name,
            name_en=old.name_en,
            name_zh=old.name_zh,
            expression=None,
            owner=actor,
            reason=reason,
            created_at=at,
        )
        session.add(row)
    return row


def saved_audiences(registry: Registry) -> list[SavedAudience]:
    """The present version of every audience that is not deleted, by name."""
    newest = select(func.max(SavedAudience.id)).group_by(SavedAudience.name)
    statement = (
        select(SavedAudience)
        .where(SavedAudience.id.in_(newest), SavedAudience.expression.is_not(None))
        .order_by(SavedAudience.name)
    )
    with registry.session() as session:
        return list(session.scalars(statement))


def saved_audience(registry: Registry, name: str) -> SavedAudience:
    """The present version of one audience."""
    found = {each.name: each for each in saved_audiences(registry)}
    if name not in found:
        raise UnknownName("audience", name, found)
    return found[name]


def versions(registry: Registry, name: str) -> Sequence[SavedAudience]:
    """Every version of an audience, deletions included, newest first."""
    statement = select(SavedAudience).filter_by(name=name).order_by(SavedAudience.id.desc())
    with registry.session() as session:
        return session.scalars(statement).all()


def expressions(registry: Registry) -> dict[str, str]:
    """The expression of every saved audience, by name."""
    return {each.name: each.expression or "" for each in saved_audiences(registry)}


def tags_read_by_saved(registry: Registry) -> Mapping[str, frozenset[str]]:
    """The tags that each saved audience reads, also through others that it names."""
    saved = expressions(registry)
    return {name: names_in(text, saved) for name, text in saved.items()}


def sizes(deployment: Deployment, release: Release) -> dict[str, int | str]:
    """The size of every saved audience in a release, or why it cannot be counted; one scan."""
    from tagline.serve.released import relation_of

    saved = expressions(deployment.registry)
    found: dict[str, int | str] = {}
    conditions: dict[str, str] = {}
    for name in saved:
        try:
            conditions[name] = condition_sql(
                deployment.catalog, release, f"audience('{name}')", saved
            )
        except (ExpressionError, UnknownName) as error:
            found[name] = str(error)
    if conditions:
        counted = ", ".join(
            f"count(CASE WHEN {condition} THEN 1 END) AS n{number}"
            for number, condition in enumerate(conditions.values())
        )
        table = deployment.engine.fetch(
            f"SELECT {counted} FROM tags", {"tags": relation_of(release)}
        )
        row = table.to_pylist()[0]
        found |= {name: row[f"n{number}"] for number, name in enumerate(conditions)}
    return {name: found[name] for name in saved}
