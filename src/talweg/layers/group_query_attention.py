"""GroupQueryAttention: heads of queries that share the keys and values of their group."""

from typing import Any

import jax.numpy as jnp

from talweg.core import errors, names
from talweg.layers.arguments import fields, integer
from talweg.layers.headed_attention import HeadedAttention


class GroupQueryAttention(HeadedAttention):
    """Multi-head attention with fewer heads of keys and values than of queries.

    Each head of keys and values serves `num_query_heads / num_key_value_heads` heads of
    queries in a row. Ainslie et al., EMNLP 2023, arXiv:2305.13245.

    Args:
        head_dim: the size of a head.
        num_query_heads: the number of heads of queries.
        num_key_value_heads: that of keys and values, a divisor of it; 1 is multi-query attention.
        dropout: the share of the weights that training drops, in [0, 1).
        use_bias: whether the projections have a bias.
        sliding_window: positions that far apart, or further, do not see each other.
        flash_attention: True insists on cuDNN's fused kernel.
        kernel_initializer, bias_initializer: Glorot uniform, zeros.
        kernel_regularizer, bias_regularizer: penalties on the projections.
        activity_regularizer: penalty on what the projections and the layer give.
        kernel_constraint, bias_constraint: projections after each update.
        use_gate: as of `MultiHeadAttention`.
        seed: an integer for dropout that repeats; with the same seed it is Keras's.

    Called as `MultiHeadAttention` is, on (batch, T, size) and (batch, S, size).

    Raises:
        ValueError: an argument out of range; heads that do not divide.

    >>> import numpy as np
    >>> layer = GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
    >>> x = np.ones((1, 3, 8))
    >>> layer(x, x).shape, layer.weights[2].shape
    ((1, 3, 8), (8, 2, 4))
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        self.head_dim = integer(owner, "head_dim", head_dim)
        self.num_query_heads = integer(owner, "num_query_heads", num_query_heads)
        self.num_key_value_heads = integer(owner, "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise errors.invalid(
                owner, "num_query_heads", f"a multiple of num_key_value_heads "
                f"({num_key_value_heads})", num_query_heads,
            )  # fmt: skip
        if type(self) is GroupQueryAttention and kwargs.get("name") is None:
            kwargs["name"] = names.auto_name("GroupedQueryAttention")  # Keras's name inside
        super().__init__(
            head_dim, dropout, use_bias, sliding_window, flash_attention, kernel_initializer,
            bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, use_gate, seed, **kwargs,
        )  # fmt: skip
        self.num_repeats = num_query_heads // num_key_value_heads
        self.activity_regularizer = self._activity_regularizer

    @property
    def dropout(self) -> float:
        """The share of the weights that training drops."""
        return self._dropout

    @property
    def sliding_window(self) -> int | None:
        """How far apart positions may be, less one, to see each other; None for any distance."""
        return self._sliding_window

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        self._remember(query_shape=query_shape, value_shape=value_shape, key_shape=key_shape)
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        queries = (None, self.num_query_heads, self.head_dim)
        shared = (None, self.num_key_value_heads, self.head_dim)
        self._query_dense = self._projection("query", "bqm,muh->bquh", queries, "uh")
        self._key_dense = self._projection("key", "bkm,mvh->bkvh", shared, "vh")
        if self._use_gate:
            self._gate_dense = self._projection(
                "gate", "bqm,muh->bquh", queries, "uh", activation="sigmoid"
            )
            self._gate_dense.build(query_shape)
        self._value_dense = self._projection("value", "bkm,mvh->bkvh", shared, "vh")
        self._build_weighting(4)
        size = query_shape[-1]
        self._output_dense = self._projection(
            "attention_output", "bquh,uhm->bqm", (None, size), "m"
        )
        self._query_dense.build(query_shape)
        self._key_dense.build(key_shape)
        self._value_dense.build(value_shape)
        self._output_dense.build((None, None, self.num_query_heads, self.head_dim))

    def _to_all_heads(self, heads: Any) -> Any:
        return jnp.repeat(heads, self.num_repeats, axis=2)

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> tuple[int | None, ...]:
        """The query's shape."""
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        private = (
            "use_bias",
            "use_gate",
            "sliding_window",
            "dropout",
            "kernel_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
        )
        kept = fields(self, *(f"_{name}" for name in private))
        return {
            **super().get_config(),
            **fields(self, "head_dim", "num_query_heads", "num_key_value_heads"),
            **{name.removeprefix("_"): value for name, value in kept.items()},
            "seed": self.seed,
        }
