"""ReversibleEmbedding: an embedding that can also project back to its indices."""

from typing import Any

import jax.numpy as jnp

from talweg.layers import context
from talweg.layers.arguments import fields
from talweg.layers.embedding import Embedding


class ReversibleEmbedding(Embedding):
    """An `Embedding` that, called with `reverse=True`, gives a logit for each index.

        logits = x tableᵀ,  or x table' with a table of its own; with a cap c, c tanh(logits / c)

    The one table of a language model for its words and its predictions: Press & Wolf, EACL
    2017, arXiv:1608.05859.

    Args:
        input_dim: the number of rows, the largest index plus 1.
        output_dim: the size of a vector.
        tie_weights: whether both ways share the table.
        embeddings_initializer: of the table, and of the second one; uniform.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: projection of the table after each update.
        mask_zero: as of `Embedding`.
        reverse_dtype: the type to project back in; the layer's compute type by default.
        logit_soft_cap: what the logits cannot exceed; None is no cap.

    >>> import numpy as np
    >>> embedding = ReversibleEmbedding(10, 4)
    >>> vectors = embedding(np.array([[0, 9]]))
    >>> vectors.shape, embedding(vectors, reverse=True).shape
    ((1, 2, 4), (1, 2, 10))
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        weights = kwargs.pop("weights", None)
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings",
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            vectors = super().call(inputs)
            context.set_mask(vectors, super().compute_mask(inputs))
            return vectors
        x = jnp.asarray(inputs)
        kernel = self._merged().T if self.tie_weights else self.reverse_embeddings.value
        if self.reverse_dtype is not None:
            x, kernel = x.astype(self.reverse_dtype), kernel.astype(self.reverse_dtype)
        logits = jnp.matmul(x, kernel)
        cap = self.logit_soft_cap
        return logits if cap is None else cap * jnp.tanh(logits / cap)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: `call` knows the direction, and gives the vectors their mask itself."""
        return None

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> Any:
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        own = fields(self, "tie_weights", "reverse_dtype", "logit_soft_cap")
        return {**super().get_config(), **own}
