"""Models that lie in more than one file: weights in shards, and unzipped folders."""

import json
import os
import shutil

import h5py
import keras
import numpy as np
import pytest

import talweg
from saving.limits import limited
from talweg import layers
from talweg.models import load_model
from talweg.saving import DamagedFile

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# Three shards: the kernel of the first layer fills one.
SIZE = 1600 / 2**30


def made(library, seed=1, units=20):
    library.utils.set_random_seed(seed)
    model = library.Sequential(
        [
            library.Input((20,)), library.layers.Dense(units, "relu"),
            library.layers.BatchNormalization(), library.layers.Dense(3),
        ]
    )  # fmt: skip
    model.compile("adam", "mse")
    return model


def trained(library, seed=1, units=20):
    model = made(library, seed, units)
    model.fit(np.ones((8, 20), "f4"), np.ones((8, 3), "f4"), verbose=0)
    return model


def values(model):
    return [np.asarray(v) for v in [*model.weights, *model.optimizer.variables]]


def same(mine, other):
    for a, b in zip(values(mine), values(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def model():
    return trained(talweg)


@pytest.fixture(scope="module")
def other():
    return trained(talweg, seed=2)


@pytest.fixture(scope="module")
def kept(model, tmp_path_factory):
    """A set of shards and a folder."""
    place = tmp_path_factory.mktemp("kept")
    model.save_weights(place / "w.weights.json", max_shard_size=SIZE)
    model.save(place / "m", zipped=False)
    return place


@pytest.fixture
def place(kept, tmp_path):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def loaded(path, library=talweg):
    """The model that is at a place, whichever kind it is of."""
    if path.is_dir():
        return library.models.load_model(path)
    model = made(library, seed=5)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(str(path))
    return model


def save(model, path):
    if path.suffix == ".json":
        model.save_weights(path, max_shard_size=SIZE)
    else:
        model.save(path, zipped=False)


KINDS = ["w.weights.json", "m"]


# -- with Keras ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_keras_reads_what_talweg_writes_and_the_reverse(kind, place, model, tmp_path):
    same(loaded(place / kind), model)
    same(loaded(place / kind, keras), model)
    theirs, path = trained(keras, seed=3), tmp_path / "theirs" / kind
    path.parent.mkdir()
    if kind == "m":
        theirs.save(path, zipped=False)
    else:
        theirs.save_weights(path, max_shard_size=SIZE)
    same(loaded(path), theirs)
    # What Keras wrote is replaced as well.
    save(model, path)
    same(loaded(path), model)
    same(loaded(path, keras), model)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_replaced_again_and_again_and_nothing_is_left_over(kind, place, model, other):
    before = {str(file) for file in place.rglob("*")}
    for number in range(4):
        latest = other if number % 2 == 0 else model
        save(latest, place / kind)
        same(loaded(place / kind), latest)
        same(loaded(place / kind, keras), latest)
        after = {str(file) for file in place.rglob("*")}
        # Of the set that is gone Keras wants to see the file of number 0.
        assert len(after) == len(before) + (kind != "m")


def test_the_files_are_those_of_keras(place, tmp_path):
    trained(keras).save_weights(tmp_path / "k.weights.json", max_shard_size=SIZE)
    mine = json.loads((place / "w.weights.json").read_text())
    theirs = json.loads((tmp_path / "k.weights.json").read_text().replace("k_0", "w_0"))
    listed = [
        {part: [s] if isinstance(s, str) else s for part, s in record["weight_map"].items()}
        for record in (mine, theirs)
    ]
    assert listed[0] == listed[1]
    assert mine["metadata"]["total_size"] == theirs["metadata"]["total_size"]
    assert len(list(place.glob("w_*.weights.h5"))) > 3


# Keras looks words and numbers up by TensorFlow.
@pytest.mark.parametrize("library", [talweg, pytest.param(keras, marks=pytest.mark.parity)])
def test_layers_with_files_of_their_own_lie_in_a_folder(tmp_path, library):
    lookup = layers.IntegerLookup()
    lookup.adapt(np.array([[5], [5], [7]]))
    model = talweg.Sequential([talweg.Input((1,), dtype="int32"), lookup])
    model.save(tmp_path / "m", zipped=False)
    assert len(list((tmp_path / "m" / "assets").rglob("*.txt"))) == 1
    read = library.models.load_model(tmp_path / "m")
    assert read.layers[-1].get_vocabulary() == [-1, 5, 7]


@pytest.mark.parametrize(
    ("path", "options", "match"),
    [
        ("m.keras", {"zipped": False}, "zipped=False"),
        ("hf://me/m", {"zipped": False}, "zipped=False"),
        ("m", {}, "ends in .keras"),
    ],
)
def test_impossible_names_of_models(model, tmp_path, path, options, match, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=match):
        model.save(path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["w.weights.h5", "w.weights.json"])
def test_layers_can_be_left_out(model, tmp_path, name):
    more = {"max_shard_size": SIZE} if name.endswith(".json") else {}
    model.save_weights(tmp_path / name, objects_to_skip=[model.layers[0]], **more)
    other = made(talweg, seed=8)
    first = other.layers[0].get_weights()
    other.load_weights(tmp_path / name, objects_to_skip=[other.layers[0]])
    for a, b in zip(other.get_weights(), [*first, *model.get_weights()[2:]], strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="Missing in the file"):
        other.load_weights(tmp_path / name)


@pytest.mark.parametrize("size", [0, -1, True, "1"])
def test_impossible_sizes(model, tmp_path, size):
    with pytest.raises(ValueError, match="max_shard_size"):
        model.save_weights(tmp_path / "w.weights.json", max_shard_size=size)


def test_a_variable_larger_than_a_file_and_wrong_names_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="has 1600 bytes"):
        model.save_weights(tmp_path / "w.weights.json", max_shard_size=1000 / 2**30)
    with pytest.raises(ValueError, match=r"ends in \.weights\.json"):
        model.save_weights(tmp_path / "w.safetensors", max_shard_size=1)
    with pytest.raises(ValueError, match=r"ends in \.weights\.h5"):
        model.save_weights(tmp_path / "w.weights.json")
    with pytest.raises(ValueError, match="holds weights"):
        load_model(tmp_path / "w.weights.json")
    with pytest.warns(UserWarning, match="go by a JSON"):
        model.save_weights(tmp_path / "w.weights.h5", max_shard_size=1)
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "w.weights.json", max_shard_size=1, overwrite=False)
    (tmp_path / "m").mkdir()
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m", overwrite=False, zipped=False)


