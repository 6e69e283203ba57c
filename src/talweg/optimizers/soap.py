"""SOAP: Adam in the eigenbases of Shampoo's preconditioner.

    G' = Q_Lᵀ G Q_R                                    one product for each axis
    m <- b1 m + (1 - b1) G',   v <- b2 v + (1 - b2) G'²
    p <- p - rate sqrt(1 - b2^s) / (1 - b1^s) Q_L (m / (sqrt(v) + eps)) Q_Rᵀ
    L <- b3 L + (1 - b3) G Gᵀ,  R <- b3 R + (1 - b3) Gᵀ G
    Q <- orthogonal factor of L Q                       every 10 steps, for each axis

with s = t - 1. The first gradient only makes the first bases (by eigendecomposition): no
gradient is seen in a basis that it has shaped. With a basis, its columns are sorted by their
eigenvalues, v goes along with them, and m is turned into the new basis.

Vyas et al., ICLR 2025, arXiv:2409.11321.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.conditions import when_due
from talweg.optimizers.matrices import AXES, axes_of, decomposed, gram, times, written_out


class Slots(NamedTuple):
    """In the shape of the merged axes; None along an axis that has no basis."""

    momentum: Any
    velocity: Any
    gram_0: Any = None
    gram_1: Any = None
    gram_2: Any = None
    gram_3: Any = None
    gram_4: Any = None
    basis_0: Any = None
    basis_1: Any = None
    basis_2: Any = None
    basis_3: Any = None
    basis_4: Any = None

    @property
    def grams(self) -> tuple[Any, ...]:
        return tuple(self[2 : 2 + AXES])

    @property
    def bases(self) -> tuple[Any, ...]:
        return tuple(self[2 + AXES :])


def into(x: jax.Array, bases: Sequence[Any]) -> jax.Array:
    """A tensor in the bases."""
    for axis, basis in enumerate(bases):
        x = x if basis is None else times(x, basis, axis, transposed=True)
    return x


def out_of(x: jax.Array, bases: Sequence[Any]) -> jax.Array:
    """A tensor that was in the bases."""
    for axis, basis in enumerate(bases):
        x = x if basis is None else times(x, basis, axis)
    return x


Bases = list[tuple[jax.Array, jax.Array]]


def first_bases(grams: Sequence[jax.Array], old: Sequence[jax.Array]) -> Bases:
    """For each gram its eigenvectors as rows, the largest eigenvalue first; in their order."""
    found = decomposed(lambda gram: jnp.linalg.eigh(gram)[1].mT, grams, always=True)
    return [(jnp.flip(rows, 0), jnp.arange(len(rows))) for rows in found]


def next_bases(grams: Sequence[jax.Array], old: Sequence[jax.Array]) -> Bases:
    """For each gram one step of orthogonal iteration, as rows, and the order by eigenvalue.

    By rows, since LAPACK takes and gives matrices column by column; a gram is its own transpose.
    """

    def step(gram: jax.Array, basis: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = written_out(basis.mT)
        product = jnp.matmul(rows, gram, precision=jax.lax.Precision.HIGHEST)
        order = jnp.argsort(-jnp.sum(rows * product, axis=-1), axis=-1)
        index = order[..., None]
        rows = jnp.take_along_axis(product, index, axis=-2, mode="promise_in_bounds")
        return jnp.linalg.qr(rows.mT)[0].mT, order

    return decomposed(step, grams, old)


class SOAP(Optimizer):
    """Adam that runs where the gradient's components are nearly independent.

    Vectors and scalars are stepped by Adam, as are axes longer than `max_precondition_dim`.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.003.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        shampoo_beta: how slowly the preconditioner forgets; as `beta_2` where None.
        epsilon: added to the root.
        weight_decay: decoupled decay, before the rule; 0.01.
        precondition_frequency: every how many steps the bases move.
        max_precondition_dim: longer axes have no basis.
        merge_dims: merge the axes of kernels, but the last, up to `max_precondition_dim`.
        precondition_1d: give vectors a basis, too.
        normalize_grads: divide the direction of each tensor by its root mean square.
        correct_bias: correct the moments for their start at 0.

    When to use it: transformers and dense networks, where steps are dear; it needs fewer of
    them than AdamW and is steadier than Shampoo when the bases move seldom.

    The reference decays weights after the step and not in the first, and merges the axes of
    any tensor, down to a single one: here the last axis stays by itself.

    >>> SOAP().precondition_frequency
    10

    Source: Vyas et al., ICLR 2025, arXiv:2409.11321; github.com/nikhilvyas/SOAP.
    """

    learning_rate: Any = hyper(
        default=0.003, interval="[0, 1e10]", search=(1e-4, 1e-1), hint="Usual: 3e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.95,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.95 is the usual choice.",
    )
    beta_2: float = hyper(
        default=0.95,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.95 is the usual choice.",
    )
    shampoo_beta: float | None = hyper(
        default=None,
        interval="[0, 1)",
        hint="At 1.0 the preconditioner never moves; 0.95 is the usual choice.",
    )
    epsilon: float = hyper(default=1e-8, interval="[0, inf)")
    weight_decay: float | None = hyper(default=0.01, interval="[0, inf)", optional=True)
    precondition_frequency: int = static(default=10, interval="[1, inf)")
    max_precondition_dim: int = static(default=10000, interval="[1, inf)")
    merge_dims: bool = static(default=False)
    precondition_1d: bool = static(default=False)
    normalize_grads: bool = static(default=False)
    correct_bias: bool = static(default=True)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        shape = axes_of(p.shape, self.max_precondition_dim if self.merge_dims else None)
        zeros = jnp.zeros(shape, p.dtype)
        slots = Slots(zeros, zeros)
        if p.ndim < 2 and not self.precondition_1d:
            return slots
        sizes = {k: n for k, n in enumerate(shape) if n <= self.max_precondition_dim}
        grams = {f"gram_{k}": jnp.zeros((n, n), p.dtype) for k, n in sizes.items()}
        bases = {f"basis_{k}": jnp.eye(n, dtype=p.dtype) for k, n in sizes.items()}
        return slots._replace(**grams, **bases)

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """A step of Adam in the bases of each tensor; then all bases move, if they are due."""
        steps: list[Any] = []
        kept: list[Any] = []
        for g, p, s in zip(grads, params, slots, strict=True):
            update, slot = self._step_of(g.reshape(s.momentum.shape), s, h, t.astype(p.dtype))
            steps.append(update)
            kept.append(slot)
        due = (t - 1) % h.precondition_frequency == 0
        steps, kept = _bases_moved(steps, kept, due, t == 1)
        rows = zip(params, steps, h.rates, strict=True)
        return [p - rate * step.reshape(p.shape) for p, step, rate in rows], kept, shared

    def _step_of(self, g: jax.Array, s: Slots, h: Any, t: Any) -> tuple[jax.Array, Slots]:
        """The direction of one tensor, and its slots with the new gradient in them."""
        b1, b2 = h.beta_1.astype(g.dtype), h.beta_2.astype(g.dtype)
        b3 = h.shampoo_beta.astype(g.dtype) if self.shampoo_beta is not None else b2
        moves = t > 1
        inside = jnp.where(moves, into(g, s.bases), 0)
        m = b1 * s.momentum + (1 - b1) * inside
        v = b2 * s.velocity + (1 - b2) * jnp.square(inside)
        d = out_of(m / (jnp.sqrt(v) + h.epsilon), s.bases)
        if self.normalize_grads:
            d = d / (jnp.sqrt(jnp.mean(jnp.square(d))) + 1e-30)
        if self.correct_bias:
            count = jnp.maximum(t - 1, 1)
            d = d * jnp.sqrt(1 - b2**count) / (1 - b1**count)
        grams = {
            f"gram_{axis}": b3 * old + (1 - b3) * gram(g, axis)
            for axis, old in enumerate(s.grams)
            if old is not None
        }
        return d, s._replace(momentum=m, velocity=v, **grams)


def _bases_moved(
    steps: Sequence[jax.Array], slots: Sequence[Slots], due: Any, first: Any
) -> tuple[list[jax.Array], list[Slots]]:
    """The steps as they are; the slots of all tensors with new bases, where they are due.

    Under one condition, and after the steps: what is read while it goes through a condition
    is copied, a tenth of a step's time.
    """
    chosen = [i for i, s in enumerate(slots) if any(basis is not None for basis in s.bases)]
    if not chosen:
        return list(steps), list(slots)
    turning = [(slots[i].momentum, slots[i].velocity, slots[i].bases) for i in chosen]
    grams = [gram for i in chosen for gram in slots[i].grams if gram is not None]

    def move(old: Any) -> Any:
        steps, turning = old
        branches = [partial(_turned, find, grams) for find in (first_bases, next_bases)]
        return steps, jax.lax.cond(first, *branches, turning)

    stepped, turned = when_due(due, move, (list(steps), turning))
    result = list(slots)
    for i, (m, v, bases) in zip(chosen, turned, strict=True):
        fields = {f"basis_{axis}": basis for axis, basis in enumerate(bases)}
        result[i] = slots[i]._replace(momentum=m, velocity=v, **fields)
    return stepped, result


def _turned(
    find: Callable[..., Bases], grams: Sequence[jax.Array], turning: Sequence[Any]
) -> list[Any]:
    """Momentum, velocity and bases of each tensor, with the bases that are found."""
    outside = [out_of(m, bases) for m, _, bases in turning]
    old = [basis for _, _, bases in turning for basis in bases if basis is not None]
    found = iter(find(grams, old))
    result: list[Any] = []
    for m, (_, v, bases) in zip(outside, turning, strict=True):
        new: list[Any] = [None] * len(bases)
        for axis, basis in enumerate(bases):
            if basis is not None:
                rows, order = next(found)
                m, v = times(m, rows, axis), jnp.take(v, order, axis, mode="clip")
                new[axis] = rows.mT
        result.append((m, v, tuple(new)))
    return result
