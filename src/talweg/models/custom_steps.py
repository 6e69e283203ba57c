"""Steps that the user wrote: `train_step` and `test_step` in Keras's JAX style."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core.variables import lend
from talweg.optimizers import Optimizer
from talweg.optimizers.transforms import all_finite
from talweg.training import TrainState
from talweg.training.step import Step, keep_if_bad


def custom_step(model: Any, optimizer: Optimizer | None) -> Step:
    """`model.train_step(state, data)` in Keras's JAX style, as a step of the engine."""
    assert optimizer is not None
    _check_style(model, "train_step")
    cells = optimizer.state
    listed = optimizer.variables

    def step(state: TrainState, batch: Any) -> TrainState:
        flat = {
            id(cell): array
            for cell, array in zip(
                jax.tree.leaves(cells), jax.tree.leaves(state.optimizer), strict=True
            )
        }
        hyper = jax.tree.leaves(cells.hyper)
        with lend(hyper, [flat[id(cell)] for cell in hyper]):
            logs, (params, fixed, slots, metrics) = model.train_step(
                (state.params, state.fixed, [flat[id(v)] for v in listed], state.metrics),
                _pack(batch),
            )
        flat.update({id(v): array for v, array in zip(listed, slots, strict=True)})
        moved = state._replace(
            params=list(params),
            fixed=list(fixed),
            metrics=list(metrics),
            logs=_as_arrays(logs),
            optimizer=jax.tree.map(lambda cell: flat[id(cell)], cells)._replace(
                hyper=state.optimizer.hyper, schedules=state.optimizer.schedules
            ),
        )
        before = state._replace(logs=moved.logs)
        return keep_if_bad(before, moved, all_finite((logs.get("loss", 0.0), params)))

    return step


def custom_test_step(model: Any) -> Step:
    """`model.test_step(state, data)` in Keras's JAX style, as a step of the engine."""

    def step(state: TrainState, batch: Any) -> TrainState:
        logs, (_, fixed, metrics) = model.test_step(
            (state.params, state.fixed, state.metrics), _pack(batch)
        )
        return state._replace(fixed=list(fixed), metrics=list(metrics), logs=_as_arrays(logs))

    return step


def _check_style(model: Any, name: str) -> None:
    """Refuse `train_step(self, data)` of TensorFlow's style, which needs a tape."""
    try:
        inspect.signature(getattr(model, name)).bind(None, None)
    except TypeError:
        raise TypeError(
            f"{type(model).__name__}.{name}(self, data) is in TensorFlow's style. Steps are "
            f"compiled by JAX here: write {name}(self, state, data), as Keras has it for JAX, "
            "or override compute_loss(self, x, y, y_pred, sample_weight)."
        ) from None


def _as_arrays(logs: dict[str, Any]) -> dict[str, Any]:
    return {name: jnp.asarray(value, jnp.float32) for name, value in logs.items()}


def _pack(batch: Any) -> Any:
    """A batch as Keras hands it to `train_step`: (x, y, weight), without what is missing."""
    x, y, weight = batch
    if weight is not None:
        return (x, y, weight)
    return (x, y) if y is not None else (x,)
