"""Faults of vocabularies and of the SQL that reads them, and the vocabularies' own examples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from tagline.definitions import Vocabulary
from tagline.definitions.files import DefinitionFile, Location, read_file
from tagline.engines import Engine, literal
from tagline.errors import Fault, did_you_mean
from tagline.sqlfiles import SqlFile
from tagline.vocabularies.queries import calls, filled
from tagline.vocabularies.words import MOST_WORDS, fault_of_word, spell

if TYPE_CHECKING:
    from tagline.catalog import Catalog


def check_vocabulary(file: DefinitionFile, vocabulary: Vocabulary) -> list[Fault]:
    """Words that cannot be found or stand for two things, and terms that examples name."""
    faults: list[Fault] = []
    taken: dict[str, tuple[str, Location]] = {}
    for term, definition in vocabulary.terms.items():
        for index, text in enumerate(definition.words):
            place: Location = ("terms", term, "words", index)
            if (said := fault_of_word(text)) is not None:
                faults.append(file.fault(place, said))
                continue
            other, where = taken.setdefault("".join(spell(text)), (term, place))
            if where != place:
                said = f"{text!r} is a word of {other} already (line {file.line(where)}); "
                faults.append(file.fault(place, said + "a word stands for one term, once"))
    if len(taken) > MOST_WORDS:
        said = f"{len(taken):,} words, at most {MOST_WORDS:,}: "
        said += "split it by what it asks, or use * for endings"
        faults.append(file.fault(("terms",), said))
    for index, example in enumerate(vocabulary.examples):
        for number, term in enumerate(example.terms):
            if term not in vocabulary.terms:
                said = f"unknown term {term!r}.{did_you_mean(term, vocabulary.terms)}"
                faults.append(file.fault(("examples", index, "terms", number), said))
    return faults


def check_calls(
    of_sources: Iterable[SqlFile], others: Iterable[SqlFile], known: Collection[str]
) -> list[Fault]:
    """Calls of term() and terms() that name no vocabulary, or stand where none may."""
    faults = [
        Fault(file.name, _line(call), said)
        for file in of_sources
        for call in calls(file.tree)
        if (said := _fault_of_call(call, known)) is not None
    ]
    return faults + [
        Fault(
            file.name,
            _line(call),
            f"{call.this}() stands in sql/sources/ alone: keep what it finds in a column there",
        )
        for file in others
        for call in calls(file.tree)
    ]


def run_vocabulary_examples(catalog: Catalog, engine: Engine) -> tuple[int, list[Fault]]:
    """Run every example of every vocabulary; the number run, and a fault for each wrong result."""
    count, faults = 0, []
    for name, vocabulary in catalog.vocabularies.items():
        wrong = _wrong(name, vocabulary, catalog.vocabularies, engine)
        count += len(vocabulary.examples)
        if wrong:
            path = catalog.root / "vocabularies" / f"{name}.yaml"
            file = read_file(path, catalog.root)
            faults += [file.fault(("examples", index), said) for index, said in wrong]
    return count, faults


def found_terms(
    name: str, texts: list[str], vocabularies: Mapping[str, Vocabulary], engine: Engine
) -> list[list[str]]:
    """The terms that a vocabulary finds in each of some texts."""
    rows = ", ".join(f"({index}, {literal(text)})" for index, text in enumerate(texts))
    sql = (
        f"SELECT place, terms(text, {literal(name)}) AS terms FROM (VALUES {rows}) "
        "AS given(place, text) ORDER BY place"
    )
    made = engine.fetch(filled("examples", sql, vocabularies), {})
    return [row["terms"] for row in made.to_pylist()]


def _wrong(
    name: str, vocabulary: Vocabulary, vocabularies: Mapping[str, Vocabulary], engine: Engine
) -> list[tuple[int, str]]:
    if not vocabulary.examples:
        return []
    texts = [example.text for example in vocabulary.examples]
    got = found_terms(name, texts, vocabularies, engine)
    return [
        (index, f"example {index + 1}: finds {_listed(found)}, not {_listed(example.terms)}")
        for index, (example, found) in enumerate(zip(vocabulary.examples, got, strict=True))
        if sorted(example.terms) != found
    ]


def _listed(terms: Iterable[str]) -> str:
    return f"[{', '.join(sorted(terms))}]"


def _fault_of_call(call: exp.Anonymous, known: Collection[str]) -> str | None:
    given = call.expressions
    if len(given) != 2 or not (isinstance(given[1], exp.Literal) and given[1].is_string):
        return f"{call.sql(dialect='duckdb')}: write {call.this}(text, 'vocabulary')"
    name = given[1].name
    if name in known:
        return None
    said = f"unknown vocabulary {name!r}: there is no vocabularies/{name}.yaml."
    return f"{said}{did_you_mean(name, known)}"


def _line(call: exp.Anonymous) -> int:
    return int(call.meta.get("line", 1))
