"""Checks of identity rules against the business that they serve and the evidence it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tagline.crosscheck import Names
from tagline.definitions import BusinessDefinition, IdentityRules
from tagline.definitions.files import DefinitionFile, Location
from tagline.definitions.identity import Mention
from tagline.errors import Fault, did_you_mean

EVIDENCE = "identity_evidence"
IDENTITY = "identity"
RESOLVED = "resolved"


def check_identity(
    file: DefinitionFile,
    name: str,
    rules: IdentityRules,
    businesses: Mapping[str, BusinessDefinition],
    broken: Collection[tuple[str, str]],
) -> list[Fault]:
    """The business that rules are named after, and the kinds of evidence that they name."""
    faults = []
    if name in businesses:
        said_there = businesses[name].identity
        if said_there != RESOLVED:
            said = f"not used: businesses/{name}.yaml says identity: {said_there}, not resolved"
            faults.append(Fault(file.name, 1, said))
    elif ("businesses", name) not in broken:
        close = did_you_mean(name, businesses)
        said = f"no business {name!r}: the file is named as its business.{close}"
        faults.append(Fault(file.name, 1, said))
    used: list[tuple[Location, str]] = [(("lead",), rules.lead)]
    for index, rule in enumerate(rules.rules):
        used.append((("rules", index, "kind"), rule.kind))
        if isinstance(rule, Mention):
            used.append((("rules", index, "of"), rule.of))
    for index, contradiction in enumerate(rules.contradictions):
        used.append((("contradictions", index, "kind"), contradiction.kind))
    for place, kind in used:
        if kind not in rules.kinds:
            said = f"unknown kind {kind!r}: add it to kinds.{did_you_mean(kind, rules.kinds)}"
            faults.append(file.fault(place, said))
    named = {kind for _, kind in used}
    faults += [
        file.fault(("kinds", kind), f"kind {kind!r} is used by no rule: remove it, or add a rule")
        for kind in rules.kinds
        if kind not in named
    ]
    return faults


def check_resolved(
    file: DefinitionFile, name: str, business: BusinessDefinition, names: Names
) -> list[Fault]:
    """What a business needs for rules to resolve its identity: the rules, and evidence."""
    if business.identity != RESOLVED:
        return []
    faults = []
    place = (IDENTITY,)
    if name not in names.known("identities"):
        faults.append(file.fault(place, f"resolved by no rules: add the file identity/{name}.yaml"))
    sources = {each: names.sources[each] for each in business.sources if each in names.sources}
    unread = set(business.sources) - set(sources)  # unknown or with faults, which are told
    if not unread and not any(EVIDENCE in source.feeds for source in sources.values()):
        said = f"no source of {name} feeds {EVIDENCE}, of which identity is resolved"
        faults.append(file.fault(place, said))
    faults += [
        file.fault(place, f"source {each} feeds {IDENTITY}, which is resolved here: do not feed it")
        for each, source in sources.items()
        if IDENTITY in source.feeds
    ]
    return faults
