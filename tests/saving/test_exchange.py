"""`.safetensors`: what others wrote is read, and what is written others read; reports."""

import json
import warnings

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.saving import DamagedFile

pytest.importorskip("safetensors", reason="safetensors is not installed")
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def made(units=3, dtype=None, **names):
    x = talweg.Input((4,))
    inner_x = talweg.Input((units,))
    inner = talweg.Model(inner_x, layers.BatchNormalization(name="norm")(inner_x), name="inner")
    hidden = layers.Dense(units, dtype=dtype, name=names.get("hidden", "hidden"))(x)
    shared = layers.Dense(units, name=names.get("shared", "shared"))
    return talweg.Model(x, layers.Dense(2, name="head")(shared(shared(inner(hidden)))))


def same(model, other):
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(theirs.value))


def test_names_are_the_paths_and_values_those_of_the_variables(tmp_path):
    model = made()
    model.save_weights(tmp_path / "w.safetensors")
    stored = load_file(tmp_path / "w.safetensors")
    assert stored.keys() == {v.path for v in model.weights} >= {"head/kernel", "shared/bias"}
    for variable in model.weights:
        np.testing.assert_array_equal(stored[variable.path], variable.numpy())
    other = made()
    other.load_weights(tmp_path / "w.safetensors")
    same(other, model)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_head_tells_whose_the_file_is(tmp_path):
    made().save_weights(tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", "numpy") as file:
        head = file.metadata()
    assert head["format"] == "talweg"
    assert json.loads(head["places"])["head/kernel"] == "layers/dense_2/vars/0"


def test_arrays_of_another_library_are_read_by_their_names(tmp_path):
    model, rng = made(), np.random.default_rng(0)
    arrays = {v.path: rng.normal(size=v.shape).astype("f8") for v in model.weights}
    save_file(arrays, tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    for variable in model.weights:
        assert variable.dtype == "float32"
        np.testing.assert_array_equal(variable.numpy(), arrays[variable.path].astype("f4"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_small_floats_keep_their_bits(tmp_path, dtype):
    model = made(dtype=dtype)
    model.save_weights(tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert file.get_slice("hidden/kernel").get_dtype() == {"bfloat16": "BF16"}.get(dtype, "F16")
    other = made(dtype=dtype)
    other.load_weights(tmp_path / "w.safetensors")
    same(other, model)
    wide = made()
    wide.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(
        wide.get_layer("hidden").kernel.numpy(),
        model.get_layer("hidden").kernel.numpy().astype("f4"),
    )


def test_layers_that_got_other_numbers_are_found_by_their_places(tmp_path):
    def plain():
        return talweg.Sequential([talweg.Input((4,)), layers.Dense(4), layers.Dense(4)])

    model, other = plain(), plain()
    assert {v.path for v in model.weights}.isdisjoint(v.path for v in other.weights)
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    same(other, model)


def test_the_name_of_the_model_itself_is_no_part_of_the_names(tmp_path):
    def plain():
        return talweg.Sequential([talweg.Input((4,)), layers.Dense(2, name="head")])

    model, other = plain(), plain()
    assert model.name != other.name
    model.save_weights(tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors").keys() == {"head/kernel", "head/bias"}
    full = {variable.path: variable.numpy() for variable in model.weights}
    save_file(full, tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    save_file({"head/bias": np.float32([7, 8])}, tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors", by_name=True)
    np.testing.assert_array_equal(other.weights[1].numpy(), [7, 8])


def test_two_weights_with_one_path_are_told_apart_by_their_places(tmp_path):
    def twins():
        x = talweg.Input((3,))
        a, b = (talweg.Model(x, layers.Dense(3, name="d")(x), name=name) for name in ("one", "two"))
        given = talweg.Input((3,))
        return talweg.Model(given, b(a(given)))

    model, other = twins(), twins()
    model.save_weights(tmp_path / "w.safetensors")
    assert len(load_file(tmp_path / "w.safetensors")) == 4
    other.load_weights(tmp_path / "w.safetensors")
    same(other, model)


def test_one_error_tells_all_that_does_not_fit(tmp_path):
    made(hidden="first", units=5).save_weights(tmp_path / "w.safetensors")
    model = made()
    before = model.get_weights()
    with pytest.raises(ValueError, match="does not fit the model") as caught:
        model.load_weights(tmp_path / "w.safetensors")
    lines = str(caught.value).splitlines()
    assert "  head/kernel has shape (5, 2), the model wants (3, 2) (head/kernel)" in lines
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_missing_and_extra_arrays_are_told_by_path_and_may_be_skipped(tmp_path):
    model = made()
    arrays = {v.path: v.numpy() + 1 for v in model.weights}
    arrays["foreign/weight"] = np.zeros((2, 2), "f4")
    del arrays["shared/bias"]
    save_file(arrays, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit") as caught:
        model.load_weights(tmp_path / "w.safetensors")
    assert str(caught.value).splitlines()[1:] == [
        "Missing in the file:",
        "  shared/bias (shape (3,))",
        "In the file, but not in the model:",
        "  foreign/weight (shape (2, 2))",
    ]
    bias = model.get_layer("shared").bias.numpy()
    with pytest.warns(UserWarning, match="shared/bias") as told:
        model.load_weights(tmp_path / "w.safetensors", skip_mismatch=True)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(model.get_layer("shared").bias.numpy(), bias)
    np.testing.assert_array_equal(model.get_layer("head").bias.numpy(), arrays["head/bias"])


def test_by_name_leaves_the_rest_alone(tmp_path):
    model = made()
    save_file(
        {"head/bias": np.float32([7, 8]), "else": np.float32([1])}, tmp_path / "w.safetensors"
    )
    kernel = model.get_layer("head").kernel.numpy()
    model.load_weights(tmp_path / "w.safetensors", by_name=True)
    np.testing.assert_array_equal(model.get_layer("head").bias.numpy(), [7, 8])
    np.testing.assert_array_equal(model.get_layer("head").kernel.numpy(), kernel)
    save_file({"else": np.float32([1])}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="none of its arrays"):
        model.load_weights(tmp_path / "w.safetensors", by_name=True)


@pytest.mark.parametrize(
    ("bias", "match"),
    [
        (np.float32([np.nan, 1]), "NaN"),
        (np.array([np.nan, 1], ml_dtypes.bfloat16), "NaN"),
        (np.array([1, 2], "i4"), "type int32"),
        (np.array([True, False]), "type bool"),
        (np.array([1, 2], "c8"), "type"),
        (np.array([1, 2], ml_dtypes.float8_e4m3fn), "type"),
    ],
)
def test_numbers_that_are_no_weights_are_refused(tmp_path, bias, match):
    model = made()
    arrays = {v.path: v.numpy() for v in model.weights}
    save_file({**arrays, "head/bias": bias}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=match):
        model.load_weights(tmp_path / "w.safetensors")
    if match == "NaN":
        model.load_weights(tmp_path / "w.safetensors", allow_nan=True)
        assert np.isnan(model.get_layer("head").bias.numpy()[0])


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(tmp_path, part):
    model, path = made(), tmp_path / "w.safetensors"
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(DamagedFile, match=r"w\.safetensors"):
        model.load_weights(path)


def head_of(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def packed(head, data):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head["head/bias"].update(data_offsets=[0, 1 << 60]),
        lambda head: head["head/bias"].update(data_offsets=[8, 0]),
        lambda head: head["head/bias"].update(data_offsets=head["head/kernel"]["data_offsets"]),
        lambda head: head["head/bias"].update(shape=[1 << 62, 1 << 62]),
        lambda head: head["head/bias"].update(shape=[-2]),
        lambda head: head["head/bias"].update(dtype="O8"),
        lambda head: head.update({"__metadata__": {"places": 3}}),
        lambda head: head.update({"__metadata__": {"places": "[" * 100_000}}),
        lambda head: head.update({"__metadata__": {"places": "null"}}),
    ],
)
def test_a_head_that_lies_is_refused_or_does_no_harm(tmp_path, change):
    model, path = made(), tmp_path / "w.safetensors"
    model.save_weights(path)
    head, data = head_of(path.read_bytes())
    change(head)
    path.write_bytes(packed(head, data))
    other = made()
    before = other.get_weights()
    try:
        other.load_weights(path)
    except ValueError:
        for now, then in zip(other.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)
    else:
        same(other, model)


@pytest.mark.parametrize(
    "content",
    [b"\xff" * 8, (1 << 40).to_bytes(8, "little") + b"{", packed(b"[]", b""), packed(b"{", b"")],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(DamagedFile):
        made().load_weights(tmp_path / "w.safetensors")


def test_the_optimizer_is_left_as_it_is(tmp_path):
    model = made()
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4), "f4"), np.ones((4, 2), "f4"), verbose=0)
    model.save_weights(tmp_path / "w.safetensors")
    before = [v.numpy() for v in model.optimizer.variables]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_weights(tmp_path / "w.safetensors")
    for now, then in zip(model.optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"talweg\[exchange\]"):
        made().save_weights(tmp_path / "w.safetensors")


@pytest.mark.parity
def test_torch_reads_and_writes_the_same_numbers(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    model = made(dtype="bfloat16")
    model.save_weights(tmp_path / "w.safetensors")
    tensors = load_torch(tmp_path / "w.safetensors")
    assert tensors["hidden/kernel"].dtype == torch.bfloat16
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("f4")
    linear = torch.nn.Linear(3, 2)
    linear.load_state_dict({"weight": tensors["head/kernel"].T, "bias": tensors["head/bias"]})
    np.testing.assert_allclose(
        linear(torch.tensor(x)).detach().numpy(),
        np.asarray(model.get_layer("head")(jnp.asarray(x))), rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    doubled = {name: (tensor * 2).contiguous() for name, tensor in tensors.items()}
    save_torch(doubled, tmp_path / "t.safetensors")
    other = made(dtype="bfloat16")
    other.load_weights(tmp_path / "t.safetensors")
    for mine, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(theirs.value * 2))
