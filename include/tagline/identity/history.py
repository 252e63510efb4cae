"""The history of links: each key's customer from each instant on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from tagline.definitions.identity import IdentityRules
from tagline.identity.groups import Doubt, Grouping, Link
from tagline.identity.standing import FOREVER, Span, Standing


class Change(NamedTuple):
    """A key's link from an instant on, in microseconds since 1970; None where it has none."""

    key: str
    start: int
    link: Link | None


def history(rules: IdentityRules, spans: Iterable[Span]) -> Iterator[Change]:
    """Every change of a link, in order of time; the spans of a key are all there.

    What is linked after an instant rests on spans that began up to it: who reads changes with
    start < as_of sees nothing of evidence from as_of on.
    """
    standing = Standing(rules)
    present: dict[str, Link] = {}
    for at, moves in groupby(sorted(_moves(spans)), key=lambda move: move[0]):
        touched: set[str] = set()
        for _, begins, span in moves:
            if begins:
                standing.begin(span)
                touched |= standing.touched(span)
            else:
                touched |= standing.touched(span)
                standing.finish(span)
        if not touched:
            continue
        keys = standing.around(touched)
        links = Grouping(standing, keys).links()
        for key in sorted(keys):
            link = links.get(key)
            if link != present.get(key):
                yield Change(key, at, link)
                if link is None:
                    del present[key]
                else:
                    present[key] = link


def doubts(rules: IdentityRules, spans: Iterable[Span], at: int) -> set[Doubt]:
    """What people should look at, of what is held at an instant."""
    standing = Standing(rules)
    keys = set()
    for span in spans:
        keys.add(span.key)
        if span.start < at <= span.end:  # as of `at`, what happens at it has not happened
            standing.begin(span)
    return Grouping(standing, standing.around(keys)).doubts


def _moves(spans: Iterable[Span]) -> Iterator[tuple[int, bool, Span]]:
    """Ends and beginnings; at one instant what ends goes first."""
    for span in spans:
        yield span.start, True, span
        if span.end < FOREVER:
            yield span.end, False, span
