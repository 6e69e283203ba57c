"""Subclassed models against Keras on JAX: one source text, run with both."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from models.twins import (
    Twins,
    assert_same_history,
    assert_same_weights,
    despite_the_race,
    numbers,
    twins,
)

# Keras's own arrays trip over NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers()
LABELS = (X[:, 0] > 0).astype("int32")
W = np.linspace(0.5, 1.5, len(X)).astype("float32")


def fit_both(pair: Twins, *data: Any, rtol: float = 1e-5, **arguments: Any) -> None:
    """Fit both with the same arguments; History and weights must agree."""
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0, **arguments}
    histories = [model.fit(*data, **options) for model in pair]
    assert_same_history(histories[1], histories[0], rtol)
    assert_same_weights(pair, rtol)


# -- several outputs ---------------------------------------------------------------------


def two_heads(k: Any, named: bool) -> Any:
    class TwoHeads(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = k.layers.Dense(6, activation="tanh")
            self.number = k.layers.Dense(1)
            self.kind = k.layers.Dense(2, activation="softmax")

        def call(self, x: Any) -> Any:
            h = self.hidden(x)
            if named:
                return {"number": self.number(h), "kind": self.kind(h)}
            return [self.number(h), self.kind(h)]

    return TwoHeads()


NAMED: dict[str, dict[str, Any]] = {
    "losses": {"loss": {"number": "mse", "kind": "sparse_categorical_crossentropy"}},
    "weights": {
        "loss": {"number": "mse", "kind": "sparse_categorical_crossentropy"},
        "loss_weights": {"number": 0.3, "kind": 2.0},
    },
    "metrics": {
        "loss": {"number": "mse", "kind": "sparse_categorical_crossentropy"},
        "metrics": {"number": ["mae", "mse"], "kind": "accuracy"},
        "weighted_metrics": {"number": ["mae"]},
    },
    "one without a loss": {
        "loss": {"kind": "sparse_categorical_crossentropy"},
        "metrics": {"kind": ["accuracy"]},
    },
}
LISTED: dict[str, dict[str, Any]] = {
    "losses": {"loss": ["mse", "sparse_categorical_crossentropy"]},
    "weights": {
        "loss": ["mse", "sparse_categorical_crossentropy"],
        "loss_weights": [0.3, 2.0],
        "metrics": [["mae"], ["accuracy"]],
    },
}


@pytest.mark.sampled
@pytest.mark.parametrize("case", NAMED)
def test_a_dict_of_outputs_trains_as_in_keras(case: str) -> None:
    def build(k: Any) -> Any:
        model = two_heads(k, named=True)
        model.compile(k.optimizers.SGD(0.05), **NAMED[case])
        return model

    pair = twins(build, X[:2])
    y = {"number": Y, "kind": LABELS}
    fit_both(pair, X, y, validation_split=0.2)
    results = [m.evaluate(X, y, verbose=0, return_dict=True) for m in pair]
    assert list(results[1]) == list(results[0])
    np.testing.assert_allclose(list(results[1].values()), list(results[0].values()), rtol=1e-5)
    lists = [m.evaluate(X, y, verbose=0) for m in pair]
    np.testing.assert_allclose(lists[1], lists[0], rtol=1e-5)
    predictions = [m.predict(X, verbose=0) for m in pair]
    assert set(predictions[1]) == {"number", "kind"}
    for name in predictions[1]:
        np.testing.assert_allclose(predictions[1][name], predictions[0][name], rtol=1e-4, atol=1e-6)


@pytest.mark.battery
@pytest.mark.parametrize("case", LISTED)
def test_a_list_of_outputs_trains_as_in_keras(case: str) -> None:
    def build(k: Any) -> Any:
        model = two_heads(k, named=False)
        model.compile(k.optimizers.SGD(0.05), **LISTED[case])
        return model

    pair = twins(build, X[:2])
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    histories = [m.fit(X, [Y, LABELS], sample_weight=[W, W], **options) for m in pair]
    assert_same_history(histories[1], histories[0])
    lists = [m.evaluate(X, [Y, LABELS], verbose=0) for m in pair]
    np.testing.assert_allclose(lists[1], lists[0], rtol=1e-5)
    assert_same_weights(pair)
    predictions = [m.predict(X, verbose=0) for m in pair]
    assert isinstance(predictions[1], list)
    for mine, reference in zip(*predictions, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-6)


def test_several_inputs_come_as_a_list_a_tuple_or_a_dict() -> None:
    def build(k: Any) -> Any:
        class Sum(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = k.layers.Dense(1), k.layers.Dense(1)

            def call(self, inputs: Any) -> Any:
                if isinstance(inputs, dict):
                    inputs = inputs["left"], inputs["right"]
                return self.a(inputs[0]) + self.b(inputs[1])

        model = Sum()
        model.compile(k.optimizers.SGD(0.05), "mse")
        return model

    for inputs in ([X, X * 2], (X, X * 2), {"left": X, "right": X * 2}):
        pair = twins(build, inputs)
        fit_both(pair, inputs, Y, validation_split=0.2)


# -- overrides ---------------------------------------------------------------------------


def dense_model(k: Any, base: type) -> Any:
    class Dense(base):
        def __init__(self) -> None:
            super().__init__()
            self.dense = k.layers.Dense(1)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.dense(x)

    return Dense()


def test_compute_loss_override_is_used() -> None:
    def build(k: Any) -> Any:
        class Base(k.Model):
            def compute_loss(
                self,
                x: Any = None,
                y: Any = None,
                y_pred: Any = None,
                sample_weight: Any = None,
                training: bool = True,
            ) -> Any:
                return k.ops.mean(k.ops.abs(y - y_pred)) + (1.0 if training else 3.0)

        model = dense_model(k, Base)
        model.compile(k.optimizers.SGD(0.05), metrics=["mse"])
        return model

    fit_both(twins(build, X[:2]), X, Y, validation_split=0.2)


def test_compute_loss_that_adds_to_the_usual_one_and_keeps_a_metric() -> None:
    def build(k: Any) -> Any:
        class Base(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.size = k.metrics.Mean(name="size")

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
                loss = super().compute_loss(x, y, y_pred, sample_weight, training)
                size = k.ops.mean(k.ops.square(y_pred))
                self.size.update_state(size)
                return loss + 0.1 * size

        model = dense_model(k, Base)
        model.compile(k.optimizers.SGD(0.05), "mse", metrics=["mae"])
        return model

    fit_both(twins(build, X[:2]), X, Y, validation_split=0.2)


def test_a_loss_of_the_inputs_alone_is_validated_on_inputs_alone() -> None:
    def build(k: Any) -> Any:
        class Base(k.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
                return k.ops.mean(k.ops.square(y_pred - x[:, :1]))

        model = dense_model(k, Base)
        model.compile(k.optimizers.SGD(0.05))
        return model

    fit_both(twins(build, X[:2]), X, validation_data=(X[:20],))


def test_metrics_of_a_model_inside_are_not_reported() -> None:
    def build(k: Any) -> Any:
        class Inner(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.dense = k.layers.Dense(1)
                self.loss_tracker = k.metrics.Mean(name="loss")

            def call(self, x: Any) -> Any:
                y = self.dense(x)
                self.loss_tracker.update_state(k.ops.mean(y))
                return y

        class Outer(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.inner = Inner()
                self.inner.compile("sgd", "mse", metrics=[k.metrics.MeanAbsoluteError(name="mae")])

            def call(self, x: Any) -> Any:
                return self.inner(x)

        model = Outer()
        model.compile(k.optimizers.SGD(0.05), "mse", metrics=[k.metrics.MeanAbsoluteError("mae")])
        return model

    pair = twins(build, X[:2])
    fit_both(pair, X, Y)
    results = [m.evaluate(X, Y, verbose=0) for m in pair]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_allclose(*[m.predict(X, verbose=0) for m in pair], rtol=1e-4, atol=1e-6)


def test_compute_metrics_override_is_logged() -> None:
    def build(k: Any) -> Any:
        class Base(k.Model):
            def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
                logs = super().compute_metrics(x, y, y_pred, sample_weight)
                logs["double"] = 2.0 * logs["mae"]
                return logs

        model = dense_model(k, Base)
        model.compile(k.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
        return model

    fit_both(twins(build, X[:2]), X, Y, validation_split=0.2)


@pytest.mark.parametrize("scale", [None, 8.0])
def test_train_step_override_that_calls_super(scale: float | None) -> None:
    def build(k: Any) -> Any:
        class Base(k.Model):
            def train_step(self, state: Any, data: Any) -> Any:
                logs, state = super().train_step(state, data)
                return {**logs, "twice": logs["loss"] * 2}, state

        model = dense_model(k, Base)
        model.compile(k.optimizers.Adam(0.01, loss_scale_factor=scale), "mse", metrics=["mae"])
        return model

    fit_both(twins(build, X[:2]), X, Y, sample_weight=W)


def test_a_train_step_and_a_test_step_written_from_scratch() -> None:
    """As in Keras's guide for JAX."""

    def build(k: Any) -> Any:
        class Base(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.loss_tracker = k.metrics.Mean(name="loss")
                self.mae_metric = k.metrics.MeanAbsoluteError(name="mae")
                self.loss_fn = k.losses.MeanSquaredError()

            def compute_loss_and_updates(
                self, trainable: Any, non_trainable: Any, x: Any, y: Any, training: bool = False
            ) -> Any:
                y_pred, non_trainable = self.stateless_call(
                    trainable, non_trainable, x, training=training
                )
                return self.loss_fn(y, y_pred), (y_pred, non_trainable)

            def train_step(self, state: Any, data: Any) -> Any:
                trainable, non_trainable, optimizer, metrics = state
                x, y = data
                grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
                (loss, (y_pred, non_trainable)), grads = grad_fn(
                    trainable, non_trainable, x, y, training=True
                )
                trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
                loss_state = self.loss_tracker.stateless_update_state(metrics[:2], loss)
                mae_state = self.mae_metric.stateless_update_state(metrics[2:], y, y_pred)
                logs = {
                    "loss": self.loss_tracker.stateless_result(loss_state),
                    "mae": self.mae_metric.stateless_result(mae_state),
                }
                return logs, (trainable, non_trainable, optimizer, [*loss_state, *mae_state])

            def test_step(self, state: Any, data: Any) -> Any:
                trainable, non_trainable, metrics = state
                x, y = data
                y_pred, non_trainable = self.stateless_call(
                    trainable, non_trainable, x, training=False
                )
                loss = self.loss_fn(y, y_pred)
                loss_state = self.loss_tracker.stateless_update_state(metrics[:2], loss)
                mae_state = self.mae_metric.stateless_update_state(metrics[2:], y, y_pred)
                logs = {"loss": self.loss_tracker.stateless_result(loss_state)}
                return logs, (trainable, non_trainable, [*loss_state, *mae_state])

            @property
            def metrics(self) -> list[Any]:
                return [self.loss_tracker, self.mae_metric]

        model = dense_model(k, Base)
        model.compile(optimizer=k.optimizers.Adam(0.01))
        return model

    pair = twins(build, X[:2])
    fit_both(pair, X, Y, validation_data=(X, Y))
    results = [m.evaluate(X, Y, verbose=0) for m in pair]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)


