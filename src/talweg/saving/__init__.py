"""Files of models: `.keras`, `.weights.h5`, JSON. Keras's `saving`."""

from talweg.core.serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from talweg.saving.damage import DamagedFile
from talweg.saving.editor import KerasFileEditor
from talweg.saving.models import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
)

__all__ = [
    "CustomObjectScope",
    "DamagedFile",
    "KerasFileEditor",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
