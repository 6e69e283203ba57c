"""Whole models: `.keras` files, weights alone, JSON."""

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from talweg.core import errors
from talweg.core.files import replacing
from talweg.core.serialization import (
    custom_object_scope,
    deserialize_keras_object,
    sharing,
)
from talweg.core.variables import bounded
from talweg.models import Model
from talweg.saving import archive, hdf5, records, state
from talweg.saving.hdf5 import DamagedFile

# The version of Keras whose format is written: it reads what claims to be its own.
_FORMAT = "3.15.1"
_NAME_OF_PATH = str | os.PathLike[str]
# What a model may hold beyond the weights in its file: metrics, states, seeds.
_SPARE = 64 << 20


def save_model(
    model: Any, filepath: _NAME_OF_PATH, overwrite: bool = True, zipped: Any = None
) -> None:
    """Write a model as a `.keras` file, which replaces one of that name only when it is whole.

    Raises:
        ValueError: another ending; a layer that cannot be described, such as a Lambda.
        FileExistsError: the file is there and `overwrite` is False.
    """
    path = _target(filepath, ".keras", overwrite, "save")
    if zipped is False:
        raise errors.invalid("save", "zipped", "True", zipped, "A .keras file is one zip.")
    config = json.dumps(model._record()).encode()
    made = {"keras_version": _FORMAT, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    content = archive.buffer()
    with hdf5.created(content) as file:
        state.write(file, model)
    members = {
        archive.METADATA: json.dumps(made).encode(),
        archive.CONFIG: config,
        **{archive.ASSETS + name: text for name, text in state.assets_of(model).items()},
        archive.WEIGHTS: content.getvalue(),
    }
    with replacing(path) as temporary:
        archive.write(temporary, members)


def load_model(
    filepath: _NAME_OF_PATH,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allow_nan: bool = False,
) -> Any:
    """The model in a file; see `talweg.models.load_model`."""
    if not safe_mode:
        raise errors.invalid(
            "load_model", "safe_mode", "True", safe_mode, "Code is never taken from a file."
        )
    path = Path(filepath)
    with path.open("rb") as file:
        if file.read(8) == b"\x89HDF\r\n\x1a\n" and not path.name.endswith(".keras"):
            from talweg.saving.legacy import load_legacy

            return load_legacy(path, custom_objects, compile, allow_nan)
        file.seek(0)
        opened = archive.Archive(file, path.name)
        records.parse(opened.read(archive.METADATA), f"metadata.json of {path.name}")
        config = opened.read(archive.CONFIG)
        content = opened.read(archive.WEIGHTS)
        with hdf5.opened(_stream(content), path.name) as weights:
            with _spending(_budget(weights), path.name):
                model = _made(config, f"config.json of {path.name}", custom_objects, compile)
                state.load_assets(model, opened)
            state.load(model, weights, optimizer=compile, skip_mismatch=False, allow_nan=allow_nan)
    return model


def _stream(content: bytes) -> Any:
    stream = archive.buffer()
    stream.write(content)
    stream.seek(0)
    return stream


def _budget(weights: hdf5.Weights) -> int:
    return 4 * weights.stored + _SPARE


@contextlib.contextmanager
def _spending(budget: int, name: str) -> Generator[None]:
    """While variables may take so many bytes together: a config can ask for any size."""
    left = budget

    def check(shape: tuple[int, ...]) -> None:
        nonlocal left
        left -= 4 * math.prod(shape)
        if left < 0:
            raise DamagedFile(
                f"{name}: its config asks for a variable of shape {shape}, more than its weights "
                "hold. The file was not used."
            )

    with bounded(check):
        yield


def _made(text: bytes, name: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """A model from its record, built and compiled as the record says."""
    record = records.parse(text, name)
    with custom_object_scope(custom_objects), sharing():
        records.vet(record, name)
        return model_of(record, name, compile)


def model_of(record: Mapping[str, Any], name: str, compile: bool) -> Any:
    """The model of a record that has been looked at; custom objects are in scope."""
    _check_sections(record, name)
    model = _tried(lambda: deserialize_keras_object(record), name)
    if not isinstance(model, Model):
        raise DamagedFile(f"{name} describes a {type(model).__name__}, which is no model.")
    built = record.get("build_config")
    if built and not all(layer.built for layer in model._flatten_layers()):
        _tried(lambda: model.build_from_config(dict(built)), name)
    arguments = record.get("compile_config")
    if compile and arguments:
        _tried(lambda: model.compile_from_config(arguments), name)
    return model


def _check_sections(record: Mapping[str, Any], name: str) -> None:
    for section in ("config", "build_config", "compile_config"):
        if not isinstance(record.get(section, {}), (Mapping, type(None))):
            raise DamagedFile(f"{name}: {section} is no object.")


def _tried(make: Callable[[], Any], name: str) -> Any:
    """What `make` gives; its errors, whatever they are, say which file they come from."""
    try:
        return make()
    except DamagedFile:
        raise
    except (
        ArithmeticError, AttributeError, AssertionError, LookupError, MemoryError,
        NotImplementedError, RecursionError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise DamagedFile(f"{name} describes no model: {error}") from error


def save_weights(model: Any, filepath: _NAME_OF_PATH, overwrite: bool = True) -> None:
    """Write the weights of a model, and the state of its optimizer, as `.weights.h5`."""
    path = _target(filepath, ".weights.h5", overwrite, "save_weights")
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet: build it, or call it on a batch, first."
        )
    with replacing(path) as temporary, hdf5.created(str(temporary)) as file:
        state.write(file, model)


def load_weights(
    model: Any, filepath: _NAME_OF_PATH, skip_mismatch: bool = False, allow_nan: bool = False
) -> None:
    """Take the weights of a file, and the state of the optimizer where it fits."""
    path = Path(filepath)
    if path.name.endswith(".keras"):
        with path.open("rb") as file:
            source: Any = _stream(archive.Archive(file, path.name).read(archive.WEIGHTS))
    elif path.name.endswith((".h5", ".hdf5")):
        source = str(path)
    else:
        raise errors.invalid(
            "load_weights", "filepath", "a name that ends in .weights.h5 or .keras", path.name
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    with hdf5.opened(source, path.name) as weights:
        if "layer_names" in weights.attributes:
            from talweg.saving.legacy import load_by_layer

            load_by_layer(model, weights, "", skip_mismatch, allow_nan)
            return
        state.load(
            model, weights, optimizer=False, skip_mismatch=skip_mismatch, allow_nan=allow_nan
        )


def model_from_json(
    json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The model that `model.to_json()` described, compiled as it was, with new weights."""
    text = json_string.encode() if isinstance(json_string, str) else json_string
    return _made(text, "The JSON", custom_objects, compile=True)


def _target(filepath: _NAME_OF_PATH, ending: str, overwrite: bool, owner: str) -> Path:
    path = Path(filepath)
    if not path.name.endswith(ending):
        raise errors.invalid(owner, "filepath", f"a name that ends in {ending}", path.name)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} is there already; pass overwrite=True to replace it.")
    return path
