"""Callback, CallbackList, History, LambdaCallback, TerminateOnNaN."""

import inspect
import json
import math

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from callbacks.fakes import FakeModel
from talweg import callbacks
from talweg.callbacks import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from talweg.core.events import RunEnded
from talweg.optimizers import SGD

HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]
# Every exported callback: what it needs, and whether its batch hooks ask for single steps.
TRAITS = {
    "Callback": ((), "no"),
    "CallbackList": ((), "no"),
    "MonitorCallback": ((), "no"),
    "History": ((), "no"),
    "LambdaCallback": ((), "no"),
    "EarlyStopping": ((), "no"),
    "ReduceLROnPlateau": ((), "no"),
    "LearningRateScheduler": ((lambda epoch, rate: rate,), "no"),
    "TerminateOnNaN": ((), "logs"),
    "Alarms": ((), "no"),
    "RollBackOnDivergence": ((), "no"),
    "SwapEMAWeights": ((), "no"),
    "CSVLogger": (("log.csv",), "no"),
    "RemoteMonitor": ((), "no"),
    "RunFolder": (("run",), "no"),
    "ProgbarLogger": ((), "no"),
    "ModelCheckpoint": (("m.keras",), "no"),
    "BackupAndRestore": (("backup",), "no"),
    "TensorBoard": ((), "no"),
}

BEYOND_KERAS = {"Alarms", "MonitorCallback", "RollBackOnDivergence", "RunFolder"}


def test_every_exported_callback_has_its_traits_tested():
    exported = {
        name
        for name in callbacks.__all__
        if inspect.isclass(getattr(callbacks, name))
        and issubclass(getattr(callbacks, name), Callback)
    }
    assert exported == set(TRAITS)


@pytest.mark.parametrize("name", TRAITS)
def test_blocks_are_shortened_only_as_declared(name):
    arguments, expected = TRAITS[name]
    assert CallbackList([getattr(callbacks, name)(*arguments)]).per_step == expected


@pytest.mark.parametrize("name", sorted(set(TRAITS) - BEYOND_KERAS))
def test_names_and_arguments_are_those_of_keras(name):
    def arguments(cls):
        return [
            (p.name, p.default)
            for p in inspect.signature(cls).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]

    assert arguments(getattr(callbacks, name)) == arguments(getattr(keras.callbacks, name))
    missing = {hook for hook in HOOKS if not callable(getattr(getattr(callbacks, name), hook))}
    assert not missing


def recorder(base):
    def hook(name):
        def record(self, *args, **kwargs):
            self.calls.append((name, args, kwargs))

        return record

    namespace = {name: hook(name) for name in HOOKS}
    return type("Recording", (base,), {**namespace, "calls": []})()


@pytest.mark.parametrize("begin", [hook for hook in HOOKS if hook.endswith("_begin")])
def test_a_list_calls_every_hook_as_keras_does(begin):
    ours, theirs = recorder(Callback), recorder(keras.callbacks.Callback)
    end = begin.replace("_begin", "_end")
    logs = {"val_loss": 2, "loss": np.float32(0.5), "nested": {"b": 1}, "text": "x"}
    position = (3,) if "batch" in begin or "epoch" in begin else ()
    for each in (CallbackList([ours]), keras.callbacks.CallbackList([theirs])):
        for given_logs in ((), (logs,)):
            getattr(each, begin)(*position, *given_logs)
            getattr(each, end)(*position, *given_logs)
    assert ours.calls == theirs.calls
    assert [name for name, *_ in ours.calls] == [begin, end] * 2


def test_logs_are_plain_floats_with_the_learning_rate_last():
    seen = LambdaCallback(on_epoch_end=lambda epoch, logs: order.append(logs))
    order = []
    logs = {"learning_rate": jnp.float32(0.5), "val_loss": jnp.ones(()), "acc": 1, "m": {"k": 2}}
    CallbackList([seen]).on_epoch_end(0, logs)
    assert list(order[0]) == ["acc", "k", "val_loss", "learning_rate"]
    assert all(type(value) is float for value in order[0].values())
    assert type(logs["learning_rate"]) is not float, "the caller's logs are left as they are"


def test_what_a_callback_adds_to_the_logs_reaches_the_ones_behind():
    adding = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=7.0))
    history = History()
    group = CallbackList([adding, history], model=FakeModel(SGD(0.1)))
    group.on_train_begin()
    group.on_epoch_end(0, {"loss": 1.0})
    assert history.history == {"loss": [1.0], "extra": [7.0]}
    assert list(history.history) == ["loss", "extra"]


