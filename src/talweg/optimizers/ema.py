"""EMA: evaluated at the exponential average of the weights.

    p <- step of the optimizer inside
    a <- m a + (1 - m) p
    evaluated at a / (1 - m^t)          a = 0 at first

The average of Polyak & Juditsky, SIAM J. Control Optim. 30, 1992, with weights that fade;
its correction for bias is in section 7.2 of Kingma & Ba, ICLR 2015, arXiv:1412.6980.
Without the correction the average begins at the first weights and leaves them slowly.
"""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.beside import Beside


class EMA(Beside):
    """Trains as the optimizer inside does; evaluated at an average of its path.

    When to use it: wherever weights still jump about at the end: at a constant rate, with
    small batches, for generative models. Put it outermost: it averages what the optimizers
    inside leave.

    `fit` evaluates the average and ends with it in the model, and trains on from the
    weights themselves; the option `use_ema` of every optimizer does so at the end only.

    Statistics of batch normalization belong to the trained weights; they are averages
    themselves.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        momentum: how slowly the average forgets; 0.999.
        debias: whether the first weights count no more than those of any other step.

    >>> EMA("adam", momentum=0.99).debias
    True

    Source: Polyak & Juditsky 1992; Kingma & Ba, ICLR 2015, section 7.2; optax.ema.
    """

    momentum: float = hyper(
        default=0.999, interval="[0, 1)", hint="Usual: 0.99 to 0.9999; at 1 it never moves."
    )
    debias: bool = static(default=True)

    def pull(self, values: dict[str, Any], t: jax.Array) -> tuple[Any, Any]:
        momentum = jnp.asarray(values["momentum"])
        if not self.debias:
            return None, jnp.where(t == 1, 0.0, momentum)
        # 1 - m^t to all its digits, also where m is near 1.
        total = -jnp.expm1(t.astype(momentum.dtype) * jnp.log(momentum))
        return None, 1 - (1 - momentum) / total
