"""Reading `.h5` files as Keras 2 wrote them, and Keras 3 does when it is asked to.

The config is JSON in an attribute; weights lie under the names of their layers, those that
learn first.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core.serialization import catalog_of, custom_object_scope, deserialize_keras_object
from talweg.core.serialization import get_registered_object as registered
from talweg.models import operations
from talweg.saving import hdf5, making, records
from talweg.saving.damage import DamagedFile
from talweg.saving.filling import Filling
from talweg.saving.hdf5 import Weights

_PLACES = ("layers", "initializers", "regularizers", "constraints", "optimizers", "losses",
           "metrics")  # fmt: skip
_SCHEDULES = "keras.optimizers.schedules"
# Arguments of Keras 2 that choose an implementation, not a result.
_DROPPED = ("implementation", "time_major")
# Where the weights lie that a model holds beside its layers.
TOP = "top_level_model_weights"
OPTIMIZER = "optimizer_weights"


def load_legacy(
    path: Path, custom_objects: Mapping[str, Any] | None, compile: bool, allow_nan: bool
) -> Any:
    """The model in an `.h5` file, with the state of its optimizer where that fits."""
    with hdf5.opened(str(path), path.name) as weights:
        name = f"model_config of {path.name}"
        record = _json(weights, "model_config", name)
        with custom_object_scope(custom_objects), making.spending(weights):
            record = making.tried(lambda: _vetted(record, name), name)
            model = making.model_of(record, name, compile=False)
            training = "training_config"
            if compile and weights.attribute("", training) is not None:
                told = _json(weights, training, f"{training} of {path.name}")
                told = {**told, "optimizer": told.get("optimizer_config")}
                name = f"{training} of {path.name}"
                making.tried(lambda: _compile(model, _vetted(told, name)), name)
        load_by_layer(model, weights, "model_weights", False, allow_nan)
        if compile and model.compiled:
            _load_optimizer(model, weights)
    return model


def _vetted(record: dict[str, Any], name: str) -> dict[str, Any]:
    modern = _modern(record)
    records.vet(modern, name)
    return modern


def _compile(model: Any, told: Mapping[str, Any]) -> None:
    keys = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    given = {key: deserialize_keras_object(told[key]) for key in keys if told.get(key) is not None}
    model.compile(**{key: _flat(value) for key, value in given.items()})


def _flat(value: Any) -> Any:
    """Keras 2 put the metrics of its one output into a list of their own."""
    one = isinstance(value, list) and len(value) == 1 and isinstance(value[0], list)
    return value[0] if one else value


def _json(weights: Weights, key: str, name: str) -> dict[str, Any]:
    text = weights.attribute("", key)
    if text is None:
        raise DamagedFile(f"{weights.name} has no {key}: it holds weights only, or no model.")
    if not isinstance(text, (str, bytes, np.bytes_)):
        raise DamagedFile(f"{name} is no text.")
    return records.parse(text.encode() if isinstance(text, str) else bytes(text), name)


def _modern(value: Any, depth: int = 0) -> Any:
    """Records with the module that older ones lack."""
    if depth > 200:
        raise DamagedFile("The config is nested too deeply.")
    if isinstance(value, list):
        return [_modern(item, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    made = {key: _modern(item, depth + 1) for key, item in value.items()}
    class_name = made.get("class_name")
    if not isinstance(class_name, str) or not isinstance(made.get("config"), Mapping):
        return made
    made["config"] = {k: v for k, v in made["config"].items() if k not in _DROPPED}
    if class_name == "BatchNormalization" and isinstance(made["config"].get("axis"), list):
        made["config"]["axis"] = (made["config"]["axis"] or [-1])[0]
    if made.get("module") is None and registered(class_name) is None:
        found = _place(class_name, made["config"])
        if found is not None:
            made["module"], made["class_name"] = found
    return made


def _place(class_name: str, config: Mapping[str, Any]) -> tuple[str, str] | None:
    # Layers say whether they are trainable: Multiply is one, and an operation, too.
    if "trainable" not in config and operations.find("keras.src.ops.numpy", class_name):
        return "keras.src.ops.numpy", class_name
    if class_name in ("Functional", "Model"):
        return "keras.src.models.functional", "Functional"
    if class_name == "Sequential":
        return "keras", class_name
    for module in (*(f"keras.{place}" for place in _PLACES), _SCHEDULES):
        catalog = catalog_of(module)
        if catalog is not None and catalog.module == module:
            by_name = {name.lower(): name for name in catalog.classes()}
            if class_name.lower() in by_name:  # Keras 2 wrote "adam" for Adam
                return module, by_name[class_name.lower()]
    return None


def place_of_layers(weights: Weights) -> str | None:
    """The group whose attributes name the layers; None where it is a file of Keras 3."""
    for below in ("", "model_weights"):
        if _names(weights, below, "layer_names") is not None:
            return below
    return None


def _names(weights: Weights, group: str, key: str) -> list[str] | None:
    """A list of names, in as many attributes as it needed; None where there is none."""
    found = [weights.attribute(group, key)]
    if found[0] is None:
        numbered = (weights.attribute(group, f"{key}{number}") for number in itertools.count())
        found = list(itertools.takewhile(lambda part: part is not None, numbered))
    if not found:
        return None
    names = [name for part in found for name in np.ravel(part).tolist()]
    if not all(isinstance(name, (str, bytes)) for name in names):
        raise DamagedFile(f"{weights.name}: {key} of {group!r} are no names.")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def load_by_layer(
    model: Any,
    weights: Weights,
    below: str,
    skip_mismatch: bool,
    allow_nan: bool,
    by_name: bool = False,
) -> None:
    """Weights by the order of the layers, as `.h5` files have them.

    Args:
        below: the group that holds the layers; "" for the file's root.
        by_name: whether layers find theirs by their names; those without keep what they have.

    Raises:
        ValueError: another number of layers or weights, other shapes; nothing was changed.
    """
    filling = Filling(weights)
    stored = _stored_layers(weights, below)
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        named = {layer.name: layer for layer in layers}
        pairs = [(in_order(layer), stored[name]) for name, layer in named.items() if name in stored]
        if not pairs:
            raise ValueError(
                f"{weights.name}: no layer of the model has a name of the file's layers: "
                f"{', '.join(stored) or 'it has none'}. The model's: {', '.join(named)}."
            )
    else:
        mine = [in_order(layer) for layer in layers]
        pairs = list(itertools.zip_longest(mine, stored.values(), fillvalue=()))
    pairs.append((model._own_weights(), _stored_weights(weights, below, TOP)))
    for variables, paths in pairs:
        filling.pair_all(variables, _as_named(variables, paths))
    filling.settle(skip_mismatch, optimizer=False)
    filling.carry_out(allow_nan)


def _stored_layers(weights: Weights, below: str) -> dict[str, list[str]]:
    """The paths of the weights of every layer in a file that has any, by the layer's name."""
    names = _names(weights, below, "layer_names") or ()
    found = {name: _stored_weights(weights, below, name) for name in names}
    return {name: paths for name, paths in found.items() if paths}


