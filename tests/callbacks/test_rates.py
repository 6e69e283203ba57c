"""LearningRateScheduler: the constant, or the multiplier of a schedule."""

import keras
import numpy as np
import pytest

from callbacks.fakes import FakeModel, drive
from talweg import callbacks
from talweg.optimizers import SGD
from talweg.schedules import CosineDecay, PolynomialDecay

FUNCTIONS = {
    "of both": lambda epoch, rate: rate * 0.9 if epoch else rate,
    "of the epoch": lambda epoch: 0.1 / (epoch + 1.0),
    "of NumPy": lambda epoch, rate: np.float32(rate * 0.5),
    "with a default": lambda epoch, rate=1.0: float(rate) * 0.5,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rates_equal_those_of_keras(name):
    ours = drive(callbacks.LearningRateScheduler(FUNCTIONS[name]), [1.0] * 6, SGD(0.2))
    reference = keras.callbacks.LearningRateScheduler(FUNCTIONS[name])
    theirs = drive(reference, [1.0] * 6, keras.optimizers.SGD(0.2))
    np.testing.assert_allclose(ours["rates"], theirs["rates"], rtol=1e-6)
    np.testing.assert_allclose(ours["logged"], theirs["logged"], rtol=1e-6)


@pytest.mark.parametrize("value", [None, "0.1", [0.1], -0.1, float("nan"), float("inf"), True])
def test_what_is_no_rate_is_refused(value):
    with pytest.raises(ValueError, match=r"output of schedule must be a float.*epoch 0"):
        drive(callbacks.LearningRateScheduler(lambda epoch: value), [1.0], SGD(0.1))


def test_an_error_inside_the_function_is_shown_and_not_taken_for_another_signature():
    def broken(epoch, rate):
        return len(epoch)

    with pytest.raises(TypeError, match="has no len"):
        drive(callbacks.LearningRateScheduler(broken), [1.0], SGD(0.1))


def test_no_function_is_refused_at_construction():
    with pytest.raises(TypeError, match="schedule must be a function"):
        callbacks.LearningRateScheduler(0.1)


def test_under_a_schedule_the_multiplier_gives_the_rate():
    optimizer = SGD(PolynomialDecay(0.4, 100, 0.0))
    seen = []

    def halve(epoch, rate):
        seen.append(rate)
        return rate / 2

    callback = callbacks.LearningRateScheduler(halve)
    callback.set_model(FakeModel(optimizer))
    callback.on_epoch_begin(0)
    assert optimizer.rate == pytest.approx(0.2)
    callback.on_epoch_begin(1)
    assert seen == pytest.approx([0.4, 0.2])
    assert float(optimizer.rate_multiplier) == pytest.approx(0.25)
    logs = {"loss": 1.0}
    callback.on_epoch_end(1, logs)
    assert logs["learning_rate"] == pytest.approx(0.1)


def test_a_schedule_that_is_zero_cannot_be_scaled():
    optimizer = SGD(CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10))
    with pytest.raises(ValueError, match="schedule must be above 0"):
        drive(callbacks.LearningRateScheduler(lambda epoch: 0.1), [1.0], optimizer)


def test_a_multiplier_on_a_constant_stays():
    optimizer = SGD(0.1)
    optimizer.rate_multiplier = 0.5
    callback = callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    result = drive(callback, [1.0] * 3, optimizer)
    np.testing.assert_allclose(result["rates"], 0.1, rtol=1e-6)
    np.testing.assert_allclose(result["logged"], 0.05, rtol=1e-6)


def test_several_optimizers_are_set_by_name(capsys):
    class Several:
        optimizers = (SGD(0.1, name="a"), SGD(0.2, name="b"))

    callback = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)
    callback.set_model(FakeModel(Several()))
    callback.on_epoch_begin(0)
    assert [each.rate for each in Several.optimizers] == pytest.approx([0.05, 0.1])
    assert "setting b learning rate to 0.1" in capsys.readouterr().out