def test_order_is_the_users_then_history_then_the_bar():
    mine = [Callback(), [Callback(), Callback()]]
    group = CallbackList(mine, add_history=True, add_progbar=True, epochs=1, steps=1, verbose=0)
    assert [type(c).__name__ for c in group.callbacks] == [
        *["Callback"] * 3,
        "History",
        "ProgbarLogger",
    ]
    own = [ProgbarLogger(), History()]
    assert CallbackList(own, add_history=True, add_progbar=True).callbacks == own
    assert CallbackList(Callback()).callbacks[0].model is None
    assert CallbackList(group).callbacks == group.callbacks
    assert CallbackList().callbacks == []


def test_model_and_params_reach_everyone():
    model = FakeModel()
    group = CallbackList([Callback()], add_history=True, model=model, epochs=3, steps=2, verbose=0)
    assert all(c.model is model for c in group.callbacks)
    assert all(c.params == {"epochs": 3, "steps": 2, "verbose": 0} for c in group.callbacks)
    assert model.history is group.history


@pytest.mark.parametrize("wrong", [[History], [3], "early_stopping", [lambda: None]])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match="callbacks must be Callback objects"):
        CallbackList(wrong)


class ReadsLogs(Callback):
    reads = "logs"

    def on_batch_begin(self, batch, logs=None):
        pass