# -- without trust -------------------------------------------------------------------------------


def told(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def renamed(name):
    def change(place):
        def first(record):
            part = next(iter(record["weight_map"]))
            assert "w_00000.weights.h5" in record["weight_map"][part]
            record["weight_map"][part] = name
            record["metadata"].pop("crc32")

        told(place / "w.weights.json", first)

    return change


def linked(name):
    def change(place):
        (place / "x").mkdir()
        shutil.move(place / name, place / "x" / "y")
        (place / name).symlink_to(place / "x" / "y")

    return change


def another(place):
    trained(talweg, seed=9).save_weights(place / "x.weights.json", max_shard_size=SIZE)
    shutil.copy(place / "x_00001.weights.h5", place / "w_00001.weights.h5")


def of_keras(change):
    """A set that carries no checksums."""

    def both(place):
        told(place / "w.weights.json", lambda record: record["metadata"].pop("crc32"))
        change(place)

    return both


def swapped(place):
    shutil.copy(place / "w_00001.weights.h5", place / "w_00000.weights.h5")


def external(place):
    with h5py.File(place / "w_00000.weights.h5", "r+") as file:
        del file["layers"]
        file["layers"] = h5py.ExternalLink(place / "w_00001.weights.h5", "layers")


def flipped(name, at=-100):
    def change(place):
        content = bytearray((place / name).read_bytes())
        content[at] ^= 1
        (place / name).write_bytes(content)

    return change


def written(name, content):
    return lambda place: (place / name).write_bytes(content)


def a_folder(name):
    def change(place):
        (place / name).unlink()
        (place / name).mkdir()

    return change


SHARDS = [
    (renamed("../w_00000.weights.h5"), "cannot be the name"),
    (renamed("/etc/passwd"), "cannot be the name"),
    (renamed("..\\w.weights.h5"), "cannot be the name"),
    (renamed("w\0.weights.h5"), "cannot be the name"),
    (renamed("w.txt"), "cannot be the name"),
    (renamed(7), "cannot be the name"),
    (renamed({"a": 1}), "cannot be the name"),
    (renamed("w_00007.weights.h5"), "missing"),
    (lambda place: (place / "w_00001.weights.h5").unlink(), "missing"),
    (linked("w_00001.weights.h5"), "missing, or is none"),
    (another, "checksum of w_00001.weights.h5 is another"),
    (of_keras(swapped), "does not hold what it should"),
    (of_keras(external), "link to elsewhere"),
    (of_keras(written("w_00001.weights.h5", b"no HDF5")), "damaged"),
    (flipped("w_00001.weights.h5"), "checksum"),
    (written("w.weights.json", b"[]"), "JSON object"),
    (written("w.weights.json", b"{}"), "no weight_map"),
    (written("w.weights.json", b'{"weight_map": {}}'), "names no file"),
    (written("w.weights.json", b'{"weight_map": []}'), "no weight_map"),
    (written("w.weights.json", b"{" + b" " * (33 << 20) + b"}"), "more than"),
    (written("w.weights.json", b"[" * 100_000), "deeply"),
    (lambda p: told(p / "w.weights.json", lambda r: r["metadata"].update(crc32=[])), "no object"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "match"), SHARDS)
def test_a_set_that_cannot_be_believed_changes_nothing(place, other, change, match):
    change(place)
    before = values(other)
    with limited(), pytest.raises(DamagedFile, match=match):
        other.load_weights(place / "w.weights.json")
    for a, b in zip(values(other), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_set_that_does_not_fit_tells_what(place):
    with pytest.raises(ValueError, match="Of another shape"):
        made(talweg, units=5).load_weights(place / "w.weights.json")
    with pytest.raises(ValueError, match="by_name"):
        made(talweg).load_weights(place / "w.weights.json", by_name=True)


FOLDERS = [
    (lambda place: (place / "m/config.json").unlink(), "no config.json"),
    (lambda place: (place / "m/metadata.json").unlink(), "no metadata.json"),
    (linked("m/config.json"), "link"),
    (linked("m/model.weights.h5"), "link"),
    (lambda place: (place / "m/assets").symlink_to("/etc"), "link"),
    (
        lambda place: ((place / "m/assets").mkdir(), (place / "m/assets/a").symlink_to("/etc")),
        "link",
    ),
    (lambda place: os.mkfifo(place / "m/assets"), "not what it should be"),
    (written("m/assets", b""), "not what it should be"),
    (flipped("m/config.json"), "checksum"),
    (flipped("m/model.weights.h5"), "checksum"),
    (written("m/config.json", b"{" + b" " * (33 << 20) + b"}"), "checksums"),
    (written("m/metadata.json", b"[]"), "JSON object"),
    (written("m/metadata.json", b'{"crc32": []}'), "checksums"),
    (written("m/metadata.json", b'{"crc32": {"config.json": 1}}'), "checksums"),
    (lambda p: told(p / "m/metadata.json", lambda r: r["crc32"].update(a=1)), "checksums"),
    (a_folder("m/config.json"), "not what it should be"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "match"), FOLDERS)
def test_a_folder_that_cannot_be_believed_is_refused(place, change, match):
    change(place)
    with limited(), pytest.raises(DamagedFile, match=match):
        load_model(place / "m")


def test_other_files_in_a_folder_are_left_alone(place, other):
    (place / "m" / "README.md").write_text("mine")
    (place / "m" / ".git").symlink_to("/etc")
    save(other, place / "m")
    same(loaded(place / "m"), other)
    assert (place / "m" / "README.md").read_text() == "mine"


def test_a_folder_with_nothing_of_a_model_is_none(tmp_path):
    with pytest.raises(DamagedFile, match=r"no metadata\.json"):
        load_model(tmp_path)


# -- writes that fail: more in test_failed_writes.py -----------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deed", ["fsync", "replace"])
def test_where_a_write_fails_the_set_that_was_there_is_read(kind, deed, place, model, monkeypatch):
    other = load_model(place / "m")  # of the same config, as in a training that saves on
    other.set_weights([w + 1 for w in model.get_weights()])
    for fails in range(1, 20):
        with monkeypatch.context() as patch:
            failing(patch, deed, fails)
            try:
                save(other, place / kind)
            except OSError:
                pass
            else:
                break
        assert not list(place.rglob(".*.tmp"))
        same(loaded(place / kind), model)
    same(loaded(place / kind), other)
    assert fails >= 3


def failing(patch, deed, fails):
    real, number = getattr(os, deed), 0

    def fail(*of):
        nonlocal number
        number += 1
        if number == fails:
            raise OSError(28, "No space left on device")
        return real(*of)

    patch.setattr(os, deed, fail)


def test_a_folder_cut_between_two_models_of_other_shapes_says_so(place, monkeypatch):
    small = trained(talweg, units=5)
    with monkeypatch.context() as patch:
        failing(patch, "replace", 3)
        with pytest.raises(OSError, match="No space"):
            save(small, place / "m")
    with pytest.raises(DamagedFile, match="cut short"):
        load_model(place / "m")
