"""Shampoo: the gradient times inverse roots of its second moments, one for each axis.

    m <- b1 m + (1 - b1) G,   m' = m / (1 - b1^t)
    L <- b2 L + (1 - b2) G Gᵀ,  R <- b2 R + (1 - b2) Gᵀ G       (b2 = 1: sums)
    L' = (L / (1 - b2^t) + eps I)^(-1/2k),  R' likewise          every so many steps
    d  = L' m' R'                                                one product for each of k axes
    d <- d |a| / |d|,  a = m' / (sqrt(v / (1 - b2^t)) + eps_g)   grafting: Adam's length
    p <- p - rate d

block by block: an axis longer than `block_size` is cut evenly. Before the first roots, d = a.
Roots come from eigenvalues, of which the least is raised to 0 first.

Gupta, Koren & Singer, ICML 2018, arXiv:1802.09568; blocks, grafting and correction for bias:
Shi et al., arXiv:2309.06497.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.conditions import when_due
from talweg.optimizers.matrices import AXES, axes_of, decomposed, gram, times

GRAFTS = ("adam", "adagrad", "sgd", None)


class Slots(NamedTuple):
    """`gram_k` and `root_k` are matrices over as many leading axes as the blocks have."""

    momentum: Any
    velocity: Any = None
    gram_0: Any = None
    gram_1: Any = None
    gram_2: Any = None
    gram_3: Any = None
    gram_4: Any = None
    root_0: Any = None
    root_1: Any = None
    root_2: Any = None
    root_3: Any = None
    root_4: Any = None

    @property
    def grams(self) -> list[Any]:
        return [g for g in self[2 : 2 + AXES] if g is not None]

    @property
    def roots(self) -> list[Any]:
        return [r for r in self[2 + AXES :] if r is not None]


class Blocks(NamedTuple):
    """How a tensor is cut: along each axis, `counts` blocks of `sizes`."""

    axes: tuple[int, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, axes: tuple[int, ...], largest: int) -> "Blocks":
        """Even blocks of at most `largest` along each axis."""
        counts = tuple(-(-axis // largest) for axis in axes)
        return cls(axes, counts, tuple(-(-a // n) for a, n in zip(axes, counts, strict=True)))

    @property
    def rank(self) -> int:
        return len(self.axes)

    def cut(self, x: jax.Array) -> jax.Array:
        """The blocks of a tensor: axes of counts, then axes of sizes; zeros fill them up."""
        x = x.reshape(self.axes)
        full = [n * size for n, size in zip(self.counts, self.sizes, strict=True)]
        x = jnp.pad(x, [(0, n - a) for n, a in zip(full, self.axes, strict=True)])
        pairs = zip(self.counts, self.sizes, strict=True)
        x = x.reshape([number for pair in pairs for number in pair])
        return x.transpose([*range(0, 2 * self.rank, 2), *range(1, 2 * self.rank, 2)])

    def join(self, x: jax.Array, shape: Sequence[int]) -> jax.Array:
        """The tensor of which `cut` made these blocks."""
        x = x.transpose([k + half * self.rank for k in range(self.rank) for half in (0, 1)])
        x = x.reshape([n * size for n, size in zip(self.counts, self.sizes, strict=True)])
        return x[tuple(slice(axis) for axis in self.axes)].reshape(shape)


def inverse_root(gram: jax.Array, order: int, epsilon: Any) -> jax.Array:
    """`(A + eps I)^(-1 / order)` of positive semidefinite matrices."""
    values, vectors = jnp.linalg.eigh(gram)
    values = values - jnp.minimum(values[..., :1], 0) + epsilon
    scaled = vectors * (values ** (-1 / order))[..., None, :]
    return jnp.matmul(scaled, vectors.mT, precision=jax.lax.Precision.HIGHEST)


class Shampoo(Optimizer):
    """Full-matrix AdaGrad by Kronecker factors, with the length of Adam's step.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001. With Adam's length,
            Adam's rates.
        beta_1: how slowly the mean of the gradient forgets; 0 for none.
        beta_2: how slowly the second moments forget; 1 sums them, as in AdaGrad.
        epsilon: added to the eigenvalues before the root.
        block_size: the longest block.
        precondition_frequency: every how many steps the roots are taken.
        start_preconditioning_step: the first step with roots; as the frequency where None.
        merge_dims: merge the axes of kernels, but the last, up to `block_size`.
        grafting: whose length a step has, block by block: "adam", "adagrad", "sgd", or None
            for Shampoo's own.
        grafting_epsilon: added to the root of Adam and AdaGrad.

    When to use it: large models at a large batch, where the time of a step is in the gradient;
    it was in front of AlgoPerf's external tuning.

    The reference cuts an axis into full blocks and a rest, and merges the axes of any tensor,
    down to a single one: here blocks are even, and the last axis stays by itself.

    >>> Shampoo().block_size
    512

    Raises:
        ValueError: an unknown grafting.

    Source: Gupta, Koren & Singer, ICML 2018, arXiv:1802.09568; Shi et al., arXiv:2309.06497;
    github.com/facebookresearch/optimizers.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    beta_2: float = hyper(default=0.999, interval="[0, 1]", hint="0.999 is usual; 1 sums.")
    epsilon: float = hyper(default=1e-12, interval="(0, inf)")
    block_size: int = static(default=512, interval="[1, inf)")
    precondition_frequency: int = static(default=10, interval="[1, inf)")
    start_preconditioning_step: int | None = static(default=None, interval="[1, inf)")
    merge_dims: bool = static(default=True)
    grafting: str | None = static(default="adam")
    grafting_epsilon: float = hyper(default=1e-8, interval="[0, inf)")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.grafting not in GRAFTS:
            raise errors.unknown("grafting", str(self.grafting), [str(name) for name in GRAFTS])

    def blocks_of(self, p: Any) -> Blocks:
        """How a tensor is cut; a scalar is a vector of one."""
        axes = axes_of(p.shape, self.block_size if self.merge_dims else None)
        return Blocks.of(axes or (1,), self.block_size)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        blocks = self.blocks_of(p)
        shapes = {k: (*blocks.counts, n, n) for k, n in enumerate(blocks.sizes)}
        grams = {f"gram_{k}": jnp.zeros(shape, p.dtype) for k, shape in shapes.items()}
        roots = {
            f"root_{k}": jnp.broadcast_to(jnp.eye(shape[-1], dtype=p.dtype), shape)
            for k, shape in shapes.items()
        }
        scaled = self.grafting in ("adam", "adagrad")
        return Slots(zeros, zeros if scaled else None, **grams, **roots)

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Moments of all tensors; then all roots, if they are due; then the steps."""
        start = h.start_preconditioning_step or h.precondition_frequency
        kept = [self._seen(g, p, s, h) for g, p, s in zip(grads, params, slots, strict=True)]
        due = (t == start) | ((t > start) & (t % h.precondition_frequency == 0))
        grams = [s.grams for s in kept]
        roots = when_due(due, lambda _: _roots(grams, h, t), [s.roots for s in kept])
        new: list[Any] = []
        for i, (p, rate) in enumerate(zip(params, h.rates, strict=True)):
            fields = {f"root_{k}": root for k, root in enumerate(roots[i])}
            kept[i] = kept[i]._replace(**fields)
            new.append(p - rate * self._direction(p, kept[i], grads[i], h, t, t >= start))
        return new, kept, shared

    def _seen(self, g: jax.Array, p: jax.Array, s: Slots, h: Any) -> Slots:
        """The slots with a new gradient in their moments."""
        blocks = self.blocks_of(p)
        cut = blocks.cut(g)
        weight = jnp.where(h.beta_2 == 1, 1, 1 - h.beta_2)
        grams = {
            f"gram_{k}": h.beta_2 * old + weight * gram(cut, k, blocks.rank)
            for k, old in enumerate(s.grams)
        }
        m = h.beta_1 * s.momentum + (1 - h.beta_1) * g
        if self.grafting == "adam":
            grams["velocity"] = h.beta_2 * s.velocity + weight * jnp.square(g)
        elif self.grafting == "adagrad":
            grams["velocity"] = s.velocity + jnp.square(g)
        return s._replace(momentum=m, **grams)

    def _direction(
        self, p: jax.Array, s: Slots, g: jax.Array, h: Any, t: Any, rooted: Any
    ) -> jax.Array:
        """What the rate is a multiple of, of the shape of `p`."""
        blocks = self.blocks_of(p)
        m = s.momentum / (1 - h.beta_1**t)
        d = blocks.cut(m)
        for k, root in enumerate(s.roots):
            d = times(d, root, k, blocks.rank)
        if self.grafting is None:
            return blocks.join(d, p.shape).astype(p.dtype)
        graft = m
        if self.grafting == "adam":
            graft = m / (jnp.sqrt(s.velocity / _corrected(h.beta_2, t)) + h.grafting_epsilon)
        elif self.grafting == "adagrad":
            graft = m / (jnp.sqrt(s.velocity) + h.grafting_epsilon)
        inner = tuple(range(blocks.rank, 2 * blocks.rank))
        d = d * (_norm(blocks.cut(graft), inner) / (_norm(d, inner) + 1e-16))
        return jnp.where(rooted, blocks.join(d, p.shape), graft).astype(p.dtype)


def _corrected(beta_2: jax.Array, t: Any) -> jax.Array:
    """What a second moment is divided by for its start at 0; a sum is left alone."""
    return jnp.where(beta_2 == 1, 1, 1 - beta_2**t)


def _norm(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=axes, keepdims=True))


def _roots(grams: Sequence[Sequence[Any]], h: Any, t: Any) -> list[list[Any]]:
    """The inverse roots for all tensors; matrices of one size and order go together."""
    bias = _corrected(h.beta_2, t)
    result: list[list[Any]] = [[] for _ in grams]
    for order in {len(row) for row in grams}:
        rows = [i for i, row in enumerate(grams) if len(row) == order]
        shapes = [g.shape for i in rows for g in grams[i]]
        # One leading axis, so that blocks of tensors that are cut otherwise go together.
        flat = [g for i in rows for row in grams[i] for g in row.reshape(-1, *row.shape[-2:])]

        def roots_of(a: Any, k: int = order) -> Any:
            return inverse_root(a / bias, 2 * k, h.epsilon)

        found = iter(decomposed(roots_of, flat, after=result, always=True))
        stacked = iter(
            jnp.stack([next(found) for _ in range(math.prod(shape[:-2]))]).reshape(shape)
            for shape in shapes
        )
        for i in rows:
            result[i] = [next(stacked).astype(g.dtype) for g in grams[i]]
    return result
