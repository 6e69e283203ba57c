"""Reading `.h5` files as Keras 2 wrote them, and Keras 3 does when it is asked to.

The config is JSON in an attribute; weights lie under the names of their layers, in the
order of `layer.weights`, trainable ones first.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core.serialization import catalog_of, custom_object_scope, deserialize_keras_object
from talweg.core.serialization import get_registered_object as registered
from talweg.models import operations
from talweg.saving import hdf5, records
from talweg.saving.hdf5 import DamagedFile, Weights

_PLACES = ("layers", "initializers", "regularizers", "constraints", "optimizers", "losses",
           "metrics")  # fmt: skip
_SCHEDULES = "keras.optimizers.schedules"
# Arguments of Keras 2 that choose an implementation, not a result.
_DROPPED = ("implementation", "time_major")
_LONGEST = 1 << 20


def load_legacy(
    path: Path, custom_objects: Mapping[str, Any] | None, compile: bool, allow_nan: bool
) -> Any:
    """The model in an `.h5` file, with the state of its optimizer where that fits."""
    from talweg.saving.models import _budget, _spending, _tried, model_of

    with hdf5.opened(str(path), path.name) as weights:
        name = f"model_config of {path.name}"
        record = _json(weights, "model_config", name)
        with custom_object_scope(custom_objects), _spending(_budget(weights), path.name):
            record = _modern(record)
            records.vet(record, name)
            model = model_of(record, name, compile=False)
            training = "training_config"
            if compile and training in weights.attributes:
                told = _json(weights, training, f"{training} of {path.name}")
                arguments = _modern({**told, "optimizer": told.get("optimizer_config")})
                records.vet(arguments, f"{training} of {path.name}")
                _tried(lambda: _compile(model, arguments), f"{training} of {path.name}")
        load_by_layer(model, weights, "model_weights", False, allow_nan)
        if compile and model.compiled:
            _load_optimizer(model, weights)
    return model


def _compile(model: Any, told: Mapping[str, Any]) -> None:
    keys = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    given = {key: deserialize_keras_object(told[key]) for key in keys if told.get(key) is not None}
    model.compile(**{key: _flat(value) for key, value in given.items()})


def _flat(value: Any) -> Any:
    """Keras 2 put the metrics of its one output into a list of their own."""
    one = isinstance(value, list) and len(value) == 1 and isinstance(value[0], list)
    return value[0] if one else value


def _json(weights: Weights, key: str, name: str) -> dict[str, Any]:
    if key not in weights.attributes:
        raise DamagedFile(f"{weights.name} has no {key}: it holds weights only, or no model.")
    text = weights.file.attrs[key]
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


def _names(group: Any, key: str) -> list[str]:
    """A list of names, in as many attributes as it needed."""
    if key in group.attrs:
        return [_text(name) for name in np.ravel(group.attrs[key])[:_LONGEST]]
    return [_text(name) for part in _parts(group, key) for name in np.ravel(part)]


def _parts(group: Any, key: str) -> Iterator[Any]:
    number = 0
    while f"{key}{number}" in group.attrs:
        yield group.attrs[f"{key}{number}"]
        number += 1


def _text(name: Any) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


def load_by_layer(
    model: Any, weights: Weights, below: str, skip_mismatch: bool, allow_nan: bool
) -> None:
    """Weights by the order of the layers, as `.h5` files have them.

    Args:
        below: the group that holds the layers; "" for the file's root.

    Raises:
        ValueError: another number of layers or weights, other shapes; nothing was changed.
    """
    group = weights.file[below] if below else weights.file
    prefix = f"{below}/" if below else ""
    stored = []
    for name in _names(group, "layer_names"):
        names = _names(group[name], "weight_names")
        if names:
            stored.append((name, [f"{prefix}{name}/{weight}" for weight in names]))
    layers = [layer for layer in model.layers if layer.weights]
    problems: list[str] = []
    if len(stored) != len(layers):
        problems.append(f"the file has {len(stored)} layers with weights, the model {len(layers)}")
    pairs = []
    for (name, paths), layer in zip(stored, layers, strict=False):
        mine = _in_order(layer)
        if len(paths) != len(mine):
            problems.append(f"{name}: {len(paths)} weights, layer {layer.name!r} has {len(mine)}")
            continue
        for path, variable in zip(paths, mine, strict=True):
            dataset = weights.datasets.get(path)
            if dataset is None:
                problems.append(f"{path} is missing")
                continue
            different = weights.difference(dataset, variable.shape, variable.value.dtype)
            if different:
                problems.append(f"{path} {different}")
            else:
                pairs.append((variable, dataset))
    if problems and not skip_mismatch:
        raise ValueError(f"{weights.name} does not fit the model: {'; '.join(problems[:8])}.")
    if problems:
        what = "; ".join(problems[:8])
        warnings.warn(f"{weights.name}: not all of it was loaded: {what}.", stacklevel=4)
    values = [weights.read(dataset) for _, dataset in pairs]
    if not allow_nan and any(np.isnan(v).any() for v in values if v.dtype.kind == "f"):
        raise DamagedFile(f"{weights.name} holds NaN. Pass allow_nan=True to load it all the same.")
    for (variable, _), value in zip(pairs, values, strict=True):
        variable.assign(value)


def _in_order(layer: Any) -> list[Any]:
    """The weights of a layer, trainable ones first, as they were made."""
    weights = layer.weights
    return [v for v in weights if v.made_trainable] + [v for v in weights if not v.made_trainable]


def _load_optimizer(model: Any, weights: Weights) -> None:
    """The optimizer's state, where it is that of Keras 3; else a new one begins."""
    if "optimizer_weights" not in weights.file:
        return
    model.optimizer.build(model.trainable_variables)
    variables = model.optimizer.variables
    names = _names(weights.file["optimizer_weights"], "weight_names")
    found = [weights.datasets.get(f"optimizer_weights/{name}") for name in names]
    fits = len(found) == len(variables) and all(
        dataset is not None
        and not weights.difference(dataset, variable.shape, variable.value.dtype)
        for dataset, variable in zip(found, variables, strict=False)
    )
    if not fits:
        warnings.warn(
            f"{weights.name}: the state of its optimizer is not that of {model.optimizer.name}; "
            "the optimizer begins anew.",
            stacklevel=4,
        )
        return
    for variable, value in zip(variables, [weights.read(d) for d in found], strict=True):
        variable.assign(value)
