"""Words of a vocabulary: how they are spelled, compared and found in a text.

Texts are compared in lower case, with full-width letters and digits as narrow ones. Letters and
digits of alphabets make words, which are found whole; Chinese characters are found anywhere.
Between them may stand blanks and any punctuation that does not end a part of a sentence, or
nothing: `air con` is `aircon` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tagline.definitions import Vocabulary

MOST_WORDS = 400  # of one vocabulary; the engine searches for 600 twenty times slower
SEPARATORS = r"[^\p{L}\p{N},;:!?，；：！？。、]+"  # each run becomes one blank
WIDE = "".join(map(chr, (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))))
NARROW = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NARROWED = str.maketrans(WIDE, NARROW)
_TOKEN = re.compile(r"[\u3400-\u4DBF\u4E00-\u9FFF]|[a-z0-9]+\*?|\*|[^\W_]")
_INSIDE = re.compile(r"\*[a-z0-9]")
_LEAST_BEFORE_STAR = 2  # letters: fewer would begin too many words


@dataclass(frozen=True)
class Word:
    """A word, or several, of a term: its tokens are Chinese characters and whole words.

    A token may end in `*`, which stands for any further letters and digits.
    """

    term: str
    text: str  # as its author wrote it
    tokens: tuple[str, ...]

    @property
    def key(self) -> str:
        """What is compared: the tokens without what stands between them."""
        return "".join(self.tokens)

    @property
    def is_open(self) -> bool:
        """Whether it leaves letters open."""
        return "*" in self.key

    @property
    def pattern(self) -> str:
        """A regular expression that finds it in a text whose separators are single blanks."""
        found = " ?".join(token.replace("*", "[a-z0-9]*") for token in self.tokens)
        found = found if _is_han(self.tokens[0]) else rf"\b{found}"
        return found if _is_han(self.tokens[-1]) else rf"{found}\b"


def spell(text: str) -> tuple[str, ...]:
    """The tokens of a text.

    >>> spell("L/H  Cyl*"), spell("更换Ｐ１泵")
    (('l', 'h', 'cyl*'), ('更', '换', 'p1', '泵'))
    """
    return tuple(_TOKEN.findall(text.translate(_NARROWED).lower()))


def fault_of_word(text: str) -> str | None:
    """What is wrong with a word as its author wrote it."""
    tokens = spell(text)
    if not any(token.strip("*") for token in tokens):
        return f"{text!r} has no letter and no digit, so nothing could be found"
    inside = _INSIDE.search(text.translate(_NARROWED).lower()) is not None
    for token in tokens:
        letters = token.removesuffix("*")
        if token.endswith("*") and (inside or len(letters) < _LEAST_BEFORE_STAR):
            return (
                f"{text!r}: * stands at the end of a word of at least {_LEAST_BEFORE_STAR} letters "
                "or digits, as in leak*; Chinese is found anywhere and needs none"
            )
        if not (_is_han(letters) or letters.isascii()):
            return f"{text!r}: {letters!r} is no letter of English and no Chinese character"
    return None


def words_of(vocabulary: Vocabulary) -> Iterator[Word]:
    """All words of a vocabulary that are free of faults, in its order."""
    for term, definition in vocabulary.terms.items():
        for text in definition.words:
            if fault_of_word(text) is None:
                yield Word(term, text, spell(text))


def longest_first(vocabulary: Vocabulary) -> list[Word]:
    """The words in the order in which they are tried at one place of a text.

    A word without `*` comes before one with it that is as long; else the vocabulary's order.
    """
    return sorted(words_of(vocabulary), key=lambda word: (-len(word.key), word.is_open))


def _is_han(token: str) -> bool:
    return "\u3400" <= token[:1] <= "\u4dbf" or "\u4e00" <= token[:1] <= "\u9fff"
