"""The shape of `policies/<policy>.yaml`: a grade for every one of a subject."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.grading import Grading
from tagline.definitions.tag import Stability
from tagline.definitions.types import Duration, Names, Sentence, Slug


class PolicyDefinition(Grading):
    """等级 A policy: tags that speak for and against, limits, and what a grade takes.

    It makes tags, which stand in the catalogue under its theme and dimension: the grade by the
    policy's own name, and others whose names begin with it.
    """

    name: Names
    description: Sentence
    owner: Slug
    theme: Slug
    dimension: Slug
    valid_for: Duration = Field(default="2 days", validate_default=True)
    sensitivity: Literal["open", "internal", "restricted"] = "open"
    critical: bool = False
    stability: Stability = Stability()

    @model_validator(mode="after")
    def _something_to_grade_by(self) -> Self:
        if not self.inputs:
            raise ValueError("a policy needs tags that speak for or against; add 'positive'")
        return self
