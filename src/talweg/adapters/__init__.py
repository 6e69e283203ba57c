"""Adapters: models and layers of other libraries, trained by the engine of talweg."""

from talweg.adapters.base import Adapter
from talweg.adapters.equinox import equinox_module
from talweg.adapters.keras import keras_model
from talweg.adapters.keras_layer import keras_layer
from talweg.adapters.nnx import nnx_module

__all__ = ["Adapter", "equinox_module", "keras_layer", "keras_model", "nnx_module"]
