"""Files that must not be believed: hazards.md, "Files", case by case."""

import importlib
import io
import json
import os
import pickle
import re
import shutil
import socket
import struct
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import talweg
from saving.limits import limited
from talweg import layers
from talweg.models import load_model
from talweg.saving import DamagedFile


@pytest.fixture(scope="module", autouse=True)
def _warm(good):
    """What the first load imports and compiles is not what a file costs."""
    for _ in range(2):
        load_model(good)


@pytest.fixture(scope="module")
def model():
    talweg.utils.set_random_seed(1)
    made = talweg.Sequential(
        [talweg.Input((4,)), layers.Dense(8, name="first"), layers.Dense(2, name="last")]
    )
    made.compile("adam", "mse")
    made.fit(np.ones((8, 4), "f4"), np.ones((8, 2), "f4"), verbose=0)
    return made


@pytest.fixture(scope="module")
def good(model, tmp_path_factory):
    model.save(tmp_path_factory.mktemp("good") / "good.keras")
    return tmp_path_factory.getbasetemp() / "good0" / "good.keras"


@pytest.fixture
def path(good, tmp_path):
    shutil.copy(good, tmp_path / "good.keras")
    return tmp_path / "good.keras"


def members(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(path, parts, compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, content in parts if isinstance(parts, list) else parts.items():
                file.writestr(name, content)
    return path


def with_config(path, change):
    parts = members(path)
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    return packed(path.with_name("bad.keras"), parts)


def with_weights(path, change):
    parts = members(path)
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        change(file)
    parts["model.weights.h5"] = stream.getvalue()
    return packed(path.with_name("bad.keras"), parts)


def layer(config, index=1):
    return config["config"]["layers"][index]


def refused(path, match, **options):
    corpus = os.environ.get("TALWEG_CORPUS")  # where the hazards are kept for the fuzzer
    if corpus:
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[1].partition(" ")[0]
        name = re.sub(r"\W+", "_", test.removeprefix("test_"))[:90]
        shutil.copy(path, Path(corpus) / f"{name}.keras")
    with limited(), pytest.raises((DamagedFile, ValueError), match=match):
        load_model(path, **options)


def busy(seconds=1.1):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(
    ("deed", "match"),
    [
        (lambda: np.ones(10 << 20, "f8"), "MB"),
        (busy, "processor"),
        (lambda: importlib.import_module("this"), "import"),
        (lambda: Path("/etc/hostname").read_text(), "read"),
        (lambda: Path("/dev/shm/talweg").write_text(""), "write"),
        (lambda: os.system("true"), r"os\.system"),
        (lambda: socket.getaddrinfo("localhost", 80), "socket"),
    ],
)
def test_what_a_file_may_not_cost_or_touch_is_noticed(deed, match):
    with pytest.raises(AssertionError, match=match), limited(seconds=1):
        deed()


# -- 1 to 5: what a config asks for ------------------------------------------------------


LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAA==", "defaults": None}}


@pytest.mark.parametrize(
    ("record", "match"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "registered_name": None,
          "config": {"name": "l", "function": LAMBDA}}, "Lambda|lambda"),
        ({"module": "os", "class_name": "function", "config": "system",
          "registered_name": "system"}, "'system'"),
        ({"module": "builtins", "class_name": "function", "config": "eval",
          "registered_name": "eval"}, "'eval'"),
        ({"module": "keras.models", "class_name": "function", "config": "load_model",
          "registered_name": "load_model"}, "'load_model'"),
        ({"module": "keras", "class_name": "function", "config": "load_model",
          "registered_name": "load_model"}, "'load_model'"),
        ({"module": "keras.utils", "class_name": "function", "config": "plot_model",
          "registered_name": "plot_model"}, "'plot_model'"),
        ({"module": "keras.utils", "class_name": "get_file", "config": {},
          "registered_name": None}, "'get_file'"),
        ({"module": "subprocess", "class_name": "Popen", "config": {"args": "id"},
          "registered_name": None}, "'Popen'"),
        ({"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"},
          "registered_name": None}, "'TorchModuleWrapper'"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"},
          "registered_name": None}, "'TFSMLayer'"),
        ({"module": "keras.layers", "class_name": ["Dense"], "config": {},
          "registered_name": None}, "Dense"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["layer", "activation", "loss"])
def test_only_classes_that_are_known_can_be_named(path, record, match, place):
    def change(config):
        if place == "layer":
            config["config"]["layers"][1] = record
        elif place == "activation":
            layer(config)["config"]["activation"] = record
        else:
            config["compile_config"]["loss"] = record

    refused(with_config(path, change), match)


