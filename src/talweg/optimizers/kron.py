"""PSGD Kron: a preconditioner PᵀP that whitens the gradient, learned by descent on groups.

    m <- b1 m + (1 - b1) G,   m' = m / (1 - b1^t)
    with a probability that falls from 1 to 0.03, with noise V ~ N(0, 1) of the shape of G:
      A = Q_1 m' Q_2ᵀ,   B = Q_1⁻ᵀ V Q_2⁻¹               one product, one solve for each axis
      Q_i <- Q_i - 0.1 triu(A_i A_iᵀ - B_i B_iᵀ) Q_i / |A_i A_iᵀ + B_i B_iᵀ|
    d  = Q_1ᵀ Q_1 m' Q_2ᵀ Q_2
    p <- p - rate c f(d / c),   f(x) = 0.1 sign(x) log(1 + |x|) + 0.9 tanh(x),  c = 1.5

A_i is A unfolded along axis i, |.| a lower bound of the spectral norm, Q_i upper triangular;
along an axis that is too long, or the only one, Q_i is a diagonal; along one of size 1 there is
none (in the reference, a diagonal). One time in a hundred, the Q of a tensor are scaled to one
largest entry.

Li, arXiv:1512.04202 and arXiv:2211.04422; in the form of github.com/evanatyourservice/psgd_jax.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.conditions import when_due
from talweg.optimizers.matrices import axes_of, gram, times

MODES = (None, "one_diag", "all_diag")
BALANCED = 0.01  # how often


class Slots(NamedTuple):
    """`factor_k` is a triangular matrix, or a vector where it is a diagonal."""

    momentum: Any
    factor_0: Any
    factor_1: Any = None
    factor_2: Any = None
    factor_3: Any = None
    factor_4: Any = None

    @property
    def factors(self) -> list[Any]:
        return [q for q in self[1:] if q is not None]


class Shared(NamedTuple):
    key: Any


class Kron(Optimizer):
    """Preconditioned descent with Kronecker factors that are learned by products and solves.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001. The update of each
            weight is near 1, so that a third to a tenth of Adam's rate is a start.
        beta_1: how slowly the mean of the gradient forgets.
        max_probability: how likely the factors move in a step, at first.
        min_probability: and at last.
        probability_decay: how fast it falls, per step.
        flat_start: for how many steps it stays.
        preconditioner_rate: the rate of the factors.
        trust_region_scale: beyond this an update grows as its logarithm.
        max_size_triangular: longer axes have a diagonal.
        min_ndim_triangular: tensors of fewer axes have diagonals.
        memory_save_mode: "one_diag": a diagonal along the longest axis; "all_diag": along all.
        seed: of the noise, which depends on it and the number of the step only.

    When to use it: where Adam stalls in narrow valleys (recurrent networks, transformers);
    no epsilon, no eigenvalues, and steps of nearly one size.

    >>> Kron(3e-4).beta_1
    0.9

    Raises:
        ValueError: an unknown mode.

    Source: Li, arXiv:1512.04202, arXiv:2211.04422; github.com/evanatyourservice/psgd_jax.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    max_probability: float = hyper(default=1.0, interval="[0, 1]")
    min_probability: float = hyper(default=0.03, interval="[0, 1]")
    probability_decay: float = hyper(default=0.001, interval="[0, inf)")
    flat_start: float = hyper(default=250, interval="[0, inf)")
    preconditioner_rate: float = hyper(default=0.1, interval="[0, 1]")
    trust_region_scale: float = hyper(default=1.5, interval="(0, inf)")
    max_size_triangular: int = static(default=8192, interval="[1, inf)")
    min_ndim_triangular: int = static(default=2, interval="[0, inf)")
    memory_save_mode: str | None = static(default=None)
    seed: int = static(default=0, interval="[0, inf)")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.memory_save_mode not in MODES:
            names = [str(name) for name in MODES]
            raise errors.unknown("memory_save_mode", str(self.memory_save_mode), names)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        axes = axes_of(p.shape) or (1,)
        diagonal = [
            n == 1 or n > self.max_size_triangular or p.ndim < self.min_ndim_triangular
            for n in axes
        ]
        if self.memory_save_mode == "all_diag":
            diagonal = [True] * len(axes)
        elif self.memory_save_mode == "one_diag":
            diagonal[max(range(len(axes)), key=lambda k: (axes[k], k))] = True
        factors = [
            jnp.ones(n, p.dtype) if flat else jnp.eye(n, dtype=p.dtype)
            for n, flat in zip(axes, diagonal, strict=True)
        ]
        return Slots(jnp.zeros(axes, p.dtype), *factors)

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        return Shared(jax.random.PRNGKey(h.seed))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Move the factors of all tensors, if the draw says so; then step."""
        key = jax.random.fold_in(shared.key, (t - 1).astype(jnp.int32))
        key, draw = jax.random.split(key)
        noise = jax.random.split(key)[1]
        falling = h.max_probability * jnp.exp(-h.probability_decay * (t - h.flat_start))
        probability = jnp.clip(falling, h.min_probability, h.max_probability)
        due = jax.random.uniform(draw, dtype=jnp.float32) < probability
        averages = [
            h.beta_1 * s.momentum + (1 - h.beta_1) * g.reshape(s.momentum.shape)
            for g, s in zip(grads, slots, strict=True)
        ]
        means = [m / (1 - h.beta_1**t) for m in averages]
        factors = when_due(
            due, lambda old: _learned(old, means, noise, h), [s.factors for s in slots]
        )
        new: list[Any] = []
        kept: list[Any] = []
        for p, m, mean, q, rate in zip(params, averages, means, factors, h.rates, strict=True):
            x = preconditioned(mean, q) / h.trust_region_scale
            d = 0.1 * jnp.sign(x) * jnp.log1p(jnp.abs(x)) + 0.9 * jnp.tanh(x)
            update = rate * h.trust_region_scale * d.reshape(p.shape)
            new.append(p - update)
            kept.append(Slots(m, *q))
        return new, kept, shared


def factor_times(x: jax.Array, q: jax.Array, axis: int, transposed: bool = False) -> jax.Array:
    """Q, or Qᵀ, times a tensor unfolded along an axis."""
    if q.ndim == 1:
        return x * _as_column(q, axis, x.ndim)
    return times(x, q, axis, transposed=transposed)


def preconditioned(x: jax.Array, factors: Sequence[Any]) -> jax.Array:
    """`Qᵀ Q` along every axis."""
    for axis, q in enumerate(factors):
        x = factor_times(factor_times(x, q, axis), q, axis, transposed=True)
    return x


def norm_lower_bound(a: jax.Array) -> jax.Array:
    """At least `|A| / sqrt(2)`, nearly always, for the spectral norm of a symmetric matrix."""
    largest = jnp.max(jnp.abs(a))
    scaled = a / jnp.where(largest > 0, largest, 1)
    row = scaled[jnp.argmax(jnp.sum(jnp.square(scaled), axis=1))]
    x = scaled @ row
    length = jnp.sqrt(jnp.sum(jnp.square(x)))
    x = scaled @ (x / jnp.where(length > 0, length, 1))
    return largest * jnp.sqrt(jnp.sum(jnp.square(x)))


def _learned(
    factors: Sequence[Sequence[Any]], means: Sequence[jax.Array], key: jax.Array, h: Any
) -> list[list[Any]]:
    """The factors of all tensors after a step of their own."""
    key, noise = jax.random.split(key)
    keys = jax.random.split(noise, len(means))
    balanced = jax.random.uniform(jax.random.split(key)[1]) < BALANCED
    result: list[list[Any]] = []
    for old, mean, own in zip(factors, means, keys, strict=True):
        v = jax.random.normal(own, mean.shape, mean.dtype)
        result.append(_moved(_balanced(old, balanced), mean, v, h.preconditioner_rate))
    return result


def _balanced(factors: Sequence[Any], balanced: jax.Array) -> list[Any]:
    if len(factors) < 2:
        return list(factors)
    largest = jnp.stack([jnp.max(jnp.abs(q)) for q in factors])
    middle = jnp.exp(jnp.mean(jnp.log(largest)))
    return [q * jnp.where(balanced, middle / n, 1) for q, n in zip(factors, largest, strict=True)]


def _moved(factors: Sequence[Any], g: jax.Array, v: jax.Array, rate: Any) -> list[Any]:
    """A step along the group: towards P such that P g and P⁻¹ v have the same moments."""
    a, b = g, v
    for axis, q in enumerate(factors):
        a, b = factor_times(a, q, axis), _solved(b, q, axis)
    tiny = jnp.finfo(g.dtype).tiny
    result: list[Any] = []
    for axis, q in enumerate(factors):
        if q.ndim == 1:
            others = tuple(k for k in range(g.ndim) if k != axis)
            aa, bb = jnp.sum(jnp.square(a), others), jnp.sum(jnp.square(b), others)
            result.append(q - rate * (aa - bb) * q / (jnp.max(aa + bb) + tiny))
        else:
            aa, bb = gram(a, axis), gram(b, axis)
            step = jnp.triu(rate * (aa - bb)) / (norm_lower_bound(aa + bb) + tiny)
            result.append(q - jnp.matmul(step, q, precision=jax.lax.Precision.HIGHEST))
    return result


def _solved(x: jax.Array, q: jax.Array, axis: int) -> jax.Array:
    """`Q⁻ᵀ` times a tensor unfolded along an axis."""
    if q.ndim == 1:
        return x / _as_column(q, axis, x.ndim)
    last = jnp.moveaxis(x, axis, -1)
    rows = last.reshape(-1, last.shape[-1])
    solved = jax.lax.linalg.triangular_solve(q, rows, left_side=False, lower=False)
    return jnp.moveaxis(solved.reshape(last.shape), -1, axis)


def _as_column(q: jax.Array, axis: int, rank: int) -> jax.Array:
    return q.reshape([-1 if k == axis else 1 for k in range(rank)])
