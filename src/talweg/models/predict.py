"""Prediction: every batch through a compiled call, the rows in their order."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from talweg.callbacks import Progbar
from talweg.core.compilation import use_persistent_cache
from talweg.core.memory import keep_memory
from talweg.core.variables import Variable, lend
from talweg.data import Batches, Chunk
from talweg.layers.context import call_context
from talweg.layers.host_layer import Unspelled, spelling_later
from talweg.models import data_checks
from talweg.models.steps import metric_variables, overrides
from talweg.training.block import slow_in_loops

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
        use_persistent_cache()
        keep_memory()
        self._model = model
        self.variables: list[Variable] = model.variables
        self.traces: dict[str, int] = {}
        self._single = jax.jit(self._one)
        self._block = jax.jit(self._many)
        self._slow_in_loops: bool | None = None
        self._custom = overrides(model, "predict_step")
        # Whether a call assigns variables, such as the states of a stateful RNN.
        self._moves = False
        # The layer that makes text of an output, or None, for each of the outputs.
        self._spellers: list[Any] = []

    def _one(self, arrays: Any, x: Any) -> Any:
        self.traces["single"] = self.traces.get("single", 0) + 1
        outputs, moved = self._step(arrays, x)
        self._moves = bool(moved)
        return outputs, moved

    def _many(self, arrays: Any, x: Any) -> Any:
        self.traces["block"] = self.traces.get("block", 0) + 1
        return jax.lax.map(lambda batch: self._step(arrays, batch)[0], x)

    def _step(self, arrays: Any, x: Any) -> tuple[Any, dict[int, Any]]:
        """The outputs, and the variables that the call assigned: nearly always none."""
        with spelling_later():
            outputs, after = self._call(arrays, x)
        leaves, structure = jax.tree.flatten(outputs)
        self._spellers = [leaf.layer if isinstance(leaf, Unspelled) else None for leaf in leaves]
        leaves = [leaf.indices if isinstance(leaf, Unspelled) else leaf for leaf in leaves]
        pairs = enumerate(zip(arrays, after, strict=True))
        moved = {i: new for i, (old, new) in pairs if new is not old}
        return jax.tree.unflatten(structure, leaves), moved

    def _call(self, arrays: Any, x: Any) -> tuple[Any, list[Any]]:
        if self._custom:
            now = dict(zip(map(id, self.variables), arrays, strict=True))
            params, fixed = self._model.trainable_variables, self._model.non_trainable_variables
            state = [now[id(v)] for v in params], [now[id(v)] for v in fixed]
            outputs, updated = self._model.predict_step(state, (x,))
            now.update(zip(map(id, fixed), updated, strict=True))
            after = list(now.values())
        else:
            # What a layer's own metric gathers here is nobody's.
            held = metric_variables(self._model)
            with lend(held, held), lend(self.variables, arrays) as loan, call_context(False):
                outputs = self._model(x, training=False)
                after = loan.values(self.variables)
        return outputs, after

    def _spelled(self, outputs: Any) -> Any:
        """The outputs with text where a last layer gives text, which no program holds."""
        leaves, structure = jax.tree.flatten(outputs)
        pairs = zip(leaves, self._spellers, strict=True)
        leaves = [leaf if by is None else by(np.asarray(leaf)) for leaf, by in pairs]
        return jax.tree.unflatten(structure, leaves)

    def _run_one(self, arrays: list[Any], x: Any) -> Any:
        """One batch; what it assigned is kept for the next."""
        outputs, moved = self._single(arrays, x)
        for i, value in moved.items():
            arrays[i] = self.variables[i].assign(value).value
        return outputs

    def run(self, batches: Batches, callbacks: Any, patient: bool = False) -> Any:
        """The outputs over all batches, joined, as NumPy arrays.

        Args:
            batches: the data.
            callbacks: their `on_predict_*` hooks are called.
            patient: show a bar where it takes longer than a second.

        Raises:
            ValueError: a stream without a single batch.
        """
        outputs: list[Any] = []
        step = 0
        began = time.perf_counter()
        bar = Progbar(batches.steps, verbose=int(patient))
        shown = False
        callbacks.on_predict_begin()
        for chunk in batches.epoch(0):
            first = len(outputs)
            for count, result in self._results(chunk, not callbacks.per_predict_batch):
                callbacks.on_predict_batch_begin(step)
                step += count
                outputs.append(result())
                callbacks.on_predict_batch_end(step - 1, {"outputs": self._spelled(outputs[-1])})
                callbacks.on_block_end(step)
                if patient and (shown or time.perf_counter() - began > _PATIENCE):
                    shown = True
                    bar.update(step, finalize=False)
                if self._model.stop_predicting:
                    break
            self._explain(chunk, outputs[first:])
            if self._model.stop_predicting:
                break
        if not outputs:
            raise ValueError("The data is empty: it gave no batch to predict on.")
        if shown:
            bar.update(step, finalize=True)
        callbacks.on_predict_end()
        joined = jax.tree.map(lambda *parts: np.concatenate(list(map(np.asarray, parts))), *outputs)
        return self._spelled(joined)

    def _results(self, chunk: Chunk, joined: bool) -> Iterator[tuple[int, Callable[[], Any]]]:
        """Runs of batches: how many, and what computes their outputs."""
        arrays = [variable.value for variable in self.variables]
        size, done = chunk.batch_size, 0
        looped = joined and chunk.steps >= _LONG and self._loops(arrays, chunk)
        while done < chunk.steps:
            count = _BLOCK if looped and chunk.steps - done > _BLOCK else 1
            x = _cut(chunk, done, count)
            if count == 1:
                yield 1, functools.partial(self._run_one, arrays, x)
            else:
                x = jax.tree.map(lambda a: a.reshape(-1, size, *a.shape[1:]), x)
                yield count, lambda x=x: jax.tree.map(_rows, self._block(arrays, x))
            done += count

    def _explain(self, chunk: Chunk, outputs: list[Any]) -> None:
        """Where outputs are NaN, have the layers look at the inputs.

        Raises:
            ValueError: what a layer says, an index that an Embedding lacks.
        """
        if not data_checks.layers_that_check(self._model):
            return
        if all(np.isfinite(np.sum(np.asarray(leaf))) for leaf in jax.tree.leaves(outputs)):
            return
        data_checks.ask_layers(self._model, _cut(chunk, 0, chunk.steps))

    def _loops(self, arrays: Any, chunk: Chunk) -> bool:
        """Whether a loop over the batches is not slower than calls one by one."""
        if self._slow_in_loops is None:
            self._slow_in_loops = slow_in_loops(self._single.trace(arrays, _cut(chunk, 0, 1)))
        return not self._slow_in_loops and not self._moves


def _cut(chunk: Chunk, first: int, count: int) -> Any:
    """Some batches of a chunk, whose rows lie in their order on the host."""
    end = min((first + count) * chunk.batch_size, len(chunk.order))
    return jax.tree.map(lambda a: a[first * chunk.batch_size : end], chunk.data.x)


def _rows(stacked: Any) -> np.ndarray:
    """(batches, rows, …) as (rows, …)."""
    return np.asarray(stacked).reshape(-1, *stacked.shape[2:])
