"""Calling: from what a layer is called with to `build` and `call`."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import dtypes, errors, names
from talweg.core.loans import autocast
from talweg.core.variables import Variable, lend
from talweg.layers import context
from talweg.layers.building import Built, is_shape, shape_of
from talweg.layers.input_spec import check_inputs, check_positional, refuse_nothing
from talweg.layers.masks import call_parameters, is_mask_name
from talweg.layers.rematerialization import RematScope, activation_again, checkpointed
from talweg.ops.keras_tensor import KerasTensor, Node, compute_output_spec


class _OfNode:
    """What a layer's first use on symbolic tensors had, unless an attribute hides it."""

    def __init__(self, what: str):
        self.what = what

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        nodes = layer._nodes
        if not nodes:
            raise AttributeError(
                f"Layer {layer.name!r} has never been called on symbolic tensors, so it has no "
                f"{self.what}."
            )
        if self.what == "output":
            return nodes[0].outputs
        return nodes[0].args[0] if nodes[0].args else next(iter(nodes[0].kwargs.values()))


class Called(Built):
    """The part of `Layer` that is called: casts, builds, then computes or traces."""

    autocast: bool
    activity_regularizer: Any
    input_spec: Any
    call: Callable[..., Any]
    compute_output_shape: Callable[[Any], Any]
    remat_scope: RematScope | None
    _seen_shape: Any
    _nodes: list[Node]

    input = _OfNode("input")
    output = _OfNode("output")

    # Keras's name, which subclasses set, for layers that take lists of numbers and the like.
    _allow_non_tensor_positional_args = False

    # -- types -----------------------------------------------------------------------

    @property
    def dtype_policy(self) -> dtypes.DTypePolicy:
        """What the layer computes in and keeps its weights in; may be set by name.

        Set on a built layer that was given a map, it is the map's policy for the layer's path.
        """
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, policy: Any) -> None:
        policy, known = dtypes.get_policy(policy), getattr(self, "_dtype_policy", None)
        whole = isinstance(policy, dtypes.DTypePolicyMap)
        if not isinstance(known, dtypes.DTypePolicyMap) or whole or not self._path:
            self._dtype_policy = policy
            return
        if self._path in known:
            del known[self._path]
        known[self._path] = policy

    @property
    def _own_policy(self) -> dtypes.DTypePolicy:
        """The policy for the layer's path, where it was given a map."""
        policy = self._dtype_policy
        return policy[self._path] if isinstance(policy, Mapping) and self._path else policy

    @property
    def quantization_mode(self) -> None:
        """None: talweg does not quantize."""

    @property
    def compute_dtype(self) -> str:
        """The type that the layer computes in."""
        return self._own_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The type that the layer keeps its weights in."""
        return self._own_policy.variable_dtype

    dtype = variable_dtype
    input_dtype = compute_dtype

    # -- the call --------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "built" not in vars(self):
            raise RuntimeError(
                f"{type(self).__name__}.__init__ must call super().__init__(**kwargs) first."
            )
        if not args and not kwargs:
            refuse_nothing(self.name, call_parameters(type(self)))
        given = args, dict(kwargs)
        args, kwargs = self._convert((args, kwargs)) if self.autocast else (args, kwargs)
        if not self._allow_non_tensor_positional_args:
            check_positional(self.name, args, list(call_parameters(type(self))))
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        if inputs is not None or self.input_spec is None:
            self._maybe_build(args, kwargs)
        if self.input_spec is not None:
            check_inputs(self.name, self.input_spec, inputs)

        outer = context.current()
        parameters = list(call_parameters(type(self)))
        takes_training = "training" in parameters
        if takes_training and len(args) > (place := parameters.index("training")):
            kwargs = {**dict(zip(parameters[place:], args[place:], strict=False)), **kwargs}
            args = args[:place]
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
            outputs = self._computed(args, kwargs)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    batch = max(output.shape[0], 1) if output.ndim else 1
                    self.add_loss(self.activity_regularizer(output) / batch)
            self._outgoing_mask(inputs, outputs, previous_mask)
            if outer is None:
                context.keep_masks(outputs)
        return outputs

    def _computed(self, args: Any, kwargs: Any) -> Any:
        """The outputs; where a `RematScope` says so, they keep less for their gradients."""
        scope = self.remat_scope
        if scope is None:
            return self.call(*args, **kwargs)
        if scope.mode == "activations" and callable(getattr(self, "activation", None)):
            with activation_again(self):
                return self.call(*args, **kwargs)
        if scope.covers(self, lambda: self.compute_output_spec(*_symbolic(args), **kwargs)):
            return checkpointed(self.call, self, args, kwargs)
        return self.call(*args, **kwargs)

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        """While weights are read in the type that the layer computes in."""
        mixed = self.compute_dtype != self.variable_dtype
        return autocast(self.compute_dtype if mixed else None)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic output for symbolic inputs; nothing is computed.

        The shape is what `compute_output_shape` says, where the layer defines it together
        with `call`; else `call` is traced.
        """
        masks = {name for name in kwargs if is_mask_name(name)}
        leaves = jax.tree.leaves((args, {k: v for k, v in kwargs.items() if k not in masks}))
        one_input = len(args) == 1 and all(isinstance(leaf, KerasTensor) for leaf in leaves)
        if (
            one_input
            and self.autocast
            and all(dtypes.is_float(leaf.dtype) for leaf in leaves)
            and knows_its_shape(type(self))
            and not self._sublayers()
        ):
            shape = self.compute_output_shape(jax.tree.map(shape_of, args[0]))
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
            if hasattr(value, "iloc"):  # of pandas
                value = np.asarray(value)
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

        Raises:
            ValueError: the layer is not built, or has other numbers of variables.
        """
        trainable, fixed = self.trainable_variables, self.non_trainable_variables
        if not self.built:
            raise errors.invalid(
                f"Layer {self.name!r}", "the layer", "built, to be called without state",
                "not built", "Call it on data, or build(input_shape), first.",
            )  # fmt: skip
        given = {"trainable_variables": trainable_variables,
                 "non_trainable_variables": non_trainable_variables}  # fmt: skip
        for (name, values), own in zip(given.items(), (trainable, fixed), strict=True):
            if len(values) != len(own):
                raise errors.invalid(
                    f"Layer {self.name!r}", name, f"a list of {len(own)} arrays", len(values)
                )
        arrays = [*trainable_variables, *non_trainable_variables]
        held = self.metrics_variables  # what a layer's own metric gathers here is nobody's
        with (
            lend(held, held),
            lend([*trainable, *fixed], arrays) as loan,
            context.call_context(kwargs.get("training")) as call,
        ):
            outputs = self(*args, **kwargs)
            losses = [*call.losses, *self.weight_losses()] if return_losses else []
            updated = loan.values(fixed)
            context.keep_masks(outputs)
        return (outputs, updated, losses) if return_losses else (outputs, updated)


def _symbolic(arrays: Any) -> Any:
    return jax.tree.map(
        lambda leaf: KerasTensor(leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf, arrays
    )


@functools.cache
def knows_its_shape(cls: type) -> bool:
    """Whether `compute_output_shape` was written for the `call` that the class has."""

    def depth(method: str) -> int:
        return next(i for i, base in enumerate(cls.__mro__) if method in vars(base))

    own = depth("compute_output_shape")
    return cls.__mro__[own].__name__ != "Layer" and own <= depth("call")
