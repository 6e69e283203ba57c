"""Sequences, folders, pictures and downloads, against Keras where it needs no TensorFlow."""

import io
import random
import sys
import tarfile
import wave
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.utils import dataset_utils

from talweg import layers, models, utils
from talweg.core.errors import MissingExtraError
from talweg.data import Dataset
from talweg.data.pictures import resized


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 2, 5])
def test_pad_sequences_is_that_of_keras(padding, truncating, maxlen):
    for sequences in ([[1], [2, 3], [4, 5, 6], []], [[[1, 2]], [[3, 4], [5, 6], [7, 8]]]):
        arguments = {"padding": padding, "truncating": truncating, "maxlen": maxlen, "value": 9}
        mine = utils.pad_sequences(sequences, **arguments)
        theirs = keras.utils.pad_sequences(sequences, **arguments)
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


def test_pad_sequences_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="'pre' or 'post'"):
        utils.pad_sequences([[1]], padding="left")
    with pytest.raises(ValueError, match="list of sequences"):
        utils.pad_sequences([1, 2])
    with pytest.raises(ValueError, match="of shape"):
        utils.pad_sequences([[[1, 2]], [[1, 2, 3]]])
    words = utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="-")
    assert words.tolist() == [["-", "a"], ["b", "c"]]


@pytest.mark.parametrize(
    ("more", "starts"),
    [
        ({}, range(16)),
        ({"sequence_stride": 3}, range(0, 16, 3)),
        ({"sampling_rate": 2}, range(12)),
        ({"start_index": 4, "end_index": 15}, range(4, 11)),
        ({"batch_size": None}, range(16)),
    ],
)
def test_windows_of_a_series_start_where_they_must(more, starts):
    series, targets = np.arange(20) * 10, np.arange(20) + 100
    arguments = {"batch_size": 3, **more}
    rate = arguments.get("sampling_rate", 1)
    batches = list(utils.timeseries_dataset_from_array(series, targets, 5, **arguments))
    if arguments["batch_size"] is None:
        x, y = (np.stack(part) for part in zip(*batches, strict=True))
    else:
        assert [len(x) for x, _ in batches[:-1]] == [3] * (len(batches) - 1)
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    np.testing.assert_array_equal(x, [[10 * (s + rate * i) for i in range(5)] for s in starts])
    np.testing.assert_array_equal(y, np.array(starts) + 100)


def test_windows_are_what_fit_takes_in_a_new_order_each_epoch():
    series = np.sin(np.arange(100) / 5).astype("float32")
    data = utils.timeseries_dataset_from_array(
        series[:-8], series[8:], 8, batch_size=16, shuffle=True, seed=3
    )
    first, second = ([x[0, 0] for x, _ in data] for _ in range(2))
    assert first != second
    model = models.Sequential([layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(data, epochs=5, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    with pytest.raises(ValueError, match="sequence_length"):
        utils.timeseries_dataset_from_array(series, None, 200)


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ({"left_size": 0.8}, (8, 2)),
        ({"right_size": 3}, (7, 3)),
        ({"left_size": 2, "right_size": 0.5}, (2, 5)),
    ],
)
def test_split_dataset_gives_two_parts(sizes, counts):
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    for shuffle in (False, True):
        parts = utils.split_dataset((x, y), **sizes, shuffle=shuffle, seed=1)
        assert tuple(map(len, parts)) == tuple(int(p.cardinality()) for p in parts) == counts
        labels = [[int(label) for _, label in part] for part in parts]
        assert not set(labels[0]) & set(labels[1])
        for part in parts:
            for row, label in part:
                np.testing.assert_array_equal(row, [2 * label, 2 * label + 1])
    for wrong in ({}, {"left_size": 1.5}, {"left_size": 8, "right_size": 3}):
        with pytest.raises(ValueError, match="split_dataset"):
            utils.split_dataset(x, **wrong)
    for wrong in (3, "text", [1, 2]):
        with pytest.raises(TypeError, match="dataset must be"):
            utils.split_dataset(wrong, left_size=0.5)


def test_parts_of_a_data_set_are_data_sets():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6)
    # What Keras 3.15 on JAX draws, from Python's generator.
    left, right = utils.split_dataset((x, y), right_size=2, shuffle=True, seed=3)
    drawn = [int(label) for _, label in left], [int(label) for _, label in right]
    order = list(range(6))
    random.Random(3).shuffle(order)
    assert drawn == (order[:4], order[4:])
    batches = Dataset.from_tensor_slices({"x": x, "y": y}).batch(4)
    left, right = utils.split_dataset(batches, left_size=5)  # by samples, and batched again
    assert [part["y"].tolist() for part in left] == [[0, 1, 2, 3], [4]]
    assert [part["y"].tolist() for part in right] == [[5]]
    left, right = utils.split_dataset([x, y], left_size=0.5, right_size=1)
    assert [label for _, label in right.as_numpy_iterator()] == [5]  # the last, as in Keras
    model = models.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(
        left.shuffle(3).batch(2).cache().prefetch(1), validation_data=right.batch(2), verbose=0
    )
    assert np.isfinite(history.history["val_loss"][0])
    with pytest.raises(ValueError, match=r"data\.batch\(32\)"):
        model.fit(left, verbose=0)


