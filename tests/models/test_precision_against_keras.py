"""Policies: names, records, maps by path, mixed precision with loss scaling; beside Keras."""

from typing import Any

import keras
import numpy as np
import pytest

import talweg
from models.twins import assert_same_weights, numbers, twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(20)


@pytest.fixture(autouse=True)
def _float32_again() -> Any:
    yield
    for k in (keras, talweg):
        k.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("name", ["float32", "float16", "mixed_float16", "mixed_bfloat16"])
def test_a_policy_is_that_of_keras(name: str) -> None:
    mine, theirs = talweg.dtype_policies.get(name), keras.dtype_policies.get(name)
    for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(mine, attribute) == getattr(theirs, attribute)
    assert talweg.dtype_policies.serialize(mine) == keras.dtype_policies.serialize(theirs)
    assert talweg.dtype_policies.deserialize(keras.dtype_policies.serialize(theirs)) == mine
    assert talweg.FloatDTypePolicy(name) == mine
    assert repr(mine) == repr(theirs)


def test_the_policy_of_the_moment_is_the_default() -> None:
    talweg.config.set_dtype_policy("mixed_bfloat16")
    assert talweg.mixed_precision.global_policy().name == "mixed_bfloat16"
    assert talweg.DTypePolicy().name == "mixed_bfloat16"
    assert talweg.dtype_policies.get(None).compute_dtype == "bfloat16"
    assert talweg.layers.Dense(1).compute_dtype == "bfloat16"
    assert talweg.layers.Dense(1, dtype="float32").compute_dtype == "float32"


@pytest.mark.parametrize("name", ["mixed_float32", "int8_from_float32", "floaty"])
def test_names_that_are_no_policies_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        talweg.dtype_policies.get(name)
    with pytest.raises(TypeError, match="name"):
        talweg.DTypePolicy(3)  # type: ignore[arg-type]


def two_in_one(k: Any) -> Any:
    policies = k.dtype_policies.DTypePolicyMap(
        "float32", {"net/hidden": k.dtype_policies.DTypePolicy("bfloat16")}
    )

    class Net(k.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="net")
            self.hidden = k.layers.Dense(2, dtype=policies, name="hidden")
            self.head = k.layers.Dense(2, dtype=policies, name="head")

        def build(self, input_shape: Any) -> None:
            self.hidden.build(input_shape)
            self.head.build((None, 2))

        def call(self, x: Any) -> Any:
            return self.head(self.hidden(x))

    net = Net()
    net.build((None, 4))
    return net, policies


def test_a_map_gives_layers_their_policies_by_path_as_in_keras() -> None:
    (mine, policies), (theirs, expected) = two_in_one(talweg), two_in_one(keras)
    for part in ("hidden", "head"):
        one, other = getattr(mine, part), getattr(theirs, part)
        assert (one.path, one.compute_dtype, one.dtype) == (
            other.path, other.compute_dtype, other.dtype,
        )  # fmt: skip
        assert one.get_config()["dtype"] == other.get_config()["dtype"]
    record = keras.dtype_policies.serialize(expected)
    assert talweg.dtype_policies.serialize(policies) == record
    again = talweg.dtype_policies.deserialize(record)
    assert again == policies
    assert again.name == expected.name
    assert list(again) == ["net/hidden"]
    assert again["net/other"].name == "float32"


def test_a_map_refuses_what_is_ambiguous() -> None:
    policies = talweg.dtype_policies.DTypePolicyMap(None, {"a/.*": "float16"})
    policies["a/b.*"] = "bfloat16"
    assert policies["a/c"].name == "float16"
    with pytest.raises(ValueError, match="one pattern"):
        policies["a/b1"]
    with pytest.raises(ValueError, match="new"):
        policies["a/.*"] = "float32"
    del policies["a/b.*"]
    assert len(policies) == 1
    with pytest.raises(ValueError, match="no map"):
        talweg.dtype_policies.DTypePolicyMap(policies)


def half(k: Any) -> Any:
    model = k.Sequential(
        [
            k.layers.Input((4,)),
            k.layers.Dense(8, activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.Dense(1, dtype="float32"),
        ]
    )
    model.compile(k.optimizers.SGD(0.05), "mse", metrics=["mae"])
    return model


def test_mixed_float16_scales_the_loss_and_trains_as_in_keras() -> None:
    for k in (keras, talweg):
        k.mixed_precision.set_global_policy("mixed_float16")
    pair = twins(half)
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    histories = [model.fit(X, Y, **options).history for model in pair]
    for name, expected in histories[0].items():
        np.testing.assert_allclose(histories[1][name], expected, rtol=5e-3)
    assert_same_weights(pair, rtol=5e-3, atol=2e-3)
    for k, model in pair.each():
        assert isinstance(model.optimizer, k.mixed_precision.LossScaleOptimizer)
        assert [str(w.dtype) for w in model.weights] == ["float32"] * 8
        assert str(model.layers[0](X).dtype) == "float16"
    scales = [float(model.optimizer.dynamic_scale) for model in pair]
    assert scales[0] == scales[1] >= 2**13
    assert pair.talweg.predict(X).dtype == np.float32


def test_a_policy_set_on_a_layer_holds_from_then_on() -> None:
    layer = talweg.layers.Dense(2)
    layer.dtype_policy = "mixed_bfloat16"
    assert str(layer(X).dtype) == "bfloat16"
    assert layer.dtype == "float32"


def test_a_policy_set_on_a_layer_goes_into_its_map():
    def set_later(k):
        half = k.dtype_policies.DTypePolicy("bfloat16")
        policies = k.dtype_policies.DTypePolicyMap("float32", {"a": half})
        first, second = (k.layers.Dense(2, dtype=policies, name=name) for name in "ab")
        unbuilt = k.layers.Dense(2, dtype=policies, name="c")
        for layer in (first, second):
            layer.build((None, 3))
        for layer in (first, second, unbuilt):
            layer.dtype_policy = "mixed_float16"
        assert first.dtype_policy is policies
        assert second.dtype_policy is policies
        assert unbuilt.dtype_policy.name == "mixed_float16"
        return {path: policies[path].name for path in policies}, first.compute_dtype

    expected = {"a": "mixed_float16", "b": "mixed_float16"}, "float16"
    assert set_later(talweg) == set_later(keras) == expected


def test_another_map_takes_the_place_of_a_map():
    policies = talweg.dtype_policies.DTypePolicyMap("float32", {"a": "bfloat16"})
    layer = talweg.layers.Dense(2, dtype=policies, name="a")
    layer.build((None, 3))
    layer.dtype_policy = talweg.dtype_policies.DTypePolicyMap("float32", {"a": "float16"})
    assert layer.compute_dtype == "float16"
    assert policies["a"].name == "bfloat16"
