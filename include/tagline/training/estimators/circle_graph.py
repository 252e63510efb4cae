"""The graph of customers who share items: weighted profiles, and each one's nearest neighbours."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from tagline.errors import ModelRefused

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Texts = np.ndarray[Any, np.dtype[np.str_]]
Keys = np.ndarray[Any, np.dtype[np.uint64]]

COLUMNS = ("customer_id", "item", "weight")
CELLS = 10_000_000  # similarities held at once, to bound the memory
_DIGITS = 9  # similarities that agree so far are ties: they differ only by the order of a sum


def checked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with texts and weights above 0; ModelRefused for anything odd."""
    lacking = [name for name in COLUMNS if name not in rows.columns]
    if lacking:
        raise ModelRefused(
            f"the rows of circles have no column {', '.join(lacking)}; the input query must select "
            "customer_id, item and weight"
        )
    kept = rows[list(COLUMNS)]
    if kept.isna().to_numpy().any():
        raise ModelRefused(
            "a row of circles has no customer_id, item or weight; leave such rows out of the "
            "input query"
        )
    kept = kept.assign(weight=kept["weight"].astype(float))
    if not np.isfinite(kept["weight"]).all() or (kept["weight"] < 0).any():
        raise ModelRefused("a weight of circles is negative or endless; give a count or an amount")
    kept = kept.assign(
        customer_id=kept["customer_id"].astype(str).to_numpy(dtype=object),
        item=kept["item"].astype(str).to_numpy(dtype=object),
    )
    return kept[kept["weight"] > 0]


def summed(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per customer and item, in order, of `checked` rows in any order."""
    # sorted by weight too: the sum of equal rows must not depend on their order
    rows = rows.sort_values(list(COLUMNS), ignore_index=True)
    return rows.groupby(["customer_id", "item"], sort=True)["weight"].sum().reset_index()


def customers_in(rows: pd.DataFrame) -> Texts:
    """The customers of `checked` rows, sorted."""
    return np.sort(np.array(rows["customer_id"].unique(), dtype=str))


def keys(customers: Sequence[str] | Texts) -> Keys:
    """A number per customer that depends on nothing but the id, evenly spread over 64 bits."""
    digests = (hashlib.blake2b(each.encode(), digest_size=8).digest() for each in customers)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def sampled(customers: Texts, most: int) -> Texts:
    """At most `most` of the sorted customers, the same ones whichever others there are."""
    if len(customers) <= most:
        return customers
    return np.sort(customers[np.argsort(keys(customers), kind="stable")[:most]])


def profiles(
    rows: pd.DataFrame, customers: Texts, items: Texts, rarity: Floats
) -> sparse.csr_array:
    """customers × items: log(1 + weight) × rarity, each row of length 1 (or 0 without items).

    `rows` are `summed`; customers and items are sorted, others are left out.
    """
    row, known_customer = _positions(rows["customer_id"].to_numpy(dtype=str), customers)
    column, known_item = _positions(rows["item"].to_numpy(dtype=str), items)
    known = known_customer & known_item
    values = np.log1p(rows["weight"].to_numpy(dtype=float)[known]) * rarity[column[known]]
    matrix = sparse.csr_array(
        (values, (row[known], column[known])), shape=(len(customers), len(items))
    )
    return unit_rows(matrix)


def unit_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    """The rows scaled to length 1; a row without values stays empty."""
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    scale = np.divide(1.0, lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ matrix)


def neighbour_graph(matrix: sparse.csr_array, key: Keys, neighbours: int) -> sparse.csr_array:
    """The symmetric graph in which two rows are linked if one is among the other's nearest.

    Weights are cosines. Of equally near rows those are taken whose keys fit together, which no
    row can be by its place: else the first of many equal customers would be everyone's neighbour.
    """
    parts = [_nearest(matrix, key, start, stop, neighbours) for start, stop in _blocks(matrix)]
    row, column, value = (np.concatenate(each) for each in zip(*parts, strict=True))
    size = matrix.shape[0]
    directed = sparse.csr_array((value, (row, column)), shape=(size, size))
    return sparse.csr_array(directed.maximum(directed.T))


def modularity(graph: sparse.csr_array, labels: Integers, resolution: float = 1.0) -> float:
    """Newman's modularity of a partition: the share of weight inside, less what chance gives.

    `labels` has a number from 0 on for each row; chance is weighted by the resolution.
    """
    total = float(graph.sum())
    if total == 0:
        return 0.0
    edges = graph.tocoo()
    row, column = edges.coords
    inside = float(edges.data[labels[row] == labels[column]].sum())
    degrees = np.bincount(labels, weights=graph.sum(axis=1))
    return inside / total - resolution * float(((degrees / total) ** 2).sum())


def _nearest(
    matrix: sparse.csr_array, key: Keys, start: int, stop: int, neighbours: int
) -> tuple[Integers, Integers, Floats]:
    """The nearest neighbours of the rows from start to stop, as edges."""
    similar = (matrix[start:stop] @ matrix.T).tocsr()
    value = np.round(similar.data, _DIGITS)
    column = similar.indices.astype(np.int64)
    row = np.repeat(np.arange(start, stop), np.diff(similar.indptr))
    value[row == column] = 0
    kept = value > 0
    for first, last in itertools.pairwise(similar.indptr.tolist()):  # few are left to sort
        if last - first > neighbours:
            one = value[first:last]
            kept[first:last] &= one >= np.partition(one, -neighbours)[-neighbours]
    row, column, value = row[kept], column[kept], value[kept]
    order = np.lexsort((_mixed(key[row] ^ key[column]), -value, row))
    row, column, value = row[order], column[order], value[order]
    starts = np.searchsorted(row, np.arange(start, stop))
    near = np.arange(len(row)) - starts[row - start] < neighbours
    return row[near], column[near], value[near]


def _blocks(matrix: sparse.csr_array) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose similarities to all rows are at most CELLS, or one row."""
    holders = np.bincount(matrix.indices, minlength=matrix.shape[1])
    held = sparse.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), matrix.shape)
    cells = np.minimum(held @ holders, matrix.shape[0])
    start, used = 0, 0.0
    for row, count in enumerate(cells):
        if used + count > CELLS and row > start:
            yield start, row
            start, used = row, 0.0
        used += count
    yield start, matrix.shape[0]


def _mixed(value: Keys) -> Keys:
    """splitmix64's finish: spreads the bits, so that near numbers are far from each other."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _positions(values: Texts, known: Texts) -> tuple[Integers, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Where each value stands among the sorted known ones, and whether it is one of them."""
    if len(known) == 0:
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return at, known[at] == values
