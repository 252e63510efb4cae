"""What is held at an instant: ties between keys, the numbers of those who lead, and traits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from tagline.definitions.identity import IdentityRules

FOREVER = 2**62  # microseconds; the end of what is still held
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """An instant as whole microseconds since 1970 (UTC)."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(instant: int) -> datetime:
    """The instant (UTC) of whole microseconds since 1970.

    >>> moment_of(microseconds(datetime(2026, 3, 1, tzinfo=UTC))).isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    return _EPOCH + timedelta(microseconds=instant)


class Span(NamedTuple):
    """Something that holds of a key in [start, end), in microseconds since 1970 (UTC).

    A tie says that the keys with the same `label` belong together by the rule of that number. A
    trait is a value of the kind `label` that no other customer may have. A lead gives the key the
    number `shown`. Keys `apart` are two customers: `shown` is the other one.
    """

    what: Literal["tie", "trait", "lead", "apart"]
    rule: int  # of a tie
    label: str
    shown: str  # the value, for people and for comparison
    key: str
    start: int
    end: int


class Tie(NamedTuple):
    """Keys that belong together by a rule: since when each of them is tied, and by what value."""

    label: str
    shown: str
    keys: dict[str, int]


class Standing:
    """What is held of some keys at an instant, changed span by span."""

    def __init__(self, rules: IdentityRules) -> None:
        self.rules = rules
        self.leads: dict[str, tuple[int, str]] = {}  # key → since when, number: the earliest
        self.traits: dict[str, set[tuple[str, str]]] = defaultdict(set)  # key → kind, value
        # key → the others, each with how often it is said: of one pair, statements of either
        # direction and of several rules may be taken back
        self.apart: dict[str, Counter[str]] = defaultdict(Counter)
        self._numbers: dict[str, set[tuple[int, str]]] = defaultdict(set)
        self._ties: dict[tuple[int, str], Tie] = {}
        self._of_key: dict[str, set[tuple[int, str]]] = defaultdict(set)

    def begin(self, span: Span) -> None:
        """Let a span hold."""
        if span.what == "tie":
            name = span.rule, span.label
            if name not in self._ties:
                self._ties[name] = Tie(span.label, span.shown, {})
            self._ties[name].keys[span.key] = span.start
            self._of_key[span.key].add(name)
        elif span.what == "lead":
            self._numbers[span.key].add((span.start, span.shown))
            self.leads[span.key] = min(self._numbers[span.key])
        elif span.what == "trait":
            self.traits[span.key].add((span.label, span.shown))
        else:
            self._say_apart(span, 1)

    def finish(self, span: Span) -> None:
        """Let a span hold no more."""
        if span.what == "tie":
            name = span.rule, span.label
            self._of_key[span.key].discard(name)
            self._ties[name].keys.pop(span.key, None)
        elif span.what == "lead":
            numbers = self._numbers[span.key]
            numbers.discard((span.start, span.shown))
            if numbers:
                self.leads[span.key] = min(numbers)
            else:
                self.leads.pop(span.key, None)
        elif span.what == "trait":
            self.traits[span.key].discard((span.label, span.shown))
        else:
            self._say_apart(span, -1)

    def _say_apart(self, span: Span, times: int) -> None:
        for one, other in ((span.key, span.shown), (span.shown, span.key)):
            self.apart[one][other] += times
            if not self.apart[one][other]:
                del self.apart[one][other]

    def touched(self, span: Span) -> set[str]:
        """The keys whose customer a change of the span may move, beside those tied to them.

        Asked while the span holds. A tie of one key moves nobody.
        """
        if span.what == "tie":
            keys = self._ties[span.rule, span.label].keys
            return set(keys) if len(keys) > 1 else set()
        return {span.key, span.shown} if span.what == "apart" else {span.key}

    def around(self, keys: Iterable[str]) -> set[str]:
        """The keys and all that are tied to them, directly or not."""
        found, stack = set(keys), list(keys)
        while stack:
            for name in self._of_key.get(stack.pop(), ()):
                for key in self._ties[name].keys:
                    if key not in found:
                        found.add(key)
                        stack.append(key)
        return found

    def ties(self, keys: Iterable[str]) -> dict[int, list[Tie]]:
        """The ties of two and more keys by rule, in an order that depends on nothing else.

        `keys` is closed under ties, as of `around`.
        """
        names = {name for key in keys for name in self._of_key.get(key, ())}
        found: dict[int, list[Tie]] = defaultdict(list)
        for name in sorted(names):
            tie = self._ties[name]
            if len(tie.keys) > 1:
                found[name[0]].append(tie)
        return found
