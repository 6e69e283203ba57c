"""Flipped bits and cut files: an error, or the identical model."""

import functools
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import talweg
from talweg import layers

EXAMPLES = int(os.environ.get("TALWEG_FUZZ", "150"))


@functools.cache
def folder():
    return Path(tempfile.mkdtemp())


@functools.cache
def saved():
    x = talweg.Input((4,), name="x")
    model = talweg.Model(x, layers.Dense(2, name="b")(layers.Dense(3, name="a")(x) * 2.0))
    model.save(folder() / "m.keras")
    model.save_weights(folder() / "m.weights.h5")
    return model


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), st.sampled_from(["m.keras", "m.weights.h5"]))
def test_a_damaged_file_is_an_error_or_the_identical_model(data, name):
    model = saved()
    content = bytearray((folder() / name).read_bytes())
    if data.draw(st.booleans()):
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, 8 * len(content) - 1))
            content[place // 8] ^= 1 << (place % 8)
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    damaged = folder() / f"damaged.{name}"
    damaged.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "m.keras":
                found = talweg.models.load_model(damaged)
            else:
                found = talweg.Model.from_config(model.get_config())
                found.load_weights(damaged)
    except ValueError:
        return
    assert found.get_config() == model.get_config()
    for mine, other in zip(found.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
