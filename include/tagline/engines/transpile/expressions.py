"""Expressions of DuckDB's SQL as trees of Spark SQL: what is not listed here is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from tagline.engines.transpile import aggregates, casts, moments, numbers, texts
from tagline.engines.transpile.trees import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    MOMENTS,
    NULL,
    NUMBER,
    TEXT,
    Kind,
    NotOnSpark,
    Typed,
    binary,
    call,
    cast,
    closed,
    common,
    list_of,
    number,
    require,
    text,
)


class Place(Protocol):
    """Where an expression stands: what its names mean there."""

    def column(self, node: exp.Column) -> Typed:
        """A column, by its name and that of its table."""

    def subquery(self, node: exp.Expr) -> tuple[exp.Expr, Mapping[str, Kind]]:
        """A query inside the expression, with its columns."""

    def window(self, name: str) -> exp.Window:
        """The named window."""


_TWO: Mapping[type[exp.Expr], Callable[[Typed, Typed], Typed]] = {
    exp.Div: numbers.divided,
    exp.IntDiv: numbers.whole_divided,
    exp.Mod: numbers.remainder,
    exp.Pow: numbers.power,
    exp.BitwiseAnd: numbers.bits(exp.BitwiseAnd),
    exp.BitwiseOr: numbers.bits(exp.BitwiseOr),
    exp.ArrayContains: texts.list_contains,
}
_ONE: Mapping[type[exp.Expr], Callable[[Typed], Typed]] = {
    exp.Neg: numbers.negated,
    exp.Abs: numbers.absolute,
    exp.Floor: numbers.floor,
    exp.Ceil: numbers.ceiling,
    exp.Ln: numbers.logarithm("ln"),
    exp.Exp: numbers.of_double("exp"),
    exp.Sqrt: numbers.of_double("sqrt"),
    exp.Sign: numbers.sign,
    exp.Trim: texts.trimmed,
    exp.Length: texts.length,
    exp.MD5: texts.md5,
    exp.TimeToUnix: moments.epoch,
}
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_PARTS: Mapping[type[exp.Expr], str] = {
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Day: "DAY",
    exp.Month: "MONTH",
    exp.Quarter: "QUARTER",
    exp.Year: "YEAR",
    exp.DayOfWeekIso: "ISODOW",
}
_AGGREGATES: Mapping[type[exp.Expr], Callable[[Typed, exp.Expr | None], Typed]] = {
    exp.Avg: aggregates.mean,
    exp.Median: aggregates.median,
    exp.Min: lambda value, where: aggregates.extreme("min", value, where),
    exp.Max: lambda value, where: aggregates.extreme("max", value, where),
    exp.LogicalOr: lambda value, where: aggregates.either_of("bool_or", value, where),
    exp.LogicalAnd: lambda value, where: aggregates.either_of("bool_and", value, where),
    exp.Stddev: lambda value, where: aggregates.spread("stddev_samp", value, where),
    exp.StddevSamp: lambda value, where: aggregates.spread("stddev_samp", value, where),
    exp.StddevPop: lambda value, where: aggregates.spread("stddev_pop", value, where),
    exp.BitwiseOrAgg: lambda value, where: aggregates.bits("bit_or", value, where),
    exp.BitwiseAndAgg: lambda value, where: aggregates.bits("bit_and", value, where),
    exp.BitwiseXorAgg: lambda value, where: aggregates.bits("bit_xor", value, where),
}
_RANKING: Mapping[type[exp.Expr], str] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
}


@dataclass(frozen=True)
class Expressions:
    """Turns expressions at one place into Spark's."""

    place: Place

    def value(self, node: exp.Expr) -> Typed:
        """An expression; NotOnSpark where its meaning cannot be kept."""
        kind = type(node)
        if isinstance(node, exp.Paren):
            inner = self.value(node.this)
            return Typed(closed(inner.tree), inner.kind)
        if isinstance(node, exp.Column):
            return self.place.column(node)
        if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
            return _constant(node)
        if kind in (exp.Add, exp.Sub, exp.Mul) and isinstance(node, exp.Binary):
            return self._arithmetic(node)
        if kind in _TWO:
            return _TWO[kind](self.value(node.this), self.value(node.args["expression"]))
        if kind in _ONE and not node.args.get("expression"):
            return _ONE[kind](self.value(node.this))
        if kind in _PARTS:
            return moments.part(self.value(node.this), _PARTS[kind])
        if isinstance(node, exp.Cast):
            safe = isinstance(node, exp.TryCast)
            return casts.to_type(self.value(node.this), node.to, safe=safe)
        if isinstance(node, exp.Window):
            return self._window(node)
        if isinstance(node, exp.Filter):
            return self._aggregate(node.this, self._boolean(node.expression.this))
        if isinstance(node, exp.AggFunc | exp.IgnoreNulls):
            return self._aggregate(node, None)
        return self._condition(node)

    def _condition(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.And | exp.Or):
            both = self._boolean(node.left), self._boolean(node.right)
            return Typed(binary(type(node), *both), BOOLEAN)
        if isinstance(node, exp.Not):
            return Typed(exp.Not(this=closed(self._boolean(node.this))), BOOLEAN)
        if isinstance(node, _COMPARED):
            left, right = self._alike([node.this, node.expression], "a comparison")
            if isinstance(node, exp.NullSafeNEQ):
                same = binary(exp.NullSafeEQ, left.tree, right.tree)
                return Typed(exp.Not(this=exp.Paren(this=same)), BOOLEAN)
            return Typed(binary(type(node), left.tree, right.tree), BOOLEAN)
        if isinstance(node, exp.Is):
            tested = closed(self.value(node.this).tree)
            if not isinstance(node.expression, exp.Null | exp.Boolean):
                raise _refused(node)
            return Typed(exp.Is(this=tested, expression=node.expression.copy()), BOOLEAN)
        if isinstance(node, exp.Between):
            low, high = node.args["low"], node.args["high"]
            found = self._alike([node.this, low, high], "between")
            first, least, most = (closed(each.tree) for each in found)
            return Typed(exp.Between(this=first, low=least, high=most), BOOLEAN)
        if isinstance(node, exp.In):
            return self._in(node)
        if isinstance(node, exp.Exists):
            inner, _ = self.place.subquery(node.this)
            return Typed(exp.Exists(this=inner), BOOLEAN)
        if isinstance(node, exp.Like | exp.ILike):
            value, pattern = self.value(node.this), self.value(node.expression)
            return texts.matches(value, pattern, any_case=isinstance(node, exp.ILike))
        return self._choice(node)

    def _choice(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.Case):
            return self._case(node)
        if isinstance(node, exp.If):
            branches = [node.args["true"], node.args.get("false") or exp.null()]
            yes, no = self._alike(branches, "if()")
            kind = common((yes, no), "if()")
            return Typed(call("if", self._boolean(node.this), yes.tree, no.tree), kind)
        if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
            name = type(node).__name__.lower()
            found = self._alike([node.this, *node.expressions], f"{name}()")
            kind = common(found, f"{name}()")
            if kind.name == "list" and name != "coalesce":
                raise NotOnSpark(f"{name}() of lists")
            trees = [each.tree for each in found]
            return Typed(call(name, *trees) if len(trees) > 1 else trees[0], kind)
        if isinstance(node, exp.Nullif):
            value, other = self._alike([node.this, node.expression], "nullif()")
            return Typed(call("nullif", value.tree, other.tree), value.kind)
        if isinstance(node, exp.Round):
            return numbers.rounded(self.value(node.this), node.args.get("decimals"))
        if isinstance(node, exp.Log):
            return self._logarithm(node)
        if isinstance(node, exp.Array):
            found = self._alike(node.expressions, "a list")
            return Typed(call("array", *(e.tree for e in found)), list_of(common(found, "a list")))
        if isinstance(node, exp.ArrayConcat):
            lists = self._alike([node.this, *node.expressions], "list_concat()")
            return texts.list_concat(lists, common(lists, "list_concat()"))
        if isinstance(node, exp.Bracket):
            return self._item(node)
        if isinstance(node, exp.Subquery | exp.Query):
            inner, columns = self.place.subquery(node)
            return Typed(exp.Subquery(this=inner), next(iter(columns.values())))
        return self._of_text(node)

    def _of_text(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.DPipe):
            return texts.joined(
                [self.value(node.this), self.value(node.expression)], skip_null=False
            )
        if isinstance(node, exp.Concat):
            return texts.joined([self.value(each) for each in node.expressions], skip_null=True)
        if isinstance(node, exp.Upper | exp.Lower):
            return texts.case_changed(self.value(node.this), upper=isinstance(node, exp.Upper))
        if isinstance(node, exp.Substring):
            size = node.args.get("length")
            start = self.value(node.args["start"])
            return texts.substring(
                self.value(node.this), start, self.value(size) if size is not None else None
            )
        for kind, name in (
            (exp.Contains, "contains"),
            (exp.StartsWith, "startswith"),
            (exp.EndsWith, "endswith"),
        ):
            if isinstance(node, kind):
                return texts.contains(name, self.value(node.this), self.value(node.expression))
        if isinstance(node, exp.Replace):
            new = node.args.get("replacement") or text("")
            parts = (self.value(each) for each in (node.this, node.expression, new))
            return texts.replaced(*parts)
        return self._of_time(node)

    def _of_time(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.AtTimeZone):
            return self._at_zone(node.this, node.args["zone"])
        if isinstance(node, exp.UnixToTime):
            if not node.args.get("scale") or node.args["scale"].this != "6":
                raise _refused(node)
            return moments.from_microseconds(self.value(node.this))
        if isinstance(node, exp.DateDiff):
            later, earlier = self.value(node.this), self.value(node.expression)
            return moments.difference(later, earlier, _unit(node))
        if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
            return moments.truncated(self.value(node.this), _unit(node))
        if isinstance(node, exp.Extract):
            return moments.part(self.value(node.expression), node.this.name.upper())
        if isinstance(node, exp.Anonymous):
            return self._named(node)
        raise _refused(node)

    def _named(self, node: exp.Anonymous) -> Typed:
        name, given = str(node.this).lower(), node.expressions
        if name == "date_part" and len(given) == 2 and isinstance(given[0], exp.Literal):
            return moments.part(self.value(given[1]), given[0].this.upper())
        if name == "epoch_us" and len(given) == 1:
            return Typed(moments.microseconds(self.value(given[0])), INTEGER)
        if name == "timezone" and len(given) == 2:
            return self._at_zone(given[1], given[0])
        raise _refused(node)

    def _at_zone(self, value: exp.Expr, zone: exp.Expr) -> Typed:
        if not isinstance(zone, exp.Literal):
            raise NotOnSpark("a time zone that is not a text")
        return moments.at_zone(self.value(value), zone.this)

    def _arithmetic(self, node: exp.Binary) -> Typed:
        if isinstance(node.expression, exp.Interval):
            return moments.shifted(type(node), self.value(node.this), node.expression)
        left, right = self.value(node.this), self.value(node.expression)
        if left.kind is DATE and right.kind is INTEGER:
            return moments.days_moved(type(node), left, right)
        if left.kind is DATE and right.kind is DATE and isinstance(node, exp.Sub):
            return moments.days_between(left, right)
        return numbers.arithmetic(type(node), left, right)

    def _logarithm(self, node: exp.Log) -> Typed:
        base, value = node.this, node.expression
        if value is not None and not (isinstance(base, exp.Literal) and base.this == "10"):
            raise NotOnSpark("a logarithm of another base", "Write ln(x) / ln(base)")
        return numbers.logarithm("log10")(self.value(value if value is not None else base))

    def _item(self, node: exp.Bracket) -> Typed:
        held = self.value(node.this)
        index = node.expressions[0] if len(node.expressions) == 1 else None
        is_place = isinstance(index, exp.Literal) and index.is_int
        if held.kind.name != "list" or index is None or not is_place:
            raise _refused(node)
        return Typed(call("get", held.tree, number(int(index.this))), held.kind.items[0])

    def _case(self, node: exp.Case) -> Typed:
        ifs, default = node.args["ifs"], node.args.get("default")
        results = self._alike(
            [*(each.args["true"] for each in ifs), *([default] if default else [])], "case"
        )
        whens: list[exp.Expr] = []
        subject = None
        if node.this is not None:
            found = self._alike([node.this, *(each.this for each in ifs)], "case")
            subject, whens = found[0].tree, [each.tree for each in found[1:]]
        else:
            whens = [self._boolean(each.this) for each in ifs]
        made = [
            exp.If(this=when, true=result.tree)
            for when, result in zip(whens, results, strict=False)
        ]
        otherwise = results[-1].tree if default else None
        return Typed(exp.Case(this=subject, ifs=made, default=otherwise), common(results, "case"))

    def _in(self, node: exp.In) -> Typed:
        query = node.args.get("query")
        if query is not None:
            if not _is_filter(node):  # elsewhere Spark says false where it is unknown
                raise NotOnSpark("in (select …) outside of where", "Write exists (select …)")
            inner, columns = self.place.subquery(query)
            value = self.value(node.this)
            common((value, Typed(exp.null(), next(iter(columns.values())))), "in")
            subquery = exp.Subquery(this=inner)
            return Typed(exp.In(this=closed(value.tree), query=subquery), BOOLEAN)
        if not node.expressions:
            raise _refused(node)
        found = self._alike([node.this, *node.expressions], "in")
        options = [each.tree for each in found[1:]]
        return Typed(exp.In(this=closed(found[0].tree), expressions=options), BOOLEAN)

    def _aggregate(self, node: exp.Expr, where: exp.Expr | None) -> Typed:
        if isinstance(node, exp.IgnoreNulls):
            if not isinstance(node.this, exp.ArgMax | exp.ArgMin):
                raise _refused(node)
            return self._aggregate(node.this, where)
        if isinstance(node, exp.Count):
            return self._count(node, where)
        if isinstance(node, exp.ArgMax | exp.ArgMin):
            return self._first_by(node, where)
        if isinstance(node, exp.ArrayAgg):
            return self._list(node, where)
        if isinstance(node, exp.PercentileCont | exp.PercentileDisc):
            between = isinstance(node, exp.PercentileCont)
            value = self.value(node.this)
            return aggregates.quantile(value, node.expression, where, between=between)
        distinct = isinstance(node.this, exp.Distinct)
        if isinstance(node, exp.Sum):
            inner = node.this.expressions[0] if distinct else node.this
            return aggregates.total(self.value(inner), where, distinct=distinct)
        kind = type(node)
        if kind not in _AGGREGATES or distinct or node.args.get("count"):
            raise _refused(node)
        return _AGGREGATES[kind](self.value(node.this), where)

    def _count(self, node: exp.Count, where: exp.Expr | None) -> Typed:
        what = node.this
        if what is None or isinstance(what, exp.Star):
            return aggregates.count(None, where, distinct=False)
        if not isinstance(what, exp.Distinct):
            return aggregates.count(self.value(what), where, distinct=False)
        if len(what.expressions) != 1:
            raise _refused(node)
        return aggregates.count(self.value(what.expressions[0]), where, distinct=True)

    def _first_by(self, node: exp.ArgMax | exp.ArgMin, where: exp.Expr | None) -> Typed:
        name = "arg_max" if isinstance(node, exp.ArgMax) else "arg_min"
        order = node.expression
        if node.args.get("count") or isinstance(node.this, exp.Distinct):
            raise _refused(node)
        is_row = isinstance(order, exp.Anonymous) and str(order.this).lower() == "row"
        given = order.expressions if is_row else [order]
        fields = [self.value(each) for each in given]
        return aggregates.first_by(name, self.value(node.this), fields, where, is_row=is_row)

    def _list(self, node: exp.ArrayAgg, where: exp.Expr | None) -> Typed:
        inner = node.this
        if not isinstance(inner, exp.Order):
            raise NotOnSpark("list() without an order", "Write list(x ORDER BY y)")
        order = [
            (self.value(each.this), bool(each.args.get("desc")), bool(each.args.get("nulls_first")))
            for each in inner.expressions
        ]
        return aggregates.collected(self.value(inner.this), order, where)

    def _window(self, node: exp.Window) -> Typed:
        function, spec = node.this, node
        if node.args.get("alias") is not None:
            spec = self.place.window(node.args["alias"].name)
        where = None
        if isinstance(function, exp.Filter):
            where, function = self._boolean(function.expression.this), function.this
        if type(function) in _RANKING:
            made = Typed(cast(self._over(call(_RANKING[type(function)]), spec), "BIGINT"), INTEGER)
        elif isinstance(function, exp.Lag | exp.Lead):
            name = type(function).__name__.lower()
            if function.args.get("default") is not None:
                raise _refused(node)
            value, offset = self.value(function.this), function.args.get("offset")
            steps = self.value(offset).tree if offset is not None else number(1)
            made = Typed(self._over(call(name, value.tree, steps), spec), value.kind)
        elif isinstance(function, exp.Sum | exp.Count | exp.Min | exp.Max | exp.Avg):
            inner = self._aggregate(function, where)
            made = Typed(self._over(inner.tree, spec), inner.kind)
        else:
            raise _refused(function)
        return made

    def _over(self, function: exp.Expr, spec: exp.Window) -> exp.Expr:
        order = spec.args.get("order")
        frame = spec.args.get("spec")
        return exp.Window(
            this=function,
            partition_by=[self.value(each).tree for each in spec.args.get("partition_by") or ()],
            order=self.ordered(order) if order is not None else None,
            spec=frame.copy() if frame is not None else None,
            over="OVER",
        )

    def ordered(self, order: exp.Order) -> exp.Order:
        """ORDER BY, with the place of nulls said."""
        made = []
        for each in order.expressions:
            tree = self.value(each.this).tree
            desc = bool(each.args.get("desc"))
            first = bool(each.args.get("nulls_first"))
            made.append(exp.Ordered(this=tree, desc=desc, nulls_first=first))
        return exp.Order(expressions=made)

    def _boolean(self, node: exp.Expr) -> exp.Expr:
        return require(self.value(node), (BOOLEAN,), "a condition").tree

    def _alike(self, nodes: list[exp.Expr], what: str) -> list[Typed]:
        """Values that meet: of one kind, where a literal text takes the kind of a date."""
        found = [self.value(node) for node in nodes]
        moment = next((each.kind for each in found if each.kind in MOMENTS), None)
        if moment is not None:
            found = [_as_moment(each, moment) for each in found]
        common(found, what)
        return found


