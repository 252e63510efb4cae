"""Circles: communities of customers who share items, with identities that last from run to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin

from tagline.errors import ModelRefused
from tagline.training.estimators.circle_graph import (
    Floats,
    Integers,
    Texts,
    checked,
    customers_in,
    keys,
    modularity,
    neighbour_graph,
    profiles,
    sampled,
    summed,
    unit_rows,
)

NONE = 0  # the id of no circle


@dataclass(frozen=True)
class Links:
    """Customers (sorted), their profiles over items, and the graph of who is like whom."""

    customers: Texts
    items: Texts
    rarity: Floats
    matrix: sparse.csr_array  # customers × items
    graph: sparse.csr_array  # customers × customers


class Circles(ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Leiden communities of the nearest-neighbour graph of customers who share items.

    Rows are (customer_id, item, weight): how often or how much a customer had to do with an item,
    such as a store. A profile is log(1 + weight) × rarity of the item, of length 1; likeness is
    its cosine. With an earlier fit as `previous`, the search starts from that one's circles, and
    a circle keeps its id where it overlaps enough with the earlier one. A search from nothing is
    made too, and taken where it is better by more than `min_gain` of modularity: so circles last
    until they no longer fit.

    After `fit`: `customers_` (sorted) with `labels_`, the id of each one's circle, 0 for no
    circle; `circles_` (ids, ascending) with `sizes_`; `items_` with `rarity_`; `centres_`, the
    mean profile of each circle, of length 1; `modularity_` of the partition, before the small ones
    were dropped; `small_`, the customers that those held; `renewed_`, whether the search from
    nothing was taken although there were earlier circles; `next_id_`, the first id never used.
    `names_` (a row per circle: English, Chinese) and `leads_` are given by `call`.
    """

    def __init__(
        self,
        *,
        neighbours: int = 30,
        resolution: float = 1.0,
        min_size: int = 10,
        min_overlap: float = 0.25,
        min_gain: float = 0.01,
        max_item_share: float = 0.5,
        max_customers: int = 50_000,
        iterations: int = 3,
        trials: int = 4,
        seed: int = 0,
    ) -> None:
        self.neighbours = neighbours
        self.resolution = resolution  # higher: more and smaller circles
        self.min_size = min_size  # a smaller group is no circle
        self.min_overlap = min_overlap  # Jaccard index from which a circle keeps its id
        self.min_gain = min_gain
        self.max_item_share = max_item_share  # an item of more customers tells nobody apart
        self.max_customers = max_customers  # a larger population is sampled; the rest is assigned
        self.iterations = iterations
        self.trials = trials  # searches of which the best is kept
        self.seed = seed

    def fit(
        self,
        rows: pd.DataFrame,
        y: None = None,
        *,
        previous: Circles | None = None,
        first_id: int = 1,
    ) -> Self:
        """Find the circles of the customers in the rows; their order does not matter.

        Ids below `first_id`, and all that `previous` knows of, are given to no new circle.
        """
        return self.fit_links(self.link(rows), previous=previous, first_id=first_id)

    def link(self, rows: pd.DataFrame) -> Links:
        """The graph of the customers in the rows; it does not depend on the seed."""
        rows = checked(rows)
        customers = sampled(customers_in(rows), self.max_customers)
        rows = summed(rows[rows["customer_id"].isin(customers.tolist())])
        items, rarity = self._items(rows, len(customers))
        matrix = profiles(rows, customers, items, rarity)
        graph = neighbour_graph(matrix, keys(customers), self.neighbours)
        if graph.nnz == 0:
            raise ModelRefused(
                "no two customers share an item, so there are no circles; choose coarser items"
            )
        return Links(customers, items, rarity, matrix, graph)

    def fit_links(
        self, links: Links, *, previous: Circles | None = None, first_id: int = 1
    ) -> Self:
        """What `fit` does, with the graph of its rows, for several fits of the same rows."""
        self.customers_, self.items_, self.rarity_ = links.customers, links.items, links.rarity
        graph = links.graph
        earlier = None if previous is None else previous.labels_of(self.customers_)
        found = self._communities(graph, None)
        self.renewed_ = earlier is not None
        if earlier is not None:
            lasting = self._communities(graph, earlier)
            fresh, kept_on = (modularity(graph, each, self.resolution) for each in (found, lasting))
            if fresh - kept_on <= self.min_gain:
                found, self.renewed_ = lasting, False
        self.modularity_ = modularity(graph, found)
        linked = np.diff(graph.indptr) > 0
        sizes = np.bincount(found)
        kept = linked & (sizes[found] >= self.min_size)
        self.small_ = int(len(found) - kept.sum())
        first = first_id if previous is None else max(first_id, previous.next_id_)
        labels, next_id = identified(
            np.where(kept, found + 1, NONE), earlier, first, self.min_overlap
        )
        self.labels_: Integers = labels
        self.next_id_: int = next_id
        self.circles_, self.sizes_ = _counted(self.labels_)
        self.centres_: Floats = unit_rows(
            _indicator(self.labels_, self.circles_) @ links.matrix
        ).toarray()
        self.names_: Texts = np.array(
            [(f"Circle {number}", f"圈子{number}") for number in self.circles_.tolist()], dtype=str
        )
        self.leads_: Texts = np.array([""] * len(self.circles_), dtype=str)
        return self

    def call(self, names: Mapping[int, tuple[str, str, str]]) -> Self:
        """Name the circles: by id, the English and the Chinese name, and what leads them."""
        given = [names[circle] for circle in self.circles_.tolist()]
        self.names_ = np.array([(english, chinese) for english, chinese, _ in given])
        self.leads_ = np.array([lead for _, _, lead in given])
        return self

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """customer_id, circle (0: none) and strength of each customer in the rows, by id.

        A customer of the fit keeps the circle found there; another gets the one whose customers
        it is most like, or none where it shares no item with any. Strength is the part of a
        customer's likeness to all circles that falls to its own, from 0 to 1; NaN without one.
        """
        rows = summed(checked(rows))
        customers = customers_in(rows)
        if not len(self.circles_):
            nothing = np.full(len(customers), np.nan)
            return _answers(customers, np.zeros(len(customers), np.int64), nothing)
        likeness: Floats = profiles(rows, customers, self.items_, self.rarity_) @ self.centres_.T
        total = likeness.sum(axis=1)
        nearest = np.where(total > 0, self.circles_[likeness.argmax(axis=1)], NONE)
        seen = np.isin(customers, self.customers_)
        circle = np.where(seen, self.labels_of(customers), nearest)
        own = likeness[
            np.arange(len(customers)),
            np.minimum(np.searchsorted(self.circles_, circle), len(self.circles_) - 1),
        ]
        strength = np.divide(own, total, out=np.zeros(len(own)), where=total > 0)
        return _answers(customers, circle, np.where(circle == NONE, np.nan, strength))

    def labels_of(self, customers: Texts) -> Integers:
        """The circle of each customer as found by the fit; 0 for none and for the unknown."""
        at = np.minimum(np.searchsorted(self.customers_, customers), len(self.customers_) - 1)
        return np.where(self.customers_[at] == customers, self.labels_[at], NONE)

    def _items(self, rows: pd.DataFrame, count: int) -> tuple[Texts, Floats]:
        """The items that can link so many customers, sorted, and how rare each is."""
        items, holders = np.unique(rows["item"].to_numpy(dtype=str), return_counts=True)
        kept = (holders >= 2) & (holders <= self.max_item_share * count)
        rarity: Floats = np.log((1 + count) / (1 + holders[kept])) + 1
        return items[kept], rarity

    def _communities(self, graph: sparse.csr_array, earlier: Integers | None) -> Integers:
        """Leiden's communities as numbers from 0 on, in the order of their first customer."""
        from graspologic_native import leiden

        edges = sparse.triu(graph, 1).tocoo()
        row, column = edges.coords
        names = [str(number) for number in range(graph.shape[0])]
        start = None
        if earlier is not None and (earlier != NONE).any():
            alone = int(earlier.max()) + 1 + np.arange(len(earlier))
            begin = np.where(earlier != NONE, earlier, alone)
            start = {names[at]: int(begin[at]) for at in np.unique(np.concatenate((row, column)))}
        _, found = leiden(
            [
                (names[left], names[right], weight)
                for left, right, weight in zip(
                    row.tolist(), column.tolist(), edges.data.tolist(), strict=True
                )
            ],
            starting_communities=start,
            resolution=self.resolution,
            iterations=self.iterations,
            trials=self.trials,
            seed=self.seed,
        )
        unlinked = len(names)  # each by itself
        numbers = [found.get(name, unlinked + at) for at, name in enumerate(names)]
        _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[inverse]


