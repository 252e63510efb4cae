"""Measures of a model on its holdout, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tagline.training.panels import Array

RESAMPLES = 1000
FEWEST = 200  # resamples of a holdout that is so large that its intervals are narrow anyhow
DRAWN = 200_000_000  # rows that all resamples of a holdout may have together
SEED = 20170101
CELLS = 4_000_000  # of one block of resamples, to bound the memory
BINS = 10
_TINY = 1e-15

# a metric of weighted rows: weights (resamples × rows) -> a value per resample
Metric = Callable[[Array], Array]
Subjects = np.ndarray[Any, np.dtype[Any]]  # whose each row is


@dataclass(frozen=True)
class Interval:
    """A measured value and its bootstrap interval, of 95 % where nothing else is said."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_json(self) -> dict[str, float | None]:
        """value, low and high, rounded to what the resamples can tell; None where undefined."""
        return {
            name: round(float(value), 6) if np.isfinite(value) else None
            for name, value in asdict(self).items()
        }


def evaluate(
    label: Array,
    model: Array,
    rule: Array,
    champion: Array | None = None,
    *,
    rule_probability: Array | None = None,
    subjects: Subjects | None = None,
) -> dict[str, Interval]:
    """Measures of a model's probabilities, of a plain rule's scores, and of their difference.

    Where the rule is a probability, the gain over its Brier score is measured too. `subjects`
    says whose each row is, so that the rows of one are drawn together.

    All are measured on the same resamples of the same rows, so differences are paired. With the
    probabilities of the present champion, the gains over it are measured too: in ROC AUC, and in
    log loss, which also sees that a champion's probabilities have come to be too high or too low.
    A gain is positive where the model is better.
    """
    metrics: dict[str, Metric] = {
        "roc_auc": roc_auc(label, model),
        "pr_auc": pr_auc(label, model),
        "brier": mean((model - label) ** 2),
        "log_loss": mean(_losses(label, model)),
        "calibration_error": calibration_error(label, model),
        "rule_roc_auc": roc_auc(label, rule),
        "rule_pr_auc": pr_auc(label, rule),
    }
    differences = {"gain_over_rule": ("roc_auc", "rule_roc_auc")}
    if champion is not None:
        metrics["champion_roc_auc"] = roc_auc(label, champion)
        metrics["champion_log_loss"] = mean(_losses(label, champion))
        metrics["champion_calibration_error"] = calibration_error(label, champion)
        differences["champion_gain_over_rule"] = ("champion_roc_auc", "rule_roc_auc")
        differences["gain_over_champion"] = ("roc_auc", "champion_roc_auc")
        differences["log_loss_gain_over_champion"] = ("champion_log_loss", "log_loss")
    if rule_probability is not None:
        metrics["rule_brier"] = mean((rule_probability - label) ** 2)
        metrics["rule_calibration_error"] = calibration_error(label, rule_probability)
        differences["brier_gain_over_rule"] = ("rule_brier", "brier")
        if champion is not None:
            metrics["champion_brier"] = mean((champion - label) ** 2)
            differences["champion_brier_gain_over_rule"] = ("rule_brier", "champion_brier")
    return bootstrap(metrics, differences, len(label), subjects=subjects)


def _losses(label: Array, probability: Array) -> Array:
    """The log loss of each row."""
    given = np.where(label == 1, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(given, _TINY, 1)))


