"""Model: a layer with compile, fit, evaluate and predict."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg import optimizers
from talweg.callbacks import CallbackList, History
from talweg.core import errors
from talweg.core.random import draw_seed
from talweg.core.serialization import serialize_keras_object
from talweg.core.variables import lend
from talweg.data import ArrayBatches, Batches, open_batches
from talweg.data.batches import Sample
from talweg.layers import Layer
from talweg.layers.base import parts_of
from talweg.layers.context import call_context
from talweg.metrics import Metric
from talweg.models import data_checks
from talweg.models.objectives import Objectives
from talweg.models.predict import predict_batches
from talweg.models.summary import print_summary
from talweg.models.trainee import ModelTrainee
from talweg.ops.keras_tensor import KerasTensor
from talweg.training.interrupt import Interrupt, deferred_interrupt
from talweg.training.loop import run, train
from talweg.training.pace import Pace


class Model(Layer):
    """A network that can be trained.

    Subclass it and define `call`, with the layers as attributes:

    >>> from talweg import layers
    >>> class Two(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = layers.Dense(4, activation="relu")
    ...         self.head = layers.Dense(1)
    ...     def call(self, x):
    ...         return self.head(self.hidden(x))
    >>> model = Two()
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((8, 3), "float32")
    >>> history = model.fit(x, x[:, :1], epochs=2, verbose=0)
    >>> sorted(history.history)
    ['learning_rate', 'loss']
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if args or "inputs" in kwargs:
            raise NotImplementedError(
                f"{type(self).__name__}(inputs, outputs): functional models are not in this "
                "version of talweg. Use Sequential, or subclass Model and define call()."
            )
        super().__init__(**kwargs)
        self.optimizer: Any = None
        self.objectives: Objectives | None = None
        self.stop_training = False
        self.history: History | None = None
        self._trainee: ModelTrainee | None = None
        self.compile_arguments: dict[str, Any] = {}
        self._columns: list[str] | None = None
        self._predictor: Callable[..., Any] | None = None

    @property
    def layers(self) -> list[Layer]:
        """The layers that the model holds directly."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by position."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise errors.unknown("layer", name, [layer.name for layer in self.layers])

    # -- compile ---------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: an optimizer or its name.
            loss: a loss, its name, a function; per output as a list or dict.
            loss_weights: what each output's loss is multiplied by.
            metrics: metrics, names, functions; per output as lists or a dict. "accuracy"
                picks its kind from the shapes.
            weighted_metrics: the same, weighted by sample and class weights.
            run_eagerly: run step by step without compiling, to debug.
            steps_per_execution: steps in one compiled call; "auto" chooses by measuring, 1
                steps one by one.
            jit_compile, auto_scale_loss: accepted as Keras does; steps are compiled.

        Raises:
            ValueError: an unknown name, a value that makes no sense.
        """
        if steps_per_execution != "auto" and (
            not isinstance(steps_per_execution, int) or steps_per_execution < 1
        ):
            raise errors.invalid(
                "compile", "steps_per_execution", "a positive integer or 'auto'",
                steps_per_execution,
            )  # fmt: skip
        self.optimizer = optimizers.get(optimizer)
        self.objectives = Objectives(loss, loss_weights, metrics, weighted_metrics)
        self.run_eagerly = run_eagerly
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self._trainee = None
        self.compile_arguments = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": 1 if steps_per_execution == "auto" else steps_per_execution,
            "jit_compile": jit_compile,
        }

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.objectives is not None

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given, as records."""
        return serialize_keras_object(self.compile_arguments)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as `get_compile_config` recorded."""
        self.compile(**config)

    @property
    def loss(self) -> Any:
        """The loss as `compile` was given it."""
        return self.compile_arguments.get("loss")

    @property
    def metrics(self) -> list[Metric]:
        """All metrics: the loss's mean, those of `compile`, those held as attributes."""
        compiled = self.objectives.metrics() if self.objectives is not None else []
        own = [m for layer in self._flatten_layers() for m in layer._own(Metric)]
        return list({id(metric): metric for metric in [*compiled, *own]}.values())

    @property
    def metrics_names(self) -> list[str]:
        """The keys of the logs: loss first."""
        if self.objectives is None:
            return []
        return ["loss", *(entry.key for entry in self.objectives.entries)]

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def reset_metrics(self) -> None:
        """Forget the batches that the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    # -- what a subclass may override --------------------------------------------------

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

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' results by name."""
        assert self.objectives is not None
        if self.objectives.built:
            logs = self.objectives.report()
        else:
            logs = {"loss": self.objectives.loss_tracker.result()}
        compiled = {id(metric) for metric in self.objectives.metrics()}
        for metric in self.metrics:
            if id(metric) not in compiled:
                result = metric.result()
                logs.update(result if isinstance(result, Mapping) else {metric.name: result})
        return logs

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
        batch = (*data, None, None)[:3]

        def objective(params: Any) -> Any:
            return trainee._objective(params, fixed, metrics, batch, True, None)

        (_, (fixed, metrics)), grads = jax.value_and_grad(objective, has_aux=True)(trainable)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        with lend(trainee.metrics, metrics):
            logs = self.get_metrics_result()
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
        trainee = self._ready()
        _, (_, metrics) = trainee._objective(
            trainable, fixed, metrics, (*data, None, None)[:3], False, None
        )
        with lend(trainee.metrics, metrics):
            logs = self.get_metrics_result()
        return logs, (trainable, fixed, metrics)

    def _ready(self) -> ModelTrainee:
        if self._trainee is None:
            raise RuntimeError("The model has not been prepared yet: call fit() or evaluate().")
        return self._trainee

    # -- fit ---------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: arrays, tables, dicts or tuples of them, or a stream of batches.
            y: targets; part of the batches where x is a stream.
            batch_size: rows per step; 32.
            epochs: the number of the last epoch.
            verbose: 0 silent, 1 a bar, 2 a line per epoch, "auto" is 1.
            callbacks: a callback or a list of them.
            validation_split: the last part of the arrays, before shuffling, to validate on.
            validation_data: (x, y), (x, y, weight) or a stream; wins over the split.
            shuffle: True, False, or "batch" to shuffle whole batches.
            class_weight: `{class: weight}`; a class not named weighs 1.
            sample_weight: a weight per row, for the loss and the weighted metrics.
            initial_epoch: where the count of epochs starts.
            steps_per_epoch: steps per epoch; the data then goes on across epochs.
            validation_steps: how many batches of a stream to validate on.
            validation_batch_size: as `batch_size` by default.
            validation_freq: validate every so many epochs, or after the epochs listed.

        Returns:
            The `History`: `history.history[name]` is a list with a number per epoch.

        Raises:
            ValueError: data that cannot be meant: shapes, labels, types.
            NonFiniteError: a batch holds NaN; the weights are those before it.
        """
        self._require_compiled("fit")
        _check_epochs(epochs, initial_epoch)
        if validation_data is None and validation_split:
            (x, y, sample_weight), validation_data = data_checks.split(
                x, y, sample_weight, validation_split
            )
        x = self._named_columns(x, remember=True)
        batches = open_batches(
            x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, shuffle=shuffle,
            seed=draw_seed(), class_weight=class_weight, classes=self._classes(class_weight, x),
        )  # fmt: skip
        trainee = self._prepare(batches)
        validation = self._open_validation(
            validation_data, validation_batch_size or batch_size, validation_steps
        )
        if not isinstance(callbacks, CallbackList):
            verbose = 1 if verbose == "auto" else verbose
            callbacks = CallbackList(
                callbacks, add_history=True, add_progbar=bool(verbose), model=self,
                verbose=verbose, epochs=epochs, steps=batches.steps,
            )  # fmt: skip

        with deferred_interrupt() as interrupt, jax.disable_jit(self.run_eagerly):
            validate = self._validator(validation, validation_freq, callbacks, interrupt)
            trainee.begin()
            train(
                trainee, trainee.train_program, batches, callbacks,
                range(initial_epoch, epochs), self._pace(), validate, interrupt,
            )  # fmt: skip
        self.optimizer.finalize_variable_values(trainee.optimizer.trainable_variables)
        assert self.history is not None
        return self.history

    def _validator(
        self, batches: Batches | None, freq: Any, callbacks: Any, interrupt: Interrupt
    ) -> Callable[[int], dict[str, Any]]:
        due = {int(epoch) for epoch in freq} if isinstance(freq, Iterable) else None
        if due is None and (not isinstance(freq, int) or freq < 1):
            raise errors.invalid("fit", "validation_freq", "a positive integer or a list", freq)
        pace = self._pace()

        def validate(epoch: int) -> dict[str, Any]:
            now = epoch + 1
            if batches is None or not (now in due if due is not None else now % freq == 0):
                return {}
            logs = self._run_test(batches, callbacks, pace, interrupt)
            return {f"val_{name}": value for name, value in logs.items()}

        return validate

    def _run_test(
        self, batches: Batches, callbacks: Any, pace: Pace, interrupt: Interrupt
    ) -> dict[str, Any]:
        trainee = self._ready()
        self.reset_metrics()
        callbacks.on_test_begin()
        logs: dict[str, Any] = {}
        chunks = batches.epoch(0)
        program = trainee.test_program
        for logs in run(trainee, program, chunks, pace, callbacks, "test", interrupt):
            pass
        callbacks.on_test_end(logs)
        return logs

    def _pace(self) -> Pace:
        if self.run_eagerly:
            return Pace(limit=1)
        return Pace() if self.steps_per_execution == "auto" else Pace(limit=self.steps_per_execution)

    # -- evaluate and predict ------------------------------------------------------------

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **_: Any,
    ) -> Any:
        """Loss and metrics on data, in inference mode.

        Args:
            x, y, sample_weight: the data, as in `fit`.
            batch_size: rows per step; 32.
            verbose: 0 silent, else a line at the end.
            steps: how many batches of a stream.
            callbacks: their `on_test_*` hooks are called.
            return_dict: whether the result is a dict.

        Returns:
            The loss, or [loss, metric, …] in the order of `compile`, or a dict.
        """
        self._require_compiled("evaluate")
        x = self._named_columns(x)
        batches = open_batches(x, y, sample_weight, batch_size=batch_size, steps=steps)
        trainee = self._prepare(batches, training=False)
        if not isinstance(callbacks, CallbackList):
            verbose = 1 if verbose == "auto" else verbose
            callbacks = CallbackList(
                callbacks, add_progbar=bool(verbose), model=self,
                verbose=verbose, epochs=1, steps=batches.steps,
            )  # fmt: skip
        with deferred_interrupt() as interrupt, jax.disable_jit(self.run_eagerly):
            trainee.begin()
            logs = self._run_test(batches, callbacks, self._pace(), interrupt)
        return self._results(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for `x`, as NumPy arrays in the order of the rows.

        Args:
            x: arrays, tables, or a stream of batches.
            batch_size: rows per call; 32.
            verbose: accepted as Keras does.
            steps: how many batches of a stream.
            callbacks: their `on_predict_*` hooks are called.
        """
        x = self._named_columns(x)
        batches = open_batches(x, batch_size=batch_size, steps=steps)
        self.build_on(batches.example().x)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, model=self, verbose=0, epochs=1, steps=batches.steps)
        return predict_batches(self._predict_function(), batches, callbacks)

    def _predict_function(self) -> Callable[[Any], Any]:
        variables = self.variables
        if self._predictor is None:

            def apply(arrays: Any, x: Any) -> Any:
                with lend(variables, arrays), call_context(False):
                    return self(x, training=False)

            self._predictor = jax.jit(apply)
        predictor = self._predictor
        arrays = [variable.value for variable in variables]
        return lambda x: predictor(arrays, x)

    # -- single batches ------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One update on one batch; returns its loss, or [loss, metric, …], or a dict."""
        self._require_compiled("train_on_batch")
        batches = _one_batch(x, y, sample_weight, class_weight)
        return self._on_batch(batches, "train", return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics on one batch."""
        self._require_compiled("test_on_batch")
        return self._on_batch(_one_batch(x, y, sample_weight, None), "test", return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        batches = _one_batch(x, None, None, None)
        self.build_on(batches.example().x)
        return predict_batches(self._predict_function(), batches, CallbackList())

    def _on_batch(self, batches: ArrayBatches, phase: str, return_dict: bool) -> Any:
        trainee = self._prepare(batches, training=phase == "train")
        program = trainee.train_program if phase == "train" else trainee.test_program
        trainee.begin()
        self.reset_metrics()
        pace = Pace(limit=1)
        blocks = run(
            trainee, program, batches.epoch(0), pace, CallbackList(), phase, Interrupt()
        )
        logs = dict(list(blocks)[-1])
        logs.pop("learning_rate", None)
        return self._results(logs, return_dict)

    def _results(self, logs: dict[str, Any], return_dict: bool) -> Any:
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    # -- preparation ---------------------------------------------------------------------

    def _require_compiled(self, method: str) -> None:
        if self.objectives is None:
            raise ValueError(
                f"The model must be compiled before {method}(): call "
                "model.compile(optimizer=…, loss=…)."
            )

    def build_on(self, x: Any) -> Any:
        """Make all variables for inputs like `x`; returns the specs of the outputs."""
        specs = jax.tree.map(lambda a: KerasTensor(a.shape, a.dtype), x)
        with call_context(False):
            return self(specs, training=False)

    def prepare(self, example: Sample) -> Any:
        """Build for batches like `example` and resolve losses and metrics; the outputs' specs."""
        assert self.objectives is not None
        data_checks.check_structure(self, example)
        outputs = self.build_on(example.x)
        if not self.objectives.built:
            self.objectives.build(example.y, outputs, self._output_names(outputs))
        data_checks.check_objectives(self, example, outputs)
        return outputs

    def _prepare(self, batches: Batches, training: bool = True) -> ModelTrainee:
        """Build the model, resolve the losses, check the data, make the programs."""
        assert self.objectives is not None
        example = batches.example()
        outputs = self.prepare(example)
        batches.check(lambda sample: data_checks.check_values(self, sample, outputs))
        known = self._trainee
        ids = [id(variable) for variable in self.trainable_variables]
        stale = known is None or ids != [id(variable) for variable in known.params]
        if stale or (training and known is not None and known.optimizer is None):
            self._trainee = ModelTrainee(self, self.optimizer)
        trainee = self._ready()
        trainee.prime(example)
        return trainee

    def _output_names(self, outputs: Any) -> list[str]:
        if isinstance(outputs, Mapping):
            return sorted(outputs)
        leaves = jax.tree.leaves(outputs)
        names = getattr(self, "output_names", None)
        return list(names or (f"output_{i + 1}" for i in range(len(leaves))))

    def _open_validation(self, data: Any, batch_size: int | None, steps: int | None) -> Any:
        if data is None:
            return None
        if isinstance(data, (tuple, list)):
            parts = [*data, None, None][:3]
            if len(data) not in (2, 3):
                raise errors.invalid(
                    "fit", "validation_data", "(x, y) or (x, y, sample_weight)", f"{len(data)} parts"
                )
        else:
            parts = [data, None, None]
        x = self._named_columns(parts[0])
        batches = open_batches(x, *parts[1:], batch_size=batch_size, steps=steps)
        outputs = self.build_on(batches.example().x)
        data_checks.check_objectives(self, batches.example(), outputs)
        batches.check(lambda sample: data_checks.check_values(self, sample, outputs))
        return batches

    def _classes(self, class_weight: Any, x: Any) -> int | None:
        if class_weight is None:
            return None
        if self.objectives is not None and self.compile_arguments.get("loss") is not None:
            shape = getattr(self, "output_shape", None)
            return shape[-1] if shape else None
        return None

    def _named_columns(self, x: Any, remember: bool = False) -> Any:
        """Columns of a table by name: in the order that `fit` saw."""
        if not (hasattr(x, "columns") and hasattr(x, "loc")):
            return x
        names = list(x.columns)
        if remember or self._columns is None:
            self._columns = names
            return x
        missing = [name for name in self._columns if name not in names]
        if missing:
            raise ValueError(
                f"The table lacks column {missing[0]!r}, which fit() was given. "
                f"Columns of fit: {self._columns}."
            )
        return x[self._columns]

    # -- views ---------------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers, their output shapes and their numbers of parameters.

        Args:
            line_length: the width; that of the terminal by default.
            print_fn: where the text goes; `print` by default.
            expand_nested: whether layers inside layers are listed.
            show_trainable: whether a column says which layers learn.
            positions, layer_range: accepted as Keras does.
        """
        print_summary(self, line_length, print_fn, expand_nested, show_trainable)

    @property
    def input_shape(self) -> Any:
        """The shape of the input, the batch axis None."""
        if self._build_shape is None:
            raise AttributeError(f"{self.name} is not built yet, so its input shape is unknown.")
        return self._build_shape

    def export(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("export: not in this version of talweg.")


def _one_batch(x: Any, y: Any, weight: Any, class_weight: Any) -> ArrayBatches:
    batches = open_batches(x, y, weight, batch_size=2**31 - 1, class_weight=class_weight)
    if not isinstance(batches, ArrayBatches):
        raise errors.wrong_type("on_batch", "x", "one batch of arrays", x)
    return ArrayBatches(*batches.host, batch_size=batches.rows)


def _check_epochs(epochs: Any, initial_epoch: Any) -> None:
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise errors.invalid("fit", name, "an integer of at least 0", value)


__all__ = ["Model", "Sample", "jnp", "parts_of"]
