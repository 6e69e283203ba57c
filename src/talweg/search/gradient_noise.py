"""The noise of the gradients, and the batch size that it asks for.

With G the gradient over all data and Σ the covariance of a single row's gradient, a batch
of B rows has a gradient of mean G and covariance Σ / B, so that

    E |G_B|² = |G|² + tr(Σ) / B

Two batch sizes b < B give both terms without bias:

    |G|²  = (B |G_B|² - b |G_b|²) / (B - b)
    tr(Σ) = (|G_b|² - |G_B|²) / (1 / b - 1 / B)

Their ratio tr(Σ) / |G|² is the simple noise scale. Batches far below it are mostly noise,
and twice the rows halve the steps; batches far above it bring little more.

S. McCandlish, J. Kaplan, D. Amodei, "An empirical model of large-batch training", 2018,
arXiv:1812.06162, section 2.2 and appendix A.1.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.training.block import gather

CHUNKS = 64  # gradients per estimate, at most


@dataclass(frozen=True)
class GradientNoise:
    """The simple noise scale and its parts.

    Attributes:
        scale: tr(Σ) / |G|², in rows; infinite where the noise hides the gradient.
        low, high: the smallest and the largest over the batch orders, by themselves.
        trace: tr(Σ), the mean over the orders.
        squared_norm: |G|², the mean over the orders; it may be below 0 by chance.
        rows: how many rows each order looked at.
        steps: after how many steps at the suggested rate it was measured.
    """

    scale: float
    low: float
    high: float
    trace: float
    squared_norm: float
    rows: int
    steps: int = 0

    def __str__(self) -> str:
        if not np.isfinite(self.scale):
            return (
                f"The noise of the gradients hides them in {self.rows:,} rows: larger batches "
                "pay as far as could be seen."
            )
        return (
            f"The gradient's noise scale is {self.scale:,.0f} rows "
            f"({self.low:,.0f} to {self.high:,.0f}): batches up to about that size pay."
        )


def measure(
    gradient: Any, params: Any, fixed: Any, data: Any, orders: np.ndarray, size: int, steps: int = 0
) -> GradientNoise:
    """The noise scale at given weights, from the gradients of many small batches.

    Args:
        gradient: `(params, fixed, batch) -> (grads, fixed)`, pure; `fixed` holds seeds.
        params, fixed: for each order, stacked: the weights, and what the model keeps.
        data: rows on the device.
        orders: row numbers, shape (orders, rows), none twice in an order.
        size: rows of the small batches, b; halved until there are two of them.
        steps: how long was trained before, for the record.
    """
    rows = orders.shape[1]
    while size > 1 and rows < 2 * size:
        size //= 2
    chunks = min(rows // size, CHUNKS)
    batches = orders[:, : chunks * size].reshape(len(orders), chunks, size)

    def norms(params: Any, fixed: Any, batches: Any) -> tuple[Any, Any]:
        def add(carry: Any, rows: Any) -> tuple[Any, Any]:
            total, fixed = carry
            grads, fixed = gradient(params, fixed, gather(data, rows))
            total = jax.tree.map(jnp.add, total, grads)
            return (total, fixed), _squared(grads)

        zeros = jax.tree.map(jnp.zeros_like, params)
        (total, _), small = jax.lax.scan(add, (zeros, fixed), batches)
        return jnp.mean(small), _squared(total) / chunks**2

    small, big = (
        np.asarray(a, np.float64) for a in jax.jit(jax.vmap(norms))(params, fixed, batches)
    )
    return estimate(small, big, size, chunks * size, steps)


def estimate(
    small: np.ndarray, big: np.ndarray, size: int, rows: int, steps: int = 0
) -> GradientNoise:
    """The noise scale from the squared norms of gradients over `size` and over `rows` rows.

    Sums over the orders come before the ratio, which would be biased by their noise.

    >>> estimate(np.array([3.0]), np.array([1.2]), size=1, rows=10).scale
    2.0
    """
    squared = (rows * big - size * small) / (rows - size)
    trace = (small - big) / (1 / size - 1 / rows)
    scales = [_ratio(t, s) for t, s in zip(trace, squared, strict=True)]
    whole = _ratio(trace.mean(), squared.mean())
    return GradientNoise(
        whole, min(scales), max(scales), float(trace.mean()), float(squared.mean()), rows, steps
    )


def _ratio(trace: float, squared: float) -> float:
    return float(max(trace, 0.0) / squared) if squared > 0 else float("inf")


def _squared(tree: Any) -> Any:
    return sum(jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(tree))
