"""RollBackOnDivergence: back to the bits that were remembered, a lower rate, and on."""

import json
import math

import jax
import numpy as np
import pytest

import talweg
from talweg import callbacks, layers, schedules
from talweg.core.events import Alarm, RateChanged
from talweg.core.random import set_random_seed
from talweg.optimizers import (
    SGD,
    Adam,
    ByPath,
    LossScaleOptimizer,
    Phases,
    ScheduleFreeSGD,
)  # fmt: skip

RNG = np.random.default_rng(0)
X = RNG.normal(size=(320, 4)).astype("float32")
Y = (X[:, :1] - X[:, 1:2]).astype("float32")


def model_with(optimizer, dropout=0.0, seed=1):
    set_random_seed(seed)
    stack = [layers.Input((4,)), layers.Dense(8, activation="tanh")]
    if dropout:
        stack += [layers.BatchNormalization(), layers.Dropout(dropout)]
    model = talweg.Sequential([*stack, layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def line(optimizer):
    set_random_seed(1)
    model = talweg.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def bits(model):
    state = model.optimizer.state._replace(hyper={})
    return [np.array(v.value) for v in [*model.variables, *jax.tree.leaves(state)]]


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


class Break(callbacks.Callback):
    """Makes the training diverge once, at an epoch's beginning, by a weight out of all scale."""

    def __init__(self, *epochs, size=1e38):
        super().__init__()
        self.at, self.size = list(epochs), size
        self.ends, self.backs, self.events = {}, [], []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in self.at:
            self.at.remove(epoch)
            head = self.model.layers[-1].kernel
            head.assign(np.full(head.shape, self.size))

    def on_train_begin(self, logs=None):
        self.ends[-1] = bits(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.ends[epoch] = bits(self.model)

    def on_event(self, event):
        self.events.append(event)
        if isinstance(event, Alarm) and event.kind == "rollback":
            self.backs.append((event, bits(self.model)))


def back(**more):
    return callbacks.RollBackOnDivergence(verbose=0, **more)


def test_a_training_at_a_high_rate_goes_back_until_it_converges(capsys):
    model = line(SGD(3.0))
    rolling, watch = callbacks.RollBackOnDivergence(), Break()
    history = model.fit(
        X, Y, batch_size=32, epochs=80, verbose=0, callbacks=[rolling, watch]
    ).history
    assert history["loss"][-1] < 1e-3
    assert 1 <= rolling.times <= 4
    assert len(history["loss"]) == len(history["learning_rate"]) == 80
    assert float(model.optimizer.learning_rate) == 3.0 * 0.5**rolling.times
    for event, arrays in watch.backs:
        assert same(arrays, watch.ends[-1]) or any(same(arrays, e) for e in watch.ends.values())
        assert event.message in capsys.readouterr().out or rolling.times > 1
    kinds = [e.kind for e in watch.events if isinstance(e, Alarm)]
    assert kinds == ["divergence", "rollback"] * rolling.times
    changes = [e for e in watch.events if isinstance(e, RateChanged)]
    assert [(e.before, e.after) for e in changes] == [
        (3.0 * 0.5**k, 3.0 * 0.5 ** (k + 1)) for k in range(rolling.times)
    ]


OPTIMIZERS = {
    "adam": lambda: (Adam(0.01, use_ema=True), "learning_rate"),
    "momentum, scheduled": lambda: (
        SGD(schedules.CosineDecay(0.01, 1000), momentum=0.9), "rate_multiplier"
    ),
    "loss scale": lambda: (LossScaleOptimizer(Adam(0.01), initial_scale=4.0), "learning_rate"),
    "by path": lambda: (ByPath({"*bias": SGD(0.01)}, default=Adam(0.01)), "rate_multiplier"),
    "phases": lambda: (Phases([(Adam(0.01), 1), (SGD(0.01), None)]), "rate_multiplier"),
}  # fmt: skip


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_whole_state_is_back_to_the_last_bit_and_the_free_factor_is_lower(name):
    optimizer, free = OPTIMIZERS[name]()
    model = model_with(optimizer, dropout=0.2 if name == "adam" else 0.0)
    before = float(getattr(optimizer, free))
    broken = Break(2)
    history = model.fit(
        X, Y, batch_size=32, epochs=4, verbose=0, callbacks=[back(keep="last"), broken]
    ).history
    ((event, arrays),) = broken.backs
    assert same(arrays, broken.ends[1])
    assert event.step == 20
    assert float(getattr(optimizer, free)) == pytest.approx(before * 0.5)
    assert len(history["loss"]) == 4
    assert np.isfinite(history["loss"]).all() or math.isnan(history["loss"][2])
    assert np.isfinite(history["loss"][3])
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.battery
def test_methods_that_train_elsewhere_go_back_to_what_they_trained():
    class Trained(Break):
        def on_event(self, event):
            super().on_event(event)
            if type(event).__name__ == "BlockDone":
                self.last = bits(self.model)

        def on_epoch_end(self, epoch, logs=None):
            self.ends[epoch] = self.last

    model = model_with(ScheduleFreeSGD(0.01))
    broken = Trained(1)
    plain = model_with(ScheduleFreeSGD(0.01))
    model.fit(X, Y, batch_size=32, epochs=1, shuffle=False, verbose=0, callbacks=[back()])
    plain.fit(X, Y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    assert same(bits(model), bits(plain))  # to remember changes nothing
    model = model_with(ScheduleFreeSGD(0.01))
    model.fit(X, Y, batch_size=32, epochs=3, verbose=0, callbacks=[back(keep="last"), broken])
    ((_, arrays),) = broken.backs
    assert same(arrays, broken.ends[0])


def test_it_gives_up_after_so_many_times_with_the_usual_warning():
    model = line(SGD(1e9))
    rolling, watch = back(max_times=2), Break()
    with pytest.warns(RuntimeWarning, match="diverged"):
        model.fit(X, Y, batch_size=32, epochs=9, verbose=0, callbacks=[rolling, watch])
    kinds = [e.kind for e in watch.events if isinstance(e, Alarm)]
    assert kinds == ["divergence", "rollback", "divergence", "rollback", "divergence"]
    assert model.stop_training
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_best_is_the_lowest_loss_and_last_the_latest():
    for keep, epoch in (("best", 1), ("last", 2)):
        model = line(SGD(0.05))

        class Raise(Break):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, logs)
                logs["loss"] = [3.0, 1.0, 2.0, 2.0][epoch]

        broken = Raise(3)
        model.fit(
            X, Y, batch_size=32, epochs=4, verbose=0, callbacks=[broken, back(keep=keep)]
        )  # fmt: skip
        ((event, arrays),) = broken.backs
        assert same(arrays, broken.ends[epoch])
        assert event.step == 10 * (epoch + 1)


def test_a_state_that_does_not_help_is_followed_by_an_earlier_one():
    class Again(Break):
        """Every state but that of the first epoch is poison."""

        def on_event(self, event):
            super().on_event(event)
            if isinstance(event, Alarm) and event.kind == "rollback" and event.step > 10:
                head = self.model.layers[-1].kernel
                head.assign(np.full(head.shape, self.size))

    broken = Again(3)
    model = line(SGD(0.05))
    model.fit(X, Y, batch_size=8, epochs=7, verbose=0, steps_per_epoch=10,
              callbacks=[back(keep="last"), broken])  # fmt: skip
    assert [event.step for event, _ in broken.backs] == [30, 20, 10]


def test_memory_is_that_of_the_copies_and_given_back():
    model = model_with(Adam(0.01))
    rolling, sizes = back(copies=2), []
    seen = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: sizes.append(rolling.nbytes))
    model.fit(X, Y, batch_size=32, epochs=4, verbose=0, callbacks=[rolling, seen])
    one = sum(array.nbytes for array in bits(model))
    assert sizes == [2 * one] * 4
    assert rolling.nbytes == 0


def test_within_an_epoch_states_are_remembered_by_the_clock():
    model = line(SGD(0.01))
    x = np.tile(X, (4, 1))
    x[700:, 0] = 1e30  # finite, and too much
    watch = Break()
    model.fit(x, x[:, 1:2], batch_size=32, shuffle=False, verbose=0,
              callbacks=[back(keep="last", seconds=0.0), watch])  # fmt: skip
    assert 8 <= watch.backs[0][0].step <= 21


@pytest.mark.parametrize("per_step", ["weights", "logs"])
def test_with_callbacks_of_every_step_and_streams(per_step):
    class Every(callbacks.Callback):
        reads = per_step

        def on_train_batch_end(self, batch, logs=None):
            pass

    def batches():
        for i in range(1000):
            rows = slice(32 * (i % 10), 32 * (i % 10) + 32)
            yield X[rows], Y[rows] * (1e30 if i == 14 else 1.0)

    model = line(SGD(0.01))
    watch = Break()
    history = model.fit(
        batches(), steps_per_epoch=10, epochs=4, verbose=0, callbacks=[Every(), back(), watch]
    ).history
    ((event, arrays),) = watch.backs
    assert same(arrays, watch.ends[0])
    assert event.step == 10
    assert len(history["loss"]) == 4
    assert np.isfinite([history["loss"][0], *history["loss"][2:]]).all()
    steps = int(model.optimizer.iterations)
    assert 30 <= steps < 40


def test_a_second_divergence_after_going_back_is_diagnosed_at_its_own_step():
    """The count of steps goes back, and the batch that is looked at must not."""
    x, y = np.tile(X, (4, 1)), np.tile(Y, (4, 1))
    for batch in (5, 30):
        y[32 * batch : 32 * batch + 32] *= 1e30
    watch = Break()
    every = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    line(SGD(0.01)).fit(x, y, batch_size=32, shuffle=False, verbose=0,
                        callbacks=[back(), watch, every])  # fmt: skip
    messages = [e.message for e in watch.events if isinstance(e, Alarm) and e.kind != "rollback"]
    # Batches 0 to 4, back to 0, batches 6 to 29; the gradient is bad where the loss is.
    assert [m.partition(" was not finite")[0] for m in messages] == [
        "The loss of iteration 5", "The loss of iteration 24",
    ]  # fmt: skip


def test_float16_overflows_are_not_alarms_and_a_divergence_is():
    set_random_seed(1)
    model = talweg.Sequential([layers.Input((4,)), layers.Dense(8), layers.Dense(1)])
    for layer in (model, *model.layers):
        layer.dtype_policy = "mixed_float16"
    model.compile(Adam(0.01), "mse")
    assert isinstance(model.optimizer, LossScaleOptimizer)
    broken = Break(2, size=1e30)
    alarms = callbacks.Alarms(verbose=0, probe_share=math.inf)
    history = model.fit(
        X, Y, batch_size=32, epochs=5, verbose=0, callbacks=[alarms, back(keep="last"), broken]
    ).history
    ((_, arrays),) = broken.backs
    assert same(arrays, broken.ends[1])
    assert [alarm.kind for alarm in alarms.alarms] == ["divergence", "rollback"]
    assert history["loss"][4] < history["loss"][0]


def test_a_spike_makes_it_go_back_where_it_is_asked_to():
    for on, expected in ((("divergence", "spike"), ["spike", "rollback"]), ("divergence", [])):
        model = line(SGD(0.05))
        alarms = callbacks.Alarms(watch=("spike",), verbose=0, probe_share=math.inf)
        broken = Break(4, size=30.0)
        model.compile(SGD(0.05), "mse", steps_per_execution=1)
        model.fit(X, Y, batch_size=32, epochs=6, verbose=0,
                  callbacks=[alarms, back(on=on, keep="last"), broken])  # fmt: skip
        kinds = [e.kind for e in broken.events if isinstance(e, Alarm)]
        assert kinds == (expected or ["spike"])
        for _, arrays in broken.backs:
            assert same(arrays, broken.ends[3])


def test_the_log_of_a_run_tells_it_in_order(tmp_path):
    folder = callbacks.RunFolder(tmp_path)
    line(SGD(3.0)).fit(
        X, Y, batch_size=32, epochs=20, verbose=0, callbacks=[back(max_times=8), folder]
    )
    told = [e for e in folder.events() if isinstance(e, (Alarm, RateChanged))]
    names = [getattr(e, "kind", "rate") for e in told][:3]
    assert names == ["divergence", "rollback", "rate"]


def test_a_resumed_run_counts_on():
    rolling = back()
    rolling.times = 3
    fresh = back()
    fresh.on_train_begin()
    fresh.restore(json.loads(json.dumps(rolling.state())))
    assert fresh.times == 3


@pytest.mark.parametrize("wrong", [
    {"factor": 1.0}, {"factor": 0.0}, {"max_times": -1}, {"keep": "worst"}, {"copies": 0},
    {"seconds": -1.0},
])  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("keep", "state to keep")):
        callbacks.RollBackOnDivergence(**wrong)
