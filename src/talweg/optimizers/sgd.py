"""SGD: steps down the gradient, with or without momentum.

    m <- mu m - rate g
    p <- p + m                      heavy ball (Polyak 1964)
    p <- p + mu m - rate g          Nesterov (Sutskever et al., ICML 2013)

With mu = 0, p <- p - rate g.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any


def sgd(g: jax.Array, p: jax.Array, s: Any, h: Any, t: jax.Array) -> tuple[jax.Array, Any]:
    """The update of one tensor."""
    if s == ():
        return -h.learning_rate * g, s
    m = h.momentum * s.momentum - h.learning_rate * g
    return (h.momentum * m - h.learning_rate * g if h.nesterov else m), Slots(m)


class SGD(Optimizer):
    """Stochastic gradient descent.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.01.
        momentum: how much of the last update is kept; 0 is plain descent.
        nesterov: look ahead along the momentum.

    When to use it: with momentum 0.9 and a schedule, image models with batch normalization,
    which it generalizes best with; wherever a plain method has to do.

    >>> SGD(0.1, momentum=0.9).momentum
    0.9

    Source: Sutskever, Martens, Dahl & Hinton, ICML 2013.
    """

    learning_rate: Any = hyper(
        default=0.01, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1."
    )
    momentum: float = hyper(
        default=0.0, interval="[0, 1]", off_at_zero=True, hint="0.9 is the usual choice."
    )
    nesterov: bool = static(default=False)

    rule = staticmethod(sgd)

    @property
    def edge(self) -> float:
        """The largest rate times sharpness at which descent on a quadratic is stable.

        2 (1 + mu), with Nesterov's momentum 2 (1 + mu) / (1 + 2 mu); 2 without momentum.
        Cohen et al., ICLR 2021, arXiv:2103.00065.
        """
        mu = float(self.momentum)
        return 2 * (1 + mu) / (1 + 2 * mu if self.nesterov else 1)

    def init_slots(self, p: jax.Array, h: Any) -> Any:
        return Slots(jnp.zeros_like(p)) if self.uses("momentum") else ()
