"""The shape of `vocabularies/<vocabulary>.yaml`: words of free text, and the terms they mean."""

from __future__ import annotations

from pydantic import Field

from tagline.definitions.types import Definition, Names, Sentence, Slug


class Term(Definition):
    """One thing that texts speak of, with every way in which they write it."""

    name: Names
    words: tuple[str, ...] = Field(min_length=1)  # one or more words each; `leak*` begins a word


class VocabularyExample(Definition):
    """The vocabulary's own test: a text, and the terms that are found in it, in any order."""

    text: str
    terms: tuple[Slug, ...]


class Vocabulary(Definition):
    """The terms of one question that is asked of a text, such as which part; named by the file."""

    name: Names
    description: Sentence
    owner: Slug
    terms: dict[Slug, Term] = Field(min_length=1)
    examples: tuple[VocabularyExample, ...] = ()
