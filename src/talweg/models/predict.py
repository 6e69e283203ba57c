"""Prediction: every batch through one compiled call, the rows in their order."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from talweg.data import Batches


def predict_batches(function: Callable[[Any], Any], batches: Batches, callbacks: Any) -> Any:
    """The outputs of `function` over all batches, joined.

    Args:
        function: compiled, from inputs to outputs.
        batches: the data; rows come in their order.
        callbacks: their `on_predict_*` hooks are called.

    Raises:
        ValueError: a stream without a single batch.
    """
    outputs: list[Any] = []
    callbacks.on_predict_begin()
    for chunk in batches.epoch(0):
        for step in range(chunk.steps):
            rows = slice(step * chunk.batch_size, (step + 1) * chunk.batch_size)
            rows = slice(rows.start, min(rows.stop, len(chunk.order)))
            callbacks.on_predict_batch_begin(len(outputs))
            result = function(jax.tree.map(lambda a, rows=rows: a[rows], chunk.data.x))
            callbacks.on_predict_batch_end(len(outputs), {"outputs": result})
            outputs.append(result)
    callbacks.on_predict_end()
    if not outputs:
        raise ValueError("The data is empty: it gave no batch to predict on.")
    return jax.tree.map(lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *outputs)