def test_data_sets_of_windows_have_the_methods_of_tf_data():
    data = utils.timeseries_dataset_from_array(np.arange(9), np.arange(9) * 10, 3, batch_size=3)
    assert len(data) == int(data.cardinality()) == data.cardinality().numpy() == 3
    assert [y.tolist() for _, y in data.skip(1)] == [[30, 40, 50], [60]]
    assert [y.tolist() for _, y in data.take(1).repeat(2)] == [[0, 10, 20]] * 2
    assert [int(y) for _, y in data.unbatch().skip(5)] == [50, 60]
    assert sorted(y[0] for _, y in data.shuffle(9)) == [0, 30, 60]
    assert [int(y) for y in data.unbatch().map(lambda x, y: y + 1).take(2)] == [1, 11]
    assert data.prefetch(1) is data
    with pytest.raises(ValueError, match="targets must be 4 or more"):
        utils.timeseries_dataset_from_array(np.arange(9), np.arange(2), 3, start_index=2)


def first(data):
    return next(iter(data))


def folder_of(tmp_path, write, ending, count=4):
    for name in ("cats", "dogs"):
        (tmp_path / name / "more").mkdir(parents=True)
        for i in range(count):
            inner = "more" if i == 1 else "."
            write(tmp_path / name / inner / f"{i}{ending}", 10 * (name == "dogs") + i)
    (tmp_path / "cats" / "notes.xyz").write_text("no sample")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def picture(path, number):
    pytest.importorskip("PIL")
    array = np.full((6, 8, 3), number, "uint8")
    array[:3] += 100
    utils.save_img(path, array, scale=False)


