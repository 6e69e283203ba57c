"""Layer: state and the computation that uses it.

`__init__` keeps the config, `build(input_shape)` makes the variables, `call(x)`
computes. What a layer owns is in tracking.py, what happens when it is called in
calling.py; here is what a subclass sees.
"""

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any, Self

import jax
import numpy as np

from talweg import constraints, initializers, regularizers
from talweg.core import dtypes, errors, names
from talweg.core.serialization import serialize_keras_object
from talweg.core.variables import Variable
from talweg.layers import context
from talweg.layers.building import building, is_shape
from talweg.layers.calling import Called
from talweg.layers.input_spec import InputSpec
from talweg.layers.masks import Masked
from talweg.layers.rematerialization import current_scope
from talweg.ops.keras_tensor import KerasTensor


class Layer(Called):
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

    # Whether the layer may be compiled; layers that work on strings are called before.
    supports_jit = True
    # Whether it takes text where a model begins; a model says so of its first layers.
    reads_text = False
    _init_arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls) and not hasattr(cls.build, "calls"):
            cls.build = building(cls.build)  # type: ignore[method-assign]

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
            raise errors.unknown(f"argument of {owner}", name_of, known)
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise errors.invalid(owner, "name", 'a string without "/"', name)
        self.name = name or names.auto_name(owner)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype_policy = dtype
        self.autocast = autocast
        self.built = False
        if type(self).compute_mask is not Masked.compute_mask:
            self.supports_masking = True
        self.input_spec: Any = None
        if not isinstance(trainable, (bool, np.bool_)):
            raise errors.invalid(owner, "trainable", "True or False", trainable)
        self._trainable = bool(trainable)
        self.remat_scope = current_scope()
        self._weights: list[Variable] = []
        self._added_losses: list[Any] = []
        self._build_shapes = None
        self._building = False
        self._path = None
        self._seen_shape: Any = None
        self._nodes = []
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

    def _build_at_init(self) -> None:
        """Count as built from the start, unless a subclass has something to build."""
        if type(self).build is Layer.build:
            self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a call(self, inputs) method.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output, traced from `call` unless a subclass knows better."""
        inputs = jax.tree.map(
            lambda shape: KerasTensor(shape, dtype=self.compute_dtype),
            input_shape,
            is_leaf=is_shape,
        )
        own = type(self).compute_output_spec is not Called.compute_output_spec
        output = self.compute_output_spec(inputs) if own else self._traced_spec(inputs)
        return jax.tree.map(lambda tensor: tensor.shape, output)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic outputs for symbolic inputs; of the layers inside only, asked of a layer."""
        return self.compute_output_spec(*args, **kwargs)

    # -- variables ---------------------------------------------------------------------

    def add_weight(
        self,
        *args: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        name: str | None = None,
    ) -> Variable:
        """Make a variable of this layer.

        Args:
            args: shape, initializer and dtype may come without their names.
            shape: its shape; () where None.
            initializer: name, object or callable; Glorot uniform for floats, else zeros.
            dtype: its type; the layer's `variable_dtype`.
            trainable: whether optimizers move it.
            autocast: whether mixed precision reads it in the compute type.
            regularizer: penalty added to the loss.
            constraint: projection applied after each update.
            name: its name, the last part of its path.
        """
        if args and isinstance(args[0], str):  # Keras 2: add_weight("kernel", shape=…)
            raise errors.invalid(
                f"Layer {self.name!r}", "the first argument of add_weight", "the shape", args[0],
                f"Write add_weight(shape=…, name={args[0]!r}).",
            )  # fmt: skip
        if len(args) > 3:
            raise TypeError(f"add_weight() takes shape, initializer and dtype, got {len(args)}.")
        named = (shape, initializer, dtype)
        if any(value is not None for value in named[: len(args)]):
            raise errors.invalid(
                f"Layer {self.name!r}", "arguments of add_weight", "given once", args
            )
        shape, initializer, dtype = (*args, *named[len(args) :])
        if self.built and not self._building and context.current() is not None:
            raise errors.invalid(
                f"Layer {self.name!r}", name or "a weight", "made in __init__ or build",
                "made in call", "call runs many times; it would add a weight each time.",
            )  # fmt: skip
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
                initializers.get(initializer), shape, dtype, trainable, autocast, aggregation,
                name=name,
            )  # fmt: skip
        variable.trainable = variable.trainable and self.trainable
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        return variable

    def add_variable(self, *args: Any, **kwargs: Any) -> Variable:
        """Another name of `add_weight`."""
        return self.add_weight(*args, **kwargs)

    # -- what talweg leaves out ----------------------------------------------------------

    def add_metric(self, *_: Any, **__: Any) -> None:
        """Keras 3 has none either.

        Raises:
            NotImplementedError: always, with what to do.
        """
        raise NotImplementedError(
            f"Layer {self.name!r}: add_metric() is gone since Keras 3. Make the metric an "
            "attribute in __init__ and call its update_state() in call(), or pass it to "
            "compile(metrics=…)."
        )

    def quantize(self, *_: Any, **__: Any) -> None:
        """Out of talweg's reach.

        Raises:
            NotImplementedError: always, with what to do.
        """
        raise NotImplementedError(
            f"Layer {self.name!r}: talweg does not quantize. Export the model to ONNX and quantize "
            'there, or compute in the policy "mixed_bfloat16".'
        )

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
            signature = inspect.signature(type(self).__init__)
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            given = dict(list(bound.arguments.items())[1:])
            kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
            rest = next((name for name, kind in kinds.items() if kind.name == "VAR_KEYWORD"), None)
            if rest is None:
                config = {name: value for name, value in config.items() if name in kinds}
            else:
                given.update(given.pop(rest))
            config = {**serialize_keras_object(given), **config}
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described; its `__init__` is given a policy by its name."""
        if isinstance(config.get("dtype"), dict):
            policy = dtypes.get_policy(config["dtype"])
            whole = isinstance(policy, dtypes.DTypePolicyMap)
            config = {**config, "dtype": policy if whole else policy.name}
        return cls(**config)

    def _again(self) -> Any:
        """A layer of the same config with variables of its own, for `clone_model`."""
        return type(self).from_config(self.get_config())

    @property
    def path(self) -> str | None:
        """The names of the layers around it and its own; None until it is built."""
        return self._path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


__all__ = ["InputSpec", "Layer"]
