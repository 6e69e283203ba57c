"""Gradient noise, which fades.

    g <- g + N(0, eta / t^gamma)         the variance at step t, from 1

Neelakantan et al., arXiv:1511.06807.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.composed import Wrapper
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide


class Shared(NamedTuple):
    key: Any


class GradientNoise(Wrapper):
    """Adds Gaussian noise to the gradients of any optimizer.

    When to use it: for very deep models and for those that start badly; not beside dropout,
    which is noise enough.

    It is added before the optimizer inside clips.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        eta: the variance at the first step; 0.3.
        gamma: how fast it fades; 0.55.
        seed: of the noise.

    >>> GradientNoise("sgd", eta=0.01).gamma
    0.55

    Source: Neelakantan et al., arXiv:1511.06807; optax.add_noise.
    """

    eta: float = hyper(default=0.3, interval="[0, inf)", hint="Usual: 0.01, 0.3 or 1.")
    gamma: float = hyper(default=0.55, interval="[0, inf)", hint="0.55 is the usual choice.")
    seed: int = static(default=0, interval="[0, 4294967295]")

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        return Shared(jax.random.PRNGKey(self.seed))

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Step along gradients with noise, the same for the same seed and step."""
        values, t = self.values_at(state), state.iterations + 1
        size = jnp.sqrt(values["eta"] / t.astype(jnp.float32) ** values["gamma"])
        # The gradients that come are those of the scaled loss.
        size = self.scaled_loss(size, state)
        key = jax.random.fold_in(state.shared.key, t)
        noisy: list[Any] = []
        for i, (gradient, p) in enumerate(zip(gradients, params, strict=True)):
            if gradient is not None:
                dtype = wide(jnp.asarray(p)).dtype
                noise = jax.random.normal(jax.random.fold_in(key, i), jnp.shape(p), dtype)
                gradient = jnp.asarray(gradient, dtype) + size.astype(dtype) * noise
            noisy.append(gradient)
        return self.update_members(noisy, state, params, tensors, objective)
