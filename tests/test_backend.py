"""talweg.backend, utils and preprocessing against Keras's."""

import itertools

import keras
import numpy as np
import pytest

import talweg
from talweg import backend, utils
from talweg.preprocessing.image import smart_resize

TYPES = [
    "bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "int64", "bfloat16",
    "float16", "float32", "float64", "complex64", float, int, bool, None,
]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2])
def test_types_of_results_are_those_of_keras(count):
    for types in itertools.product(TYPES, repeat=count):
        assert backend.result_type(*types) == keras.backend.result_type(*types), types


def test_three_types_are_as_strong_as_in_keras():
    for types in itertools.product(["bool", "uint8", "int16", "float16", float, int], repeat=3):
        assert backend.result_type(*types) == keras.backend.result_type(*types), types


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "bfloat16", "float32", "complex64"])
def test_kinds_of_types_are_told(dtype):
    assert backend.is_float_dtype(dtype) == keras.backend.is_float_dtype(dtype)
    assert backend.is_int_dtype(dtype) == keras.backend.is_int_dtype(dtype)


def test_numbers_of_names_begin_again_with_the_session():
    assert [backend.get_uid("x"), backend.get_uid("x"), backend.get_uid("y")] == [1, 2, 1]
    backend.clear_session()
    assert backend.get_uid("x") == 1


def test_source_inputs_of_a_tensor_are_each_found_once():
    a, b = talweg.Input((3,)), talweg.Input((3,))
    hidden = talweg.layers.Dense(3)(a)
    joined = talweg.layers.Add()([hidden, b, a])
    found = utils.get_source_inputs(joined)
    assert len(found) == 2
    assert {id(tensor) for tensor in found} == {id(a), id(b)}


@pytest.mark.sampled
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_smart_resize_crops_before_it_resizes(data_format, method):
    images = np.random.default_rng(0).normal(size=(2, 12, 9, 3)).astype("float32")
    x = images if data_format == "channels_last" else images.transpose(0, 3, 1, 2).copy()
    for size in ((4, 5), (8, 3)):
        ours = smart_resize(x, size, method, data_format)
        theirs = keras.preprocessing.image.smart_resize(x, size, method, data_format)
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_config_is_a_dict_with_attributes_that_freezes():
    config = utils.Config(rate=0.1)
    config.seed = 3
    assert (config.seed, config["rate"], config.as_dict()) == (3, 0.1, {"rate": 0.1, "seed": 3})
    config.freeze()
    assert config.frozen
    changes = [
        lambda: setattr(config, "seed", 4),
        lambda: config.update(seed=4),
        lambda: config.pop("seed"),
        lambda: config.__delitem__("seed"),
        lambda: config.setdefault("other", 1),
        lambda: config.clear(),
        lambda: config.popitem(),
    ]
    for change in changes:
        with pytest.raises(ValueError, match="frozen"):
            change()
    config.unfreeze()
    config.seed = 5
    assert config.to_json() == '{"rate": 0.1, "seed": 5}'
    with pytest.raises(AttributeError, match="rate, seed"):
        _ = config.momentum
