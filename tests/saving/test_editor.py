"""KerasFileEditor: weights listed, compared, changed and written for another model."""

import h5py
import keras
import numpy as np
import pytest

import talweg
from saving.limits import limited
from talweg import layers
from talweg.saving import DamagedFile, KerasFileEditor

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def made(library, *units, compiled=False):
    model = library.Sequential(
        [library.Input((2,)), *(library.layers.Dense(n) for n in units), library.layers.Dense(1)]
    )
    if compiled:
        model.compile("adam", "mse")
        model.fit(np.ones((2, 2), "f4"), np.ones((2, 1), "f4"), verbose=0)
    return model


@pytest.fixture(params=[talweg, keras], ids=["talweg", "keras"])
def file(request, tmp_path):
    model = made(request.param, 3, compiled=True)
    model.save(tmp_path / "m.keras")
    return str(tmp_path / "m.keras"), model


def test_a_file_is_read_compared_changed_and_loaded_by_both(file, tmp_path):
    path, model = file
    editor = KerasFileEditor(path)
    assert editor.metadata["keras_version"] == keras.__version__
    assert editor.config["class_name"] == "Sequential"
    assert editor.object_metadata["/layers/dense"] == {"name": model.layers[0].name}
    # 4 weights, and of Adam the iteration, the rate and two moments for each.
    assert editor.compare(made(talweg, 3, compiled=True)) == {
        "status": "success", "error_count": 0, "match_count": 4 + 2 + 8,
    }  # fmt: skip
    # The new model has a layer more, and no optimizer.
    wider = made(talweg, 3, 3)
    assert editor.compare(wider) == {"status": "error", "error_count": 4, "match_count": 2}
    editor.delete_object("optimizer")
    editor.rename_object("layers/dense_1", "dense_2")
    editor.add_object("layers/dense_1", {"0": np.eye(3, dtype="f4")})
    editor.add_weights("dense_1", {"1": np.zeros(4, "f4"), "2": np.zeros(1, "f4")})
    assert editor.compare(wider) == {"status": "error", "error_count": 2, "match_count": 5}
    editor.delete_weight("dense_1", "2")
    editor.add_weights("dense_1", {"1": np.zeros(3, "f4")})
    assert editor.compare(wider) == {"status": "success", "error_count": 0, "match_count": 6}
    editor.resave_weights(tmp_path / "new.weights.h5")
    x = np.ones((4, 2), "f4")
    for library in (talweg, keras):
        wider = made(library, 3, 3)
        wider.load_weights(tmp_path / "new.weights.h5")
        np.testing.assert_allclose(
            wider.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6
        )
    again = KerasFileEditor(tmp_path / "new.weights.h5")
    assert (again.metadata, again.config) == (None, None)
    wider = made(talweg, 3, 3)
    assert again.compare(wider)["status"] == "success"
    again.save(tmp_path / "new.weights.h5")
    wider.load_weights(tmp_path / "new.weights.h5")


class Pair(layers.Layer):
    """A layer with a weight of its own and a layer below."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2, name="below")

    def build(self, shape):
        self.scale = self.add_weight(shape=())
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * self.scale


class Whole(talweg.Model):
    """A model with a weight of its own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=())
        self.pair = Pair()
        self.pair.build(shape)

    def call(self, x):
        return self.pair(x) * self.scale


def test_objects_with_weights_and_objects_are_whole(tmp_path, capsys):
    """Keras loses what is below a layer that has weights of its own."""
    model = Whole()
    model.build((None, 2))
    model.save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    assert editor.compare(model) == {"status": "success", "error_count": 0, "match_count": 4}
    editor.summary()
    assert capsys.readouterr().out.splitlines() == [
        "layers",
        "  pair",
        "    inner ('below')",
        "      0: shape=(2, 2), dtype=float32",
        "      1: shape=(2,), dtype=float32",
        "    0: shape=(), dtype=float32",
        f"vars ('{model.name}')",
        "  0: shape=(), dtype=float32",
    ]
    editor.save(tmp_path / "again.weights.h5")
    other = Whole()
    other.build((None, 2))
    other.load_weights(tmp_path / "again.weights.h5")
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("deed", "match"),
    [
        (lambda editor: editor.rename_object("dense", "a/b"), "no path"),
        (lambda editor: editor.rename_object("dense", "dense_1"), "free"),
        (lambda editor: editor.rename_object("nothing", "a"), "summary"),
        (lambda editor: editor.delete_object("layers/nothing"), "summary"),
        (lambda editor: editor.delete_object("nothing/dense"), "summary"),
        (lambda editor: editor.delete_object("0"), "summary"),
        (lambda editor: editor.add_object("nothing/dense", {}), "summary"),
        (lambda editor: editor.add_object("layers/x", [1]), "a dict"),
        (lambda editor: editor.add_object("layers/x", {"0": "text"}), "numbers"),
        (lambda editor: editor.add_weights("dense", {"a/b": 1}), "no path"),
        (lambda editor: editor.delete_weight("dense", "7"), "weight of dense"),
        (lambda editor: editor.save("x.keras"), "weights.h5"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(tmp_path, deed, match):
    model = made(talweg, 3)
    model.save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=match):
        deed(editor)
    assert editor.compare(model)["status"] == "success"


def test_a_name_that_is_there_twice_wants_its_path(tmp_path):
    inner = talweg.Sequential([talweg.Input((2,)), layers.Dense(2)])
    talweg.Sequential([inner, layers.Dense(1)]).save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="more than once"):
        editor.delete_object("dense")
    editor.delete_object("layers/dense")
    editor.delete_object("dense")


def test_damaged_and_evil_files(tmp_path, capsys):
    path = tmp_path / "m.weights.h5"
    with pytest.raises(ValueError, match="ends in"):
        KerasFileEditor("m.h5")
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedFile):
        KerasFileEditor(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("a/vars/0", (1 << 25,), "f4", compression="gzip", fillvalue=1)
    with limited(), pytest.raises(DamagedFile):
        KerasFileEditor(path)
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("/etc/passwd", "x")
    with limited(), pytest.raises(DamagedFile, match="link"):
        KerasFileEditor(path)
    with h5py.File(path, "w") as file:
        file["\x1b[2J/vars/0"] = np.zeros(1)
    KerasFileEditor(path).summary()
    assert "\x1b" not in capsys.readouterr().out
