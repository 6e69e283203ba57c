"""Connectionist temporal classification: sequences of labels without alignment.

Graves, Fernández, Gomez & Schmidhuber, ICML 2006.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax, nn

from talweg.core import errors
from talweg.ops.keras_tensor import Tensor, op

# The logarithm of "impossible": finite, so that gradients stay finite too.
_IMPOSSIBLE = -1e5


@op
def ctc_loss(
    target: Tensor,
    output: Tensor,
    target_length: Tensor,
    output_length: Tensor,
    mask_index: int = 0,
) -> Any:
    """-ln of the probability that the outputs, blanks and repeats removed, spell the target.

    Args:
        target: labels (batch, L).
        output: logits (batch, T, classes).
        target_length, output_length: how much of each row counts (batch,).
        mask_index: the class that is the blank.

    >>> logits = jnp.zeros((1, 2, 2))
    >>> round(float(ctc_loss([[1]], logits, [1], [2])[0]), 4)  # -ln(3/4)
    0.2877
    """
    target, output = jnp.asarray(target, "int32"), jnp.asarray(output)
    output = output.astype(jnp.promote_types(output.dtype, "float32"))
    batch, length = target.shape
    target_length = jnp.asarray(target_length, "int32")
    # Labels with a blank before, between and after: state 2i + 1 is label i.
    labels = jnp.full((batch, 2 * length + 1), mask_index, "int32").at[:, 1::2].set(target)
    may_skip = (labels != mask_index) & (labels != jnp.roll(labels, 2, axis=1))
    may_skip = may_skip.at[:, :2].set(False)
    log_p = jnp.take_along_axis(nn.log_softmax(output), labels[:, None, :], axis=2)
    start = jnp.full(labels.shape, _IMPOSSIBLE, output.dtype).at[:, 0].set(0.0)

    def shifted(alpha: Any, by: int) -> Any:
        return jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=_IMPOSSIBLE)[:, :-by]

    def step(alpha: Any, frame: tuple[Any, Any]) -> tuple[Any, None]:
        log_emission, counts = frame
        skipped = jnp.where(may_skip, shifted(alpha, 2), _IMPOSSIBLE)
        reached = jnp.logaddexp(jnp.logaddexp(alpha, shifted(alpha, 1)), skipped)
        return jnp.where(counts[:, None], reached + log_emission, alpha), None

    counts = jnp.arange(output.shape[1])[:, None] < jnp.asarray(output_length, "int32")
    alpha, _ = lax.scan(step, start, (jnp.swapaxes(log_p, 0, 1), counts))
    # A path ends at the last label or at the blank after it.
    last = 2 * target_length[:, None]
    at_blank = jnp.take_along_axis(alpha, last, axis=1)[:, 0]
    at_label = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), axis=1)[:, 0]
    at_label = jnp.where(target_length > 0, at_label, _IMPOSSIBLE)
    return -jnp.logaddexp(at_blank, at_label)


@op
def ctc_decode(
    inputs: Tensor,
    sequence_lengths: Tensor,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> Any:
    """The labels of the most probable class of each frame, repeats and blanks removed.

    Args:
        inputs: logits (batch, T, classes).
        sequence_lengths: how much of each row counts (batch,).
        strategy: "greedy"; beams are not searched on this backend.
        merge_repeated: whether a class in successive frames is one label.
        mask_index: the class that is the blank.

    Returns:
        The labels (1, batch, T), filled up with -1, and minus the summed logits (batch, 1).

    >>> ctc_decode(jnp.eye(3)[None, jnp.array([1, 1, 0, 2])], [4])[0].tolist()
    [[[1, 2, -1, -1]]]
    """
    if strategy != "greedy":
        raise errors.invalid("ctc_decode", "strategy", "'greedy'", strategy)
    inputs = jnp.asarray(inputs)
    inputs = inputs.astype(jnp.promote_types(inputs.dtype, "float32"))
    frames = jnp.arange(inputs.shape[1])
    counts = frames < jnp.asarray(sequence_lengths, "int32")[:, None]
    labels = jnp.where(counts, jnp.argmax(inputs, axis=-1), mask_index)
    scores = jnp.where(counts, jnp.max(inputs, axis=-1), 0.0)
    if merge_repeated:
        repeated = jnp.pad(labels[:, 1:] == labels[:, :-1], ((0, 0), (1, 0)))
        labels = jnp.where(repeated, mask_index, labels)
    blank = labels == mask_index
    order = jnp.argsort(jnp.where(blank, len(frames), frames), axis=-1)
    labels = jnp.take_along_axis(jnp.where(blank, -1, labels), order, axis=-1)
    return labels[None], -jnp.sum(scores, axis=1)[:, None]
