"""Functions that files name, and objects that two layers share: both ways with Keras."""

import json
import zipfile

import keras
import numpy as np
import pytest

import talweg
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object

# Keras 3.15 with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def scaled(x, factor=2.0, mask=None):
    return x * factor


def same(shape):
    return shape


for _library in (talweg, keras):
    for _function in (scaled, same):
        _library.saving.register_keras_serializable("named")(_function)


def with_lambdas(k):
    return k.Sequential(
        [
            k.Input((3,)),
            k.layers.Lambda(scaled, arguments={"factor": 3.0}),
            k.layers.Lambda(scaled, output_shape=(3,), mask=None, name="shaped"),
            k.layers.Lambda(scaled, output_shape=same),
            k.layers.Lambda(k.activations.relu),
        ]
    )


@pytest.mark.parametrize("writer", [talweg, keras])
@pytest.mark.parametrize("reader", [talweg, keras])
def test_a_lambda_of_a_registered_function_goes_by_its_name(writer, reader, tmp_path):
    with_lambdas(writer).save(tmp_path / "m.keras")
    model = reader.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(model.predict(X, verbose=0), np.maximum(X * 12, 0), rtol=1e-6)


def test_the_record_of_a_lambda_is_that_of_keras():
    for mine, theirs in zip(with_lambdas(talweg).layers, with_lambdas(keras).layers, strict=True):
        ours, keras_s = json.loads(json.dumps(mine.get_config())), theirs.get_config()
        keras_s = json.loads(json.dumps(keras_s))
        keras_s["name"] = ours["name"]
        ours["dtype"] = keras_s["dtype"]
        assert ours == keras_s


def test_a_function_of_no_register_is_passed_and_one_of_another_module_is_refused(tmp_path):
    def halved(x):
        return x / 2

    talweg.Sequential([talweg.Input((3,)), talweg.layers.Lambda(halved)]).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="'halved'"):
        talweg.models.load_model(tmp_path / "m.keras")
    model = talweg.models.load_model(tmp_path / "m.keras", custom_objects={"halved": halved})
    np.testing.assert_allclose(model.predict(X, verbose=0), X / 2)
    assert "__lambda__" not in config_of(tmp_path / "m.keras")


class Thing:
    """An object of the user's that layers may share."""

    def __init__(self, size=1):
        self.size = size

    def get_config(self):
        return {"size": self.size}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class Holder(talweg.layers.Layer):
    """A layer that holds such an object."""

    def __init__(self, thing, **kwargs):
        super().__init__(**kwargs)
        self.thing = thing

    def call(self, x):
        return x * self.thing.size

    def get_config(self):
        return {**super().get_config(), "thing": serialize_keras_object(self.thing)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "thing": deserialize_keras_object(config["thing"])})


def with_shared(k, last=()):
    initializer, regularizer = k.initializers.HeNormal(seed=3), k.regularizers.L2(0.1)
    dense = [
        k.layers.Dense(3, kernel_initializer=initializer, kernel_regularizer=regularizer)
        for _ in range(2)
    ]
    return k.Sequential([k.Input((3,)), *dense, k.layers.Dense(2, kernel_regularizer="l2"), *last])


def config_of(path):
    return zipfile.ZipFile(path).read("config.json").decode()


def test_what_two_layers_shared_they_share_again(tmp_path):
    thing = Thing(2)
    model = with_shared(talweg, [Holder(thing), Holder(thing), Holder(Thing(2))])
    model.save(tmp_path / "m.keras")
    found = {"Thing": Thing, "Holder": Holder}
    for made in (
        talweg.models.load_model(tmp_path / "m.keras", custom_objects=found),
        talweg.models.model_from_json(model.to_json(), custom_objects=found),
    ):
        a, b, c, d, e, f = made.layers
        assert a.kernel_initializer is b.kernel_initializer
        assert a.kernel_regularizer is b.kernel_regularizer
        assert a.kernel_regularizer is not c.kernel_regularizer
        assert d.thing is e.thing
        assert d.thing is not f.thing
    assert config_of(tmp_path / "m.keras").count("shared_object_id") == 6


def test_files_with_shared_objects_open_both_ways(tmp_path):
    # Keras numbers all places but the first, and makes objects of their own in its layers.
    for writer, reader in ((talweg, keras), (keras, talweg)):
        model = with_shared(writer)
        model.save(tmp_path / "m.keras")
        again = reader.models.load_model(tmp_path / "m.keras")
        assert [layer.kernel_initializer.seed for layer in again.layers[:2]] == [3, 3]
        np.testing.assert_allclose(
            again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6
        )


def test_a_cell_of_two_layers_is_one_again(tmp_path):
    cell = talweg.layers.LSTMCell(2)
    inputs = talweg.Input((4, 3))
    outputs = [talweg.layers.RNN(cell)(inputs), talweg.layers.RNN(cell, go_backwards=True)(inputs)]
    model = talweg.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    again = talweg.models.load_model(tmp_path / "m.keras")
    assert again.layers[1].cell is again.layers[2].cell
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype("float32")
    for mine, theirs in zip(model.predict(x, verbose=0), again.predict(x, verbose=0), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_nothing_is_numbered_where_nothing_is_shared(tmp_path):
    model = talweg.Sequential([talweg.Input((3,)), talweg.layers.Dense(2), talweg.layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    assert "shared_object_id" not in model.to_json()
