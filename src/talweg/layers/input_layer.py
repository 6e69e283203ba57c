"""Input: the shape and the type of what enters a model."""

from collections.abc import Sequence
from typing import Any

from talweg.core import errors
from talweg.core.dtypes import standardize_dtype
from talweg.layers.arguments import integer
from talweg.layers.base import Layer
from talweg.ops.keras_tensor import KerasTensor


class InputLayer(Layer):
    """The first layer of a model: it states a shape and computes nothing.

    Args:
        shape: the shape of one sample; None where a size is not known.
        batch_size: the number of samples, None where it varies.
        dtype: the type of the entries; `floatx()`.
        batch_shape: shape and batch size together, in their place.
        input_tensor: a KerasTensor to take shape and type from, in their place.
        optional: whether None may come in the place of the array.
        name: the layer's name.

    Raises:
        ValueError: no shape, or two of them; `sparse` or `ragged` arrays are asked for.

    >>> InputLayer(shape=(3,)).batch_shape
    (None, 3)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        for unknown in kwargs:
            raise TypeError(f"InputLayer: unknown argument {unknown!r}. Pass shape=….")
        for kind, wanted in (("sparse", sparse), ("ragged", ragged)):
            if wanted:
                raise errors.invalid("Input", kind, "False", wanted, "Arrays here are dense.")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise errors.invalid("Input", "tensor", "a KerasTensor", input_tensor)
            _check_agrees(input_tensor, shape, batch_size, batch_shape, dtype)
            batch_shape, shape, batch_size = input_tensor.shape, None, None
            dtype = input_tensor.dtype
        if (shape is None) == (batch_shape is None):
            raise errors.invalid(
                "Input", "the shape", "given once, as shape=(…) or batch_shape=(…)",
                {"shape": shape, "batch_shape": batch_shape},
            )  # fmt: skip
        if batch_shape is not None and batch_size is not None:
            raise errors.invalid("Input", "batch_size", "None next to batch_shape", batch_size)
        whole = (batch_size, *_sizes(shape)) if batch_shape is None else _sizes(batch_shape)
        self.batch_shape = tuple(
            size if size is None else integer("Input", "each size of the shape", size, 0)
            for size in whole
        )
        self._dtype = standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.optional = bool(optional)
        self.output = (
            KerasTensor(self.batch_shape, self._dtype, self.name)
            if input_tensor is None
            else input_tensor
        )
        self.output.layer = self  # type: ignore[attr-defined]
        self._batch_input_shape = self.batch_shape
        self._build_at_init()

    @property
    def dtype(self) -> str:  # type: ignore[override]
        """The type of the entries."""
        return self._dtype

    def call(self, inputs: Any = None) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any = None) -> Any:
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _check_agrees(
    tensor: KerasTensor, shape: Any, batch_size: Any, batch_shape: Any, dtype: Any
) -> None:
    """Refuse what contradicts the tensor that was given."""
    wanted = {
        "shape": (shape, tensor.shape[1:]),
        "batch_size": (batch_size, tensor.shape[0] if tensor.shape else None),
        "batch_shape": (batch_shape, tensor.shape),
        "dtype": (dtype, tensor.dtype),
    }
    for name, (given, own) in wanted.items():
        if given is None:
            continue
        given = standardize_dtype(given) if name == "dtype" else given
        if (tuple(given) if isinstance(given, list) else given) != own:
            raise errors.invalid("Input", name, f"that of the tensor, {own}", given)


def _sizes(shape: Any) -> tuple[Any, ...]:
    if isinstance(shape, int):
        raise errors.wrong_type("Input", "shape", "a tuple", shape, f"Write shape=({shape},).")
    return tuple(shape)


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor that enters a model; its `layer` is the InputLayer behind it.

    Args: as of `InputLayer`, where `tensor` is called `input_tensor`.

    >>> x = Input((28, 28))
    >>> x.shape, type(x.layer).__name__
    ((None, 28, 28), 'InputLayer')
    """
    return InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    ).output
