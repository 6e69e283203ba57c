"""MultiHeadAttention: attention in several subspaces at once."""

import math
import string
from collections.abc import Sequence
from typing import Any

from talweg.core import errors
from talweg.layers import context
from talweg.layers.arguments import fields, integer
from talweg.layers.einsum_dense import EinsumDense
from talweg.layers.headed_attention import HeadedAttention


class MultiHeadAttention(HeadedAttention):
    """softmax(Q Kᵀ / sqrt(key_dim)) V in each head, the heads joined by a projection.

    Q, K and V are projections of query, key and value, of shapes (batch, T, …),
    (batch, S, …), (batch, S, …). Vaswani et al., NeurIPS 2017, arXiv:1706.03762.

    Args:
        num_heads: the number of heads.
        key_dim: the size of a head's queries and keys.
        value_dim: the size of a head's values; `key_dim` by default.
        dropout: the share of the weights that training drops, in [0, 1).
        use_bias: whether the projections have a bias.
        output_shape: the sizes of the output's last axes; the query's last by default.
        attention_axes: the axes to attend over; by default all but the batch's and the last.
        sliding_window: positions that far apart, or further, do not see each other.
        flash_attention: True insists on cuDNN's fused kernel.
        kernel_initializer, bias_initializer: Glorot uniform, zeros.
        kernel_regularizer, bias_regularizer: penalties on the projections.
        activity_regularizer: penalty on what the projections give.
        kernel_constraint, bias_constraint: projections after each update.
        use_gate: whether sigmoid(projection of the query) multiplies the heads' outputs, after
            Qiu et al., 2025, arXiv:2505.06708.
        seed: an integer for dropout that repeats; with the same seed it is Keras's.

    In a call, `attention_mask` (batch, T, S), `query_mask` (batch, T), `value_mask` and
    `key_mask` (batch, S), and `use_causal_mask` say where attention may go; all must allow
    it. Keras ignores a `query_mask` that is given by name. `return_attention_scores=True`
    returns the weights too, (batch, heads, T, S).

    As in Keras, the masks that came with the inputs end here: the output has the query's, but
    what else is computed from the same inputs behind this layer, a sum with them for one,
    sees them without a mask.

    Raises:
        ValueError: an argument out of range; value and key of different lengths.

    >>> import numpy as np
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> x = np.ones((1, 3, 8))
    >>> y, weights = layer(x, x, use_causal_mask=True, return_attention_scores=True)
    >>> y.shape, weights.shape, weights[0, 0, 0].tolist()
    ((1, 3, 8), (1, 2, 3, 3), [1.0, 0.0, 0.0])
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        self._num_heads = integer(owner, "num_heads", num_heads)
        self._key_dim = integer(owner, "key_dim", key_dim)
        self._value_dim = key_dim if value_dim is None else integer(owner, "value_dim", value_dim)
        super().__init__(
            key_dim, dropout, use_bias, sliding_window, flash_attention, kernel_initializer,
            bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, use_gate, seed, **kwargs,
        )  # fmt: skip
        self._inverse_sqrt_key_dim = 1.0 / math.sqrt(key_dim)
        sizes = output_shape if isinstance(output_shape, (list, tuple)) else [output_shape]
        self._output_shape = (
            tuple(integer(owner, "each size of output_shape", size) for size in sizes)
            if output_shape
            else None
        )
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        if attention_axes is not None and not isinstance(attention_axes, (list, tuple)):
            raise errors.wrong_type(
                owner, "attention_axes", "an integer or a list of integers", attention_axes
            )
        self._attention_axes = attention_axes

    @property
    def num_heads(self) -> int:
        """The number of heads."""
        return self._num_heads

    @property
    def key_dim(self) -> int:
        """The size of a head's queries and keys."""
        return self._key_dim

    @property
    def value_dim(self) -> int:
        """The size of a head's values."""
        return self._value_dim

    @property
    def dropout(self) -> float:
        """The share of the weights that training drops."""
        return self._dropout

    @property
    def attention_axes(self) -> Sequence[int] | None:
        """The axes to attend over, as they were given."""
        return self._attention_axes

    @property
    def query_dense(self) -> EinsumDense:
        """The projection of the query."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The projection of the heads to the output."""
        return self._output_dense

    def _forget_masks(self, *arrays: Any) -> None:
        for array in arrays:
            context.set_mask(array, None)

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        self._remember(query_shape=query_shape, value_shape=value_shape, key_shape=key_shape)
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        rank = len(query_shape)
        axes = range(1, rank - 1) if self._attention_axes is None else self._attention_axes
        self._axes = tuple(axis % rank for axis in axes)
        self._dot_product_equation, self._combine_equation = _products(rank + 1, self._axes)

        heads, gated = (self._num_heads, self._key_dim), (self._num_heads, self._value_dim)
        self._query_dense = self._to_heads("query", query_shape, heads)
        self._key_dense = self._to_heads("key", key_shape, heads)
        if self._use_gate:
            self._gate_dense = self._to_heads("gate", query_shape, gated, activation="sigmoid")
        self._value_dense = self._to_heads("value", value_shape, gated)
        self._build_weighting(rank + len(self._axes))
        sizes = self._output_shape or (query_shape[-1],)
        self._output_dense = self._made(
            "attention_output", (*query_shape[:-1], *gated), sizes, summed=2
        )

    def _to_heads(self, name: str, shape: Any, sizes: Sequence[int], **more: Any) -> EinsumDense:
        return self._made(name, shape, sizes, summed=1, **more)

    def _made(
        self, name: str, shape: Any, sizes: Sequence[int], summed: int, **more: Any
    ) -> EinsumDense:
        """A built projection of the last `summed` axes to axes of the given sizes."""
        letters = string.ascii_lowercase
        rank, free = len(shape), len(shape) - summed
        new = letters[rank : rank + len(sizes)]
        equation = f"{letters[:rank]},{letters[free:rank]}{new}->{letters[:free]}{new}"
        dense = self._projection(name, equation, [None] * (free - 1) + list(sizes), new, **more)
        dense.build(tuple(shape))
        return dense

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> tuple[int | None, ...]:
        """The query's shape, its last axis replaced where `output_shape` says so."""
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def get_config(self) -> dict[str, Any]:
        initial = ("kernel_initializer", "bias_initializer", "kernel_regularizer")
        others = ("bias_regularizer", "activity_regularizer", "kernel_constraint")
        names = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate")
        names = (*names, "output_shape", "attention_axes", "sliding_window", *initial, *others)
        kept = fields(self, *(f"_{name}" for name in (*names, "bias_constraint")))
        own = {name.removeprefix("_"): value for name, value in kept.items()}
        return {**super().get_config(), **own, "seed": self.seed}


def _products(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """The equations of the scores and of the weighted means, over arrays of `rank` axes.

    >>> _products(4, (1,))
    ('aecd,abcd->acbe', 'acbe,aecd->abcd')
    """
    query = string.ascii_lowercase[:rank]
    others = string.ascii_lowercase[rank : rank + len(axes)]
    key = "".join(others[axes.index(i)] if i in axes else letter for i, letter in enumerate(query))
    kept = "".join(query[i] for i in range(rank - 1) if i not in axes)
    scores = kept + "".join(query[axis] for axis in axes) + others
    return f"{key},{query}->{scores}", f"{scores},{key}->{query}"
