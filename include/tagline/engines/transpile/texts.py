"""Functions of text with DuckDB's meaning, in Spark SQL.

DuckDB changes the case of each character by itself (Spark: of the whole text, so that ß becomes
SS), trims all of Unicode's spaces, and counts substrings from either end.
"""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from tagline.engines.transpile.trees import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    LOCAL,
    NULL,
    NUMERIC,
    TEXT,
    Kind,
    NotOnSpark,
    Typed,
    binary,
    bound,
    call,
    cast,
    closed,
    either,
    list_of,
    number,
    require,
    text,
)

_SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))


def to_text(value: Typed) -> exp.Expr:
    """A value as text, written alike on both engines."""
    if value.kind in (TEXT, NULL, BOOLEAN, INTEGER, DECIMAL, LOCAL):
        return cast(value.tree, "STRING")
    if value.kind is DATE:
        return call("ltrim", text("+"), cast(value.tree, "STRING"))
    raise NotOnSpark(
        f"the text of a {value.kind.name}", "Cast a number to decimal(18, 2) or bigint first"
    )


def joined(values: list[Typed], *, skip_null: bool) -> Typed:
    """concat(), which leaves nulls out, or `||`, which does not."""
    parts = [to_text(value) for value in values]
    if skip_null:
        parts = [call("coalesce", part, text("")) for part in parts]
    return Typed(call("concat", *parts), TEXT)


def case_changed(value: Typed, *, upper: bool) -> Typed:
    """upper() or lower(), character by character."""
    require(value, (TEXT,), "a change of case")
    special, plain = _own_case(upper)
    name = "upper" if upper else "lower"

    def body(value: exp.Expr) -> exp.Expr:
        character = exp.column(exp.to_identifier("c"))
        translated = call("translate", character, text(special), text(plain))
        one = either(
            (binary(exp.NEQ, translated, character), translated),
            (binary(exp.GT, call("instr", text(special), character), number(0)), character),
            otherwise=call(name, character),
        )
        each = exp.Lambda(this=one, expressions=[exp.to_identifier("c")])
        single = call(
            "array_join", call("transform", call("split", value, text("")), each), text("")
        )
        has_special = call("rlike", value, text(f"[{special}]"))
        return either((has_special, single), otherwise=call(name, value))

    return Typed(bound(value.tree, body), TEXT)


@lru_cache(maxsize=2)
def _own_case(upper: bool) -> tuple[str, str]:
    """Characters whose case is not one character, or depends on others, as DuckDB changes them."""
    import duckdb

    def several(character: str) -> bool:
        return len(character.upper() if upper else character.lower()) > 1

    found = [chr(point) for point in range(128, 0x1E000) if several(chr(point))]
    found += [] if upper else ["\u03a3"]
    special = "".join(found)
    with duckdb.connect() as connection:
        sql = f"SELECT {'upper' if upper else 'lower'}($1)"
        row = connection.execute(sql, [special]).fetchall()[0]
    return special, str(row[0])


def trimmed(value: Typed) -> Typed:
    """trim(x): without Unicode's spaces at both ends."""
    require(value, (TEXT,), "trim()")
    return Typed(call("btrim", value.tree, text(_SPACES)), TEXT)


def length(value: Typed) -> Typed:
    """The number of a text's characters or of a list's items."""
    if value.kind.name == "list":
        return Typed(cast(call("size", value.tree), "BIGINT"), INTEGER)
    require(value, (TEXT,), "length()")
    return Typed(cast(call("char_length", value.tree), "BIGINT"), INTEGER)


