"""Writes tests/saving/corpus again: good files of every kind, and the hazards of the tests.

    TALWEG_CORPUS=/tmp/hazards pytest tests/saving/test_hazards.py
    KERAS_BACKEND=jax python tests/saving/make_corpus.py /tmp/hazards

Needs Keras, for an `.h5` file of its own. A hazard that is all in the config is kept as its
config alone; of each test the first few are kept, none above 40 kB.
"""

import sys
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import talweg

CORPUS = Path(__file__).with_name("corpus")
IN_CONFIG = ("only_classes", "a_config_cannot", "the_name", "json_that", "impossible", "a_graph")
MOST_OF_A_TEST, LARGEST = 3, 40_000


def plain(k):
    x = k.Input((4,), name="x")
    hidden = k.layers.BatchNormalization(name="norm")(k.layers.Dense(3, name="a")(x))
    return k.Model(x, k.layers.Dense(2, name="b")(hidden))


def recurrent(k):
    x = k.Input((5,), dtype="int32")
    h = k.layers.Embedding(7, 3)(x)
    h = k.layers.Bidirectional(k.layers.GRU(2))(h)
    return k.Model(x, k.ops.relu(h)[:, :2] * 2.0)


def words(k):
    lookup = k.layers.IntegerLookup(name="words")
    lookup.adapt(np.array([7, 8, 7, 9]))
    return k.Sequential([k.Input((1,), dtype="int32"), lookup])


def good(folder):
    model = plain(talweg)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "good_plain.keras")
    model.save_weights(folder / "good_plain.weights.h5")
    model.save_weights(folder / "good_plain.safetensors")
    recurrent(talweg).save(folder / "good_recurrent.keras")
    words(talweg).save(folder / "good_words.keras")
    half = talweg.Sequential([talweg.layers.Dense(2, dtype="bfloat16", input_dim=3)])
    half.save(folder / "good_half.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = plain(keras)
        theirs.compile("adam", "mse")
        theirs.save(folder / "good_of_keras.h5")
    (folder / "good_plain.json").write_text(model.to_json())
    (folder / "good_recurrent.json").write_text(recurrent(talweg).to_json())


def hazards(source, folder):
    kept = Counter()
    for file in sorted(source.glob("[!u]*.keras")):  # unsafe_mode is tried on a good file
        test = file.stem[:24]
        name, content = f"bad_{file.stem[:60]}", file.read_bytes()
        if file.stem.startswith(IN_CONFIG):
            with zipfile.ZipFile(file) as opened:
                content = opened.read("config.json")
            name = f"{name}.json"
        else:
            name = f"{name}.keras"
        if content and len(content) <= LARGEST and kept[test] < MOST_OF_A_TEST:
            (folder / name).write_bytes(content)
            kept[test] += 1


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for file in CORPUS.iterdir():
        file.unlink()
    good(CORPUS)
    hazards(Path(sys.argv[1]), CORPUS)
