"""The step: one batch, one update, as a pure function.

    loss, (fixed, metrics) = objective(params, fixed, metrics, batch)
    params, optimizer <- update(grad loss)

A step whose loss is not finite leaves the state as it was and is remembered in
`first_bad`; so does every step after it, until somebody has looked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from talweg.optimizers.transforms import all_finite
from talweg.training.state import NEVER, TrainState

Step = Callable[[TrainState, Any], TrainState]


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained, as pure functions; the engine knows no layers.

    Attributes:
        objective: `(params, fixed, metrics, batch, training, key) -> (loss, (fixed,
            metrics))`; the loss is a scalar, penalties included.
        update: `(grads, optimizer state, params, again) -> (params, optimizer state)`, where
            `again(params) -> (loss, grads)` is the objective on the same batch.
        scale: `(loss, optimizer state) -> loss` as it is to be differentiated.
    """

    objective: Callable[..., tuple[Any, tuple[Any, Any]]]
    update: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    scale: Callable[[Any, Any], Any] = lambda loss, state: loss


def task_of(
    apply: Callable[..., tuple[Any, Any]],
    loss: Callable[[Any, Any, Any], Any],
    update: Callable[[Any, Any, Any, Any], tuple[Any, Any]],
) -> Task:
    """A task from a model as a function, a loss and an optimizer's `update`.

    The metrics are the running (sum of losses, count of rows).

    Args:
        apply: `(params, fixed, x, training, key) -> (prediction, fixed)`.
        loss: `(y, prediction, weight) -> scalar`.
        update: `optimizer.update`.
    """

    def objective(
        params: Any, fixed: Any, metrics: Any, batch: Any, training: bool, key: Any
    ) -> tuple[Any, tuple[Any, Any]]:
        x, y, weight = batch
        prediction, fixed = apply(params, fixed, x, training, key)
        value = loss(y, prediction, weight)
        rows = jax.tree.leaves(x)[0].shape[0]
        return value, (fixed, (metrics[0] + value * rows, metrics[1] + rows))

    return Task(objective, update)


def make_step(task: Task, watch: Literal["loss", "gradients", "weights"] = "loss") -> Step:
    """The training step of a task.

    Args:
        task: what is trained.
        watch: what must be finite beside the loss. To look at more than the loss costs a
            fifth of a small model's step, so a block of such a model looks at its weights in
            the end instead (`training.block`). "weights" is for optimizers to whom a
            gradient that overflows is nothing new.
    """

    def step(state: TrainState, batch: Any) -> TrainState:
        key = None
        if state.key is not None:
            key = jax.random.fold_in(state.key, state.optimizer.iterations)

        def objective(params: Any) -> tuple[Any, Any]:
            return task.objective(params, state.fixed, state.metrics, batch, True, key)

        def scaled(params: Any) -> tuple[Any, Any]:
            loss, aux = objective(params)
            return task.scale(loss, state.optimizer), (loss, aux)

        def again(params: Any) -> tuple[Any, Any]:
            return jax.value_and_grad(lambda p: objective(p)[0])(params)

        grads, (loss, (fixed, metrics)) = jax.grad(scaled, has_aux=True)(state.params)

        def update(params: Any, optimizer: Any) -> tuple[Any, Any]:
            return task.update(grads, optimizer, params, again)

        def stay(params: Any, optimizer: Any) -> tuple[Any, Any]:
            return params, optimizer

        before = state.params, state.optimizer
        if watch == "gradients":
            finite = all_finite((loss, grads))
            # A condition in place of a choice number by number: XLA would keep copies of all
            # that the optimizer writes. In this order: the branch that moves nothing comes
            # first for XLA, or it copies all the same.
            fine = _first_bad(state, finite) == NEVER
            params, optimizer = jax.lax.cond(fine, update, stay, *before)
            # What was held already is left out of the choice.
            moved = keep_if_bad(state, state._replace(fixed=fixed, metrics=metrics), finite)
            return moved._replace(params=params, optimizer=optimizer)
        params, optimizer = update(*before)
        moved = state._replace(params=params, fixed=fixed, optimizer=optimizer, metrics=metrics)
        watched = {"loss": (), "weights": params}[watch]
        return keep_if_bad(state, moved, all_finite((loss, watched)))

    return step


def keep_if_bad(state: TrainState, moved: TrainState, finite: Any) -> TrainState:
    """`moved`, or `state` as it was where this or an earlier step was not finite."""
    first_bad = _first_bad(state, finite)
    fine = first_bad == NEVER
    kept = jax.tree.map(lambda new, old: jnp.where(fine, new, old), moved, state)
    return kept._replace(first_bad=first_bad)


def _first_bad(state: TrainState, finite: Any) -> Any:
    earlier = jnp.minimum(state.first_bad, state.optimizer.iterations)
    return jnp.where(finite, state.first_bad, earlier)


def make_test_step(task: Task) -> Step:
    """The evaluation step of a task: metrics, and the state that the model itself updates."""

    def step(state: TrainState, batch: Any) -> TrainState:
        _, (fixed, metrics) = task.objective(
            state.params, state.fixed, state.metrics, batch, False, state.key
        )
        return state._replace(fixed=fixed, metrics=metrics)

    return step
