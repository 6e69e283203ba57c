"""Symbolic tensors, and the one door through which every op takes its arguments.

An op is a plain function over `jax.Array`s under the decorator `op`. The decorator reads
the annotations: parameters marked `Tensor` may come as variables, NumPy arrays or lists,
and are handed on as arrays. Where any argument is a `KerasTensor`, the op is not run but
traced for its output's shape and type.
"""

import contextlib
import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors, names
from talweg.core.dtypes import standardize_dtype
from talweg.core.loans import discard_assignments
from talweg.core.variables import Variable

P = ParamSpec("P")
R = TypeVar("R")

# What an op accepts as an array: the annotation that `op` looks for.
Tensor = Annotated[Any, "jax.Array, NumPy array, Variable, KerasTensor, number or nested list"]

# Unknown sizes are tried at two values; what differs in the outputs is unknown there too.
# Multiples of 2**5, 3, 5 and 7, so that reshape((-1, 6)), strides and poolings divide them.
_PROBES = (3360, 6720)


class Node:
    """One use of a layer or an op on symbolic tensors.

    Attributes:
        operation: what was called.
        args, kwargs: what it was called with, KerasTensors among it.
        outputs: the KerasTensors that came out, in their structure.
    """

    __slots__ = ("args", "kwargs", "operation", "outputs")

    def __init__(self, operation: Any, args: Any, kwargs: Any, outputs: Any):
        self.operation, self.args, self.kwargs = operation, args, kwargs
        self.outputs = outputs
        for leaf in self.leaves:
            leaf.node = self

    @property
    def leaves(self) -> list["KerasTensor"]:
        """The outputs, flat."""
        return jax.tree.leaves(self.outputs)

    @property
    def parents(self) -> list["KerasTensor"]:
        """The symbolic tensors that it was called with."""
        leaves = jax.tree.leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]


class KerasTensor:
    """A tensor known by its shape and type only.

    Args:
        shape: integers, None where the size is not known; an integer for one axis.
        dtype: the type of its entries.
        name: its name; a free one is made where none is given.

    >>> x = KerasTensor((None, 3))
    >>> (x + 1.0).shape
    (None, 3)
    """

    # Arrays defer to the tensor's reflected operators.
    __array_priority__ = 200

    def __init__(
        self, shape: Iterable[int | None] | int, dtype: Any = "float32", name: str | None = None
    ):
        sizes = (shape,) if isinstance(shape, int) else shape
        self.shape = tuple(None if size is None else operator.index(size) for size in sizes)
        self.dtype = standardize_dtype(dtype)
        self.name = name or names.auto_name("keras_tensor")
        # Where it came from; None for an input.
        self.node: Node | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def probe(self, unknown: int) -> jax.ShapeDtypeStruct:
        """The tensor with `unknown` in the place of each size that is not known.

        Raises:
            TypeError: it is of text, which is computed with by few layers.
        """
        if self.dtype == "string":
            raise errors.wrong_type(
                "A layer or op", "the input", "of numbers", "text",
                "Put a TextVectorization or StringLookup between.",
            )  # fmt: skip
        shape = tuple(unknown if size is None else size for size in self.shape)
        return jax.ShapeDtypeStruct(shape, jnp.dtype(self.dtype))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise errors.wrong_type(
            "numpy.asarray", "the array", "one with values", self, "A KerasTensor has a shape only."
        )

    def __bool__(self) -> bool:
        raise TypeError("A KerasTensor has no value, so it cannot be a condition.")

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            raise TypeError(f"The length of {self!r} is not known.")
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return applied(operator.getitem, (self, key), {})

    def reshape(self, newshape: Sequence[int]) -> Any:
        """The tensor in another shape, as an array's method."""
        from talweg.ops.shapes import reshape  # which is made with this class

        return reshape(self, newshape)

    def squeeze(self, axis: int | Sequence[int] | None = None) -> Any:
        """The tensor without its axes of size 1, as an array's method."""
        from talweg.ops.shapes import squeeze

        return squeeze(self, axis)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def _forward(operation: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    """An operator of KerasTensor that infers the result's shape."""

    def method(self: KerasTensor, *other: Any) -> Any:
        arguments = (*other, self) if reflected else (self, *other)
        return applied(operation, arguments, {})

    return method


for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]:
    _operation = getattr(operator, f"__{_name}__")
    setattr(KerasTensor, f"__{_name}__", _forward(_operation))
    setattr(KerasTensor, f"__r{_name}__", _forward(_operation, reflected=True))
