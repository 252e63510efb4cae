"""How far a candidate's tags have moved from an earlier release's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tagline.audit.measures import (
    ORDERED,
    Measured,
    as_literal,
    category,
    finite,
    groups,
)
from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier, literal

LEAST_SHARE = 1e-4  # an empty bin counts as this share, so that the logarithm exists
SAME = 1e-9  # relative difference of numbers that summation in another order may make


@dataclass(frozen=True)
class Movement:
    """Of one tag: its population stability index, and the share of customers that changed."""

    psi: float | None
    changed: float | None


def population_stability_index(expected: Sequence[int], actual: Sequence[int]) -> float:
    """PSI of two histograms over the same bins: sum of (a - e) * ln(a / e) over their shares.

    As in N. Siddiqi, Credit Risk Scorecards (Wiley, 2006), chapter 9; it is the symmetric
    divergence of H. Jeffreys (1946). 0 for equal shares, never negative; by the usual reading,
    below 0.1 is stable and above 0.25 a large shift. Two empty histograms are equal.

    >>> round(population_stability_index([50, 50], [60, 40]), 4)
    0.0405
    """
    total_expected, total_actual = sum(expected), sum(actual)
    if len(expected) != len(actual):
        raise ValueError(f"{len(expected)} and {len(actual)} bins cannot be compared")
    if not total_expected and not total_actual:
        return 0.0
    psi = 0.0
    for e, a in zip(expected, actual, strict=True):
        e_share = max(e / total_expected if total_expected else 0.0, LEAST_SHARE)
        a_share = max(a / total_actual if total_actual else 0.0, LEAST_SHARE)
        psi += (a_share - e_share) * math.log(a_share / e_share)
    return psi


def compare(
    engine: Engine,
    candidate: Sequence[str],
    earlier: Sequence[str],
    columns: Mapping[str, DataType],
    measured: Mapping[str, Measured],
    rows: int,
    key: str = "customer_id",
) -> dict[str, Movement]:
    """The movement of each column; `measured` are the earlier release's figures."""
    relations = {"now": tuple(candidate), "before": tuple(earlier)}
    counts: dict[str, dict[int, int]] = {name: {} for name in columns}
    changed: dict[str, float | None] = {}
    for group in groups(columns, 2 * rows):
        types = {key: DataType.TEXT, **{name: columns[name] for name in group}}
        named = {side: Relation(files, types) for side, files in relations.items()}
        binned = [
            f"select {literal(name)} as tag, {_bin(name, columns[name], measured[name])} as bin, "
            "count(*) as n from now group by 2"
            for name in group
        ]
        now_only = {"now": named["now"]}
        for row in engine.fetch(" union all ".join(binned), now_only).to_pylist():
            counts[row["tag"]][row["bin"]] = row["n"]
        differs = ", ".join(
            f"count(case when {_differs(name, columns[name])} then 1 end) as {identifier(name)}"
            for name in group
        )
        both = engine.fetch(
            f"select count(*) as customers__in_both, {differs} from now join before "
            f"on now.{key} = before.{key}",
            named,
        ).to_pylist()[0]
        customers = both["customers__in_both"]
        changed |= {name: both[name] / customers if customers else None for name in group}
    moved = {}
    for name, kind in columns.items():
        before, now = earlier_histogram(measured[name], kind), counts[name]
        bins = sorted(before.keys() | now.keys())
        psi = None
        if now and measured[name].rows:
            psi = population_stability_index(
                [before.get(b, 0) for b in bins], [now.get(b, 0) for b in bins]
            )
        moved[name] = Movement(psi, changed[name])
    return moved


def earlier_histogram(earlier: Measured, kind: DataType) -> dict[int, int]:
    """The earlier release's rows in each of the bins of `_bin`, from its figures alone."""
    if kind in ORDERED:
        counted = earlier.present - earlier.not_finite
        edges = dict(zip(earlier.deciles, earlier.reached, strict=True))  # equal ones reach alike
        reached = [0, *edges.values(), counted]
        upto = [high - low for low, high in pairwise(reached)]
        return {-1: earlier.rows - counted, **dict(enumerate(upto, start=1))}
    top = [count for _, count in earlier.top]
    rest = earlier.present - sum(top)
    return {-1: earlier.rows - earlier.present, **dict(enumerate([*top, rest], start=1))}


def _bin(name: str, kind: DataType, earlier: Measured) -> str:
    """SQL of the bin that a value falls in; a missing value has a bin of its own.

    Ordered values: below the earlier least, then up to each earlier decile, then above. Others:
    one bin for each of the earlier most frequent values, one for the rest.
    """
    if kind in ORDERED:
        value = finite(name, kind)
        cases = []
        if earlier.minimum is not None:
            cases.append(f"when {value} < {as_literal(earlier.minimum)} then 0")
        edges = list(dict.fromkeys(earlier.deciles))
        cases += [
            f"when {value} <= {as_literal(edge)} then {number}"
            for number, edge in enumerate(edges, start=1)
        ]
        rest = len(edges) + 1
    else:
        value = category(name, kind)
        cases = [
            f"when {value} = {literal(top)} then {number}"
            for number, (top, _) in enumerate(earlier.top, start=1)
        ]
        rest = len(earlier.top) + 1
    return f"case when {value} is null then -1 {' '.join(cases)} else {rest} end"


def _differs(name: str, kind: DataType) -> str:
    now, before = f"now.{identifier(name)}", f"before.{identifier(name)}"
    if kind is not DataType.NUMBER:
        return f"{now} is distinct from {before}"
    close = f"abs({now} - {before}) <= {SAME} * greatest(abs({now}), abs({before}))"
    return f"({now} is distinct from {before} and not coalesce({close}, false))"


def shown_bound(value: Any) -> float | str | None:
    """A measured bound as JSON holds it."""
    if value is None or isinstance(value, int | float):
        return value
    return str(value.isoformat())
