"""The shapes of `models/<model>.yaml`, one per kind of model; `task` names the kind."""

from typing import Annotated

from pydantic import Field

from tagline.definitions.models.binary import BinaryModel, HoldoutPanels
from tagline.definitions.models.campaign_uplift import CampaignUpliftModel
from tagline.definitions.models.circles import CirclesModel
from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead, Panels
from tagline.definitions.models.interests import InterestsModel
from tagline.definitions.models.multiclass import MulticlassModel
from tagline.definitions.models.purchase_process import PurchaseProcessModel
from tagline.definitions.models.similar_customers import SimilarCustomersModel

AnyModel = Annotated[
    BinaryModel
    | CampaignUpliftModel
    | CirclesModel
    | InterestsModel
    | MulticlassModel
    | PurchaseProcessModel
    | SimilarCustomersModel,
    Field(discriminator="task"),
]

__all__ = [
    "AnyModel",
    "BinaryModel",
    "CampaignUpliftModel",
    "CirclesModel",
    "DriftLimits",
    "HoldoutPanels",
    "InterestsModel",
    "LabelQuery",
    "ModelHead",
    "MulticlassModel",
    "Panels",
    "PurchaseProcessModel",
    "SimilarCustomersModel",
]
