"""Circles: communities of customers who share items, that keep their identity from run to run."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tagline.definitions.models import CirclesModel
from tagline.definitions.types import Names
from tagline.errors import ModelRefused
from tagline.training.circle_measures import PERMUTATIONS
from tagline.training.circle_names import Trait, named, traits
from tagline.training.circle_verdict import (
    Figures,
    largest_share,
    measure,
    shape_reasons,
    trust_reasons,
)
from tagline.training.estimators.circles import NONE, Circles
from tagline.training.evaluate import RESAMPLES
from tagline.training.input_rows import input_parts, load_indexed, load_input
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.plots import circle_sizes
from tagline.training.tracking import load_pipeline
from tagline.training.verdict import Verdict

log = logging.getLogger(__name__)

WEEK = timedelta(days=7)
ITEMS = 10  # of a circle that its document names


def train(asked: Training) -> Judged:
    """Find circles week by week up to as_of, each from those before, and judge the last.

    The first week starts from the champion's circles, so that they keep their ids and names.
    """
    definition = asked.definition
    assert isinstance(definition, CirclesModel)
    before = asked.deployment.catalog.before
    instants = [before(asked.as_of, WEEK * weeks) for weeks in reversed(range(definition.weeks))]
    panels = {
        at.isoformat(): load_input(asked.deployment, definition, definition.input, at)
        for at in instants
    }
    newest = panels[asked.as_of.isoformat()]
    params = {**definition.graph.model_dump(), "weeks": definition.weeks, "input": definition.input}
    candidate, verdict, counts = _judged(asked, definition, panels)
    return Judged(
        candidates=(candidate,) if candidate else (),
        chosen=candidate,
        verdict=verdict,
        counts={
            **counts,
            "training": {
                "as_of": list(panels),
                "rows": len(newest),
                "customers": int(newest["customer_id"].nunique()),
            },
        },
        digests={at: _digest(rows) for at, rows in panels.items()},
        params={**params, "bootstrap_resamples": RESAMPLES, "permutations": PERMUTATIONS},
        example=newest.head(200),
        label_end_at=asked.as_of,  # nothing is predicted: it may serve at once
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """What the customers of the population had to do with, a row per item."""
    definition = asked.definition
    assert isinstance(definition, CirclesModel)
    return input_parts(asked, definition.input)


def answers(definition: CirclesModel, model: Circles, rows: pd.DataFrame) -> pd.DataFrame:
    """Each customer's circle, null for who is in none, and how strongly it belongs there."""
    told = model.predict(rows)
    circle = told["circle"]
    called = dict(zip(model.circles_.tolist(), model.names_.tolist(), strict=True))
    shown = {
        language: [None if one == NONE else f"{one} {called[one][at]}" for one in circle]
        for at, language in enumerate(("en", "zh"))
    }
    return pd.DataFrame(
        {
            "customer_id": told["customer_id"],
            "id": circle.astype("Int64").mask(circle == NONE),
            "circle": pd.Series(shown["en"], dtype=object),
            "circle_zh": pd.Series(shown["zh"], dtype=object),
            "strength": told["strength"].astype("Float64").mask(circle == NONE),
        }
    )


def _judged(
    asked: Training, definition: CirclesModel, panels: Mapping[str, pd.DataFrame]
) -> tuple[Candidate | None, Verdict, Mapping[str, Mapping[str, Any]]]:
    """The candidate with its figures, unless the rows of some week make no circles."""
    first_id, earlier = _earlier(asked)
    weekly: list[Circles] = []
    for at, rows in panels.items():
        try:
            links = _unfitted(definition, 0).link(rows)
        except ModelRefused as error:
            return None, Verdict((f"as of {at}: {error}",)), {}
        weekly.append(
            _unfitted(definition, 0).fit_links(
                links, previous=weekly[-1] if weekly else earlier, first_id=first_id
            )
        )
    newest = weekly[-1]
    counts = {
        "circles": {
            "count": len(newest.circles_),
            "largest_share": round(largest_share(newest), 4),
            "modularity": round(newest.modularity_, 4),
            "in_no_circle": newest.small_,
            "renewed": newest.renewed_,
            "next_id": newest.next_id_,
        }
    }
    reasons = shape_reasons(definition.gate, newest)
    if len(newest.circles_) < 2:
        return Candidate("leiden", newest), Verdict(reasons), counts
    fresh = [_unfitted(definition, seed).fit_links(links) for seed in range(definition.seeds)]
    slugs = (*definition.named_by, *definition.judged_by)
    tags = load_indexed(asked.deployment, definition, slugs, asked.as_of)
    tags = tags.reindex(newest.customers_.tolist())
    known = {slug: asked.deployment.catalog.tags[slug].definition.name for slug in slugs}
    found_traits = traits(newest.labels_, tags[list(dict.fromkeys(definition.named_by))], known)
    names = named(found_traits, {} if earlier is None else _names_of(earlier))
    newest.call({circle: (name.en, name.zh, lead) for circle, (name, lead) in names.items()})
    figures = measure(weekly, fresh, tags[list(dict.fromkeys(definition.judged_by))])
    candidate = Candidate(
        name="leiden",
        model=newest,
        metrics=figures.metrics,
        params={"seeds": definition.seeds, "modularity": round(newest.modularity_, 4)},
        documents={
            "circles.json": {"circles": _described(newest, found_traits, earlier)},
            "stability.json": _stability(weekly, figures),
        },
        figures=_drawn(newest),
    )
    return candidate, Verdict((*reasons, *trust_reasons(definition.gate, figures))), counts


