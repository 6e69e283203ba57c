"""What models have to do with files: the methods, and the functions of the same names.

What they do is in `talweg.saving`, which is imported when one of them is called.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from talweg.core.serialization import serialize_keras_object, with_shared
from talweg.layers import Layer
from talweg.layers.building import as_shape, is_shape
from talweg.layers.context import call_context
from talweg.models.compiled import CompiledModel
from talweg.models.functional_config import KEYS, graph_from_config
from talweg.ops.keras_tensor import KerasTensor

Path = str | os.PathLike[str]


class Filed(CompiledModel):
    """The part of `Model` that is written to files and read from them, as it was compiled."""

    # Shapes and types of what a model without a graph was first called with.
    _first_call: Any = None

    def save(
        self,
        filepath: Path,
        overwrite: bool = True,
        zipped: bool | None = None,
        include_optimizer: bool = True,
        save_format: str | None = None,
    ) -> None:
        """Write the model with its weights and its optimizer to a file.

        Args:
            filepath: a name that ends in ".keras"; or in ".h5" for programs that read the older
                files, which hold Sequential and functional models only.
            overwrite: whether a file of that name is replaced; else it is an error.
            zipped: False to write a folder of that name with the members of the ".keras" file;
                other files in it are left alone.
            include_optimizer: for ".h5": whether the arguments of `compile` and the state of the
                optimizer are written, too.
            save_format: accepted as Keras does; the ending of the name decides.

        Raises:
            ValueError: another ending; a layer that cannot be described, such as a Lambda.
            FileExistsError: the file is there and `overwrite` is False.
        """
        save_model(self, filepath, overwrite, zipped, include_optimizer, save_format)

    def save_weights(
        self,
        filepath: Path,
        overwrite: bool = True,
        max_shard_size: float | None = None,
        objects_to_skip: Iterable[Layer] | None = None,
    ) -> None:
        """Write the weights as a `.weights.h5`, `.weights.json` or `.safetensors` file.

        Args:
            filepath: a name that ends in ".weights.h5": weights and the optimizer's state, for
                Keras; or in ".safetensors": weights alone by their paths, for PyTorch, NumPy and
                others, with `pip install "talweg[exchange]"`. Any other name that ends in ".h5" or
                ".hdf5" gets weights alone as Keras 2 laid them out, which Keras 3 reads too.
            overwrite: whether a file of that name is replaced; else it is an error.
            max_shard_size: how much of 2**30 bytes one file may hold: the weights are then in
                several, beside a `filepath` that ends in ".weights.json".
            objects_to_skip: layers that are left out.

        Raises:
            ValueError: another ending; a model without weights.
        """
        from talweg.saving import save_weights

        save_weights(
            self,
            filepath,
            overwrite=overwrite,
            max_shard_size=max_shard_size,
            objects_to_skip=objects_to_skip,
        )

    def load_weights(
        self,
        filepath: Path,
        skip_mismatch: bool = False,
        allow_nan: bool = False,
        by_name: bool = False,
        objects_to_skip: Iterable[Layer] | None = None,
    ) -> None:
        """Take the weights from a file, and the state of the optimizer where it fits.

        `.weights.h5`, `.weights.json`, `.keras` and `.h5` files are read by the places of the
        layers in the model, `.safetensors` files by the paths of the variables.

        Args:
            filepath: the file.
            skip_mismatch: whether to take what fits and to warn about all else.
            allow_nan: whether weights may be NaN.
            by_name: for `.h5` files of older versions and `.safetensors`: whether to fill only
                what has a name that the file knows, and to leave the rest alone.
            objects_to_skip: for `.weights` and `.keras` files: layers that keep their weights.

        Raises:
            ValueError: with a list of what is missing, left over or of another shape or type.
                The weights are then what they were.
        """
        from talweg.saving import load_weights

        load_weights(
            self,
            filepath,
            skip_mismatch=skip_mismatch,
            allow_nan=allow_nan,
            by_name=by_name,
            objects_to_skip=objects_to_skip,
        )

    def backup_state(self, filepath: Path, told: Mapping[str, Any], amid: bool = False) -> None:
        """Write all that training moves, and what else is to be known; for `restore_state`.

        Args:
            filepath: the file.
            told: ready for JSON.
            amid: whether an epoch is under way.
        """
        from talweg.saving import backup

        backup.write(self, os.fspath(filepath), dict(told), amid)

    def restore_state(self, filepath: Path, run: str | None = None) -> dict[str, Any]:
        """Put back what `backup_state` wrote from an equal model; returns what else was told.

        Args:
            filepath: the file.
            run: the "run" that must have been told; None for any.

        Raises:
            ValueError: a damaged file, or one of another run or model. Nothing was changed.
        """
        from talweg.saving import backup

        return backup.read(self, os.fspath(filepath), run)

    def to_json(self, **options: Any) -> str:
        """The model without its weights as JSON; `model_from_json` reads it.

        Args:
            options: of `json.dumps`.
        """
        return json.dumps(self._record(), **options)

    def export(
        self,
        filepath: Path,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model, in inference mode and with its weights, for other runtimes.

        The file takes any number of rows. It is run and compared with the model before it
        replaces one of the same name.

        Args:
            filepath: where to.
            format: "onnx" for onnxruntime, on every system and from every language; or
                "stablehlo", which `jax.export.deserialize` reads without talweg.
            verbose: whether a line says what was written, and one for each input and output.
            input_signature: the inputs as InputSpecs, KerasTensors or example arrays in a
                list; None in a shape leaves that size open. Needed where the model has no
                Input and was never called.
            kwargs: `verify=False` to trust the conversion; `opset_version` (21) of ONNX;
                `platforms` of StableHLO ("cpu", "cuda", "rocm", "tpu").

        Raises:
            ValueError: another format; inputs that nobody told; a layer that the format
                cannot carry, or that changes a variable at inference. Nothing is written.
            MissingExtraError: jax2onnx is not installed; `pip install "talweg[export]"`.
        """
        from talweg.export import export_model

        export_model(self, filepath, format, verbose, input_signature, **kwargs)

    def _record(self) -> dict[str, Any]:
        """The model as a record: class, config, the shapes it is built for, compile's arguments."""
        return with_shared(self._plain_record)

    def _plain_record(self) -> dict[str, Any]:
        record = serialize_keras_object(self)
        built = self.get_build_config()
        if built:
            record["build_config"] = built
        return record

    def compile_record(self) -> Any:
        """What `compile` was given, as files tell it; None where it was not called."""
        if not self.compiled:
            return None
        told = self.get_compile_config()
        own = not type(self).get_compile_config.__module__.startswith("talweg.")
        return serialize_keras_object(told) if own else told  # one's own class may tell objects

    def _maybe_build(self, args: Any, kwargs: Any) -> None:
        """Remember the shape of the first call: a subclassed model has no `build` of its own."""
        first = args[0] if args else None
        leaves = jax.tree.leaves(first)
        if not self.built and leaves and all(hasattr(leaf, "shape") for leaf in leaves):
            shape = jax.tree.map(lambda leaf: tuple(leaf.shape), first)
            if all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(args)):
                self._first_call = jax.tree.map(
                    lambda leaf: KerasTensor(leaf.shape, leaf.dtype), args
                )
            super()._maybe_build(args, kwargs)
            self._build_shape = self._build_shape or shape
            return
        super()._maybe_build(args, kwargs)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` recorded, by a symbolic call."""
        shape = config.get("input_shape")
        if shape is None:
            return
        shape = as_shape(shape)
        if type(self).build is not Layer.build:
            self.build(shape)
            if all(layer.built for layer in self._flatten_layers()):
                return
        specs = jax.tree.map(
            lambda sizes: KerasTensor(sizes, self.compute_dtype), shape, is_leaf=is_shape
        )
        with call_context(False):
            self(specs, training=False)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described, without its weights."""
        config = dict(config)
        if all(key in config for key in KEYS):
            inputs, outputs = graph_from_config(config, custom_objects)
            rest = {key: value for key, value in config.items() if key not in KEYS}
            return cls(inputs, outputs, **rest)
        return cls(**config)


def save_model(
    model: Any,
    filepath: Path,
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    save_format: str | None = None,
) -> None:
    """`model.save(filepath)`; see there."""
    from talweg.saving import save_model

    save_model(model, filepath, overwrite, zipped, include_optimizer, save_format)


def load_model(
    filepath: Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allow_nan: bool = False,
) -> Any:
    """The model in a `.keras` file, unpacked in a folder, or in an `.h5` file of older versions.

    Nothing in the file is executed or imported: it may name talweg's classes, and those that
    were registered or are passed.

    Args:
        filepath: the file.
        custom_objects: classes and functions of your own by the names in the file.
        compile: whether the model is compiled as it was, with the state of its optimizer.
        safe_mode: True; there is no unsafe one.
        allow_nan: whether weights may be NaN.

    Raises:
        ValueError: a damaged file, an unknown class, weights that do not fit.
    """
    from talweg.saving import load_model

    return load_model(filepath, custom_objects, compile, safe_mode, allow_nan)


def model_from_json(
    json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The model that `model.to_json()` described, with new weights.

    Raises:
        ValueError: no JSON of a model; an unknown class.
    """
    from talweg.saving import model_from_json

    return model_from_json(json_string, custom_objects)
