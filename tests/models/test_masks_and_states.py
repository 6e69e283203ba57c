"""What goes from batch to batch, and from layer to metric: states and masks."""

from typing import Any

import numpy as np
import pytest

import talweg
from models.twins import twins
from talweg import layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
STEPS = RNG.integers(1, 5, (12, 6)).astype("int32")
STEPS[:, 4:] = 0
STEPS[3, 2:] = 0
TARGETS = RNG.normal(size=(12, 6, 1)).astype("float32")
PER_STEP = RNG.uniform(0.5, 2.0, (12, 6)).astype("float32")
PER_ROW = np.linspace(0.5, 2.0, 12).astype("float32")


def masked(k: Any) -> Any:
    model = k.Sequential(
        [
            k.layers.Input((6,), dtype="int32"),
            k.layers.Embedding(5, 3, mask_zero=True),
            k.layers.SimpleRNN(2, return_sequences=True),
            k.layers.Dense(1),
        ]
    )
    model.compile(
        k.optimizers.SGD(0.01),
        "mse",
        metrics=["mae", k.metrics.RootMeanSquaredError(name="root")],
        weighted_metrics=["mae", k.metrics.RootMeanSquaredError(name="weighted_root")],
    )
    return model


@pytest.mark.parametrize(
    "weight",
    [pytest.param(None, id="unweighted", marks=pytest.mark.battery), PER_STEP],
)
def test_masks_count_in_loss_and_metrics_as_in_keras(weight: Any) -> None:
    """In Keras on JAX the metrics see masks in evaluation, and none in the training step."""
    pair = twins(masked)
    histories, results = [], []
    for model in pair:
        options = {"batch_size": 6, "shuffle": False, "verbose": 0}
        history = model.fit(STEPS, TARGETS, sample_weight=weight, **options).history
        histories.append({k: v for k, v in history.items() if k != "learning_rate"})
        results.append(
            model.evaluate(
                STEPS, TARGETS, sample_weight=weight, batch_size=6, verbose=0, return_dict=True
            )
        )
    assert list(histories[1]) == list(histories[0])
    for name, expected in histories[0].items():
        np.testing.assert_allclose(histories[1][name], expected, rtol=1e-5, err_msg=name)
    for name, expected in results[0].items():
        np.testing.assert_allclose(results[1][name], expected, rtol=1e-5, err_msg=name)
    assert abs(results[1]["mae"] - histories[1]["mae"][0]) > 1e-2


def test_a_weight_per_row_weighs_all_steps_of_the_row_that_count() -> None:
    """Keras fails to broadcast (rows,) to (rows, steps), or does so along the wrong axis."""
    per_row, spread = masked(talweg), masked(talweg)
    spread.set_weights(per_row.get_weights())
    options = {"batch_size": 6, "shuffle": False, "verbose": 0}
    across = np.broadcast_to(PER_ROW[:, None], (12, 6))
    one = per_row.fit(STEPS, TARGETS, sample_weight=PER_ROW, **options).history
    other = spread.fit(STEPS, TARGETS, sample_weight=across, **options).history
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)
    results = [
        model.evaluate(STEPS, TARGETS, sample_weight=weight, batch_size=6, verbose=0)
        for model, weight in ((per_row, PER_ROW), (spread, across))
    ]
    np.testing.assert_allclose(*results, rtol=1e-5)


def counting(k: Any) -> Any:
    class Counter(k.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.total.assign(self.total + k.ops.sum(x))
            return x + self.total

    model = k.Sequential([k.layers.Input((4,)), Counter()])
    model.compile("sgd", "mse")
    return model


def test_what_call_assigns_lives_on_in_predict_and_evaluate_as_in_keras() -> None:
    x = RNG.normal(size=(13, 4)).astype("float32")
    pair = twins(counting)
    seen = [
        [
            model.predict(x, batch_size=5, verbose=0),
            model.evaluate(x, x, batch_size=5, verbose=0),
            model.predict_on_batch(x[:3]),
            model.test_on_batch(x[:3], x[:3]),
            float(model.layers[0].total),
        ]
        for model in pair
    ]
    for mine, expected in zip(seen[1], seen[0], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5)


def test_the_states_of_a_recurrent_layer_go_on_through_predict_evaluate_and_fit() -> None:
    """As documented; Keras 3.15 on JAX leaves them at zero outside of eager calls."""

    def make() -> Any:
        model = talweg.Sequential(
            [
                layers.Input(batch_shape=(4, 3, 2)),
                layers.SimpleRNN(3, stateful=True),
                layers.Dense(1),
            ]
        )
        model.compile(talweg.optimizers.SGD(0.0001), "mse")
        return model

    x = RNG.normal(size=(8, 3, 2)).astype("float32")
    model, by_hand = make(), make()
    by_hand.set_weights(model.get_weights())
    expected = np.concatenate([by_hand(x[:4]), by_hand(x[4:])])
    np.testing.assert_allclose(model.predict(x, batch_size=4), expected, rtol=1e-5)
    expected = np.concatenate([by_hand(x[:4]), by_hand(x[4:])])
    np.testing.assert_allclose(model.predict(x, batch_size=4), expected, rtol=1e-5)
    errors = [np.mean(np.square(by_hand(part) - part[:, 0, :1])) for part in (x[:4], x[4:])]
    loss = model.evaluate(x, x[:, 0, :1], batch_size=4, verbose=0)
    np.testing.assert_allclose(loss, np.mean(errors), rtol=1e-5)
    before = [np.array(state) for state in model.layers[0].states]
    model.fit(x, x[:, 0, :1], batch_size=4, verbose=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, model.layers[0].states, strict=True))
    model.layers[0].reset_state()
    by_hand.set_weights(model.get_weights())
    by_hand.layers[0].reset_state()
    np.testing.assert_allclose(model.predict(x[:4], batch_size=4), by_hand(x[:4]), rtol=1e-5)


def test_a_metric_that_a_layer_holds_is_logged_by_fit_and_nobodys_in_predict() -> None:
    class Watched(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.size = talweg.metrics.Mean(name="size")

        def call(self, x: Any) -> Any:
            self.size.update_state(talweg.ops.mean(x))
            return x

    x = np.full((6, 2), 3.0, "float32")
    model = talweg.Sequential([layers.Input((2,)), Watched(), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(x, x[:, :1], batch_size=2, verbose=0).history
    assert history["size"] == [3.0]
    before = [np.array(v) for v in model.layers[0].size.variables]
    model.predict(x + 1)
    for variable, value in zip(model.layers[0].size.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_predict_step_of_the_users_is_what_predict_returns() -> None:
    def build(k: Any) -> Any:
        class Shifted(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.dense = k.layers.Dense(1)

            def call(self, x: Any, training: bool | None = None) -> Any:
                return self.dense(x)

            def predict_step(self, state: Any, data: Any) -> Any:
                trainable, fixed = state
                x = data[0] if isinstance(data, (tuple, list)) else data
                outputs, fixed = self.stateless_call(trainable, fixed, x, training=False)
                return outputs * 2 + 1, fixed

        return Shifted()

    x = RNG.normal(size=(7, 3)).astype("float32")
    pair = twins(build, x)
    expected, mine = (model.predict(x, batch_size=3, verbose=0) for model in pair)
    np.testing.assert_allclose(mine, expected, rtol=1e-5)
    np.testing.assert_allclose(pair.talweg.predict_on_batch(x), expected, rtol=1e-5)