def _stored_weights(weights: Weights, below: str, name: str) -> list[str]:
    """The paths of the weights in one group, in order."""
    path = f"{below}/{name}" if below else name
    return [f"{path}/{weight}" for weight in _names(weights, path, "weight_names") or ()]


def _as_named(variables: Sequence[Any], paths: Sequence[str]) -> Sequence[str]:
    """The paths in the order of the variables, by the names of both where these are the same.

    Else as they come: other parts may have stood still when the file was written.
    """
    names = [_end(variable.path) for variable in variables]
    named = {_end(path): path for path in paths}
    if len(named) == len(names) == len(paths) and named.keys() == set(names):
        return [named[name] for name in names]
    return paths


def _end(path: str) -> str:
    """The layer and the weight: Keras 2 put a ":0" behind them."""
    return "/".join(path.removesuffix(":0").split("/")[-2:])


def in_order(layer: Any) -> list[Any]:
    """The weights of a layer as they stand in a file: those that learn now, then those that do not.

    In a layer that stands still, with all that is in it, they are in the order of `weights`.
    """
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _load_optimizer(model: Any, weights: Weights) -> None:
    """The optimizer's state, where it is that of Keras 3; else a new one begins."""
    names = _names(weights, OPTIMIZER, "weight_names")
    if names is None:
        return
    paths = [f"{OPTIMIZER}/{name}" for name in names]
    filling = Filling(weights)
    filling.pair_optimizer(model.optimizer, paths, model.trainable_variables)
    filling.settle(skip_mismatch=False, optimizer=False)
    filling.carry_out(allow_nan=False)
