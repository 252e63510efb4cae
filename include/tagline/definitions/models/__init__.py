"""The shapes of `models/<model>.yaml`, one per kind of model; `task` names the kind."""

from typing import Annotated

from pydantic import Field

from tagline.definitions.models.binary import BinaryModel
from tagline.definitions.models.campaign_uplift import CampaignUpliftModel
from tagline.definitions.models.circles import CirclesModel
from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead, Panels
from tagline.definitions.models.multiclass import MulticlassModel
from tagline.definitions.models.purchase_process import PurchaseProcessModel

AnyModel = Annotated[
    BinaryModel | CampaignUpliftModel | CirclesModel | MulticlassModel | PurchaseProcessModel,
    Field(discriminator="task"),
]

__all__ = [
    "AnyModel",
    "BinaryModel",
    "CampaignUpliftModel",
    "CirclesModel",
    "DriftLimits",
    "LabelQuery",
    "ModelHead",
    "MulticlassModel",
    "Panels",
    "PurchaseProcessModel",
]
