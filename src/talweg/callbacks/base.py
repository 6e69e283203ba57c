"""The base of callbacks: hooks that the training loop calls."""

from typing import Any, ClassVar, Literal

from talweg.core.events import Event

Logs = dict[str, Any] | None

TRAIN_BATCH_HOOKS = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
)


class Callback:
    """Hooks into training, evaluation and prediction; the base to derive from.

    Override the hooks you need. `self.model` is the model, `self.params` a dict with
    "verbose", "epochs" and "steps". `logs` holds plain Python floats.

    The engine runs many steps as one compiled block. It shortens the blocks only as far as
    a callback's batch hooks ask for it, and the class says so:

        reads = "weights"   the batch hooks look at (or change) the model: blocks are one
                            step long. The default, since it is always right. A class that
                            looks at the model now and then only defines `due_in`.
        reads = "logs"      the batch hooks look at their logs only: they are called for the
                            steps of a finished block, one after another.

    A callback without batch hooks never shortens a block, whatever it reads at the end of
    an epoch. One that wants to know now and then how far the epoch is, overrides
    `on_block_end`. One that wants to see the gradients defines `inside`, a pure function
    that is compiled into a program of its own and run now and then after a block, and
    `on_probe`, which is given what came out.

    >>> class Lowest(Callback):
    ...     reads = "logs"
    ...     lowest = float("inf")
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.lowest = min(self.lowest, logs["loss"])
    >>> Lowest().has_batch_hooks, Callback().has_batch_hooks
    (True, False)
    """

    reads: ClassVar[Literal["logs", "weights"]] = "weights"
    # Whether `inside` is given the objective, too: to look at the loss or gradient elsewhere.
    needs_objective: ClassVar[bool] = False
    # How much of the time probing may take; infinite to probe after every block.
    probe_share: float = 0.005

    # In the class too, for subclasses that do not call this constructor.
    params: dict[str, Any] | None = None
    _model: Any = None
    # Whom `tell` tells: the callbacks of the training that is under way.
    _listeners: Any = None

    def __init__(self) -> None:
        self.params = None
        self._model = None

    @property
    def model(self) -> Any:
        """The model that is trained; None before `set_model`."""
        return self._model

    def set_model(self, model: Any) -> None:
        """Called once, before the first hook."""
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once, before the first hook, with "verbose", "epochs" and "steps"."""
        self.params = params

    @property
    def has_batch_hooks(self) -> bool:
        """Whether a hook of training batches is overridden."""
        return self.overrides(*TRAIN_BATCH_HOOKS)

    def overrides(self, *hooks: str) -> bool:
        """Whether any of the hooks named is not the one of `Callback`."""
        own, cls = vars(self), type(self)
        return any(
            hook in own or getattr(cls, hook) is not getattr(Callback, hook) for hook in hooks
        )

    def due_in(self) -> int:
        """After how many more steps the batch hooks must be called, counted from now; at least 1.

        A block ends there at the latest, and the hooks are called once for a block. Counts for
        the hooks of the class that defines it: a subclass with others is called at every step.
        """
        return 1

    @property
    def waits(self) -> bool:
        """Whether `due_in` was written for the batch hooks that the class has."""

        def depth(name: str) -> int:
            return next(i for i, base in enumerate(type(self).__mro__) if name in vars(base))

        return self.overrides("due_in") and depth("due_in") <= min(map(depth, TRAIN_BATCH_HOOKS))

    def state(self) -> dict[str, Any]:
        """What the callback must remember when a run is interrupted, ready for JSON."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned. Called after `on_train_begin`, which resets."""

    def epochs_left(self, epochs: range) -> range:
        """Which of the epochs are to be trained; called after every `on_train_begin`.

        A callback that takes up an interrupted run restores its state here.
        """
        return epochs

    def steps_done(self, epoch: int) -> tuple[int, dict[str, Any]]:
        """How many steps of an epoch were taken before, and the logs of the last of them.

        Called after every `on_epoch_begin`. A callback that takes up an epoch that was
        interrupted restores its state here: what `on_epoch_begin` did to the model is in it.
        """
        return 0, {}

    def on_train_begin(self, logs: Logs = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Called after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Called before an epoch; `epoch` counts from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Called after an epoch and its validation, whose keys begin with "val_"."""

    def on_block_end(self, step: int, logs: Logs = None) -> None:
        """Called after a block; `step` is the number of steps done in this epoch.

        `logs` holds the running averages. How long blocks are is the engine's choice.
        """

    def on_event(self, event: Event) -> None:
        """Called with what happens in training, from RunStarted to RunEnded.

        The events are those of `talweg.core.events`: blocks, epochs, changes of a
        hyperparameter by whatever hand, alarms. Called between blocks only.
        """

    def tell(self, event: Event) -> None:
        """Tell an event to all callbacks of this training, itself included.

        One that is told from within `on_event` comes after the present one has reached all.
        """
        if self._listeners is not None:
            self._listeners.on_event(event)

    def inside(self, grads: list[Any], params: list[Any]) -> dict[str, Any]:
        """What to look at inside a step: scalars or small arrays by name. Pure, compiled.

        Called with the gradients of the last batch of a block, neither scaled nor clipped,
        and the weights, in the order of `model.trainable_variables`. A class that says
        `needs_objective = True` is given `objective` as well: `objective(params)` gives the
        loss and the gradients of the same batch anywhere. The values are computed now and
        then, so that they take no more than `probe_share` of the time; the numbers among
        them stand in the logs of BlockDone events.
        """
        return {}

    def on_probe(self, step: int, values: dict[str, Any]) -> None:
        """Called with what `inside` saw and the "loss" of that batch.

        `step` is the number of steps that the optimizer has taken.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a training step; `batch` counts from 0 in every epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a training step, with the averages of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Called before an evaluation, also that at the end of an epoch."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Called after an evaluation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of a prediction."""
