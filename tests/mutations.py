"""Broken and malicious variants of expressions, from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

TOKEN = re.compile(
    r"\s+|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\d+(?:\.\d+)?(?:[eE]\d+)?|\w+|<>|<=|>=|\|\||//|::|->|.",
    re.DOTALL,
)


def _words(text: str) -> list[str]:
    return text.split()


FOREIGN = _words("""
    select from where orders customers group by having limit 1 offset union all except intersect
    values with recursive as materialized order asc desc nulls first distinct on over partition
    window rows range filter within qualify sample using join left lateral cross natural
    insert update delete drop table create attach detach copy to install load pragma set reset call
    export import explain describe show begin commit prepare execute vacuum checkpoint use
    columns * exclude replace rename unnest lambda x y : -> => := ? $1 $name @ # % ^ & | ~ ! \\
    { } [ ] ( ) , ; . .. ... -- /* */ // :: ' " ` $$ collate nocase at time zone interval day
    array map struct list row any all some exists in not between like ilike glob similar escape
    is null true false unknown case when then else end if cast try_cast extract position overlay
    and or xor date timestamp timestamptz varchar text json blob bit uuid bigint hugeint double
    decimal decimal(38,6) varchar[] integer[] int boolean real
    0 1 -1 007 1.5 .5 5. 1e5 1e999 -1e999 1_000 0x10 0b1 9223372036854775807 9223372036854775808
    170141183460469231731687303715884105728 99999999999999999999999999999999999999999999
    0.1000000000000000055511151231257827 nan inf infinity 'NaN' 'a' '' '''' 'a''b' '2017-01-01'
    '2017-02-30' '2017-01-01 10:00' 'now' 'today' 'epoch' e'\\n' U&'\\0041' x'41' b'1' N'a' $$a$$
    $tag$a$tag$ "amount" "select" "a b" "" "as_of" orders.amount main.orders.amount as_of AS_OF
    rowid ctid _source loaded_at valid_at customer_bucket
    status＝1 ａｍｏｕｎｔ аmount amоunt ﬁ 金额 😀 ‘a’ “a” −1
""")
FOREIGN += ["\u200b", "\ufeff", "\u00a0", "\u2028", "\x00", "\x1a", "\u202e", "\n", "\t", "a\\"]
CALLS = _words("""
    read_csv read_csv_auto read_parquet parquet_scan read_json read_text read_blob glob getenv
    current_setting set_config query query_table sniff_csv duckdb_settings duckdb_secrets
    pragma_version which_secret nextval currval pg_sleep sleep now today current_date
    get_current_timestamp random setseed uuid gen_random_uuid txid_current version current_user
    current_database current_schema session_user getvariable error list_transform list_filter
    list_reduce list_aggregate apply reduce map_from_entries json_execute_serialized_sql
    json_serialize_sql parse_path write_log checkpoint force_checkpoint system load_extension
    regexp_matches regexp_replace regexp_extract printf format strftime strptime epoch make_date
    to_days to_timestamp age hash md5 sha256 row_number rank lag lead first last any_value mode
    list array_agg string_agg group_concat histogram approx_count_distinct approx_quantile entropy
    bool_or bool_and arg_min arg_max min max sum avg count median stddev stddev_samp stddev_pop
    quantile_cont quantile_disc abs round floor ceil ceiling ln log log2 log10 exp sqrt power pow
    sign lower upper trim ltrim rtrim length len strlen substr substring left right replace
    starts_with ends_with prefix suffix contains list_contains array_contains nullif ifnull
    coalesce greatest least concat concat_ws if iff cast try_cast date_diff datediff date_part
    date_trunc extract hour day month quarter year isodow dayofweek dow week doy standard previous
    top enum_range typeof alias can_cast_implicitly in_search_path add_parquet_key rowid
    generate_series range unnest repeat_row struct_pack row try variant_extract
""")
WRAPS = (
    "({0})", "not ({0})", "-({0})", "- -{0}", "({0}) is null", "({0}) is true", "cast({0} as text)",
    "cast({0} as integer)", "cast({0} as date)", "cast({0} as timestamp)", "cast({0} as boolean)",
    "cast({0} as double)", "try_cast({0} as bigint)", "cast({0} as json)", "{0}::text",
    "{0}::varchar[]", "({0})[1]", "({0})[1:2]", "({0}).a", "[{0}]", "{{'a': {0}}}", "({0}, 1)",
    "(select {0})", "exists (select {0})", "{0} in (select 1)", "{0} in (1, 2)", "{0} in ()",
    "{0} = any([1])", "case {0} when 1 then 2 end", "case when {0} then 1 else 2 end",
    "case when true then {0} end", "if({0}, 1, 2)", "coalesce({0}, null)", "coalesce({0})",
    "nullif({0}, 'a')", "nullif({0}, 1)", "greatest({0}, 1)", "least({0}, {0})", "concat({0}, 1)",
    "concat({0})", "({0}) || 'a'", "({0}) + 1", "({0}) / 0", "({0}) // 2", "({0}) % 0",
    "({0}) ** 2", "({0}) ^ 2", "({0}) > '2017-01-01'", "({0}) between 1 and 2", "({0}) like '%a'",
    "({0}) like 'a' escape '!'", "({0}) ilike any (['a'])", "({0}) collate nocase",
    "({0}) at time zone 'UTC'", "({0}) over ()", "({0}) filter (where true)", "sum({0})",
    "sum(distinct {0})", "sum({0} order by 1)", "count({0})", "count(distinct {0})",
    "count(distinct {0}, 1)", "count({0}) filter (where random() < 1)", "max({0}, 2)",
    "min({0})", "median({0})", "arg_max({0}, {0})", "quantile_cont({0}, 0.5)",
    "quantile_cont({0}, {0})", "quantile_cont({0}, 2)", "quantile_cont({0}, -0.5)",
    "quantile_cont({0}, 0.5 order by 1)", "percentile_cont(0.5) within group (order by {0})",
    "bool_or({0})", "round({0}, 2)", "round({0}, {0})", "round({0}, 0.5)", "log({0})",
    "log(2, {0})", "log10({0}, 2)", "substr({0}, 1)", "substr({0}, 1, 2)", "substr({0}, 0.5)",
    "substring({0} from 1 for 2)", "trim(both 'a' from {0})", "trim({0}, 'a')", "replace({0}, 'a')",
    "length({0})", "list_contains({0}, 'a')", "contains({0}, 'a')", "contains(['a'], {0})",
    "date_diff('day', {0}, as_of)", "date_diff({0}, as_of, as_of)", "date_diff('eon', {0}, as_of)",
    "date_diff('day', {0}, '2017-01-01')", "date_part('epoch', {0})", "date_part({0}, as_of)",
    "date_part('hour', {0})", "date_part(['hour'], as_of)", "date_trunc('hour', {0})",
    "date_trunc('day', {0})", "date_trunc({0}, as_of)", "extract(hour from {0})",
    "extract(epoch from {0})", "hour({0})", "isodow({0})", "{0} + interval 1 day",
    "{0} - interval '1 day'", "interval ({0}) day", "date '2017-01-01' + {0}",
    "as_of - {0}", "list_transform([1], x -> {0})", "[x for x in [{0}]]", "standard({0})",
    "standard('{0}')", "struct_pack(a := {0})", "columns('.*') + {0}", "*, {0}", "{0}, 1",
    "{0} as x", "{0} from orders", "{0} union select 1", "{0}; drop table orders", "{0};",
    "{0} -- comment", "/* {0}", "{0} /* */", "{0} order by 1", "{0} limit 1", "{0} where true",
    "{0} into x", "distinct {0}", "all {0}", "top(1) {0}", "top({0})", "top({0}, 3)",
    "top(sum(amount), {0})", "$${0}$$", "'{0}'", '"{0}"', "`{0}`", "{0} {0}", "x'{0}'",
    "row({0})", "map {{'a': {0}}}", "{0} is distinct from 1", "{0} is not distinct from null",
    "{0} == {0}", "{0} != {0}", "{0} <=> 1", "{0} is of (text)", "{0} isnull", "{0} notnull",
    "{0} between symmetric 1 and 2", "{0} similar to 'a'", "{0} glob 'a'", "{0} ~ 'a'", "!{0}",
    "~{0}", "@{0}", "{0} & 1", "{0} << 1", "{0} xor true", "?", "$1", ":a", "@a", "{{0}}",
    "explain {0}", "pragma {0}", "set x = {0}", "(values ({0}))", "(table orders)", "(from orders)",
    "unnest([{0}])", "sum({0}) over (order by 1)", "lag({0}) over ()", "sum({0}) ignore nulls",
    "first({0} ignore nulls)", "max({0} ignore nulls)", "arg_max({0}, 1 order by 2)",
)  # fmt: skip


class Mutator:
    """Makes variants of expressions out of each other's parts, and of what has no place there."""

    def __init__(self, expressions: Sequence[str], names: Sequence[str], seed: str) -> None:
        self.chance = random.Random(seed)
        self.expressions = list(expressions)
        self.names = list(names)
        self.own: list[str] = [token for text in expressions for token in TOKEN.findall(text)]
        self.spans = [span for text in expressions for span in self._spans(TOKEN.findall(text))]

    def mutant(self) -> str:
        """A variant of one of the expressions, mutated once to four times."""
        text = self.chance.choice(self.expressions)
        for _ in range(self.chance.choice((1, 1, 1, 1, 1, 2, 2, 3))):
            change = self.chance.choices(self._CHANGES, self._WEIGHTS)[0]
            text = str(change(self, text))
        return text

    def _spans(self, tokens: Sequence[str]) -> list[str]:
        """Calls and parts in brackets, whole."""
        found, opened = [], []
        for index, token in enumerate(tokens):
            if token == "(":
                called = index > 0 and tokens[index - 1].isidentifier()
                opened.append(index - 1 if called else index)
            elif token == ")" and opened:
                found.append("".join(tokens[opened.pop() : index + 1]))
        return found

    def _any(self) -> str:
        chance = self.chance
        kind = chance.random()
        if kind < 0.35:
            return chance.choice(self.own)
        if kind < 0.6:
            return chance.choice(self.names)
        if kind < 0.78 and self.spans:
            return chance.choice(self.spans)
        if kind < 0.86:
            return f"{chance.choice(CALLS)}({chance.choice(self.names)})"
        return chance.choice(FOREIGN)

    def _places(self, tokens: Sequence[str]) -> list[int]:
        return [index for index, token in enumerate(tokens) if not token.isspace()] or [0]

    def swapped(self, text: str) -> str:
        tokens = TOKEN.findall(text) or [""]
        tokens[self.chance.choice(self._places(tokens))] = self._any()
        return "".join(tokens)

    def renamed(self, text: str) -> str:
        """Another name or function in the place of one."""
        tokens = TOKEN.findall(text) or [""]
        words = [index for index, token in enumerate(tokens) if token.isidentifier()]
        if words:
            pool = self.names if self.chance.random() < 0.6 else CALLS
            tokens[self.chance.choice(words)] = self.chance.choice(pool)
        return "".join(tokens)

    def inserted(self, text: str) -> str:
        tokens = TOKEN.findall(text)
        tokens.insert(self.chance.randrange(len(tokens) + 1), f" {self._any()} ")
        return "".join(tokens)

    def deleted(self, text: str) -> str:
        tokens = TOKEN.findall(text) or [""]
        del tokens[self.chance.choice(self._places(tokens))]
        return "".join(tokens)

    def doubled(self, text: str) -> str:
        tokens = TOKEN.findall(text)
        start = self.chance.randrange(len(tokens) + 1)
        end = self.chance.randrange(start, len(tokens) + 1)
        return "".join([*tokens[:end], *tokens[start:end], *tokens[end:]])

    def wrapped(self, text: str) -> str:
        return self.chance.choice(WRAPS).replace("{0}", text)

    def part_wrapped(self, text: str) -> str:
        """A call, a part in brackets or a word of it, wrapped in something."""
        tokens = TOKEN.findall(text)
        words = [token for token in tokens if re.match(r"[\w']", token)]
        parts = [*self._spans(tokens), *words]
        if not parts:
            return self.wrapped(text)
        part = self.chance.choice(parts)
        return text.replace(part, self.chance.choice(WRAPS).replace("{0}", part), 1)

    def called(self, text: str) -> str:
        """A function called with it, and with others."""
        others = [self._any() for _ in range(self.chance.choice((0, 0, 0, 1, 1, 2)))]
        given = [text, *others]
        self.chance.shuffle(given)
        return f"{self.chance.choice(CALLS)}({', '.join(given)})"

    def joined(self, text: str) -> str:
        other = self.chance.choice(self.expressions)
        operator = self.chance.choice(_words("and or + - * / = <> < || , ; union . :: in is"))
        return f"{text} {operator} {other}"

    def scratched(self, text: str) -> str:
        """A character changed."""
        place = self.chance.randrange(len(text) + 1)
        new = chr(self.chance.choice((*range(256), 0x2019, 0x4E00, 0x1F600, 0xFF08, 0xFEFF)))
        return text[:place] + new + text[place + self.chance.randrange(2) :]

    def nested(self, text: str) -> str:
        """Nested or repeated, sometimes far too deep."""
        depth = self.chance.choice((2, 10, 30, 70, 300, 1500))
        left, right = self.chance.choice(
            (("(", ")"), ("not ", ""), ("- ", ""), ("abs(", ")"), ("coalesce(", ", 1)"),
             ("case when true then ", " end"), ("cast(", " as text)"), ("", " + 1"),
             ("", " and true"), ("[", "]"), ("if(true, ", ", 1)"), ("", "::text"), ("", "[1]"),
             ("", " is null"), ("(select ", ")"), ("/*", "*/"), ("{'a':", "}"), ("x -> ", ""))
        )  # fmt: skip
        return left * depth + text + right * depth

    _CHANGES = (
        swapped, renamed, inserted, deleted, doubled, wrapped, part_wrapped, called, joined,
        scratched, nested,
    )  # fmt: skip
    _WEIGHTS = (5, 10, 4, 3, 2, 5, 10, 3, 3, 2, 1)
