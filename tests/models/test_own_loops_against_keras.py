"""Training loops of the user's own, and the pure forms of models that they are made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from models.twins import assert_same_weights, numbers, twins
from talweg import layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(20)


def plain(k: Any) -> Any:
    return k.Sequential(
        [
            k.layers.Input((4,)),
            k.layers.Dense(3, activation="tanh", kernel_regularizer="l2", name="hidden"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.Dense(1, name="head"),
        ],
        name="net",
    )


def test_a_loop_over_stateless_calls_trains_as_in_keras() -> None:
    pair = twins(plain)
    found = []
    for k, model in pair.each():
        optimizer, loss_of = k.optimizers.Adam(0.01), k.losses.MeanSquaredError()
        mae = k.metrics.MeanAbsoluteError()
        optimizer.build(model.trainable_variables)
        groups = [
            model.trainable_variables, model.non_trainable_variables, optimizer.variables,
            mae.variables,
        ]  # fmt: skip

        def objective(
            trainable: Any, fixed: Any, metrics: Any, model=model, loss_of=loss_of, mae=mae
        ) -> Any:  # type: ignore[no-untyped-def]
            outputs, fixed, losses = model.stateless_call(
                trainable, fixed, X, training=True, return_losses=True
            )
            metrics = mae.stateless_update_state(metrics, Y, outputs)
            return loss_of(Y, outputs) + sum(losses), (fixed, metrics)

        @jax.jit
        def step(state: Any, objective=objective, optimizer=optimizer) -> Any:  # type: ignore[no-untyped-def]
            trainable, fixed, slots, metrics = state
            gradient = jax.value_and_grad(objective, has_aux=True)
            (loss, (fixed, metrics)), grads = gradient(trainable, fixed, metrics)
            trainable, slots = optimizer.stateless_apply(slots, grads, trainable)
            return loss, (trainable, fixed, slots, metrics)

        state: Any = tuple([v.value for v in group] for group in groups)
        for _ in range(3):
            loss, state = step(state)
        for variables, values in zip(groups, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        found.append((float(loss), float(mae.result())))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    assert_same_weights(pair)


def test_stateless_compute_loss_is_that_of_keras() -> None:
    pair = twins(plain)
    found = []
    for model in pair:
        model.compile("sgd", "mse", metrics=["mae"])
        model.train_on_batch(X, Y)
    pair.talweg.set_weights(pair.keras.get_weights())
    for model in pair:
        groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
        values = [[v.value for v in group] for group in groups]
        loss, after = model.stateless_compute_loss(*values, x=X, y=Y, y_pred=Y * 0)
        assert [len(group) for group in after] == [len(group) for group in values]
        found.append(float(loss))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_apply_in_place_follows_keras() -> None:
    pair = twins(plain)
    for k, model in pair.each():
        optimizer = k.optimizers.SGD(0.1, momentum=0.9)
        fixed = [v.value for v in model.non_trainable_variables]

        def loss(trainable: Any, model=model, fixed=fixed) -> Any:  # type: ignore[no-untyped-def]
            return jnp.mean((model.stateless_call(trainable, fixed, X)[0] - Y) ** 2)

        for _ in range(2):
            grads = jax.grad(loss)([v.value for v in model.trainable_variables])
            optimizer.apply(grads, model.trainable_variables)
    assert_same_weights(pair)


def test_the_state_tree_has_keras_paths_and_goes_back() -> None:
    trees = []
    pair = twins(plain)
    for k, model in pair.each():
        model.compile(k.optimizers.Adam(name="adam"), "mse", metrics=["mae"])
        model.train_on_batch(X, Y)
        trees.append(model.get_state_tree("numpy_array"))

    def shapes(tree: Any) -> Any:
        return {k: shapes(v) if isinstance(v, dict) else np.shape(v) for k, v in tree.items()}

    for tree in trees:
        tree["non_trainable_variables"].pop("seed_generator", None)
    assert shapes(trees[1]) == shapes(trees[0])
    model = pair.talweg
    tree = model.get_state_tree()
    kept = model.get_weights()
    model.fit(X, Y, verbose=0)
    model.set_state_tree(tree)
    for one, other in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(model.optimizer.iterations) == 1
    with pytest.raises(ValueError, match="group"):
        model.set_state_tree({"weights": {}})
    with pytest.raises(ValueError, match="path"):
        model.set_state_tree({"trainable_variables": {"dense": {"kernle": 0.0}}})
    with pytest.raises(ValueError, match="value_format"):
        model.get_state_tree("list")


def test_metrics_that_a_model_leaves_out_are_not_counted() -> None:
    """As in Keras's guide to an own compute_loss with its own tracker."""

    def build(k: Any) -> Any:
        class Own(k.Model):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.tracker = k.metrics.Mean(name="my_loss")

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
                loss = k.ops.mean(k.ops.square(y_pred - y)) + sum(self.losses)
                self.tracker.update_state(loss)
                return loss

            @property
            def metrics(self) -> list[Any]:
                return [self.tracker]

        x = k.Input((4,))
        model = Own(x, k.layers.Dense(1, kernel_regularizer="l2")(x))
        model.compile(optimizer=k.optimizers.SGD(0.1))
        return model

    pair = twins(build)
    options = {"batch_size": 10, "shuffle": False, "verbose": 0}
    histories = [model.fit(X, Y, **options).history for model in pair]
    histories[1].pop("learning_rate")
    assert list(histories[1]) == list(histories[0]) == ["my_loss"]
    np.testing.assert_allclose(histories[1]["my_loss"], histories[0]["my_loss"], rtol=1e-5)
    assert_same_weights(pair)