@pytest.mark.parametrize("vocabulary", ["/etc/passwd", "http://evil.example/x", "gs://x/y"])
@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_config_cannot_have_a_file_or_an_address_opened(path, vocabulary, kind):
    def change(config):
        config["config"]["layers"][1] = {
            "module": "keras.layers", "class_name": kind, "registered_name": None,
            "config": {"name": "s", "vocabulary": vocabulary},
        }  # fmt: skip

    refused(with_config(path, change), kind)


@pytest.mark.parametrize("name", ["../../x", "..\\x", "/abs", "a\0b", "..", 7])
def test_the_name_of_a_layer_is_no_path(path, name):
    refused(with_config(path, lambda c: layer(c)["config"].update(name=name)), "name")


# -- 6, 7: zip and JSON --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "assets/../../x", "evil.py", "a\\b"])
def test_members_that_do_not_belong_are_refused(path, name):
    parts = members(path)
    refused(packed(path.with_name("bad.keras"), {**parts, name: b"x"}), "no member")


def test_a_link_a_second_config_an_encrypted_and_an_overlapping_member_are_refused(path):
    parts = members(path)
    bad = path.with_name("bad.keras")
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    refused(packed(bad, [*parts.items(), (link, "/etc/passwd")]), "link")
    refused(packed(bad, [*parts.items(), ("config.json", b"{}")]), "twice|Overlapped|over")
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    encrypted = content.copy()
    encrypted[central + 8] |= 1
    bad.write_bytes(encrypted)
    refused(bad, "encrypted")
    second = content.index(b"PK\x01\x02", central + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 10)
    bad.write_bytes(content)
    refused(bad, "over|damaged|bad")


def test_a_config_that_unpacks_to_a_gigabyte_is_refused_before_it_is_unpacked(path):
    parts = members(path)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk = b" " * (1 << 20)
    body = b"".join([*(compressor.compress(chunk) for _ in range(64)), compressor.flush()])
    bad = packed(path.with_name("bad.keras"), {**parts, "config.json": b"x" * len(body)})
    content = bad.read_bytes().replace(b"x" * len(body), body)
    at = content.index(b"config.json", content.index(b"PK\x01\x02")) - 46
    head = bytearray(content[at : at + 46])
    head[10:12] = struct.pack("<H", 8)
    head[24:28] = struct.pack("<I", 1 << 30)
    bad.write_bytes(content[:at] + bytes(head) + content[at + 46 :])
    refused(bad, "would be 1073741824 bytes")
    head[24:28] = struct.pack("<I", 100)
    bad.write_bytes(content[:at] + bytes(head) + content[at + 46 :])
    refused(bad, "damaged|long")


@pytest.mark.parametrize("filling", [b"[],", b"{},", b'"ab",', b'{"a":1},'])
def test_a_config_of_millions_of_values_is_refused_before_they_are_made(path, filling):
    text = b'{"a":[' + filling * ((20 << 20) // len(filling)) + b"0]}"
    refused(packed(path.with_name("bad.keras"), {**members(path), "config.json": text}), "values")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
        (b"[" * 100_000 + b"]" * 100_000, "deep|object"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"\xff\xfe{}", "cannot be read"),
        (b'{"class_name": "Sequential", "class_name": "Model"}', "twice"),
        (b'{"config": NaN}', "NaN"),
        (b"", "cannot be read"),
        (b"{}", "config"),
        (b'{"module": "keras", "class_name": "Sequential", "config": []}', "config"),
        (b'{"module": "keras", "class_name": "Sequential", "config": {}}', "config"),
        (b'{"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}', "model"),
    ],
)
def test_json_that_is_no_config_of_a_model_is_refused(path, text, match):
    refused(packed(path.with_name("bad.keras"), {**members(path), "config.json": text}), match)


# -- 8 to 11: values and weights -----------------------------------------------------------


@pytest.mark.parametrize("units", [10**13, 10**10, -1, 8.5, "8", None, True])
def test_impossible_units_are_refused_without_taking_memory(path, units):
    refused(with_config(path, lambda c: layer(c)["config"].update(units=units)), "units|variable")


KERNEL = "layers/dense/vars/0"


def replaced(**options):
    def change(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, **options)

    return change


def linked(link):
    def change(file):
        del file[KERNEL]
        file[KERNEL] = link

    return change


def cyclic(file):
    file["layers/dense/round"] = file["layers"]


