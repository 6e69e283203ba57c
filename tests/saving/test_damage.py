"""Older files that must not be believed, reports of all kinds of files, and flipped bits."""

import json
import random
import re
import shutil
import warnings

import h5py
import numpy as np
import pytest

import talweg
from saving import opening
from saving.limits import limited
from talweg import layers
from talweg.models import load_model
from talweg.saving import DamagedFile


@pytest.fixture(scope="module", autouse=True)
def _warm():
    for file in ("good_of_keras.h5", "good_plain.keras", "good_plain.weights.h5"):
        opening.opened((opening.CORPUS / file).read_bytes(), measured=False)


@pytest.fixture
def legacy(tmp_path):
    shutil.copy(opening.CORPUS / "good_of_keras.h5", tmp_path / "m.h5")
    return tmp_path / "m.h5"


def changed(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def with_layer(record):
    def change(file):
        config = json.loads(file.attrs["model_config"])
        place = config["config"]["layers"][1]
        place.update(class_name=record["class_name"], module=record.get("module"))
        place["config"] = {**record.get("config", {}), "name": "a"}
        file.attrs["model_config"] = json.dumps(config)

    return change


BYTECODE = {"class_name": "__lambda__", "config": {"value": "4wEAAA==", "defaults": None}}


def lists(file):
    """Names of a type that HDF5 itself crashes of where one bit makes it of text."""
    names = np.empty(1, object)
    names[0] = np.arange(3, dtype="i4")
    file["model_weights"].attrs.create("layer_names", names, (1,), h5py.vlen_dtype("i4"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (with_layer({"class_name": "Lambda", "config": {"function": BYTECODE}}), "ambda"),
        (with_layer({"class_name": "Lambda", "config": {"function": ["4wEAAA==", None, None]}}),
         "Lambda"),
        (with_layer({"class_name": "Popen", "module": "subprocess"}), "'Popen'"),
        (with_layer({"class_name": "TFSMLayer", "config": {"filepath": "/tmp"}}), "'TFSMLayer'"),
        (with_layer({"class_name": "StringLookup", "module": "keras.layers",
                     "config": {"vocabulary": "/etc/passwd"}}), "StringLookup"),
        (with_layer({"class_name": "Dense", "config": {"units": 10**13}}), "variable|units"),
        (with_layer({"class_name": "Dense", "config": {"units": -1}}), "units"),
        (lambda f: f.attrs.__setitem__("model_config", "[]"), "object"),
        (lambda f: f.attrs.__setitem__("model_config", '{"a":' * 9000), "deep|cannot be read"),
        (lambda f: f.attrs.__setitem__("model_config", np.ones(3)), "neither text"),
        (lambda f: f.attrs.__delitem__("model_config"), "no model_config"),
        (lambda f: f.attrs.__setitem__("training_config", '{"loss": {"module": "os", "class_name":'
                                       '"function", "config": "system"}}'), "'system'"),
        (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2]), "names"),
        (lambda f: f["model_weights"].__delitem__("a"), "Missing"),
        (lambda f: f["model_weights"].attrs.__setitem__("layer_names", ["/../a"]), "Missing"),
        (lambda f: f["model_weights/a"].attrs.__setitem__("weight_names", ["../../x", "y"]),
         "Missing"),
        (lambda f: f.__delitem__("model_weights"), "Missing"),
        (lists, "neither text"),
        (lambda f: f.__setitem__("more", h5py.ExternalLink("/etc/passwd", "/")), "link"),
    ],
)  # fmt: skip
def test_an_older_file_is_believed_no_more(legacy, change, match):
    changed(legacy, change)
    with limited(), pytest.raises(ValueError, match=match):
        load_model(legacy)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_an_older_file_that_was_cut_is_refused(legacy, part):
    legacy.write_bytes(legacy.read_bytes()[: int(legacy.stat().st_size * part)])
    with limited(), pytest.raises(DamagedFile):
        load_model(legacy)


# -- reports ---------------------------------------------------------------------------------


def like_the_file(units=3, last="b"):
    x = talweg.Input((4,), name="x")
    h = layers.BatchNormalization(name="norm")(layers.Dense(units, name="a")(x))
    return talweg.Model(x, layers.Dense(2, name=last)(h))


def test_an_older_file_tells_all_that_does_not_fit(legacy):
    with pytest.raises(ValueError, match="does not fit the model") as caught:
        like_the_file(units=5).load_weights(legacy)
    text = str(caught.value)
    assert re.search(r"has shape \(4, 3\), the model wants \(4, 5\) \(a/kernel\)", text)
    assert re.search(r"has shape \(3, 2\), the model wants \(5, 2\) \(b/kernel\)", text)
    x = talweg.Input((4,))
    with pytest.raises(ValueError, match=r"In the file, but not in the model:\n.*gamma"):
        talweg.Model(x, layers.Dense(3, name="a")(x)).load_weights(legacy)
    h = layers.BatchNormalization(name="norm")(layers.Dense(3, name="a")(x))
    h = layers.Dense(2, name="more")(layers.Dense(2, name="b")(h))
    with pytest.raises(ValueError, match=r"Missing in the file:\n  more/kernel \(shape \(2, 2\)\)"):
        talweg.Model(x, h).load_weights(legacy)


