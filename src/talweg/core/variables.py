"""Variable: the only home of a number.

A variable is a cell that holds one array. Compiled code is pure: the loop reads the
cells, runs a block, and writes the results back at once. While the block is traced, a
*loan* puts tracers in the place of the cells' arrays:

    with lend(variables, tracers) as loan:
        y = model(x)                 # reads and assigns the tracers
        updated = loan.values(variables)

Loans live in a context variable, so threads do not meet; they nest.
"""

import contextlib
import itertools
import operator
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from talweg.core import errors, names
from talweg.core.dtypes import is_float, standardize_dtype
from talweg.core.loans import Loan, current_autocast, current_bound, current_loan
from talweg.core.serialization import catalog_of

Array = jax.Array


@contextlib.contextmanager
def lend(
    variables: Sequence["Variable"], arrays: Sequence[Any], catch_all: bool = False
) -> Generator[Loan]:
    """Let `arrays` stand in for the values of `variables` until the block ends.

    A variable among `arrays` stands for the value that it has now. With `catch_all` the loan
    also takes what is assigned to other variables.
    """
    values = [array.value if isinstance(array, Variable) else array for array in arrays]
    pairs = zip(variables, values, strict=True)
    lent = {id(variable): value for variable, value in pairs}
    loan = Loan(current_loan.get(), lent, catch_all)
    token = current_loan.set(loan)
    try:
        yield loan
    finally:
        current_loan.reset(token)


class Variable:
    """A cell that holds one array.

    Args:
        initializer: the initial value (array-like), or a callable
            `(shape, dtype=) -> array` or the name of an initializer, which need `shape`.
        shape: the shape, for a callable initializer.
        dtype: the type of the numbers; that of the value, or `floatx()`.
        trainable: whether optimizers move it.
        name: its name; a free one is made where none is given.
        autocast: whether mixed-precision layers read it in their compute type.
        aggregation, synchronization: kept as Keras does; one program holds one copy.
        validator: called with every concrete value before it is accepted.

    Raises:
        ValueError: a value of another shape is assigned; a name with "/"; a shape that is
            not known; an unknown aggregation.

    >>> v = Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    __slots__ = (
        "__weakref__",
        "_value",
        "aggregation",
        "autocast",
        "constraint",
        "made_trainable",
        "name",
        "path",
        "regularizer",
        "serial",
        "synchronization",
        "trainable",
        "validator",
    )
    # Arrays defer to the variable's reflected operators.
    __array_priority__ = 100

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int | None] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        *,
        validator: Callable[[Any], Any] | None = None,
        **_ignored_of_tensorflow: Any,
    ):
        if name is not None and "/" in name:
            raise errors.invalid("Variable", "name", 'a string without "/"', name)
        self.aggregation = _chosen("aggregation", aggregation, _AGGREGATIONS)
        self.synchronization = _chosen("synchronization", synchronization, _SYNCHRONIZATIONS)
        if isinstance(initializer, str):
            initializer = _initializer(initializer)
        self.name = name or names.auto_name(type(self).__name__)
        self.path = names.current_path(self.name)
        self.trainable = bool(trainable)
        # What decides the place among a layer's weights, which freezing must not change.
        self.made_trainable = self.trainable
        # A layer's weights stand in the order in which they were made.
        self.serial = next(_serials)
        self.autocast = autocast
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        self.validator = validator
        # A layer may be built inside a trace; its weights are real all the same.
        with jax.ensure_compile_time_eval():
            if callable(initializer):
                if shape is None:
                    raise errors.invalid(
                        "Variable", "shape", "given with a callable initializer", shape
                    )
                sizes = tuple(size for size in shape if size is not None and size >= 0)
                if len(sizes) < len(shape):
                    raise errors.invalid("Variable", "shape", "known", tuple(shape))
                check = current_bound.get()
                if check is not None:
                    check(sizes)
                initial = initializer(sizes, dtype=standardize_dtype(dtype))
            else:
                initial = initializer.value if isinstance(initializer, Variable) else initializer
            self._value = _as_array(initial, dtype)

    @property
    def value(self) -> Any:
        """The array: the cell's own, or the one that a trace has lent to it."""
        loan = current_loan.get()
        holder = None if loan is None else loan.reader(self)
        value = self._value if holder is None else holder.arrays[id(self)]
        cast = current_autocast.get()
        if cast is not None and self.autocast and is_float(value.dtype):
            return value.astype(cast)
        return value

    def assign(self, value: Any) -> "Variable":
        """Set the value; shapes must agree, the type stays the variable's."""
        new = value.value if isinstance(value, Variable) else value
        if not (isinstance(new, jax.Array) and new.dtype == self._value.dtype) or new.weak_type:
            new = _copied(new, self._value.dtype)
        if new.shape != self._value.shape:
            raise errors.invalid(
                f"Variable {self.path!r}", "the value", f"of shape {self.shape}", new.shape
            )
        loan = current_loan.get()
        holder = None if loan is None else loan.writer(self)
        if holder is not None:
            holder.write(self, new)
            return self
        if isinstance(new, Tracer):
            raise RuntimeError(
                f"Variable {self.path!r} is assigned inside a compiled function that does not "
                "know it. Make it an attribute of the model, a layer or a metric, so that it "
                "belongs to the state of the step."
            )
        if self.validator is not None:
            self.validator(new)
        self._value = new
        return self

    def assign_add(self, value: Any) -> "Variable":
        """Add to the value."""
        return self.assign(self.value + _unwrap(value))

    def assign_sub(self, value: Any) -> "Variable":
        """Subtract from the value."""
        return self.assign(self.value - _unwrap(value))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> str:
        """The type of `value`: in a mixed-precision layer, the type it computes in."""
        own = standardize_dtype(self._value.dtype)
        cast = current_autocast.get()
        return cast if cast is not None and self.autocast and is_float(own) else own

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> int:
        return self._value.size

    def numpy(self) -> np.ndarray:
        """A copy of the value as a NumPy array."""
        return np.array(self.value)

    read_value = numpy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __jax_array__(self) -> Any:
        return self.value

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.value.item() if self.ndim == 0 else self.value, spec)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)  # by indices it would never end: those of JAX stop at the last

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"


