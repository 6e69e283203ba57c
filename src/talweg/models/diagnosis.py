"""What was wrong with a step that was not finite: the row, or the layer that refuses it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.models import data_checks
from talweg.training.block import Passage


def ask_layers(model: Any, passage: Passage, step: int) -> None:
    """With values at hand, layers refuse what they cannot refuse inside a program.

    Raises:
        ValueError: what a layer says of a step's batch.
    """
    try:
        data_checks.ask_layers(model, passage.batch(step).x)
    except ValueError as error:
        number = step + (passage.chunk.first_batch or 0)
        raise ValueError(f"In batch {number}: {error}") from None


def bad_row(passage: Passage) -> str:
    """Which row of the chunk's steps so far is not finite; "" if none."""
    chunk = passage.chunk
    rows = chunk.order[: passage.step * chunk.batch_size]
    for what, tree in zip(("x", "y", "sample_weight"), chunk.data, strict=True):
        for leaf in jax.tree.leaves(tree):
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                continue
            values = np.asarray(leaf).reshape(len(leaf), -1)
            finite = np.asarray(np.isfinite(values).all(axis=1))[rows]
            if finite.all():
                continue
            place = int(finite.argmin())
            step, in_batch = divmod(place, chunk.batch_size)
            kind = "NaN" if np.isnan(values[rows[place]]).any() else "infinity"
            if chunk.first_batch is not None:
                return f"{what} holds {kind} at row {in_batch} of batch {chunk.first_batch + step}"
            return f"{what} holds {kind} at row {int(rows[place])}, in batch {step}"
    return ""
