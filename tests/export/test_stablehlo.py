"""StableHLO files: read where talweg is not, for any number of rows."""

import subprocess
import sys

import numpy as np
import pytest

import talweg
from talweg import Input, layers

# Runs in a process in which talweg cannot be imported.
READER = """
import json, sys
import jax.export, numpy as np

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("talweg", "keras"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Nowhere())
with open(sys.argv[1], "rb") as file:
    model = jax.export.deserialize(file.read())
data = np.load(sys.argv[2])
for rows in (1, 4):
    outputs = model.call({name: data[name][:rows] for name in data.files})
    np.savez(sys.argv[3] + str(rows), **outputs)
assert not any(name.startswith("talweg") for name in sys.modules)
"""


def two_headed():
    words, picture = Input((5,), dtype="int32", name="words"), Input((6, 6, 2), name="picture")
    read = layers.LSTM(4)(layers.Embedding(7, 3, mask_zero=True)(words))
    seen = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(picture))
    seen = layers.Dropout(0.5)(layers.BatchNormalization()(seen))
    both = layers.Concatenate()([read, seen])
    outputs = {"label": layers.Dense(3, "softmax")(both), "score": layers.Dense(1)(both)}
    return talweg.Model({"words": words, "picture": picture}, outputs)


def some_rows(count=4):
    random = np.random.default_rng(0)
    return {
        "words": random.integers(0, 7, (count, 5)).astype("int32"),
        "picture": random.normal(size=(count, 6, 6, 2)).astype("float32"),
    }


def test_file_runs_in_a_process_without_talweg(tmp_path):
    model = two_headed()
    data = some_rows()
    model.export(tmp_path / "m.stablehlo", format="stablehlo", verbose=False)
    np.savez(tmp_path / "data.npz", **data)
    arguments = [str(tmp_path / name) for name in ("m.stablehlo", "data.npz", "out")]
    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = model.predict(data, verbose=0)
    for rows in (1, 4):
        with np.load(tmp_path / f"out{rows}.npz") as file:
            got = dict(file)
        assert set(got) == {"label", "score"}
        for name in got:
            np.testing.assert_allclose(got[name], expected[name][:rows], rtol=1e-5, atol=1e-6)


def test_half_precision_is_carried(tmp_path):
    import jax

    model = talweg.Sequential([Input((3,)), layers.Dense(2, dtype="mixed_bfloat16")])
    model.export(tmp_path / "m", format="stablehlo", verbose=False)
    loaded = jax.export.deserialize((tmp_path / "m").read_bytes())
    assert [str(out.dtype) for out in loaded.out_avals] == ["bfloat16"]


def test_file_is_for_the_platforms_that_are_asked_for(tmp_path):
    import jax

    model = talweg.Sequential([Input((3,)), layers.Dense(2)])
    for given, expected in ((None, ("cpu", "cuda", "rocm", "tpu")), (["cpu"], ("cpu",))):
        model.export(tmp_path / "m", format="stablehlo", verbose=False, platforms=given)
        assert jax.export.deserialize((tmp_path / "m").read_bytes()).platforms == expected
    with pytest.raises(ValueError, match="Unknown platform 'gpu'"):
        model.export(tmp_path / "m", format="stablehlo", platforms=["gpu"])