def resamples_of(rows: int) -> int:
    """How many resamples are drawn: 1000, and of more than 200,000 rows fewer, down to 200.

    >>> resamples_of(4000), resamples_of(400_000), resamples_of(5_000_000)
    (1000, 500, 200)
    """
    return max(FEWEST, min(RESAMPLES, DRAWN // max(rows, 1)))


def bootstrap(
    metrics: Mapping[str, Metric],
    differences: Mapping[str, tuple[str, str]],
    rows: int,
    resamples: int | None = None,
    confidence: float = 0.95,
    subjects: Subjects | None = None,
) -> dict[str, Interval]:
    """Each metric and each difference of two, with its percentile interval.

    From `resamples_of(rows)` resamples where nothing else is said. Where `subjects` says whose
    each row is, subjects are drawn with all their rows: rows of one are not independent.
    """
    if resamples is None:
        resamples = resamples_of(rows)
    once = np.ones((1, rows))
    point = {name: float(metric(once)[0]) for name, metric in metrics.items()}
    drawn: dict[str, list[Array]] = {name: [] for name in metrics}
    for weights in _of_subjects(rows, resamples, subjects):
        for name, metric in metrics.items():
            drawn[name].append(metric(weights))
    sample = {name: np.concatenate(parts) for name, parts in drawn.items()}
    for name, (left, right) in differences.items():
        point[name] = point[left] - point[right]
        sample[name] = sample[left] - sample[right]
    return {name: _interval(point[name], values, confidence) for name, values in sample.items()}


def bootstrap_of_counts(
    metric: Metric, counts: Array, resamples: int = RESAMPLES, confidence: float = 0.95
) -> Interval:
    """A metric with its percentile interval, of rows each of which stands for `counts` equal ones.

    The same as `bootstrap` of all rows one by one, at a cost that follows the distinct ones.
    """
    rows = int(counts.sum())
    drawn = np.random.default_rng(SEED).multinomial(rows, counts / rows, resamples)
    value = float(metric(counts[None, :].astype(float))[0])
    return _interval(value, metric(drawn.astype(float)), confidence)


def _interval(value: float, sample: Array, confidence: float) -> Interval:
    if np.isnan(sample).all():  # of nothing that was drawn it could be told
        return Interval(value, float("nan"), float("nan"))
    outside = 50 * (1 - confidence)
    low, high = np.nanpercentile(sample, [outside, 100 - outside])
    return Interval(value, float(low), float(high))


def _of_subjects(rows: int, resamples: int, subjects: Subjects | None) -> Iterator[Array]:
    """As `_resamples`, with the same number for all rows of a subject."""
    if subjects is None:
        yield from _resamples(rows, resamples)
        return
    named, place = np.unique(subjects, return_inverse=True)
    for weights in _resamples(len(named), resamples, rows):
        yield weights[:, place]


def _resamples(rows: int, resamples: int, width: int = 0) -> Iterator[Array]:
    """Blocks of how often each row is drawn, the same for every call with the same sizes.

    A block is small enough to be spread to `width` columns.
    """
    random = np.random.default_rng(SEED)
    block = max(1, CELLS // max(rows, width))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = random.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        counts = np.bincount(drawn.ravel(), minlength=count * rows)
        yield counts.reshape(count, rows).astype(float)


def roc_auc(label: Array, score: Array) -> Metric:
    """Share of pairs of a positive and a negative that the score orders rightly; ties count half.

    >>> float(roc_auc(np.array([0, 0, 1, 1]), np.array([1, 2, 2, 3]))(np.ones((1, 4)))[0])
    0.875
    """
    order = np.argsort(score, kind="stable")
    starts = _group_starts(score[order])
    positive = label[order] == 1

    def measure(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        positives = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        negatives = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return _ratio((positives * below).sum(axis=1), pairs)

    return measure


def pr_auc(label: Array, score: Array) -> Metric:
    """Average precision: precision averaged over the positives, the highest scores first."""
    order = np.argsort(-score, kind="stable")
    starts = _group_starts(score[order])
    positive = label[order] == 1

    def measure(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        hits = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        taken = np.cumsum(np.add.reduceat(sorted_weights, starts, axis=1), axis=1)
        precision = np.cumsum(hits, axis=1) / np.maximum(taken, 1)
        return _ratio((hits * precision).sum(axis=1), hits.sum(axis=1))

    return measure


def calibration_error(label: Array, probability: Array) -> Metric:
    """Expected calibration error over bins of equally many rows.

    The mean over rows of the gap, in the row's bin, between the predicted and the actual rate.
    """
    bins = probability_bins(probability)
    gaps = np.zeros((len(label), int(bins.max()) + 1))
    gaps[np.arange(len(label)), bins] = probability - label

    def measure(weights: Array) -> Array:
        total = np.abs(weights @ gaps).sum(axis=1)
        return np.asarray(total / weights.sum(axis=1))

    return measure


def probability_bins(probability: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The bin of each row, of at most ten by quantiles; equal values share a bin."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="left")


def ratio(part: Array, whole: Array) -> Metric:
    """The sum of one value of the rows over the sum of another; NaN where that is 0."""

    def measure(weights: Array) -> Array:
        return _ratio(weights @ part, weights @ whole)

    return measure


def mean(values: Array) -> Metric:
    """The mean of one value of the rows."""

    def measure(weights: Array) -> Array:
        return np.asarray((weights @ values) / weights.sum(axis=1))

    return measure


def _ratio(part: Array, whole: Array) -> Array:
    """part / whole, NaN where a resample has no such rows."""
    result: Array = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _group_starts(values: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each run of equal sorted values begins."""
    return np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
