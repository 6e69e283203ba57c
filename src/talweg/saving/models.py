"""Whole models: `.keras` files, weights alone, JSON."""

import io
import json
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from talweg.core import errors
from talweg.core.files import replacing
from talweg.saving import (
    archive,
    exchange,
    hdf5,
    legacy,
    legacy_writing,
    making,
    records,
    shards,
    state,
)

# The version of Keras whose format is written: it reads what claims to be its own.
_FORMAT = "3.15.1"
_NAME_OF_PATH = str | os.PathLike[str]
_WEIGHTS = ".weights.h5"
_OLDER = (".h5", ".hdf5")


def save_model(
    model: Any,
    filepath: _NAME_OF_PATH,
    overwrite: bool = True,
    zipped: Any = None,
    include_optimizer: bool = True,
    save_format: str | None = None,
) -> None:
    """Write a model to a file, which replaces one of that name only when it is whole.

    See `Model.save`.

    Raises:
        ValueError: another ending; a layer that cannot be described, such as a Lambda.
        FileExistsError: the file is there and `overwrite` is False.
    """
    folder = zipped is not None and not zipped
    path = _target(filepath, ("",) if folder else (".keras", *_OLDER), overwrite, "save")
    if save_format not in (None, "keras", "h5", "tf"):
        raise errors.invalid(
            "save", "save_format", "left out", save_format, "The ending of the name decides."
        )
    if folder and (path.name.endswith(".keras") or "://" in os.fspath(filepath)):
        raise errors.invalid(
            "save", "filepath", "the name of a folder, since zipped=False", os.fspath(filepath),
            "A name that ends in .keras is that of one zip.",
        )  # fmt: skip
    if not folder and path.name.endswith(_OLDER):
        legacy_writing.save_legacy(model, path, include_optimizer, _FORMAT)
        return
    config = json.dumps(model._record()).encode()
    made = {"keras_version": _FORMAT, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    members = {
        archive.METADATA: json.dumps(made).encode(),
        archive.CONFIG: config,
        **{archive.ASSETS + name: text for name, text in state.assets_of(model).items()},
        archive.WEIGHTS: hdf5.in_memory(lambda file: state.write(file, model)),
    }
    if folder:
        archive.write_folder(path, members)
        return
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
    if path.name.endswith((_WEIGHTS, shards.ENDING, exchange.ENDING)):
        raise errors.invalid(
            "load_model", "filepath", "a .keras or .h5 file of a whole model", path.name,
            "This one holds weights: make the model, then call model.load_weights(filepath).",
        )  # fmt: skip
    if path.is_dir():
        return _load(archive.Folder(path), custom_objects, compile, allow_nan)
    with path.open("rb") as file:
        if file.read(8) == b"\x89HDF\r\n\x1a\n" and not path.name.endswith(".keras"):
            return legacy.load_legacy(path, custom_objects, compile, allow_nan)
        file.seek(0)
        return _load(archive.Archive(file, path.name), custom_objects, compile, allow_nan)


def _load(
    opened: archive.Archive | archive.Folder,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    allow_nan: bool,
) -> Any:
    name = opened.name
    records.parse(opened.read(archive.METADATA), f"metadata.json of {name}")
    config = opened.read(archive.CONFIG)
    content = opened.read(archive.WEIGHTS)
    with hdf5.opened(io.BytesIO(content), name) as weights:
        with making.spending(weights):
            model = making.from_text(config, f"config.json of {name}", custom_objects, compile)
            making.tried(lambda: state.load_assets(model, opened), name)
        state.load(model, weights, optimizer=compile, skip_mismatch=False, allow_nan=allow_nan)
    return model


def save_weights(
    model: Any,
    filepath: _NAME_OF_PATH,
    overwrite: bool = True,
    max_shard_size: Any = None,
    objects_to_skip: Iterable[Any] | None = None,
) -> None:
    """Write the weights of a model; see `Model.save_weights`."""
    owner = "save_weights"
    sharded = max_shard_size is not None
    if sharded and os.fspath(filepath).endswith(_WEIGHTS):
        filepath = os.fspath(filepath).removesuffix(_WEIGHTS) + shards.ENDING
        warnings.warn(f"Weights in several files go by a JSON: {filepath}.", stacklevel=3)
    endings = (shards.ENDING,) if sharded else (_WEIGHTS, exchange.ENDING, *_OLDER)
    path = _target(filepath, endings, overwrite, owner)
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet: build it, or call it on a batch, first."
        )
    skipped = objects_to_skip or ()
    if sharded:
        shards.save(model, path, max_shard_size, skipped)
        return
    if path.name.endswith(exchange.ENDING):
        if skipped:
            raise errors.invalid(owner, "objects_to_skip", "None for .safetensors", skipped)
        exchange.save(model, path)
        return
    if not path.name.endswith(_WEIGHTS):
        if skipped:
            raise errors.invalid(owner, "objects_to_skip", "None for .h5", skipped)
        legacy_writing.save_legacy_weights(model, path, _FORMAT)
        return
    with hdf5.replaced(path) as file:
        state.write(file, model, skipped)


