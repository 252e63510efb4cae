"""The shapes of `models/<model>.yaml`, one per kind of model; `task` names the kind."""

from tagline.definitions.models.binary import BinaryModel
from tagline.definitions.models.head import LabelQuery, ModelHead, Panels

# a union, told apart by `task`, as soon as there are several kinds
AnyModel = BinaryModel

__all__ = ["AnyModel", "BinaryModel", "LabelQuery", "ModelHead", "Panels"]
