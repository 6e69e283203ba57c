"""A look inside a step: a program of its own, over the present state and the last batch.

    loss, grads = objective(params), its gradient      neither scaled nor clipped
    values      = loss, and what every `inside(grads, params)` makes of them

The program changes nothing, and the training step is the same with and without it. How
often it runs follows from what it costs: with a share of 0.01, the training runs a hundred
times as long between two looks as a look takes. The first look, which compiles, comes only
after a second of training, the next a second later: a short run is not held up by them. That
second begins behind the first block, whose compiling is no training and takes as long as it
likes on a busy machine.
"""

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from talweg.optimizers.state import wide
from talweg.training.block import Passage, gather
from talweg.training.state import TrainState
from talweg.training.step import Task

# `(grads, params, objective) -> a tree of arrays`, pure.
Look = Callable[[Any, Any, Any], Any]

# Seconds of training before the first look.
SETTLED = 1.0


def make_probe(task: Task, look: Look) -> Callable[[TrainState, Any, Any], Any]:
    """The compiled look: `(state, data, rows) -> (loss, what look says)`.

    Args:
        task: what is trained.
        look: is given the gradients, the parameters and `objective(params) -> (loss, grads)`
            on the same batch.
    """

    def probe(state: TrainState, data: Any, rows: Any) -> tuple[Any, Any]:
        batch = gather(data, rows)
        key = None
        if state.key is not None:
            key = jax.random.fold_in(state.key, state.optimizer.iterations)
        # Scaled as the step is, and unscaled: small gradients of float16 would be zero.
        factor = task.scale(jnp.float32(1.0), state.optimizer)

        def scaled(params: Any) -> Any:
            loss = task.objective(params, state.fixed, state.metrics, batch, True, key)[0]
            return task.scale(loss, state.optimizer), loss

        def objective(params: Any) -> tuple[Any, Any]:
            grads, loss = jax.grad(scaled, has_aux=True)(params)
            return loss, jax.tree.map(lambda g: wide(g) / factor, grads)

        loss, grads = objective(state.params)
        return loss, look(grads, state.params, objective)

    return jax.jit(probe)


class Probe:
    """Looks now and then.

    Args:
        run: the compiled look, `(data, rows) -> (loss, values)`; None where there is none.
        share: how much of the time looking may take; infinite to look after every block.
    """

    def __init__(self, run: Callable[[Any, Any], tuple[Any, Any]] | None, share: float):
        self._run, self._share = run, share
        self._begun = 0.0
        self._settling = 0.0 if math.isinf(share) else SETTLED
        self._due: float | None = None
        self._compiled = False

    def __call__(self, passage: Passage) -> tuple[float, Any] | None:
        """Loss and values at the last full batch, on the host; None while it is not due."""
        now = time.perf_counter()
        if self._due is None:
            self._due = now + self._settling
        if self._run is None or now < self._due:
            return None
        self._begun = now
        try:
            loss, values = jax.device_get(self._run(passage.chunk.data, passage.last_rows()))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            self._run = None
            warnings.warn(
                "There is not enough memory on the device to look at the gradients beside the "
                "training: callbacks that ask for it are told nothing more.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return float(loss), values

    def done(self) -> None:
        """What was seen is judged, too: now it is known what a look costs."""
        now = time.perf_counter()
        cost = now - self._begun
        # The first may have compiled, and says nothing of the cost of the next.
        self._due = now + (cost / self._share if self._compiled else self._settling)
        self._compiled = True
