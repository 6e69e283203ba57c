"""Keras's `utils`: seeds, labels, custom objects, the progress bar."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg import ops
from talweg.backend import clear_session, is_keras_tensor
from talweg.callbacks import Progbar
from talweg.callbacks.console import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from talweg.core import errors
from talweg.core.absent import refusing
from talweg.core.dtypes import standardize_dtype
from talweg.core.named_values import Config
from talweg.core.random import set_random_seed
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
from talweg.data import PyDataset
from talweg.data.download import get_file
from talweg.data.folders import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from talweg.data.pictures import array_to_img, img_to_array, load_img, save_img
from talweg.data.samples import split_dataset
from talweg.data.sequences import pad_sequences, timeseries_dataset_from_array
from talweg.models.drawing import model_to_dot, plot_model
from talweg.models.feature_space import FeatureSpace
from talweg.ops.keras_tensor import KerasTensor

Sequence = PyDataset

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = refusing(__name__)


def get_source_inputs(tensor: Any) -> Any:
    """The inputs that a symbolic tensor is computed from; anything else as it is.

    >>> x = KerasTensor((None, 3))
    >>> get_source_inputs(x + 1.0) == [x]
    True
    """
    if not isinstance(tensor, KerasTensor):
        return tensor
    if tensor.node is None or not tensor.node.parents:
        return [tensor]
    found = (source for parent in tensor.node.parents for source in get_source_inputs(parent))
    return list({id(source): source for source in found}.values())


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as one-hot rows, a JAX array where `x` is one, else a NumPy array.

    Args:
        x: integers from 0, of any shape; a last axis of size 1 is dropped.
        num_classes: the number of classes; the largest number + 1 by default.

    Raises:
        ValueError: a number outside 0 … num_classes - 1.

    >>> to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if isinstance(x, jax.core.Tracer) and num_classes:  # in a loss: there are no values to check
        return jax.nn.one_hot(x[..., 0] if x.ndim > 1 and x.shape[-1] == 1 else x, num_classes)
    labels = np.asarray(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = num_classes or int(labels.max(initial=-1)) + 1
    if labels.size and not (labels.min() >= 0 and labels.max() < count):
        bad = labels[(labels < 0) | (labels >= count)].flat[0]
        raise errors.invalid("to_categorical", "every label", f"in 0 … {count - 1}", int(bad))
    rows = np.eye(count, dtype="float32")[labels]
    return jnp.asarray(rows) if isinstance(x, jax.Array) else rows


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` divided by its norm along an axis; zeros stay zeros. A JAX array stays one.

    A NumPy array keeps its type of floating numbers; of integers it becomes float64. Tensors of
    a loss or a functional model are divided too, as by `ops.normalize`.

    >>> normalize([[3.0, 4.0]]).round(1)
    array([[0.6, 0.8]], dtype=float32)
    """
    if isinstance(x, (jax.Array, KerasTensor)):
        floats = x if jnp.issubdtype(x.dtype, jnp.floating) else ops.cast(x, "float32")
        return ops.normalize(floats, axis, order)
    array = np.asarray(x)
    if not isinstance(x, np.ndarray):
        array = array.astype("float32")
    elif array.dtype.kind != "f":
        array = array.astype("float64")
    norm = np.linalg.norm(array, ord=order, axis=axis, keepdims=True)
    return array / np.where(norm == 0, 1, norm)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` from what `train_step` is given, None for what is missing."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise errors.invalid("unpack_x_y_sample_weight", "data", "of 1 to 3 parts", len(data))
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`."""
    if sample_weight is not None:
        return (x, y, sample_weight)
    return (x, y) if y is not None else (x,)
