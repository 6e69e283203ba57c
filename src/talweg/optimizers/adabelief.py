"""AdaBelief: Adam, scaled by how far the gradient is from what was expected.

    m <- b1 m + (1 - b1) g
    s <- b2 s + (1 - b2) (g - m)² + eps
    p <- p - rate m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + eps)

Where the gradient keeps its direction, s is small and the step long. Epsilon is kept inside
s, so that it adds up to eps / (1 - b2), and is added to the root again; so in the authors'
code and in optax. The authors' PyTorch code also rectifies as RAdam does, the paper does
not.

Zhuang et al., NeurIPS 2020, arXiv:2010.07468.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    variance: Any


def adabelief(
    g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array
) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.variance + (jnp.square(g - m) - s.variance) * (1 - h.beta_2) + h.epsilon
    root = jnp.sqrt(v / (1 - h.beta_2**t))
    update = -h.learning_rate * (m / (1 - h.beta_1**t)) / (root + h.epsilon)
    return update, Slots(m, v)


class AdaBelief(Optimizer):
    """Adam that takes long steps where the gradient is steady, short ones where it is not.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the variance forgets.
        epsilon: added to the variance at each step, and to its root; 1e-16. The paper has
            1e-8 in some of its experiments, and epsilon matters here more than in Adam.

    When to use it: convolutional networks and GANs, where Adam generalizes less well than
    SGD.

    >>> AdaBelief(3e-4).epsilon
    1e-16

    Source: Zhuang et al., NeurIPS 2020, arXiv:2010.07468; optax.adabelief.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.999,
        interval="[0, 1)",
        hint="At 1.0 the variance never moves; 0.999 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-16, interval="[0, inf)")

    rule = staticmethod(adabelief)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))
