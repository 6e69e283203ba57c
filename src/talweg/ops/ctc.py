"""Connectionist temporal classification: sequences of labels without alignment.

Graves, Fernández, Gomez & Schmidhuber, ICML 2006.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
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
    """The labels that the outputs spell, repeats and blanks removed.

    Args:
        inputs: logits (batch, T, classes).
        sequence_lengths: how much of each row counts (batch,).
        strategy: "greedy" takes the most probable class of each frame; "beam_search" the most
            probable labels, of which several runs of classes may be the spelling.
        beam_width: how many beginnings the search keeps.
        top_paths: how many spellings it returns, the most probable first.
        merge_repeated: whether a class in successive frames is one label (greedy).
        mask_index: the class that is the blank.

    Returns:
        The labels (1 or top_paths, batch, T), filled up with -1, and (batch, 1 or top_paths) minus
        the summed logits (greedy), or ln of the probabilities (beam_search).

    Raises:
        ValueError: another strategy; more paths than beams.

    >>> ctc_decode(jnp.eye(3)[None, jnp.array([1, 1, 0, 2])], [4])[0].tolist()
    [[[1, 2, -1, -1]]]
    """
    inputs = jnp.asarray(inputs)
    inputs = inputs.astype(jnp.promote_types(inputs.dtype, "float32"))
    frames = jnp.arange(inputs.shape[1])
    counts = frames < jnp.asarray(sequence_lengths, "int32")[:, None]
    if strategy == "beam_search":
        if not 1 <= top_paths <= beam_width:
            raise errors.invalid("ctc_decode", "top_paths", f"in [1, {beam_width}]", top_paths)
        search = partial(_search, width=beam_width, blank=mask_index)
        labels, scores = jax.vmap(search)(nn.log_softmax(inputs), counts)
        return jnp.swapaxes(labels[:, :top_paths], 0, 1), scores[:, :top_paths]
    if strategy != "greedy":
        raise errors.invalid("ctc_decode", "strategy", "'greedy' or 'beam_search'", strategy)
    labels = jnp.where(counts, jnp.argmax(inputs, axis=-1), mask_index)
    scores = jnp.where(counts, jnp.max(inputs, axis=-1), 0.0)
    if merge_repeated:
        repeated = jnp.pad(labels[:, 1:] == labels[:, :-1], ((0, 0), (1, 0)))
        labels = jnp.where(repeated, mask_index, labels)
    blank = labels == mask_index
    order = jnp.argsort(jnp.where(blank, len(frames), frames), axis=-1)
    labels = jnp.take_along_axis(jnp.where(blank, -1, labels), order, axis=-1)
    return labels[None], -jnp.sum(scores, axis=1)[:, None]


class _Beams(NamedTuple):
    """Beginnings of a spelling, no two of them alike but for those of probability 0."""

    labels: Any  # (width, T), -1 after the last
    lengths: Any  # (width,)
    at_blank: Any  # ln of the probability of the runs that spell it and end in a blank
    at_label: Any  # of those that end in its last label

    @property
    def score(self) -> Any:
        return jnp.logaddexp(self.at_blank, self.at_label)


def _search(log_p: Any, counts: Any, width: int, blank: int) -> tuple[Any, Any]:
    """The most probable spellings (width, T) of log_p (T, classes), with their ln p (width,).

    Prefix search of Graves et al. with a beam.
    """
    frames, classes = log_p.shape
    never = jnp.full(width, -jnp.inf, log_p.dtype)
    start = _Beams(
        jnp.full((width, frames), -1), jnp.zeros(width, int), never.at[0].set(0.0), never
    )

    def step(beams: _Beams, frame: tuple[Any, Any]) -> tuple[_Beams, None]:
        emission, counted = frame
        ends = jnp.arange(frames) == beams.lengths[:, None] - 1
        last = jnp.max(jnp.where(ends, beams.labels, -1), axis=1)
        # The last label once more is a new one after a blank only.
        again = jnp.arange(classes) == last[:, None]
        longer = jnp.where(again, beams.at_blank[:, None], beams.score[:, None]) + emission
        longer = longer.at[:, blank].set(-jnp.inf)
        # What grows into a beginning that is there joins it: joins[i, j], i grows into j.
        shorter = jnp.where(ends, -1, beams.labels)
        joins = jnp.all(beams.labels[:, None] == shorter, axis=-1)
        joins &= (beams.lengths > 0) & (beams.score > -jnp.inf)
        joined = jnp.max(jnp.where(joins, longer[:, last], -jnp.inf), axis=0)
        longer = jnp.where(jnp.any(joins[:, :, None] & again, axis=1), -jnp.inf, longer)
        same = _Beams(
            beams.labels, beams.lengths, beams.score + emission[blank],
            jnp.logaddexp(beams.at_label + emission[last], joined),
        )  # fmt: skip
        _, chosen = lax.top_k(jnp.concatenate([same.score, longer.ravel()]), width)
        grows = chosen >= width
        grown = jnp.maximum(chosen - width, 0)
        source = jnp.where(grows, grown // classes, chosen)
        after = grows[:, None] & (jnp.arange(frames) == beams.lengths[source, None])
        following = _Beams(
            jnp.where(after, (grown % classes)[:, None], beams.labels[source]),
            beams.lengths[source] + grows,
            jnp.where(grows, -jnp.inf, same.at_blank[source]),
            jnp.where(grows, longer.ravel()[grown], same.at_label[source]),
        )
        return jax.tree.map(partial(jnp.where, counted), following, beams), None

    beams, _ = lax.scan(step, start, (log_p, counts))
    return beams.labels, beams.score
