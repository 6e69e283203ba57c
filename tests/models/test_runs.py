"""What a user sees of fit, evaluate and predict: bars, long predictions, preparation."""

import os
import signal
from typing import Any

import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.callbacks import console
from talweg.models import predict

X = np.random.default_rng(0).normal(size=(2600, 4)).astype("float32")
Y = X[:, :1]
ERASE = "\r\x1b[2K"


@pytest.fixture
def model() -> Any:
    made = talweg.Sequential([layers.Dense(3, activation="tanh", input_dim=4), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")


class Press(talweg.callbacks.Callback):
    """Ctrl-C after a block, with the bar drawn."""

    def on_block_end(self, step: int, logs: Any = None) -> None:
        console.draw([("the live line", "")])
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_ctrl_c_clears_the_bar(model: Any, terminal: None, capsys: Any, method: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X, Y, batch_size=1, verbose=1, callbacks=[Press()])
    written = capsys.readouterr().out
    assert "the live line" in written
    assert written.endswith(ERASE)


def test_an_error_clears_the_bar(model: Any, terminal: None, capsys: Any) -> None:
    x = X.copy()
    x[2000] = np.nan
    hook = talweg.callbacks.LambdaCallback()
    hook.on_block_end = lambda step, logs=None: console.draw([("the live line", "")])
    with pytest.raises(talweg.NonFiniteError):
        model.fit(x, Y, batch_size=1, shuffle=False, callbacks=[hook])
    assert capsys.readouterr().out.endswith(ERASE)


def test_evaluate_draws_a_bar_while_it_runs(model: Any, terminal: None, capsys: Any) -> None:
    updates: list[int] = []
    hook = talweg.callbacks.LambdaCallback()
    hook.on_block_end = lambda step, logs=None: updates.append(step)
    model.evaluate(X, Y, batch_size=1, callbacks=[hook])
    assert updates == sorted(updates)
    assert updates[-1] == len(X)
    assert "2600/2600" in capsys.readouterr().out


def test_validation_announces_no_blocks(model: Any) -> None:
    updates: list[int] = []
    hook = talweg.callbacks.LambdaCallback()
    hook.on_block_end = lambda step, logs=None: updates.append(step)
    model.fit(X[:64], Y[:64], verbose=0, validation_data=(X, Y), callbacks=[hook])
    assert updates == [2]


def test_a_short_prediction_prints_nothing_unless_asked(model: Any, capsys: Any) -> None:
    model.predict(X)
    assert capsys.readouterr().out == ""
    model.predict(X, verbose=1)
    assert "82/82" in capsys.readouterr().out
    model.predict(X, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_long_prediction_shows_itself(
    model: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_PATIENCE", 0.0)
    model.predict(X)
    assert "82/82" in capsys.readouterr().out


def test_many_batches_are_predicted_in_blocks_with_the_same_result(model: Any) -> None:
    whole = model.predict(X, batch_size=len(X), verbose=0)
    for size in (2, 1):
        parts = model.predict(X, batch_size=size, verbose=0)
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    assert model._predictor.traces["block"] == 2
    seen: list[int] = []
    hook = talweg.callbacks.LambdaCallback()
    hook.on_predict_batch_end = lambda batch, logs=None: seen.append(batch)
    model.predict(X, batch_size=2, verbose=0, callbacks=[hook])
    assert seen == list(range(1300))


def test_callbacks_may_stop_evaluation_and_prediction(model: Any) -> None:
    def stop(batch: int, logs: Any = None) -> None:
        if batch == 2:
            model.stop_evaluating = model.stop_predicting = True

    hook = talweg.callbacks.LambdaCallback()
    hook.on_test_batch_end = hook.on_predict_batch_end = stop
    loss = model.evaluate(X, Y, batch_size=10, verbose=0, callbacks=[hook])
    assert loss == pytest.approx(model.evaluate(X[:30], Y[:30], verbose=0), rel=1e-5)
    assert len(model.predict(X, batch_size=10, verbose=0, callbacks=[hook])) == 30


def test_unknown_arguments_of_evaluate_are_refused(model: Any) -> None:
    with pytest.raises(TypeError, match="workers"):
        model.evaluate(X, Y, workers=3)


def test_freezing_a_layer_after_a_fit_takes_effect(model: Any) -> None:
    model.fit(X[:64], Y[:64], verbose=0)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X[:64], Y[:64], verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


def test_another_shape_of_batch_is_checked_again(model: Any) -> None:
    model.fit(X[:64], Y[:64], verbose=0)
    with pytest.raises(ValueError, match=r"\(64, 1\), got \(64, 3\)"):
        model.fit(X[:64], np.zeros((64, 3)), verbose=0)


def test_a_model_whose_steps_are_all_its_own_needs_no_call() -> None:
    """As the adversarial networks of Keras's guides."""

    class Pair(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.left = layers.Dense(1)
            self.left.build((None, 4))

        def train_step(self, state: Any, data: Any) -> Any:
            (x,) = data
            return {"height": x.mean()}, state

    pair = Pair()
    pair.compile(optimizer="sgd")
    history = pair.fit(X[:64], verbose=0, shuffle=False)
    # The last batch's, since no metric keeps a mean.
    assert history.history["height"][0] == pytest.approx(X[32:64].mean(), rel=1e-4)


def test_a_users_function_sees_targets_and_outputs_of_one_shape():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    y = x[:, 0]
    model = talweg.Sequential([talweg.layers.Dense(1, input_dim=3)])
    square = lambda a, b: (a - b) ** 2  # noqa: E731
    square.__name__ = "square"
    model.compile("sgd", loss=square, metrics=[square])
    loss, metric = model.evaluate(x, y, verbose=0)
    expected = np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert metric == pytest.approx(expected, rel=1e-5)
