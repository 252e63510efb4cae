"""What customers bought, as coordinates in which customers can be near each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

Array = np.ndarray[Any, np.dtype[np.float64]]
_TINY = 1e-9


class ItemPoints(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A dimension per common item: the root of its share in the customer's buying, standardised.

    Roots make distances those of Hellinger, in which a rare item counts beside a frequent one.
    Reads two columns of lists per customer: the items it bought, and a weight for each. An item is
    common when at least `least_share` of the customers that `fit` is given bought it.
    """

    def __init__(self, least_share: float = 0.3) -> None:
        self.least_share = least_share

    def fit(self, bought: pd.DataFrame, labels: object = None) -> ItemPoints:
        """Learn the common items, and the mean and the spread of each; `labels` is not read."""
        found = bought.iloc[:, 0].explode().dropna()
        share = found.groupby(found).size() / max(1, len(bought))
        self.items_ = np.asarray(sorted(share.index[share >= self.least_share]), dtype=str)
        roots = self._roots(bought)
        self.mean_ = roots.mean(axis=0)
        spread = roots.std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        return self

    def transform(self, bought: pd.DataFrame) -> Array:
        """rows × common items."""
        return np.asarray((self._roots(bought) - self.mean_) / self.scale_)

    def get_feature_names_out(self, names: object = None) -> np.ndarray[Any, np.dtype[Any]]:
        """The items; `names` of the columns are not needed."""
        return self.items_.astype(object)

    def _roots(self, bought: pd.DataFrame) -> Array:
        sizes = bought.iloc[:, 0].map(len).to_numpy(dtype=np.int64)
        who = np.repeat(np.arange(len(bought)), sizes)
        items = [item for part in bought.iloc[:, 0] for item in part]
        weights = np.fromiter((weight for part in bought.iloc[:, 1] for weight in part), float)
        what = pd.Index(self.items_.astype(object)).get_indexer(pd.Index(items, dtype=object))
        known = what >= 0
        cells = who[known] * len(self.items_) + what[known]
        total = np.bincount(cells, weights[known], len(bought) * len(self.items_))
        every = np.bincount(who, weights, len(bought))[:, None]
        return np.sqrt(total.reshape(len(bought), len(self.items_)) / np.maximum(every, _TINY))
