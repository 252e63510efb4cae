"""What is made of a changed tag: tags, models and saved audiences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagline.errors import ModelRefused
from tagline.plan.differences import Difference, model_reads, readers_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tagline.deployment import Deployment


@dataclass(frozen=True)
class Readers:
    """Looks up what reads a tag, directly or through others.

    `audiences` gives per saved audience the tags that it reads; `refused` per model why it can
    score no more until it is trained again.
    """

    deployment: Deployment
    audiences: Mapping[str, frozenset[str]]
    refused: Mapping[str, str]

    def of(self, difference: Difference) -> dict[str, Any]:
        """`{tags, models, audiences}` downstream of one difference."""
        catalog = self.deployment.catalog
        names = {difference.slug} | ({difference.before} if difference.before else set())
        readers = readers_of(catalog, names)
        reach = names | readers
        order = list(catalog.tags)
        models = [
            {"model": model, "needs_training": model in self.refused}
            | ({"reason": self.refused[model]} if model in self.refused else {})
            for model in catalog.models
            if reach & set(model_reads(catalog, model))
        ]
        return {
            "tags": sorted(readers, key=order.index),
            "models": models,
            "audiences": [name for name, reads in self.audiences.items() if reach & reads],
        }


def refusals(
    deployment: Deployment, as_of: datetime, found: Sequence[Difference]
) -> dict[str, str]:
    """Of the models that read a changed tag, those that need training, with the reason."""
    from tagline.training.score import serving_version

    catalog = deployment.catalog
    slugs = {difference.slug for difference in found}
    refused = {}
    for model in catalog.models:
        if slugs & set(model_reads(catalog, model)):
            try:
                serving_version(deployment, model, as_of)
            except ModelRefused as error:
                refused[model] = str(error)
    return refused
