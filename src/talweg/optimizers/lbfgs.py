"""L-BFGS: Newton's direction from the last few changes of the gradient, and a line search.

    s_k = p_{k+1} - p_k,   y_k = g_{k+1} - g_k,   rho_k = 1 / <s_k, y_k>
    H <- (I - rho s yᵀ) H (I - rho y sᵀ) + rho s sᵀ,   over the last 10 pairs, from
    H = <s, y> / <y, y> I of the newest; at first min(1, 1/|g|) I
    p <- p - a rate H g,   a by the strong Wolfe conditions (line_search.py)

H is never formed: H g comes from the two loops of Liu & Nocedal, Mathematical Programming
45, 1989. The products run over all tensors. A pair without <s, y> > 0 is left out; where no
step lowers the loss, the pairs are forgotten and the next step goes down the gradient. A
tensor at the share q of the common rate starts from q times that H.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.line_search import strong_wolfe
from talweg.optimizers.rates import common_rate


class Slots(NamedTuple):
    """Pairs by the number of the step modulo their count."""

    steps: Any
    changes: Any
    last_params: Any
    last_gradient: Any


class Shared(NamedTuple):
    inverse_products: Any
    scale: Any


class LBFGS(Optimizer):
    """A quasi-Newton method with a line search, for losses without noise.

    When to use it: with the whole data as one batch: it looks at the loss several times a
    step and expects the same answer each time. Smooth problems of moderate size it solves
    to the last digit, where first-order methods still creep.

    Args:
        learning_rate: a factor on the direction, before the line search; 1.
        memory_size: how many pairs are kept, each as large as the parameters, twice.
        line_search_steps: how often a step may look at the loss.

    Clipping shortens the gradient that the direction is made from; the line search and the
    pairs go by the loss itself. Weight decay is decoupled, after the line search.

    >>> LBFGS().memory_size
    10

    Source: Liu & Nocedal, Mathematical Programming 45, 1989; optax.lbfgs.
    """

    decays_itself = True

    learning_rate: Any = hyper(
        default=1.0, interval="[0, 1e10]", search=(0.1, 1.0), hint="Usual: 1."
    )
    memory_size: int = static(default=10, interval="[1, inf)")
    line_search_steps: int = static(default=20, interval="[1, inf)")

    needs_objective = True

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        pairs = jnp.zeros((self.memory_size, *p.shape), p.dtype)
        return Slots(pairs, pairs, jnp.zeros_like(p), jnp.zeros_like(p))

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        dtype = jnp.result_type(jnp.float32, *(p.dtype for p in params))
        return Shared(jnp.zeros(self.memory_size, dtype), jnp.zeros((), dtype))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Shared, h: Any, t: jax.Array,
    ) -> tuple[list[Any], list[Any], Shared]:  # fmt: skip
        """Remember the last pair, find the direction, search along it."""
        rate, shares = common_rate(h.rates)
        value, gradient = h.objective(list(params))
        number = t.astype(jnp.int32) - 1
        slots, shared = self._remember(params, gradient, slots, shared, shares, number)
        direction = [-rate * d for d in self._newton(grads, slots, shared, shares, number)]
        direction = [d.astype(p.dtype) for d, p in zip(direction, params, strict=True)]

        def along(step: jax.Array) -> tuple[jax.Array, jax.Array]:
            value, gradient = h.objective(_ahead(params, step, direction))
            return value.astype(step.dtype), _dot(gradient, direction).astype(step.dtype)

        dtype = shared.scale.dtype
        slope = _dot(gradient, direction).astype(dtype)
        step = strong_wolfe(along, value.astype(dtype), slope, self.line_search_steps)
        new = _ahead(params, step, direction)
        for i, (p, decay) in enumerate(zip(params, h.decays, strict=True)):
            if decay is not None:
                new[i] = new[i] - (h.rates[i] * decay).astype(p.dtype) * p
        stuck = step == 0
        return new, slots, Shared(*(jnp.where(stuck, 0, field) for field in shared))

    def _remember(
        self, params: Sequence[Any], gradient: Sequence[Any], slots: Sequence[Slots],
        shared: Shared, shares: Sequence[Any], number: jax.Array,
    ) -> tuple[list[Slots], Shared]:  # fmt: skip
        """Put what the last step did in the place of the oldest pair."""
        after_first = number > 0
        steps = [
            jnp.where(after_first, p - s.last_params, 0) for p, s in zip(params, slots, strict=True)
        ]
        changes = [
            jnp.where(after_first, g - s.last_gradient, 0)
            for g, s in zip(gradient, slots, strict=True)
        ]
        product = _dot(steps, changes)
        square = _dot(changes, [q * y for q, y in zip(shares, changes, strict=True)])
        usable = (product > 0) & (square > 0)
        inverse = jnp.where(usable, 1 / jnp.where(usable, product, 1), 0)
        scale = jnp.where(usable, product / jnp.where(usable, square, 1), shared.scale)
        place = (number - 1) % self.memory_size
        kept = [
            Slots(s.steps.at[place].set(step), s.changes.at[place].set(change), p, g)
            for s, step, change, p, g in zip(slots, steps, changes, params, gradient, strict=True)
        ]
        dtype = shared.scale.dtype
        products = shared.inverse_products.at[place].set(inverse.astype(dtype))
        return kept, Shared(products, scale.astype(dtype))

    def _newton(
        self, grads: Sequence[Any], slots: Sequence[Slots], shared: Shared,
        shares: Sequence[Any], number: jax.Array,
    ) -> list[Any]:  # fmt: skip
        """H g, by two loops over the pairs."""
        places = (number + jnp.arange(self.memory_size)) % self.memory_size

        def newest_first(q: list[Any], place: jax.Array) -> tuple[list[Any], jax.Array]:
            a = shared.inverse_products[place] * _dot([s.steps[place] for s in slots], q)
            return [x - a.astype(x.dtype) * s.changes[place]
                    for x, s in zip(q, slots, strict=True)], a  # fmt: skip

        def oldest_first(r: list[Any], pair: Any) -> tuple[list[Any], None]:
            place, a = pair
            b = shared.inverse_products[place] * _dot([s.changes[place] for s in slots], r)
            return [x + (a - b).astype(x.dtype) * s.steps[place]
                    for x, s in zip(r, slots, strict=True)], None  # fmt: skip

        moving = [jnp.asarray(q) > 0 for q in shares]
        masked = [jnp.where(m, g, 0) for m, g in zip(moving, grads, strict=True)]
        size = jnp.sqrt(_dot(masked, [q * g for q, g in zip(shares, masked, strict=True)]))
        capped = 1 / jnp.maximum(size, 1)
        scale = jnp.where(shared.scale > 0, shared.scale, capped)
        q, a = jax.lax.scan(newest_first, masked, places, reverse=True)
        r = [(scale * share).astype(x.dtype) * x for share, x in zip(shares, q, strict=True)]
        r, _ = jax.lax.scan(oldest_first, r, (places, a))
        return [jnp.where(m, x, 0) for m, x in zip(moving, r, strict=True)]


def _dot(left: Sequence[Any], right: Sequence[Any]) -> jax.Array:
    products = [jnp.sum(a * b) for a, b in zip(left, right, strict=True)]
    return sum(products[1:], products[0])


def _ahead(params: Sequence[Any], step: jax.Array, direction: Sequence[Any]) -> list[Any]:
    return [p + step.astype(p.dtype) * d for p, d in zip(params, direction, strict=True)]
