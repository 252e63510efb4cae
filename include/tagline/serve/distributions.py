"""How the values of one released tag are spread over the customers, for a chart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier
from tagline.registry.schema import Release
from tagline.serve.released import files_of, subject_of

FEW = 16  # distinct numbers up to which each is shown by itself
BINS = 30
MOST = 15  # most frequent texts that are shown
_EPOCH = date(1970, 1, 1)
_DAYS = (1, 2, 7, 14, 28, 91, 182, 364, 1820)
_GREATEST = "1.7976931348623157e308"


@dataclass(frozen=True)
class Distribution:
    """Customers per value (`values`) or per bin (`bins`: one edge more than counts).

    `below` and `above` count customers outside the edges; `others` those with a value that is
    not listed (0 for lists, where a customer counts for each element); `absent` those without one.
    """

    shape: Literal["values", "bins", "empty"]
    rows: int
    absent: int
    values: tuple[tuple[Any, int], ...] = ()
    others: int = 0
    distinct: int = 0
    edges: tuple[Any, ...] = ()
    counts: tuple[int, ...] = ()
    below: int = 0
    above: int = 0
    ordered: bool = False  # the values have an order of their own


def distribution(engine: Engine, release: Release, slug: str, kind: DataType) -> Distribution:
    """The distribution of a tag that the release has a column of."""
    files = files_of(release, subject_of(release.tags.get(slug, {})))
    relation = {"tags": Relation(files, {slug: kind})}
    if kind in (DataType.TEXT, DataType.BOOLEAN, DataType.TEXT_LIST):
        return _of_texts(engine, relation, slug, kind)
    value = _as_number(slug, kind)
    figures = engine.fetch(
        f"SELECT count(*) AS n, count(v) AS present, count(DISTINCT v) AS different, "
        "min(v) AS low, max(v) AS high, quantile_cont(v, 0.01) AS first, "
        f"quantile_cont(v, 0.99) AS last FROM (SELECT {value} AS v FROM tags) AS numbers",
        relation,
    ).to_pylist()[0]
    rows, absent = figures["n"], figures["n"] - figures["present"]
    if not figures["present"]:
        return Distribution("empty", rows, absent)
    if figures["different"] <= FEW and kind in (DataType.INTEGER, DataType.NUMBER):
        return _of_few(engine, relation, value, rows, absent)
    start, step, count = bins(figures, whole=kind is not DataType.NUMBER, days=_is_time(kind))
    index = f"floor((v - {start!r}) / {step!r})"
    bounded = f"CASE WHEN {index} < 0 THEN -1 WHEN {index} >= {count} THEN {count} ELSE {index} END"
    table = engine.fetch(
        f"SELECT CAST({bounded} AS BIGINT) AS bin, count(*) AS n "
        f"FROM (SELECT {value} AS v FROM tags) AS numbers WHERE v IS NOT NULL GROUP BY 1",
        relation,
    )
    found = {row["bin"]: row["n"] for row in table.to_pylist()}
    edges = [start + step * number for number in range(count + 1)]
    return Distribution(
        "bins",
        rows,
        absent,
        distinct=figures["different"],
        edges=tuple(_shown(edge, kind) for edge in edges),
        counts=tuple(found.get(number, 0) for number in range(count)),
        below=found.get(-1, 0),
        above=found.get(count, 0),
        ordered=True,
    )


def bins(figures: dict[str, Any], *, whole: bool, days: bool = False) -> tuple[float, float, int]:
    """Start, width and number of bins with round edges around all but the last hundredths.

    >>> bins({"low": 0.4, "high": 9000.0, "first": 1.0, "last": 97.0}, whole=False)
    (0.0, 5.0, 20)
    """
    low, high = float(figures["low"]), float(figures["high"])
    first, last = float(figures["first"]), float(figures["last"])
    reach = max(last - first, 1e-9)
    low = low if first - low <= reach / 4 else first
    high = high if high - last <= reach / 4 else last
    least = max(high - low, 1e-9) / BINS
    step = next((d for d in _DAYS if d >= least), _DAYS[-1]) if days else _round_up(least)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    start = math.floor(low / step) * step
    return float(start), float(step), max(1, math.floor((high - start) / step + 1e-9) + 1)


def _round_up(least: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(least))
    return next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= least * 0.999)


def _is_time(kind: DataType) -> bool:
    return kind in (DataType.DATE, DataType.TIMESTAMP)


def _as_number(slug: str, kind: DataType) -> str:
    column = identifier(slug)
    if _is_time(kind):
        return f"datediff('day', DATE '1970-01-01', CAST({column} AS DATE))"
    if kind is DataType.NUMBER:
        return f"CASE WHEN abs({column}) <= {_GREATEST} THEN {column} END"
    return column


def _shown(edge: float, kind: DataType) -> float | int | str:
    if _is_time(kind):
        return (_EPOCH + timedelta(days=int(edge))).isoformat()
    return int(edge) if kind is DataType.INTEGER else float(f"{edge:.12g}")


def _of_few(
    engine: Engine, relation: dict[str, Relation], value: str, rows: int, absent: int
) -> Distribution:
    table = engine.fetch(
        f"SELECT v, count(*) AS n FROM (SELECT {value} AS v FROM tags) AS numbers "
        "WHERE v IS NOT NULL GROUP BY 1 ORDER BY 1",
        relation,
    )
    values = tuple((row["v"], row["n"]) for row in table.to_pylist())
    return Distribution("values", rows, absent, values, distinct=len(values), ordered=True)


def _of_texts(
    engine: Engine, relation: dict[str, Relation], slug: str, kind: DataType
) -> Distribution:
    column = identifier(slug)
    present = engine.fetch(
        f"SELECT count(*) AS n, count({column}) AS present FROM tags", relation
    ).to_pylist()[0]
    rows, absent = present["n"], present["n"] - present["present"]
    value = f"unnest({column})" if kind is DataType.TEXT_LIST else column
    table = engine.fetch(
        f"SELECT v, n, sum(n) OVER () AS total, count(*) OVER () AS different FROM "
        f"(SELECT v, count(*) AS n FROM (SELECT {value} AS v FROM tags) AS listed "
        f"WHERE v IS NOT NULL GROUP BY 1) AS counted ORDER BY n DESC, v LIMIT {MOST}",
        relation,
    ).to_pylist()
    if not table:
        return Distribution("empty", rows, absent)
    values = tuple((row["v"], row["n"]) for row in table)
    # In a list a customer counts for each element, so the rest cannot be said in customers.
    others = int(table[0]["total"]) - sum(n for _, n in values)
    others = 0 if kind is DataType.TEXT_LIST else others
    return Distribution("values", rows, absent, values, others, table[0]["different"])