def virtual(file):
    del file[KERNEL]
    layout = h5py.VirtualLayout((4, 8), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 8))
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (replaced(shape=(2**50,), dtype="f4", chunks=(2**10,)), "shape"),
        (replaced(shape=(2**27,), dtype="f4", compression="gzip"), "shape"),
        (replaced(shape=(4, 8), dtype="f4"), "missing"),
        (replaced(shape=(4, 8), dtype="f4", external=[("/etc/passwd", 0, 128)]), "outside"),
        (virtual, "outside"),
        (linked(h5py.ExternalLink("/etc/passwd", "/x")), "link"),
        (linked(h5py.SoftLink("/layers/dense_1/vars/0")), "link"),
        (cyclic, "two ways"),
        (replaced(data=np.ones((8, 4), "f4")), "shape"),
        (replaced(data=np.ones((4, 8), "c8")), "type"),
        (replaced(data=np.full((4, 8), b"x")), "type"),
        (replaced(shape=(4, 8), dtype=h5py.string_dtype()), "type"),
        (replaced(data=np.ones((4, 8), "i4")), "type"),
        (replaced(data=np.full((4, 8), np.nan, "f4")), "NaN"),
        (lambda file: file.__delitem__(KERNEL), "Missing"),
        (lambda file: file.create_dataset("layers/dense/vars/7", data=[1.0]), "not in the model"),
        (lambda file: file.__delitem__("optimizer"), "Optimizer"),
        (lambda file: file.__delitem__("optimizer/vars/3"), "Optimizer"),
    ],
)
def test_weights_that_do_not_fit_are_refused(path, change, match):
    refused(with_weights(path, change), match)


def test_nan_is_loaded_where_it_is_allowed(path):
    bad = with_weights(path, replaced(data=np.full((4, 8), np.nan, "f4")))
    assert np.isnan(load_model(bad, allow_nan=True).layers[0].kernel.numpy()).all()


def test_without_compile_the_optimizer_may_be_missing(path, model):
    bad = with_weights(path, lambda file: file.__delitem__("optimizer"))
    again = load_model(bad, compile=False)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_load_weights_says_what_is_missing_left_over_or_of_another_shape(model, tmp_path):
    model.save_weights(tmp_path / "a.weights.h5")
    other = talweg.Sequential([talweg.Input((4,)), layers.Dense(8), layers.Dense(3)])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"layers/dense_1/vars/0 has shape \(8, 2\)"):
        other.load_weights(tmp_path / "a.weights.h5")
    for now, then in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.warns(UserWarning, match="not all of it"):
        other.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    short = talweg.Sequential([talweg.Input((4,)), layers.Dense(8)])
    with pytest.raises(
        ValueError, match=r"not in the model:\n  layers/dense_1/vars/0 \(shape \(8, 2\)\)"
    ):
        short.load_weights(tmp_path / "a.weights.h5")


# -- 12 to 14 --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", [".keras", ".weights.h5"])
def test_a_file_that_was_cut_is_refused(model, tmp_path, part, kind):
    whole, cut = tmp_path / f"whole{kind}", tmp_path / f"cut{kind}"
    model.save(whole) if kind == ".keras" else model.save_weights(whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * part)])
    with limited(), pytest.raises(DamagedFile):
        load_model(cut) if kind == ".keras" else model.load_weights(cut)


def test_pickles_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    (tmp_path / "p.keras").write_bytes(pickle.dumps(Evil()))
    np.savez(tmp_path / "n.keras", x=np.array([Evil()], dtype=object))
    (tmp_path / "n.keras.npz").rename(tmp_path / "n.keras")
    for name in ("p.keras", "n.keras"):
        refused(tmp_path / name, "no .keras file|no member")


def graph(change, tmp_path):
    x = talweg.Input((4,), name="x")
    made = talweg.Model(x, layers.Dense(2, name="b")(layers.Dense(3, name="a")(x)))
    made.save(tmp_path / "g.keras")
    return with_config(tmp_path / "g.keras", change)


def history(config, index):
    node = config["config"]["layers"][index]["inbound_nodes"][0]
    return node["args"][0]["config"]["keras_history"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: history(c, 1).__setitem__(0, "b"), "circle"),
        (lambda c: history(c, 1).__setitem__(0, "a"), "circle"),
        (lambda c: history(c, 1).__setitem__(0, "nobody"), "not there"),
        (lambda c: history(c, 1).__setitem__(1, 5), "not there"),
        (lambda c: history(c, 2).__setitem__(2, 5), "no tensor"),
        (lambda c: history(c, 2).__setitem__(2, -1), "no tensor"),
        (lambda c: c["config"].update(output_layers=[["nobody", 0, 0]]), "no tensor"),
        (lambda c: c["config"].update(output_layers=[["a", "0", 0]]), "no \\[layer"),
        (lambda c: c["config"].update(layers={}), "no list"),
        (lambda c: c["config"]["layers"][2].update(name="a"), "name"),
    ],
)
def test_a_graph_that_is_none_is_refused(change, match, tmp_path):
    refused(graph(change, tmp_path), match)


def test_a_lambda_layer_is_not_written(tmp_path):
    made = talweg.Sequential([talweg.Input((3,)), layers.Lambda(lambda x: x)])
    with pytest.raises(ValueError, match="Lambda"):
        made.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_unsafe_mode_does_not_exist(path):
    refused(path, "safe_mode", safe_mode=False)


def test_a_failed_save_leaves_the_file_that_was_there(path, model, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
