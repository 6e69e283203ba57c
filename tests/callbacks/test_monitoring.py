"""EarlyStopping and ReduceLROnPlateau decide what Keras's decide, NaN apart."""

import inspect
import itertools
import json
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbacks.fakes import FakeModel, drive
from talweg import callbacks
from talweg.optimizers import SGD
from talweg.schedules import CosineDecay, ExponentialDecay

# Recorded from a small network: falls, stalls, rises, falls late; and values of an accuracy.
FALLING = [1.2, 0.9, 0.7, 0.71, 0.72, 0.69, 0.6899, 0.75, 0.8, 0.7, 0.65, 0.66, 0.67, 0.68, 0.5]
RISING = [0.3, 0.5, 0.6, 0.6, 0.59, 0.62, 0.7, 0.7, 0.69, 0.68, 0.71, 0.7, 0.7, 0.7, 0.7]

STOPPING = [
    {},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.05},
    {"patience": 3, "min_delta": -0.05, "restore_best_weights": True},
    {"patience": 2, "baseline": 0.8},
    {"patience": 4, "baseline": 0.1, "restore_best_weights": True},
    {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
    {"patience": 30, "restore_best_weights": True},
]
REDUCING = [
    {},
    {"patience": 1},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "factor": 0.2, "cooldown": 2},
    {"patience": 1, "factor": 0.1, "min_lr": 0.02},
    {"patience": 2, "factor": 0.3, "min_delta": 0.1},
    {"patience": 0, "factor": 0.9},
    {"patience": 1, "factor": 0.0, "min_lr": 0.001},
]
CURVES = [("min", FALLING), ("max", RISING), ("max", FALLING), ("auto", FALLING)]


def both(name, options, curve, rate=0.1, **driving):
    ours = getattr(callbacks, name)(**options)
    theirs = getattr(keras.callbacks, name)(**options)
    return (
        drive(ours, curve, SGD(rate), **driving),
        drive(theirs, curve, keras.optimizers.SGD(rate), **driving),
    )


@pytest.mark.parametrize(("options", "case"), [*itertools.product(STOPPING, CURVES)])
def test_early_stopping_decides_as_keras_does(options, case):
    mode, curve = case
    ours, theirs = both("EarlyStopping", {**options, "mode": mode}, curve)
    assert ours["stopped"] == theirs["stopped"]
    assert ours["weights"] == theirs["weights"]


@pytest.mark.parametrize(("options", "case"), [*itertools.product(REDUCING, CURVES)])
def test_reduce_lr_on_plateau_decides_as_keras_does(options, case):
    mode, curve = case
    ours, theirs = both("ReduceLROnPlateau", {**options, "mode": mode}, curve)
    np.testing.assert_allclose(ours["rates"], theirs["rates"], rtol=1e-6)
    np.testing.assert_allclose(ours["logged"], theirs["logged"], rtol=1e-6)


# Eighths are exact in float32, in which Keras compares.
eighths = st.integers(-16, 16).map(lambda n: n / 8)
curves = st.lists(st.one_of(eighths, st.none(), st.just(math.inf)), min_size=1, max_size=12)


@settings(max_examples=60)
@given(
    curves,
    st.sampled_from(["min", "max"]),
    st.integers(0, 4),
    eighths,
    st.one_of(st.none(), eighths),
    st.booleans(),
    st.integers(0, 3),
)
def test_early_stopping_agrees_on_drawn_curves(
    curve, mode, patience, min_delta, baseline, restore, start
):
    options = {
        "mode": mode,
        "patience": patience,
        "min_delta": min_delta,
        "baseline": baseline,
        "restore_best_weights": restore,
        "start_from_epoch": start,
    }
    ours, theirs = both("EarlyStopping", options, curve)
    assert (ours["stopped"], ours["weights"]) == (theirs["stopped"], theirs["weights"])


@settings(max_examples=60)
@given(
    curves,
    st.sampled_from(["min", "max"]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.125, 0.5]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.01, 0.09]),
    st.sampled_from([0.1, 0.5]),
)
def test_reduce_lr_agrees_on_drawn_curves(
    curve, mode, patience, min_delta, cooldown, min_lr, factor
):
    options = {
        "mode": mode,
        "patience": patience,
        "min_delta": min_delta,
        "cooldown": cooldown,
        "min_lr": min_lr,
        "factor": factor,
    }
    ours, theirs = both("ReduceLROnPlateau", options, curve)
    np.testing.assert_allclose(ours["rates"], theirs["rates"], rtol=1e-6)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_one_object_serves_two_runs(name):
    callback = getattr(callbacks, name)(patience=2, mode="min")
    first = drive(callback, FALLING, SGD(0.1))
    assert drive(callback, FALLING, SGD(0.1)) == first


