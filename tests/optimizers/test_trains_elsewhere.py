"""Methods that train one point and are used at another: whoever looks, sees the one to use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import callbacks, layers, optimizers
from talweg.testing.problems import assert_close, assert_same

X = np.random.default_rng(5).normal(size=(96, 4)).astype("float32")
Y = X[:, :1] * X[:, 1:2]
BATCH = 16

MAKERS = {
    "ScheduleFreeAdamW": lambda: optimizers.ScheduleFreeAdamW(0.05, warmup_steps=3),
    "ScheduleFreeSGD": lambda: optimizers.ScheduleFreeSGD(0.1),
    "ASGD": lambda: optimizers.ASGD(0.05, t0=3),
    "inside": lambda: optimizers.ByPath({"head/*": optimizers.ScheduleFreeSGD(0.1)}, "sgd"),
}


def model_of(optimizer):
    talweg.utils.set_random_seed(1)
    model = talweg.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="tanh", name="body"),
         layers.Dense(1, name="head")]
    )  # fmt: skip
    model.compile(optimizer, "mse")
    return model


def loss_at(weights, x=X, y=Y):
    a, b, c, d = weights
    return jnp.mean(jnp.square(jnp.tanh(x @ a + b) @ c + d - y))


def by_hand(make, epochs):
    """The points that are trained and those to use, at every epoch's end."""
    optimizer = make()
    model = model_of(optimizer)
    optimizer.build(model.trainable_variables)
    params, state = [v.value for v in model.trainable_variables], optimizer.cells_now()
    step = jax.jit(
        lambda p, s, x, y: optimizer.update_built(jax.grad(lambda w: loss_at(w, x, y))(p), s, p)
    )
    points = []
    for _ in range(epochs):
        for start in range(0, len(X), BATCH):
            params, state = step(params, state, X[start:][:BATCH], Y[start:][:BATCH])
        points.append((params, optimizer.evaluation_leaves(params, state, optimizer.tensors)))
    return points


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("name", MAKERS)
def test_validation_callbacks_and_the_model_after_fit_see_the_weights_to_use(name):
    points = by_hand(MAKERS[name], 3)
    model = model_of(MAKERS[name]())
    seen = []

    class Look(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights())

    history = model.fit(
        X, Y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y),
        callbacks=[Look()],
    )  # fmt: skip
    for epoch, (trained, used) in enumerate(points):
        assert_close(seen[epoch], used, f"epoch {epoch}")
        expected = float(loss_at(used))
        assert history.history["val_loss"][epoch] == pytest.approx(expected, rel=1e-4)
        assert any(not np.allclose(a, b, rtol=1e-4) for a, b in zip(trained, used, strict=True))
    assert_same(model.get_weights(), seen[-1], "after fit")
    last = history.history["val_loss"][-1]
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(last, rel=1e-6)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("name", MAKERS)
def test_a_second_fit_goes_on_with_the_same_bits(name):
    whole, halves = model_of(MAKERS[name]()), model_of(MAKERS[name]())
    arguments = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    whole.fit(X, Y, epochs=4, **arguments)
    halves.fit(X, Y, epochs=2, **arguments)
    halves.evaluate(X, Y, verbose=0)
    halves.fit(X, Y, epochs=4, initial_epoch=2, **arguments)
    assert_same(halves.get_weights(), whole.get_weights(), "two fits")


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("name", [*MAKERS, "EMA", "SWA"])
def test_training_goes_on_from_a_file_with_the_same_bits(name, tmp_path):
    averages = {
        "EMA": lambda: optimizers.EMA("adam", momentum=0.9),
        "SWA": lambda: optimizers.SWA(optimizers.SGD(0.1), start=4, every=2),
    }
    make = (MAKERS | averages)[name]
    whole, half = model_of(make()), model_of(make())
    arguments = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    whole.fit(X, Y, epochs=4, **arguments)
    half.fit(X, Y, epochs=2, **arguments)
    half.save(tmp_path / "half.keras")
    again = talweg.models.load_model(tmp_path / "half.keras")
    assert_same(again.get_weights(), half.get_weights(), "from the file")
    again.fit(X, Y, epochs=4, initial_epoch=2, **arguments)
    assert_same(again.get_weights(), whole.get_weights(), "trained on")


def test_train_on_batch_leaves_the_weights_to_use():
    points = by_hand(MAKERS["ScheduleFreeAdamW"], 1)
    model = model_of(MAKERS["ScheduleFreeAdamW"]())
    for start in range(0, len(X), BATCH):
        model.train_on_batch(X[start:][:BATCH], Y[start:][:BATCH])
        model.evaluate(X, Y, verbose=0)
    assert_close(model.get_weights(), points[-1][1], "after the batches")


def test_weights_that_a_callback_sets_are_where_training_goes_on_from():
    model = model_of(MAKERS["ScheduleFreeSGD"]())
    start = model.get_weights()

    class Restore(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights(start)

    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Restore()])
    assert_close(model.get_weights(), start, "what the last callback set")


def test_an_interrupted_epoch_leaves_the_weights_to_use():
    model = model_of(MAKERS["ScheduleFreeSGD"]())

    class Break(callbacks.Callback):
        reads = "weights"

        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=BATCH, verbose=0, callbacks=[Break()])
    optimizer = model.optimizer
    here = model.get_weights()
    optimizer.move_to_training()
    there = [v.value for v in model.trainable_variables]
    used = optimizer.evaluation_leaves(there, optimizer.cells_now(), optimizer.tensors)
    assert_close(here, used, "after the interruption")
    assert any(not np.allclose(a, b, rtol=1e-4) for a, b in zip(here, there, strict=True))


@pytest.mark.battery
def test_compare_scores_the_weights_to_use():
    from sklearn.model_selection import KFold

    def build():  # whole parts as batches, from zeros: nothing is left to chance
        return talweg.Sequential([layers.Input((4,)), layers.Dense(1, kernel_initializer="zeros")])

    make = MAKERS["ScheduleFreeAdamW"]
    result = talweg.compare(
        build, X, Y, optimizers={"free": make()}, learning_rates=[0.05], folds=KFold(2), epochs=4,
        batch_size=len(X), loss="mse", verbose=0,
    )  # fmt: skip
    for trial, (train, test) in zip(result.trials, KFold(2).split(X), strict=True):
        model = build()
        model.compile(make(), "mse")
        history = model.fit(
            X[train], Y[train], batch_size=len(X), epochs=4, verbose=0,
            validation_data=(X[test], Y[test]),
        )  # fmt: skip
        np.testing.assert_allclose(trial.curves["val_loss"], history.history["val_loss"], rtol=1e-5)
