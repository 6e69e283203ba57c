"""Attention: each query gets a weighted mean of values, the weights from query and key."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.random import SeedGenerator
from talweg.layers.arguments import choice, fields, number
from talweg.layers.base import Layer
from talweg.layers.building import is_shape


class Attention(Layer):
    """softmax(q kᵀ) v, after Luong et al., EMNLP 2015, arXiv:1508.04025.

    Called on `[query, value]` or `[query, value, key]`, of shapes (batch, Tq, size),
    (batch, Tv, size) and (batch, Tv, size); the value is the key where there is none. Returns
    (batch, Tq, size), and the weights (batch, Tq, Tv) with `return_attention_scores=True`.

    Args:
        use_scale: whether the scores are multiplied by a learned number.
        score_mode: "dot" for q kᵀ; "concat" for w · Σ tanh(scale (q + k)), w learned.
        dropout: the share of the weights that training drops, in [0, 1).
        seed: an integer for dropout that repeats; with the same seed it is Keras's.

    In a call, `mask=[query_mask, value_mask]`, of shapes (batch, Tq) and (batch, Tv), sets
    what a masked query gets to 0 and hides masked values from all; `use_causal_mask=True`
    hides from position i the positions after it.

    Raises:
        ValueError: an argument out of range; inputs that are not two or three arrays.

    >>> import numpy as np
    >>> query, value = np.ones((1, 2, 3)), np.ones((1, 4, 3))
    >>> y, weights = Attention()([query, value], return_attention_scores=True)
    >>> y.shape, weights[0, 0].tolist()
    ((1, 2, 3), [0.25, 0.25, 0.25, 0.25])
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.use_scale = use_scale
        self.score_mode = choice(owner, "score_mode", score_mode, ("dot", "concat"))
        self.dropout = number(owner, "dropout", dropout, below=1.0)
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.concat_score_weight = None
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """The scores (batch, Tq, Tv); a subclass may define its own."""
        if self.concat_score_weight is None:
            scores = jnp.matmul(query, jnp.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale.value
        sums = query[..., :, None, :] + key[..., None, :, :]
        if self.scale is not None:
            sums = self.scale.value * sums
        return self.concat_score_weight.value * jnp.sum(jnp.tanh(sums), axis=-1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask is not None else (None, None)
        scores = self._calculate_scores(query, key)

        seen = None if value_mask is None else jnp.asarray(value_mask, bool)
        if seen is not None and seen.ndim == 2:
            seen = seen[:, None, :]
        if use_causal_mask:
            causal = jnp.tril(jnp.ones((1, *scores.shape[-2:]), bool))
            seen = causal if seen is None else seen & causal
        if seen is not None:
            low = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(seen, scores, scores - low)
        weights = jax.nn.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            kept = jax.random.bernoulli(
                self.seed_generator.next(), 1.0 - self.dropout, weights.shape
            )
            weights = jnp.where(kept, weights / (1.0 - self.dropout), jnp.zeros((), weights.dtype))
        outputs = jnp.matmul(weights, value)
        if query_mask is not None:
            kept = jnp.asarray(query_mask, bool)[..., None]
            outputs = jnp.where(kept, outputs, jnp.zeros((), outputs.dtype))
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's mask."""
        self._check(inputs, mask)
        return None if mask is None or mask[0] is None else jnp.asarray(mask[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        return (*input_shape[0][:-1], input_shape[1][-1])

    def _check(self, inputs: Any, mask: Any = None) -> None:
        owner = type(self).__name__
        several = isinstance(inputs, (list, tuple)) and not is_shape(inputs)
        if not several or len(inputs) not in (2, 3):
            raise errors.invalid(
                owner, "the input", "a list [query, value] or [query, value, key]", inputs
            )
        if mask is not None and not (isinstance(mask, Sequence) and len(mask) in (2, 3)):
            raise errors.invalid(owner, "mask", "a list [query_mask, value_mask]", mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(self, "use_scale", "score_mode", "dropout", "seed"),
        }


class AdditiveAttention(Attention):
    """softmax(Σ scale · tanh(q + k)) v, after Bahdanau et al., ICLR 2015, arXiv:1409.0473.

    Args:
        use_scale: whether the sum is weighted by a learned vector, of the queries' size.
        dropout: the share of the weights that training drops, in [0, 1).
        seed: as of `Attention`.

    Called as `Attention` is.

    >>> import numpy as np
    >>> AdditiveAttention()([np.ones((1, 2, 3)), np.ones((1, 4, 3))]).shape
    (1, 2, 3)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight(
                name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform"
            )

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        terms = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        return jnp.sum(terms if self.scale is None else self.scale.value * terms, axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