def test_a_train_step_may_train_a_part_with_an_optimizer_built_on_it() -> None:
    """As programs with two networks and an optimizer for each do: GANs."""

    def build(k: Any) -> Any:
        class Base(k.Model):
            def train_step(self, state: Any, data: Any) -> Any:
                trainable, fixed, slots, metrics = state
                x, y = data

                def loss_of(last: Any) -> Any:
                    y_pred, _ = self.stateless_call([*trainable[:-2], *last], fixed, x)
                    return k.ops.mean(k.ops.square(y - y_pred))

                loss, grads = jax.value_and_grad(loss_of)(trainable[-2:])
                last, slots = self.optimizer.stateless_apply(slots, grads, trainable[-2:])
                return {"error": loss}, ([*trainable[:-2], *last], fixed, slots, metrics)

        model = dense_model(k, Base)
        model(X[:2])
        model.compile(optimizer=k.optimizers.Adam(0.01))
        model.optimizer.build(model.trainable_variables[-2:])
        return model

    pair = twins(build, X[:2])
    before = [v.numpy() for v in pair.talweg.trainable_variables]
    fit_both(pair, X, Y)
    after = pair.talweg.trainable_variables
    moved = [(a != v.numpy()).any() for a, v in zip(before, after, strict=True)]
    assert moved == [False] * (len(before) - 2) + [True] * 2