for _name in ["ne", "lt", "le", "gt", "ge", "neg", "abs"]:
    setattr(KerasTensor, f"__{_name}__", _forward(getattr(operator, f"__{_name}__")))
# As in Keras, these are of truths: 2 & 1 is True.
for _name in ["and", "or", "xor"]:
    _operation = getattr(jnp, f"logical_{_name}")
    setattr(KerasTensor, f"__{_name}__", _forward(_operation))
    setattr(KerasTensor, f"__r{_name}__", _forward(_operation, reflected=True))
setattr(KerasTensor, "__invert__", _forward(jnp.logical_not))  # noqa: B010


def compute_output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` would return, its arrays as `KerasTensor`s; nothing is computed.

    The function is traced, twice where a size is unknown. It may read and assign
    variables: their values stay as they were.

    Args:
        function: over arrays; it receives tracers in the place of KerasTensors.
        args, kwargs: its arguments, KerasTensors at any depth in lists and dicts.

    Raises:
        Exception: whatever the function raises at these shapes.

    >>> compute_output_spec(lambda x: x.reshape(-1, 6), KerasTensor((None, 3))).shape
    (None, 6)
    """
    leaves, tree = jax.tree.flatten((args, kwargs))
    symbolic = [i for i, leaf in enumerate(leaves) if isinstance(leaf, KerasTensor)]

    def call(arrays: Sequence[Any]) -> Any:
        filled = list(leaves)
        for i, array in zip(symbolic, arrays, strict=True):
            filled[i] = array
        positional, keyword = jax.tree.unflatten(tree, filled)
        with discard_assignments():
            return function(*positional, **keyword)

    def spec(tensors: Sequence[KerasTensor]) -> Any:
        probes = _PROBES if any(None in x.shape for x in tensors) else (0,)
        found = [jax.eval_shape(call, [x.probe(size) for x in tensors]) for size in probes]
        return jax.tree.map(_merged, found[0], found[-1])

    tensors = [leaves[i] for i in symbolic]
    try:
        return spec(tensors)
    except (TypeError, ValueError):
        fitted = _fitted(tensors, leaves)
        if [x.shape for x in fitted] == [x.shape for x in tensors]:
            raise
        with contextlib.suppress(TypeError, ValueError):
            return spec(fitted)
        raise


def _fitted(tensors: Sequence[KerasTensor], leaves: Sequence[Any]) -> list[KerasTensor]:
    """The tensors, with the size that broadcasting among the leaves asks for where one is unknown.

    Sizes are matched from the right: beside (2, 5), (None, None, 3) becomes (None, 2, 3).
    """
    wanted: dict[int, set[int]] = {}
    for shape in (leaf.shape for leaf in leaves if hasattr(leaf, "shape")):
        for place, size in enumerate(reversed(shape)):
            if size not in (None, 1):
                wanted.setdefault(place, set()).add(size)

    def fit(size: int | None, place: int) -> int | None:
        only = wanted.get(place, set()) if size is None else ()
        return next(iter(only)) if len(only) == 1 else size

    return [
        KerasTensor(
            [fit(size, x.ndim - 1 - axis) for axis, size in enumerate(x.shape)], x.dtype, x.name
        )
        for x in tensors
    ]


def _merged(one: jax.ShapeDtypeStruct, other: jax.ShapeDtypeStruct) -> KerasTensor:
    sizes = zip(one.shape, other.shape, strict=True)
    return KerasTensor((a if a == b else None for a, b in sizes), one.dtype)


def applied(operation: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The symbolic outputs of an op, which remember where they came from.

    An op that knows them without being traced says so by an attribute `output_spec`.
    """
    own = getattr(operation, "output_spec", None)
    spec = own(*args, **kwargs) if own else compute_output_spec(operation, *args, **kwargs)
    return Node(operation, args, kwargs, spec).outputs


def is_symbolic(*trees: Any) -> bool:
    """Whether a KerasTensor is among the leaves.

    >>> is_symbolic([1, KerasTensor((2,))])
    True
    """
    return any(isinstance(leaf, KerasTensor) for leaf in jax.tree.leaves(trees))


def op(function: Callable[P, R]) -> Callable[P, R]:
    """Make an op of a function over arrays: see the head of this file."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_symbolic(args, kwargs):
            return applied(call, args, kwargs)
        marked, positions, rest = _marks(function)
        padded = positions + (rest,) * (len(args) - len(positions))
        positional = [_array(a) if m else _plain(a) for a, m in zip(args, padded, strict=False)]
        keyword = {k: _array(a) if k in marked else _plain(a) for k, a in kwargs.items()}
        return function(*positional, **keyword)  # pyright: ignore[reportCallIssue]

    return call


@functools.cache
def _marks(function: Callable[..., Any]) -> tuple[frozenset[str], tuple[bool, ...], bool]:
    """Which parameters are tensors, by name and by place; whether `*args` are.

    Asked at the first call: reading all signatures would slow the import down.
    """
    parameters = inspect.signature(function).parameters
    marked = frozenset(name for name, p in parameters.items() if p.annotation is Tensor)
    positions = tuple(
        name in marked for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL
    )
    rest = any(p.kind is p.VAR_POSITIONAL and p.annotation is Tensor for p in parameters.values())
    return marked, positions, rest


def _plain(value: Any) -> Any:
    """The value of a variable, also inside lists; everything else untouched."""
    if isinstance(value, Variable):
        return value.value
    if type(value) in (list, tuple) and any(isinstance(v, (Variable, list, tuple)) for v in value):
        return type(value)(_plain(item) for item in value)
    return value


def _array(value: Any) -> Any:
    """An array of what came; Python's numbers stay weakly typed, as JAX wants them."""
    if value is None or isinstance(value, (jax.Array, int, float, complex)):
        return value
    return as_array(value)


def as_array(value: Any, dtype: Any = None) -> jax.Array:
    """`value` on the device; NumPy's 64-bit integers are checked before they are narrowed.

    Raises:
        ValueError: an integer does not fit the 32-bit type JAX will keep it in; Keras
            wraps it around.
    """
    value = _plain(value)
    if isinstance(value, (list, tuple)) and not any(
        isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value)
    ):
        value = np.asarray(value)
        if value.dtype == np.float64:
            value = value.astype(jnp.dtype(standardize_dtype(None)))
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype in (np.int64, np.uint64):
        _check_range(np.asarray(value), dtype)
    dtype = None if dtype is None else jax.dtypes.canonicalize_dtype(standardize_dtype(dtype))
    return jnp.asarray(value, dtype)


def _check_range(value: np.ndarray, dtype: Any) -> None:
    kept = jax.dtypes.canonicalize_dtype(value.dtype if dtype is None else standardize_dtype(dtype))
    if not np.issubdtype(kept, np.integer) or kept.itemsize == 8 or value.size == 0:
        return
    limits = np.iinfo(kept)
    for extreme in (int(value.min()), int(value.max())):
        if not limits.min <= extreme <= limits.max:
            raise errors.invalid(
                "convert_to_tensor",
                "every integer",
                f"within {kept} [{limits.min}, {limits.max}]",
                extreme,
                "Subtract an offset, or hash large identifiers first.",
            )
