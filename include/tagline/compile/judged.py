"""Manual tags: the value that enough annotators agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlglot import exp

from tagline.catalog import Tag
from tagline.compile.instant import Moment, sql
from tagline.compile.rows import Rows
from tagline.definitions import DataType
from tagline.definitions.tag import ManualTag
from tagline.judgements import COLUMNS
from tagline.literals import literal

_NEWEST = "labels_by_annotator"


@dataclass
class Judged:
    """Compiles manual tags; `ctes`, `values` and `joins` are as of TableStatistics."""

    moment: Moment
    rows: Rows
    ctes: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)

    def compile(self, tags: Sequence[Tag]) -> None:
        """Compile all manual tags: one scan of the judgements, then each tag's own count."""
        definitions = {tag.slug: cast(ManualTag, tag.definition) for tag in tags}
        table = next(iter(definitions.values())).table
        key = self.moment.catalog.tables[table].key
        source = self.rows.read(table, {*COLUMNS, *key}, by_customer=True)
        asked = ", ".join(sorted({_text(each.label_set) for each in definitions.values()}))
        latest = ", ".join(f'r."{name}" DESC' for name in key)
        self.ctes[_NEWEST] = (
            "SELECT r.customer_id, r.label_set, r.value, ROW_NUMBER() OVER (\n"
            "    PARTITION BY r.customer_id, r.label_set, r.judged_by\n"
            f"    ORDER BY r.judged_at DESC, {latest}) AS place\n"
            f"  FROM {source} AS r\n  WHERE r.label_set IN ({asked})"
        )
        for slug, definition in definitions.items():
            self._agreed(slug, definition)

    def _agreed(self, slug: str, definition: ManualTag) -> None:
        boolean = definition.type is DataType.BOOLEAN
        known = ("true", "false") if boolean else (definition.values or ())
        among = ", ".join(map(_text, known))
        counts, leaders, name = (f"{slug}_{part}" for part in ("counts", "leaders", "agreed"))
        self.ctes[counts] = (
            f"SELECT customer_id, value, COUNT(*) AS judges\n  FROM {_NEWEST}\n"
            f"  WHERE place = 1 AND label_set = {_text(definition.label_set)} "
            f"AND value IN ({among})\n  GROUP BY customer_id, value"
        )
        self.ctes[leaders] = (
            "SELECT customer_id, value, judges,\n"
            "    SUM(judges) OVER (PARTITION BY customer_id) AS of_all,\n"
            "    MAX(judges) OVER (PARTITION BY customer_id) AS most\n"
            f"  FROM {counts}"
        )
        self.ctes[name] = (
            "SELECT customer_id, MIN(value) AS value, COUNT(*) AS leaders,\n"
            "    CAST(MIN(judges) AS DOUBLE) / CAST(MIN(of_all) AS DOUBLE) AS share\n"
            f"  FROM {leaders}\n  WHERE judges = most\n  GROUP BY customer_id"
        )
        self.joins.append(name)
        value = f"{name}.value = 'true'" if boolean else f"{name}.value"
        empty = sql(literal(definition.empty, definition.type))
        self.values[slug] = (
            f"CASE WHEN {name}.leaders > 1 THEN NULL\n"
            f"      WHEN {name}.share >= CAST({definition.agreement!r} AS DOUBLE) THEN {value}\n"
            f"      ELSE {empty} END"
        )


def _text(value: str) -> str:
    return sql(exp.Literal.string(value))
