"""The loaders on small files that are made here, against what Keras's loaders do with them."""

import gzip
import hashlib
import importlib
import io
import json
import pickle
import tarfile
import zipfile

import keras
import numpy as np
import pytest

from talweg import datasets
from talweg.datasets import cifar, fashion_mnist, stored

TEXTS = [[3, 9, 1], [4], [7, 7, 2, 5, 6], [1, 2], [8, 3], [5]]


def ragged(texts):
    array = np.empty(len(texts), dtype=object)
    for i, text in enumerate(texts):
        array[i] = text
    return array


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache for both libraries; no address can be reached."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: True)
    monkeypatch.setattr("talweg.data.download.validated", lambda *_: True)

    def unreachable(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def same(mine, theirs):
    for ours, other in zip(mine, theirs, strict=True):
        for a, b in zip(ours, other, strict=True):
            assert a.dtype == b.dtype
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize("name", ["mnist", "boston_housing", "california_housing"])
def test_arrays_are_read_as_keras_does(name, cache):
    rng = np.random.default_rng(0)
    rows = {
        f"{part}": rng.integers(0, 255, (10, 28, 28) if part[0] == "x" else (10,)).astype("uint8")
        for part in ("x_train", "y_train", "x_test", "y_test")
    }
    table = {"x": rng.random((11, 8)), "y": rng.random(11)}
    np.savez(cache / f"{name}.npz", **(rows if name == "mnist" else table))
    ours, theirs = getattr(datasets, name), getattr(keras.datasets, name)
    same(ours.load_data(), theirs.load_data())
    if name != "mnist":
        same(ours.load_data(test_split=0.5, seed=3), theirs.load_data(test_split=0.5, seed=3))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_words": 8, "skip_top": 5},
        {"maxlen": 4, "oov_char": None, "num_words": 9},
        {"start_char": None, "index_from": 0, "seed": 1},
    ],
)
def test_texts_are_read_as_keras_does(options, cache):
    labels = np.arange(6)
    reviews = {"x_train": ragged(TEXTS), "x_test": ragged(TEXTS[::-1])}
    np.savez(cache / "imdb.npz", **reviews, y_train=labels, y_test=labels)
    np.savez(cache / "reuters.npz", x=ragged(TEXTS), y=labels)
    for name in ("imdb", "reuters"):
        mine = getattr(datasets, name).load_data(**options)
        theirs = getattr(keras.datasets, name).load_data(**options)
        same(mine, theirs)
    assert datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()
    (cache / "imdb_word_index.json").write_text(json.dumps({"the": 1}))
    assert datasets.imdb.get_word_index() == {"the": 1}


def test_fashion_mnist_is_read_and_checked(cache):
    folder = cache / "fashion-mnist"
    folder.mkdir()

    def write(name, array, magic):
        head = np.array([magic, *array.shape], ">u4").tobytes()
        (folder / name).write_bytes(gzip.compress(head + array.tobytes()))

    for part in ("train", "t10k"):
        pictures = np.arange(3 * 784).reshape(3, 28, 28).astype("uint8")
        write(f"{part}-images-idx3-ubyte.gz", pictures, 0x803)
        write(f"{part}-labels-idx1-ubyte.gz", np.array([1, 2, 3], "uint8"), 0x801)
    same(fashion_mnist.load_data(), keras.datasets.fashion_mnist.load_data())
    write("train-labels-idx1-ubyte.gz", np.array([1, 2, 3], "uint8"), 0x803)
    with pytest.raises(ValueError, match="IDX file of rank 1"):
        fashion_mnist.load_data()


@pytest.mark.parametrize("protocol", [3, 4])
def test_cifar_batches_are_read_without_unpickling(protocol, tmp_path, monkeypatch):
    data = np.random.default_rng(0).integers(0, 255, (4, 3072)).astype("uint8")
    batch = {b"data": data, b"labels": [0, 1, 2, 3], b"fine_labels": [4, 5, 6, 7]}
    content = pickle.dumps(batch, protocol=protocol)
    source = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(source, "w:gz") as file:
        for name in ("train", "test"):
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(cifar, "_ORIGIN", f"{tmp_path.as_uri()}/")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cifar100 = datasets.cifar100
    monkeypatch.setattr(cifar100, "_HASH", hashlib.sha256(source.read_bytes()).hexdigest())
    (x, y), _ = cifar100.load_data()
    np.testing.assert_array_equal(x, data.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1))
    assert y.tolist() == [[4], [5], [6], [7]]
    with pytest.raises(ValueError, match="fine"):
        cifar100.load_data("medium")


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self):
        return print, ("executed",)


def test_file_that_would_run_something_is_refused(tmp_path, capsys):
    np.savez(tmp_path / "evil.npz", x=ragged([[1], Evil()]))
    with pytest.raises(ValueError, match=r"builtins\.print"):
        stored.read_npz(str(tmp_path / "evil.npz"))
    for name in ("os.system", "numpy.load", "numpy.core.multiarray.fromstring"):
        module, _, function = name.rpartition(".")
        content = f"c{module}\n{function}\n.".encode()
        with pytest.raises(ValueError, match="arrays, lists and numbers only"):
            stored.read_pickle(io.BytesIO(content), "file")
    assert capsys.readouterr().out == ""


def test_damaged_file_is_named(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, x=ragged(TEXTS))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.npz"):
        stored.read_npz(str(path))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", b"no array")
    with pytest.raises(ValueError, match="magic"):
        stored.read_npz(str(path))


@pytest.mark.parametrize("name", datasets.__all__)
def test_missing_file_without_a_network_names_its_address(name, cache):
    module = importlib.import_module(f"talweg.datasets.{name}")
    with pytest.raises(ConnectionError, match=r"https://.*no network in tests"):
        module.load_data()


@pytest.mark.parametrize("name", datasets.__all__)
def test_hashes_are_those_that_keras_publishes(name):
    import inspect

    theirs = inspect.getsource(getattr(keras.datasets, name).load_data)
    mine = getattr(importlib.import_module(f"talweg.datasets.{name}"), "_HASH", "base")
    assert mine in theirs


@pytest.mark.parametrize("name", datasets.__all__)
def test_arguments_are_those_of_keras(name):
    import inspect

    mine = inspect.signature(getattr(datasets, name).load_data).parameters
    theirs = inspect.signature(getattr(keras.datasets, name).load_data).parameters
    assert {n: p.default for n, p in mine.items()} == {
        n: p.default for n, p in theirs.items() if n != "kwargs"
    }
