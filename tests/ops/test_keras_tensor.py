"""Symbolic tensors: shapes without values."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import talweg
from talweg import ops
from talweg.core.random import SeedGenerator
from talweg.core.variables import Variable
from talweg.ops import KerasTensor, compute_output_spec, random


def test_unknown_sizes_stay_unknown_where_they_reach():
    x = KerasTensor((None, None, 3))
    assert ops.matmul(x, np.ones((3, 5), "float32")).shape == (None, None, 5)
    assert ops.sum(x, axis=1).shape == (None, 3)
    assert ops.mean(x).shape == ()
    assert ops.concatenate([x, x], axis=-1).shape == (None, None, 6)
    assert ops.concatenate([x, KerasTensor((None, 2, 3))], axis=1).shape == (None, None, 3)
    assert ops.reshape(KerasTensor((None, 6)), (-1, 4)).shape == (None, 4)
    assert ops.expand_dims(x, 0).shape == (1, None, None, 3)
    assert [part.shape for part in ops.split(KerasTensor((None, 6)), 2, axis=1)] == [(None, 3)] * 2


def test_types_follow_jax():
    x = KerasTensor((None, 3), "int32")
    assert ops.mean(x).dtype == "float32"
    assert ops.argmax(x, axis=-1).dtype == "int32"
    assert ops.cast(x, "bfloat16").dtype == "bfloat16"
    assert ops.greater(x, 1).dtype == "bool"


@given(st.lists(st.sampled_from([None, 1, 2, 3, 8]), min_size=2, max_size=4))
def test_inferred_shapes_are_those_of_keras(shape):
    ours = ops.relu(ops.sum(KerasTensor(shape) * 2.0, axis=-1, keepdims=True))
    theirs = keras.ops.relu(keras.ops.sum(keras.KerasTensor(shape) * 2.0, axis=-1, keepdims=True))
    assert ours.shape == theirs.shape


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + 1,
        lambda x: 1 - x,
        lambda x: x / x,
        lambda x: 2.0**x,
        lambda x: -x,
        lambda x: abs(x),
        lambda x: x > 0,
        lambda x: x @ np.ones((3, 2), "float32"),
        lambda x: x[:, 0],
        lambda x: x[..., None],
    ],
)
def test_operators_give_what_keras_gives(operation):
    ours = operation(KerasTensor((None, 3)))
    theirs = operation(keras.KerasTensor((None, 3)))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


def test_numpy_arrays_defer_to_symbolic_tensors():
    assert (np.ones((1, 3), "float32") * KerasTensor((None, 3))).shape == (None, 3)


def test_inference_leaves_variables_and_generators_as_they_were():
    counter, seed = Variable(0.0), SeedGenerator(3)

    def call(x):
        counter.assign_add(1.0)
        return random.dropout(x, 0.5, seed=seed) * counter

    assert compute_output_spec(call, KerasTensor((None, 3))).shape == (None, 3)
    assert float(counter) == 0.0
    assert seed.state.numpy().tolist() == [3, 0]


def test_several_outputs_keep_their_structure():
    spec = compute_output_spec(
        lambda x, y: {"sum": x + y, "parts": [x, y]}, *[KerasTensor((2,))] * 2
    )
    assert spec["sum"].shape == spec["parts"][1].shape == (2,)


def test_wrong_shapes_are_refused_at_the_call():
    with pytest.raises((TypeError, ValueError)):
        ops.matmul(KerasTensor((None, 3)), KerasTensor((None, 4, 2)))


def test_a_symbolic_tensor_has_no_value():
    x = KerasTensor((2,))
    for use in (bool, np.asarray, np.sin, jnp.sin):
        with pytest.raises(TypeError):
            use(x)
    with pytest.raises(TypeError, match="not known"):
        len(KerasTensor((None, 2)))


def test_ops_take_variables_lists_and_numbers():
    v = Variable([1.0, 2.0])
    assert ops.add(v, [1.0, 1.0]).tolist() == [2.0, 3.0]
    assert ops.concatenate([v, [3.0]]).tolist() == [1.0, 2.0, 3.0]
    assert ops.stack([v, v]).shape == (2, 2)
    assert ops.add(ops.cast(v, "bfloat16"), 1.0).dtype == "bfloat16"
    assert ops.scan(lambda c, x: (c + x, x), np.float32(0), v)[0] == 3.0


def test_integers_that_do_not_fit_are_refused_not_wrapped():
    fits = np.array([2**31 - 1], "int64")
    assert ops.convert_to_tensor(fits).tolist() == [2**31 - 1]
    for use in (ops.convert_to_tensor, ops.abs):
        with pytest.raises(ValueError, match="2147483648"):
            use(np.array([2**31], "int64"))
    with pytest.raises(ValueError, match="300"):
        ops.convert_to_tensor(np.array([300], "int64"), dtype="uint8")
    assert ops.convert_to_tensor(np.array([2**31], "int64"), dtype="float32") == 2.0**31


def test_images_of_unknown_size_go_down_and_up_again():
    x = KerasTensor((None, None, None, 3))
    down = x
    for _ in range(4):
        down = ops.max_pool(down, 2)
    up = ops.conv_transpose(down, np.ones((16, 16, 8, 3), "float32"), 16, "same")
    assert ops.concatenate([x, up], axis=-1).shape == (None, None, None, 11)
    assert ops.mean(x, axis=(1, 2)).shape == (None, 3)
    assert ops.size(x) is None
    assert ops.size(KerasTensor((2, 3))) == 6


@pytest.mark.parametrize(("shape", "newshape"), [
    ((None, 2), (4, 2)), ((None, 2), (8,)), ((None, 2), 8), ((None, 2), (3, 3)),
    ((None, 2), (4, -1)), ((None, 4), (-1, 11)), ((3, 4), (-1, 6)), ((3, 4), [2, 6]),
    ((0, 4), (-1, 2)),
])  # fmt: skip
def test_a_tensor_of_unknown_size_is_reshaped_as_in_keras(shape, newshape):
    expected = keras.ops.reshape(keras.KerasTensor(shape), newshape).shape
    assert ops.reshape(KerasTensor(shape), newshape).shape == expected
    assert KerasTensor(shape).reshape(newshape).shape == expected


@pytest.mark.parametrize(("shape", "newshape"), [
    ((3, 4), (-1, 5)), ((3, 4), (5, 4)), ((3, 4), (-1, -1)), ((None, 4), (-1, -1)),
])  # fmt: skip
def test_a_shape_that_cannot_be_is_refused_as_in_keras(shape, newshape):
    for library in (keras, talweg):
        with pytest.raises(ValueError, match="newshape"):
            library.ops.reshape(library.KerasTensor(shape), newshape)
    with pytest.raises(TypeError, match="-1 what is unknown"):
        ops.reshape(KerasTensor(shape), (None, 2))


def test_a_model_may_fix_its_batch():
    x = talweg.Input((2,))
    model = talweg.Model(x, talweg.ops.reshape(x, (2, 4)))
    assert model.output_shape == (2, 4)
    assert model.predict(np.ones((4, 2), np.float32), verbose=0).shape == (2, 4)