def _is_filter(node: exp.Expr) -> bool:
    """Whether a condition, or its opposite, is one of those that all must hold in a WHERE."""
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.Not):
        parent = parent.parent
    while isinstance(parent, exp.And | exp.Paren):
        parent = parent.parent
    return isinstance(parent, exp.Where) and not isinstance(parent.parent, exp.Filter)


def _as_moment(value: Typed, kind: Kind) -> Typed:
    if value.kind is not TEXT or not isinstance(value.tree, exp.Literal):
        return value
    to = {"date": "DATE", "local": "TIMESTAMP", "instant": "TIMESTAMPTZ"}[kind.name]
    return casts.to_type(value, exp.DataType.from_str(to, dialect="duckdb"), safe=False)


def _constant(node: exp.Expr) -> Typed:
    if isinstance(node, exp.Boolean):
        return Typed(node.copy(), BOOLEAN)
    if isinstance(node, exp.Null):
        return Typed(exp.null(), NULL)
    if node.is_string:
        return Typed(node.copy(), TEXT)
    if node.is_int:
        return Typed(node.copy(), INTEGER)
    if "e" in node.name.lower():
        return Typed(cast(exp.Literal.string(node.name), "DOUBLE"), NUMBER)
    return Typed(node.copy(), DECIMAL)


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return unit.name.upper() if isinstance(unit, exp.Expr) else "DAY"


def _refused(node: exp.Expr) -> NotOnSpark:
    shown = node.sql(dialect="duckdb", comments=False)
    return NotOnSpark(shown if len(shown) <= 80 else shown[:77] + "...")
