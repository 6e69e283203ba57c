"""clone_model: the same architecture, weights of its own."""

import numpy as np
import pytest

from talweg import Model, Sequential, layers
from talweg.models.cloning import clone_model

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def residual():
    """Shared layers, ops between tensors, a nested model, two outputs."""
    x = layers.Input((3,), name="numbers")
    shared = layers.Dense(3, activation="tanh", name="shared")
    inner = Sequential([layers.Input((3,)), layers.Dense(2, name="inside")], name="inner")
    hidden = shared(x) + shared(2.0 * x)
    return Model(x, {"a": inner(hidden), "b": layers.Dropout(0.5)(hidden)}, name="residual")


def assert_alike(one, other, x=X):
    assert [v.shape for v in one.weights] == [v.shape for v in other.weights]
    assert not {id(v) for v in one.weights} & {id(v) for v in other.weights}
    other.set_weights(one.get_weights())
    ours, theirs = _flat(one(x)), _flat(other(x))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def _flat(outputs):
    return list(outputs.values()) if isinstance(outputs, dict) else [outputs]


def test_a_functional_model_is_cloned_with_its_sharing_and_its_nesting():
    model = residual()
    copy = clone_model(model)
    assert type(copy) is type(model)
    assert (copy.name, copy.input_names) == ("residual", ["numbers"])
    assert [layer.name for layer in copy.layers if layer.weights] == ["shared", "inner"]
    assert_alike(model, copy)


def test_a_sequential_model_is_cloned_and_compiled_as_it_was():
    model = Sequential([layers.Input((3,)), layers.Dense(2), layers.Dropout(0.1)], name="stack")
    model.compile("adam", "mse", metrics=["mae"])
    copy = clone_model(model)
    assert_alike(model, copy)
    assert copy.compiled
    assert type(copy.optimizer).__name__ == "Adam"
    assert copy.optimizer is not model.optimizer
    copy.fit(X, X[:, :2], verbose=0)


def test_clone_function_may_change_or_keep_layers():
    model = residual()
    wide = clone_model(model, clone_function=lambda layer: layer)
    assert {id(v) for v in wide.weights} == {id(v) for v in model.weights}
    seen = []

    def noted(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(model, clone_function=noted, recursive=True)
    assert {"shared", "inside"} <= set(seen)
    assert "inner" not in seen
    assert seen.count("shared") == 1


def test_call_function_may_put_layers_between():
    def then_relu(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        return layers.ReLU()(y) if isinstance(layer, layers.Dense) else y

    x = layers.Input((3,))
    model = Model(x, layers.Dense(2)(x))
    copy = clone_model(model, clone_function=lambda layer: layer, call_function=then_relu)
    np.testing.assert_array_equal(copy(X), np.maximum(model(X), 0))


def test_a_model_may_be_cloned_onto_given_tensors():
    x = layers.Input((3,))
    copy = clone_model(residual(), input_tensors=layers.Dense(3)(x))
    whole = Model(x, copy(layers.Dense(3)(x)))
    assert whole.output["a"].shape == (None, 2)
    stack = Sequential([layers.Input((3,)), layers.Dense(2)])
    assert clone_model(stack, input_tensors=layers.Input((3,), name="given")).built


class Two(Model):
    """A subclassed model whose arguments are its config."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(units)
        self.head = layers.Dense(1)

    def call(self, x):
        return self.head(self.hidden(x))


class Plain(Two):
    def __init__(self, units=5):
        super().__init__(units)


@pytest.mark.parametrize("make", [lambda: Two(4), Plain, lambda: Plain(7)])
def test_a_subclassed_model_is_cloned_from_its_arguments(make):
    model = make()
    model(X)
    copy = clone_model(model)
    copy(X)
    assert type(copy) is type(model)
    assert_alike(model, copy)


def test_arguments_that_cannot_be_meant_are_refused():
    with pytest.raises(ValueError, match="call_function"):
        clone_model(Sequential([layers.Dense(1)]), call_function=lambda layer, x: x)
    with pytest.raises(ValueError, match="clone_function"):
        clone_model(Two(2), clone_function=lambda layer: layer)
    with pytest.raises(ValueError, match="input_tensors"):
        clone_model(residual(), input_tensors=[layers.Input((3,))])


def test_a_lambda_is_cloned_with_its_function_though_no_file_may_hold_it():
    x = layers.Input((3,))
    doubled = layers.Lambda(lambda x, by: by * x, (3,), arguments={"by": 2.0}, name="doubled")
    model = Model(x, layers.Dense(2)(doubled(x)))
    copy = clone_model(model)
    assert copy.get_layer("doubled") is not doubled
    assert copy.get_layer("doubled").output.shape == (None, 3)
    assert_alike(model, copy)