def test_folder_of_texts_is_read_in_the_order_of_keras(tmp_path, capsys):
    folder = folder_of(tmp_path, lambda path, number: path.write_text(f"text {number}"), ".txt")
    for shuffle in (False, True):
        data = utils.text_dataset_from_directory(
            folder, batch_size=3, shuffle=shuffle, seed=5, max_length=6
        )
        paths, labels, names = dataset_utils.index_directory(
            str(folder), "inferred", (".txt",), shuffle=shuffle, seed=5, verbose=False
        )
        assert [p.replace("/./", "/") for p in data.file_paths] == paths
        assert data.class_names == names == ["cats", "dogs"]
        x, y = (np.concatenate(part) for part in zip(*data.take(9), strict=True))
        np.testing.assert_array_equal(y, labels)
        assert y.dtype == np.int32
        assert all(len(text) <= 6 and text.startswith("text") for text in x)
        batch = first(data)[0]  # whose numpy() has bytes, as TensorFlow's
        assert batch.numpy().tolist() == [str(text).encode() for text in batch]
        assert len(list(data.cache().unbatch().skip(1))) == 7
    assert "Found 8 files belonging to 2 classes." in capsys.readouterr().out
    vectors = layers.TextVectorization(output_mode="count")
    vectors.adapt(text for text, _ in data)
    mapped = data.map(lambda x, y: (vectors(x), y[:, None].astype("float32")))
    model = models.Sequential([layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    assert np.isfinite(model.fit(mapped, verbose=0).history["loss"][0])


def test_folder_is_split_without_overlap(tmp_path):
    folder = folder_of(tmp_path, lambda path, number: path.write_text("x"), ".txt")
    options = {"validation_split": 0.25, "seed": 7, "verbose": False, "label_mode": "binary"}
    train, held = utils.text_dataset_from_directory(folder, subset="both", **options)
    assert (len(train.file_paths), len(held.file_paths)) == (6, 2)
    assert not set(train.file_paths) & set(held.file_paths)
    alone = utils.text_dataset_from_directory(folder, subset="validation", **options)
    assert alone.file_paths == held.file_paths
    assert first(held)[1].shape == (2, 1)
    assert first(held)[1].dtype == np.float32
    with pytest.raises(ValueError, match="seed"):
        utils.text_dataset_from_directory(folder, subset="both", validation_split=0.2)
    with pytest.raises(ValueError, match="among the folders"):
        utils.text_dataset_from_directory(folder, class_names=["birds"])
    with pytest.raises(ValueError, match="one for each file"):
        utils.text_dataset_from_directory(folder, labels=[1, 2])
    hot = utils.text_dataset_from_directory(folder, label_mode="categorical", verbose=False)
    assert first(hot)[1].shape == (8, 2)
    assert isinstance(
        first(utils.text_dataset_from_directory(folder, None, verbose=False)), np.ndarray
    )


def test_folder_of_sounds_is_read(tmp_path):
    def write(path, number):
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.array([number * 256, -32768] * (2 + number % 3), "<i2").tobytes())

    folder = folder_of(tmp_path, write, ".wav")
    data = utils.audio_dataset_from_directory(folder, shuffle=False, batch_size=8, verbose=False)
    x, y = first(data)
    assert x.shape == (8, 8, 1)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[4, :2, 0], [10 * 256 / 32768, -1.0])
    assert y.tolist() == [0] * 4 + [1] * 4
    cut = utils.audio_dataset_from_directory(folder, output_sequence_length=3, verbose=False)
    assert first(cut)[0].shape == (8, 3, 1)
    slow = utils.audio_dataset_from_directory(folder, sampling_rate=4000, verbose=False)
    assert first(slow)[0].shape == (8, 4, 1)


