"""The reference of the tag language, docs/tags.md, made of the schema and the function table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tagline.catalog import Catalog
from tagline.definitions import DataType
from tagline.definitions.grading import STANDARD_PATTERN
from tagline.expressions.functions import (
    ANY,
    CLOCK_UNITS,
    DATE_PARTS,
    DATE_UNITS,
    FUNCTIONS,
    MOMENT,
    NUMERIC,
    SPECIAL,
    Function,
    Types,
)
from tagline.schemas import schema_of

_KINDS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {  # title, shape, tags shown
    "extraction": ("Extraction 抽取", "ExtractionTag", ("tenure_days",)),
    "statistic": ("Statistic 统计", "StatisticTag", ("order_amount_90d", "top_department")),
    "rank": ("Rank 分位", "RankTag", ("monetary_rank",)),
    "rule": ("Rule 规则", "RuleTag", ("is_dormant",)),
    "score": ("Score 得分", "ScoreTag", ()),
    "model": ("Model 算法", "ModelTag", ("lapse_probability",)),
    "manual": ("Manual 人工", "ManualTag", ()),
}
_PARTS = {
    "Quality": "`quality`",
    "Stability": "`stability`",
    "Case": "A case of a rule",
    "Otherwise": "`otherwise`",
    "ScoreInput": "An input of a score",
    "Between": "`between`",
    "Step": "A step",
    "Example": "An example",
}
_OF_POLICIES = {
    "Grade": "A grade",
    "Input": "A tag that speaks for or against",
    "Special": "A special tag",
    "Limit": "A limit",
    "Hysteresis": "`hysteresis`",
}
_HEAD = """\
# The tag language

Every key and function of a tag's file. This page is made from the program by `tagline schema \
--docs`; a test compares them. [Add a tag](add-a-tag.md) explains the language by examples.

A tag is a file `include/tags/<theme>/<dimension>/<tag>.yaml`; the file's name is its slug. A \
slug is of lower-case letters, digits and single underscores between them. A duration is a \
whole number of seconds, minutes, hours, days or weeks, such as `90 days`. An expression is \
DuckDB SQL, limited to [what is listed below](#expressions).
"""
_EXPRESSIONS = """\
## Expressions

| where | may name | gives |
|---|---|---|
| `where`, `by` and an extraction's `value` | columns of the table, columns of a referenced \
table by a dotted name, `as_of` | a condition, a text, a value |
| `pick` and a statistic's `value` | the same, inside of aggregates; `as_of` anywhere | a \
value of each customer's rows |
| `when` of a rule | tags, `previous(tag)`, `as_of` | a condition |

All of them may read `standard('name')`. Instants are on the business's wall clock. Null is no\
 value: a comparison with it is neither true nor false.

| operators | of | give |
|---|---|---|
| `+` `-` `*` `/` `//` `%` | numbers | a number; an integer of integers, but not by `/` |
| `=` `<>` `<` `<=` `>` `>=` `in` `between` | two values of a kind; a date or timestamp also \
with a text such as `'2017-12-01'` | boolean |
| `is null` `is true` `is false` | any | boolean |
| `and` `or` `not` | boolean | boolean |
| `like` `ilike` | text | boolean |
| `\\|\\|` | text | text |

