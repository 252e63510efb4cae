"""The shape of `identity/<business>.yaml`: which keys of several systems are one customer."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.types import Definition, Sentence, Slug


class EvidenceKind(Definition):
    """A kind of evidence; its name is the `kind` of rows of the table `identity_evidence`."""

    description: Sentence


class SharedValue(Definition):
    """Keys that hold the same value at the same time belong together.

    A value that more than `most_keys` keys have held proves nothing any more, from the one too
    many on.
    """

    name: Slug
    by: Literal["shared"]
    kind: Slug
    most_keys: int = Field(ge=2, le=200)
    strength: Literal["strong", "weak"]


class Mention(Definition):
    """A key that names a value belongs to the keys that hold it then, also when they later do not.

    What is mentioned are values of the kind `of`, and it counts once `at_least` mentions lead to
    the same key. A value that more than `most_keys` keys hold proves nothing.
    """

    name: Slug
    by: Literal["mention"]
    kind: Slug
    of: Slug
    at_least: int = Field(1, ge=1, le=100)
    most_keys: int = Field(10, ge=1, le=200)
    strength: Literal["strong", "weak"]


class Statement(Definition):
    """The value names another key, and says that both belong together.

    Where it is taken back, the two are kept apart from then on, whatever else links them.
    """

    name: Slug
    by: Literal["statement"]
    kind: Slug
    strength: Literal["strong"] = "strong"


IdentityRule = Annotated[SharedValue | Mention | Statement, Field(discriminator="by")]


class Contradiction(Definition):
    """Customers with two different values of a kind are two customers.

    Values of one length that differ in at most `slips` characters may be the same, mistyped.
    """

    kind: Slug
    slips: int = Field(0, ge=0, le=3)


class IdentityRules(Definition):
    """By which evidence keys are one customer: the stronger rules first.

    A key that holds a value of the kind `lead` leads: the value is the number of a customer. The
    earliest of those who are one customer gives it the number. A strong rule brings two of them
    together; a weak one only attaches keys that have no number.
    """

    description: Sentence
    kinds: dict[Slug, EvidenceKind] = Field(min_length=2)
    lead: Slug
    rules: tuple[IdentityRule, ...] = Field(min_length=1)
    contradictions: tuple[Contradiction, ...] = ()

    @model_validator(mode="after")
    def _rules_once(self) -> Self:
        names = [rule.name for rule in self.rules]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"rule {repeated[0]!r} is named twice")
        return self
