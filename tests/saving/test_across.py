"""Files between Keras and talweg for the harder models: the same numbers, and on from there.

Each is trained by the one, written, read by the other, compared in every variable of model and
optimizer, and trained on by both alike.
"""

import keras
import numpy as np
import pytest

import talweg

RNG = np.random.default_rng(0)

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)]),
]


def dense(k, **options):
    return k.Sequential(
        [k.Input((6,)), k.layers.Dense(5, "tanh", **options), k.layers.Dense(2, **options)]
    )


def fit(model, x, y, **options):
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return model.fit(x, y, **options).history["loss"]


def numbers(*shape):
    return RNG.normal(size=shape).astype("f4")


def same(mine, other):
    """Equal, in the type of the reader: state for bfloat16 is of that type in Keras."""
    assert len(mine) == len(other)
    for ours, theirs in zip(mine, other, strict=True):
        a, b = np.asarray(ours.value), np.asarray(theirs.value)
        np.testing.assert_array_equal(a.astype("f4"), b.astype(a.dtype).astype("f4"))


def carried(first, reader, path, x, y, tolerance=1e-4, custom=None, trains_on=True):
    """The model as the other library reads it, after all was compared."""
    first.save(path)
    second = reader.models.load_model(path, custom_objects=custom)
    same(second.weights, first.weights)
    same(second.optimizer.variables, first.optimizer.variables)
    ours, theirs = second.predict(x, verbose=0), first.predict(x, verbose=0)
    np.testing.assert_allclose(
        np.asarray(ours, "f4"), np.asarray(theirs, "f4"), rtol=10 * tolerance, atol=tolerance
    )
    if trains_on:
        np.testing.assert_allclose(fit(second, x, y), fit(first, x, y), rtol=tolerance, atol=1e-6)
    return second


def test_float16_with_its_loss_scale(tmp_path, writer, reader):
    x, y = numbers(16, 6), numbers(16, 2)
    first = dense(writer, dtype="mixed_float16")
    inner = writer.optimizers.Adam(0.01)
    scaled = writer.optimizers.LossScaleOptimizer(
        inner, initial_scale=2.0**10, dynamic_growth_steps=3
    )
    first.compile(scaled, "mse")
    fit(first, x, y)
    assert float(first.optimizer.dynamic_scale) == 2.0**11
    second = carried(first, reader, str(tmp_path / "m.keras"), x, y, tolerance=2e-2)
    assert type(second.optimizer).__name__ == "LossScaleOptimizer"
    assert second.layers[0].dtype_policy.name == "mixed_float16"
    assert float(second.optimizer.dynamic_scale) == float(first.optimizer.dynamic_scale) == 2.0**12


@pytest.mark.battery
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_small_floats(tmp_path, writer, reader, dtype):
    x, y = numbers(16, 6), numbers(16, 2)
    first = dense(writer, dtype=dtype)
    first.compile(writer.optimizers.SGD(0.01, momentum=0.9), "mse")
    fit(first, x, y)
    second = carried(first, reader, str(tmp_path / "m.keras"), x, y, tolerance=3e-2)
    assert str(second.layers[0].compute_dtype) == dtype.removeprefix("mixed_")
    assert str(second.weights[0].dtype) == ("float32" if "mixed" in dtype else dtype)


@pytest.mark.sampled
def test_a_stateful_network_stays_stateful(tmp_path, writer, reader):
    x, y = numbers(16, 3, 4), numbers(16, 2)
    first = writer.Sequential(
        [
            writer.Input(batch_shape=(8, 3, 4)),
            writer.layers.LSTM(5, stateful=True, return_sequences=True),
            writer.layers.GRU(4, stateful=True),
            writer.layers.Dense(2),
        ]
    )
    first.compile("adam", "mse")
    fit(first, x, y)
    first.save(str(tmp_path / "m.keras"))
    second = reader.models.load_model(str(tmp_path / "m.keras"))
    assert second.layers[0].stateful
    same(second.weights, first.weights)
    reset(first, second)  # a file holds weights, and no states
    outputs = [[np.asarray(model(x[:8])) for _ in range(2)] for model in (first, second)]
    assert np.abs(outputs[0][0] - outputs[0][1]).max() > 1e-3
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-6)
    reset(first, second)
    one = {"epochs": 1, "batch_size": 8}
    np.testing.assert_allclose(
        fit(second, x[:8], y[:8], **one), fit(first, x[:8], y[:8], **one), rtol=1e-4
    )


