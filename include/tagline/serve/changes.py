"""What changed between two releases: who came and went, and per tag who gained, lost or moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import defer

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier
from tagline.registry import Registry
from tagline.registry.schema import Release
from tagline.serve.released import files_of, tag_columns

_CELLS = 40_000_000  # values that one statement may have in its hands


@dataclass(frozen=True)
class Moved:
    """Customers of both releases whose value of a tag appeared, vanished or became another."""

    gained: int
    lost: int
    moved: int

    @property
    def changed(self) -> int:
        """All of them."""
        return self.gained + self.lost + self.moved


@dataclass(frozen=True)
class Changes:
    """From `earlier` to `later`; `tags` holds those that both have with the same type.

    `redefined` are those with another version; their values may differ for that reason alone.
    """

    earlier: int
    later: int
    both: int
    came: int
    went: int
    tags: Mapping[str, Moved]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    redefined: tuple[str, ...]


def changes(engine: Engine, earlier: Release, later: Release) -> Changes:
    """Compare the released files of two releases, customer by customer."""
    old, new = tag_columns(earlier), tag_columns(later)
    common = [slug for slug, kind in new.items() if old.get(slug) is kind]
    both, came, went = _customers(engine, earlier, later)
    moved: dict[str, Moved] = {}
    for slugs in _groups(common, later.customers):
        moved |= _moved(engine, earlier, later, {slug: new[slug] for slug in slugs})
    return Changes(
        earlier=earlier.id,
        later=later.id,
        both=both,
        came=came,
        went=went,
        tags=moved,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        redefined=tuple(
            slug for slug in common if _version(earlier, slug) != _version(later, slug)
        ),
    )


def comparable(registry: Registry, release: Release) -> Release | None:
    """What a release is compared with: the one it superseded, else the newest day before it."""
    light = defer(Release.profile, raiseload=True)
    with registry.session() as session:
        if release.supersedes_id is not None:
            return session.get(Release, release.supersedes_id, options=[light])
        return session.scalars(
            select(Release)
            .options(light)
            .where(Release.status == "active", Release.as_of < release.as_of)
            .order_by(Release.as_of.desc())
            .limit(1)
        ).first()


def _version(release: Release, slug: str) -> str | None:
    version: str | None = release.tags.get(slug, {}).get("version")
    return version


def _groups(slugs: Sequence[str], rows: int) -> Iterator[Sequence[str]]:
    width = max(1, _CELLS // max(rows, 1))
    for start in range(0, len(slugs), width):
        yield slugs[start : start + width]


def _customers(engine: Engine, earlier: Release, later: Release) -> tuple[int, int, int]:
    sql = (
        "SELECT count(CASE WHEN e.customer_id = l.customer_id THEN 1 END) AS both, "
        "count(CASE WHEN e.customer_id IS NULL THEN 1 END) AS came, "
        "count(CASE WHEN l.customer_id IS NULL THEN 1 END) AS went "
        "FROM later AS l FULL JOIN earlier AS e ON e.customer_id = l.customer_id"
    )
    row = engine.fetch(sql, _relations(earlier, later, {})).to_pylist()[0]
    return row["both"], row["came"], row["went"]


def _moved(
    engine: Engine, earlier: Release, later: Release, columns: Mapping[str, DataType]
) -> dict[str, Moved]:
    asked = []
    for number, slug in enumerate(columns):
        old, new = f"e.{identifier(slug)}", f"l.{identifier(slug)}"
        for what, condition in (
            ("gained", f"{old} IS NULL AND {new} IS NOT NULL"),
            ("lost", f"{old} IS NOT NULL AND {new} IS NULL"),
            ("moved", f"{old} <> {new}"),
        ):
            asked.append(f"count(CASE WHEN {condition} THEN 1 END) AS {what}_{number}")
    sql = (
        f"SELECT {', '.join(asked)} FROM later AS l "
        "JOIN earlier AS e ON e.customer_id = l.customer_id"
    )
    row = engine.fetch(sql, _relations(earlier, later, columns)).to_pylist()[0]
    return {
        slug: Moved(row[f"gained_{number}"], row[f"lost_{number}"], row[f"moved_{number}"])
        for number, slug in enumerate(columns)
    }


def _relations(
    earlier: Release, later: Release, columns: Mapping[str, DataType]
) -> dict[str, Relation]:
    wanted = {"customer_id": DataType.TEXT, **columns}
    return {
        "earlier": Relation(files_of(earlier), wanted),
        "later": Relation(files_of(later), wanted),
    }
