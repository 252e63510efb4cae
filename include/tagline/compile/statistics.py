"""Statistics of one table: all of them in one aggregate query, whatever their window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from sqlglot import exp

from tagline.catalog import Tag
from tagline.compile.conditions import Conditions, restricted, split
from tagline.compile.holders import read_holder
from tagline.compile.instant import Moment, instant, sql
from tagline.compile.rows import Rows
from tagline.definitions import DataType, StatisticTag
from tagline.expressions import Expression
from tagline.literals import literal
from tagline.meaning import table_scope
from tagline.references import Holder
from tagline.subjects import CUSTOMER, Subject, subject_of_table

_NOT_NULL_WITHOUT_ROWS = (
    exp.Count, exp.Coalesce, exp.Case, exp.If, exp.Concat, exp.Is, exp.Greatest, exp.Least,
    exp.And, exp.Or, exp.NullSafeEQ, exp.NullSafeNEQ,
)  # fmt: skip


@dataclass
class TableStatistics:
    """Compiles the statistics and picks of one table, of the subjects that its rows name.

    With a `holder`, the customer of a row is who held what it refers to when it happened.
    `tag_rows` names, per other subject, the rows of its tags that expressions may read.

    `ctes` are the queries made, by name; `values` the SQL of each tag over them, still to be
    cast; `joins` the names to join to the population by the subject's key.
    """

    moment: Moment
    rows: Rows
    table: str
    holder: Holder | None = None
    subject: Subject = CUSTOMER
    tag_rows: Mapping[str, str] = field(default_factory=dict)
    ctes: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)
    _matched: dict[str, str] = field(default_factory=dict)

    def compile(self, tags: Sequence[Tag]) -> None:
        """Compile all statistics of this table."""
        plain = [tag for tag in tags if tag.meaning.pick is None]
        distinct = [tag for tag in plain if _counts_distinct(tag)]
        if len(distinct) == 1 and len(plain) > 1:
            # Beside other aggregates an engine would keep every row of the scan for it.
            self._one_scan(distinct, "distinct")
            plain.remove(distinct[0])
        if plain:
            self._one_scan(plain)
        for tag in tags:
            if tag.meaning.pick is not None:
                self._pick(tag)

    @property
    def _name(self) -> str:
        name = self.table if self.holder is None else f"{self.table}_{self.holder.name}"
        return self.subject.prefix + name

    @property
    def _key(self) -> str:
        return f"{'r' if self.holder is None else self.holder.name}.{self.subject.key}"

    def _types(self) -> dict[str, DataType]:
        return dict(table_scope(self.moment.catalog.world(), self.table).columns)

    def _place(self, name: str) -> exp.Expr:
        near, _, far = name.rpartition(".")
        if name in self._tags:
            near = f"{self._tagged.name}_tags"
        return exp.column(far, table=near or "r", quoted=True)

    @property
    def _tagged(self) -> Subject:
        """What the rows of the table are about."""
        return subject_of_table(self.table) or CUSTOMER

    @property
    def _tags(self) -> frozenset[str]:
        """The tags that expressions over the table may name like columns."""
        catalog = self.moment.catalog
        if self._tagged is CUSTOMER or self._tagged is self.subject:
            return frozenset()
        return frozenset(catalog.tags_of(self._tagged)) - set(catalog.tables[self.table].columns)

    def _rewrite(self, expression: Expression) -> exp.Expr:
        return self.moment.rewrite(expression, self._place, self._types())

    def _from(
        self,
        expressions: Iterable[Expression | None],
        windows: Sequence[timedelta | None] = (None,),
    ) -> str:
        """The table's rows joined with the referenced tables that the expressions name.

        Where all `windows` bound the rows, no older event is read.
        """
        catalog = self.moment.catalog
        definition = catalog.tables[self.table]
        bounds = [self.moment.before(window) for window in windows if window]
        group = self.subject.group_column(self.table, definition)
        event_at = definition.event_at if bounds else None
        near, tagged = {name for name in (group, event_at) if name}, False
        far: dict[str, set[str]] = {}
        for expression in expressions:
            for name in (expression.names if expression else frozenset()) - {"as_of"}:
                alias, _, column = name.rpartition(".")
                if name in self._tags:
                    tagged = True
                    near.add(self._tagged.key)
                elif alias:
                    far.setdefault(alias, set()).add(column)
                    near.add(f"{alias}_id")
                else:
                    near.add(column)
        held = self.holder
        if held is not None:
            near |= {held.reference, definition.event_at or ""}
        since = min(bounds) if len(bounds) == len(windows) else None
        own = self.subject is CUSTOMER and held is None
        text = f"{self.rows.read(self.table, near, since, by_customer=own)} AS r"
        if held is not None:
            key = catalog.tables[held.table].key[0]
            name, at = read_holder(self.rows, held, self.ctes), f'r."{definition.event_at}"'
            text += (
                f'\n  JOIN {name} ON {name}."{key}" = r."{held.reference}"\n'
                f"    AND {name}.valid_at <= {at} AND {at} < {name}.until_at"
            )
        if tagged:
            key, name = self._tagged.key, f"{self._tagged.name}_tags"
            source = self.tag_rows[self._tagged.name]
            text += f"\n  LEFT JOIN {source} AS {name} ON {name}.{key} = r.{key}"
        for alias, wanted in sorted(far.items()):
            referenced = definition.columns[f"{alias}_id"].references or ""
            key = catalog.tables[referenced].key[0]
            name = self.rows.read(referenced, wanted | {key})
            text += f'\n  LEFT JOIN {name} AS "{alias}" ON "{alias}"."{key}" = r."{alias}_id"'
        return text

    def _conjuncts(self, tag: Tag) -> list[exp.Expr]:
        """What a row must meet to count for a tag, window first."""
        definition = cast(StatisticTag, tag.definition)
        parts: list[exp.Expr] = []
        if definition.window is not None:
            parts.append(self._not_before(definition.window))
        if tag.meaning.where is not None:
            parts += split(self._rewrite(tag.meaning.where))
        return parts

    def _not_before(self, window: timedelta) -> exp.Expr:
        event_at = self.moment.catalog.tables[self.table].event_at or ""
        lower = instant(self.moment.before(window))
        bound: exp.Expr = exp.maybe_parse(f'r."{event_at}" >= {lower}', dialect="duckdb")
        return bound

    def _one_scan(self, tags: Sequence[Tag], what: str = "statistics") -> None:
        """All plain statistics: the values and conditions of each row, then one aggregate."""
        name = f"{self._name}_{what}"
        self.rows.scans[name] = len(tags)
        self._matched.clear()
        windows = [cast(StatisticTag, tag.definition).window for tag in tags]
        source = self._from(
            [part for tag in tags for part in (tag.meaning.value, tag.meaning.where)], windows
        )
        conditions = Conditions([self._conjuncts(tag) for tag in tags])
        longest = max((window for window in windows if window), default=None)
        if longest is not None and None not in windows:
            conditions.require(self._not_before(longest))
        values = [cast(Expression, tag.meaning.value) for tag in tags]
        shown = [f"r.subject_key AS {self.subject.key}"]
        for tag, value, condition in zip(tags, values, conditions.masks(), strict=True):
            definition = cast(StatisticTag, tag.definition)
            shown.append(f'{sql(restricted(self._over_row(value), condition))} AS "{tag.slug}"')
            column, empty = f'{name}."{tag.slug}"', literal(definition.empty, definition.type)
            if _needs_matched(tag):
                matched = f"{name}.{self._count_matched(condition)}"
                column = f"CASE WHEN COALESCE({matched}, 0) > 0 THEN {column} ELSE {sql(empty)} END"
            elif definition.empty is not None:
                column = f"COALESCE({column}, {sql(empty)})"
            self.values[tag.slug] = column
        shown += [f"{count} AS {matched}" for count, matched in self._matched.items()]
        columns = ",\n    ".join(shown)
        key = f"{self._key} AS subject_key"
        rows = ",\n      ".join([key, *self._row(values), *conditions.shown()])
        where = "\n      AND ".join(sql(part) for part in conditions.common)
        self.ctes[name] = (
            f"SELECT\n    {columns}\n  FROM (\n    SELECT\n      {rows}\n    FROM {source}"
            + (f"\n    WHERE {where}" if where else "")
            + "\n  ) AS r\n  GROUP BY r.subject_key"
        )
        self.joins.append(name)

    def _row(self, values: Iterable[Expression]) -> list[str]:
        """The columns of a row that values name, local times in the place of instants."""
        types = self._types()
        shown = []
        for name in sorted({name for value in values for name in value.names} - {"as_of"}):
            node = self._place(name)
            if types.get(name) is DataType.TIMESTAMP:
                node = self.moment.local(node)
            shown.append(f"{sql(node)} AS {sql(exp.to_identifier(name, quoted=True))}")
        return shown

    def _over_row(self, value: Expression) -> exp.Expr:
        """A value over the columns that `_row` gives."""
        return self.moment.rewrite(value, lambda name: exp.column(name, table="r", quoted=True), {})

    def _count_matched(self, condition: exp.Expr | None) -> str:
        count = sql(restricted(exp.Count(this=exp.Star(), big_int=True), condition))
        return self._matched.setdefault(count, f"matched_{len(self._matched) + 1}")

    def _pick(self, tag: Tag) -> None:
        """The leading groups of a customer: by the aggregate, ties by name."""
        meaning = tag.meaning
        by, pick = cast(Expression, meaning.by), cast(Expression, meaning.pick)
        definition = cast(StatisticTag, tag.definition)
        source = self._from([by, pick, meaning.where], [definition.window])
        group = sql(self._rewrite(by))
        conditions = [f"({group}) IS NOT NULL"]
        conditions += [sql(condition) for condition in self._conjuncts(tag)]
        groups, places, name = (f"{tag.slug}_{part}" for part in ("groups", "places", "pick"))
        where = "\n    AND ".join(conditions)
        self.ctes[groups] = (
            f"SELECT {self._key}, {group} AS label, {sql(self._rewrite(pick))} AS score\n"
            f"  FROM {source}\n  WHERE {where}\n  GROUP BY 1, 2"
        )
        self.ctes[places] = (
            f"SELECT {self.subject.key}, label, ROW_NUMBER() OVER (\n"
            f"    PARTITION BY {self.subject.key} ORDER BY score DESC NULLS LAST, label) AS place\n"
            f"  FROM {groups}"
        )
        most = meaning.pick_count or 1
        chosen = "MAX(label)" if meaning.pick_count is None else "LIST(label ORDER BY place)"
        self.ctes[name] = (
            f"SELECT {self.subject.key}, {chosen} AS label\n  FROM {places}\n"
            f"  WHERE place <= {most}\n  GROUP BY {self.subject.key}"
        )
        self.joins.append(name)
        empty = literal(definition.empty, definition.type)
        label = f"{name}.label"
        self.values[tag.slug] = (
            label if definition.empty is None else f"COALESCE({label}, {sql(empty)})"
        )

    def extract(self, tags: Sequence[Tag]) -> None:
        """Compile the extractions of this table, which has one row per customer."""
        source = self._from([tag.meaning.value for tag in tags])
        name = f"{self._name}_extractions"
        shown = [self._key]
        for tag in tags:
            value = sql(self._rewrite(cast(Expression, tag.meaning.value)))
            shown.append(f'{value} AS "{tag.slug}"')
            empty = getattr(tag.definition, "empty", None)
            column = f'{name}."{tag.slug}"'
            if empty is not None:
                column = f"COALESCE({column}, {sql(literal(empty, tag.definition.type))})"
            self.values[tag.slug] = column
        columns = ",\n    ".join(shown)
        self.ctes[name] = f"SELECT\n    {columns}\n  FROM {source}"
        self.joins.append(name)


def _counts_distinct(tag: Tag) -> bool:
    return cast(Expression, tag.meaning.value).tree.find(exp.Distinct) is not None


def _needs_matched(tag: Tag) -> bool:
    """Whether only a count of matching rows tells a customer without rows from the others."""
    tree = cast(Expression, tag.meaning.value).tree
    empty = cast(StatisticTag, tag.definition).empty
    if isinstance(tree, exp.Count):
        return empty != 0
    if empty is None:
        return any(isinstance(node, _NOT_NULL_WITHOUT_ROWS) for node in tree.walk())
    return not isinstance(tree, exp.Sum)
