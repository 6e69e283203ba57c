"""Lookahead: some steps forward, one step back.

    fast weights: k steps of the optimizer inside
    every k steps:  slow <- slow + alpha (fast - slow),   fast <- slow

Zhang, Lucas, Hinton & Ba, NeurIPS 2019, arXiv:1907.08610. The weights to evaluate with are
the slow ones. The moments of the optimizer inside go on over the step back.
"""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.beside import Beside
from talweg.optimizers.radam import RAdam


class Lookahead(Beside):
    """Steps of any optimizer, pulled back halfway every few steps.

    When to use it: to make a fast optimizer steadier, at a higher rate than it bears alone.

    `fit` trains the fast weights and evaluates the slow ones.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        steps: k, how many steps are taken before one back; 5.
        alpha: how far the slow weights follow, in (0, 1]; 0.5.

    Raises:
        ValueError: the optimizer inside evaluates elsewhere than it trains, as an average
            does: put that around, `EMA(Lookahead(…))`.

    >>> Lookahead("adam", steps=10).alpha
    0.5

    Source: Zhang et al., NeurIPS 2019, arXiv:1907.08610; optax.lookahead.
    """

    steps: int = static(default=5, interval="[1, inf)", hint="Usual: 5 to 10.")
    alpha: float = hyper(default=0.5, interval="(0, 1]", hint="Usual: 0.5 to 0.8.")

    def __init__(self, inner_optimizer: Any, *args: Any, **kwargs: Any):
        super().__init__(inner_optimizer, *args, **kwargs)
        if self.inner_optimizer.trains_elsewhere:
            raise errors.invalid(
                type(self).__name__, "inner_optimizer", "one that is evaluated where it trains",
                self.inner_optimizer, "It would not know of the step back: put it around.",
            )  # fmt: skip

    def pull(self, values: dict[str, Any], t: jax.Array) -> tuple[Any, Any]:
        back = t % self.steps == 0
        return jnp.where(back, 1 - values["alpha"], 0.0), jnp.where(back, 0.0, 1.0)


class _RAdam(RAdam):
    """With a range of its own: the steps back halve the pace, the first steps are momentum's."""

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-3, 1e-1), hint="Usual: 1e-3 to 1e-2."
    )


class Ranger(Lookahead):
    """RAdam in Lookahead: safe without a warm-up and without much tuning.

    When to use it: where a default has to do.

    Its later versions also center the gradients.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        beta_1: how slowly the mean of the gradient forgets; 0.95.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the corrected root; 1e-5.
        steps: how many steps are taken before one back; 6.
        alpha: how far the slow weights follow; 0.5.
        name: the name of the optimizer.
        options: what else `RAdam` takes: `weight_decay`, clipping and the like.

    >>> Ranger(3e-4).inner_optimizer.beta_1
    0.95

    Source: L. Wright, lessw2020/Ranger-Deep-Learning-Optimizer, 2019.
    """

    steps: int = static(default=6, interval="[1, inf)", hint="Usual: 5 to 10.")
    alpha: float = hyper(default=0.5, interval="(0, 1]", hint="Usual: 0.5 to 0.8.")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.95, beta_2: float = 0.999,
        epsilon: float = 1e-5, steps: int = 6, alpha: float = 0.5, name: str | None = None,
        **options: Any,
    ):  # fmt: skip
        inner = _RAdam(learning_rate, beta_1, beta_2, epsilon, **options)
        super().__init__(inner, steps, alpha, name=name)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config.pop("inner_optimizer")["config"], **config}

    def __repr__(self) -> str:
        inner, own = repr(self.inner_optimizer), super().__repr__()
        arguments = inner.partition("(")[2][:-1] + own.partition(inner)[2][:-1]
        return f"Ranger({arguments})"
