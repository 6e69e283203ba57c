"""Cautious: only those components move that go down the gradient of this step.

    mask = (u g < 0)                       u: the update that a rule would add
    u <- u mask / max(mean(mask), 0.001)   the mean over the tensor

Liang, Chen, Liu & Liu, arXiv:2411.16085, with the scale of the authors' code
(kyleliang919/C-Optim); the paper's is size / (number of ones + 1). Weight decay is masked
nowhere where the base does it; a method that decays within its own step, as Sophia does, has
the whole of its update masked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.optimizers.base import Optimizer
from talweg.optimizers.composed import Composed, Wrapper


def cautious(u: jax.Array, g: jax.Array) -> jax.Array:
    """The update without the components that would go up the gradient."""
    mask = (jnp.sign(u) * jnp.sign(g) < 0).astype(u.dtype)
    return u * mask / jnp.maximum(jnp.mean(mask), 1e-3)


@dataclass(frozen=True)
class CautiousRule:
    """A rule whose updates are cautious."""

    rule: Callable[..., tuple[Any, Any]]

    def __call__(self, g: Any, p: Any, s: Any, h: Any, t: Any) -> tuple[Any, Any]:
        update, slots = self.rule(g, p, s, h, t)
        return cautious(update, g), slots


@dataclass(frozen=True)
class CautiousStep:
    """The step of all tensors of an optimizer without a rule for each, made cautious."""

    optimizer: Optimizer

    def __call__(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        step = type(self.optimizer).apply_rule
        new, slots, shared = step(self.optimizer, grads, params, slots, shared, h, t)
        pairs = zip(new, params, grads, strict=True)
        return [p + cautious(n - p, g) for n, p, g in pairs], slots, shared


class Cautious(Wrapper):
    """Leaves out the components of an update that its own gradient speaks against.

    When to use it: around any method with momentum, at its usual rate: it costs little and
    is rarely worse.

    The optimizer inside becomes a cautious one: do not use it elsewhere as well.

    Args:
        inner_optimizer: an optimizer, its name or its record.

    Raises:
        ValueError: the optimizer inside evaluates elsewhere than it trains by a rule of its
            own, as the schedule-free ones do.

    >>> Cautious("adamw").learning_rate = 3e-4

    Source: Liang, Chen, Liu & Liu, arXiv:2411.16085; kyleliang919/C-Optim.
    """

    def __init__(self, inner_optimizer: Any, *args: Any, **kwargs: Any):
        super().__init__(inner_optimizer, *args, **kwargs)
        for optimizer in innermost(self.inner_optimizer):
            if optimizer.trains_elsewhere:
                raise errors.invalid(
                    "Cautious", "inner_optimizer", "one that is evaluated where it trains",
                    optimizer, "Its two points would no longer belong together.",
                )  # fmt: skip
            if not optimizer.by_tensor:
                optimizer.apply_rule = CautiousStep(optimizer)
            elif not isinstance(optimizer.rule, CautiousRule):
                vars(optimizer)["rule"] = CautiousRule(optimizer.rule)


def innermost(optimizer: Optimizer) -> Iterator[Optimizer]:
    """The optimizers that take the steps, inside those that are composed."""
    if not isinstance(optimizer, Composed):
        yield optimizer
        return
    for part in optimizer.parts:
        yield from innermost(part)