def test_a_custom_step_whose_loss_is_not_finite_keeps_the_weights() -> None:
    class Broken(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = talweg.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, state: Any, data: Any) -> Any:
            trainable, *rest = state
            grown = [p * 1e30 for p in trainable]
            return {"loss": jnp.sum(grown[0])}, (grown, *rest)

    model = Broken()
    model.compile("sgd", "mse")
    with pytest.warns(RuntimeWarning, match="was not finite"):
        model.fit(X, Y, batch_size=10, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


@despite_the_race
def test_added_losses_and_activity_regularizers_in_subclasses() -> None:
    def build(k: Any) -> Any:
        class Penalty(k.layers.Layer):
            def call(self, x: Any) -> Any:
                self.add_loss(0.1 * k.ops.mean(k.ops.square(x)))
                return x

        class Penalized(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.hidden = k.layers.Dense(
                    4, activity_regularizer="l1", kernel_regularizer=k.regularizers.L2(0.01)
                )
                self.penalty = Penalty()
                self.head = k.layers.Dense(1)

            def call(self, x: Any) -> Any:
                h = self.penalty(self.hidden(x))
                self.add_loss(0.01 * k.ops.sum(k.ops.abs(h)))
                return self.head(h)

        model = Penalized()
        model.compile(k.optimizers.SGD(0.02), "mse", metrics=["mse"])
        return model

    pair = twins(build, X[:2])
    fit_both(pair, X, Y, validation_split=0.2)
    results = [m.evaluate(X, Y, verbose=0) for m in pair]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    assert results[1][0] > results[1][1]


def test_the_training_flag_reaches_call() -> None:
    def build(k: Any) -> Any:
        class Flagged(k.Model):
            def __init__(self) -> None:
                super().__init__()
                self.dense = k.layers.Dense(1)

            def call(self, x: Any, training: bool = False) -> Any:
                return self.dense(x) * (2.0 if training else 1.0)

        model = Flagged()
        model.compile(k.optimizers.SGD(0.02), "mse")
        return model

    pair = twins(build, X[:2])
    fit_both(pair, X, Y, validation_split=0.2)
    outputs = [m.predict(X, verbose=0) for m in pair]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)


def test_a_metric_object_and_functions_as_loss_and_metric() -> None:
    def build(k: Any) -> Any:
        def absolute(y: Any, p: Any) -> Any:
            return k.ops.mean(k.ops.abs(y - p), axis=-1)

        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(1)])
        model.compile(
            k.optimizers.SGD(0.05),
            loss=absolute,
            metrics=[k.metrics.MeanSquaredError(name="squares"), absolute, "mae"],
        )
        return model

    fit_both(twins(build), X, Y, sample_weight=W, validation_split=0.2)


