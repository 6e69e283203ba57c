"""Prediction: every batch through a compiled call, the rows in their order."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.callbacks import Progbar
from talweg.core.variables import Variable, lend
from talweg.data import Batches
from talweg.layers.context import call_context
from talweg.training.block import gather, slow_in_loops

# Long predictions run so many batches in one call.
_BLOCK = 256
_LONG = 4 * _BLOCK

# Seconds after which a prediction that nobody asked to be shown is shown.
_PATIENCE = 1.0


class Predictor:
    """The compiled forms of a model's inference.

    Args:
        model: a built model.

    Attributes:
        traces: how often each program was traced, by name.
    """

    def __init__(self, model: Any):
        self._model = model
        self.variables: list[Variable] = model.variables
        self.traces: dict[str, int] = {}
        self._single = jax.jit(self._one)
        self._block = jax.jit(self._many)
        self._slow_in_loops: bool | None = None

    def _one(self, arrays: Any, x: Any, rows: Any) -> Any:
        self.traces["single"] = self.traces.get("single", 0) + 1
        return self._outputs(arrays, gather(x, rows))

    def _many(self, arrays: Any, x: Any, order: Any) -> Any:
        self.traces["block"] = self.traces.get("block", 0) + 1
        return jax.lax.map(lambda rows: self._outputs(arrays, gather(x, rows)), order)

    def _outputs(self, arrays: Any, x: Any) -> Any:
        with lend(self.variables, arrays), call_context(False):
            return self._model(x, training=False)

    def run(self, batches: Batches, callbacks: Any, patient: bool = False) -> Any:
        """The outputs over all batches, joined, as NumPy arrays.

        Args:
            batches: the data.
            callbacks: their `on_predict_*` hooks are called.
            patient: show a bar where it takes longer than a second.

        Raises:
            ValueError: a stream without a single batch.
        """
        arrays = [variable.value for variable in self.variables]
        outputs: list[Any] = []
        step = 0
        began = time.perf_counter()
        bar = Progbar(batches.steps, verbose=int(patient))
        shown = False
        callbacks.on_predict_begin()
        for chunk in batches.epoch(0):
            blocks = chunk.steps >= _LONG and not callbacks.per_predict_batch
            size = chunk.batch_size
            x, done = chunk.data.x, 0
            while done < chunk.steps and not self._model.stop_predicting:
                rows = chunk.order[done * size : (done + 1) * size]
                callbacks.on_predict_batch_begin(step)
                if blocks and chunk.steps - done > _BLOCK and self._loops(arrays, x, rows):
                    order = chunk.order[done * size : (done + _BLOCK) * size]
                    many = self._block(arrays, x, jnp.asarray(order.reshape(_BLOCK, size)))
                    result = jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[2:]), many)
                    count = _BLOCK
                else:
                    result, count = self._single(arrays, x, jnp.asarray(rows)), 1
                self._ask_if_nan(x, rows, result)
                done, step = done + count, step + count
                callbacks.on_predict_batch_end(step - 1, {"outputs": result})
                outputs.append(result)
                if patient and (shown or time.perf_counter() - began > _PATIENCE):
                    shown = True
                    bar.update(step, finalize=False)
                elif blocks:
                    callbacks.on_block_end(step)
            if self._model.stop_predicting:
                break
        if not outputs:
            raise ValueError("The data is empty: it gave no batch to predict on.")
        joined = jax.tree.map(
            lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *outputs
        )
        if shown:
            bar.update(step, finalize=True)
        callbacks.on_predict_end()
        return joined

    def _loops(self, arrays: Any, x: Any, rows: Any) -> bool:
        """Whether a loop over the batches is not slower than calls one by one."""
        if self._slow_in_loops is None:
            traced = self._single.trace(arrays, x, jnp.asarray(rows))
            self._slow_in_loops = slow_in_loops(traced)
        return not self._slow_in_loops
