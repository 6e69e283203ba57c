"""Layer: state and the computation that uses it.

`__init__` keeps the config, `build(input_shape)` makes the variables, `call(x)`
computes. What a layer owns is never registered anywhere: variables, sublayers, metrics
and seed generators are found by walking the attributes, lists and dicts included.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from talweg import constraints, initializers, regularizers
from talweg.core import dtypes, errors, names
from talweg.core.random import SeedGenerator
from talweg.core.serialization import serialize_keras_object
from talweg.core.variables import Variable, autocast, lend
from talweg.layers import context
from talweg.layers.input_spec import InputSpec, check_inputs
from talweg.metrics import Metric
from talweg.ops.keras_tensor import KerasTensor, compute_output_spec

_OWNABLE = (Variable, SeedGenerator, Metric)


def parts_of(value: Any, kinds: Any) -> Iterator[Any]:
    """Objects of `kinds` in `value` and in the lists, tuples and dicts inside it."""
    if isinstance(value, kinds):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts_of(item, kinds)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from parts_of(item, kinds)


def unique(items: Any) -> list[Any]:
    """`items` without repeated objects, in order."""
    return list({id(item): item for item in items}.values())


class Layer:
    """Base of all layers.

    Args:
        activity_regularizer: penalty on the output.
        trainable: whether optimizers move the layer's weights.
        dtype: a type or a policy; `floatx()` by default.
        autocast: whether floating inputs are cast to the compute type.
        name: the layer's name; numbered by class where None.
        input_shape: the shape of one sample; makes a Sequential model build at once.
        input_dim: the same for a flat input: `input_shape=(input_dim,)`.
        batch_input_shape: the same with the batch axis.

    A subclass defines `call`, and `build` where it has weights:

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()(np.array([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    _init_arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _building(cls.build)  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        layer = super().__new__(cls)
        layer._init_arguments = (args, kwargs)
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        **unknown: Any,
    ):
        owner = type(self).__name__
        if unknown:
            known = inspect.signature(type(self).__init__).parameters
            name_of = next(iter(unknown))
            raise TypeError(str(errors.unknown(f"argument of {owner}", name_of, known)))
        if name is not None and not isinstance(name, str):
            raise errors.wrong_type(owner, "name", "a string", name)
        self.name = name or names.auto_name(owner)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype_policy = dtypes.get_policy(dtype)
        self.autocast = autocast
        self.built = False
        self.supports_masking = False
        self.input_spec: Any = None
        self._trainable = bool(trainable)
        self._weights: list[Variable] = []
        self._added_losses: list[Any] = []
        self._build_shape: Any = None
        self._building = False
        if input_dim is not None:
            input_shape = (input_dim,)
        if batch_input_shape is not None:
            self._batch_input_shape: tuple[int | None, ...] | None = tuple(batch_input_shape)
        elif input_shape is not None:
            self._batch_input_shape = (batch_size, *input_shape)
        else:
            self._batch_input_shape = None

    # -- what a subclass defines -----------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the variables for inputs of this shape; the batch axis is None."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a call(self, inputs) method.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output, traced from `call` unless a subclass knows better."""
        inputs = jax.tree.map(
            lambda shape: KerasTensor(shape, dtype=self.compute_dtype),
            input_shape,
            is_leaf=_is_shape,
        )
        output = self.compute_output_spec(inputs)
        return jax.tree.map(lambda tensor: tensor.shape, output)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic output for symbolic inputs; nothing is computed."""
        return compute_output_spec(self.call, *args, **kwargs)

    # -- variables -------------------------------------------------------------------

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """Make a variable of this layer.

        Args:
            shape: its shape; () where None.
            initializer: name, object or callable; Glorot uniform for floats, else zeros.
            dtype: its type; the layer's `variable_dtype`.
            trainable: whether optimizers move it.
            autocast: whether mixed precision reads it in the compute type.
            regularizer: penalty added to the loss.
            constraint: projection applied after each update.
            name: its name, the last part of its path.
        """
        if isinstance(shape, str):  # Keras 2: add_weight("kernel", shape=…)
            raise errors.wrong_type(self.name, "shape", "a tuple", shape, "Pass name=… by keyword.")
        dtype = dtypes.standardize_dtype(dtype or self.variable_dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        shape = (shape,) if isinstance(shape, int) else tuple(shape or ())
        if any(size is None or size < 0 for size in shape):
            raise errors.invalid(
                f"Layer {self.name!r}", f"the shape of {name or 'a weight'}", "known", shape,
                "Give the input a fixed size on that axis.",
            )  # fmt: skip
        with contextlib.nullcontext() if self._building else names.name_scope(self.name):
            variable = Variable(
                initializers.get(initializer), shape, dtype, trainable, autocast, name=name
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        return variable

    def _own(self, kinds: Any) -> list[Any]:
        hidden = ("_added_losses", "_init_arguments")
        values = (value for key, value in vars(self).items() if key not in hidden)
        return unique(part for value in values for part in parts_of(value, kinds))

    def _sublayers(self) -> list["Layer"]:
        return self._own(Layer)

    def _flatten_layers(self) -> Iterator["Layer"]:
        """The layer and all that it contains, each once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            layer = stack.pop(0)
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                stack = layer._sublayers() + stack

    def _own_weights(self) -> list[Variable]:
        own = self._own(Variable)
        return [v for v in own if v.trainable] + [v for v in own if not v.trainable]

    @property
    def weights(self) -> list[Variable]:
        """All variables but seeds: the layer's own, then its sublayers'."""
        return unique(v for layer in self._flatten_layers() for v in layer._own_weights())

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights and the states of seed generators."""
        return unique(
            v
            for layer in self._flatten_layers()
            for v in [*layer._own_weights(), *(s.state for s in layer._own(SeedGenerator))]
        )

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer moves."""
        return unique(
            v
            for layer in self._flatten_layers()
            if layer.trainable and self.trainable
            for v in layer._own_weights()
            if v.trainable
        )

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that an optimizer moves."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer moves."""
        moved = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.weights if id(variable) not in moved]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that no optimizer moves, seeds included."""
        moved = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in moved]

    @property
    def trainable(self) -> bool:
        """Whether the layer learns; setting it sets all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of `weights` as NumPy arrays."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `weights` from arrays, in order.

        Raises:
            ValueError: another number of arrays, or another shape.
        """
        mine = self.weights
        if len(weights) != len(mine):
            raise errors.invalid(
                f"Layer {self.name!r}", "weights", f"a list of {len(mine)} arrays", len(weights)
            )
        for variable, value in zip(mine, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise errors.invalid(
                    f"Layer {self.name!r}", variable.path, f"of shape {variable.shape}",
                    np.shape(value),
                )  # fmt: skip
        for variable, value in zip(mine, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no weights yet: build it or call it first.")
        return sum(math.prod(variable.shape) for variable in self.weights)

    # -- losses ----------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add scalars to what training minimizes; called inside `call`."""
        call = context.current()
        for value in jax.tree.leaves(loss):
            value = jnp.asarray(value)
            if call is not None:
                call.losses.append(value)
            if not isinstance(value, jax.core.Tracer):
                self._added_losses.append(value)

    @property
    def losses(self) -> list[Any]:
        """Penalties of the last call and of the weights, as scalars."""
        call = context.current()
        if call is not None:
            return call.losses + self.weight_losses()
        added = [loss for layer in self._flatten_layers() for loss in layer._added_losses]
        return added + self.weight_losses()

    def weight_losses(self) -> list[Any]:
        """The penalties of the trainable weights' regularizers."""
        return [
            variable.regularizer(variable.value)
            for variable in self.trainable_weights
            if variable.regularizer is not None
        ]

    # -- types -----------------------------------------------------------------------

    @property
    def compute_dtype(self) -> str:
        """The type that the layer computes in."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The type that the layer keeps its weights in."""
        return self.dtype_policy.variable_dtype

    dtype = variable_dtype
    input_dtype = compute_dtype

    # -- the call --------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "built" not in vars(self):
            raise RuntimeError(
                f"{type(self).__name__}.__init__ must call super().__init__(**kwargs) first."
            )
        args, kwargs = self._convert((args, kwargs)) if self.autocast else (args, kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        self._maybe_build(args, kwargs)
        if self.input_spec is not None:
            check_inputs(self.name, self.input_spec, inputs)

        outer = context.current()
        takes_training = "training" in _call_parameters(type(self))
        training = kwargs.pop("training", None)
        if training is None and outer is not None:
            training = outer.training
        if training is None and takes_training:
            default = _call_parameters(type(self))["training"].default
            training = None if default is inspect.Parameter.empty else default
        if takes_training:
            kwargs["training"] = bool(training) if training is not None else False

        if any(isinstance(leaf, KerasTensor) for leaf in jax.tree.leaves((args, kwargs))):
            with context.call_context(training):
                return self.compute_output_spec(*args, **kwargs)

        if outer is None:
            for layer in self._flatten_layers():
                layer._added_losses = []
        losses = None if outer is None else outer.losses
        cast = self.compute_dtype if self.compute_dtype != self.variable_dtype else None
        with (
            context.call_context(training, losses),
            names.name_scope(self.name),
            autocast(cast),
        ):
            outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    batch = max(output.shape[0], 1) if output.ndim else 1
                    self.add_loss(self.activity_regularizer(output) / batch)
        return outputs

    def _convert(self, arguments: Any) -> Any:
        def convert(value: Any) -> Any:
            if isinstance(value, (np.ndarray, jax.Array, Variable, np.generic)):
                if isinstance(value, Variable):
                    value = value.value
                if isinstance(value, np.ndarray) and value.dtype.kind in "OUS":
                    return value
                if dtypes.is_float(value.dtype) and dtypes.is_float(self.compute_dtype):
                    return jnp.asarray(value, dtype=self.compute_dtype)
                return jnp.asarray(value)
            return value

        return jax.tree.map(convert, arguments, is_leaf=lambda v: isinstance(v, Variable))

    def _maybe_build(self, args: Any, kwargs: Any) -> None:
        if self.built:
            return
        shapes = {
            name: jax.tree.map(_shape_of, value)
            for name, value in _bind(type(self), self, args, kwargs).items()
            if _is_arrays(value)
        }
        with jax.ensure_compile_time_eval():
            self.build(**_build_arguments(type(self), shapes))
        self.built = True

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` recorded."""
        if config and "input_shape" in config:
            self.build(_as_shape(config["input_shape"]))

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for."""
        return None if self._build_shape is None else {"input_shape": self._build_shape}

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The call as a pure function of the variables' values.

        Args:
            trainable_variables: arrays for `self.trainable_variables`.
            non_trainable_variables: arrays for `self.non_trainable_variables`.
            return_losses: whether the penalties come as a third result.

        Returns:
            `(outputs, new non-trainable values)`, and the losses where asked for.
        """
        trainable, fixed = self.trainable_variables, self.non_trainable_variables
        arrays = [*trainable_variables, *non_trainable_variables]
        with (
            lend([*trainable, *fixed], arrays) as loan,
            context.call_context(kwargs.get("training")) as call,
        ):
            outputs = self(*args, **kwargs)
            losses = [*call.losses, *self.weight_losses()] if return_losses else []
            updated = loan.values(fixed)
        return (outputs, updated, losses) if return_losses else (outputs, updated)

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer.

        A layer whose `__init__` takes plain values needs no `get_config` of its own.
        """
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and type(self).__init__ is not Layer.__init__:
            args, kwargs = self._init_arguments
            bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
            given = dict(list(bound.arguments.items())[1:])
            given.update(given.pop("kwargs", {}))
            config.update(serialize_keras_object(given))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described."""
        return cls(**config)

    @property
    def path(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _building(build: Callable[..., None]) -> Callable[..., None]:
    """`build` that names what it makes after the layer and marks the layer as built."""

    @functools.wraps(build)
    def wrapped(self: Layer, *args: Any, **kwargs: Any) -> None:
        if self._building:  # a subclass calls super().build
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with names.name_scope(self.name), jax.ensure_compile_time_eval():
                build(self, *args, **kwargs)
        finally:
            self._building = False
        shapes = [*args, *kwargs.values()]
        self._build_shape = shapes[0] if len(shapes) == 1 else None
        self.built = True
        return None

    return wrapped


@functools.cache
def _call_parameters(cls: type[Layer]) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(cls.call).parameters.items())[1:])


def _bind(cls: type[Layer], layer: Layer, args: Any, kwargs: Any) -> dict[str, Any]:
    known = {k: v for k, v in kwargs.items() if k in _call_parameters(cls)}
    return dict(inspect.signature(layer.call).bind_partial(*args, **known).arguments)


def _build_arguments(cls: type[Layer], shapes: dict[str, Any]) -> dict[str, Any]:
    """Shapes for `build`: the first input's, or one for each argument `<name>_shape`."""
    parameters = list(inspect.signature(cls.build).parameters)[1:]
    by_name = {f"{name}_shape": shape for name, shape in shapes.items()}
    if len(parameters) > 1:
        return {name: by_name[name] for name in parameters if name in by_name}
    first = next(iter(shapes.values()), None)
    return {parameters[0]: first} if parameters else {}


def _shape_of(value: Any) -> tuple[int | None, ...]:
    return tuple(value.shape)


def _is_arrays(value: Any) -> bool:
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def _as_shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_shape(item) for key, item in value.items()}
    if _is_shape(value):
        return tuple(value)
    return [_as_shape(item) for item in value]


__all__ = ["InputSpec", "Layer"]
