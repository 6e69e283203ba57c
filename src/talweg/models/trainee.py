"""A Keras-shaped model as the engine sees it: cells, pure functions, flags."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.errors import NonFiniteError
from talweg.core.variables import Variable, lend
from talweg.layers.context import call_context
from talweg.optimizers import Optimizer, OptimizerState
from talweg.training import NEVER, Program, Task, TrainState, make_step
from talweg.training.block import Passage
from talweg.training.step import Step, keep_if_bad, make_test_step


class ModelTrainee:
    """The cells of one compiled model, and the programs over them.

    Args:
        model: a built model with objectives; its optimizer is built here.
        optimizer: None to evaluate only.
    """

    def __init__(self, model: Any, optimizer: Optimizer | None):
        self.model = model
        self.optimizer = optimizer
        self.params: list[Variable] = model.trainable_variables
        self.fixed: list[Variable] = model.non_trainable_variables
        self.metrics: list[Variable] = [v for m in model.metrics for v in m.variables]
        self.iteration = 0
        self._logs: Any = ()
        self._first_bad: Any = jnp.int32(NEVER)
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.params)
        task = Task(self._objective, self._update, self._scale)
        self._custom = _overridden(model, "train_step")
        self._no_logs: Any = ()
        self.train_program = Program(
            self._custom_step() if self._custom else make_step(task), self._report_training
        )
        tested = _overridden(model, "test_step")
        self.test_program = Program(
            self._custom_test_step() if tested else make_test_step(task),
            self._report_metrics,
            moving=("metrics", "logs"),
        )

    @property
    def stop_training(self) -> bool:
        return self.model.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.model.stop_training = value

    # -- cells -----------------------------------------------------------------------

    def begin(self) -> None:
        """Before a run: no step was bad yet, and the buffers are nobody else's.

        A block reuses the buffers it is given; what the user still holds must not be
        among them, so the first block gets copies.
        """
        self._first_bad = jnp.int32(NEVER)
        self._logs = self._no_logs
        if self.optimizer is not None:
            self.iteration = int(self.optimizer.cells_now().iterations)
        cells = [*self.params, *self.fixed, *self.metrics]
        if self.optimizer is not None:
            cells += jax.tree.leaves(self.optimizer.state._replace(hyper={}))
        for cell in cells:
            cell.assign(cell.value.copy())

    def read_state(self) -> TrainState:
        """The cells' arrays, with the hyperparameters of this moment."""
        return TrainState(
            params=[v.value for v in self.params],
            fixed=[v.value for v in self.fixed],
            optimizer=() if self.optimizer is None else self.optimizer.cells_now(),
            metrics=[v.value for v in self.metrics],
            logs=self._logs,
            first_bad=self._first_bad,
        )

    def write_state(self, state: TrainState) -> None:
        """Put the state back into the cells."""
        pairs = (
            (self.params, state.params),
            (self.fixed, state.fixed),
            (self.metrics, state.metrics),
        )
        for cells, arrays in pairs:
            for cell, array in zip(cells, arrays, strict=True):
                cell.assign(array)
        if self.optimizer is not None:
            self.optimizer.write_state(state.optimizer)
        self._logs, self._first_bad = state.logs, state.first_bad

    def reset_metrics(self) -> None:
        """Forget the batches that the metrics have seen."""
        self.model.reset_metrics()

    # -- pure functions --------------------------------------------------------------

    def _objective(
        self, params: Any, fixed: Any, metrics: Any, batch: Any, training: bool, key: Any
    ) -> tuple[Any, tuple[Any, Any]]:
        model = self.model
        x, y, weight = batch
        cells = [*self.params, *self.fixed, *self.metrics]
        with lend(cells, [*params, *fixed, *metrics]) as loan, call_context(training):
            prediction = model(x, training=training)
            loss = model.compute_loss(
                x=x, y=y, y_pred=prediction, sample_weight=weight, training=training
            )
            model.objectives.loss_tracker.update_state(loss, sample_weight=_rows(x))
            model.compute_metrics(x, y, prediction, sample_weight=weight)
            return loss, (loan.values(self.fixed), loan.values(self.metrics))

    def _update(self, grads: Any, state: OptimizerState, params: Any) -> Any:
        """The optimizer knows the variables it was built on; some may be frozen since."""
        assert self.optimizer is not None
        known = self.optimizer.trainable_variables
        place = {id(variable): i for i, variable in enumerate(self.params)}
        positions = [place.get(id(variable)) for variable in known]
        full_grads = [None if i is None else grads[i] for i in positions]
        full = [v.value if i is None else params[i] for i, v in zip(positions, known, strict=True)]
        new, state = self.optimizer.update_built(full_grads, state, full)
        moved = {i: value for i, value in zip(positions, new, strict=True) if i is not None}
        return [moved.get(i, p) for i, p in enumerate(params)], state

    def _scale(self, loss: Any, state: OptimizerState) -> Any:
        factor = state.hyper.get("loss_scale_factor")
        return loss if factor is None else loss * factor

    def _report_metrics(self, state: TrainState) -> dict[str, Any]:
        if isinstance(state.logs, dict) and state.logs:
            return dict(state.logs)
        with lend(self.metrics, state.metrics):
            return {k: jnp.asarray(v) for k, v in self.model.get_metrics_result().items()}

    def _report_training(self, state: TrainState) -> dict[str, Any]:
        logs = self._report_metrics(state)
        if self.optimizer is not None:
            last = jnp.maximum(state.optimizer.iterations - 1, 0)
            logs["learning_rate"] = self.optimizer.rate_at(
                state.optimizer._replace(iterations=last)
            )
        logs["first_bad"] = state.first_bad
        return logs

    # -- steps that the user wrote ---------------------------------------------------

    def _custom_step(self) -> Step:
        """`model.train_step(state, data)` in Keras's JAX style, as a step of the engine."""
        assert self.optimizer is not None
        optimizer, model = self.optimizer, self.model
        cells = optimizer.state
        listed = optimizer.variables

        def step(state: TrainState, batch: Any) -> TrainState:
            flat = {
                id(cell): array
                for cell, array in zip(
                    jax.tree.leaves(cells), jax.tree.leaves(state.optimizer), strict=True
                )
            }
            hyper = list(cells.hyper.values())
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
                logs={k: jnp.asarray(v, jnp.float32) for k, v in logs.items()},
                optimizer=jax.tree.map(lambda cell: flat[id(cell)], cells)._replace(
                    hyper=state.optimizer.hyper
                ),
            )
            before = state._replace(logs=moved.logs)
            return keep_if_bad(before, moved, jnp.isfinite(logs.get("loss", 0.0)))

        return step

    def _custom_test_step(self) -> Step:
        model = self.model

        def step(state: TrainState, batch: Any) -> TrainState:
            logs, (_, _, metrics) = model.test_step(
                (state.params, state.fixed, state.metrics), _pack(batch)
            )
            return state._replace(
                metrics=list(metrics),
                logs={k: jnp.asarray(v, jnp.float32) for k, v in logs.items()},
            )

        return step

    def prime(self, example: Any) -> None:
        """Give the logs of a user's own step their keys, so that the step can loop."""
        if self._custom:
            batch = jax.tree.map(jnp.asarray, tuple(example))
            shapes = jax.eval_shape(self.train_program.step, self.read_state(), batch).logs
            self._no_logs = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)

    # -- flags -----------------------------------------------------------------------

    def inspect(self, logs: dict[str, Any], passage: Passage) -> dict[str, Any]:
        """Look whether a step's loss was not finite; the weights are those before it.

        Raises:
            NonFiniteError: the batch itself holds NaN or infinity.
        """
        first_bad = logs.pop("first_bad", NEVER)
        if first_bad == NEVER:
            return logs
        done = int(self.optimizer.cells_now().iterations) if self.optimizer else 0
        for step in range(passage.step):
            found = _not_finite(passage, step)
            if found:
                raise NonFiniteError(
                    f"{found}. The loss of iteration {first_bad} was not finite; training "
                    "stopped before that step and the weights are as they were. Clean the data, "
                    "for example with numpy.nan_to_num, or drop the row."
                )
        warnings.warn(
            f"The loss of iteration {first_bad} was not finite though its data is: the training "
            f"diverged. It stopped there with the weights of {done} finite steps. Lower the "
            f"learning rate (it was {logs.get('learning_rate', float('nan')):.4g}) or clip the "
            "gradients (clipnorm=1.0).",
            RuntimeWarning,
            stacklevel=2,
        )
        self.model.stop_training = True
        logs["loss"] = float("nan")
        return logs


def _not_finite(passage: Passage, step: int) -> str:
    """Which row of a step's batch is not finite; "" if none."""
    rows = passage.rows(step)
    for what, tree in zip(("x", "y", "sample_weight"), passage.chunk.data, strict=True):
        for leaf in jax.tree.leaves(tree):
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                continue
            values = np.asarray(leaf[rows]).reshape(len(rows), -1)
            bad = ~np.isfinite(values).all(axis=1)
            if bad.any():
                kind = "NaN" if np.isnan(values[bad]).any() else "infinity"
                return f"{what} holds {kind} at row {int(rows[bad.argmax()])}, in batch {step}"
    return ""


def _rows(x: Any) -> int:
    return jax.tree.leaves(x)[0].shape[0]


def _pack(batch: Any) -> Any:
    """A batch as Keras hands it to `train_step`: (x, y, weight), without what is missing."""
    x, y, weight = batch
    if weight is not None:
        return (x, y, weight)
    return (x, y) if y is not None else (x,)


def _overridden(model: Any, method: str) -> bool:
    from talweg.models.model import Model

    return getattr(type(model), method) is not getattr(Model, method)
