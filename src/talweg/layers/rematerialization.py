"""Rematerialization: computing activations again in the backward pass in place of keeping them.

What the chain rule needs of a layer's inside is thrown away after the forward pass and
computed again when its gradient is due: memory falls, time grows by up to one forward pass.
Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, arXiv:1604.06174.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from typing import Any, Self

import jax
import numpy as np

from talweg.core import errors
from talweg.core.loans import autocast
from talweg.core.variables import lend
from talweg.layers import context
from talweg.layers.tracking import Tracked
from talweg.ops.keras_tensor import is_symbolic

MODES = ("full", "activations", "larger_than", "list_of_layers", None)

_scope: ContextVar["RematScope | None"] = ContextVar("talweg_remat", default=None)
_inside: ContextVar[bool] = ContextVar("talweg_inside_remat", default=False)


class RematScope:
    """Layers that are made inside keep less for their gradients and compute it again.

    The gradients stay the same. It is settled when a layer is made, and holds wherever it
    is called.

    Args:
        mode: which of them do: "full" all, "activations" the activations of those that have
            one, "larger_than" those whose output holds more numbers than
            `output_size_threshold` (an unknown batch counts as one), "list_of_layers" those
            named in `layer_names`, None no layer, for a part inside another scope.
        output_size_threshold: for "larger_than", 1024.
        layer_names: for "list_of_layers".

    Raises:
        ValueError: an unknown mode.

    >>> from talweg.layers import Dense
    >>> with RematScope("full"):
    ...     layer = Dense(4, activation="relu")
    >>> layer.remat_scope.mode
    'full'
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str] | None = None,
    ):
        if mode not in MODES:
            raise errors.unknown("mode of RematScope", mode, [str(known) for known in MODES])
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or [])
        self._tokens: list[Any] = []

    def __enter__(self) -> Self:
        self._tokens.append(_scope.set(self))
        return self

    def __exit__(self, *_: Any) -> None:
        _scope.reset(self._tokens.pop())

    def covers(self, layer: Any, outputs: Callable[[], Any]) -> bool:
        """Whether the whole call of a layer is computed again.

        Not that of a model, whose layers do so one by one: as a whole it would save nothing.

        Args:
            layer: the layer.
            outputs: tells the specs of what it returns; asked for "larger_than" only.
        """
        if _inside.get() or layer.carries_layers:
            return False
        if self.mode == "list_of_layers":
            return layer.name in self.layer_names
        if self.mode == "larger_than":
            shapes = [leaf.shape for leaf in jax.tree.leaves(outputs())]
            size = sum(math.prod(length or 1 for length in shape) for shape in shapes)
            return size > self.output_size_threshold
        return self.mode == "full"


def current_scope() -> RematScope | None:
    """The scope that layers made now belong to."""
    return _scope.get()


def remat(f: Any) -> Callable[..., Any]:
    """`f`, which keeps none of its inside for the gradient and computes it again.

    Args:
        f: a function of arrays, a layer, or a method of one. What a layer's variables are
            assigned and what it adds to the loss comes out as ever.

    >>> import jax.numpy as jnp
    >>> float(jax.grad(remat(lambda x: jnp.sin(x) ** 2))(0.0))
    0.0
    """
    owner = f if isinstance(f, Tracked) else getattr(f, "__self__", None)
    layer = owner if isinstance(owner, Tracked) else None

    @functools.wraps(f if layer is not f else type(f).__call__)
    def again(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs) or (layer is not None and not layer.built):
            return f(*args, **kwargs)
        return checkpointed(f, layer, args, kwargs)

    return again


def checkpointed(
    function: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`function(*args, **kwargs)` under `jax.checkpoint`.

    Inside, nothing may be touched that lies outside. So the values of the layer's variables
    go in and come out, and with them the added losses and the masks.

    Args:
        function: what is called.
        layer: whose variables it may assign; None where there is none.
        args, kwargs: arrays, and what is none, at any depth.
    """
    leaves, tree = jax.tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
    masks = [context.mask_of(leaves[i]) for i in places]
    variables = [] if layer is None else [*layer.variables, *layer.metrics_variables]
    with autocast(None):
        values = [variable.value for variable in variables]
    outer = context.current()

    def inside(arrays: list[Any], masks: list[Any], values: list[Any]) -> Any:
        filled = list(leaves)
        for i, array in zip(places, arrays, strict=True):
            filled[i] = array
        args, kwargs = jax.tree.unflatten(tree, filled)
        training = None if outer is None else outer.training
        with (
            lend(variables, values) as loan,
            context.call_context(training) as call,
            _once(),
        ):
            context.set_masks(arrays, masks)
            outputs = function(*args, **kwargs)
            found = jax.tree.map(context.mask_of, outputs)
            pairs = enumerate(zip(values, loan.values(variables), strict=True))
            moved = {i: new for i, (old, new) in pairs if new is not old}
            return outputs, found, call.losses, moved

    arrays = [leaves[i] for i in places]
    outputs, found, losses, moved = jax.checkpoint(inside)(arrays, masks, values)
    context.set_masks(outputs, found)
    for i, value in moved.items():
        variables[i].assign(value)
    if layer is not None:
        layer.add_loss(losses)
    elif outer is not None:
        outer.losses.extend(losses)
    return outputs


def _is_array(leaf: Any) -> bool:
    strings = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OUS"
    return isinstance(leaf, (jax.Array, np.ndarray)) and not strings


@contextlib.contextmanager
def _once() -> Generator[None]:
    """What is computed again as a part of something larger is not computed a third time."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


@contextlib.contextmanager
def activation_again(layer: Any) -> Generator[None]:
    """While the layer's activation is computed again in the backward pass."""
    activation = layer.activation
    layer.activation = jax.checkpoint(activation)
    try:
        yield
    finally:
        layer.activation = activation
