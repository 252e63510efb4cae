"""Uplift: the estimator, the Qini curve, and verdicts on trials made up from known effects."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagline.catalog import load_catalog
from tagline.definitions.models import CampaignUpliftModel
from tagline.definitions.models.campaign_uplift import UpliftGate
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.settings import PROJECT
from tagline.training.estimators.uplift import APPROACHES, UpliftModel
from tagline.training.evaluate import Interval, bootstrap
from tagline.training.forward import Rows, forward, mean_of, parts
from tagline.training.kinds import Training, campaign_uplift
from tagline.training.panels import Array, Panel
from tagline.training.targeting import (
    curve,
    in_steps,
    mean_uplift,
    qini_area,
    qini_interval,
    uplift_by_decile,
)
from tagline.training.trials import Trial, joined, unequal_shares
from tagline.training.uplift import Uplift, assess_uplift, fit_uplift

BEGAN = datetime(2017, 3, 1, tzinfo=UTC)
FEATURES = {"age": DataType.NUMBER, "visits": DataType.INTEGER, "region": DataType.TEXT}


def trial(seed: int, rows: int = 3000, moved: float = 0.3, chosen: float = 0.0) -> Trial:
    """Customers of whom the treatment moves those of region south, by `moved`, and nobody else.

    `chosen` is by how much the log odds of being treated rise with age: 0 is a random trial.
    """
    random = np.random.default_rng(seed)
    age = random.normal(0, 1, rows)
    visits = random.poisson(3, rows).astype(float)
    region = random.choice(["north", "south"], rows)
    treated = (random.random(rows) < 1 / (1 + np.exp(-chosen * age))).astype(float)
    rate = 0.15 + 0.03 * visits + treated * moved * (region == "south")
    frame = pd.DataFrame({"age": age, "visits": visits, "region": region.astype(object)})
    names = np.array([f"c{number:05d}" for number in range(rows)], dtype=object)
    return Trial(names, frame, treated, (random.random(rows) < rate).astype(float))


def south(one: Trial) -> Array:
    """1 for those whom the treatment moves."""
    return np.asarray(one.rows["region"] == "south", dtype=float)


def assessed(one: Trial, *approaches: str, **gate: Any) -> Uplift:
    tried = approaches or ("transformed_outcome",)
    return assess_uplift(UpliftGate(**gate), tried, FEATURES, {BEGAN: one})


def plain_area(treated: Array, outcome: Array, score: Array) -> float:
    """The Qini area once more, one customer after the other; scores must differ."""
    gains, shares = [0.0], [0.0]
    with_, without, of_treated, of_others = 0.0, 0.0, 0, 0
    for row in np.argsort(-score):
        if treated[row]:
            of_treated, with_ = of_treated + 1, with_ + outcome[row]
        else:
            of_others, without = of_others + 1, without + outcome[row]
        gains.append((with_ - without * of_treated / max(of_others, 1)) / treated.sum())
        shares.append((of_treated + of_others) / len(score))
    return float(np.trapezoid(gains, shares)) - gains[-1] / 2


def test_the_qini_curve_of_four_customers_is_counted_by_hand() -> None:
    treated, outcome = np.array([1.0, 0, 1, 0]), np.array([1.0, 0, 0, 1])
    found = curve(treated, outcome, np.array([4.0, 3, 2, 1]))
    assert found.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.gain.tolist() == [0, 0.5, 0.5, 0.5, 0]
    assert found.area == pytest.approx(0.375)


def test_the_qini_area_equals_a_count_customer_by_customer() -> None:
    one = trial(1, rows=700)
    score = np.random.default_rng(2).random(700)
    area = qini_area(one.treated, one.outcome, score)
    wanted = plain_area(one.treated, one.outcome, score)
    assert area(np.ones((1, 700)))[0] == pytest.approx(wanted, abs=1e-12)
    weights = np.random.default_rng(3).integers(0, 3, (2, 700)).astype(float)
    for row, got in zip(weights, area(weights), strict=True):
        drawn = np.repeat(np.arange(700), row.astype(int))
        apart = score[drawn] + np.random.default_rng(4).random(len(drawn)) * 1e-9
        again = plain_area(one.treated[drawn], one.outcome[drawn], apart)
        assert got == pytest.approx(again, abs=2e-3)  # a customer drawn twice is one step


def test_a_curve_of_many_customers_is_drawn_in_steps_that_hardly_move_its_area() -> None:
    one = trial(5, rows=20_000)
    score = np.random.default_rng(6).random(20_000) + south(one)
    ranks = pd.Series(score).rank().to_numpy() / 20_001
    found = curve(one.treated, one.outcome, in_steps(ranks))
    assert len(found.share) == 251
    assert found.area == pytest.approx(plain_area(one.treated, one.outcome, score), abs=5e-5)


def test_a_bootstrap_of_counts_is_that_of_the_rows() -> None:
    one = trial(22, rows=2000)
    score = in_steps(np.random.default_rng(23).random(2000) * 0.1)
    metric = {"area": qini_area(one.treated, one.outcome, score)}
    by_rows = bootstrap(metric, {}, 2000)["area"]
    counted = qini_interval(one.treated, one.outcome, score)
    assert counted.value == pytest.approx(by_rows.value, abs=1e-12)
    assert counted.low == pytest.approx(by_rows.low, abs=0.0015)
    assert counted.high == pytest.approx(by_rows.high, abs=0.0015)
    wide = qini_interval(one.treated, one.outcome, score, confidence=1 - 0.05 / 3)
    assert wide.low < counted.low < counted.value < counted.high < wide.high


def test_a_score_without_order_has_no_area_and_a_reversed_one_a_negative() -> None:
    one = trial(7)
    moved = south(one)
    assert curve(one.treated, one.outcome, np.zeros(3000)).area == 0
    assert curve(one.treated, one.outcome, moved).area > 0.02
    assert curve(one.treated, one.outcome, -moved).area < -0.02


def test_the_tenths_show_what_was_predicted_and_what_came() -> None:
    one = trial(8, rows=10_000)
    predicted: Array = 0.3 * south(one)
    tenths = uplift_by_decile(one.treated, one.outcome, predicted, predicted)
    assert tenths["customers"].tolist() == [1000] * 10
    assert tenths["predicted"].iloc[0] == pytest.approx(0.3)
    assert (
        (tenths["low"] < tenths["predicted"]) & (tenths["predicted"] < tenths["high"])
    ).sum() > 7
    effect = mean_uplift(one.treated, one.outcome)
    assert effect.low < effect.value < effect.high
    assert tenths["uplift"].mean() == pytest.approx(effect.value, abs=0.005)


def test_a_customer_is_judged_by_a_model_of_the_parts_before_its_own() -> None:
    names = np.array([f"c{number % 400}" for number in range(1000)], dtype=object)
    seen: list[tuple[set[str], set[str]]] = []

    def score(learnt: Rows, asked: Rows) -> Array:
        seen.append((set(names[learnt]), set(names[asked])))
        return np.arange(len(asked), dtype=float)

    judged = forward(names, score)
    assert (parts(names) == parts(names[::-1])[::-1]).all()
    assert len(seen) == 4
    for number, (learnt, asked) in enumerate(seen):
        assert learnt == seen[0][0].union(*(earlier for _, earlier in seen[:number]))
        assert asked and not learnt & asked
    assert sorted(judged.rows) == sorted(np.flatnonzero(parts(names) > 0))
    assert judged.scores.min() == 0 and judged.ranks.min() > 0 and judged.ranks.max() < 1


@pytest.mark.slow
@pytest.mark.parametrize("approach", APPROACHES)
def test_each_approach_finds_whom_the_treatment_moves_and_by_how_much(approach: str) -> None:
    model = fit_uplift(approach, FEATURES, trial(9, rows=6000))
    other = trial(10, rows=2000)
    asked = other.rows
    uplift = model.predict_uplift(asked)
    assert uplift[south(other) == 1].mean() == pytest.approx(0.3, abs=0.06)
    assert uplift[south(other) == 0].mean() == pytest.approx(0.0, abs=0.06)
    assert (model.predict(asked) == uplift).all()
    assert np.isfinite(model.predict_uplift(asked.assign(age=np.nan, region=None))).all()


@pytest.mark.parametrize("approach", APPROACHES)
def test_a_stored_model_answers_as_before(approach: str) -> None:
    io = pytest.importorskip("skops.io")

    one = trial(11, rows=1000)
    model = fit_uplift(approach, FEATURES, one)
    trusted = [
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "tagline.training.estimators.uplift.UpliftModel",
    ]
    again = io.loads(io.dumps(model), trusted=trusted)
    assert (again.predict_uplift(one.rows) == model.predict_uplift(one.rows)).all()


def test_divisions_of_the_same_rows_make_nothing_surer() -> None:
    mean = mean_of([Interval(0.1, 0.0, 0.3), Interval(0.3, 0.1, 0.4)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.2, 0.05, 0.35))


def test_an_arm_with_one_outcome_and_an_unknown_approach_are_refused() -> None:
    rows, arm = pd.DataFrame({"age": [1.0, 2, 3, 4]}), np.array([1, 1, 0, 0])
    model = UpliftModel({"age": "number"}, "two_logistic_model")
    with pytest.raises(ModelRefused, match="Did you mean 'two_logistic_models'"):
        model.fit(rows, arm, np.array([0, 1, 0, 1]))
    model.set_params(approach="two_logistic_models")
    with pytest.raises(ModelRefused, match="untreated rows hold one outcome"):
        model.fit(rows, arm, np.array([0, 1, 0, 0]))
    with pytest.raises(ModelRefused, match="constant"):
        model.fit(rows.assign(age=1.0), arm, np.array([0, 1, 0, 1]))


@pytest.mark.slow
def test_a_trial_that_moves_some_is_accepted_with_an_area_above_chance() -> None:
    judged = assessed(trial(12), "transformed_outcome", "two_logistic_models")
    assert judged.accepted and not judged.reasons
    best, other = judged.candidates
    assert best.metrics["qini_area"].value >= other.metrics["qini_area"].value
    assert best.metrics["qini_area"].low > 0.02
    assert best.metrics["qini_area"].value == pytest.approx(best.curve.area, abs=1e-4)
    # half the customers are moved by 0.3: the best curve rises to 0.15 at half of them
    assert best.metrics["qini_area"].value == pytest.approx(0.0375, abs=0.01)
    assert best.deciles["uplift"].iloc[:5].mean() > 0.2 > best.deciles["uplift"].iloc[5:].mean()


@pytest.mark.slow
def test_a_treatment_that_moves_all_alike_leaves_nothing_to_choose() -> None:
    one = trial(13, moved=0)
    random = np.random.default_rng(14)
    alike: Array = np.maximum(one.outcome, one.treated * (random.random(3000) < 0.2))
    judged = assessed(Trial(one.customers, one.rows, one.treated, alike), "two_logistic_models")
    assert not judged.accepted
    (reason,) = judged.reasons
    assert reason.startswith("no targeting gain")
    assert "the treatment itself works: mean uplift 0.1" in reason


@pytest.mark.slow
def test_a_treatment_that_does_nothing_or_harm_is_told_so() -> None:
    (nothing,) = assessed(trial(15, moved=0)).reasons
    assert "nor does the treatment itself surely change anything" in nothing
    one = trial(16, moved=0)
    spoilt = one.outcome * (1 - one.treated * 0.9 * (one.rows["visits"] > -1).to_numpy())
    random = np.random.default_rng(17)
    harmed = Trial(
        one.customers, one.rows, one.treated, np.asarray(random.random(3000) < spoilt, dtype=float)
    )
    assert any("does harm" in reason for reason in assessed(harmed, min_qini_area=0.5).reasons)


def test_arms_that_features_can_tell_apart_are_refused_by_name() -> None:
    judged = assessed(trial(18, chosen=0.7))
    assert not judged.candidates
    (reason,) = judged.reasons
    assert reason.startswith("the arms are not comparable: the features tell who was treated")
    assert "differ in age by 0." in reason


def test_too_few_responses_are_refused_before_anything_is_fitted() -> None:
    one = trial(19, rows=150)
    judged = assessed(one, min_responses=60)
    assert not judged.candidates
    assert all("fewer than min_responses 60" in reason for reason in judged.reasons)
    assert any(reason.startswith("the untreated arm holds") for reason in judged.reasons)


def season(seed: int, rate: float, share: float, rows: int = 3000) -> Trial:
    """A trial of a treatment that does nothing, where so many respond and so many are treated."""
    one, random = trial(seed, rows), np.random.default_rng(seed)
    treated, outcome = ((random.random(rows) < part).astype(float) for part in (share, rate))
    return Trial(one.customers, one.rows, treated, outcome)


def test_trials_that_treated_different_shares_are_refused_since_seasons_count_as_effects() -> None:
    trials = {
        BEGAN: season(24, rate=0.1, share=0.5),
        datetime(2017, 12, 20, tzinfo=UTC): season(25, rate=0.3, share=0.9),
    }
    both = joined(list(trials.values()))
    assert mean_uplift(both.treated, both.outcome).low > 0.05  # of nothing
    judged = assess_uplift(UpliftGate(), ("transformed_outcome",), FEATURES, trials)
    assert not judged.candidates
    (reason,) = judged.reasons
    assert reason.startswith("the trials treated different shares of their customers, 49.")
    assert "in that of 2017-12-20" in reason and "make a model of each" in reason
    alike = {at: season(26 + place, 0.2, 0.5) for place, at in enumerate(trials)}
    assert unequal_shares(alike) == ()
    assert unequal_shares({BEGAN: trials[BEGAN]}) == ()


def test_a_trial_too_small_to_be_divided_is_a_verdict_and_no_error() -> None:
    one = trial(28, rows=400)
    few = np.zeros(400)
    for arm in (0, 1):  # nobody of the first part responds
        later = np.flatnonzero((one.treated == arm) & (parts(one.customers) > 0))
        few[later[:40]] = 1
    judged = assessed(Trial(one.customers, one.rows, one.treated, few))
    assert not judged.candidates
    (reason,) = judged.reasons
    assert reason.startswith("of 400 customers too few responded to be divided into the 5 parts")


def test_features_that_look_ahead_or_give_the_response_away_are_refused_by_name() -> None:
    one = trial(29)
    told = Trial(one.customers, one.rows.assign(visits=one.outcome), one.treated, one.outcome)
    tried = ("transformed_outcome",)
    judged = assess_uplift(UpliftGate(), tried, FEATURES, {BEGAN: told}, ["'age' looks ahead"])
    assert not judged.accepted
    assert judged.reasons[0] == "'age' looks ahead"
    assert judged.reasons[1].startswith("feature 'visits' alone reaches ROC AUC 1.000")


def test_the_features_of_each_trial_are_made_again_from_what_was_known_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows and what was found of them are stood in for; the rest is the mail order's own."""
    catalog = load_catalog(PROJECT / "tests" / "mail_order", "mail_order")
    shipped = catalog.models["womens_email"]
    assert isinstance(shipped, CampaignUpliftModel)
    file = shipped.model_copy(update={"trials": (date(2008, 3, 20), date(2008, 6, 2))})
    at: list[datetime] = []

    def rows(_: Any, __: Any, ___: Any, instant: datetime) -> Any:
        one = trial(len(at), rows=300)
        frame = pd.DataFrame(dict.fromkeys(file.features[:2], one.rows["age"]))
        frame[list(file.features[2:])] = "true"
        told = pd.DataFrame({"treated": one.treated, "label": one.outcome})
        return one.customers, frame, told

    def ahead(_: Any, features: Any, panel: Panel) -> tuple[str, ...]:
        at.append(panel.as_of)
        assert list(features) == list(file.features) and len(panel.customers) == 300
        return (f"a feature looks past {panel.as_of:%Y-%m-%d}",)

    monkeypatch.setattr(campaign_uplift, "load_rows", rows)
    monkeypatch.setattr(campaign_uplift, "looking_ahead", ahead)
    deployment: Any = SimpleNamespace(catalog=catalog)
    asked = Training(deployment, "womens_email", file, datetime(2008, 7, 1, tzinfo=UTC), None)
    reasons = campaign_uplift.train(asked).verdict.reasons
    assert at == [catalog.midnight(day) for day in file.trials]
    assert reasons[:2] == ("a feature looks past 2008-03-20", "a feature looks past 2008-06-02")


