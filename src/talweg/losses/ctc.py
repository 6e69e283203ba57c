"""Connectionist temporal classification: label sequences without their alignment.

The forward recursion over the labels with blanks between them, z of length 2 L + 1:

    α₁(s) = y₁(zₛ) for s ≤ 2,    αₜ(s) = yₜ(zₛ) · [αₜ₋₁(s) + αₜ₋₁(s−1) + αₜ₋₁(s−2)]

the last term only where zₛ is a label other than zₛ₋₂. The loss is −ln of the sum of the
last two α. Graves et al., ICML 2006.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.core import errors
from talweg.losses.base import Reduction
from talweg.losses.checks import require_alignments, require_labels
from talweg.losses.wrapper import ExportedLoss
from talweg.ops.targets import Shape, floating

# ln 0: finite, so that rows without any alignment keep finite gradients.
_LOG_ZERO = -1e5


def ctc(y_true: Any, y_pred: Any) -> Array:
    """−ln of the probability of all alignments that spell the labels; shape (n,).

    Args:
        y_true: integer labels from 1 on, (n, L), padded with 0, which is also the blank.
        y_pred: logits, (n, T, C); all T steps count.

    Raises:
        ValueError: the shapes are others.

    >>> round(float(ctc([[1]], jnp.zeros((1, 2, 2)))[0]), 4)
    0.2877
    """
    y_pred = floating(y_pred)
    labels = jnp.asarray(y_true)
    _require_shapes(labels.shape, y_pred.shape, "ctc")
    labels = labels.astype("int32")
    log_p = jax.nn.log_softmax(y_pred.astype(jnp.promote_types(y_pred.dtype, "float32")))
    rows, length = labels.shape
    states = jnp.zeros((rows, 2 * length + 1), "int32").at[:, 1::2].set(labels)
    emitted = jnp.take_along_axis(log_p, states[:, None, :], axis=2).swapaxes(0, 1)
    may_skip = jnp.zeros(states.shape, bool)
    may_skip = may_skip.at[:, 3::2].set(labels[:, 1:] != labels[:, :-1])

    def advance(alpha: Array, step: Array) -> tuple[Array, None]:
        one = _delayed(alpha, 1)
        two = jnp.where(may_skip, _delayed(alpha, 2), _LOG_ZERO)
        return jnp.logaddexp(jnp.logaddexp(alpha, one), two) + step, None

    start = jnp.full(states.shape, _LOG_ZERO, log_p.dtype).at[:, :2].set(emitted[0, :, :2])
    alpha, _ = jax.lax.scan(advance, start, emitted[1:])
    last = 2 * jnp.sum(labels != 0, axis=1, keepdims=True)
    on_blank = jnp.take_along_axis(alpha, last, axis=1)[:, 0]
    on_label = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), axis=1)[:, 0]
    on_label = jnp.where(last[:, 0] > 0, on_label, _LOG_ZERO)
    return -jnp.logaddexp(on_blank, on_label)


def _delayed(alpha: Array, by: int) -> Array:
    """alpha(s − by), and ln 0 before the first state."""
    padded = jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=_LOG_ZERO)
    return padded[:, : alpha.shape[1]]


def _require_shapes(y_true: Shape, y_pred: Shape, owner: str) -> None:
    if len(y_true) != 2:
        raise errors.invalid(owner, "y_true", "of shape (batch, max_length)", tuple(y_true))
    if len(y_pred) != 3 or (None not in (y_true[0], y_pred[0]) and y_true[0] != y_pred[0]):
        raise errors.invalid(
            owner,
            "y_pred",
            f"of shape (batch, time, classes) for y_true of shape {tuple(y_true)}",
            tuple(y_pred),
        )


class CTC(ExportedLoss):
    """Loss of label sequences without their alignment; arguments as `Loss`.

    Targets are labels from 1 on, (n, L), padded with 0, which is also the blank;
    predictions are logits (n, T, C). The check refuses a 0 between labels, labels of C and
    above, and rows that T steps cannot spell.

    >>> round(float(CTC()([[1]], jnp.zeros((1, 2, 2)))), 4)
    0.2877
    """

    labels = True
    formula = staticmethod(ctc)

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        _require_shapes(y_true.shape, y_pred, type(self).__name__)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_labels(y_true, type(self).__name__, output_shape[2])
        require_alignments(y_true, type(self).__name__, output_shape[1])