@pytest.mark.parametrize("mode", [("rgb", 3), ("rgba", 4), ("grayscale", 1)])
def test_folder_of_pictures_is_read(tmp_path, mode):
    folder = folder_of(tmp_path, picture, ".png", 2)
    options = {"color_mode": mode[0], "shuffle": False, "verbose": False}
    data = utils.image_dataset_from_directory(folder, image_size=(3, 4), **options)
    x, y = first(data)
    assert x.shape == (4, 3, 4, mode[1])
    assert x.dtype == np.float32
    assert y.tolist() == [0, 0, 1, 1]
    assert x[0, 0, 0, 0] == 100
    assert x[0, -1, 0, 0] == 0
    for ratio in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        square = utils.image_dataset_from_directory(
            folder, image_size=4, **{ratio: True}, **options
        )
        assert first(square)[0].shape == (4, 4, 4, mode[1])
    channels = utils.image_dataset_from_directory(
        folder, image_size=(3, 4), data_format="channels_first", **options
    )
    np.testing.assert_array_equal(first(channels)[0], x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"])
def test_resized_is_what_keras_computes(method):
    image = np.random.default_rng(0).random((7, 5, 3)).astype("float32")
    for size in ((3, 9), (14, 2), (7, 5)):
        theirs = keras.ops.image.resize(image, size, interpolation=method)
        np.testing.assert_allclose(resized(image, size, method), theirs, rtol=1e-5, atol=1e-5)


# Of tf.image.resize, TensorFlow 2.21, which Keras's data sets call.
@pytest.mark.parametrize(
    ("method", "down", "up"),
    [
        ("area", [4.0, 4.0, 3.4], [0.0, 6.0, 8.8, 4.0, -0.8, 1.6, 7.0]),
        (
            "mitchellcubic",
            [3.25896, 4.0, 4.05378],
            [0.0, 5.81078, 8.73923, 4.0, -0.71088, 1.74918, 7.0],
        ),
        (
            "gaussian",
            [3.39244, 4.0, 3.94681],
            [0.71, 5.686, 7.97086, 4.0, -0.00027, 1.89083, 6.361],
        ),
    ],
)
def test_resized_is_what_tensorflow_computes(method, down, up):
    row = np.array([0.0, 10.0, 4.0, -2.0, 7.0])[:, None, None]
    for values in (down, up):
        got = resized(row, (len(values), 1), method)
        np.testing.assert_allclose(got.ravel(), values, rtol=1e-4, atol=1e-4)


def test_folder_refuses_what_keras_refuses(tmp_path, capsys):
    folder = folder_of(tmp_path, picture, ".png", 4)
    for wrong in (
        {"color_mode": "cmyk"}, {"image_size": (1, 2, 3)}, {"format": "arrays"},
        {"interpolation": "cubic"}, {"label_mode": "one"}, {"batch_size": 0},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"image_dataset_from_directory|dataset:|nknown"):
            utils.image_dataset_from_directory(folder, verbose=False, **wrong)
    with pytest.raises(FileNotFoundError, match="existing folder"):
        utils.text_dataset_from_directory(tmp_path / "none")
    utils.image_dataset_from_directory(folder, validation_split=0.25, subset="both", seed=1)
    said = capsys.readouterr().out
    assert "Using 6 files for training.\nUsing 2 files for validation.\n" in said


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", None])
def test_normalize_has_the_values_and_types_of_keras(dtype):
    x = [[3.0, 4.0], [0.0, 0.0]]
    x = x if dtype is None else np.array(x, dtype)
    for order in (1, 2):
        mine, theirs = utils.normalize(x, order=order), keras.utils.normalize(x, order=order)
        np.testing.assert_allclose(mine, theirs, rtol=1e-3)
        assert mine.dtype == theirs.dtype


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
def test_pictures_are_those_of_keras(tmp_path, channels, scale):
    pytest.importorskip("PIL")
    array = np.random.default_rng(0).random((6, 8, channels)) * 200
    mine, theirs = utils.array_to_img(array, scale=scale), keras_picture(array, scale)
    np.testing.assert_array_equal(np.asarray(mine), theirs)
    np.testing.assert_array_equal(utils.img_to_array(mine), keras.utils.img_to_array(mine))
    utils.save_img(tmp_path / "a.png", array, scale=scale)
    for options in (
        {},
        {"color_mode": "grayscale"},
        {"target_size": (3, 4)},
        {"target_size": (4, 4), "interpolation": "bilinear", "keep_aspect_ratio": True},
    ):
        ours = utils.load_img(tmp_path / "a.png", **options)
        other = keras.utils.load_img(tmp_path / "a.png", **options)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(other))
    first = utils.img_to_array(mine, data_format="channels_first")
    assert first.shape == (channels, 6, 8)


