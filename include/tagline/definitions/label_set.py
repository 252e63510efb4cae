"""The shape of `labels/<label_set>.yaml`: a question that people answer of customers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.types import Definition, Names, Sentence, Slug

WITHDRAW = "withdraw"  # written in place of a value, takes that person's earlier answer back


class LabelValue(Definition):
    """One answer to the question, with what tells annotators when to give it."""

    name: Names
    guideline: Names


class LabelSet(Definition):
    """A question with its answers, and when the answers of people count; its name is the file's.

    A customer's label is the answer of more than half of the annotators, once `min_annotators`
    have judged. Where they disagree, the newest answer of an adjudicator decides, and only there.
    Agreement is measured without the adjudicators, who have seen the others' answers.
    """

    name: Names
    description: Sentence
    owner: Slug
    question: Names
    values: dict[Slug, LabelValue] = Field(min_length=2)
    speaks_of: Literal["asked", "judged"] = "asked"
    min_annotators: int = Field(2, ge=2, le=20)
    min_kappa: float = Field(0.6, ge=0, lt=1)
    min_customers: int = Field(100, ge=20)
    adjudicators: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_can_be_answered(self) -> Self:
        if WITHDRAW in self.values:
            raise ValueError(
                f"{WITHDRAW!r} is no name for a value: on a sheet it takes an answer back"
            )
        return self

    @model_validator(mode="after")
    def _adjudicators_once(self) -> Self:
        repeated = sorted({one for one in self.adjudicators if self.adjudicators.count(one) > 1})
        if repeated:
            raise ValueError(f"adjudicator {repeated[0]!r} is named twice")
        return self
