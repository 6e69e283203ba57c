"""Writing `.h5` files as Keras 2 laid them out, which Keras 3 still does.

What `talweg.saving.legacy` reads: JSON in attributes, and the weights under the names of their
layers.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from talweg.core import errors
from talweg.core.serialization import catalog_of, serialize_keras_object
from talweg.saving import hdf5
from talweg.saving.legacy import OPTIMIZER, TOP, in_order

# What fits into the header of one HDF5 object.
_LARGEST_LIST = 64512


def save_legacy(model: Any, path: Path, include_optimizer: bool, version: str) -> None:
    """Write a model as an `.h5` file, which replaces one of that name only when it is whole.

    Args:
        model: a Sequential or a functional model.
        path: the file.
        include_optimizer: whether it is compiled, with the optimizer's state, where it is opened.
        version: of Keras, whose layout it is.

    Raises:
        ValueError: a model that its config does not describe.
    """
    record = serialize_keras_object(model)
    if "layers" not in record["config"]:
        raise errors.invalid(
            "save", "the model", "a Sequential or a functional one for an .h5 file",
            type(model).__name__, "A name that ends in .keras takes any model.",
        )  # fmt: skip
    told = {"class_name": _name(record), "config": record["config"]}
    texts = {"keras_version": version, "backend": "jax", "model_config": json.dumps(told)}
    compiled = include_optimizer and model.compiled
    if compiled:
        texts["training_config"] = json.dumps(_training(model))
    with hdf5.replaced(path) as file:
        _tell(file, texts)
        _write_layers(file.create_group("model_weights"), model, version)
        if compiled and model.optimizer.variables:
            _write_weights(file.create_group(OPTIMIZER), model.optimizer.variables)


def save_legacy_weights(model: Any, path: Path, version: str) -> None:
    """Write the weights alone, as `save_weights` of Keras 2 did into an `.h5` file."""
    with hdf5.replaced(path) as file:
        _write_layers(file, model, version)


def _name(record: dict[str, Any]) -> str:
    return record.get("registered_name") or record["class_name"]


def _training(model: Any) -> dict[str, Any]:
    told = dict(model.get_compile_config())
    told.pop("optimizer", None)
    catalog = catalog_of("keras.losses")
    short = catalog.aliases if catalog is not None else {}
    for key in ("loss", "metrics", "weighted_metrics"):
        told[key] = _in_full(told.get(key), short)
    optimizer = serialize_keras_object(model.optimizer)
    told["optimizer_config"] = {"class_name": _name(optimizer), "config": optimizer["config"]}
    return told


def _in_full(value: Any, short: Mapping[str, str]) -> Any:
    """Names as they are in full: Keras writes "mse" into these files and does not read it."""
    if isinstance(value, str):
        return short.get(value, value)
    if isinstance(value, (list, tuple)):
        return [_in_full(item, short) for item in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _in_full(item, short) for key, item in value.items()}
    return value


def _write_layers(group: h5py.Group, model: Any, version: str) -> None:
    _tell(group, {"backend": "jax", "keras_version": version})
    _list(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        _write_weights(group.create_group(layer.name), in_order(layer))
    _write_weights(group.create_group(TOP), model._own_weights())


def _write_weights(group: h5py.Group, variables: Iterable[Any]) -> None:
    names: list[str] = []
    for i, variable in enumerate(variables):
        name = variable.path
        names.append(f"{name}_{i}" if name in group else name)
        hdf5.write_array(group, names[-1], variable)
    _list(group, "weight_names", names)


def _tell(group: h5py.Group, texts: dict[str, str]) -> None:
    for key, text in texts.items():
        group.attrs[key] = text.encode()


def _list(group: h5py.Group, key: str, names: list[str]) -> None:
    """Names as one attribute, or as several that are numbered where they are too long."""
    array = np.array([name.encode() for name in names])
    if array.nbytes <= _LARGEST_LIST:
        group.attrs[key] = array
        return
    each = _LARGEST_LIST // array.itemsize
    for number, start in enumerate(range(0, len(names), each)):
        group.attrs[f"{key}{number}"] = array[start : start + each]
