"""HostLayer: a layer that works on strings, outside compiled programs."""

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.compilation import leaves_here
from talweg.layers.base import Layer
from talweg.layers.building import shape_of
from talweg.ops.keras_tensor import KerasTensor


class HostLayer(Layer):
    """Base of layers that compute with NumPy on the host.

    They take NumPy arrays, lists and strings, and give JAX arrays of numbers (or NumPy
    arrays of strings). Apply them to the data: before `fit`, in a generator, in the
    `__getitem__` of a PyDataset, or in the `map` of a pipeline. A model may begin with those
    that read text: `fit`, `evaluate` and `predict` apply them ahead of the compiled program. It
    may end with one that makes text: `predict` applies it to what the program gives.

    Raises:
        TypeError: the layer is called inside a model, where arrays are traced, and does not
            provide for that.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = jax.tree.leaves((args, kwargs))
        if any(isinstance(leaf, KerasTensor | jax.core.Tracer) for leaf in leaves):
            if not (self.reads_text and _symbolic_text(leaves)):
                self._check_traceable(*args, **kwargs)
            return super().__call__(*args, **kwargs)
        self.built = True
        return self.call(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if not _symbolic_text(jax.tree.leaves((args, kwargs))):
            return super().compute_output_spec(*args, **kwargs)
        shape = self.compute_output_shape(jax.tree.map(shape_of, args[0]))
        return KerasTensor(shape, jax.dtypes.canonicalize_dtype(self._dtype_of_codes()))

    def _dtype_of_codes(self) -> str:
        """The type of what text becomes."""
        return self.dtype

    def _check_traceable(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to be part of a compiled model."""
        kind = type(self).__name__
        raise errors.wrong_type(
            f"{kind} {self.name!r}", "the input", "known on the host", args[0] if args else kwargs,
            "A compiled program has no strings. Apply the layer to the data before fit: "
            "x = layer(x), or in the dataset: dataset.map(lambda x, y: (layer(x), y)); "
            "the model then starts at the layer's output. Or begin the model with "
            "Input(…, dtype=\"string\"): fit and predict then apply the layer themselves.",
        )  # fmt: skip

    def build(self, input_shape: Any = None) -> None:
        """Nothing to build."""

    def get_build_config(self) -> dict[str, Any] | None:
        return {}

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build(None)


# Whether text that a program cannot hold may leave it as the indices it is made of.
_spelling: ContextVar[bool] = ContextVar("talweg_spelling", default=False)


class Unspelled:
    """Text that a program under way gives: indices, and the layer that knows what they mean."""

    def __init__(self, indices: Any, layer: Any):
        self.indices, self.layer = indices, layer
        self.shape = indices.shape


@contextlib.contextmanager
def spelling_later() -> Generator[None]:
    """While a program is traced that gives indices for text; `Unspelled` is among its outputs."""
    token = _spelling.set(True)
    try:
        yield
    finally:
        _spelling.reset(token)


def may_spell_later() -> bool:
    """Whether a layer may give `Unspelled`."""
    return _spelling.get()


def called_on_host(
    layer: HostLayer, function: Callable[..., Any], shape: tuple[int, ...], *arrays: Any
) -> Any:
    """int32 numbers of a shape that a compiled program asks of a NumPy function.

    Args:
        layer: who asks.
        function: from the arrays to integers, without `jax` in it: a program that waits for the
            host must not be waited for.
        shape: of the result.
        arrays: what the function is given.

    Raises:
        TypeError: the program is to be carried elsewhere.
    """
    if leaves_here():
        HostLayer._check_traceable(layer, *arrays)
    return jax.pure_callback(
        lambda *parts: np.asarray(function(*map(np.asarray, parts)), np.int32),
        jax.ShapeDtypeStruct(shape, np.int32), *arrays, vmap_method="sequential",
    )  # fmt: skip


def _symbolic_text(leaves: list[Any]) -> bool:
    return any(isinstance(leaf, KerasTensor) and leaf.dtype == "string" for leaf in leaves)


def strings(value: Any, owner: str, encoding: str = "utf-8") -> np.ndarray:
    """Text in any form as an object array of str.

    Raises:
        TypeError: numbers, or anything else that is no text.
    """
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    array = np.asarray(value, dtype=None if hasattr(value, "dtype") else object)
    if array.dtype.kind not in "OUST":
        raise errors.wrong_type(owner, "the input", "strings", array.dtype)
    result = np.empty(array.shape, dtype=object)
    flat = array.ravel()
    for i, item in enumerate(flat):
        if isinstance(item, bytes):
            item = item.decode(encoding)
        elif not isinstance(item, str):
            raise errors.wrong_type(owner, "every entry", "a string", item, _ragged(item))
        result.flat[i] = str(item)  # and no np.str_
    return result


def _ragged(item: Any) -> str:
    return "Rows must have one length." if isinstance(item, list | tuple) else ""


def encode(indices: np.ndarray, mode: str, depth: int, dtype: Any) -> jax.Array:
    """Integers as they are, one-hot, or gathered over each sample; what is outside is 0.

    Args:
        indices: integers; each row is a sample.
        mode: "int", "one_hot", "multi_hot" or "count".
        depth: the size of the new last axis.
        dtype: of the result.
    """
    if mode == "int":
        if indices.size and np.abs(indices).max() > np.iinfo(np.int32).max:
            raise errors.invalid(
                "A layer", "every result", "within 32-bit integers", int(np.abs(indices).max())
            )
        return jnp.asarray(indices, jax.dtypes.canonicalize_dtype(dtype))
    return jnp.asarray(_encoded(np, indices, mode, depth), jax.dtypes.canonicalize_dtype(dtype))


def encode_traced(indices: Any, mode: str, depth: int, dtype: Any, weights: Any = None) -> Any:
    """The same with jax.numpy; `weights` replace the ones that "count" adds up."""
    if mode == "int":
        return indices.astype(dtype)
    return _encoded(jnp, indices, mode, depth, weights).astype(dtype)


def _encoded(xp: Any, indices: Any, mode: str, depth: int, weights: Any = None) -> Any:
    if indices.ndim == 0:
        indices = indices[None]
    if mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    hot = indices[..., None] == xp.arange(depth)
    if mode == "one_hot":
        return hot
    axis = 1 if indices.ndim > 1 else 0
    if mode == "multi_hot":
        return hot.any(axis)
    return (hot if weights is None else hot * weights[..., None]).sum(axis)


def encoded_shape(shape: tuple[int | None, ...], mode: str, depth: int | None) -> Any:
    """The shape that `encode` gives."""
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot":
        kept = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
        return (*kept, depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


def refuse_sparse(owner: str, sparse: bool) -> bool:
    """Keras's `sparse=True` is for TensorFlow's sparse tensors only."""
    if sparse:
        raise errors.invalid(owner, "sparse", "False", sparse, "JAX arrays are dense.")
    return bool(sparse)
