"""Functions of functions, and what a symbolic tensor does by itself, in functional models."""

import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from talweg import layers, ops, saving

X = np.arange(6, dtype="float32").reshape(3, 2)


@saving.register_keras_serializable(package="control_in_models")
def plus_itself(row):
    return row + row


@saving.register_keras_serializable(package="control_in_models")
def running(total, row):
    return total + row, total + row


@saving.register_keras_serializable(package="control_in_models")
def add(one, other):
    return one + other


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda x: ops.vectorized_map(plus_itself, x), 2 * X),
        (lambda x: ops.map(plus_itself, x), 2 * X),
        (lambda x: ops.scan(running, jnp.zeros(2), x)[1], X.cumsum(0)),
        (lambda x: ops.associative_scan(add, x), X.cumsum(0)),
        (lambda x: ops.fori_loop(0, 3, lambda _, y: y + 1.0, x), X + 3.0),
        (lambda x: ops.while_loop(lambda y: ops.sum(y) < 50.0, lambda y: y * 2.0, (x,))[0], 4 * X),
        (lambda x: ops.switch(1, [ops.negative, ops.square], x), X**2),
        (lambda x: x * ops.cond(ops.sum(x) > 0.0, lambda: 2.0, lambda: 3.0), 2 * X),
    ],
)
def test_control_flow_is_part_of_a_functional_model(use, expected):
    x = layers.Input((2,))
    model = talweg.Model(x, use(x))
    np.testing.assert_allclose(model(X), expected)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected)


@pytest.mark.parametrize("mapping", [ops.vectorized_map, ops.map])
def test_a_registered_function_that_is_mapped_comes_back_with_the_model(mapping, tmp_path):
    x = layers.Input((2,))
    model = talweg.Model(x, mapping(plus_itself, x))
    again = talweg.Model.from_config(model.get_config())
    np.testing.assert_allclose(again(X), 2 * X)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(saving.load_model(tmp_path / "model.keras")(X), 2 * X)


def test_unstack_takes_the_number_of_parts_that_the_tensor_does_not_know():
    parts = ops.unstack(ops.KerasTensor((2, None, None)), num=3, axis=1)
    assert [part.shape for part in parts] == [(2, None)] * 3
    sequence = layers.Input((None, 2))
    model = talweg.Model(sequence, ops.unstack(sequence, 3, axis=1)[2])
    np.testing.assert_allclose(model(X[None]), X[None, 2])
    with pytest.raises(ValueError, match="num"):
        ops.unstack(X, num=2)
    with pytest.raises(ValueError, match="axis"):
        ops.unstack(X, axis=10)


def test_symbolic_tensors_have_the_methods_that_change_a_shape():
    x = layers.Input((3, 2))
    flat = x.reshape((-1, 6))
    assert flat.shape == (None, 6)
    assert x[:, :1].squeeze(1).shape == (None, 2)
    assert ops.KerasTensor((1, 2, 1)).squeeze().shape == (2,)
    model = talweg.Model(x, flat)
    again = talweg.Model.from_config(model.get_config())
    np.testing.assert_allclose(again(X[None]), X.reshape(1, 6))


def test_saturation_reaches_the_largest_unsigned_integer():
    found = ops.saturate_cast([-1.0, 7.0, 1e12], "uint32")
    assert found.dtype == "uint32"
    assert found.tolist() == [0, 7, 2**32 - 1]


def test_a_variable_is_rounded_like_its_value():
    found = round(talweg.Variable([1.26, -2.5]), 1)
    np.testing.assert_allclose(found, np.round(np.float32([1.26, -2.5]), 1))


def test_an_unknown_size_broadcasts_with_a_known_one():
    assert (ops.KerasTensor((None, 3)) + ops.KerasTensor((2, None))).shape == (2, 3)
    assert (ops.KerasTensor((None, None, 4)) * jnp.ones((5, 4))).shape == (None, 5, 4)
    assert ops.KerasTensor(3).shape == (3,)
    sequence, offsets = layers.Input((None, 2)), layers.Input((3, 2))
    model = talweg.Model([sequence, offsets], layers.Add()([sequence, offsets]) + offsets)
    assert model.output_shape == (None, 3, 2)
    np.testing.assert_allclose(model([X[None], X[None]]), 3 * X[None])
    with pytest.raises(TypeError, match="incompatible"):
        sequence + layers.Input((3, 7))


def test_slices_are_repeated_by_counts_of_their_own():
    x = layers.Input((3, 2))
    counts = [2, 0, 1]
    model = talweg.Model(x, ops.repeat(x, counts, axis=1))
    assert model.output_shape == (None, 3, 2)
    np.testing.assert_allclose(model(X[None]), np.repeat(X[None], counts, axis=1))
    assert ops.repeat(ops.KerasTensor((2, 3)), [2]).shape == (12,)
    with pytest.raises(ValueError, match="broadcasting"):
        ops.repeat(X, [1, 1, 1, 1], axis=0)


def test_an_image_of_no_size_is_refused():
    for size in [(0, 4), (4, -1)]:
        with pytest.raises(ValueError, match="size"):
            ops.image.resize(np.ones((4, 4, 1), "float32"), size)


def test_and_or_xor_and_not_are_of_truths():
    x, y = layers.Input((2,)), layers.Input((2,))
    model = talweg.Model([x, y], [x & y, x | y, x ^ y, ~x, ops.logical_and(x, y)])
    again = talweg.Model.from_config(model.get_config())
    one, other = np.float32([[2, 0]]), np.float32([[1, 3]])
    expected = [[True, False], [True, True], [False, True], [False, True], [True, False]]
    for candidate in (model, again):
        assert [np.asarray(found)[0].tolist() for found in candidate([one, other])] == expected
    variable = talweg.Variable(one[0])
    assert (variable & other[0]).tolist() == expected[0]
    assert (other[0] | variable).tolist() == expected[1]
    assert (~talweg.Variable([5], dtype="int32")).tolist() == [~5]