class ReadsWeights(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class EndOfEpoch(Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_block_end(self, step, logs=None):
        pass


def test_the_most_demanding_callback_decides_on_the_blocks():
    per_step = [
        CallbackList(each).per_step
        for each in (
            [EndOfEpoch()],
            [EndOfEpoch(), ReadsLogs()],
            [ReadsLogs(), ReadsWeights()],
            [LambdaCallback(on_train_batch_end=print)],
            [LambdaCallback(on_train_batch_end=print, reads="logs")],
            [LambdaCallback(on_epoch_end=print)],
        )
    ]
    assert per_step == ["no", "logs", "weights", "weights", "logs", "no"]
    assert not CallbackList([ReadsWeights()]).per_test_batch
    assert CallbackList([LambdaCallback(on_test_batch_end=print)]).per_test_batch
    assert CallbackList([LambdaCallback(on_predict_batch_begin=print)]).per_predict_batch


def test_a_subclass_without_super_init_works():
    class Careless(Callback):
        def __init__(self):
            self.epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append((epoch, self.model, self.params))

    callback = Careless()
    assert (callback.model, callback.params) == (None, None)
    model = FakeModel()
    CallbackList([callback], model=model, epochs=1).on_epoch_end(0)
    assert callback.epochs == [(0, model, {"epochs": 1})]


def test_the_older_batch_hooks_are_called_once_per_batch():
    calls = []

    class Older(Callback):
        def on_batch_begin(self, batch, logs=None):
            calls.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            calls.append(("end", batch, logs))

    group = CallbackList([Older()])
    group.on_train_batch_begin(0)
    group.on_train_batch_end(0, {"loss": 1})
    assert calls == [("begin", 0), ("end", 0, {"loss": 1.0})]


def test_what_is_told_reaches_all_in_the_order_of_telling():
    heard = []

    class Echo(Callback):
        def on_event(self, event):
            heard.append((self, event.step))
            if event.step == 0:
                self.tell(RunEnded(step=1, reason="echo"))

    group = CallbackList([Echo(), Echo()])
    group.callbacks[0].tell(RunEnded(step=9, reason="nobody trains yet"))
    group.on_train_begin()
    group.on_event(RunEnded(step=0, reason="x"))
    first, second = group.callbacks
    assert heard == [(c, step) for step in (0, 1, 1) for c in (first, second)]


def test_a_listener_that_fails_leaves_nothing_to_be_told():
    heard = []

    class Failing(Callback):
        def on_event(self, event):
            heard.append(event.step)
            raise ZeroDivisionError

    group = CallbackList([Failing()])
    for step in range(2):
        with pytest.raises(ZeroDivisionError):
            group.on_event(RunEnded(step=step, reason="x"))
    assert heard == [0, 1]


def test_blocks_reach_everyone_with_floats():
    seen = []
    callback = LambdaCallback(on_block_end=lambda step, logs: seen.append((step, logs)))
    CallbackList([callback, Callback()]).on_block_end(50, {"loss": jnp.float32(0.5)})
    assert seen == [(50, {"loss": 0.5})]


def test_states_of_a_list_are_kept_by_class_and_position():
    def group():
        return CallbackList(
            [
                callbacks.EarlyStopping("loss"),
                Callback(),
                callbacks.EarlyStopping("acc", mode="max"),
            ],
            model=FakeModel(SGD(0.1)),
        )

    first, second = group(), group()
    first.on_train_begin()
    for epoch in range(2):
        first.on_epoch_end(epoch, {"loss": 1.0 - epoch, "acc": 0.5 - epoch})
    state = json.loads(json.dumps(first.state()))
    assert set(state) == {"EarlyStopping/0", "EarlyStopping/1"}
    second.on_train_begin()
    second.restore(state)
    assert second.state() == first.state()
    assert [c.best for c in (second.callbacks[0], second.callbacks[2])] == [0.0, 0.5]


def test_history_is_that_of_keras():
    logs = [{"loss": 1.0, "acc": 0.5}, {"loss": 0.5, "acc": 0.6, "val_loss": 0.7}]
    ours, theirs = History(), keras.callbacks.History()
    for history in (ours, theirs):
        history.set_model(FakeModel())
        for _ in range(2):
            history.on_train_begin()
            for epoch, each in enumerate(logs):
                history.on_epoch_end(epoch + 3, each)
    assert (ours.history, ours.epoch) == (theirs.history, theirs.epoch)
    assert ours.model.history is ours


def test_lambda_callback_refuses_a_misspelt_hook():
    with pytest.raises(ValueError, match="Did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_edn=print)


def test_lambda_callback_calls_every_kind_of_hook():
    calls = []
    hooks = {name: (lambda *a, _n=name, **k: calls.append(_n)) for name in HOOKS}
    callback = LambdaCallback(**hooks)
    for name in HOOKS:
        getattr(callback, name)(0)
    assert calls == HOOKS


@pytest.mark.parametrize("loss", [1.0, math.nan, math.inf, -math.inf, None])
def test_terminate_on_nan_decides_as_keras_does(loss, capsys):
    decided = []
    for module in (callbacks, keras.callbacks):
        callback = module.TerminateOnNaN()
        callback.set_model(FakeModel())
        callback.on_train_batch_end(3, {} if loss is None else {"loss": loss})
        decided.append(callback.model.stop_training)
    lines = capsys.readouterr().out.splitlines()
    assert decided[0] == decided[1]
    assert lines[:1] == lines[1:]


def test_terminate_on_nan_may_raise():
    callback = callbacks.TerminateOnNaN(raise_error=True)
    callback.set_model(FakeModel())
    with pytest.raises(RuntimeError, match="got nan at batch 7"):
        callback.on_batch_end(7, {"loss": math.nan})


class Counts(Callback):
    def on_train_begin(self, logs=None):
        self.batches = []

    def on_train_batch_begin(self, batch, logs=None):
        self.batches.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)

    def on_test_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def test_steps_per_execution_calls_batch_hooks_once_for_a_block_as_keras_does():
    def batches(library, counts):
        model = library.Sequential([library.Input((2,)), library.layers.Dense(1)])
        model.compile("sgd", "mse", steps_per_execution=3)
        x = np.ones((12, 2), "float32")
        model.fit(x, x[:, :1], batch_size=2, epochs=2, verbose=0, callbacks=[counts])
        model.evaluate(x, x[:, :1], batch_size=2, verbose=0, callbacks=[counts])
        return counts.batches

    class Theirs(keras.callbacks.Callback):
        on_train_begin = Counts.on_train_begin
        on_train_batch_begin = Counts.on_train_batch_begin
        on_train_batch_end = Counts.on_train_batch_end
        on_test_batch_end = Counts.on_test_batch_end

    assert batches(talweg, Counts()) == batches(keras, Theirs())


class EveryFourth(Callback):
    def on_train_begin(self, logs=None):
        self.batches, self.blocks = [0], []

    def due_in(self):
        return 4 - self.batches[-1] % 4

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch + 1)

    def on_block_end(self, step, logs=None):
        self.blocks.append(step)


def test_a_callback_that_waits_leaves_blocks_as_long_as_it_waits():
    class Hooked(EveryFourth):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)

    waiting = [EveryFourth()], [EveryFourth(), ReadsLogs()], [EveryFourth(), ReadsWeights()]
    assert [CallbackList(each).per_step for each in waiting] == ["no", "logs", "weights"]
    assert CallbackList([Hooked()]).per_step == "weights"

    model = talweg.Sequential([talweg.Input((2,)), talweg.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, counts = np.ones((20, 2), "float32"), EveryFourth()
    model.fit(x, x[:, :1], batch_size=2, verbose=0, callbacks=[counts])
    assert counts.batches[1:] == counts.blocks == [4, 8, 10]
