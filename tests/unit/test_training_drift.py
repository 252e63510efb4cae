"""How far the rows that a model meets lie from its training, and what the gate makes of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from tests.made_panels import FEATURES, panel

from tagline.audit.stability import population_stability_index
from tagline.definitions.models import DriftLimits
from tagline.errors import ModelRefused
from tagline.gate import drifted
from tagline.training.drift import Watch, bins_of, counted_in, drift_of, watched
from tagline.training.estimators.uplift import UpliftModel
from tagline.training.fit import fit


def test_numbers_fall_into_tenths_of_the_training_rows_with_bins_for_others() -> None:
    values = pd.Series([*range(1, 101), np.nan], dtype=float)
    bins = bins_of(values, is_number=True)
    assert bins["edges"] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert bins["counts"] == [10] * 10 + [1]
    met = pd.Series([-5.0, 10, 10.5, 1e9, np.inf, np.nan])
    assert counted_in(bins, met).tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]


def test_categories_have_bins_for_their_values_for_others_and_for_none() -> None:
    bins = bins_of(pd.Series(["b", "a", "b", None], dtype=object), is_number=False)
    assert (bins["values"], bins["counts"]) == (["b", "a"], [2, 1, 0, 1])
    met = pd.Series(["c", "b", None, "d"], dtype=object)
    assert counted_in(bins, met).tolist() == [1, 0, 2, 1]
    nothing = bins_of(pd.Series([None, None], dtype=object), is_number=False)
    assert counted_in(nothing, met).tolist() == [3, 1]


def test_the_drift_is_the_population_stability_index_of_the_counts() -> None:
    bins = bins_of(pd.Series(["n"] * 50 + ["s"] * 50, dtype=object), is_number=False)
    met = pd.Series(["n"] * 60 + ["s"] * 40, dtype=object)
    found = drift_of({"region": bins}, {"region": counted_in(bins, met)})
    assert found["region"] == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8))
    assert found["region"] == population_stability_index([50, 50, 0, 0], [60, 40, 0, 0])


def test_a_watch_tells_the_same_for_any_batches_and_nothing_before_it_saw_one() -> None:
    model = fit("logistic_regression", FEATURES, panel(1)).pipeline
    rows = panel(2).rows
    whole, parts = Watch(model.training_bins_), Watch(model.training_bins_)
    assert whole.drift() == {}
    whole.see(rows)
    for start in range(0, len(rows), 333):
        parts.see(rows[start : start + 333])
    assert parts.drift() == whole.drift()
    assert max(whole.drift().values()) < 0.05  # the same customers of another sample
    moved = Watch(model.training_bins_)
    moved.see(rows.assign(order_amount=rows["order_amount"] * 3))
    assert moved.drift()["order_amount"] > 0.5
    assert moved.drift()["region"] == whole.drift()["region"]


def test_inputs_beyond_the_limits_are_named_for_a_warning_or_for_withholding() -> None:
    drift = {"recency_days": 0.02, "order_amount": 0.4, "region": 1.5}
    far, too_far = drifted("lapse_risk", drift, DriftLimits())
    assert far == (
        "input order_amount of model lapse_risk has moved away from its training: PSI 0.400, "
        "at most 0.25 is allowed",
    )
    assert [sentence.split()[1] for sentence in too_far] == ["region"]
    assert drifted("lapse_risk", {"recency_days": 0.2}, DriftLimits()) == ((), ())


def test_a_model_of_uplift_says_where_its_trial_lay_and_one_that_does_not_is_refused() -> None:
    rows = panel(1).rows[["recency_days", "region"]]
    random = np.random.default_rng(1)
    treated, outcome = random.integers(0, 2, (2, len(rows)))
    kinds = {"recency_days": "number", "region": "category"}
    model = UpliftModel(kinds, "transformed_outcome").fit(rows, treated, outcome)
    watch = Watch(watched(model, DriftLimits()))
    watch.see(rows.assign(recency_days=rows["recency_days"] + 30))
    assert watch.drift()["recency_days"] > 1 > watch.drift()["region"] == 0
    del model.training_bins_
    with pytest.raises(ModelRefused, match="drift cannot be measured; train it again"):
        watched(model, DriftLimits())
    assert watched(model, None) == {}  # of a kind that has no limits
