"""The file of an uplift model: whom does a treatment move?"""

from __future__ import annotations

from pydantic import Field

from tagline.definitions.types import Definition


class UpliftGate(Definition):
    """What a model of uplift must show on customers that it was not fitted on."""

    min_qini_area: float = Field(0.0, ge=0)  # the interval's lower end must lie above
    max_treatment_auc: float = Field(0.52, gt=0.5, le=1)  # above: the arms are not comparable
    min_responses: int = Field(30, ge=1)  # of each arm, and as many without a response
