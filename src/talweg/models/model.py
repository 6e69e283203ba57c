"""Model: a layer with compile, fit, evaluate and predict.

Longer than other files: half of it documents the arguments of the methods that everybody
calls, and they share their preparation.
"""

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from talweg.callbacks import CallbackList, History, console
from talweg.core import errors
from talweg.core.random import draw_seed
from talweg.data import ArrayBatches, Batches, open_batches
from talweg.data.class_weights import ClassWeights
from talweg.data.host import to_host
from talweg.models import data_checks
from talweg.models.compiled import CompiledModel
from talweg.models.files import Filed
from talweg.models.graph import Graph
from talweg.models.predict import Predictor
from talweg.models.state_tree import StateTree
from talweg.models.summary import print_summary
from talweg.training.interrupt import Interrupt, deferred_interrupt
from talweg.training.loop import run, train
from talweg.training.pace import Pace


class Model(Filed, StateTree, CompiledModel):
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

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (len(args) == 2 or "outputs" in kwargs):
            from talweg.models.functional import Functional  # which derives from this class

            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        given = [*args, *(kwargs.pop(name) for name in ("inputs", "outputs") if name in kwargs)]
        if given and len(given) != 2:
            raise errors.invalid(
                type(self).__name__, "arguments", "inputs and outputs", f"{len(given)} of them"
            )
        super().__init__(**kwargs)
        self.stop_evaluating = False
        self.stop_predicting = False
        self.history: History | None = None
        self._columns: list[str] | None = None
        if given:  # a subclass that hands a graph on behaves as Functional beneath its own
            from talweg.models.functional import beneath

            self.__class__ = beneath(type(self))
            self._graph = Graph(*given)
            self.built = True

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
            validation_data: (x,), (x, y), (x, y, weight) or a stream; wins over the split.
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
        self._require_optimizer("fit")
        _check_counts(epochs, initial_epoch)
        if validation_data is None and validation_split:
            (x, y, sample_weight), validation_data = data_checks.split(
                x, y, sample_weight, validation_split
            )
        x = self._named_columns(x, remember=True)
        batches = open_batches(
            x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, shuffle=shuffle,
            seed=draw_seed(), read=self._to_host,
        )  # fmt: skip
        if class_weight is not None:
            example = batches.example()
            classes = data_checks.classes_of(self.prepare(example), example.y)
            batches.weigh(ClassWeights(class_weight, classes))
        trainee = self._prepare(batches)
        validation = self._open_validation(
            validation_data, validation_batch_size or batch_size, validation_steps
        )
        callbacks = self._callbacks(
            callbacks, verbose, batches, epochs=int(epochs), add_history=True
        )
        callbacks.batches = batches
        validate = self._validator(validation, validation_freq, callbacks)
        with self._running() as interrupt:
            trainee.begin()
            try:
                train(
                    trainee, trainee.train_program, batches, callbacks,
                    range(initial_epoch, epochs), self._pace(),
                    lambda epoch: validate(epoch, interrupt), interrupt,
                )  # fmt: skip
            finally:
                if epochs > 0:
                    self.optimizer.finalize_variable_values(self.optimizer.trainable_variables)
        assert self.history is not None
        return self.history

    def _to_host(self, x: Any, what: str) -> Any:
        """Arrays of x; models that begin with text make numbers of it here."""
        return to_host(x, what)

    def _callbacks(
        self, callbacks: Any, verbose: int | str, batches: Batches, epochs: int = 1,
        add_history: bool = False,
    ) -> CallbackList:  # fmt: skip
        if isinstance(callbacks, CallbackList):
            return callbacks
        if verbose != "auto" and verbose not in (0, 1, 2):
            raise errors.invalid("fit", "verbose", '0, 1, 2 or "auto"', verbose)
        verbose = 1 if verbose == "auto" else int(verbose)
        return CallbackList(
            callbacks, add_history=add_history, add_progbar=bool(verbose), model=self,
            verbose=verbose, epochs=epochs, steps=batches.steps,
        )  # fmt: skip

    @contextlib.contextmanager
    def _running(self) -> Generator[Interrupt]:
        """While programs run: Ctrl-C waits for a block, the bar goes away at the end."""
        try:
            with deferred_interrupt() as interrupt, jax.disable_jit(self.run_eagerly):
                yield interrupt
        finally:
            console.erase()

    def _validator(
        self, batches: Batches | None, freq: Any, callbacks: CallbackList
    ) -> Callable[[int, Interrupt], dict[str, Any]]:
        listed = {int(epoch) for epoch in freq} if isinstance(freq, Iterable) else set[int]()
        every = 0 if isinstance(freq, Iterable) else freq
        if not listed and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise errors.invalid("fit", "validation_freq", "a positive integer or a list", freq)
        pace = self._pace()

        def validate(epoch: int, interrupt: Interrupt) -> dict[str, Any]:
            due = epoch + 1 in listed or (every and (epoch + 1) % every == 0)
            if batches is None or not due:
                return {}
            logs = self._run_test(batches, callbacks, pace, interrupt, announced=False)
            return {f"val_{name}": value for name, value in logs.items()}

        return validate

    def _run_test(
        self, batches: Batches, callbacks: CallbackList, pace: Pace, interrupt: Interrupt,
        announced: bool,
    ) -> dict[str, Any]:  # fmt: skip
        trainee = self._ready()
        self.stop_evaluating = False
        callbacks.on_test_begin()
        logs: dict[str, Any] = {}
        blocks = run(
            trainee, trainee.test_program, batches.epoch(0), pace, callbacks, "test", interrupt,
            announced,
        )  # fmt: skip
        with trainee.testing(), contextlib.closing(blocks):
            for logs in blocks:  # noqa: B007 - the last ones are the result
                if self.stop_evaluating:
                    break
        callbacks.on_test_end(logs)
        return logs

    def _pace(self) -> Pace:
        if self.run_eagerly:
            return Pace(limit=1)
        steps = self.steps_per_execution
        return Pace(limit=steps, fixed=steps > 1) if isinstance(steps, int) else Pace()

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
        batches = open_batches(
            x, y, sample_weight, batch_size=batch_size, steps=steps, owner="evaluate",
            read=self._to_host,
        )  # fmt: skip
        self._prepare(batches, "test")
        callbacks = self._callbacks(callbacks, verbose, batches)
        with self._running() as interrupt:
            logs = self._run_test(batches, callbacks, self._pace(), interrupt, announced=True)
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
        batches = open_batches(
            x, batch_size=batch_size, steps=steps, owner="predict", read=self._to_host,
            on_device=False,
        )  # fmt: skip
        predictor = self._predictor_for(batches)
        patient = verbose == "auto"
        callbacks = self._callbacks(callbacks, 0 if patient else verbose, batches)
        self.stop_predicting = False
        try:
            with jax.disable_jit(self.run_eagerly):
                return predictor.run(batches, callbacks, patient)
        finally:
            console.erase()

    def _predictor_for(self, batches: Batches) -> Predictor:
        """Build the model, check the data, make the program."""
        if not all(layer.built for layer in self._flatten_layers()):
            self.build_on(batches.example().x)
        batches.check(lambda sample: data_checks.check_inputs(self, sample))
        known = self._predictor
        variables = self.variables
        if known is None or list(map(id, known.variables)) != list(map(id, variables)):
            self._predictor = Predictor(self)
        return self._predictor

    # -- single batches ------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One update on one batch; returns its loss, or [loss, metric, …], or a dict."""
        self._require_optimizer("train_on_batch")
        batches = self._one_batch(x, y, sample_weight, "train_on_batch")
        if class_weight is not None:
            classes = data_checks.classes_of(self.prepare(batches.example()), batches.host.y)
            batches.weigh(ClassWeights(class_weight, classes))
        return self._on_batch(batches, "train", return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics on one batch."""
        self._require_compiled("test_on_batch")
        batches = self._one_batch(x, y, sample_weight, "test_on_batch")
        return self._on_batch(batches, "test", return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        batches = self._one_batch(x, None, None, "predict_on_batch")
        self.stop_predicting = False
        with jax.disable_jit(self.run_eagerly):
            return self._predictor_for(batches).run(batches, CallbackList())

    def _one_batch(self, x: Any, y: Any, weight: Any, owner: str) -> ArrayBatches:
        batches = open_batches(
            x, y, weight, batch_size=2**31 - 1, owner=owner, read=self._to_host, on_device=False
        )
        if not isinstance(batches, ArrayBatches):
            raise errors.wrong_type(owner, "x", "one batch of arrays", x)
        return batches

    def _on_batch(self, batches: ArrayBatches, phase: str, return_dict: bool) -> Any:
        trainee = self._prepare(batches, phase)
        program = trainee.train_program if phase == "train" else trainee.test_program
        if phase == "train":
            trainee.begin()
            trainee.reset_metrics()
        whole = trainee.training() if phase == "train" else trainee.testing()
        with whole, jax.disable_jit(self.run_eagerly):
            blocks = run(
                trainee, program, batches.epoch(0), Pace(limit=1), CallbackList(), phase,
                Interrupt(), announced=False,
            )  # fmt: skip
            logs = dict(list(blocks)[-1])
        logs.pop("learning_rate", None)
        return self._results(logs, return_dict)

    def _results(self, logs: dict[str, Any], return_dict: bool) -> Any:
        """The logs sorted by name, or their values in the order of `metrics_names`."""
        if return_dict:
            return dict(sorted(logs.items()))
        known = [name for name in self.metrics_names if name in logs]
        values = [logs[name] for name in [*known, *sorted(logs.keys() - set(known))]]
        return values[0] if len(values) == 1 else values

    def _open_validation(self, data: Any, batch_size: int | None, steps: int | None) -> Any:
        if data is None:
            return None
        if isinstance(data, (tuple, list)):
            parts = [*data, None, None][:3]
            if len(data) not in (1, 2, 3):
                raise errors.invalid(
                    "fit",
                    "validation_data",
                    "(x,), (x, y) or (x, y, sample_weight)",
                    f"{len(data)} parts",
                )
        else:
            parts = [data, None, None]
        x = self._named_columns(parts[0])
        batches = open_batches(
            x, *parts[1:], batch_size=batch_size, steps=steps, owner="validation_data",
            read=self._to_host,
        )  # fmt: skip
        self._prepare(batches, "test")
        return batches

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
            positions: accepted as Keras does; columns are as wide as they must be.
            layer_range: the names of the first and the last layer to list, or patterns of them.

        Raises:
            ValueError: `layer_range` matches no layer.
        """
        print_summary(self, line_length, print_fn, expand_nested, show_trainable, layer_range)

    @property
    def input_shape(self) -> Any:
        """The shape of the input, the batch axis None."""
        if self._build_shape is None:
            raise AttributeError(f"{self.name} is not built yet, so its input shape is unknown.")
        return self._build_shape


def _check_counts(epochs: Any, initial_epoch: Any) -> None:
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise errors.invalid("fit", name, "an integer of at least 0", value)