def test_a_first_nan_is_not_the_best():
    curve = [math.nan, 1.0, 0.9, 0.8, 0.85, 0.86]
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    result = drive(stopping, curve, SGD(0.1))
    assert (result["stopped"], result["weights"], stopping.best) == (5, 3.0, 0.8)


def test_nan_for_good_runs_out_of_patience_and_keeps_the_best_weights():
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    result = drive(stopping, [1.0, 0.9, math.nan, math.nan, math.nan], SGD(0.1))
    assert (result["stopped"], result["weights"]) == (3, 1.0)


def test_nan_never_lowers_the_rate():
    reducing = callbacks.ReduceLROnPlateau(patience=1)
    result = drive(reducing, [1.0] + [math.nan] * 8 + [0.9], SGD(0.1))
    np.testing.assert_allclose(result["rates"], 0.1)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_nan_is_warned_about_once(name):
    callback = getattr(callbacks, name)(patience=5)
    callback.set_model(FakeModel(SGD(0.1)))
    callback.on_train_begin()
    with pytest.warns(UserWarning, match="'val_loss' is NaN"):
        callback.on_epoch_end(0, {"val_loss": math.nan})
    callback.on_epoch_end(1, {"val_loss": math.nan})  # warnings are errors here


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_a_missing_number_is_warned_about(name):
    callback = getattr(callbacks, name)()
    callback.set_model(FakeModel(SGD(0.1)))
    with pytest.warns(UserWarning, match=r"no 'val_loss'.*They have: .*loss"):
        callback.on_epoch_end(0, {"loss": 1.0})


class Named:
    def __init__(self, name, direction):
        self.name, self._direction = name, direction


def test_auto_asks_the_metrics_of_the_model():
    curve = [0.1, 0.2, 0.3, 0.3, 0.3]

    class Group:
        name = "compile_metrics"
        metrics = (Named("accuracy", "up"), Named("error", "down"))

    def stop(monitor):
        callback = callbacks.EarlyStopping(monitor=monitor, patience=2)
        return drive(callback, curve, SGD(0.1), monitor=monitor, metrics=[Group()])["stopped"]

    assert (stop("val_accuracy"), stop("error"), stop("out_loss")) == (4, 2, 2)


def test_an_unknown_direction_is_an_error_as_in_keras():
    for module, optimizer in ((callbacks, SGD(0.1)), (keras.callbacks, keras.optimizers.SGD(0.1))):
        with pytest.raises(ValueError, match=r"'?min'?.*"):
            drive(module.EarlyStopping(monitor="f1"), [0.1], optimizer, monitor="f1")


def test_an_unknown_mode_falls_back_to_auto_with_a_warning():
    with pytest.warns(UserWarning, match="mode must be"):
        callback = callbacks.EarlyStopping(mode="lowest")
    assert callback.mode == "auto"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("EarlyStopping", {"patience": -1}),
        ("EarlyStopping", {"patience": "3"}),
        ("EarlyStopping", {"min_delta": math.nan}),
        ("ReduceLROnPlateau", {"factor": 1.0}),
        ("ReduceLROnPlateau", {"factor": -0.1}),
        ("ReduceLROnPlateau", {"factor": math.nan}),
        ("ReduceLROnPlateau", {"patience": -1}),
        ("ReduceLROnPlateau", {"cooldown": -1}),
        ("ReduceLROnPlateau", {"min_lr": -1e-3}),
    ],
)
def test_impossible_arguments_are_refused_by_name(name, options):
    with pytest.raises((ValueError, TypeError), match=f"{name}: {next(iter(options))} must be"):
        getattr(callbacks, name)(**options)


def test_under_a_schedule_the_multiplier_is_reduced_down_to_the_lowest_rate():
    optimizer = SGD(CosineDecay(0.1, 1000))
    reducing = callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_lr=0.02)
    model = FakeModel(optimizer)
    reducing.set_model(model)
    reducing.on_train_begin()
    rates = []
    for epoch in range(6):
        reducing.on_epoch_end(epoch, {"val_loss": 1.0})
        rates.append(optimizer.rate)
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025, 0.02, 0.02, 0.02], rtol=1e-6)
    assert float(optimizer.rate_multiplier) == pytest.approx(0.2)