def keras_picture(array, scale):
    """Pillow deprecates an argument that Keras passes."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(keras.utils.array_to_img(array, scale=scale))


def test_picture_without_pillow_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'talweg\[media\]'"):
        utils.load_img("a.png")


def test_drawing_names_the_install_command_or_draws(monkeypatch):
    x = layers.Input((3,))
    hidden = layers.Dense(4, name="hidden")(x)
    model = models.Model(x, layers.Add()([hidden, layers.Dense(4)(x)]))
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'talweg\[media\]'"):
        utils.plot_model(model)
    monkeypatch.setitem(sys.modules, "pydot", Pydot)
    graph = utils.model_to_dot(model, show_shapes=True, show_trainable=True)
    assert any("hidden (Dense)" in str(node["label"]) for node in graph.nodes)
    assert len(graph.edges) == 4
    with pytest.raises(ValueError, match="built"):
        utils.model_to_dot(models.Sequential([layers.Dense(1)]))


class Pydot:
    """What the drawing asks of pydot, recorded."""

    class Dot:
        def __init__(self, **_):
            self.nodes, self.edges = [], []

        def set(self, name, value):
            setattr(self, name, value)

        def set_node_defaults(self, **_):
            pass

        def add_node(self, node):
            self.nodes.append(node)

        def add_edge(self, edge):
            self.edges.append(edge)

    @staticmethod
    def Node(name, label):
        return {"name": name, "label": label}

    @staticmethod
    def Edge(source, target):
        return (source, target)


# -- downloads, from file addresses ----------------------------------------------------------


def test_file_is_fetched_once_and_checked(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("hello")
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    cache = tmp_path / "cache"
    arguments = {"origin": source.as_uri(), "cache_dir": cache}
    path = utils.get_file("a.txt", file_hash=digest, **arguments)
    assert path == str(cache / "datasets" / "a.txt")
    source.write_text("changed")
    assert Path(utils.get_file("a.txt", **arguments)).read_text() == "hello"
    assert Path(utils.get_file("a.txt", force_download=True, **arguments)).read_text() == "changed"
    with pytest.raises(ValueError, match="another hash"):
        utils.get_file("b.txt", file_hash=digest, **arguments)
    assert sorted(p.name for p in (cache / "datasets").iterdir()) == ["a.txt"]
    md5 = "8977dfac2f8e04cb96e66882235f5aba"
    assert Path(utils.get_file("c.txt", md5_hash=md5, **arguments)).read_text() == "changed"


def test_file_that_cannot_be_had_names_its_address(tmp_path):
    origin = (tmp_path / "missing.npz").as_uri()
    with pytest.raises(ConnectionError, match=r"missing\.npz.*put it at"):
        utils.get_file(origin=origin, cache_dir=tmp_path)
    for wrong in ({"fname": "../x"}, {"fname": "a/b"}, {"origin": "ftp://x/y"}, {"origin": None}):
        with pytest.raises(ValueError, match="get_file"):
            utils.get_file(**{"origin": origin, "cache_dir": tmp_path, **wrong})


def archive(path, kind, names):
    content = b"inside"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as file:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_is_unpacked_where_keras_does(tmp_path, kind):
    source = archive(tmp_path / f"set.{kind}", kind.partition(".")[0], ["a/b.txt", "c.txt"])
    for name, folder in ((None, f"set.{kind}"), ("named", "named"), ("n.zip", "n_extracted")):
        found = utils.get_file(name, source.as_uri(), extract=True, cache_dir=tmp_path)
        assert found == str(tmp_path / "datasets" / folder)
        assert Path(found, "a", "b.txt").read_text() == "inside"


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../x", "/abs", "..\\x", "a/../../x"])
def test_archive_with_a_member_outside_is_refused(tmp_path, kind, name):
    source = archive(tmp_path / "bad", kind, ["good.txt", name])
    with pytest.raises(ValueError, match="inside its folder"):
        utils.get_file("bad", source.as_uri(), extract=True, cache_dir=tmp_path)
    assert not (tmp_path / "datasets" / "bad").exists()
    assert not (tmp_path / "datasets" / "x").exists()


def test_archive_with_a_link_is_refused(tmp_path):
    source = tmp_path / "link.tar"
    with tarfile.open(source, "w") as file:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(member)
    with pytest.raises(ValueError, match="a file or a folder"):
        utils.get_file("l", source.as_uri(), extract=True, cache_dir=tmp_path)
    plain = tmp_path / "plain.txt"
    plain.write_text("no archive")
    with pytest.raises(ValueError, match="tar or zip"):
        utils.get_file("p", plain.as_uri(), extract=True, cache_dir=tmp_path)


def test_progress_goes_to_the_log_when_it_is_not_interactive(capsys, caplog):
    model = models.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    utils.disable_interactive_logging()
    try:
        assert not utils.is_interactive_logging_enabled()
        with caplog.at_level("INFO", logger="talweg"):
            model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=2)
    finally:
        utils.enable_interactive_logging()
    assert "loss" in caplog.text
    assert capsys.readouterr().out == ""