def reset(*models):
    for model in models:
        for layer in model.layers[:2]:
            layer.reset_states() if hasattr(layer, "reset_states") else layer.reset_state()


def nested(k):
    given = k.Input((6,), name="given")
    low = k.Sequential([k.Input((6,)), k.layers.Dense(4, "relu"), k.layers.Dense(4)], name="low")
    inner_x = k.Input((4,))
    both = k.layers.Add()([k.layers.Dense(4, name="d")(inner_x), inner_x])
    inner = k.Model(inner_x, k.layers.LayerNormalization()(both), name="inner")
    shared = k.layers.Dense(4, name="shared")
    h = shared(inner(shared(inner(low(given)))))
    h = k.layers.TimeDistributed(k.layers.Dense(3))(k.layers.Reshape((2, 2))(h))
    return k.Model(given, k.layers.Dense(2)(k.layers.Flatten()(h)))


@pytest.mark.sampled
def test_models_in_models_with_shared_layers(tmp_path, writer, reader):
    x, y = numbers(16, 6), numbers(16, 2)
    first = nested(writer)
    first.compile("adamw", "mse")
    fit(first, x, y)
    carried(first, reader, str(tmp_path / "m.keras"), x, y)


@pytest.mark.battery
def test_a_frozen_part_stays_frozen(tmp_path, writer, reader):
    x, y = numbers(16, 6), numbers(16, 2)
    first = nested(writer)
    first.get_layer("low").trainable = False
    first.compile("adam", "mse")
    fit(first, x, y)
    second = carried(first, reader, str(tmp_path / "m.keras"), x, y)
    assert len(second.trainable_weights) == len(second.weights) - 4
    assert not any(layer.trainable for layer in second.get_layer("low").layers)


@pytest.mark.sampled
def test_dicts_of_losses_weights_and_metrics_with_a_schedule(tmp_path, writer, reader):
    x = {"a": numbers(16, 6), "b": numbers(16, 6)}
    y = {"p": numbers(16, 1), "q": RNG.integers(0, 3, 16)}
    a, b = writer.Input((6,), name="a"), writer.Input((6,), name="b")
    h = writer.layers.Add()([writer.layers.Dense(3)(a), writer.layers.Dense(3)(b)])
    outputs = {
        "p": writer.layers.Dense(1, name="p")(h),
        "q": writer.layers.Dense(3, "softmax", name="q")(h),
    }
    first = writer.Model({"a": a, "b": b}, outputs)
    rate = writer.optimizers.schedules.ExponentialDecay(0.05, 4, 0.5, staircase=True)
    first.compile(
        writer.optimizers.Nadam(rate, clipnorm=1.0),
        {"p": writer.losses.LogCosh(), "q": "sparse_categorical_crossentropy"},
        loss_weights={"p": 0.3, "q": 1.0}, metrics={"p": ["mae"], "q": ["accuracy"]},
    )  # fmt: skip
    fit(first, x, y)
    first.save(str(tmp_path / "m.keras"))
    second = reader.models.load_model(str(tmp_path / "m.keras"))
    same(second.optimizer.variables, first.optimizer.variables)
    rates = [float(model.optimizer.learning_rate) for model in (first, second)]
    assert rates == pytest.approx([0.025, 0.025])
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
    mine, other = (model.fit(x, y, **options).history for model in (second, first))
    shared = mine.keys() & other.keys()  # talweg's history has the rate as well
    assert shared >= {"p_mae", "q_accuracy", "p_loss", "q_loss", "loss"}
    for name in shared:
        np.testing.assert_allclose(mine[name], other[name], rtol=1e-4, err_msg=name)


