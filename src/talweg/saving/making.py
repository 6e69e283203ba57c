"""A model out of its record, which is not believed before it was looked at."""

import contextlib
import math
from collections.abc import Callable, Generator, Mapping
from typing import Any

from talweg.core.loans import bounded
from talweg.core.serialization import custom_object_scope, deserialize_keras_object, of_one_file
from talweg.models import Model
from talweg.models.feature_space import FeatureSpace
from talweg.saving import records
from talweg.saving.damage import DamagedFile
from talweg.saving.hdf5 import Weights

# What a model may hold beyond the weights in its file, in bytes: metrics, states, seeds.
_SPARE = 32 << 20


@contextlib.contextmanager
def spending(weights: Weights) -> Generator[None]:
    """While variables may take only so many bytes more than a file holds: configs ask for any."""
    left = 4 * weights.stored + _SPARE

    def check(shape: tuple[int, ...]) -> None:
        nonlocal left
        left -= 4 * math.prod(shape)
        if left < 0:
            raise DamagedFile(
                f"{weights.name}: its config asks for a variable of shape {shape}, more than its "
                "weights hold. The file was not used."
            )

    with bounded(check):
        yield


def from_text(
    text: bytes, name: str, custom_objects: Mapping[str, Any] | None, compile: bool
) -> Any:
    """A model from its record, built and compiled as the record says."""
    record = records.parse(text, name)
    with custom_object_scope(custom_objects), of_one_file(compile):
        tried(lambda: records.vet(record, name), name)
        return model_of(record, name, compile)


def model_of(record: Mapping[str, Any], name: str, compile: bool) -> Any:
    """The model of a record that has been looked at; custom objects are in scope."""
    _check_sections(record, name)
    plain = {key: value for key, value in record.items() if key != "compile_config"}
    model = tried(lambda: deserialize_keras_object(plain), name)
    if not isinstance(model, (Model, FeatureSpace)):
        raise DamagedFile(f"{name} describes a {type(model).__name__}, which is no model.")
    built = record.get("build_config")
    if built and not all(layer.built for layer in model._flatten_layers()):
        tried(lambda: model.build_from_config(dict(built)), name)
    arguments = record.get("compile_config")
    if compile and arguments:
        tried(lambda: model.compile_from_config(arguments), name)
    return model


def _check_sections(record: Mapping[str, Any], name: str) -> None:
    for section in ("config", "build_config", "compile_config"):
        if not isinstance(record.get(section, {}), (Mapping, type(None))):
            raise DamagedFile(f"{name}: {section} is no object.")


def tried(make: Callable[[], Any], name: str) -> Any:
    """What `make` gives; its errors, whatever they are, say which file they come from."""
    try:
        return make()
    except DamagedFile:
        raise
    except Exception as error:
        raise DamagedFile(f"{name} describes no model: {error}") from error
