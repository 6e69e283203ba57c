"""What makes two libraries run one program to the same numbers, and the data it loads.

Initial weights come from NumPy by shape; rows and elements keep their order; sources of
random numbers without a seed of their own have one. The programs are not changed; Keras 3,
Keras 2 (tf_keras) and talweg are, in the process that runs them:

    python tests/goldens/steady.py KIND PROGRAM [ARGUMENT …]

runs a program on Keras. KIND is "keras" (Keras 3 on JAX), "tf.keras" (Keras 3 on
TensorFlow) or "keras2" (tf_keras, which must be installed).
"""

import contextlib
import gzip
import json
import os
import re
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

DRAWING = ("VarianceScaling", "RandomNormal", "RandomUniform", "TruncatedNormal", "Orthogonal")
SEED = 1337


def draw(self: Any, shape: Any, dtype: Any = None, **_: Any) -> np.ndarray:
    """`__call__` of an initializer: uniform draws, scaled as Glorot and Bengio do.

    They depend on the shape alone: the libraries do not draw equally often.
    """
    shape = tuple(int(size) for size in shape)
    fans = sum(shape[-2:]) if len(shape) > 1 else 100
    limit = np.sqrt(6.0 / (fans * max(1, np.prod(shape[:-2]))))
    return np.random.default_rng(shape).uniform(-limit, limit, shape).astype("float32")


def in_order(fit: Callable[..., Any]) -> Callable[..., Any]:
    """`fit` that keeps the rows in their order."""

    def ordered(self: Any, *args: Any, **kwargs: Any) -> Any:
        return fit(self, *args, **{**kwargs, "shuffle": False})

    return ordered


@contextlib.contextmanager
def steady(keras: Any, dataset: Any = None, *more: tuple[Any, str, Any]) -> Iterator[None]:
    """Draws and orders by rule, in a library whose face is `keras`.

    Args:
        keras: the module.
        dataset: the class `tf.data.Dataset`, where there is one.
        more: further attributes to replace while it lasts: (owner, name, value).
    """
    patches = [
        *((getattr(keras.initializers, name), "__call__", draw) for name in DRAWING),
        (keras.Model, "fit", in_order(keras.Model.fit)),
        *more,
    ]
    if dataset is not None:
        patches.append((dataset, "shuffle", lambda self, *_, **__: self))
    kept = []
    for owner, name, value in patches:
        kept.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in reversed(kept):
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def store_data(home: Path) -> None:
    """Small files in the place of the data sets that the loaders would fetch."""
    folder = home / "datasets"
    (folder / "fashion-mnist").mkdir(parents=True)
    rng = np.random.default_rng(2024)
    centers = rng.uniform(0, 200, (10, 28, 28))
    labels = rng.integers(0, 10, 600).astype("uint8")
    pictures = np.clip(centers[labels] + rng.normal(0, 40, (600, 28, 28)), 0, 255).astype("uint8")
    train, test = slice(0, 500), slice(500, None)
    np.savez(
        folder / "mnist.npz", x_train=pictures[train], y_train=labels[train],
        x_test=pictures[test], y_test=labels[test],
    )  # fmt: skip
    for part, rows in (("train", train), ("t10k", test)):
        for kind, array, magic in (
            ("images-idx3", pictures[rows], 0x803), ("labels-idx1", labels[rows], 0x801),
        ):  # fmt: skip
            head = np.array([magic, *array.shape], ">u4").tobytes()
            path = folder / "fashion-mnist" / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(head + array.tobytes()))
    good = rng.integers(0, 2, 800)
    reviews = texts(rng, good, 2, 900)
    np.savez(
        folder / "imdb.npz", x_train=reviews[:600], y_train=good[:600],
        x_test=reviews[600:], y_test=good[600:],
    )  # fmt: skip
    words = {f"word{number}": number for number in range(1, 900)}
    (folder / "imdb_word_index.json").write_text(json.dumps(words))
    topics = rng.integers(0, 6, 400)
    np.savez(folder / "reuters.npz", x=texts(rng, topics, 6, 300), y=topics)
    rooms = rng.normal(size=(150, 13)) * rng.uniform(1, 50, 13) + 100
    prices = 20 + 0.1 * (rooms[:, 0] - rooms[:, 5]) + rng.normal(size=150)
    np.savez(folder / "boston_housing.npz", x=rooms, y=prices)


