"""RAdam: Adam whose first steps are rectified, so that it needs no warm-up.

    m <- b1 m + (1 - b1) g,     m^ = m / (1 - b1^t)
    v <- b2 v + (1 - b2) g²,    v^ = v / (1 - b2^t)
    rho = 2 / (1 - b2) - 1 - 2 t b2^t / (1 - b2^t)             rho_inf: without the last term
    p <- p - rate r m^ / (sqrt(v^) + eps)                      where rho >= 5
    p <- p - rate m^                                           else
    r² = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)

rho is the length of the average that v is worth; with few gradients in it, the root of v is
too uncertain to divide by. As written, rho is a small difference of large numbers. It is
2 A / W - 1, with the sums W = Σ b2^j and A = Σ (j + 1) b2^j over the j < t, which lose
nothing: W <- b2 W + 1, A <- b2 A + W.

The second case is the paper's, optax's and PyTorch's. The authors' code came to leave p
where it is instead: `degenerated_to_sgd=False`. As in optax, epsilon stands on the
corrected root; in PyTorch, on the uncorrected one, and rho = 5 belongs to the second case.

Liu et al., ICLR 2020, arXiv:1908.03265.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    momentum: Any
    velocity: Any


class Shared(NamedTuple):
    weight: Any
    age: Any


def radam(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor; `h.weight` is W, `h.age` is A."""
    m = s.momentum + (g - s.momentum) * (1 - h.beta_1)
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.beta_2)
    m_hat, v_hat = m / (1 - h.beta_1**t), v / (1 - h.beta_2**t)
    rho, rho_inf = 2 * h.age / h.weight - 1, 2 / (1 - h.beta_2) - 1
    certain = rho >= 5
    # Where it is not, the square may be negative or divided by 0.
    lengths = jnp.where(certain, rho, 5), jnp.where(certain, rho_inf, 5)
    r = jnp.sqrt(_square(lengths[0]) / _square(lengths[1]))
    adapted = r * m_hat / (jnp.sqrt(v_hat) + h.epsilon)
    plain = m_hat if h.degenerated_to_sgd else 0
    return -h.learning_rate * jnp.where(certain, adapted, plain), Slots(m, v)


def _square(rho: jax.Array) -> jax.Array:
    return (rho - 4) * (rho - 2) / rho


class RAdam(Optimizer):
    """Adam with its own warm-up: no division until the mean square can be trusted.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets; below 2/3 it is never trusted.
        epsilon: added to the corrected root; 1e-8.
        degenerated_to_sgd: move by momentum alone in the first five steps, at a rate that
            large gradients may not bear; else wait.

    When to use it: where Adam diverges at the start and no warm-up is wanted.

    >>> RAdam(3e-4).beta_2
    0.999

    Source: Liu et al., ICLR 2020, arXiv:1908.03265; optax.radam, torch.optim.RAdam.
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
        hint="At 1.0 the second moment never moves; 0.999 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")
    degenerated_to_sgd: bool = static(default=True)

    rule = staticmethod(radam)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.zeros_like(p))

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        zero = jnp.zeros((), params[0].dtype if params else jnp.float32)
        return Shared(zero, zero)

    def advance(self, shared: Shared, h: Any, t: jax.Array) -> Shared:
        beta_2 = h.beta_2.astype(shared.weight.dtype)
        weight = beta_2 * shared.weight + 1
        return Shared(weight, beta_2 * shared.age + weight)
