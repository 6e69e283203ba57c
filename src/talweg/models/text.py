"""Models that begin with text: its layers run on the host, before the compiled program.

A compiled program holds no strings. So a model is cut behind the layers that read them: these
are applied to the data, and what they made of it, `Encoded`, goes through the program in the
place of the text.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.data.host import to_host
from talweg.layers import Layer
from talweg.layers.host_layer import HostLayer
from talweg.ops.keras_tensor import KerasTensor, is_symbolic


@jax.tree_util.register_pytree_node_class
class Encoded:
    """What stands in the place of a model's inputs, once its layers of text have run.

    Args:
        parts: arrays in a structure that the model knows.
        start: where the model goes on from.
    """

    def __init__(self, parts: Any, start: Any = None):
        self.parts, self.start = parts, start

    def tree_flatten(self) -> tuple[Any, Any]:
        return (self.parts,), self.start

    @classmethod
    def tree_unflatten(cls, start: Any, parts: Any) -> "Encoded":
        return cls(*parts, start)


class ReadsText(Layer):
    """The part of a model that may begin with layers on text.

    `encode_text` makes `Encoded` of its inputs, and its `call` takes that too.
    """

    def encode_text(self, x: Any) -> Encoded:
        """Run the layers of text on arrays of str, or on symbolic tensors of them."""
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.reads_text and args and not is_symbolic(args[0]) and has_text(args[0]):
            args = (self.encode_text(text_arrays(args[0])), *args[1:])
        return super().__call__(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self.reads_text and args and has_text(args[0]):
            args = (self.encode_text(args[0]), *args[1:])
        return super().compute_output_spec(*args, **kwargs)

    def _to_host(self, x: Any, what: str) -> Any:
        if not (self.reads_text and has_text(x)):
            return super()._to_host(x, what)  # type: ignore[misc]
        return jax.tree.map(lambda leaf: to_host(leaf, what), self.encode_text(text_arrays(x)))


def applied(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """What a layer makes of text: arrays, symbolic tensors, or `Encoded` of a whole model.

    Raises:
        TypeError: the layer computes with numbers only.
    """
    if hasattr(layer, "encode_text"):
        return layer.encode_text(args[0])
    if not isinstance(layer, HostLayer):
        raise errors.wrong_type(
            f"Layer {getattr(layer, 'name', layer)!r}", "the input", "numbers", "text",
            "Put a TextVectorization or StringLookup between.",
        )  # fmt: skip
    if is_symbolic((args, kwargs)):
        return layer.compute_output_spec(*args, **kwargs)
    return layer(*args, **kwargs)


def has_text(x: Any) -> bool:
    """Whether text is among arrays, lists or symbolic tensors."""
    return any(map(_is_text, jax.tree.leaves(x)))


def _is_text(leaf: Any) -> bool:
    if isinstance(leaf, (str, bytes)):
        return True
    if isinstance(leaf, KerasTensor):
        return leaf.dtype == "string"
    dtype = getattr(leaf, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if kind == "O":
        flat = np.asarray(leaf).ravel()
        return flat.size > 0 and isinstance(flat[0], (str, bytes))
    return "string" in str(dtype) if kind is None else kind in "UST"  # a tensor of TensorFlow


def text_arrays(x: Any) -> Any:
    """Lists of str, and what else holds rows, as arrays; their structure is kept."""
    if isinstance(x, Mapping):
        return {key: text_arrays(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)) and x and all(map(_is_input, x)):
        return type(x)(map(text_arrays, x))
    return x if isinstance(x, jax.Array) else _array(x)


def _is_input(item: Any) -> bool:
    """Whether an item of a list is an input of its own, and not one of the rows."""
    return isinstance(item, Mapping) or len(getattr(item, "shape", ())) > 0


def _array(x: Any) -> np.ndarray:
    if hasattr(x, "numpy"):
        x = x.numpy()
    return np.asarray(x, object if isinstance(x, (list, tuple, str)) and has_text(x) else None)