@pytest.mark.battery
@pytest.mark.parametrize("options", [{"ema_overwrite_frequency": 3}, {}])
def test_averaged_weights_and_what_else_optimizers_keep(tmp_path, writer, reader, options):
    x, y = numbers(16, 6), numbers(16, 2)
    first = dense(writer)
    first.compile(
        writer.optimizers.Adam(0.01, amsgrad=True, use_ema=True, ema_momentum=0.8, **options), "mse"
    )
    fit(first, x, y)
    # Keras on JAX cannot call fit again with averages: it hands the same array to XLA twice.
    again = writer is talweg
    second = carried(first, reader, str(tmp_path / "m.keras"), x, y, trains_on=again)
    assert second.optimizer.get_config()["use_ema"]
    if reader is talweg:
        assert np.isfinite(fit(second, x, y)).all()


@pytest.mark.battery
def test_gradients_that_are_gathered_amid_a_step(tmp_path, writer, reader):
    x, y = numbers(24, 6), numbers(24, 2)
    first = dense(writer)
    first.compile(writer.optimizers.Adam(0.01, gradient_accumulation_steps=2), "mse")
    fit(first, x, y, epochs=1)  # three batches: one step, and half of another
    carried(first, reader, str(tmp_path / "m.keras"), x, y)


@pytest.mark.battery
@pytest.mark.parametrize(
    "name",
    ["RMSprop", "Adagrad", "Adadelta", "Adamax", "Ftrl", "Lion", "Adafactor", "Lamb", "Muon"],
)
def test_every_optimizer_goes_on_from_the_state_of_the_other(tmp_path, writer, reader, name):
    x, y = numbers(16, 6), numbers(16, 2)
    first = dense(writer)
    first.compile(getattr(writer.optimizers, name)(0.01), "mse")
    fit(first, x, y, epochs=1)
    carried(first, reader, str(tmp_path / "m.keras"), x, y, tolerance=1e-3)


def own(k):
    class Scaled(k.layers.Layer):
        def __init__(self, factor=2.0, inner=None, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor
            self.inner = inner or k.layers.Dense(3)

        def build(self, shape):
            self.gain = self.add_weight(shape=(3,), initializer="ones", name="gain")
            self.count = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="count"
            )
            self.inner.build(shape)

        def call(self, x):
            return self.inner(x) * self.gain * self.factor

        def get_config(self):
            config = {"factor": self.factor, "inner": k.layers.serialize(self.inner)}
            return {**super().get_config(), **config}

        @classmethod
        def from_config(cls, config):
            config["inner"] = k.layers.deserialize(config["inner"])
            return cls(**config)

    def swish2(x):
        return k.ops.sigmoid(x) * x * 2

    class Cubed(k.losses.Loss):
        def call(self, y_true, y_pred):
            return k.ops.mean(k.ops.abs(y_true - y_pred) ** 3, axis=-1)

    return {"Scaled": Scaled, "swish2": swish2, "Cubed": Cubed}


@pytest.mark.battery
def test_layers_functions_and_losses_of_the_users_own(tmp_path, writer, reader):
    x, y = numbers(16, 6), numbers(16, 2)
    mine = own(writer)
    given = writer.Input((6,))
    h = mine["Scaled"](0.5, writer.layers.Dense(3, use_bias=False))(given)
    first = writer.Model(given, writer.layers.Dense(2, activation=mine["swish2"])(h))
    first.compile("adam", mine["Cubed"]())
    fit(first, x, y)
    second = carried(first, reader, str(tmp_path / "m.keras"), x, y, custom=own(reader))
    assert second.layers[1].factor == 0.5


@pytest.mark.battery
def test_adapted_layers_keep_what_they_learned(tmp_path, writer, reader):
    x, y = 3 + 2 * numbers(16, 6), numbers(16, 2)
    norm = writer.layers.Normalization()
    norm.adapt(x)
    first = writer.Sequential([writer.Input((6,)), norm, writer.layers.Dense(2)])
    first.compile("adam", "mse")
    fit(first, x, y)
    carried(first, reader, str(tmp_path / "m.keras"), x, y)