def load_weights(
    model: Any,
    filepath: _NAME_OF_PATH,
    skip_mismatch: bool = False,
    allow_nan: bool = False,
    by_name: bool = False,
    objects_to_skip: Iterable[Any] | None = None,
) -> None:
    """Take the weights of a file; see `Model.load_weights`."""
    path, owner = Path(filepath), "load_weights"
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    named = path.name.endswith(exchange.ENDING)
    structured = path.name.endswith((".keras", _WEIGHTS, shards.ENDING))
    if by_name and structured:
        raise errors.invalid(
            owner, "by_name", "False", by_name,
            "A .keras or .weights file knows its weights by their places; by_name is for .h5 "
            "files of older versions and for .safetensors.",
        )  # fmt: skip
    if objects_to_skip and not structured:
        raise errors.invalid(
            owner, "objects_to_skip", "None", objects_to_skip,
            "It is for .weights.h5, .weights.json and .keras files.",
        )  # fmt: skip
    if named:
        exchange.load(model, path, by_name, skip_mismatch, allow_nan)
        return
    if path.name.endswith(shards.ENDING):
        source: Any = shards.opened(path)
    elif path.name.endswith(".keras"):
        with path.open("rb") as file:
            content = archive.Archive(file, path.name).read(archive.WEIGHTS)
        source = hdf5.opened(io.BytesIO(content), path.name)
    elif path.name.endswith(_OLDER):
        source = hdf5.opened(str(path), path.name)
    else:
        raise errors.invalid(
            owner, "filepath",
            "a name that ends in .weights.h5, .weights.json, .keras, .h5 or .safetensors",
            path.name,
        )  # fmt: skip
    with source as weights:
        below = legacy.place_of_layers(weights)
        if below is not None:
            legacy.load_by_layer(model, weights, below, skip_mismatch, allow_nan, by_name)
            return
        state.load(
            model, weights, optimizer=False, skip_mismatch=skip_mismatch, allow_nan=allow_nan,
            skipped=objects_to_skip or (),
        )  # fmt: skip


def model_from_json(
    json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The model that `model.to_json()` described, compiled as it was, with new weights."""
    text = json_string.encode() if isinstance(json_string, str) else json_string
    return making.from_text(text, "The JSON", custom_objects, compile=True)


def _target(filepath: _NAME_OF_PATH, endings: tuple[str, ...], overwrite: bool, owner: str) -> Path:
    path = Path(filepath)
    if not path.name.endswith(endings):
        expected = f"a name that ends in {' or '.join(endings)}"
        raise errors.invalid(owner, "filepath", expected, path.name)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} is there already; pass overwrite=True to replace it.")
    return path
