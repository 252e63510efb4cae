"""The names of those who judge, so that one person is not taken for two."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def other_spelling(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs from this one in case, width or spaces alone.

    None where the name itself is known, or no such name is.

    >>> other_spelling("Ann", ["ann", "bob"]), other_spelling("ann", ["ann", "Ann"])
    ('ann', None)
    """
    names = sorted(set(known))
    if name in names:
        return None
    return next((one for one in names if _plain(one) == _plain(name)), None)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