def test_a_multiplier_on_a_constant_counts_for_the_lowest_rate():
    optimizer = SGD(0.1)
    optimizer.rate_multiplier = 0.5
    reducing = callbacks.ReduceLROnPlateau(patience=1, factor=0.1, min_lr=0.02)
    drive(reducing, [1.0, 1.0, 1.0], optimizer)
    assert optimizer.rate == pytest.approx(0.02)
    assert float(optimizer.learning_rate) == pytest.approx(0.04)


def test_a_rate_of_zero_is_left_alone():
    optimizer = SGD(ExponentialDecay(0.0, 10, 0.5))
    drive(callbacks.ReduceLROnPlateau(patience=1), [1.0] * 4, optimizer)
    assert float(optimizer.rate_multiplier) == 1.0


def test_without_an_optimizer_the_error_names_compile():
    with pytest.raises(ValueError, match=r"model.compile"):
        drive(callbacks.ReduceLROnPlateau(), [1.0], None)


def test_several_optimizers_are_all_reduced_and_logged_by_name():
    class Several:
        optimizers = (SGD(0.1, name="a"), SGD(0.2, name="b"))

    reducing = callbacks.ReduceLROnPlateau(patience=1, factor=0.5)
    reducing.set_model(FakeModel(Several()))
    reducing.on_train_begin()
    logs = {}
    for epoch in range(3):
        logs = {"val_loss": 1.0}
        reducing.on_epoch_end(epoch, logs)
    assert logs["learning_rate_a"] == pytest.approx(0.05)
    assert [each.rate for each in Several.optimizers] == pytest.approx([0.025, 0.05])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("EarlyStopping", {"patience": 3, "mode": "min"}),
        ("ReduceLROnPlateau", {"patience": 2, "cooldown": 1, "mode": "min"}),
    ],
)
@pytest.mark.parametrize("cut", [1, 4, 7])
def test_restored_state_goes_on_where_it_was(name, options, cut):
    def run(callback, optimizer, epochs):
        model = FakeModel(optimizer)
        callback.set_model(model)
        for epoch in epochs:
            callback.on_epoch_end(epoch, {"val_loss": FALLING[epoch]})
            if model.stop_training:
                return epoch
        return optimizer.rate

    whole = getattr(callbacks, name)(**options)
    whole.on_train_begin()
    expected = run(whole, SGD(0.1), range(len(FALLING)))

    optimizer = SGD(0.1)
    before, after = (getattr(callbacks, name)(**options) for _ in range(2))
    before.on_train_begin()
    run(before, optimizer, range(cut))
    after.on_train_begin()
    after.restore(json.loads(json.dumps(before.state())))
    assert run(after, optimizer, range(cut, len(FALLING))) == expected
    assert after.state() == whole.state()


def test_best_weights_that_were_not_restored_are_not_made_up():
    callback = callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    callback.set_model(FakeModel(SGD(0.1)))
    callback.on_train_begin()
    callback.restore({"wait": 0, "stopped_epoch": 0, "best": 0.1, "best_epoch": 2})
    callback.on_epoch_end(3, {"val_loss": 0.5})
    assert callback.best_weights is None
    with pytest.warns(UserWarning, match="best epoch was 3, before this run was resumed"):
        callback.on_train_end()


def test_messages_say_what_was_done(capsys):
    stopping = callbacks.EarlyStopping(patience=1, verbose=1, restore_best_weights=True)
    drive(stopping, [1.0, 2.0], SGD(0.1))
    drive(callbacks.ReduceLROnPlateau(patience=1, verbose=1), [1.0, 2.0], SGD(0.5))
    out = capsys.readouterr().out
    assert "Epoch 2: early stopping" in out
    assert "best epoch: 1" in out
    assert "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.05" in out


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_signatures_are_those_of_keras(name):
    def arguments(cls):
        parameters = inspect.signature(cls).parameters.values()
        return [(p.name, p.default) for p in parameters if p.kind is not p.VAR_KEYWORD]

    assert arguments(getattr(callbacks, name)) == arguments(getattr(keras.callbacks, name))