_serials = itertools.count()
_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = ("none", "on_read", "on_write", "auto")


def _chosen(what: str, value: str | None, known: Sequence[str]) -> str:
    if value is not None and value not in known:
        raise errors.unknown(f"{what} of a Variable", value, known)
    return value or "none"


def _initializer(name: str) -> Any:
    catalog = catalog_of("keras.initializers")
    assert catalog is not None, "talweg.initializers is a part of talweg"
    return catalog.get(name)


def _unwrap(value: Any) -> Any:
    if isinstance(value, Variable):
        return value.value
    return jnp.asarray(value) if isinstance(value, (list, tuple)) else value


def _as_array(value: Any, dtype: Any) -> Array:
    """`value` on the device: as `dtype`, or its own type, or `floatx()` for plain floats."""
    if dtype is None:
        own = getattr(value, "dtype", None) or np.asarray(value).dtype
        plain_float = not hasattr(value, "dtype") and own.kind == "f"
        dtype = None if plain_float else own
    return _copied(value, jax.dtypes.canonicalize_dtype(standardize_dtype(dtype)))


def _copied(value: Any, dtype: Any) -> Array:
    """A copy on the device: the array that was given stays the caller's, to change as it likes.

    By way of the host, where a copy and a cast need no compilation.
    """
    if isinstance(value, Tracer):
        return jnp.asarray(value, dtype)
    with jax.ensure_compile_time_eval():
        return jax.device_put(np.array(value, dtype))


def _forward(operation: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    """An operator of Variable that acts on the values."""
    if reflected:
        return lambda self, other: operation(_unwrap(other), self.value)
    return lambda self, *other: operation(self.value, *map(_unwrap, other))


for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]:
    _operation = getattr(operator, f"__{_name}__")
    setattr(Variable, f"__{_name}__", _forward(_operation))
    setattr(Variable, f"__r{_name}__", _forward(_operation, reflected=True))
for _name in ["eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"]:
    setattr(Variable, f"__{_name}__", _forward(getattr(operator, _name)))
# As in Keras, these are of truths: 2 & 1 is True.
for _name in ["and", "or", "xor"]:
    _operation = getattr(jnp, f"logical_{_name}")
    setattr(Variable, f"__{_name}__", _forward(_operation))
    setattr(Variable, f"__r{_name}__", _forward(_operation, reflected=True))
setattr(Variable, "__round__", _forward(round))  # noqa: B010
