"""Models: layers that can be compiled, fitted, evaluated and asked."""

from talweg.core.serialization import Catalog
from talweg.models.cloning import clone_model
from talweg.models.files import load_model, model_from_json, save_model
from talweg.models.functional import Functional
from talweg.models.model import Model
from talweg.models.sequential import Sequential

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

# Without functions: no record may name load_model.
_catalog = Catalog("model", globals(), Model, module="keras", only_classes=True)
