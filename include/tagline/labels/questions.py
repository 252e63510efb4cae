"""The queue: the customers whose label would teach most, as a sheet for people to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tagline.definitions.label_set import LabelSet
from tagline.definitions.models import MulticlassModel
from tagline.errors import ModelRefused, WrongUsage
from tagline.labels.annotators import other_spelling
from tagline.labels.decided import Decided
from tagline.labels.delivery import customer_keys
from tagline.labels.judged import decisions
from tagline.labels.selection import HELD_OUT, at_random, entropy, held_out, most_telling
from tagline.labels.sheets import COLUMNS, write_sheet

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment
    from tagline.training.estimators.tag_classifier import TagClassifier

FEWEST_LABELS = 20  # from which a model is learnt to choose the next questions
TELLING, BY_CHANCE, ANSWERED = "most telling", "at random", "another has answered"


@dataclass(frozen=True)
class Question:
    """A customer to be asked about; `shown` are tags that help to answer."""

    customer_key: str
    why: str
    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Queue:
    """Questions of a label set as of an instant, those that others have answered first.

    `chosen_by` tells in words whose doubt chose the most telling ones; None where chance did.
    `judged_by` is the annotator whom it is for, if it is for one.
    """

    label_set: str
    about_at: datetime
    chosen_by: str | None
    questions: tuple[Question, ...]
    judged_by: str | None = None

    def write(self, path: Path) -> None:
        """Write a new sheet: a question a row, with an empty value to be filled in."""
        tags = list(dict.fromkeys(tag for one in self.questions for tag in one.shown))
        about, judged_by = self.about_at.isoformat(), self.judged_by or ""
        rows = []
        for one in self.questions:
            head = (self.label_set, one.customer_key, about, one.why, "", judged_by, "")
            values = ["" if pd.isna(one.shown.get(tag)) else one.shown[tag] for tag in tags]
            rows.append((*head, *values))
        write_sheet(path, (*COLUMNS, *tags), rows)


def queue(
    deployment: Deployment,
    label_set: str,
    count: int,
    about_at: datetime,
    at: datetime,
    judged_by: str | None = None,
) -> Queue:
    """Whom to ask about, as they were at an instant, among those whom nobody has judged there.

    Of a set that speaks of the day of the answer, they are those whom nobody has judged at all.

    One customer in four is set apart by a hash. Of those some are asked about at random, so that
    a model can be judged on customers whom no model chose. Of the others the most telling are
    asked about: by a model learnt from the labels so far, else by the champion of a model with
    the same classes; without either they are at random, too. For an annotator, the customers come
    first whom too few others have judged. `at` is now: whose judgements are known.
    """
    definition = deployment.catalog.label_set(label_set)
    if count < 1:
        raise WrongUsage(f"--count {count}: ask at least one question")
    decided = decisions(deployment, label_set, at)
    judged_by = _annotator(definition, decided, judged_by)
    whenever = definition.speaks_of == "judged"
    here = {one.customer_id: one for one in decided if whenever or one.about_at == about_at}
    keys = customer_keys(deployment, about_at)
    again = [
        who
        for who, one in here.items()
        if judged_by is not None
        and judged_by not in (*one.answers, *definition.adjudicators)
        and one.state == "too few"
        and who in keys
    ][:count]
    chooser = _Chooser(deployment, label_set, about_at, at)
    people = chooser.people(keys)
    fresh = [who for who in people.index if who in keys and who not in here]
    apart = [who for who in fresh if held_out(label_set, who)]
    others = [who for who in fresh if not held_out(label_set, who)]
    left = count - len(again)
    about = about_at.isoformat()
    by_chance = at_random(apart, min(len(apart), -(-left // HELD_OUT)), label_set, about)
    model, chosen_by = chooser.model(decided)
    if model is None:
        telling = at_random(others, left - len(by_chance), label_set, about)
    else:
        known = [who for who, one in here.items() if one.value]
        telling = _telling(model, people, others, known, left - len(by_chance))
    shown = people.to_dict("index")
    why = dict.fromkeys((*telling, *by_chance), BY_CHANCE)
    why |= {who: TELLING for who in telling if model is not None}
    why = dict.fromkeys(again, ANSWERED) | why
    questions = tuple(
        Question(keys[who], reason, {str(tag): v for tag, v in shown.get(who, {}).items()})
        for who, reason in why.items()
    )
    return Queue(label_set, about_at, chosen_by, questions, judged_by)


def _annotator(
    definition: LabelSet, decided: Iterable[Decided], judged_by: str | None
) -> str | None:
    """Who will judge, as the name is known; WrongUsage where it is known in another spelling."""
    name = (judged_by or "").strip()
    known = {*definition.adjudicators, *(who for one in decided for who in one.answers)}
    other = other_spelling(name, known)
    if other is not None:
        raise WrongUsage(f"--by {name!r}: this annotator is known as {other!r}; write it so")
    return name or None


def asking_model(catalog: Catalog, label_set: str) -> tuple[str, MulticlassModel] | None:
    """The model whose doubt chooses the questions: it learns from the set, or has its values."""
    values = set(catalog.label_set(label_set).values)
    found = {
        name: model
        for name, model in catalog.models.items()
        if isinstance(model, MulticlassModel)
        and (model.label_set == label_set or set(model.classes) == values)
    }
    ranked = sorted(found, key=lambda name: (found[name].label_set != label_set, name))
    return (ranked[0], found[ranked[0]]) if ranked else None


@dataclass(frozen=True)
class _Chooser:
    """Whom a question may be about, and the model that doubts."""

    deployment: Deployment
    label_set: str
    about_at: datetime
    at: datetime

    def people(self, keys: Mapping[str, str]) -> pd.DataFrame:
        """The customers, by customer_id, with the tags that a model reads of them."""
        from tagline.training.inputs import load_tags

        asking = asking_model(self.deployment.catalog, self.label_set)
        if asking is None:
            return pd.DataFrame(index=pd.Index(sorted(keys), dtype=object))
        tags = tuple(asking[1].compared.values())
        found = load_tags(self.deployment, asking[1], tags, self.about_at)
        return found.set_index("customer_id")

    def model(self, decided: list[Decided]) -> tuple[TagClassifier | None, str | None]:
        """A fitted model and what it is in words, or None and None."""
        asking = asking_model(self.deployment.catalog, self.label_set)
        if asking is None:
            return None, None
        name, definition = asking
        learnt = self._learnt(definition, decided)
        if learnt is not None:
            return learnt
        from tagline.training.score import serving_version
        from tagline.training.tracking import load_pipeline

        try:
            version = serving_version(self.deployment, name, self.at)
            assert version.model_uri is not None
            fitted = load_pipeline(self.deployment.settings, version.model_uri)
        except ModelRefused:
            return None, None  # no model has been accepted yet, so chance chooses
        return fitted, f"the champion of {name}"

    def _learnt(
        self, definition: MulticlassModel, decided: list[Decided]
    ) -> tuple[TagClassifier, str] | None:
        """A model of the labels so far, of customers who do not judge models."""
        from tagline.training.estimators.tag_classifier import LOGISTIC
        from tagline.training.fit import fit
        from tagline.training.inputs import tags_read
        from tagline.training.labelled import people_rows

        told = [
            one
            for one in decided
            if one.value is not None and not held_out(self.label_set, one.customer_id)
        ]
        if len({one.value for one in told}) < 2:
            return None
        panel = people_rows(self.deployment, definition, told, self.at)
        if len(panel.label) < FEWEST_LABELS or len(np.unique(panel.label)) < 2:
            return None
        types = tags_read(self.deployment.catalog, definition)
        features = {slug: types[slug] for slug in definition.features}
        fitted = fit(LOGISTIC, features, panel)
        return fitted.pipeline, f"a model of the {len(panel.label)} labels so far"


def _telling(
    model: TagClassifier, people: pd.DataFrame, others: list[str], known: list[str], count: int
) -> list[str]:
    """The customers whose label would teach the model most, the most telling first."""
    if not others or count < 1:
        return []
    from tagline.training.estimators.tag_inputs import linear_inputs

    places = linear_inputs(model.shapes_)
    where = np.asarray(places.fit_transform(people[list(model.features)]), dtype=float)
    row = {who: number for number, who in enumerate(people.index)}
    asked = [row[who] for who in others]
    labelled = [row[who] for who in known if who in row]
    doubt = entropy(model.predict_proba(people.iloc[asked]))
    chosen = most_telling(doubt, where[asked], where[labelled], count)
    return [others[place] for place in chosen]
