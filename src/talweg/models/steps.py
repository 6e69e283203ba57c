"""What a subclass of Model may override: its steps, its loss, its metrics."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from talweg.core.variables import Variable, lend
from talweg.data.batches import Sample
from talweg.layers import Layer
from talweg.layers.context import call_context
from talweg.metrics import Metric
from talweg.models.objectives import Objectives


class Steps(Layer):
    """The part of `Model` that says what one step computes.

    `compute_loss` and `compute_metrics` may touch any variable of the model. `train_step`,
    `test_step` and `predict_step` are pure functions of a state in Keras's JAX style: lists
    of arrays in the order of the variables.
    """

    carries_layers = True
    optimizer: Any
    objectives: Objectives | None

    def _ready(self) -> Any:
        """The trainee that the model is prepared as."""
        raise NotImplementedError

    # -- metrics ---------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """All metrics: the loss's mean, those of `compile`, those held as attributes.

        Those of models inside count when these are trained themselves: a "loss" of theirs would
        stand for the loss here.
        """
        compiled = self.objectives.metrics() if self.objectives is not None else []
        layers = [x for x in self._flatten_layers() if x is self or not isinstance(x, Steps)]
        own = [metric for layer in layers for metric in layer._own(Metric)]
        return list({id(metric): metric for metric in [*compiled, *own]}.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order: loss first."""
        return [] if self.objectives is None else self.objectives.names()

    def reset_metrics(self) -> None:
        """Forget the batches that the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' results by name."""
        assert self.objectives is not None
        logs = self.objectives.report()
        compiled = {id(metric) for metric in self.objectives.metrics()}
        for metric in self.metrics:
            if id(metric) not in compiled:
                result = metric.result()
                logs.update(result if isinstance(result, Mapping) else {metric.name: result})
        return logs

    # -- loss and metrics of a batch ---------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of a batch, penalties included: a scalar."""
        assert self.objectives is not None
        loss = self.objectives.total(y, y_pred, sample_weight)
        return sum(self.losses, loss)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Add a batch to the metrics; returns their results so far."""
        assert self.objectives is not None
        self.objectives.observe(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Any, tuple[list[Any], list[Any], list[Any]]]:
        """`compute_loss` as a pure function of the variables' values.

        Args:
            trainable_variables: arrays for `self.trainable_variables`.
            non_trainable_variables: arrays for `self.non_trainable_variables`.
            metrics_variables: arrays for `self.metrics_variables`.
            x, y, y_pred, sample_weight, training: of `compute_loss`.

        Returns:
            The loss, and the values of the three lists after it.
        """
        cells = self.trainable_variables, self.non_trainable_variables, self.metrics_variables
        arrays = [*trainable_variables, *non_trainable_variables, *metrics_variables]
        with lend([v for group in cells for v in group], arrays) as loan:
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)
            trainable, fixed, metrics = (loan.values(group) for group in cells)
            return loss, (trainable, fixed, metrics)

    # -- steps -----------------------------------------------------------------------

    def train_step(self, state: Any, data: Any) -> Any:
        """One step in Keras's JAX style; override it to write your own.

        Args:
            state: `(trainable, non_trainable, optimizer, metrics)`, lists of arrays in the
                order of `trainable_variables`, `non_trainable_variables`,
                `optimizer.variables`, `metrics_variables`.
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            The logs of the step and the new state.
        """
        trainable, fixed, optimizer, metrics = state
        trainee = self._ready()

        def objective(params: Any) -> Any:
            loss, *rest = trainee.forward(params, fixed, metrics, _unpacked(data), True)
            return self.optimizer.scale_loss(loss), rest

        grads, (logs, fixed, metrics) = jax.grad(objective, has_aux=True)(trainable)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        logs = logs or self._results_from(metrics)
        return logs, (trainable, fixed, optimizer, metrics)

    def test_step(self, state: Any, data: Any) -> Any:
        """One step of evaluation in Keras's JAX style.

        Args:
            state: `(trainable, non_trainable, metrics)`, lists of arrays.
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            The logs and the state.
        """
        trainable, fixed, metrics = state
        _, logs, fixed, metrics = self._ready().forward(
            trainable, fixed, metrics, _unpacked(data), False
        )
        return logs or self._results_from(metrics), (trainable, fixed, metrics)

    def predict_step(self, state: Any, data: Any) -> Any:
        """One step of prediction in Keras's JAX style.

        Args:
            state: `(trainable, non_trainable)`, lists of arrays.
            data: `(x,)`.

        Returns:
            The outputs and the new non-trainable values.
        """
        trainable, fixed = state
        with call_context(False):
            return self.stateless_call(trainable, fixed, _unpacked(data).x, training=False)

    def _results_from(self, metrics: Any) -> dict[str, Any]:
        with lend(self._ready().metrics, metrics):
            return self.get_metrics_result()


def metric_variables(model: Steps) -> list[Variable]:
    """The variables of all metrics that a call may update, whether or not they are reported."""
    held = [metric for layer in model._flatten_layers() for metric in layer._own(Metric)]
    found = [v for metric in [*model.metrics, *held] for v in metric.variables]
    return list({id(variable): variable for variable in found}.values())


def overrides(model: Any, method: str) -> bool:
    """Whether the class of a model defines one of the methods above itself."""
    return getattr(type(model), method) is not getattr(Steps, method)


def training_flag(model: Any, training: bool) -> dict[str, bool]:
    """The flag for `compute_loss`, where it takes one."""
    parameters = inspect.signature(model.compute_loss).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {"training": training} if "training" in parameters or anything else {}


def _unpacked(data: Any) -> Sample:
    """(x, y, sample_weight) of what `train_step` was given."""
    if not isinstance(data, (tuple, list)):
        return Sample(data)
    return Sample(*data)
