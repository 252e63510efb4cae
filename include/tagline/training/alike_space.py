"""How customers become points: tags standardised, and what they bought."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from sklearn.compose import ColumnTransformer

from tagline.errors import ModelRefused
from tagline.training.estimators.item_points import ItemPoints
from tagline.training.estimators.tag_inputs import linear_inputs, shape_of

ITEMS = ("items", "weights")  # columns of lists: what was bought, and how often


def space_of(
    rows: pd.DataFrame, numbers: Collection[str], least_share: float = 0.3
) -> ColumnTransformer:
    """How rows become points: tags standardised, and the items bought where rows have them.

    Of the items those that at least `least_share` of the customers bought.
    """
    slugs = [name for name in rows.columns if name not in ITEMS]
    shapes = {slug: shape_of(rows[slug], is_number=slug in numbers) for slug in slugs}
    steps = list(linear_inputs(shapes).transformers)
    if set(ITEMS) <= set(rows.columns):
        steps.append(("items", ItemPoints(least_share), list(ITEMS)))
    if not steps:
        raise ModelRefused("every feature is constant: customers cannot be compared by them")
    return ColumnTransformer(steps, verbose_feature_names_out=False, sparse_threshold=0.0)
