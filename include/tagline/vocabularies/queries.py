"""term() and terms() in the SQL of a source, written out as plain SQL of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp

from tagline.definitions import Vocabulary
from tagline.sqlfiles import parse_sql
from tagline.vocabularies.words import NARROW, SEPARATORS, WIDE, Word, longest_first

TERM, TERMS = "term", "terms"
_PLAIN = (  # lower case, narrow letters and digits, and blanks for most of what is neither
    "regexp_replace(lower(CASE WHEN regexp_matches(text, wide) "
    "THEN translate(text, widths, narrowed) ELSE text END), separators, ' ', 'g')"
)
_FOUND = (  # what is found, from left to right, without what stands between the words
    "list_transform(regexp_extract_all(plain, pattern), "
    "lambda found_words: replace(found_words, ' ', ''))"
)
_ALL = "list_sort(list_distinct(list_transform(found, lambda found_key: meaning)))"
_LONGEST = (
    "list_transform([list_reduce(found, lambda one_key, next_key: "
    "CASE WHEN length(next_key) > length(one_key) THEN next_key ELSE one_key END, '')], "
    "lambda found_key: meaning)[1]"
)


def filled(name: str, text: str, vocabularies: Mapping[str, Vocabulary]) -> str:
    """The text of an SQL file with its calls of term() and terms() written out.

    A text without such calls is given back as it is. Raises DefinitionError as parse_sql does.
    """
    read = sorted({call.expressions[1].name for call in calls(parse_sql(name, text).tree)})
    if not read:
        return text
    return _written_out(
        name, text, tuple((each, vocabularies[each].model_dump_json()) for each in read)
    )


@lru_cache(maxsize=64)  # asked for at each step of a run
def _written_out(name: str, text: str, read: tuple[tuple[str, str], ...]) -> str:
    vocabularies = {each: Vocabulary.model_validate_json(written) for each, written in read}

    def write_out(node: exp.Expr) -> exp.Expr:
        if not _is_call(node):
            return node
        return _call(node, vocabularies[node.expressions[1].name])

    return parse_sql(name, text).tree.copy().transform(write_out).sql(dialect="duckdb", pretty=True)


def calls(tree: exp.Expr) -> Iterator[exp.Anonymous]:
    """The calls of term() and terms() in a query."""
    return (node for node in tree.find_all(exp.Anonymous) if _is_call(node))


def _is_call(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() in (TERM, TERMS)


def _call(call: exp.Expr, vocabulary: Vocabulary) -> exp.Expr:
    words = longest_first(vocabulary)
    text = exp.cast(call.expressions[0].copy(), "VARCHAR")
    plain = _made(
        _PLAIN,
        text=text,
        wide=_text(f"[{WIDE}]"),
        widths=_text(WIDE),
        narrowed=_text(NARROW),
        separators=_text(SEPARATORS),
    )
    pattern = "|".join(word.pattern for word in words)
    found = _made(_FOUND, plain=plain, pattern=_text(pattern))
    chosen = _ALL if str(call.this).lower() == TERMS else _LONGEST
    return _made(chosen, found=found, meaning=_meaning(words))


def _meaning(words: list[Word]) -> exp.Expr:
    """The term of found_key: by the words as they are, then by those that leave letters open."""
    key = exp.column("found_key")
    exact: dict[str, list[exp.Expr]] = {}
    for word in words:
        if not word.is_open:
            exact.setdefault(word.term, []).append(_text(word.key))
    made = exp.Case(this=None)
    for term, keys in exact.items():
        made = made.when(exp.In(this=key.copy(), expressions=keys), _text(term), copy=False)
    for word in words:
        if word.is_open:
            like = exp.Like(this=key.copy(), expression=_text(word.key.replace("*", "%")))
            made = made.when(like, _text(word.term), copy=False)
    return made


def _made(template: str, **parts: exp.Expr) -> exp.Expr:
    """A template's tree with its names replaced by other trees."""

    def place(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in parts:
            return parts[node.name].copy()
        return node

    return _template(template).copy().transform(place)


@lru_cache
def _template(template: str) -> exp.Expr:
    return sqlglot.parse_one(template, dialect="duckdb")


def _text(value: str) -> exp.Expr:
    return exp.Literal.string(value)
