"""From the rows of `identity_evidence` to spans: what holds of which key, from when until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagline.definitions.identity import IdentityRules, Mention, SharedValue, Statement
from tagline.engines import identifier, literal
from tagline.identity.standing import FOREVER

SPAN_COLUMNS = ("what", "rule", "label", "shown", "key", "start", "end")


def live_sql(key: Sequence[str]) -> str:
    """The common table expressions `live` and `evidence`: stored rows that were not taken back.

    It reads `stored` and `entries`, a table's rows and its superseded versions. `ended_at` says
    when a row ended without a version of its key after it.
    """
    names = [*map(identifier, key), "valid_at", "loaded_at"]
    same = " AND ".join(f"e.{name} = s.{name}" for name in names)
    listed = ", ".join(names)
    return (
        "live AS (SELECT * FROM stored AS s WHERE NOT EXISTS (SELECT 1 FROM entries AS e "
        f"WHERE {same} AND e.until_at <= s.valid_at)), "
        f"ended AS (SELECT {listed}, min(until_at) AS ended_at FROM entries "
        f"WHERE until_at > valid_at GROUP BY ALL), "
        f"evidence AS (SELECT s.*, e.ended_at FROM live AS s LEFT JOIN ended AS e ON {same})"
    )


def spans_sql(rules: IdentityRules) -> str:
    """The end of a WITH clause and a SELECT of the spans that the rules read, as of `Span`.

    It reads `evidence`, as of `live_sql`, which goes before it with a comma. Instants are whole
    microseconds since 1970 (UTC).
    """
    selects = [*_ties(rules), *_traits(rules), *_apart(rules)]
    return f"{_held_sql(rules)} SELECT * FROM ({' UNION ALL '.join(selects)}) AS spans"


def crowded_sql(rules: IdentityRules, until: int = FOREVER) -> str:
    """Like `spans_sql`, of the values that prove nothing, with how many keys have held them.

    Columns: rule, shown, keys, moment. What is held from `until` on does not count.
    """
    selects = [
        f"SELECT {literal(rule.name)} AS rule, c.value AS shown, c.keys, c.moment FROM "
        f"({_crowded(rule.most_keys, _held_kind(rule), until)}) AS c"
        for rule in rules.rules
        if not isinstance(rule, Statement)
    ]
    empty = "SELECT '' AS rule, '' AS shown, 0 AS keys, 0 AS moment WHERE false"
    return f"{_held_sql(rules)} " + " UNION ALL ".join([*selects, empty])


def _held_kind(rule: SharedValue | Mention) -> str:
    """The kind of whose values only so many keys may hold one."""
    return rule.kind if isinstance(rule, SharedValue) else rule.of


def keys_sql(rules: IdentityRules, until: int) -> str:
    """A SELECT over `evidence` of how many keys have any that the rules read, from before an end.

    One row with one column, keys.
    """
    return (
        f"SELECT count(DISTINCT customer_key) AS keys FROM evidence WHERE kind IN ({_kinds(rules)})"
        f" AND epoch_us(valid_at) < {until}"
    )


def unknown_sql(rules: IdentityRules) -> str:
    """A SELECT over `evidence` of the kinds that the rules do not know: kind, rows."""
    return (
        f"SELECT kind, count(*) AS rows FROM evidence WHERE kind NOT IN ({_kinds(rules)}) "
        "GROUP BY kind ORDER BY kind"
    )


def _held_sql(rules: IdentityRules) -> str:
    """`mentions`: each instant at which a key named a value; `held`: in which spans it had it.

    Several systems may say the same: the value is held as long as one of them says so.
    """
    return (
        "versions AS (SELECT customer_key, kind, value, is_held, epoch_us(valid_at) AS moment, "
        f"least(coalesce(lead(epoch_us(valid_at)) OVER (PARTITION BY customer_key, system, kind, "
        f"value ORDER BY valid_at), {FOREVER}), coalesce(epoch_us(ended_at), {FOREVER})) AS until "
        f"FROM evidence WHERE kind IN ({_kinds(rules)})), "
        "mentions AS (SELECT DISTINCT customer_key, kind, value, moment FROM versions "
        "WHERE is_held), "
        "reached AS (SELECT *, max(until) OVER (PARTITION BY customer_key, kind, value "
        "ORDER BY moment, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before "
        "FROM versions WHERE is_held), "
        "numbered AS (SELECT *, count(*) FILTER (WHERE before IS NULL OR moment > before) OVER ("
        "PARTITION BY customer_key, kind, value ORDER BY moment, until ROWS UNBOUNDED PRECEDING) "
        "AS part FROM reached), "
        "held AS (SELECT customer_key, kind, value, min(moment) AS start, max(until) AS until "
        "FROM numbered GROUP BY customer_key, kind, value, part)"
    )


def _kinds(rules: IdentityRules) -> str:
    return ", ".join(literal(kind) for kind in sorted(rules.kinds))


def _crowded(most_keys: int, kind: str, until: int = FOREVER) -> str:
    """Values of a kind that more keys have held than may, with the instant of the one too many."""
    return (
        "SELECT value, list_sort(list(first))"
        f"[{most_keys + 1}] AS moment, count(*) AS keys FROM (SELECT value, customer_key, "
        f"min(start) AS first FROM held WHERE kind = {literal(kind)} AND start < {until} "
        "GROUP BY ALL) AS f "
        f"GROUP BY value HAVING count(*) > {most_keys}"
    )


def _ties(rules: IdentityRules) -> Iterator[str]:
    for number, rule in enumerate(rules.rules):
        if isinstance(rule, SharedValue):
            yield _shared(number, rule)
        elif isinstance(rule, Mention):
            yield _mentioned(number, rule)
        else:
            yield _stated(number, rule)


def _shared(number: int, rule: SharedValue) -> str:
    return (
        f"SELECT 'tie' AS what, {number} AS rule, h.value AS label, "
        f"{literal(rule.kind + ' ')} || h.value AS shown, h.customer_key AS key, h.start, "
        f'least(h.until, coalesce(c.moment, {FOREVER})) AS "end" FROM held AS h '
        f"LEFT JOIN ({_crowded(rule.most_keys, rule.kind)}) AS c ON c.value = h.value "
        f"WHERE h.kind = {literal(rule.kind)} AND h.start < coalesce(c.moment, {FOREVER}) "
        "AND h.value IN (SELECT value FROM held WHERE kind = "
        f"{literal(rule.kind)} GROUP BY value HAVING count(DISTINCT customer_key) > 1)"
    )


def _mentioned(number: int, rule: Mention) -> str:
    """Pairs of a key that mentions and one that holds, from the mention that makes them enough."""
    return _paired(
        number,
        "SELECT m.customer_key AS one, h.customer_key AS other, "
        f"{literal(rule.of + ' ')} || arg_min(m.value, row(m.moment, m.value)) AS shown, "
        f'list_sort(list(m.moment))[{rule.at_least}] AS start, {FOREVER} AS "end" '
        "FROM mentions AS m JOIN held AS h ON h.value = m.value AND h.start <= m.moment "
        "AND m.moment < h.until AND h.customer_key <> m.customer_key "
        f"LEFT JOIN ({_crowded(rule.most_keys, rule.of)}) AS c ON c.value = h.value "
        f"WHERE m.kind = {literal(rule.kind)} AND h.kind = {literal(rule.of)} "
        f"AND m.moment < coalesce(c.moment, {FOREVER}) GROUP BY ALL "
        f"HAVING count(*) >= {rule.at_least}",
    )


def _stated(number: int, rule: Statement) -> str:
    return _paired(
        number,
        "SELECT customer_key AS one, value AS other, "
        f'{literal(rule.kind + " ")} || value AS shown, start, until AS "end" '
        f"FROM held WHERE kind = {literal(rule.kind)} AND customer_key <> value",
    )


def _paired(number: int, pairs: str) -> str:
    """Ties of two keys each; their label names both, so that no other pair has it."""
    label = "p.one || chr(10) || p.other"
    return " UNION ALL ".join(
        f"SELECT 'tie' AS what, {number} AS rule, {label} AS label, p.shown, {side} AS key, "
        f'p.start, p."end" FROM ({pairs}) AS p'
        for side in ("p.one", "p.other")
    )


def _traits(rules: IdentityRules) -> list[str]:
    kinds: Sequence[tuple[str, str]] = [
        ("lead", rules.lead),
        *(("trait", kind) for kind in sorted({each.kind for each in rules.contradictions})),
    ]
    return [
        f"SELECT {literal(what)} AS what, 0 AS rule, kind AS label, value AS shown, "
        f'customer_key AS key, start, until AS "end" FROM held WHERE kind = {literal(kind)}'
        for what, kind in kinds
    ]


def _apart(rules: IdentityRules) -> list[str]:
    """Pairs of which a statement was taken back, until it is made again."""
    return [
        "SELECT 'apart' AS what, 0 AS rule, '' AS label, value AS shown, customer_key AS key, "
        f"until AS start, lead(start, 1, {FOREVER}) OVER (PARTITION BY customer_key, value "
        f'ORDER BY start) AS "end" FROM held WHERE kind = {literal(rule.kind)} '
        f"QUALIFY until < {FOREVER}"
        for rule in rules.rules
        if isinstance(rule, Statement)
    ]