def substring(value: Typed, start: Typed, size: Typed | None) -> Typed:
    """substr(x, start[, size]): a negative start counts from the end, a negative size goes back."""
    require(value, (TEXT,), "substr()")
    for place in (start, size):
        if place is not None:
            require(place, (INTEGER,), "a place in a text")
    if _is_plain(start, 1) and (size is None or _is_plain(size, 0)):
        sizes = [size.tree] if size is not None else []
        return Typed(call("substring", value.tree, start.tree, *sizes), TEXT)

    def body(value: exp.Expr) -> exp.Expr:
        count = cast(call("char_length", value), "BIGINT")
        at = cast(start.tree, "BIGINT")
        first = call(
            "if",
            binary(exp.LT, at, number(0)),
            binary(exp.Add, count, at),
            binary(exp.Sub, at, number(1)),
        )
        size_of = cast(size.tree, "BIGINT") if size is not None else None
        last = count if size_of is None else binary(exp.Add, first, size_of)
        low, high = call("least", first, last), call("greatest", first, last)
        low = call("greatest", low, number(0))
        high = call("least", call("greatest", high, number(0)), count)
        taken = call("greatest", binary(exp.Sub, high, low), number(0))
        place = call("least", binary(exp.Add, low, number(1)), binary(exp.Add, count, number(1)))
        made = call("substring", value, cast(place, "INT"), cast(taken, "INT"))
        parts = [value, start.tree] + ([size.tree] if size is not None else [])
        known = [exp.Not(this=exp.Is(this=closed(part), expression=exp.null())) for part in parts]
        return either((exp.and_(*known), made))

    return Typed(bound(value.tree, body), TEXT)


def matches(value: Typed, pattern: Typed, *, any_case: bool) -> Typed:
    """LIKE or ILIKE, where a backslash stands for itself."""
    require(value, (TEXT,), "like")
    require(pattern, (TEXT,), "like")
    if isinstance(pattern.tree, exp.Literal):
        escaped: exp.Expr = text(pattern.tree.this.replace("\\", "\\\\"))
    else:
        escaped = call("replace", pattern.tree, text("\\"), text("\\\\"))
    if any_case:
        left = case_changed(value, upper=False).tree
        escaped = case_changed(Typed(escaped, TEXT), upper=False).tree
    else:
        left = value.tree
    return Typed(binary(exp.Like, left, escaped), BOOLEAN)


def contains(name: str, value: Typed, part: Typed) -> Typed:
    """contains(), starts_with() or ends_with()."""
    require(value, (TEXT,), f"{name}()")
    require(part, (TEXT,), f"{name}()")
    return Typed(call(name, value.tree, part.tree), BOOLEAN)


def replaced(value: Typed, old: Typed, new: Typed) -> Typed:
    """replace(x, old, new)."""
    for each in (value, old, new):
        require(each, (TEXT,), "replace()")
    return Typed(call("replace", value.tree, old.tree, new.tree), TEXT)


def list_contains(value: Typed, item: Typed) -> Typed:
    """list_contains(): false where the item is not found, also in a list with nulls."""
    if value.kind.name not in ("list", "null"):
        raise NotOnSpark(f"list_contains() of a {value.kind.name}")
    require(item, (*NUMERIC, TEXT, DATE), "list_contains()")
    known = [
        exp.Not(this=exp.Is(this=closed(part.tree), expression=exp.null()))
        for part in (value, item)
    ]
    found = call("coalesce", call("array_contains", value.tree, item.tree), exp.false())
    return Typed(either((exp.and_(*known), found)), BOOLEAN)


def list_concat(values: list[Typed], kind: Kind) -> Typed:
    """list_concat(): lists of texts behind each other; a null list counts as an empty one."""
    if kind != list_of(TEXT):
        raise NotOnSpark(f"list_concat() of a {kind.name}")
    nothing = cast(call("array"), "ARRAY<STRING>")
    parts = [call("coalesce", value.tree, nothing.copy()) for value in values]
    known = [
        exp.Not(this=exp.Is(this=closed(value.tree), expression=exp.null())) for value in values
    ]
    return Typed(either((exp.or_(*known), call("concat", *parts))), kind)


def md5(value: Typed) -> Typed:
    """md5(x) in lower-case hexadecimal digits, of the text in UTF-8."""
    require(value, (TEXT,), "md5()")
    return Typed(call("md5", value.tree), TEXT)


def _is_plain(place: Typed, least: int) -> bool:
    tree = place.tree
    return isinstance(tree, exp.Literal) and tree.is_int and int(tree.this) >= least
