"""SWA: evaluated at the mean of the weights of many steps.

    p <- step of the optimizer inside
    at step `start`, and every `every` steps from there:
        mean <- (n mean + p) / (n + 1),   n <- n + 1

Izmailov, Podoprikhin, Garipov, Vetrov & Wilson, UAI 2018, arXiv:1803.05407.
"""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import static
from talweg.optimizers.beside import Beside


class SWA(Beside):
    """Trains as the optimizer inside does; evaluated at the mean of its later path.

    When to use it: for the last quarter of a training, with a rate that is constant or
    cyclic and rather high: the mean of far-apart weights lies in a flatter place than each
    of them.

    `fit` evaluates the mean, once there is one, and ends with it in the model.

    Statistics of batch normalization belong to the trained weights and not to their mean.
    Where a model has such layers, let it see the training data once more with
    `model(x, training=True)` before it is used, as the authors do.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        start: the number of the step whose weights are the first of the mean, from 1.
        every: every how many steps from there weights are taken; 1. Usual: an epoch's.

    >>> SWA("sgd", start=3000, every=100).every
    100

    Source: Izmailov et al., UAI 2018, arXiv:1803.05407; torch.optim.swa_utils.
    """

    start: int = static(
        default=None, interval="[1, inf)", required=True, hint="Usual: three quarters of all steps."
    )
    every: int = static(default=1, interval="[1, inf)")

    def pull(self, values: dict[str, Any], t: jax.Array) -> tuple[Any, Any]:
        before = (t - self.start + self.every - 1) // self.every
        due = (t >= self.start) & ((t - self.start) % self.every == 0)
        count = jnp.maximum(before, 0).astype(jnp.float32)
        keep = jnp.where(due, count / (count + 1), 1.0)
        return None, jnp.where(t < self.start, 0.0, keep)
