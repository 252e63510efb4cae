"""The gate: champions, slices, stability, and that chance does not pass it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.made_panels import FEATURES, definition, panel, with_labels

from tagline.errors import ModelRefused
from tagline.training import evaluate as measuring
from tagline.training.evaluate import Interval
from tagline.training.fit import fit
from tagline.training.panels import Panel
from tagline.training.verdict import against_champion, assess

SEEDS = 200
MOST = 18  # of so many, a 5 % test accepts more in one of a hundred attempts


def about(value: float, half: float = 0.02) -> Interval:
    return Interval(value, value - half, value + half)


def against(
    area: Interval, loss: Interval, champion: float = 0.8, calibration: float = 0.02
) -> tuple[str, ...]:
    return against_champion(
        definition().gate,
        {
            "champion_roc_auc": about(champion),
            "champion_gain_over_rule": about(champion - 0.6),
            "champion_calibration_error": about(calibration),
            "gain_over_champion": area,
            "log_loss_gain_over_champion": loss,
        },
    )


def test_a_champion_that_keeps_the_limits_stays_until_one_is_surely_better() -> None:
    (reason,) = against(about(0.01), about(0.01))
    assert "the present champion stays" in reason and "0.010 (-0.010 to 0.030)" in reason
    assert against(about(0.01), about(0.03)) == ()
    assert against(about(-0.01), about(0.03)) == ()  # better probabilities, as good an order


@pytest.mark.parametrize(("champion", "calibration"), [(0.65, 0.02), (0.8, 0.09)])
def test_a_champion_that_the_gate_would_refuse_is_replaced_by_one_not_surely_worse(
    champion: float, calibration: float
) -> None:
    assert against(about(0.01), about(0.01), champion, calibration) == ()
    assert against(about(-0.01), about(-0.01), champion, calibration) == ()
    for area, loss in ((about(-0.03), about(0.03)), (about(0.0), about(-0.03))):
        (reason,) = against(area, loss, champion, calibration)
        assert "surely worse than the present champion" in reason


def test_the_same_model_again_leaves_the_champion_and_a_stale_one_goes() -> None:
    training, holdout = panel(1), panel(3)
    same = fit("logistic_regression", FEATURES, training).probability(holdout.rows)
    (reason,) = assess(definition(), FEATURES, [training], holdout, same).verdict.reasons
    assert "the present champion stays" in reason
    stale = same * 0.5  # it orders as well, but says half of what happens now
    assert assess(definition(), FEATURES, [training], holdout, stale).verdict.accepted


def test_a_model_that_fails_some_customers_is_refused_with_the_slice_by_name() -> None:
    def unlike(one: Panel, seed: int) -> Panel:
        """For those of the north it is chance."""
        random = np.random.default_rng(seed)
        north = (one.rows["region"] == "north").to_numpy()
        label = np.where(north, random.random(len(north)) < one.label.mean(), one.label)
        return with_labels(one, label)

    file = definition(min_roc_auc=0.6).model_copy(update={"slices": ("region", "has_card")})
    outcome = assess(file, FEATURES, [unlike(panel(1), 1)], unlike(panel(2), 2))
    named = [reason for reason in outcome.verdict.reasons if "max_slice_gap" in reason]
    assert len(named) == 1
    assert "customers with region 'north'" in named[0]
    assert {(one.tag, one.value) for one in outcome.slices} == {
        ("region", "north"),
        ("region", "south"),
        ("region", "west"),
        ("has_card", "true"),
        ("has_card", "false"),
    }  # the few without a region are too few
    assert assess(file, FEATURES, [panel(1)], panel(2)).verdict.accepted


def test_a_number_is_no_slice() -> None:
    file = definition().model_copy(update={"slices": ("recency_days",)})
    with pytest.raises(ModelRefused, match="'recency_days' is a number"):
        assess(file, FEATURES, [panel(1)], panel(2))


def test_a_feature_that_has_moved_since_training_is_refused_by_name() -> None:
    holdout = panel(2)
    west = pd.Series(["west"] * len(holdout.label), dtype=object)
    moved = replace(holdout, rows=holdout.rows.assign(region=west))
    outcome = assess(definition(min_roc_auc=0.6), FEATURES, [panel(1)], moved)
    named = [reason for reason in outcome.verdict.reasons if "is not stable" in reason]
    assert len(named) == 1
    assert "feature 'region'" in named[0]
    assert outcome.drift["region"] > 0.5 > outcome.drift["recency_days"]


def test_a_model_without_signal_is_refused_in_plain_words() -> None:
    random = np.random.default_rng(3)
    training, holdout = (
        with_labels(one, random.random(2000) < 0.3) for one in (panel(1), panel(2))
    )
    reasons = assess(definition(), FEATURES, [training], holdout).verdict.reasons
    assert any(reason.startswith("there is no signal: ROC AUC 0.") for reason in reasons)


@pytest.mark.slow
def test_random_labels_pass_the_gate_no_oftener_than_a_test_at_five_percent(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(measuring, "RESAMPLES", 200)
    random = [accepted(seed, np.random.default_rng(1000 + seed)) for seed in range(SEEDS)]
    real = [accepted(seed) for seed in range(SEEDS // 10)]
    record_property("accepted", sum(random))
    print(f"accepted: {sum(random)} of {SEEDS} on random labels, {sum(real)} of {len(real)} else")
    assert sum(random) <= MOST
    assert sum(real) >= 0.8 * len(real)  # the same gate, as few rows, and something to be learnt


def accepted(seed: int, random: np.random.Generator | None = None) -> bool:
    """Whether a gate with no limits but its tests accepts a model of true labels, or of random."""
    lax = {"min_roc_auc": 0.5, "max_calibration_error": 1, "max_slice_gap": 0.5}
    file = definition(**lax, min_positives=5, max_feature_psi=10, max_single_feature_auc=1)
    training, holdout = (panel(2 * seed + part, rows=300) for part in (0, 1))
    if random is not None:
        training, holdout = (
            with_labels(one, random.random(300) < 0.3) for one in (training, holdout)
        )
    features = {slug: FEATURES[slug] for slug in ("recency_days", "order_amount")}
    return assess(file, features, [training], holdout).verdict.accepted
