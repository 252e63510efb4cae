"""The BG/NBD and Gamma-Gamma estimators, against published figures and what must always hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import hyp2f1
from tests.cdnow import FOLDER, HOLDOUT_WEEKS, needs_cdnow, read_shop

from tagline.errors import ModelRefused
from tagline.training.estimators.purchase_process import (
    Array,
    PurchaseProcess,
    grouped,
    log_likelihood,
)
from tagline.training.estimators.purchase_value import PurchaseValue
from tagline.training.estimators.purchases_ahead import beta_nodes, purchases_while_alive

# Fader, Hardie and Lee (2005) on the sample; the master by independent code
PUBLISHED = {
    "sample": ((0.2425945, 4.4136019, 0.7929199, 2.4258881), -9582.43),
    "master": ((0.2516, 4.7889, 0.7234, 2.1611), -95368.44),
}
HOLDOUTS = {  # actual and expected purchases, mean absolute error, correlation
    "sample": (1882, 1653.4, 0.7855, 0.6256),
    "master": (19684, 16873.7, 0.8187, 0.6688),
}


def process(r: float, alpha: float, a: float, b: float) -> PurchaseProcess:
    """An estimator with parameters that somebody else found."""
    fitted = PurchaseProcess()
    fitted.r_, fitted.alpha_, fitted.a_, fitted.b_ = r, alpha, a, b
    return fitted


def simulated(seed: int, customers: int = 20_000) -> tuple[Array, Array]:
    """Histories as the model says they come about, and the purchases of the next 20 weeks."""
    random = np.random.default_rng(seed)
    rate = random.gamma(0.8, 1 / 4.0, customers)
    leaves = random.beta(0.9, 3.0, customers)
    age = random.uniform(20, 60, customers)
    lasts = random.geometric(leaves)  # after this many purchases, the first not counted
    gaps = random.exponential(1, (customers, 150)) / rate[:, None]
    times = np.where(np.arange(150) < lasts[:, None], np.cumsum(gaps, axis=1), np.inf)
    past = times <= age[:, None]
    recency = np.where(past, times, 0).max(axis=1)
    ahead = (times <= age[:, None] + 20).sum(axis=1) - past.sum(axis=1)
    return np.column_stack([past.sum(axis=1), recency, age]), ahead.astype(float)


HISTORIES = st.lists(
    st.tuples(
        st.integers(0, 5000), st.floats(0.001, 1), st.floats(0.1, 1e5), st.integers(1, 1000)
    ).map(lambda h: (float(h[0]), h[1] * h[2] if h[0] else 0.0, h[2], float(h[3]))),
    min_size=1,
    max_size=30,
)
POSITIVE = st.floats(-4, 4).map(lambda power: 10**power)
PROCESSES = st.builds(process, POSITIVE, POSITIVE, POSITIVE, POSITIVE)


@needs_cdnow
@pytest.mark.parametrize("part", ["sample", "master"])
def test_the_published_parameters_and_holdout_of_cdnow_are_found_again(part: str) -> None:
    shop = read_shop(part)
    fitted = PurchaseProcess().fit(shop.histories)
    parameters, likelihood = PUBLISHED[part]
    found = (fitted.r_, fitted.alpha_, fitted.a_, fitted.b_)
    assert found == pytest.approx(parameters, rel=0.0005)
    assert fitted.log_likelihood_ == pytest.approx(likelihood, abs=0.01)
    assert fitted.log_likelihood(shop.histories) == pytest.approx(fitted.log_likelihood_)
    assert (fitted.standard_errors_ > 0.01).all() and (fitted.standard_errors_ < 0.3).all()
    expected = fitted.expected_purchases(shop.histories, HOLDOUT_WEEKS)
    actual, total, error, correlation = HOLDOUTS[part]
    assert shop.bought.sum() == actual
    assert expected.sum() == pytest.approx(total, abs=0.1)
    assert np.abs(expected - shop.bought).mean() == pytest.approx(error, abs=0.0001)
    assert np.corrcoef(expected, shop.bought)[0, 1] == pytest.approx(correlation, abs=0.0001)


def test_expected_purchases_are_those_of_the_published_spreadsheet() -> None:
    fitted = process(*PUBLISHED["sample"][0])
    known = fitted.expected_purchases([[2, 30.43, 38.86]], 39)
    assert known == pytest.approx([1.226], abs=0.0005)
    for weeks, expected in ((0.1429, 0.0078), (1, 0.0532), (32, 1.0437), (78, 1.8576)):
        new_customer = fitted.expected_purchases([[0, 0, 0]], weeks)
        assert new_customer == pytest.approx([expected], abs=0.0004)  # its series is cut short


@needs_cdnow
def test_the_published_spending_of_cdnow_is_found_again() -> None:
    table = pd.read_csv(FOLDER / "cdnow_customers_summary_with_transactions.csv.gz")
    rows = table[["x", "zbar"]].to_numpy()
    fitted = PurchaseValue().fit(rows)
    assert (fitted.p_, fitted.q_, fitted.v_) == pytest.approx((6.25, 3.74, 15.44), rel=0.002)
    assert fitted.log_likelihood_ == pytest.approx(-4055.92, abs=0.01)
    assert fitted.customers_ == 946
    assert fitted.mean_ == pytest.approx(35.2, abs=0.05)
    assert fitted.correlation_ == pytest.approx(0.114, abs=0.001)
    never_again = fitted.expected_value(rows[rows[:, 0] == 0])
    assert never_again == pytest.approx(fitted.mean_)
    # two purchases of 22.35 and none at all, with the published formula
    assert fitted.expected_value([[2, 22.35]]) == pytest.approx([24.66], abs=0.005)


def test_simulated_customers_give_their_parameters_back_and_are_forecast_well() -> None:
    histories, ahead = simulated(1)
    fitted = PurchaseProcess().fit(histories)
    found = np.log([fitted.r_, fitted.alpha_, fitted.a_, fitted.b_])
    off = (found - np.log([0.8, 4.0, 0.9, 3.0])) / fitted.standard_errors_
    assert (np.abs(off) < 4).all(), off
    expected = fitted.expected_purchases(histories, 20)
    spread = 4 * np.sqrt(ahead.var() * len(ahead))
    assert abs(expected.sum() - ahead.sum()) < spread
    buys = fitted.purchase_probability(histories, 20)
    assert buys.mean() == pytest.approx((ahead > 0).mean(), abs=0.015)
    assert (buys <= fitted.probability_alive(histories)).all() and (buys <= expected).all()
    alive = fitted.probability_alive(histories)
    assert ahead[alive < 0.2].mean() < 0.1 * ahead[alive > 0.8].mean()


def test_the_gradient_is_that_of_the_likelihood() -> None:
    histories, _ = simulated(2, customers=300)
    known = grouped(histories)
    random = np.random.default_rng(3)
    for _ in range(5):
        point = random.uniform(-2, 2, 4)
        slope = log_likelihood(known, point)[1]
        numeric = [
            (log_likelihood(known, point + side)[0] - log_likelihood(known, point - side)[0]) / 2e-5
            for side in np.eye(4) * 1e-5
        ]
        assert slope == pytest.approx(numeric, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "a", "b", "horizon", "expected"),
    [  # the closed form with 80 digits
        (0.3, 1.0000001, 2.0, 0.5, 0.136262403651822),
        (3000.5, 0.8, 3002.4, 1e-5, 0.0300048800486582),
        (5000.0, 0.02, 5010.0, 3.0, 14748.3452138864),
        (2.5, 300.0, 4000.0, 0.2, 0.48804217388166),
        (0.01, 0.001, 0.002, 50.0, 0.345231013044603),
        (40.0, 1e5, 1e6, 1e-3, 0.039925549329702),
    ],
)
def test_purchases_ahead_are_precise_where_the_closed_form_is_not(
    shape: float, a: float, b: float, horizon: float, expected: float
) -> None:
    found = purchases_while_alive(np.array([shape]), a, np.array([b]), np.array([horizon]))
    assert found == pytest.approx([expected], rel=1e-8)


def test_purchases_ahead_are_the_hypergeometric_closed_form_where_that_is_precise() -> None:
    random = np.random.default_rng(4)
    shape, b = random.uniform(0.1, 20, 200), random.uniform(0.5, 20, 200)
    horizon = random.uniform(0.1, 5, 200)
    a = 0.6
    closed = (a + b - 1) / (a - 1) * (1 - hyp2f1(shape, a - 1, a + b - 1, -horizon))
    found = purchases_while_alive(shape, a, b, horizon)
    assert found == pytest.approx(closed, rel=1e-9)


@given(a=POSITIVE, b=POSITIVE)
@settings(max_examples=60, deadline=None)
def test_beta_nodes_have_the_moments_of_the_distribution(a: float, b: float) -> None:
    chance, weight = beta_nodes(a, b)
    mean = a / (a + b)
    assert weight @ chance == pytest.approx(mean, rel=1e-6)
    assert weight @ chance**2 == pytest.approx(mean * (a + 1) / (a + b + 1), rel=1e-6)


@given(fitted=PROCESSES, rows=HISTORIES, horizon=st.floats(0, 1e5))
@settings(max_examples=60, deadline=None)
def test_answers_are_finite_and_in_range_for_any_customer(
    fitted: PurchaseProcess, rows: list[tuple[float, ...]], horizon: float
) -> None:
    histories = np.array(rows)[:, :3]
    alive = fitted.probability_alive(histories)
    assert np.isfinite(alive).all() and (alive >= 0).all() and (alive <= 1).all()
    assert (alive[histories[:, 0] == 0] == 1).all()
    nearer, farther = (
        fitted.expected_purchases(histories, time) for time in (horizon, 1.5 * horizon + 1)
    )
    assert np.isfinite(farther).all() and (nearer >= 0).all()
    assert (farther >= nearer).all()
    assert (fitted.expected_purchases(histories, 0) == 0).all()


@given(fitted=PROCESSES, frequency=st.integers(1, 3000), gap=st.floats(0.01, 1e4))
@settings(max_examples=60, deadline=None)
def test_who_stays_silent_longer_is_less_likely_to_be_alive(
    fitted: PurchaseProcess, frequency: int, gap: float
) -> None:
    silences = np.linspace(0, 10 * gap, 20)
    histories = np.column_stack(
        [np.full(20, frequency), np.full(20, gap * frequency), gap * frequency + silences]
    )
    alive = fitted.probability_alive(histories)
    assert (np.diff(alive) <= 0).all()
    assert alive[0] == pytest.approx(1 / (1 + fitted.a_ / (fitted.b_ + frequency - 1)))


def test_a_fit_depends_neither_on_the_order_of_customers_nor_on_the_unit_of_time() -> None:
    histories, _ = simulated(5, customers=1500)
    order = np.random.default_rng(6).permutation(len(histories))
    one, shuffled = (PurchaseProcess().fit(rows) for rows in (histories, histories[order]))
    assert shuffled.get_params() == one.get_params()
    for name in ("r_", "alpha_", "a_", "b_", "log_likelihood_"):
        assert getattr(shuffled, name) == getattr(one, name)
    days = PurchaseProcess().fit(histories * [1, 7, 7])
    found = (days.r_, days.alpha_ / 7, days.a_, days.b_)
    assert found == pytest.approx((one.r_, one.alpha_, one.a_, one.b_), rel=1e-4)
    assert days.expected_purchases(histories * [1, 7, 7], 140) == pytest.approx(
        one.expected_purchases(histories, 20), rel=1e-4
    )


def test_a_weight_counts_customers_like_repeated_rows() -> None:
    histories, _ = simulated(7, customers=800)
    weight = np.random.default_rng(8).integers(0, 4, len(histories))
    weighted = PurchaseProcess().fit(histories, sample_weight=weight)
    repeated = PurchaseProcess().fit(np.repeat(histories, weight, axis=0))
    assert weighted.r_ == repeated.r_
    assert weighted.log_likelihood_ == repeated.log_likelihood_
    assert weighted.customers_ == weight.sum()


@given(rows=HISTORIES)
@settings(max_examples=12, deadline=None)
def test_any_histories_give_finite_parameters_or_a_plain_refusal(
    rows: list[tuple[float, ...]],
) -> None:
    table = np.array(rows)
    try:
        fitted = PurchaseProcess().fit(table[:, :3], sample_weight=table[:, 3])
    except ModelRefused as refusal:
        assert str(refusal)
        return
    parameters = np.array([fitted.r_, fitted.alpha_, fitted.a_, fitted.b_])
    assert np.isfinite(parameters).all() and (parameters > 0).all()
    assert np.isfinite(fitted.log_likelihood_)
    expected = fitted.expected_purchases(table[:, :3], 10 * table[:, 2].max() + 1)
    assert np.isfinite(expected).all()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1, 5, 4], "recency above age"),
        ([0, 3, 4], "without a repeat purchase"),
        ([-1, 0, 4], "negative"),
        ([1, np.nan, 4], "missing"),
        ([3, 0, 4], "at the time of the first"),
    ],
)
def test_an_impossible_history_is_refused_by_its_row(row: list[float], reason: str) -> None:
    with pytest.raises(ModelRefused, match=f"row 1, .*{reason}"):
        PurchaseProcess().fit([[2, 3, 4], row])


def test_customers_who_never_come_back_have_no_rate() -> None:
    with pytest.raises(ModelRefused, match="no customer has a repeat purchase"):
        PurchaseProcess().fit([[0, 0, 4], [0, 0, 9]])


def spenders(seed: int, customers: int = 20_000) -> tuple[Array, Array]:
    """Counts with means as the Gamma-Gamma model says they come about, and the true means."""
    random = np.random.default_rng(seed)
    count = random.integers(0, 12, customers).astype(float)
    rate = random.gamma(4.0, 1 / 60.0, customers)
    total = random.gamma(2.0 * np.maximum(count, 1), 1 / rate)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.column_stack([count, mean]), 2.0 / rate


def test_simulated_spending_gives_its_parameters_back_whatever_the_currency() -> None:
    rows, truth = spenders(9)
    fitted = PurchaseValue().fit(rows)
    assert (fitted.p_, fitted.q_, fitted.v_) == pytest.approx((2.0, 4.0, 60.0), rel=0.06)
    assert abs(fitted.correlation_) < 0.03
    expected = fitted.expected_value(rows)
    assert expected.mean() == pytest.approx(truth.mean(), rel=0.02)
    none = np.isnan(rows[:, 1])
    assert expected[none] == pytest.approx(fitted.mean_)
    own = np.abs(rows[~none, 1] - truth[~none]).mean()
    assert np.abs(expected[~none] - truth[~none]).mean() < own
    cents = PurchaseValue().fit(rows * [1, 100])
    assert (cents.p_, cents.q_, cents.v_ / 100) == pytest.approx(
        (fitted.p_, fitted.q_, fitted.v_), rel=1e-4
    )


def test_spending_that_rises_with_frequency_is_measured_as_a_correlation() -> None:
    rows, _ = spenders(10, customers=4000)
    rows[:, 1] *= 1 + rows[:, 0]
    assert PurchaseValue().fit(rows).correlation_ > 0.4


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[0, np.nan], [3, 0.0]], "no spread of amounts"),
        ([[1, np.nan], [3, 5.0]], "row 0 has count 1"),
        ([[4, 10.0], [4, 10.0], [9, 10.0]], "no spread of amounts"),
    ],
)
def test_amounts_that_cannot_be_learned_from_are_refused(rows: Any, reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        PurchaseValue().fit(rows)
