"""TimeDistributed: the same layer at each step of a sequence."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from talweg.core import errors
from talweg.core.variables import lend
from talweg.layers import context
from talweg.layers.base import Layer
from talweg.layers.masks import call_parameters
from talweg.layers.wrapper import Wrapper


class TimeDistributed(Wrapper):
    """Applies a layer to each step: (batch, steps, …) to (batch, steps, …').

    A layer without state of its own sees all steps at once; one that keeps state or draws
    random numbers sees them one after another.

    Args:
        layer: a layer for inputs (batch, …).

    Raises:
        TypeError: `layer` is not a layer.
        ValueError: an input without time axis, or a mask that does not fit it.

    >>> import numpy as np
    >>> from talweg.layers import Dense
    >>> TimeDistributed(Dense(4))(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _of_step(self, shape: Any) -> tuple[int | None, ...]:
        if not isinstance(shape, (list, tuple)) or len(shape) < 3:
            raise errors.invalid(
                f"Layer {self.name!r}", "the input", "of rank 3 or more: (batch, steps, …)", shape
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any) -> None:
        super().build(self._of_step(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        output = self.layer.compute_output_shape(self._of_step(input_shape))
        return (output[0], input_shape[1], *output[1:])

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise errors.invalid(
                f"Layer {self.name!r}", "mask", f"of shape {tuple(inputs.shape[:2])}, …",
                tuple(mask.shape),
            )  # fmt: skip
        layer = self.layer
        known = call_parameters(type(layer))
        flags = {"training": training} if "training" in known else {}
        masked = mask is not None and "mask" in known
        over = (jnp.swapaxes(inputs, 0, 1), jnp.swapaxes(mask, 0, 1) if masked else None)
        kept = [variable for variable in layer.variables if not variable.made_trainable]

        def at_step(values: Any, now: Any) -> Any:
            x, own_mask = now
            given = {**flags, "mask": own_mask} if masked else flags
            with (
                lend(kept, values) as loan,
                context.call_context(training) as call,
                layer._reading(),
            ):
                output = layer.call(x, **given)
                return loan.values(kept), (output, call.losses)

        if kept:
            values, (outputs, losses) = lax.scan(at_step, [v.value for v in kept], over)
            for variable, value in zip(kept, values, strict=True):
                variable.assign(value)
        else:
            outputs, losses = jax.vmap(lambda now: at_step([], now)[1])(over)
        if losses:
            self.add_loss([jnp.sum(loss) for loss in losses])
        return jax.tree.map(lambda output: jnp.swapaxes(output, 0, 1), outputs)
