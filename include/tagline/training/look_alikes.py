"""Look-alikes: the customers of a release who are most like those of a seed audience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tagline.definitions.tag import ModelTag
from tagline.definitions.types import DataType
from tagline.errors import UnknownName, WrongUsage
from tagline.expressions import names_in
from tagline.expressions.membership import AUDIENCE
from tagline.serve.audiences import choose
from tagline.serve.released import relation_of, tag_columns
from tagline.training.alike_space import space_of
from tagline.training.estimators.neighbours import Codes, Distances, Neighbours, Points
from tagline.training.panels import CATEGORIES, NUMBERS, typed_frame

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment

NEAREST = 10  # seeds that a customer is compared with
TRAITS = 5
_TINY = 1e-9
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def similar(
    deployment: Deployment,
    expression: str,
    count: int = 100,
    as_of: datetime | None = None,
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """The `count` customers outside an audience who are most like it, the most similar first.

    They are compared by the tags named, else by all numbers and flags of the release that the
    expression does not read itself, but for numbers that only name something. Returns expression,
    as_of, release, seeds (how many), by, customers (each with customer_id and similarity) and
    traits: the tags that set the audience most apart, with the means of the seeds, of those found
    and of everyone.
    """
    chosen = choose(deployment, expression, as_of)
    columns = tag_columns(chosen.release)
    slugs = _compared(deployment, expression, columns, by)
    shown = ", ".join(f'"{slug}"' for slug in slugs)
    table = deployment.engine.fetch(
        f"SELECT customer_id, coalesce({chosen.condition}, false) AS seed, {shown} "
        "FROM tags ORDER BY customer_id",
        {"tags": relation_of(chosen.release)},
    )
    seeds = table.column("seed").to_numpy(zero_copy_only=False).astype(bool)
    if not seeds.any():
        raise WrongUsage(f"no customer fulfils {expression!r}: there is nobody to be like")
    types = {slug: columns[slug] for slug in slugs}
    rows = typed_frame(table, types)
    points = space_of(rows, [slug for slug in slugs if types[slug] in NUMBERS]).fit_transform(rows)
    positions, similarity = most_alike(points, seeds, count)
    customers = table.column("customer_id").take(positions).to_pylist()
    return {
        "expression": expression,
        "as_of": chosen.release.as_of.isoformat(),
        "release": chosen.release.id,
        "seeds": int(seeds.sum()),
        "by": list(slugs),
        "customers": [
            {"customer_id": customer, "similarity": round(float(value), 4)}
            for customer, value in zip(customers, similarity, strict=True)
        ],
        "traits": _traits(rows, types, seeds, positions),
    }


def most_alike(points: Points, seeds: Flags, count: int) -> tuple[Codes, Distances]:
    """Positions and similarities of the rows nearest to the seeds, without the seeds.

    A row's distance is the mean of those to its ten nearest seeds; its similarity is one half
    where that is the usual distance of a seed to the ten seeds nearest to it, and nearly 1 where
    it is nearly 0. The most similar come first, of equal ones the first row.
    """
    found = Neighbours().fit(points[seeds])
    others = np.flatnonzero(~seeds)
    distance = found.nearest(points[others], NEAREST)[0].mean(axis=1)
    usual = 0.0
    if seeds.sum() > 1:  # the nearest seed of a seed is itself
        usual = float(np.median(found.nearest(points[seeds], NEAREST + 1)[0][:, 1:].mean(axis=1)))
    order = np.argsort(distance, kind="stable")[:count]
    scale = max(usual, _TINY) if seeds.sum() > 1 else max(float(np.median(distance)), _TINY)
    return others[order], 1 / (1 + distance[order] / scale)


def _compared(
    deployment: Deployment, expression: str, columns: Mapping[str, DataType], by: Sequence[str]
) -> tuple[str, ...]:
    """The tags that customers are compared by."""
    from tagline.serve.saved import expressions

    for slug in by:
        if slug not in columns:
            raise UnknownName("tag", slug, columns)
        if columns[slug] not in NUMBERS | CATEGORIES:
            raise WrongUsage(
                f"tag {slug!r} is a {columns[slug].value}: customers are compared by numbers, "
                "booleans and texts"
            )
    if by:
        return tuple(dict.fromkeys(by))
    saved = expressions(deployment.registry) if AUDIENCE in expression else {}
    read = names_in(expression, saved)
    kinds = NUMBERS | {DataType.BOOLEAN}
    found = tuple(
        slug
        for slug, type_ in columns.items()
        if type_ in kinds and slug not in read and not _is_nominal(deployment.catalog, slug)
    )
    if not found:
        raise WrongUsage("the release has no numbers or booleans to compare customers by")
    return found


def _is_nominal(catalog: Catalog, slug: str) -> bool:
    """Whether a tag is a number of a model that only names something, such as a circle."""
    tag = catalog.tags.get(slug)
    if tag is None or not isinstance(tag.definition, ModelTag):
        return False
    model = catalog.models.get(tag.definition.model)
    return model is not None and tag.definition.output in model.nominal


def _traits(
    rows: pd.DataFrame, types: Mapping[str, DataType], seeds: Flags, found: Codes
) -> list[dict[str, Any]]:
    """The tags whose mean over the seeds is the most deviations away from everyone's."""
    traits: list[dict[str, Any]] = []
    for slug, values in _numbers(rows, types).items():
        deviation = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        if not deviation or not np.isfinite(values[seeds]).any():
            continue
        alike = values[found][np.isfinite(values[found])]
        members, everyone = float(np.nanmean(values[seeds])), float(np.nanmean(values))
        traits.append(
            {
                "tag": slug,
                "seeds": members,
                "found": float(alike.mean()) if len(alike) else None,
                "everyone": everyone,
                "deviations": round((members - everyone) / deviation, 4),
            }
        )
    return sorted(traits, key=lambda trait: -abs(trait["deviations"]))[:TRAITS]


def _numbers(rows: pd.DataFrame, types: Mapping[str, DataType]) -> dict[str, Distances]:
    """The tags that have a mean: numbers, and booleans as 0 and 1."""
    numbers: dict[str, Distances] = {}
    for slug, type_ in types.items():
        if type_ is DataType.BOOLEAN:
            numbers[slug] = np.asarray(rows[slug].map({"true": 1.0, "false": 0.0}), dtype=float)
        elif type_ in NUMBERS:
            numbers[slug] = np.asarray(rows[slug], dtype=float)
    return numbers
