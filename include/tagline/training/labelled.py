"""The rows that a model of several classes learns from and is judged on, with their classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from tagline.definitions.models import MulticlassModel
from tagline.errors import ModelRefused, did_you_mean
from tagline.labels.decided import Decided
from tagline.labels.judged import agreement_of, decisions, too_late, too_little_agreement
from tagline.labels.selection import held_out
from tagline.training.inputs import load_rows, load_tags
from tagline.training.panels import (
    MOST_JUDGED,
    MOST_TRAINED,
    Array,
    Before,
    Panel,
    hours_before,
    part_of,
    schedule,
    thinned,
)

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.training.kinds import Training

log = logging.getLogger(__name__)

MOST_INSTANTS = 60  # that the labels of people speak of; of more, the newest
MOST_CHECKED = 3  # of those, at which features are made again to see whether they look ahead


@dataclass(frozen=True)
class Labelled:
    """Panels whose labels are names of classes, as an array of texts.

    `trained` are newest first; `horizon` is how long after its instant a label is known. With
    `reasons`, the labels must not be learnt from. `about` says what they are, for MLflow.
    """

    trained: tuple[Panel, ...]
    holdout: Panel
    horizon: timedelta
    checked: tuple[Panel, ...] = ()  # of the holdout, each at one instant: for looking ahead
    chosen: bool = False  # those to learn from were chosen for what they teach, unlike the holdout
    population: pd.DataFrame | None = None  # whom drift is measured from, if not those learnt from
    reasons: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    before: Before = hours_before


def labelled(asked: Training) -> Labelled:
    """What the model's definition names: what happened after past instants, or people's labels."""
    definition = asked.definition
    assert isinstance(definition, MulticlassModel)
    if definition.label_set is not None:
        return _by_people(asked, definition, definition.label_set)
    return _by_query(asked, definition)


def _by_query(asked: Training, definition: MulticlassModel) -> Labelled:
    assert definition.panels is not None
    assert definition.horizon is not None
    before = asked.deployment.catalog.before
    plan = schedule(definition.panels, definition.horizon, asked.as_of, before)
    holdout = thinned(_panel(asked.deployment, definition, plan.holdout), MOST_JUDGED)
    share = MOST_TRAINED // len(plan.trained)
    trained = [thinned(_panel(asked.deployment, definition, each), share) for each in plan.trained]
    about = {"label": definition.label, "horizon_days": definition.horizon.days}
    return Labelled(
        tuple(trained), holdout, definition.horizon, (holdout,), about=about, before=before
    )


def _panel(deployment: Deployment, definition: MulticlassModel, instant: Any) -> Panel:
    tags = tuple(definition.compared.values())
    customers, rows, outcomes = load_rows(deployment, definition, tags, instant)
    known = outcomes["label"].notna().to_numpy()
    classes = outcomes["label"][known].astype(str)
    for name in sorted(set(classes) - set(definition.classes)):
        raise ModelRefused(
            f"sql/labels/{definition.label}.sql returns {name!r}, which is none of the model's "
            f"classes.{did_you_mean(name, definition.classes)}"
        )
    label = _texts(outcomes["label"].astype(str).tolist())
    return part_of(Panel(instant, customers, rows, label), known)


def _by_people(asked: Training, definition: MulticlassModel, label_set: str) -> Labelled:
    """The customers whom people labelled, each as of the instant that they spoke of.

    The holdout are customers who were asked about at random, whatever the model thought of them.
    """
    deployment = asked.deployment
    asked_for = deployment.catalog.label_set(label_set)
    decided = decisions(deployment, label_set, asked.as_of)
    found = agreement_of(asked_for, decided)
    reasons = too_little_agreement(label_set, asked_for, found)
    told = [one for one in decided if one.value is not None]
    training, holdout = (
        people_rows(
            deployment,
            definition,
            [one for one in told if held_out(label_set, one.customer_id) is judging],
            asked.as_of,
        )
        for judging in (False, True)
    )
    if not len(training.label) or not len(holdout.label):
        reasons = (
            *reasons,
            f"too few customers have a label of label set {label_set!r}: ask by "
            f"`tagline labels queue {label_set}`{too_late(deployment, label_set, asked.as_of)}",
        )
    about: dict[str, Any] = {
        "label_set": label_set,
        "kappa": round(found.kappa.value, 4) if found.kappa else "",
        "kappa_low": round(found.kappa.low, 4) if found.kappa else "",
        "annotators": len(found.annotators),
        "judged_twice": found.customers,
    }
    instants = {one.about_at for one in told}
    judging = [one for one in told if held_out(label_set, one.customer_id)]
    judged_at = _newest(judging)
    learnt_at = _newest([one for one in told if not held_out(label_set, one.customer_id)])
    left_out = len(instants.difference(judged_at, learnt_at))
    if left_out:
        log.warning(
            "the labels of the earliest %d instants of %s are not read", left_out, label_set
        )
    checked = [  # the earliest, after which the most has come that must not be seen
        people_rows(
            deployment,
            definition,
            [one for one in judging if one.about_at == instant],
            asked.as_of,
        )
        for instant in judged_at[-MOST_CHECKED:]
    ]
    about |= {
        "instants": len(instants) - left_out,
        "instants_left_out": left_out,
        "looked_ahead_from": ", ".join(each.as_of.isoformat() for each in checked),
    }
    population = load_tags(deployment, definition, (), max(instants, default=asked.as_of))
    return Labelled(
        (training,),
        holdout,
        timedelta(0),
        tuple(checked),
        chosen=True,
        population=population,
        reasons=reasons,
        about=about,
    )


def people_rows(
    deployment: Deployment, definition: MulticlassModel, told: Sequence[Decided], as_of: datetime
) -> Panel:
    """The customers of the population whom people labelled, each as of the instant spoken of.

    The panel's instant is the newest one. Where there is none before as_of it has no rows, and
    as_of for its instant: the gate refuses it as too few.
    """
    instants = _newest(told) or [as_of]
    tags = tuple(definition.compared.values())
    frames, classes = [], []
    for instant in instants:
        here = {one.customer_id: str(one.value) for one in told if one.about_at == instant}
        frame = load_tags(deployment, definition, tags, instant)
        frame = frame[frame["customer_id"].isin(list(here))]
        frames.append(frame)
        classes += [here[customer] for customer in frame["customer_id"]]
    rows = pd.concat(frames, ignore_index=True)
    customers = rows.pop("customer_id").to_numpy(dtype=object)
    return Panel(instants[0], customers, rows, _texts(classes))


def _newest(told: Sequence[Decided]) -> list[datetime]:
    """The instants that labels speak of, newest first, and not more than are read."""
    return sorted({one.about_at for one in told}, reverse=True)[:MOST_INSTANTS]


def _texts(classes: list[str]) -> Array:
    """Names of classes in place of codes: what fits and measures panels takes either."""
    return cast("Array", np.array(classes, dtype=str))
