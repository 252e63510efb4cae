"""Free text to terms: words as people write them, in English and Chinese, and faults in time."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tagline.catalog import load_catalog
from tagline.definitions import Names, Vocabulary
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import DefinitionError
from tagline.examples import run_examples
from tagline.settings import PROJECT
from tagline.vocabularies.queries import filled
from tagline.vocabularies.words import longest_first, spell

ROOT = PROJECT / "tests" / "tickets"
NAME = {"en": "A", "zh": "甲"}


def a_vocabulary(**terms: list[str]) -> Vocabulary:
    written = {term: {"name": NAME, "words": words} for term, words in terms.items()}
    return Vocabulary.model_validate(
        {"name": NAME, "description": "Made for a test.", "owner": "service", "terms": written}
    )


PARTS = a_vocabulary(
    hose=["hose", "hyd* hose*", "液压油管", "油管"],
    filter=["filter*", "滤芯"],
    fuel_filter=["fuel filter"],
    pump=["P1", "P1泵", "main pump*", "主泵"],
    air_conditioning=["a/c", "air con*"],
)


def read(texts: list[str | None], vocabulary: Vocabulary = PARTS) -> list[tuple[Any, Any]]:
    """What term() and terms() give of each text."""
    sql = "SELECT term(t, 'parts'), terms(t, 'parts') FROM given ORDER BY place"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE given (place INTEGER, t VARCHAR)")
        connection.executemany("INSERT INTO given VALUES (?, ?)", list(enumerate(texts)))
        return connection.execute(filled("x.sql", sql, {"parts": vocabulary})).fetchall()


@pytest.mark.parametrize(
    "text, term, terms",
    [
        ("Replace HOSE.", "hose", ["hose"]),
        ("hydraulic   hoses", "hose", ["hose"]),
        ("HYD-HOSE u/s", "hose", ["hose"]),
        ("ｈｏｓｅ　ＬＥＡＫＩＮＧ", "hose", ["hose"]),
        ("hosepipe", None, []),
        ("whose", None, []),
        ("A/C not cooling", "air_conditioning", ["air_conditioning"]),
        ("ac u/s", "air_conditioning", ["air_conditioning"]),
        ("aircon, AIR COND", "air_conditioning", ["air_conditioning"]),
        ("Fuel filter", "fuel_filter", ["fuel_filter"]),
        ("fuel, filter", "filter", ["filter"]),
        ("fuel_filter", "fuel_filter", ["fuel_filter"]),
        ("更换液压油管（HY-101）×2", "hose", ["hose"]),
        ("更换液压 油管", "hose", ["hose"]),
        ("定期保养，更换滤芯机油", "filter", ["filter"]),
        ("检修Ｐ１泵和油管", "pump", ["hose", "pump"]),
        ("p1主泵异响", "pump", ["pump"]),
        ("xp1", None, []),
        ("定期保养", None, []),
        ("", None, []),
        (None, None, None),
    ],
)
def test_a_text_is_found_as_people_write_it(
    text: str | None, term: str | None, terms: list[str] | None
) -> None:
    assert read([text]) == [(term, terms)]


def test_the_longest_words_win_and_of_equals_the_first_in_the_text() -> None:
    texts: list[str | None] = ["hose p1 filter", "filters and hoses", "p1 main pump", "hose, hose"]
    assert read(texts) == [
        ("filter", ["filter", "hose", "pump"]),
        ("filter", ["filter"]),
        ("pump", ["pump"]),
        ("hose", ["hose"]),
    ]
    alike = a_vocabulary(first=["abcd"], second=["efgh"])
    assert read(["efgh abcd", "abcd efgh"], alike) == [
        ("second", ["first", "second"]),
        ("first", ["first", "second"]),
    ]


def test_a_word_as_it_is_comes_before_one_that_leaves_letters_open() -> None:
    vocabulary = a_vocabulary(leak=["leak*"], test=["leak test", "leaky"])
    texts: list[str | None] = ["leaks", "leak test", "leaky", "leak tests"]
    assert read(texts, vocabulary) == [
        ("leak", ["leak"]),
        ("test", ["test"]),
        ("test", ["test"]),
        ("leak", ["leak"]),
    ]


_WORDS = st.lists(st.sampled_from(["ab", "b", "ab*", "油", "管", "b1"]), min_size=1, max_size=3)


@settings(max_examples=15, deadline=None, database=None)
@given(
    st.dictionaries(_WORDS.map(" ".join), st.sampled_from("pqr"), min_size=1, max_size=6),
    st.lists(st.text(st.sampled_from("ab1油管 ,."), max_size=12), min_size=1, max_size=8),
)
def test_whatever_is_found_has_words_that_stand_in_the_text(
    words: Mapping[str, str], texts: list[str]
) -> None:
    once = {"".join(spell(word)): word for word in words}
    terms: dict[str, list[str]] = {}
    for word in once.values():
        terms.setdefault(words[word], []).append(word)
    vocabulary = a_vocabulary(**terms)
    declared = {word.key.rstrip("*"): word.term for word in longest_first(vocabulary)}
    for text, (term, found) in zip(texts, read(list(texts), vocabulary), strict=True):
        bare = "".join(spell(text))
        assert found == sorted(set(found))
        assert (term is None) == (found == []) and (term is None or term in found)
        for each in found:
            starts = [key for key, of in declared.items() if of == each]
            assert any(start.partition("*")[0] in bare for start in starts)


def test_sql_without_vocabularies_is_left_as_its_author_wrote_it() -> None:
    sql = "SELECT  a -- kept\nFROM t"
    assert filled("x.sql", sql, {"parts": PARTS}) == sql


def test_a_name_is_not_part_of_what_the_sql_means() -> None:
    sql = "SELECT terms(t, 'parts') AS parts FROM given"
    named = PARTS.model_copy(update={"name": Names(en="Other", zh="乙")})
    assert filled("x.sql", sql, {"parts": PARTS}) == filled("x.sql", sql, {"parts": named})
    more = a_vocabulary(hose=["hose"])
    assert filled("x.sql", sql, {"parts": PARTS}) != filled("x.sql", sql, {"parts": more})


# Faults of definitions


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT, tmp_path / "definitions")
    return tmp_path / "definitions"


def faults(root: Path) -> list[str]:
    try:
        load_catalog(root, "mine")
    except DefinitionError as error:
        return [str(fault) for fault in error.faults]
    return []


def write(root: Path, text: str) -> None:
    (root / "vocabularies" / "colours.yaml").write_text(text, "utf-8")


HEAD = "name: {en: A, zh: 甲}\ndescription: Made for a test.\nowner: service\nterms:\n"


def test_a_term_needs_a_slug_and_words(project: Path) -> None:
    assert faults(project) == []
    write(
        project,
        HEAD
        + "  green: {name: {en: Green, zh: 绿}, words: []}\n"
        + "  Pink: {name: {en: Pink, zh: 粉}, words: [pink]}\n",
    )
    found = faults(project)
    assert [each.partition(": ")[0] for each in found] == [
        "vocabularies/colours.yaml:5",
        "vocabularies/colours.yaml:6",
    ]
    assert "at least 1 is needed" in found[0]


def test_faults_of_words_are_told_with_their_line(project: Path) -> None:
    write(
        project,
        HEAD
        + "  red:\n    name: {en: Red, zh: 红}\n    words:\n"
        + "      - red\n      - '!!'\n      - r*\n      - 红*\n      - re*d\n      - rød\n"
        + "  blue:\n    name: {en: Blue, zh: 蓝}\n    words:\n      - blue\n      - R-E-D\n"
        + "      - BLUE\nexamples:\n  - {text: red, terms: [read]}\n",
    )
    assert faults(project) == [
        "vocabularies/colours.yaml:9: '!!' has no letter and no digit, so nothing could be found",
        "vocabularies/colours.yaml:10: 'r*': * stands at the end of a word of at least 2 letters "
        "or digits, as in leak*; Chinese is found anywhere and needs none",
        "vocabularies/colours.yaml:11: '红*': * stands at the end of a word of at least 2 letters "
        "or digits, as in leak*; Chinese is found anywhere and needs none",
        "vocabularies/colours.yaml:12: 're*d': * stands at the end of a word of at least 2 letters "
        "or digits, as in leak*; Chinese is found anywhere and needs none",
        "vocabularies/colours.yaml:13: 'rød': 'ø' is no letter of English and no Chinese character",
        "vocabularies/colours.yaml:18: 'R-E-D' is a word of red already (line 8); a word stands "
        "for one term, once",
        "vocabularies/colours.yaml:19: 'BLUE' is a word of blue already (line 17); a word stands "
        "for one term, once",
        "vocabularies/colours.yaml:21: unknown term 'read'. Did you mean 'red'?",
    ]


def test_too_many_words_are_refused(project: Path) -> None:
    words = ", ".join(f"w{number}" for number in range(401))
    write(project, f"{HEAD}  many: {{name: {{en: A, zh: 甲}}, words: [{words}]}}\n")
    assert faults(project) == [
        "vocabularies/colours.yaml:4: 401 words, at most 400: split it by what it asks, or use * "
        "for endings"
    ]


@pytest.mark.parametrize(
    "call, said",
    [
        (
            "terms(short_text, 'excavator_part')",
            "unknown vocabulary 'excavator_part': there is no vocabularies/excavator_part.yaml. "
            "Did you mean 'excavator_parts'?",
        ),
        ("terms(short_text)", "TERMS(short_text): write terms(text, 'vocabulary')"),
        ("TERMS(short_text, asset)", "TERMS(short_text, asset): write TERMS(text, 'vocabulary')"),
    ],
)
def test_a_call_that_names_no_vocabulary_is_told_with_its_line(
    project: Path, call: str, said: str
) -> None:
    path = project / "sql" / "sources" / "work_orders" / "service_tickets.sql"
    text = path.read_text("utf-8").replace("terms(short_text, 'excavator_parts')", call)
    path.write_text(text, "utf-8")
    line = next(n for n, each in enumerate(text.splitlines(), 1) if call in each)
    assert faults(project) == [f"sql/sources/work_orders/service_tickets.sql:{line}: {said}"]


def test_texts_are_read_at_the_source_alone(project: Path) -> None:
    shape = yaml.safe_load((project / "tables" / "machines.yaml").read_text("utf-8"))
    for key in ("customer", "expectations"):
        shape.pop(key, None)
    shape["columns"] = {
        "machine_id": {"type": "text", "description": "The machine."},
        "part": {"type": "text", "description": "A part."},
    }
    (project / "tables" / "parts_seen.yaml").write_text(yaml.dump(shape), "utf-8")
    (project / "sql" / "derived").mkdir()
    sql = "SELECT machine_id,\n  term(text, 'excavator_parts') AS part FROM service_tickets"
    (project / "sql" / "derived" / "parts_seen.sql").write_text(sql, "utf-8")
    assert faults(project) == [
        "sql/derived/parts_seen.sql:2: term() stands in sql/sources/ alone: keep what it finds in "
        "a column there"
    ]


def test_a_broken_vocabulary_does_not_make_its_readers_faulty(project: Path) -> None:
    path = project / "vocabularies" / "excavator_parts.yaml"
    path.write_text(path.read_text("utf-8").replace("owner:", "ownr:", 1), "utf-8")
    found = faults(project)
    assert len(found) == 2 and all("excavator_parts.yaml" in each for each in found)


def test_an_example_that_finds_something_else_is_told(project: Path, tmp_path: Path) -> None:
    engine = DuckDBEngine("500MB", 1, str(tmp_path / "spilled"))
    assert run_examples(load_catalog(project, "mine"), engine) == (7, [])
    path = project / "vocabularies" / "excavator_actions.yaml"
    text = path.read_text("utf-8").replace("terms: [repair, replace]", "terms: [replace]")
    path.write_text(text, "utf-8")
    _, (fault,) = run_examples(load_catalog(project, "mine"), engine)
    assert fault.message == "example 3: finds [repair, replace], not [replace]"
    assert fault.line == len(text.splitlines())