def test_an_older_file_can_be_read_by_the_names_of_layers(legacy):
    whole = like_the_file()
    whole.load_weights(legacy)
    x = talweg.Input((4,), name="x")
    part = talweg.Model(x, layers.Dense(7, name="new")(layers.Dense(3, name="a")(x)))
    before = part.get_layer("new").kernel.numpy()
    with pytest.raises(ValueError, match="does not fit"):
        part.load_weights(legacy)
    part.load_weights(legacy, by_name=True)
    for mine, other in zip(
        part.get_layer("a").get_weights(), whole.get_layer("a").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(part.get_layer("new").kernel.numpy(), before)
    stranger = talweg.Sequential([talweg.Input((4,)), layers.Dense(2, name="z")])
    with pytest.raises(ValueError, match="no layer of the model has a name"):
        stranger.load_weights(legacy, by_name=True)


@pytest.mark.parametrize("name", ["good_plain.keras", "good_plain.weights.h5"])
def test_the_state_of_another_optimizer_is_told_and_left_out(name):
    model = like_the_file()
    model.compile(talweg.optimizers.SGD(0.1, momentum=0.9), "mse")
    with pytest.warns(UserWarning, match="Optimizer:\n  .* has 8 variables, the file 14") as told:
        model.load_weights(opening.CORPUS / name)
    assert "left over: optimizer/vars/8 (shape" in str(told[0].message)
    assert told[0].filename == __file__
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_layers_can_be_left_out_and_names_are_for_other_files():
    path = opening.CORPUS / "good_plain.weights.h5"
    model = like_the_file(units=3, last="other")
    kept = model.get_layer("other").kernel.numpy()
    model.load_weights(path, objects_to_skip=[model.get_layer("other")])
    np.testing.assert_array_equal(model.get_layer("other").kernel.numpy(), kept)
    model.load_weights(path)
    assert (model.get_layer("other").kernel.numpy() != kept).any()
    with pytest.raises(ValueError, match="by_name"):
        model.load_weights(path, by_name=True)
    with pytest.raises(ValueError, match="objects_to_skip"):
        model.load_weights(
            opening.CORPUS / "good_of_keras.h5", objects_to_skip=[model.get_layer("other")]
        )


def test_a_layer_that_refuses_its_state_leaves_the_model_as_it_was(tmp_path):
    class Stubborn(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(2,), initializer="zeros")

        def call(self, x):
            return x * self.w

        def load_own_variables(self, store):
            self.w.assign(store["0"])
            raise KeyError("no")

    def made(value):
        model = talweg.Sequential([talweg.Input((2,)), layers.Dense(2), Stubborn()])
        model.set_weights([np.full(v.shape, value, "f4") for v in model.weights])
        return model

    made(1.0).save_weights(tmp_path / "w.weights.h5")
    model = made(0.0)
    with pytest.raises(DamagedFile, match="stubborn"):
        model.load_weights(tmp_path / "w.weights.h5")
    assert not any(weights.any() for weights in model.get_weights())


# -- bits ------------------------------------------------------------------------------------


def weights_of(path):
    model = like_the_file()
    model.load_weights(path)
    return model


@pytest.mark.battery
@pytest.mark.parametrize(
    ("name", "read", "whole"),
    [
        ("good_plain.keras", load_model, True),
        ("good_plain.weights.h5", weights_of, True),
        # Without checksums: what Keras writes as HDF5, and safetensors.
        ("good_of_keras.h5", load_model, False),
        ("good_plain.safetensors", weights_of, False),
    ],
)
def test_a_thousand_flipped_bits(tmp_path, name, read, whole):
    content = (opening.CORPUS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content)
    good, draw, silent = read(path), random.Random(0), 0
    for _ in range(1000):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            with limited(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an optimizer's state that does not fit is told
                found = read(path)
        except ValueError:
            continue
        mine, other = found.get_weights(), good.get_weights()
        equal = all(np.array_equal(a, b) for a, b in zip(mine, other, strict=True))
        if whole:
            assert equal
            assert found.to_json() == good.to_json() or read is weights_of
        silent += not equal
    # A number of the model, and nothing else, may be another one where no checksum tells.
    numbers = sum(array.nbytes for array in good.get_weights())
    assert silent <= (0 if whole else 1000 * 4 * numbers / len(content))