@pytest.mark.parametrize("head", ["sigmoid", "softmax", "one-hot"])
def test_accuracy_picks_its_kind_from_the_shapes(head: str) -> None:
    losses = {
        "sigmoid": "binary_crossentropy",
        "softmax": "sparse_categorical_crossentropy",
        "one-hot": "categorical_crossentropy",
    }
    y = np.eye(3, dtype="float32")[LABELS + 1] if head == "one-hot" else LABELS

    def build(k: Any) -> Any:
        units, activation = (1, "sigmoid") if head == "sigmoid" else (3, "softmax")
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(units, activation=activation)])
        model.compile(k.optimizers.SGD(0.05), losses[head], metrics=["accuracy"])
        return model

    fit_both(twins(build), X, y)


def test_loss_and_metrics_come_in_the_order_of_compile() -> None:
    model = talweg.Sequential([talweg.layers.Dense(1, activation="sigmoid", input_dim=4)])
    model.compile("sgd", "binary_crossentropy", metrics=["mse", "accuracy"])
    named = model.evaluate(X, LABELS, verbose=0, return_dict=True)
    listed = model.evaluate(X, LABELS, verbose=0)
    assert listed == [named["loss"], named["mse"], named["accuracy"]]
    assert model.metrics_names == ["loss", "mse", "accuracy"]
