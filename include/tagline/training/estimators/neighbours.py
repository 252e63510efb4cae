"""The customers most like another: exact for few, by an approximate index for many."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

Points = np.ndarray[Any, np.dtype[np.float32]]
Distances = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

BLOCK = 16_000_000  # distances that are held at once
SEED = 20170101


class Neighbours(BaseEstimator):  # type: ignore[misc]
    """Finds the nearest of the points that it was fitted with, by Euclidean distance.

    Up to `exact_limit` points every one is looked at. Beyond, a graph index (HNSW of the library
    voyager) is made: `links` per point, `effort` points looked at for each link when it is built,
    and `search` when it is asked. One thread builds it, so that the same points give the same
    index.
    """

    def __init__(
        self, exact_limit: int = 50_000, links: int = 16, effort: int = 100, search: int = 100
    ) -> None:
        self.exact_limit = exact_limit
        self.links = links
        self.effort = effort
        self.search = search

    def fit(self, points: Points, labels: object = None) -> Neighbours:
        """Remember points (rows × dimensions); `labels` is not read."""
        self.points_ = np.ascontiguousarray(points, dtype=np.float32)
        self.index_ = np.empty(0, dtype=np.uint8)
        if len(self.points_) > self.exact_limit:
            self.index_ = np.frombuffer(self._built(), dtype=np.uint8)
        return self

    def nearest(self, points: Points, count: int) -> tuple[Distances, Codes]:
        """Distances to, and positions of, the nearest fitted points of each row, nearest first.

        Fewer than `count` where fewer were fitted. A fitted point is its own neighbour.
        """
        asked = np.ascontiguousarray(points, dtype=np.float32)
        count = min(count, len(self.points_))
        if len(self.index_):
            return self._approximate(asked, count)
        known = self.points_.astype(float)
        rows = max(1, BLOCK // max(1, len(self.points_)))
        parts = [
            self._exact(asked[start : start + rows].astype(float), known, count)
            for start in range(0, len(asked), rows)
        ]
        if not parts:
            return np.empty((0, count)), np.empty((0, count), dtype=np.int64)
        distances, positions = zip(*parts, strict=True)
        return np.concatenate(distances), np.concatenate(positions)

    def _exact(self, asked: Distances, known: Distances, count: int) -> tuple[Distances, Codes]:
        own, others = (asked**2).sum(axis=1), (known**2).sum(axis=1)
        squared = own[:, None] + others[None, :] - 2.0 * (asked @ known.T)
        near = np.argpartition(squared, count - 1, axis=1)[:, :count]
        near.sort(axis=1)  # of equal distances the first point
        found = np.take_along_axis(squared, near, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        distances = np.sqrt(np.maximum(np.take_along_axis(found, order, axis=1), 0.0))
        return distances, np.take_along_axis(near, order, axis=1)

    def _built(self) -> bytes:
        from voyager import Index, Space

        index = Index(
            Space.Euclidean,
            self.points_.shape[1],
            M=self.links,
            ef_construction=self.effort,
            random_seed=SEED,
            max_elements=len(self.points_),
        )
        index.add_items(self.points_, num_threads=1)
        built: bytes = index.as_bytes()
        return built

    def _approximate(self, asked: Points, count: int) -> tuple[Distances, Codes]:
        from voyager import Index

        index = Index.load(io.BytesIO(self.index_.tobytes()))
        positions, squared = index.query(asked, k=count, query_ef=max(self.search, count))
        return np.sqrt(squared.astype(float)), positions.astype(np.int64)