A number is an integer or a number, a moment a date or a timestamp, and any is every type. \
Brackets hold what may be left out.
"""
_REFUSED = """\
Everything else is refused when definitions are read: statements, subqueries, window \
functions, other tables, and whatever looks at the clock or at chance. So is a rule's case \
that nothing can reach.
"""


def reference(catalog: Catalog) -> str:
    """The page as Markdown; examples are tags of the catalog."""
    return "\n".join(_sections(catalog)) + "\n"


def _sections(catalog: Catalog) -> Iterator[str]:
    parts: Mapping[str, dict[str, Any]] = schema_of("tag")["$defs"]
    shapes = {kind: parts[shape] for kind, (_, shape, _) in _KINDS.items()}
    shared = set.intersection(*(set(shape["properties"]) for shape in shapes.values()))
    yield _HEAD
    yield "## Keys of every tag\n"
    yield from _keys(shapes["statistic"], shared - {"kind"}, parts)
    yield f"| `kind` | How the tag is made. | {_either(_KINDS)} | needed |\n"
    for kind, (title, _, slugs) in _KINDS.items():
        yield f"## {title}\n"
        yield f"`kind: {kind}`. {_first_sentence(shapes[kind])}\n"
        yield from _keys(shapes[kind], set(shapes[kind]["properties"]) - shared, parts)
        for slug in slugs:
            tag = catalog.tag(slug)
            yield f"\n`include/{tag.path}`:\n\n```yaml\n{catalog.tag_text(tag)}```"
        if kind == "manual":
            yield from _label_set()
        yield ""
    yield "## Parts\n"
    for name, title in _PARTS.items():
        yield f"### {title}\n"
        yield from _keys(parts[name], set(parts[name]["properties"]), parts)
        yield ""
    yield from _policy()
    yield "## Types\n"
    yield "| type | values |\n|---|---|"
    for kind in DataType:
        yield f"| `{kind.value}` | {_VALUES[kind]} |"
    yield ""
    yield _EXPRESSIONS
    yield from _functions()
    yield _REFUSED.rstrip("\n")


def _policy() -> Iterator[str]:
    """The keys of a policy, which makes tags of its own."""
    schema = schema_of("policy")
    yield "## Policies 等级\n"
    file = "`include/policies/<policy>.yaml`"
    yield f"A policy is a file {file}: [grades](grades.md).\n"
    yield from _keys(schema, schema["properties"], schema["$defs"])
    for name, title in _OF_POLICIES.items():
        yield f"\n### {title}\n"
        part = schema["$defs"][name]
        yield from _keys(part, part["properties"], schema["$defs"])
    yield ""


def _label_set() -> Iterator[str]:
    """The keys of a label set, which manual tags read."""
    schema = schema_of("label_set")
    file = "`include/labels/<label_set>.yaml`"
    yield f"\nA label set is a file {file}: [labels by people](labels.md).\n"
    yield from _keys(schema, schema["properties"], schema["$defs"])
    yield "\nEach of its `values`:\n"
    value = schema["$defs"]["LabelValue"]
    yield from _keys(value, value["properties"], schema["$defs"])


_VALUES: Mapping[DataType, str] = {
    DataType.BOOLEAN: "`true`, `false`",
    DataType.INTEGER: "whole numbers of 64 bits",
    DataType.NUMBER: "floating-point numbers of 64 bits",
    DataType.TEXT: "texts; `values` may list them",
    DataType.DATE: "days of the business, as `2017-12-01`",
    DataType.TIMESTAMP: "instants, kept in UTC",
    DataType.TEXT_LIST: "lists of texts, for the leading groups",
}


def _first_sentence(shape: Mapping[str, Any]) -> str:
    said = str(shape["description"]).partition("\n\n")[0].partition(": ")[2] or shape["description"]
    return f"{said[:1].upper()}{said[1:]}".replace("\n", " ")


def _keys(shape: Mapping[str, Any], keys: Iterable[str], parts: Mapping[str, Any]) -> Iterator[str]:
    """A table of some keys of a shape, in the order of their definition."""
    wanted, needed = set(keys), set(shape.get("required", ()))
    yield "| key | says | type | default |\n|---|---|---|---|"
    for key, schema in shape["properties"].items():
        if key in wanted:
            default = "needed" if key in needed else _default(schema)
            yield f"| `{key}` | {schema['description']} | {_type(schema, parts)} | {default} |"


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    if default is None or isinstance(default, list | dict):
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """A schema's type in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        titles = {**_PARTS, **_OF_POLICIES}
        if name in titles:
            return f"[{titles[name].replace('`', '').lower()}](#{_anchor(titles[name])})"
        if name == "DataType":
            return "a [type](#types)"
        return f"{{{_either(parts[name]['properties'])}}}"
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if any(option.get("pattern") == STANDARD_PATTERN for option in options):
            return "number or `standard('name')`"
        words = [option["const"] for option in options if "const" in option]
        if words:
            return f"{_type(options[0], parts)} or {_either(words)}"
        return "a value of the tag's type" if len(options) > 2 else _type(options[0], parts)
    if "enum" in schema:
        return _either(schema["enum"])
    if "prefixItems" in schema:
        return "[low, high]"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], parts)}"
    if schema.get("type") == "object" and "enum" in schema.get("propertyNames", {}):
        inner = _type(schema["additionalProperties"], parts)
        return (
            "{" + ", ".join(f"`{key}`" for key in schema["propertyNames"]["enum"]) + f"}} {inner}"
        )
    if schema.get("type") == "object":
        return "names with values"
    if "pattern" in schema:
        pattern = str(schema["pattern"])
        if schema.get("format") == "date":
            return "a day"
        return "duration" if "second" in pattern else "slug"
    return {"string": "text"}.get(str(schema.get("type")), str(schema.get("type", "any value")))


def _either(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _anchor(title: str) -> str:
    return title.lower().replace("`", "").replace(" ", "-")


def _functions() -> Iterator[str]:
    """Aggregates, then the other functions, by name."""
    known = sorted(set(FUNCTIONS.values()), key=lambda each: each.name)
    for title, is_aggregate in (("Aggregates", True), ("Functions", False)):
        yield f"### {title}\n\n| write | gives |\n|---|---|"
        rows = [
            (each.name, usage(each), _result(each))
            for each in known
            if each.is_aggregate == is_aggregate
        ]
        rows += [
            (name, *said) for name, said in SPECIAL.items() if (name == "count") == is_aggregate
        ]
        for _, written, gives in sorted(rows):
            yield f"| `{written}` | {gives} |"
        yield ""
    yield (
        f"Parts of a date: {_either(sorted(part.lower() for part in DATE_PARTS))}. Units of "
        f"`date_diff` and `date_trunc`: "
        f"{_either(sorted(unit.lower() for unit in DATE_UNITS | CLOCK_UNITS))}.\n"
    )


def usage(function: Function) -> str:
    """A function as people write it, with the types of its arguments.

    >>> from tagline.expressions.functions import FUNCTIONS
    >>> [usage(each) for each in FUNCTIONS.values() if each.name in ("round", "ln")]
    ['round(number[, number])', 'ln(number)']
    """
    words = [types_in_words(types) for types in function.arguments]
    least = len(words) - function.optional
    text = ", ".join(words[:least]) + "".join(f"[, {word}]" for word in words[least:])
    return f"{function.name}({text})"


def types_in_words(types: Types) -> str:
    """A set of types by one word, or by their names."""
    words = {ANY: "any", NUMERIC: "number", MOMENT: "moment"}
    return words.get(types) or " or ".join(sorted(kind.value for kind in types))


def _result(function: Function) -> str:
    if isinstance(function.result, DataType):
        return function.result.value
    place = "its argument" if len(function.arguments) == 1 else "its first argument"
    return f"the type of {place}"