def test_a_stateless_scope_keeps_what_is_assigned() -> None:
    one, other = talweg.Variable([1.0, 2.0]), talweg.Variable(3.0)
    with talweg.StatelessScope([(one, jnp.zeros(2))]) as scope:
        one.assign_add([1.0, 1.0])
        other.assign(5.0)
        assert (one.numpy().tolist(), float(other)) == ([1.0, 1.0], 5.0)
        with talweg.StatelessScope() as inner:
            one.assign([7.0, 7.0])
        assert inner.get_current_value(one).tolist() == [7.0, 7.0]
        assert one.numpy().tolist() == [1.0, 1.0]
    assert (one.numpy().tolist(), float(other)) == ([1.0, 2.0], 3.0)
    assert float(scope.get_current_value(other)) == 5.0
    assert scope.get_current_value(talweg.Variable(1.0)) is None
    layer = layers.ActivityRegularization(l2=1.0)
    with talweg.StatelessScope(collect_losses=True) as collecting:
        layer(jnp.ones((2, 2)))
    assert [float(loss) for loss in collecting.losses] == [2.0]
    with pytest.raises(ValueError, match="shape"):
        talweg.StatelessScope([(one, jnp.zeros(3))])


def test_what_cannot_be_called_without_state_says_why() -> None:
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="built"):
        layer.stateless_call([], [], X)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="trainable_variables must be a list of 2"):
        layer.stateless_call([], [], X)


def test_an_eager_model_runs_the_users_code_on_values() -> None:
    seen: list[str] = []

    class Curious(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = layers.Dense(3), layers.Dense(1)

        def call(self, x: Any) -> Any:
            # JAX hides the values of what depends on the weights while it differentiates.
            seen.append(f"{float(jnp.mean(x)):.3f}")
            return self.head(self.hidden(x if float(jnp.max(x)) < 1e6 else x * 0))

    eager, compiled = Curious(), talweg.Sequential([layers.Dense(3), layers.Dense(1)])
    eager.compile(talweg.optimizers.SGD(0.1), "mse", run_eagerly=True)
    compiled.compile(talweg.optimizers.SGD(0.1), "mse")
    eager(X)
    compiled(X)
    compiled.set_weights(eager.get_weights())
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    one, other = (model.fit(X, Y, **options).history["loss"] for model in (eager, compiled))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    calls = len(seen)
    np.testing.assert_allclose(
        eager.predict(X, batch_size=5), compiled.predict(X, batch_size=5), rtol=1e-5
    )
    assert len(seen) == calls + 4
    np.testing.assert_allclose(
        eager.evaluate(X, Y, verbose=0), compiled.evaluate(X, Y, verbose=0), rtol=1e-5
    )
