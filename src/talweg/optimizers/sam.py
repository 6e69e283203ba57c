"""SAM: the gradient is taken where the loss nearby is highest.

    e = rho g / |g|                        |g| over all tensors
    e = rho w² g / |w g|                   adaptive: in units of each weight
    the optimizer inside steps from w along the gradient at w + e, on the same batch

Foret, Kleiner, Mobahi & Neyshabur, ICLR 2021, arXiv:2010.01412; the adaptive form: Kwon,
Kim, Park & Choi, ICML 2021, arXiv:2102.11600 (without the offset of |w|, as published in
davda54/sam).
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.composed import Wrapper
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide
from talweg.optimizers.transforms import global_norm


class SAM(Wrapper):
    """Looks for flat valleys rather than deep ones, at two gradients a step.

    When to use it: where a model fits its data and is to generalize better: vision models
    above all.

    It looks at the loss twice a step, so it needs `fit` or an objective. Metrics and the
    statistics of batch normalization are those of the first look, as the authors advise.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        rho: how far away the second gradient is taken; 0.05 (about 2 where adaptive).
        adaptive: whether that distance is in units of each weight, so that rescaled
            weights take the same path.

    >>> SAM("sgd", rho=0.1).needs_objective
    True

    Source: Foret et al., ICLR 2021, arXiv:2010.01412; optax.contrib.sam, davda54/sam.
    """

    needs_objective = True

    rho: float = hyper(default=0.05, interval="[0, inf)", hint="Usual: 0.01 to 0.5.")
    adaptive: bool = static(default=False)

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Climb, look again, and let the optimizer inside step from where it stood."""
        self.check_objective(objective)
        self.check_gradients(gradients)
        assert objective is not None
        weights = [wide(jnp.asarray(p)) for p in params]
        present = [i for i, g in enumerate(gradients) if g is not None]
        uphill: dict[int, Any] = {}
        for i in present:
            g, factors = jnp.asarray(gradients[i], weights[i].dtype), tensors[i].factors
            if factors is not None:  # a frozen part has no say
                g = jnp.where(factors.frozen, 0, g)
            uphill[i] = jnp.abs(weights[i]) * g if self.adaptive else g
        scale = self.values_at(state)["rho"] / (global_norm(list(uphill.values())) + 1e-12)
        high = [jnp.asarray(p) for p in params]
        for i, direction in uphill.items():
            if self.adaptive:
                direction = jnp.abs(weights[i]) * direction
            high[i] = (weights[i] + scale.astype(direction.dtype) * direction).astype(high[i].dtype)
        # The gradients that come are those of the scaled loss, the objective's are not.
        factor = self.scaled_loss(jnp.float32(1), state)
        again = objective(high)[1]
        steep: list[Any] = [None] * len(high)
        for i in present:
            g = jnp.zeros_like(high[i]) if again[i] is None else again[i]
            steep[i] = wide(g) * factor.astype(wide(g).dtype)
        return self.update_members(steep, state, params, tensors, objective)
