"""Calling: from what a layer is called with to `build` and `call`."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import dtypes, errors, names
from talweg.core.variables import Variable, autocast, lend
from talweg.layers import context
from talweg.layers.input_spec import check_inputs
from talweg.layers.masks import Masked, call_parameters, is_arrays
from talweg.ops.keras_tensor import KerasTensor, Node, compute_output_spec


class _OfNode:
    """What a layer's one use on symbolic tensors had, unless an attribute hides it."""

    def __init__(self, what: str):
        self.what = what

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        nodes = layer._nodes
        if len(nodes) != 1:
            used = "has not been called" if not nodes else f"was called {len(nodes)} times"
            raise AttributeError(
                f"Layer {layer.name!r} {used} on symbolic tensors, so it has no one {self.what}."
            )
        if self.what == "output":
            return nodes[0].outputs
        return nodes[0].args[0] if nodes[0].args else next(iter(nodes[0].kwargs.values()))


class Called(Masked):
    """The part of `Layer` that is called: casts, builds, then computes or traces."""

    autocast: bool
    activity_regularizer: Any
    input_spec: Any
    build: Callable[..., None]
    call: Callable[..., Any]
    compute_output_shape: Callable[[Any], Any]
    _build_shape: Any
    _seen_shape: Any
    _nodes: list[Node]

    input = _OfNode("input")
    output = _OfNode("output")

    # -- types -----------------------------------------------------------------------

    @property
    def dtype_policy(self) -> dtypes.DTypePolicy:
        """What the layer computes in and keeps its weights in; may be set by name."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, policy: Any) -> None:
        self._dtype_policy = dtypes.get_policy(policy)

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
        given = args, dict(kwargs)
        args, kwargs = self._convert((args, kwargs)) if self.autocast else (args, kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        self._maybe_build(args, kwargs)
        if self.input_spec is not None:
            check_inputs(self.name, self.input_spec, inputs)

        outer = context.current()
        takes_training = "training" in call_parameters(type(self))
        training = kwargs.pop("training", None)
        if training is None and outer is not None:
            training = outer.training
        if training is None and takes_training:
            default = call_parameters(type(self))["training"].default
            training = None if default is inspect.Parameter.empty else default
        if takes_training:
            kwargs["training"] = bool(training) if training is not None else False
        previous_mask = self._incoming_mask(args, kwargs, inputs)

        if any(isinstance(leaf, KerasTensor) for leaf in jax.tree.leaves((args, kwargs))):
            with context.call_context(training), names.name_scope(self.name):
                spec = self.compute_output_spec(*args, **kwargs)
            self._seen_shape = jax.tree.map(lambda tensor: tensor.shape, spec)
            node = Node(self, *given, spec)
            self._nodes.append(node)
            self._outgoing_mask(inputs, node.outputs, previous_mask)
            return node.outputs

        if outer is None:
            for layer in self._flatten_layers():
                layer._added_losses = []
        losses = None if outer is None else outer.losses
        with (
            context.call_context(training, losses),
            names.name_scope(self.name),
            self._reading(),
        ):
            outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    batch = max(output.shape[0], 1) if output.ndim else 1
                    self.add_loss(self.activity_regularizer(output) / batch)
            self._outgoing_mask(inputs, outputs, previous_mask)
            if outer is None:
                context.keep_masks(outputs)
        return outputs

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        """While weights are read in the type that the layer computes in."""
        mixed = self.compute_dtype != self.variable_dtype
        return autocast(self.compute_dtype if mixed else None)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic output for symbolic inputs; nothing is computed.

        The shape is what `compute_output_shape` says, where the layer defines it together
        with `call`; else `call` is traced.
        """
        leaves = jax.tree.leaves((args, kwargs))
        one_input = len(args) == 1 and all(isinstance(leaf, KerasTensor) for leaf in leaves)
        if (
            one_input
            and self.autocast
            and all(dtypes.is_float(leaf.dtype) for leaf in leaves)
            and knows_its_shape(type(self))
            and not self._sublayers()
        ):
            shape = self.compute_output_shape(jax.tree.map(_shape_of, args[0]))
            return jax.tree.map(
                lambda sizes: KerasTensor(sizes, self.compute_dtype), shape, is_leaf=is_shape
            )
        return self._traced_spec(*args, **kwargs)

    def _traced_spec(self, *args: Any, **kwargs: Any) -> Any:
        given = context.masks_of((args, kwargs))

        def call(masks: Any, args: Any, kwargs: Any) -> Any:
            context.set_masks((args, kwargs), masks)
            outputs = self.call(*args, **kwargs)
            return outputs, jax.tree.map(context.mask_of, outputs)

        with self._reading():
            outputs, masks = compute_output_spec(call, given, args, kwargs)
        context.set_masks(outputs, masks)
        return outputs

    def _convert(self, arguments: Any) -> Any:
        def convert(value: Any) -> Any:
            if isinstance(value, KerasTensor):
                floats = dtypes.is_float(value.dtype) and dtypes.is_float(self.compute_dtype)
                if not floats or value.dtype == self.compute_dtype:
                    return value
                cast = KerasTensor(value.shape, self.compute_dtype, value.name)
                return context.carry_mask(value, cast)
            if isinstance(value, (np.ndarray, jax.Array, Variable, np.generic)):
                if isinstance(value, Variable):
                    value = value.value
                if isinstance(value, np.ndarray) and value.dtype.kind in "OUS":
                    return value
                # The same array where nothing is to be cast: masks are found by identity.
                if dtypes.is_float(value.dtype) and dtypes.is_float(self.compute_dtype):
                    same = isinstance(value, jax.Array) and value.dtype == self.compute_dtype
                    if same and not value.weak_type:
                        return value
                    array = jnp.asarray(value, dtype=self.compute_dtype)
                    return context.carry_mask(value, array)
                return value if isinstance(value, jax.Array) else jnp.asarray(value)
            return value

        return jax.tree.map(convert, arguments, is_leaf=lambda v: isinstance(v, Variable))

    def _maybe_build(self, args: Any, kwargs: Any) -> None:
        if self.built:
            return
        shapes = {
            name: jax.tree.map(_shape_of, value)
            for name, value in _bind(type(self), self, args, kwargs).items()
            if is_arrays(value)
        }
        with jax.ensure_compile_time_eval():
            self.build(**_build_arguments(type(self), shapes))
        self.built = True

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` recorded."""
        if config and "input_shape" in config:
            self.build(as_shape(config["input_shape"]))

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
            context.keep_masks(outputs)
        return (outputs, updated, losses) if return_losses else (outputs, updated)


def building(build: Callable[..., None]) -> Callable[..., None]:
    """`build` that names what it makes after the layer and marks the layer as built."""

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
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


def _bind(cls: type, layer: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    known = {k: v for k, v in kwargs.items() if k in call_parameters(cls)}
    return dict(inspect.signature(layer.call).bind_partial(*args, **known).arguments)


def _build_arguments(cls: type, shapes: dict[str, Any]) -> dict[str, Any]:
    """Shapes for `build`: the first input's, or one for each argument `<name>_shape`."""
    parameters = dict(list(inspect.signature(cls.build).parameters.items())[1:])
    if len(parameters) < 2:
        first = next(iter(shapes.values()), None)
        return dict.fromkeys(parameters, first)
    by_name = {f"{name}_shape": shape for name, shape in shapes.items()}
    for name, parameter in parameters.items():
        if name not in by_name and parameter.default is parameter.empty:
            raise errors.invalid(
                f"{cls.__name__}.build", f"argument {name!r}",
                "named <argument of call>_shape", name,
                f"call() was given tensors for {', '.join(shapes) or 'no argument'}.",
            )  # fmt: skip
    return {name: by_name[name] for name in parameters if name in by_name}


@functools.cache
def knows_its_shape(cls: type) -> bool:
    """Whether `compute_output_shape` was written for the `call` that the class has."""

    def depth(method: str) -> int:
        return next(i for i, base in enumerate(cls.__mro__) if method in vars(base))

    own = depth("compute_output_shape")
    return cls.__mro__[own].__name__ != "Layer" and own <= depth("call")


def _shape_of(value: Any) -> tuple[int | None, ...]:
    return tuple(value.shape)


def is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def as_shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_shape(item) for key, item in value.items()}
    if is_shape(value):
        return tuple(value)
    return [as_shape(item) for item in value]