def texts(rng: np.random.Generator, labels: np.ndarray, classes: int, words: int) -> np.ndarray:
    """Word numbers, of which each class prefers some."""
    made = np.empty(len(labels), dtype=object)
    for i, label in enumerate(labels):
        count = int(rng.integers(10, 40))
        common = rng.integers(1, words, count)
        own = rng.integers(1, 30, count) * classes + label
        made[i] = [int(word) for word in np.where(rng.random(count) < 0.4, own, common)]
    return made


def lines(shown: str) -> list[str]:
    """What a program said, without the lines of `fit` and `summary`, whose look differs."""
    dull = re.compile(r"/step|ETA:|\x08|^Epoch |[━─│┃╇]|^\s*$")
    return [line.rstrip() for line in shown.splitlines() if not dull.search(line)]


NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")


def differences(
    mine: list[str], theirs: list[str], rel: float = 2e-3, abs: float = 2e-3
) -> list[str]:
    """The lines that do not say the same: other words, or numbers that are not near."""
    if len(mine) != len(theirs):
        return [f"{len(mine)} lines, not {len(theirs)}: {mine} {theirs}"]
    found = []
    for ours, other in zip(mine, theirs, strict=True):
        words = NUMBER.sub("#", ours) == NUMBER.sub("#", other)
        pairs = zip(NUMBER.findall(ours), NUMBER.findall(other), strict=False)
        near = all(np.isclose(float(a), float(b), rtol=rel, atol=abs) for a, b in pairs)
        if not (words and near):
            found.append(f"{ours!r} is not {other!r}")
    return found


# Other names for the modules that the program imports, by kind of reference.
IMPORTS = {
    "keras": [],
    "tf.keras": [
        (r"from tensorflow import keras", "import keras"),
        (r"from tensorflow\.keras", "from keras"),
    ],
    "keras2": [
        (r"from tensorflow import keras", "import tf_keras as keras"),
        (r"^import keras$", "import tf_keras as keras"),
        (r"from (tensorflow\.)?keras\b", "from tf_keras"),
    ],
}


def main(kind: str, program: str, *arguments: str) -> None:
    """Run a program on Keras."""
    os.environ["KERAS_BACKEND"] = "jax" if kind == "keras" else "tensorflow"
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS=str(int(kind == "keras2")))
    home = Path(tempfile.mkdtemp())
    os.environ["KERAS_HOME"] = str(home)
    if kind == "keras2":  # which asks for the home folder only
        os.environ["HOME"] = str(home)
        (home / ".keras").symlink_to(home)
    store_data(home)
    source = Path(program).read_text()
    for old, new in IMPORTS[kind]:
        source = re.sub(old, new, source, flags=re.MULTILINE)
    keras, dataset, more = reference(kind)
    copy = home / Path(program).name
    copy.write_text(source)
    sys.argv = [str(copy), *arguments]
    sys.path[0] = str(home)
    os.chdir(home)  # a program that is killed leaves its files there
    with steady(keras, dataset, *more):
        runpy.run_path(str(copy), run_name="__main__")


def reference(kind: str) -> tuple[Any, Any, list[tuple[Any, str, Any]]]:
    """Keras of a kind, its class of data sets, and what more to replace in it."""
    dataset = None
    if kind != "keras":
        import tensorflow

        dataset = tensorflow.data.Dataset
    if kind == "keras2":
        import tf_keras
        from tf_keras.src.utils import data_utils

        # `lr` and `decay` were understood by the optimizers that are now called legacy.
        legacy = tf_keras.optimizers.legacy
        more = [
            (tf_keras.optimizers, name, getattr(legacy, name))
            for name in ("SGD", "Adam", "RMSprop")
        ]
        return tf_keras, dataset, [*more, (data_utils, "validate_file", lambda *_, **__: True)]
    import keras
    from keras.src.random import seed_generator
    from keras.src.utils import file_utils

    return keras, dataset, [
        (file_utils, "validate_file", lambda *_, **__: True),
        (seed_generator, "make_default_seed", lambda: SEED),
    ]  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