def _unfitted(definition: CirclesModel, seed: int) -> Circles:
    return Circles(**definition.graph.model_dump(), seed=seed)


def _earlier(asked: Training) -> tuple[int, Circles | None]:
    """The first id that no version ever gave, and the circles of the newest accepted one.

    The champion's circles count even where it reads other inputs than today's file: they are
    matched by their customers. Those of a training of the same as_of do not, so that a repeated
    one begins where the first did; nor do those whose file is gone.
    """
    registry = asked.deployment.registry
    used = [
        int(version.metrics["circles"]["next_id"])
        for version in registry.model_versions(asked.model)
        if "circles" in version.metrics
    ]
    champion = asked.champion
    if champion is None:
        version = registry.champion(asked.model, asked.as_of, trained_before=asked.as_of)
        if version is not None and version.model_uri is not None:
            try:
                champion = load_pipeline(asked.deployment.settings, version.model_uri)
            except ModelRefused as error:
                log.warning("circles begin anew: %s", error)
    return max(used, default=1), champion if isinstance(champion, Circles) else None


def _names_of(circles: Circles) -> dict[int, tuple[Names, str]]:
    called = zip(
        circles.circles_.tolist(), circles.names_.tolist(), circles.leads_.tolist(), strict=True
    )
    return {
        circle: (Names(en=english, zh=chinese), lead) for circle, (english, chinese), lead in called
    }


def _described(
    circles: Circles, found: Mapping[int, Sequence[Trait]], earlier: Circles | None
) -> list[dict[str, Any]]:
    """Each circle with its size, names, distinguishing tags and strongest items."""
    before = set() if earlier is None else set(earlier.circles_.tolist())
    described = []
    for row, circle in enumerate(circles.circles_.tolist()):
        centre = circles.centres_[row]
        strongest = np.argsort(-centre, kind="stable")[:ITEMS]
        english, chinese = circles.names_[row].tolist()
        described.append(
            {
                "id": circle,
                "name": {"en": english, "zh": chinese},
                "customers": int(circles.sizes_[row]),
                "known_before": circle in before,
                "traits": [trait.as_json() for trait in found[circle]],
                "items": {
                    str(circles.items_[at]): round(float(centre[at]), 4)
                    for at in strongest
                    if centre[at] > 0
                },
            }
        )
    return described


def _stability(weekly: Sequence[Circles], figures: Figures) -> dict[str, Any]:
    """Agreement of the runs, likeness tag by tag, and which circles came and went."""
    steps = [
        {
            "agreement": round(value, 4),
            "ended": sorted(set(left.circles_.tolist()) - set(right.circles_.tolist())),
            "new": sorted(set(right.circles_.tolist()) - set(left.circles_.tolist())),
        }
        for value, (left, right) in zip(figures.weekly, itertools.pairwise(weekly), strict=True)
    ]
    return {
        "weeks": steps,
        "seeds": [round(value, 4) for value in figures.seeds],
        "likeness": {slug: round(value, 4) for slug, value in figures.alike.items()},
        "chance_of_likeness": figures.chance,
        "told_by_tag": {slug: round(value, 4) for slug, value in figures.told.items()},
    }


def _drawn(circles: Circles) -> dict[str, Figure]:
    labels = [f"{circle} {circles.names_[row][0]}" for row, circle in enumerate(circles.circles_)]
    return {"circle_sizes.png": circle_sizes(labels, circles.sizes_.tolist())}


def _digest(rows: pd.DataFrame) -> str:
    hashed = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    return hashlib.sha256(hashed).hexdigest()[:16]
