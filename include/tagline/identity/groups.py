"""Who is one customer as of an instant: the rules in order, over all that is held then.

Two keys that lead come together by strong evidence that they hold themselves, and only if nothing
contradicts. A key that does not lead goes where its evidence names one customer; where it names
several, it stays alone, a weaker rule may decide, and people are told. So no chain of attached
keys ever joins two customers, and the order of rows never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from tagline.definitions.identity import Contradiction, IdentityRules
from tagline.identity.standing import Standing, Tie

LEAD = "lead"  # the rule of the key that gives its customer the number


class Link(NamedTuple):
    """Which customer a key is, by which rule, value and other key; a lead has no other key."""

    customer_id: str
    rule: str
    evidence: str
    linked_key: str | None


class Doubt(NamedTuple):
    """Something for people to look at.

    `contradiction`: evidence for one customer, but something says two. `ambiguous`: a key whose
    evidence names several customers. `candidate`: weak evidence that two customers are one.
    """

    kind: str
    rule: str
    evidence: str
    keys: tuple[str, ...]
    against: str  # what contradicts


@dataclass(eq=False)
class _Group:
    """Keys that are one; `root` is the key to which the others are linked."""

    root: str
    keys: list[str]
    leads: list[tuple[int, str, str]] = field(default_factory=list)  # since, number, key
    traits: dict[str, set[str]] = field(default_factory=dict)


class Grouping:
    """The groups of some keys that are closed under ties, and what is doubtful about them."""

    def __init__(self, standing: Standing, keys: Iterable[str]) -> None:
        self.standing = standing
        self.rules: IdentityRules = standing.rules
        self.doubts: set[Doubt] = set()
        self.why: dict[str, tuple[str, str, str]] = {}  # rule, evidence, other key
        self.of: dict[str, _Group] = {}
        for key in keys:
            lead = standing.leads.get(key)
            group = _Group(key, [key], [(*lead, key)] if lead else [])
            for kind, value in standing.traits.get(key, ()):
                group.traits.setdefault(kind, set()).add(value)
            self.of[key] = group
        ties = standing.ties(self.of)
        for number, rule in enumerate(self.rules.rules):
            if number in ties:
                self._apply(rule.name, rule.strength == "strong", ties[number])

    def links(self) -> dict[str, Link]:
        """The customer of each key that has one."""
        found = {}
        for key, group in self.of.items():
            if not group.leads:
                continue
            _, number, lead = min(group.leads)
            if key == lead:
                found[key] = Link(number, LEAD, number, None)
            else:
                rule, evidence, other = self.why[key]
                found[key] = Link(number, rule, evidence, other)
        return found

    def _apply(self, rule: str, strong: bool, ties: Sequence[Tie]) -> None:
        self._join_leading(rule, strong, ties)
        self._attach(rule, ties, led=True)
        if strong:
            while self._attach(rule, ties, led=False):
                pass
            self._join_free(rule, ties)

    # Groups that lead

    def _join_leading(self, rule: str, strong: bool, ties: Sequence[Tie]) -> None:
        leading = []
        for tie in ties:
            keys = sorted(key for key in tie.keys if key in self.standing.leads)
            groups = self._groups(keys)
            if len(groups) < 2:
                continue
            against = self._against(groups)
            if strong and against is None:
                leading.append((tie, keys))
            elif strong or against is None:
                kind = "contradiction" if strong else "candidate"
                self._doubt(kind, rule, tie, keys, against)
        self._join(rule, leading)

    def _join_free(self, rule: str, ties: Sequence[Tie]) -> None:
        """Bring keys together that have no customer yet, for a later rule to attach."""
        free = []
        for tie in ties:
            keys = sorted(key for key in tie.keys if not self.of[key].leads)
            groups = self._groups(keys)
            if len(groups) > 1 and self._against(groups) is None:
                free.append((tie, keys))
        self._join(rule, free)

    def _join(self, rule: str, wanted: Sequence[tuple[Tie, list[str]]]) -> None:
        """Join the groups of each tie, unless ties together would join what contradicts."""
        for part in _connected([(tie, keys, self._groups(keys)) for tie, keys in wanted]):
            every = self._groups([key for _, keys, _ in part for key in keys])
            against = self._against(every)
            for tie, keys, _ in sorted(part, key=lambda each: _age(each[0])):
                if against is not None:
                    self._doubt("contradiction", rule, tie, keys, against)
                    continue
                first = min(keys, key=lambda key: (_rank(self.of[key]), tie.keys[key], key))
                for key in keys:
                    if self.of[key] is not self.of[first]:
                        self._merge(rule, tie, key, first)

    # Keys that do not lead

    def _attach(self, rule: str, ties: Sequence[Tie], *, led: bool) -> bool:
        """Attach free groups to the one customer that their ties name; whether any was.

        With `led`, keys that lead name their customer; else those attached already do.
        """
        named: dict[_Group, list[tuple[Tie, str, str]]] = defaultdict(list)
        vague: dict[_Group, list[Tie]] = defaultdict(list)
        for tie in ties:
            free = [key for key in tie.keys if not self.of[key].leads]
            if not free:
                continue
            holders = [
                key
                for _, key in sorted((since, key) for key, since in tie.keys.items())
                if (key in self.standing.leads if led else bool(self.of[key].leads))
            ]
            groups = self._groups(holders)
            for key in free:
                if len(groups) == 1:
                    named[self.of[key]].append((tie, key, holders[0]))  # the first to hold it
                elif groups:
                    vague[self.of[key]].append(tie)
        decided = []
        for group in sorted({*named, *vague}, key=lambda each: each.root):
            choice = self._choice(rule, group, named[group], vague[group])
            if choice is not None:
                decided.append(choice)
        attached = False
        for tie, key, holder in decided:
            if self._against([self.of[key], self.of[holder]]) is None:
                self._merge(rule, tie, key, holder)
                attached = True
        return attached

    def _choice(
        self,
        rule: str,
        group: _Group,
        named: Sequence[tuple[Tie, str, str]],
        vague: Sequence[Tie],
    ) -> tuple[Tie, str, str] | None:
        """The tie by which a group is attached, if its ties name one customer."""
        fitting = []
        for tie, key, holder in sorted(named, key=lambda each: (_age(each[0]), each[1:])):
            against = self._against([group, self.of[holder]])
            if against is None:
                fitting.append((tie, key, holder))
            else:
                self._doubt("contradiction", rule, tie, [key, holder], against)
        if len({id(self.of[holder]) for _, _, holder in fitting}) == 1:
            return fitting[0]
        for tie in [tie for tie, _, _ in fitting] or vague:
            self._doubt("ambiguous", rule, tie, [group.root, *tie.keys], None)
        return None

    # What both need

    def _merge(self, rule: str, tie: Tie, key: str, other: str) -> None:
        """Put the group of `key` into that of `other`."""
        left, into = self.of[key], self.of[other]
        if _rank(left) < _rank(into):
            left, into, other = into, left, key
        self.why[left.root] = rule, tie.shown, other
        into.leads += left.leads
        into.keys += left.keys
        for kind, values in left.traits.items():
            into.traits.setdefault(kind, set()).update(values)
        for each in left.keys:
            self.of[each] = into

    def _groups(self, keys: Iterable[str]) -> list[_Group]:
        return list({id(self.of[key]): self.of[key] for key in keys}.values())

    def _against(self, groups: Sequence[_Group]) -> str | None:
        """Why two of the groups are not one customer; None if nothing says so."""
        for one, other in combinations(groups, 2):
            for contradiction in self.rules.contradictions:
                kind = contradiction.kind
                for first in sorted(one.traits.get(kind, ())):
                    for second in sorted(other.traits.get(kind, ())):
                        if not _alike(first, second, contradiction):
                            return f"{kind} {min(first, second)} and {max(first, second)}"
            few, many = sorted((one, other), key=lambda each: len(each.keys))
            for key in few.keys:
                for told in sorted(self.standing.apart.get(key, ())):
                    if self.of.get(told) is many:
                        return f"{min(key, told)} and {max(key, told)} were taken apart"
        return None

    def _doubt(
        self, kind: str, rule: str, tie: Tie, keys: Iterable[str], against: str | None
    ) -> None:
        self.doubts.add(Doubt(kind, rule, tie.shown, tuple(sorted(set(keys))), against or ""))


def _rank(group: _Group) -> tuple[bool, tuple[int, str, str] | tuple[()], str]:
    """Groups that lead come first, the earliest of them before the others."""
    return not group.leads, min(group.leads, default=()), group.root


def _age(tie: Tie) -> tuple[int, str]:
    """From when on a tie is one: older evidence explains a link before newer."""
    return sorted(tie.keys.values())[1], tie.label


def _alike(first: str, second: str, contradiction: Contradiction) -> bool:
    """Whether two values may be the same, mistyped.

    >>> _alike("91320100", "91320180", Contradiction(kind="tax_number", slips=1))
    True
    """
    if first == second:
        return True
    if not contradiction.slips or len(first) != len(second):
        return False
    differing = sum(one != other for one, other in zip(first, second, strict=True))
    return differing <= contradiction.slips


_Wanted = tuple[Tie, list[str], list[_Group]]


def _connected(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    """Ties that have groups in common, directly or not, together."""
    left = list(wanted)
    while left:
        part, groups = [left.pop(0)], set()
        groups |= {id(group) for group in part[0][2]}
        while joined := [each for each in left if groups & {id(group) for group in each[2]}]:
            part += joined
            left = [each for each in left if each not in joined]
            groups |= {id(group) for _, _, found in joined for group in found}
        yield part