def test_the_page_shows_the_files_of_the_mail_order() -> None:
    page = (PROJECT / "docs" / "uplift.md").read_text("utf-8")
    shown = re.findall(r"```(?:yaml|sql)\n(?:#|--) (\S+)\n(.*?)```", page, flags=re.DOTALL)
    assert len(shown) == 2
    for path, text in shown:
        assert (PROJECT / path).read_text("utf-8") == text, path


@pytest.mark.slow
def test_where_nobody_is_moved_chance_is_taken_for_signal_no_oftener_than_said() -> None:
    """Of 120 trials without effect, a 95 % interval may lie above 0 in 3, 8 with bad luck."""
    above, rows = 0, 400
    for seed in range(120):
        one = trial(1000 + seed, rows, moved=0)
        numbers = one.rows[["age", "visits"]].to_numpy(dtype=float)
        change = (one.treated - 0.5) * (one.outcome - one.outcome.mean())

        def score(learnt: Rows, asked: Rows, x: Array = numbers, y: Array = change) -> Array:
            slopes = np.linalg.lstsq(x[learnt], y[learnt])[0]
            return np.asarray(x[asked] @ slopes)

        found = forward(np.char.add(f"{seed} ", one.customers.astype(str)), score)
        treated, outcome = one.treated[found.rows], one.outcome[found.rows]
        above += qini_interval(treated, outcome, in_steps(found.ranks)).low > 0
    assert 0 < above <= 8
