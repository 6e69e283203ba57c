"""What the layers share that attend in several heads."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import nn

from talweg import constraints, initializers, ops, regularizers
from talweg.core import errors
from talweg.layers.activation import Softmax
from talweg.layers.arguments import integer, number
from talweg.layers.base import Layer
from talweg.layers.building import as_shape
from talweg.layers.dropout import Dropout
from talweg.layers.einsum_dense import EinsumDense


class HeadedAttention(Layer):
    """Base of layers that project to heads, attend in each, and project back.

    A subclass makes the projections `_query_dense`, `_key_dense`, `_value_dense`,
    `_output_dense` and, with a gate, `_gate_dense` in its `build`.
    """

    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _value_dense: EinsumDense
    _gate_dense: EinsumDense
    _output_dense: EinsumDense
    # Of (…, heads, size) arrays: the axes attended over, and the two products.
    _axes: tuple[int, ...] = (1,)
    _dot_product_equation = "bsnh,btnh->bnts"
    _combine_equation = "bnts,bsnh->btnh"

    def __init__(
        self,
        head_size: int,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        seed: int | None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self._scale = head_size**-0.5
        self._dropout = number(owner, "dropout", dropout, below=1.0)
        if sliding_window is not None:
            integer(owner, "sliding_window", sliding_window)
        self._sliding_window = sliding_window
        self._flash_attention = bool(flash_attention)
        if self._flash_attention and dropout > 0:
            raise errors.invalid(
                owner, "dropout", "0 with flash_attention", dropout,
                "The fused kernel has no weights that could be dropped.",
            )  # fmt: skip
        self._use_bias = use_bias
        self._use_gate = use_gate
        self.seed = seed
        self._kernel_initializer = initializers.get(kernel_initializer)
        self._bias_initializer = initializers.get(bias_initializer)
        self._kernel_regularizer = regularizers.get(kernel_regularizer)
        self._bias_regularizer = regularizers.get(bias_regularizer)
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self._kernel_constraint = constraints.get(kernel_constraint)
        self._bias_constraint = constraints.get(bias_constraint)
        self._build_shapes: dict[str, Any] | None = None
        self.supports_masking = True

    @property
    def use_bias(self) -> bool:
        """Whether the projections have a bias."""
        return self._use_bias

    # -- what is built ----------------------------------------------------------------

    def _projection(
        self, name: str, equation: str, shape: Sequence[int | None], bias_axes: str, **more: Any
    ) -> EinsumDense:
        dense = EinsumDense(
            equation,
            output_shape=shape,
            bias_axes=bias_axes if self._use_bias else None,
            kernel_initializer=self._kernel_initializer,
            bias_initializer=self._bias_initializer,
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
            dtype=self.dtype_policy,
            name=name,
            **more,
        )
        dense.carries_masks = True  # the layer around it heeds them
        return dense

    def _build_weighting(self, scores_rank: int) -> None:
        """The softmax over the last axes of the scores, and the dropout after it."""
        axes = tuple(range(scores_rank - len(self._axes), scores_rank))
        self._softmax = Softmax(axis=axes, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self._dropout, seed=self.seed, dtype=self.dtype_policy)

    def _remember(self, **shapes: Any) -> None:
        self._build_shapes = {name: shape for name, shape in shapes.items() if shape is not None}

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes of query, value and key that the layer was built for."""
        return None if self._build_shapes is None else {"shapes_dict": self._build_shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` recorded."""
        if config and "shapes_dict" in config:
            self.build(**{name: as_shape(shape) for name, shape in config["shapes_dict"].items()})

    # -- what is computed -------------------------------------------------------------

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        self._forget_masks(query, value, key)
        masks = (query_mask, value_mask, key_mask, attention_mask)
        # The causal kernel needs no mask in memory; a subclass's own attention may not know it.
        own = type(self)._compute_attention is HeadedAttention._compute_attention
        causal_only = use_causal_mask and own and self._sliding_window is None
        causal_only = causal_only and all(mask is None for mask in masks)
        if not causal_only:
            attention_mask = self._compute_attention_mask(
                query,
                value,
                query_mask=query_mask,
                value_mask=value_mask,
                key_mask=key_mask,
                attention_mask=attention_mask,
                use_causal_mask=use_causal_mask,
            )
        flags: dict[str, Any] = {"use_causal_mask": True} if causal_only else {}
        gate = self._gate_dense(query) if self._use_gate else None
        outputs, scores = self._compute_attention(
            self._query_dense(query),
            self._to_all_heads(self._key_dense(key)),
            self._to_all_heads(self._value_dense(value)),
            attention_mask,
            training,
            return_attention_scores,
            **flags,
        )
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, scores) if return_attention_scores else outputs

    def _forget_masks(self, *arrays: Any) -> None:
        """Whether the masks of the inputs travel past this layer: here they do."""

    def _to_all_heads(self, heads: Any) -> Any:
        """Keys or values for every head of the queries."""
        return heads

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """The heads' outputs, and the weights where they are known."""
        if self._flash_attention and return_attention_scores:
            raise errors.invalid(
                type(self).__name__, "return_attention_scores", "False with flash_attention", True,
                "The fused kernel keeps no weights.",
            )  # fmt: skip
        fused = self._dropout == 0 and not return_attention_scores and query.ndim == 4
        if attention_mask is not None:
            attention_mask = jnp.asarray(attention_mask, bool)
        if use_causal_mask and not fused:
            causal = self._compute_causal_mask(query, value)
            attention_mask = causal if attention_mask is None else causal & attention_mask
        if fused:
            if attention_mask is not None:
                attention_mask = _with_rank(attention_mask, 4, len(self._axes))
            flags = {"mask": attention_mask, "scale": self._scale, "is_causal": use_causal_mask}
            if self._flash_attention:
                return nn.dot_product_attention(
                    query, key, value, implementation="cudnn", **flags
                ), None
            # JAX's own knows values only of the size of the keys.
            same = value.shape[-1] == key.shape[-1]
            attend = nn.dot_product_attention if same else ops.dot_product_attention
            return attend(query, key, value, **flags), None
        query = query * jnp.asarray(self._scale, query.dtype)
        scores = jnp.einsum(self._dot_product_equation, key, query)
        scores = self._masked_softmax(scores, attention_mask)
        weights = scores
        if self._dropout > 0:
            weights = self._dropout_layer(scores, training=training)
        return jnp.einsum(self._combine_equation, weights, value), scores

    def _masked_softmax(self, attention_scores: Any, attention_mask: Any = None) -> Any:
        """The weights; a mask lacks the axes of heads, and of what is not attended over.

        Programs call it from a `_compute_attention` of their own, under this name.
        """
        if attention_mask is not None:
            attention_mask = _with_rank(attention_mask, attention_scores.ndim, len(self._axes))
        return self._softmax(attention_scores, mask=attention_mask)

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """All masks in one of shape (batch, T, S), true where attention may go; or None."""
        parts = []
        if len(self._axes) != 1 and not query_mask is value_mask is key_mask is None:
            self._lengths(query, value)
        if query_mask is not None:
            parts.append(jnp.asarray(query_mask, bool)[..., :, None])
        for mask in (value_mask, key_mask):
            if mask is not None:
                parts.append(jnp.asarray(mask, bool)[..., None, :])
        if use_causal_mask:
            parts.append(self._compute_causal_mask(query, value))
        if self._sliding_window is not None:
            parts.append(self._compute_sliding_window_mask(query, value))
        merged = None if attention_mask is None else jnp.asarray(attention_mask, bool)
        for part in parts:
            if merged is None:
                merged = part
            else:  # one of the two may have an axis of heads
                rank = max(merged.ndim, part.ndim)
                merged = _with_rank(merged, rank, 1) & _with_rank(part, rank, 1)
        return merged

    def _compute_causal_mask(self, query: Any, value: Any = None) -> Any:
        """(1, T, S), true where the key is not after the query."""
        rows, columns = self._lengths(query, value)
        return jnp.tril(jnp.ones((1, rows, columns), bool))

    def _compute_sliding_window_mask(self, query: Any, value: Any = None) -> Any:
        """(1, T, S), true where query and key are less than the window apart."""
        rows, columns = self._lengths(query, value)
        distance = jnp.arange(rows)[:, None] - jnp.arange(columns)[None, :]
        return (jnp.abs(distance) < self._sliding_window)[None]

    def _lengths(self, query: Any, value: Any) -> tuple[int, int]:
        if len(self._axes) != 1:
            raise errors.invalid(
                type(self).__name__, "attention_axes", "one axis with masks of positions",
                self._axes,
            )  # fmt: skip
        axis = self._axes[0]
        return query.shape[axis], (query if value is None else value).shape[axis]

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise errors.invalid(
                type(self).__name__, "key", f"as long as value, {tuple(value_shape)}",
                tuple(key_shape),
            )  # fmt: skip


def _with_rank(mask: Any, rank: int, axes: int) -> Any:
    """A mask with axes of size 1 before those of the queries' and keys' positions."""
    for _ in range(rank - mask.ndim):
        mask = jnp.expand_dims(mask, -2 * axes - 1)
    return mask
