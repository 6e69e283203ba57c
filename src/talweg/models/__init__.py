"""Models: layers that can be compiled, fitted, evaluated and asked."""

from talweg.core.serialization import Catalog
from talweg.models.model import Model
from talweg.models.sequential import Sequential

__all__ = ["Model", "Sequential"]

_catalog = Catalog("model", globals(), Model, module="keras")
