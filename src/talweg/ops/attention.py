"""Attention by dot products."""

from typing import Any

import jax.numpy as jnp
from jax import nn

from talweg.core import errors
from talweg.ops.keras_tensor import Tensor, op


@op
def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor = None,
    mask: Tensor = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(scale q kᵀ + bias) v, the softmax in float32.

    Args:
        query: (batch, T, heads, size).
        key, value: (batch, S, heads, size), or fewer heads that divide the query's: each
            serves a group of queries' heads in a row.
        bias: added to the logits; broadcasts to (batch, heads, T, S).
        mask: boolean, true where attention may go; broadcasts likewise.
        scale: 1 / sqrt(size) by default.
        is_causal: whether position t sees only positions up to t.
        flash_attention: True insists on cuDNN's fused kernel; otherwise XLA's own is used.
        attn_logits_soft_cap: not available on this backend.

    Vaswani et al., NeurIPS 2017, arXiv:1706.03762.

    >>> x = jnp.ones((1, 2, 1, 4))
    >>> dot_product_attention(x, x, x).shape
    (1, 2, 1, 4)
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.ndim != 4:
            raise errors.invalid("dot_product_attention", name, "of four axes", tensor.shape)
    if attn_logits_soft_cap is not None:
        raise errors.invalid(
            "dot_product_attention", "attn_logits_soft_cap", "None", attn_logits_soft_cap
        )
    dtype = jnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    if flash_attention:
        return nn.dot_product_attention(
            query, key, value, bias, mask, scale=scale, is_causal=is_causal, implementation="cudnn"
        )
    if key.shape[2] != query.shape[2]:
        if query.shape[2] % key.shape[2] or key.shape[2] != value.shape[2]:
            raise errors.invalid(
                "dot_product_attention",
                "the heads of key and value",
                f"a divisor of the query's {query.shape[2]}",
                (key.shape[2], value.shape[2]),
            )
        key, value = (jnp.repeat(x, query.shape[2] // x.shape[2], axis=2) for x in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    wide = jnp.promote_types(dtype, jnp.float32)
    logits = factor * jnp.einsum("btnh,bsnh->bnts", query, key, preferred_element_type=wide)
    if bias is not None:
        logits = (logits + bias).astype(wide)
    allowed = None if mask is None else jnp.asarray(mask, bool)
    if is_causal:
        causal = jnp.tril(jnp.ones(logits.shape[-2:], bool))
        allowed = causal if allowed is None else allowed & causal
    if allowed is not None:
        # Finite, so that a row with nothing allowed is uniform rather than NaN.
        logits = jnp.where(allowed, logits, -0.7 * jnp.finfo(wide).max)
    weights = nn.softmax(logits.astype(jnp.float32), axis=-1).astype(dtype)
    return jnp.einsum("bnts,bsnh->btnh", weights, value)
