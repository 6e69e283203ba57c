"""A Keras model trained by talweg goes where Keras's own fit takes it."""

import keras
import numpy as np
import pytest

import talweg
from models.twins import despite_the_race, labels, numbers
from talweg.adapters import keras_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS = keras.layers


def dense():
    return keras.Sequential(
        [
            keras.Input((4,)),
            LAYERS.Dense(
                8, activation="relu", kernel_regularizer="l2", kernel_constraint="unit_norm"
            ),
            LAYERS.Dense(1),
        ]
    )


def normalized():
    """Batch statistics, noise, a frozen layer and a penalty on activations."""
    inputs = keras.Input((4,))
    x = LAYERS.Dense(8, trainable=False)(inputs)
    x = LAYERS.BatchNormalization(momentum=0.8)(x)
    x = LAYERS.Dense(6, activation="tanh", activity_regularizer="l2")(x)
    x = LAYERS.Dropout(0.4, seed=3)(x)
    return keras.Model(inputs, LAYERS.Dense(1)(x))


class Own(keras.Model):
    """A subclassed model with a loss of its own."""

    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.head = LAYERS.Dense(5), LAYERS.Dropout(0.3), LAYERS.Dense(1)

    def call(self, x, training=False):
        x = self.drop(self.hidden(x), training=training)
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(x)))
        return self.head(x)


def pair(build):
    """The same model twice: weights, seeds and all."""
    keras.utils.set_random_seed(1)
    models = build(), build()
    for model in models:
        model(np.zeros((2, 4), "float32"))
    for a, b in zip(models[0].variables, models[1].variables, strict=True):
        b.assign(np.asarray(a.value))
    return models


def assert_same(model, reference, rtol=1e-5):
    for ours, theirs in zip(model.variables, reference.variables, strict=True):
        np.testing.assert_allclose(
            np.asarray(ours.value), np.asarray(theirs.value), rtol, 1e-6, err_msg=ours.path
        )


@pytest.mark.sampled(count=1)
@pytest.mark.parametrize(
    ("build", "name"), [(normalized, "SGD"), (dense, "Adam"), (normalized, "Adam"), (Own, "SGD")]
)
@despite_the_race
def test_fit_goes_where_keras_goes(build, name):
    x, y = numbers()
    reference, model = pair(build)
    reference.compile(getattr(keras.optimizers, name)(0.01), "mse", metrics=["mae"])
    theirs = reference.fit(
        x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y)
    )
    adapted = keras_model(model)
    adapted.compile(getattr(talweg.optimizers, name)(0.01), "mse", metrics=["mae"])
    ours = adapted.fit(
        x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y)
    )
    assert_same(model, reference)
    for key, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[key], values, 1e-5, 1e-6, err_msg=key)
    np.testing.assert_allclose(
        adapted.evaluate(x, y, verbose=0), reference.evaluate(x, y, verbose=0), 1e-5, 1e-6
    )
    np.testing.assert_allclose(adapted.predict(x), model.predict(x, verbose=0), 1e-5, 1e-6)


def test_batches_one_by_one_and_several_outputs():
    def build():
        inputs = keras.Input((4,))
        heads = {"a": LAYERS.Dense(1, name="a")(inputs), "b": LAYERS.Dense(3, name="b")(inputs)}
        return keras.Model(inputs, heads)

    x, y = numbers()
    targets = {"a": y, "b": labels()[1]}
    losses = {
        "a": "mse",
        "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    reference, model = pair(build)
    reference.compile(keras.optimizers.SGD(0.1), losses)
    adapted = keras_model(model)
    losses["b"] = talweg.losses.SparseCategoricalCrossentropy(from_logits=True)
    adapted.compile(talweg.optimizers.SGD(0.1), losses)
    for _ in range(3):
        theirs = reference.train_on_batch(x, targets, return_dict=True)
        ours = adapted.train_on_batch(x, targets, return_dict=True)
    assert_same(model, reference)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_weights_are_written_back_when_fit_ends_early(error):
    class Stop(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise error

    x, y = numbers()
    model, _ = pair(dense)
    before = [np.array(weight) for weight in model.get_weights()]
    adapted = keras_model(model)
    adapted.compile("sgd", "mse")
    with pytest.raises(error):
        adapted.fit(x, y, verbose=0, callbacks=[Stop()])
    assert not np.allclose(model.get_weights()[0], before[0])
    for mine, theirs in zip(adapted.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), np.asarray(theirs.value))


def test_both_libraries_may_train_in_turn():
    x, y = numbers()
    model, _ = pair(dense)
    adapted = keras_model(model)
    adapted.compile("sgd", "mse")
    model.compile("sgd", "mse")
    for _ in range(2):
        adapted.fit(x, y, verbose=0)
        model.fit(x, y, verbose=0)
        adapted.read()
    np.testing.assert_allclose(adapted.predict(x), model.predict(x, verbose=0), 1e-5, 1e-6)


def test_read_and_write_back_at_any_time():
    model, other = pair(dense)
    adapted = keras_model(model)
    other.set_weights([weight + 1 for weight in other.get_weights()])
    model.set_weights(other.get_weights())
    adapted.read()
    np.testing.assert_array_equal(adapted.get_weights()[0], other.get_weights()[0])
    adapted.set_weights([weight * 2 for weight in other.get_weights()])
    adapted.write_back()
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0] * 2)


def test_no_step_recompiles_and_the_rate_stays_live():
    class Halve(talweg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    x, y = numbers()
    adapted = keras_model(pair(normalized)[0])
    adapted.compile(talweg.optimizers.SGD(0.1), "mse")
    history = adapted.fit(x, y, epochs=3, verbose=0, callbacks=[Halve()]).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05, 0.025])
    assert set(adapted._ready().train_program.traces.values()) == {1}


def test_optimizer_knows_weights_by_their_paths():
    model, _ = pair(dense)
    adapted = keras_model(model)
    assert [v.path for v in adapted.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]


@pytest.mark.battery
def test_adapted_models_are_compared():
    x, y = numbers()
    result = talweg.compare(
        lambda: keras_model(dense()), x, y, optimizers=["sgd", "adam"],
        learning_rates=[1e-6, 0.05], folds=2, epochs=2, verbose=0, loss="mse", metrics=[],
    )  # fmt: skip
    assert result.best.learning_rate == 0.05


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(TypeError, match=r"keras\.Model"):
        keras_model(talweg.Sequential([]))
    with pytest.raises(ValueError, match="built"):
        keras_model(Own())
    with pytest.raises(TypeError, match="its own library"):
        talweg.core.serialization.serialize_keras_object(keras_model(dense()))