def identified(
    found: Integers, earlier: Integers | None, next_id: int, min_overlap: float
) -> tuple[Integers, int]:
    """Lasting ids for new groups (0: none), and the first id that is still unused.

    Groups are matched to the earlier circles of the same customers one to one, so that the sum of
    the Jaccard indices is highest; a match below `min_overlap` does not count. The other groups
    get ids from `next_id` on, the largest first. What the groups were called does not matter.
    """
    groups, sizes = _counted(found)
    ids = np.zeros(len(groups), np.int64)
    if earlier is not None and len(groups):
        circles, earlier_sizes = _counted(earlier)
        shared = (_indicator(found, groups) @ _indicator(earlier, circles).T).toarray()
        jaccard = shared / (sizes[:, None] + earlier_sizes[None, :] - shared)
        for group, circle in zip(*linear_sum_assignment(-jaccard), strict=True):
            if jaccard[group, circle] >= min_overlap:
                ids[group] = circles[circle]
    first_member = np.array([np.argmax(found == group) for group in groups], np.int64)
    for group in np.lexsort((first_member, -sizes)):
        if ids[group] == NONE:
            ids[group] = next_id
            next_id += 1
    labels = np.zeros(len(found), np.int64)
    member = found != NONE
    labels[member] = ids[np.searchsorted(groups, found[member])]
    return labels, next_id


def _counted(labels: Integers) -> tuple[Integers, Integers]:
    """The circles among the labels, ascending, and how many customers each has."""
    return np.unique(labels[labels != NONE], return_counts=True)


def _indicator(labels: Integers, circles: Integers) -> sparse.csr_array:
    """circles × customers: 1 where the customer is in the circle."""
    members = np.flatnonzero(np.isin(labels, circles) & (labels != NONE))
    row = np.searchsorted(circles, labels[members])
    return sparse.csr_array(
        (np.ones(len(members)), (row, members)), shape=(len(circles), len(labels))
    )


def _answers(customers: Texts, circle: Integers, strength: Floats) -> pd.DataFrame:
    answers: dict[str, Any] = {
        "customer_id": pd.Series(customers, dtype=object),
        "circle": circle.astype(np.int64),
        "strength": strength.astype(float),
    }
    return pd.DataFrame(answers)
