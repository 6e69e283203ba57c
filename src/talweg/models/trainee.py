"""A Keras-shaped model as the engine sees it: cells, pure functions, flags."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.errors import NonFiniteError
from talweg.core.variables import Variable, lend
from talweg.layers import context
from talweg.layers.context import call_context
from talweg.metrics import Metric
from talweg.models import data_checks
from talweg.models.custom_steps import custom_step, custom_test_step
from talweg.models.diagnosis import ask_layers, bad_row
from talweg.models.steps import metric_variables, overrides, training_flag
from talweg.optimizers import Optimizer, OptimizerState
from talweg.training import NEVER, Program, Task, TrainState, make_step
from talweg.training.block import Passage
from talweg.training.probe import Look, make_probe
from talweg.training.step import make_test_step


class _Cell:
    """An object with one attribute, to count references like a variable's."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = object()


# What getrefcount says of an object that one attribute holds and nobody else.
_cell = _Cell()
_ALONE = sys.getrefcount(_cell.value)


# Up to so many bytes of weights, a copy of the state costs nothing that counts. Above, it would
# be made at every step (benchmarks/README.md).
_SMALL = 1 << 18


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
        metrics: list[Metric] = model.metrics
        model.objectives.keep(metrics)
        self.metrics: list[Variable] = [v for m in metrics for v in m.variables]
        # Those of models inside may be updated in a call; what they gather is nobody's.
        counted = set(map(id, self.metrics))
        self._idle = [v for v in metric_variables(model) if id(v) not in counted]
        self._own_start = [m for m in metrics if type(m).reset_state is not Metric.reset_state]
        self._from_zero = [v for m in metrics if m not in self._own_start for v in m.variables]
        self._logs: Any = ()
        self._first_bad: Any = jax.device_put(np.int32(NEVER))
        # A step that the user wrote may train a part of the variables only, with an optimizer
        # that he built on these.
        own_step = overrides(model, "train_step")
        if optimizer is not None and not (own_step and optimizer.built):
            optimizer.build(self.params)
        small = sum(v.value.nbytes for v in self.params) <= _SMALL
        # The cells whose arrays a block takes for its own.
        self._given_up = list(self.metrics)
        if not small:
            self._given_up += [*self.params, *self.fixed]
            if optimizer is not None:
                self._given_up += jax.tree.leaves(optimizer.state._replace(hyper={}))
        self._observes = not overrides(model, "compute_metrics")
        self._task = task = Task(self._objective, self._update, self._scale)
        # A user's own metrics may report what no metric object holds: their logs are kept.
        trains = own_step or not self._observes
        tests = overrides(model, "test_step") or not self._observes
        overflows = optimizer is not None and optimizer.handles_overflow
        step = make_step(task, "loss" if small else "weights" if overflows else "gradients")
        self.train_program = Program(
            custom_step(model, optimizer) if trains else step, self._report_training, keep=small
        )
        self.test_program = Program(
            custom_test_step(model) if tests else make_test_step(task),
            self._report_metrics,
            moving=("fixed", "metrics", "logs"),
        )
        self._custom = {"train": trains, "test": tests}
        # The last compiled look inside a step, and what it was made of.
        self._look: tuple[Any, Any] = ((), None)
        self._log_shapes: dict[str, Any] = {"train": (), "test": ()}

    @property
    def stop_training(self) -> bool:
        return self.model.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.model.stop_training = value

    # -- cells -----------------------------------------------------------------------

    def begin(self) -> None:
        """Before training: no step was bad yet."""
        self.recover()
        self._logs = _zeros(self._log_shapes["train"])

    @contextlib.contextmanager
    def testing(self) -> Generator[None]:
        """While the test program runs: metrics move, from zero on, and what the model updates."""
        kept = self._logs, self._given_up
        self._logs = _zeros(self._log_shapes["test"])
        self._given_up = [*self.metrics, *self.fixed]
        self.reset_metrics()
        try:
            yield
        finally:
            self._logs, self._given_up = kept

    def read_state(self) -> TrainState:
        """The cells' arrays, with the hyperparameters of this moment.

        A block reuses the buffers it is given. An array that somebody else holds as well
        must not be among them, so such a cell gets a copy.
        """
        for cell in self._given_up:
            if sys.getrefcount(cell._value) > _ALONE:
                cell.assign(np.array(cell._value))  # by way of the host: nothing to compile
        return self._state()

    def _state(self) -> TrainState:
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

    @contextlib.contextmanager
    def training(self) -> Generator[None]:
        """While steps are taken: the variables hold the weights to train, else those to use."""
        assert self.optimizer is not None
        self.optimizer.move_to_training()
        try:
            yield
        finally:
            self.optimizer.move_to_evaluation()

    @property
    def iterations(self) -> int:
        """How many steps the optimizer has taken."""
        if self.optimizer is None:
            return 0
        return int(np.asarray(self.optimizer._iterations.value))  # 7 µs; JAX's own `int`, 28

    def hyperparameters(self) -> dict[str, Any]:
        """The arrays of the hyperparameters of this moment, in a tree by name."""
        return {} if self.optimizer is None else self.optimizer.hyper_state()

    def probe(self, looks: Sequence[Look]) -> Callable[[Any, Any], tuple[Any, Any]] | None:
        """A look inside a step, `(data, rows) -> (loss, [what each of `looks` says])`.

        None where there is nothing to look at, or nothing is known of the step: the user
        wrote it. Compiled once, and kept for the next `fit` with the same callbacks.
        """
        if not looks or self.optimizer is None or overrides(self.model, "train_step"):
            return None
        if self._look[0] != tuple(looks):
            made = make_probe(self._task, lambda *of: [look(*of) for look in looks])
            self._look = (tuple(looks), made)
        program = self._look[1]
        return lambda data, rows: program(self._state(), data, rows)

    def epoch_done(self, epoch: int, logs: dict[str, Any]) -> None:
        """Tell the optimizer how an epoch went."""
        if self.optimizer is not None:
            self.optimizer.epoch_done(epoch, logs)

    def reset_metrics(self) -> None:
        """Forget the batches that the metrics have seen."""
        zeros = jax.device_put([np.zeros(v.shape, v.dtype) for v in self._from_zero])
        for cell, zero in zip(self._from_zero, zeros, strict=True):
            cell.assign(zero)
        for metric in self._own_start:
            metric.reset_state()

    # -- pure functions --------------------------------------------------------------

    def forward(
        self, params: Any, fixed: Any, metrics: Any, batch: Any, training: bool
    ) -> tuple[Any, dict[str, Any], Any, Any]:
        """Loss, logs, and what the pass leaves in the model's own state and the metrics."""
        model = self.model
        x, y, weight = batch
        flag = training_flag(model, training)
        cells = [*self.params, *self.fixed, *self.metrics, *self._idle]
        values = [*params, *fixed, *metrics, *(v.value for v in self._idle)]
        with lend(cells, values) as loan, call_context(training):
            prediction = model(x, training=training)
            loss = model.compute_loss(x=x, y=y, y_pred=prediction, sample_weight=weight, **flag)
            model.objectives.count_loss(loss, _rows(x))
            if training:  # Keras on JAX: masks count in the loss; in metrics when evaluating only
                context.drop_masks(prediction)
            logs: dict[str, Any] = {}
            if self._observes:
                model.objectives.observe(y, prediction, weight)
            else:
                logs = model.compute_metrics(x, y, prediction, sample_weight=weight)
            return loss, logs, loan.values(self.fixed), loan.values(self.metrics)

    def _objective(
        self, params: Any, fixed: Any, metrics: Any, batch: Any, training: bool, key: Any
    ) -> tuple[Any, tuple[Any, Any]]:
        loss, _, fixed, metrics = self.forward(params, fixed, metrics, batch, training)
        return loss, (fixed, metrics)

    def _update(self, grads: Any, state: OptimizerState, params: Any, objective: Any) -> Any:
        """The optimizer knows the variables it was built on; some may be frozen since."""
        assert self.optimizer is not None
        known = self.optimizer.trainable_variables
        place = {id(variable): i for i, variable in enumerate(self.params)}
        positions = [place.get(id(variable)) for variable in known]

        def among_known(full: Any) -> tuple[Any, Any]:
            own = {i: value for i, value in zip(positions, full, strict=True) if i is not None}
            loss, grads = objective([own.get(i, p) for i, p in enumerate(params)])
            return loss, [None if i is None else grads[i] for i in positions]

        full_grads = [None if i is None else grads[i] for i in positions]
        full = [v.value if i is None else params[i] for i, v in zip(positions, known, strict=True)]
        new, state = self.optimizer.update_built(full_grads, state, full, among_known)
        moved = {i: value for i, value in zip(positions, new, strict=True) if i is not None}
        return [moved.get(i, p) for i, p in enumerate(params)], state

    def _scale(self, loss: Any, state: OptimizerState) -> Any:
        assert self.optimizer is not None
        return self.optimizer.scaled_loss(loss, state)

    def _report_metrics(self, state: TrainState) -> dict[str, Any]:
        if isinstance(state.logs, dict) and state.logs:
            return dict(state.logs)
        with lend(self.metrics, state.metrics):
            return {k: jnp.asarray(v) for k, v in self.model.get_metrics_result().items()}

    def _report_training(self, state: TrainState) -> dict[str, Any]:
        logs = self._report_metrics(state)
        if self.optimizer is not None:
            logs |= self.optimizer.applied_rates(state.optimizer)
        logs["first_bad"] = state.first_bad
        return logs

    # -- steps that the user wrote ---------------------------------------------------

    def prime(self, example: Any, phase: str) -> None:
        """Give the logs of a user's own step their keys, so that the step can loop."""
        if not self._custom[phase] or self._log_shapes[phase]:
            return
        program = self.train_program if phase == "train" else self.test_program
        batch = jax.tree.map(jnp.asarray, tuple(example))
        state = self.read_state()._replace(logs=())
        self._log_shapes[phase] = jax.eval_shape(program.step, state, batch).logs

    # -- flags -----------------------------------------------------------------------

    def inspect(self, logs: dict[str, Any], passage: Passage) -> tuple[dict[str, Any], str | None]:
        """Look whether a step was not finite; the weights are those before it.

        Raises:
            NonFiniteError: the batch itself holds NaN or infinity.
            ValueError: a layer refuses the batch: an index that an Embedding lacks.
        """
        if "first_bad" not in logs:  # an evaluation: no weights to guard
            if np.isnan(logs.get("loss", 0.0)) and data_checks.layers_that_check(self.model):
                for step in range(passage.step):
                    ask_layers(self.model, passage, step)
            return logs, None
        first_bad = logs.pop("first_bad")
        if first_bad == NEVER:
            return logs, None
        found = bad_row(passage)
        if found:
            raise NonFiniteError(
                f"{found}. Iteration {first_bad} was not finite; training stopped before it and "
                "the weights are as they were. Clean the data, for example with "
                "numpy.nan_to_num, or drop the row."
            )
        what = self._diagnosis(passage, first_bad - passage.first)
        logs["loss"] = float("nan")
        rate = logs.get("learning_rate", float("nan"))
        return logs, (
            f"{what} of iteration {first_bad} was not finite though its data is: the training "
            f"diverged at a learning rate of {rate:.4g}"
        )

    @property
    def diverged(self) -> bool:
        """Whether the state stands still since a step that was not finite."""
        return int(self._first_bad) != NEVER

    def recover(self) -> None:
        """Go on: whatever made a step not finite was mended."""
        self._first_bad = jax.device_put(np.int32(NEVER))

    def give_up(self, message: str) -> None:
        """Warn and stop."""
        warnings.warn(
            f"{message}. It stopped there, with the weights of the last finite step. Lower the "
            "rate, clip the gradients (clipnorm=1.0), or let callbacks.RollBackOnDivergence() "
            "lower it for you.",
            RuntimeWarning,
            stacklevel=2,
        )
        self.model.stop_training = True

    def _diagnosis(self, passage: Passage, step: int) -> str:
        """Run a step's forward pass by itself: was it the loss or the gradient?"""
        ask_layers(self.model, passage, step)
        state, batch = self.read_state(), passage.batch(step)
        loss = self._objective(state.params, state.fixed, state.metrics, batch, True, None)[0]
        return "The gradient" if bool(jnp.isfinite(loss)) else "The loss"


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)


def _rows(x: Any) -> int:
    return jax.tree.leaves(x)[0].shape[0]
