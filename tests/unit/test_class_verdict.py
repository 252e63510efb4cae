"""The gate of models of several classes, on customers made up from known probabilities."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tagline.definitions.models import MulticlassModel
from tagline.definitions.types import DataType
from tagline.labels.decided import Decided
from tagline.labels.selection import held_out
from tagline.training import labelled as labelling
from tagline.training.class_verdict import (
    ClassOutcome,
    assess_classes,
    codes,
    probabilities,
    rule_codes,
)
from tagline.training.contributions import Described
from tagline.training.drift import Watch
from tagline.training.kinds import Training
from tagline.training.kinds.multiclass import answers
from tagline.training.labelled import Labelled
from tagline.training.panels import Panel, part_of

CLASSES = ("low", "middle", "high")
FEATURES = {
    "amount": DataType.NUMBER,
    "recency_days": DataType.INTEGER,
    "has_card": DataType.BOOLEAN,
}
HOLDOUT = datetime(2017, 11, 1, tzinfo=UTC)
SIXTY = timedelta(days=60)


def definition(**gate: Any) -> MulticlassModel:
    return MulticlassModel.model_validate(
        {
            "name": {"en": "Value", "zh": "价值"},
            "description": "Made up.",
            "owner": "crm",
            "task": "multiclass",
            "population": "recency_days <= 60",
            "classes": list(CLASSES),
            "label": "value",
            "horizon": "60 days",
            "panels": {"count": 4, "every": "60 days"},
            "features": list(FEATURES),
            "rule": {"tag": "rank", "means": {"3": "high", "2": "middle", "1": "low"}},
            "candidates": ["logistic_regression"],
            "slices": ["has_card"],
            "gate": {"min_macro_f1": 0.5, "max_calibration_error": 0.06} | gate,
        }
    )


def panel(seed: int, days: int = 0, rows: int = 1500) -> Panel:
    """The class depends on the amount, the recency and the card; the rank on the amount alone."""
    random = np.random.default_rng(seed)
    amount = random.lognormal(3, 1, rows)
    recency = random.integers(0, 60, rows).astype(float)
    card = random.random(rows) < 0.5
    size = 1.4 * (np.log(amount) - 3) - 0.06 * (recency - 30) + 2.4 * (card - 0.5)
    odds = np.stack([-2 * size, np.full(rows, 1.5), 2 * size], axis=1)
    chance = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    drawn = (chance.cumsum(axis=1) < random.random(rows)[:, None]).sum(axis=1)
    frame = pd.DataFrame(
        {
            "amount": amount,
            "recency_days": recency,
            "has_card": pd.Series(np.where(card, "true", "false"), dtype=object),
            "rank": np.digitize(amount, [12.0, 32.0]) + 1.0,
        }
    )
    customers = np.array([f"c{number:05d}" for number in range(rows)], dtype=object)
    return named(Panel(HOLDOUT - timedelta(days=days), customers, frame, np.zeros(rows)), drawn)


def named(one: Panel, code: Any) -> Panel:
    """The panel with the classes of these codes."""
    texts = cast("Any", np.array(CLASSES)[np.asarray(code, dtype=int)])
    return Panel(one.as_of, one.customers, one.rows, texts)


def assessed(
    holdout: Panel, *trained: Panel, gate: dict[str, Any] | None = None, **more: Any
) -> ClassOutcome:
    named = {name: more.pop(name) for name in ("reasons", "chosen", "population") if name in more}
    given = Labelled(trained, holdout, SIXTY, **named)
    file = definition(**(gate or {})).model_copy(update=more.pop("file", {}))
    return assess_classes(file, FEATURES, given, **more)


def test_classes_with_signal_are_accepted_and_beat_the_rule_and_the_majority() -> None:
    outcome = assessed(panel(3), panel(1, 60), panel(2, 120))
    assert outcome.verdict.accepted, outcome.verdict.reasons
    assert outcome.chosen is not None
    metrics = outcome.chosen.metrics
    assert outcome.chosen.fitted.pipeline.classes_.tolist() == sorted(CLASSES)
    assert metrics["macro_f1"].value > 0.55
    assert metrics["gain_over_rule"].low > 0
    assert metrics["gain_over_majority"].low > 0.2
    assert {one.value for one in outcome.slices} == {"true", "false"}


def test_random_classes_are_refused_with_reasons() -> None:
    random = np.random.default_rng(9)
    holdout, *trained = (
        named(one, random.integers(0, 3, len(one.label)))
        for one in (panel(3), panel(1, 60), panel(2, 120))
    )
    half = holdout.rows["rank"].where(np.arange(len(holdout.rows)) % 2 == 0)
    silent = replace(holdout, rows=holdout.rows.assign(rank=half))  # a rule easily beaten
    verdict = assessed(silent, *trained, gate={"min_macro_f1": 0}).verdict
    (reason,) = verdict.reasons  # guessing beats both rules in macro F1
    assert reason.startswith("there is no signal: the gain in log loss over the shares of the")
    strict = assessed(holdout, *trained).verdict
    assert any("min_macro_f1" in reason for reason in strict.reasons)


def test_a_feature_that_gives_the_class_away_is_refused_by_name() -> None:
    def leaking(one: Panel) -> Panel:
        told = codes(CLASSES, one.label).astype(float)
        return Panel(one.as_of, one.customers, one.rows.assign(amount=told), one.label)

    verdict = assessed(leaking(panel(3)), leaking(panel(1, 60))).verdict
    named_ = [reason for reason in verdict.reasons if "gives the label away" in reason]
    assert len(named_) == 1 and "'amount'" in named_[0]


def test_a_feature_that_gives_one_class_away_is_refused_with_the_class_unless_allowed() -> None:
    def told(one: Panel) -> Panel:
        is_high = pd.Series(np.where(one.label == "high", "true", "false"), dtype=object)
        return replace(one, rows=one.rows.assign(has_card=is_high))

    holdout, training = told(panel(3)), told(panel(1, 60))
    lax = {"max_calibration_error": 1.0}
    (reason,) = assessed(holdout, training, gate=lax, file={"slices": ()}).verdict.reasons
    assert reason.startswith("feature 'has_card' alone tells class 'high' with ROC AUC 1.000")
    allowed = {"known_in_part": ("has_card",), "slices": ()}
    assert assessed(holdout, training, gate=lax, file=allowed).verdict.accepted
    with pytest.raises(ValidationError, match="'card', which is none of the features"):
        MulticlassModel.model_validate(
            definition().model_dump(by_alias=True, exclude_none=True) | {"known_in_part": ["card"]}
        )


def test_a_champion_that_keeps_the_limits_stays_until_one_is_surely_better() -> None:
    training, holdout = panel(1, 60), panel(3)
    same = assessed(holdout, training).tried[0].fitted.pipeline
    (reason,) = assessed(holdout, training, champion=same).verdict.reasons
    assert reason.startswith("the present champion stays: the gain over it in log loss, 0.000")
    assert assessed(
        holdout, training, champion=same, gate={"min_macro_f1": 0.99}
    ).verdict.reasons == tuple(
        one for one in assessed(holdout, training, gate={"min_macro_f1": 0.99}).verdict.reasons
    )  # one that breaks a limit does not stand in the way


def test_too_few_rows_to_judge_on_are_refused_before_anything_is_fitted() -> None:
    outcome = assessed(panel(3, rows=60), panel(1, 60))
    assert outcome.tried == ()
    assert outcome.verdict.reasons == ("the holdout has 60 rows, fewer than min_holdout_rows 100",)


def test_rows_chosen_to_be_asked_about_are_not_taken_for_the_population() -> None:
    """Whom a queue picks differs from whom chance picks, by design."""
    training = panel(1, 60)
    picked = part_of(training, (training.rows["recency_days"] > 40).to_numpy())
    holdout = panel(3)
    taken = assessed(holdout, picked)
    assert any("'recency_days' is not stable" in reason for reason in taken.verdict.reasons)
    asked = assessed(holdout, picked, chosen=True, population=training.rows)
    assert not any("not stable" in reason for reason in asked.verdict.reasons)
    watch = Watch(asked.tried[0].fitted.pipeline.training_bins_)
    watch.see(holdout.rows)
    assert watch.drift()["recency_days"] < 0.1


def test_labels_of_several_instants_are_looked_at_where_most_came_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = [HOLDOUT - timedelta(days=7 * week) for week in range(70)]
    names = [f"c{number:05d}" for number in range(700)]
    told = [
        Decided(name, days[place % 70], {"ann": value, "bob": value}, "agreed", value)
        for place, (name, value) in enumerate(zip(names, CLASSES * 234, strict=False))
    ]

    def tags(_: Any, file: MulticlassModel, more: Any, at: datetime) -> pd.DataFrame:
        one = panel(1, rows=700)
        one.rows.insert(0, "customer_id", one.customers)
        return one.rows[["customer_id", *file.features, *more]]

    monkeypatch.setattr(labelling, "decisions", lambda *_: told)
    monkeypatch.setattr(labelling, "load_tags", tags)
    file = definition().model_copy(
        update={"label_set": "value", "label": None, "horizon": None, "panels": None}
    )
    asked = SimpleNamespace(values=CLASSES, min_customers=100, min_kappa=0.6)
    deployment: Any = SimpleNamespace(catalog=SimpleNamespace(label_set=lambda _: asked))
    found = labelling.labelled(Training(deployment, "value", file, HOLDOUT, None))
    held = {one.about_at for one in told if held_out("value", one.customer_id)}
    assert [one.as_of for one in found.checked] == sorted(held, reverse=True)[:60][-3:]
    assert all(held_out("value", name) for one in found.checked for name in one.customers)
    assert found.about["instants_left_out"] > 0
    assert found.chosen and found.population is not None


def test_labels_that_people_do_not_agree_on_are_refused_before_anything_is_fitted() -> None:
    outcome = assessed(panel(3), panel(1, 60), reasons=("they do not agree",))
    assert outcome.tried == ()
    assert outcome.verdict.reasons == ("they do not agree",)


def test_a_class_too_rare_to_learn_is_refused_by_name() -> None:
    training = panel(1, 60)
    code = codes(CLASSES, training.label)
    code[code == 2] = 1
    code[:7] = 2
    verdict = assessed(panel(3), named(training, code)).verdict
    assert verdict.reasons == (
        "the training rows hold 7 of class 'high', fewer than min_rows_of_class 20",
    )


def test_a_model_surely_worse_than_the_champion_is_refused() -> None:
    training, holdout = panel(1, 60), panel(3)
    champion = assessed(holdout, training).tried[0].fitted.pipeline
    random = np.random.default_rng(4)
    noisy = np.where(random.random(1500) < 0.75, random.integers(0, 3, 1500), 0)
    mixed = named(training, np.where(noisy > 0, noisy, codes(CLASSES, training.label)))
    outcome = assessed(holdout, mixed, gate={"min_macro_f1": 0}, champion=champion)
    assert any("present champion" in reason for reason in outcome.verdict.reasons)


def test_a_rule_reads_numbers_and_texts_and_is_wrong_where_it_means_nothing() -> None:
    rule = definition().rule
    ranks = pd.DataFrame({"rank": [3.0, 1.0, np.nan, 7.0]})
    assert rule_codes(rule, CLASSES, ranks).tolist() == [2, 0, -1, -1]
    words = pd.DataFrame({"rank": pd.Series(["2", None, "other"], dtype=object)})
    assert rule_codes(rule, CLASSES, words).tolist() == [1, -1, -1]


def test_a_class_that_the_model_never_saw_has_no_probability() -> None:
    training = panel(1, 60)
    code = codes(CLASSES, training.label)
    code[code == 2] = 1
    outcome = assessed(panel(3), named(training, code), gate={"min_rows_of_class": 5})
    assert outcome.tried == ()
    chosen = assessed(panel(3), training).tried[0].fitted.pipeline
    more = (*CLASSES, "other")
    found = probabilities(chosen, more, training.rows)
    assert found.shape == (1500, 4)
    assert found[:, 3].max() == 0
    assert found.sum(axis=1) == pytest.approx(1)


def test_the_answer_is_the_most_probable_class_and_its_probability() -> None:
    training = panel(1, 60)
    words = {
        slug: Described(en=slug, zh=slug, type=kind.value, unit=None)
        for slug, kind in FEATURES.items()
    }
    model = assessed(panel(3), training, described=words).tried[0].fitted.pipeline
    rows = training.rows.drop(columns="rank")
    rows.insert(0, "customer_id", training.customers)
    told = answers(definition(), model, rows)
    assert set(told.columns) == {"customer_id", *definition().outputs}
    assert set(told["class"]) == set(CLASSES)
    assert told["probability"].between(1 / 3, 1).all()
    strange = told.iloc[int(training.rows["amount"].argmax())]
    assert strange["class"] == "high" and "amount" in strange["reasons"][0]
    likely = probabilities(model, CLASSES, training.rows)
    assert [CLASSES[code] for code in likely.argmax(axis=1)] == told["class"].tolist()
