"""`Model.export`: names, shapes and types of what goes in and out, refusals, safety of files."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import talweg
from export.cases import randomize
from export.test_layers import in_onnxruntime
from talweg import Input, layers

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")


def session_of(model, path, **options):
    model.export(path, verbose=False, **options)
    return onnxruntime.InferenceSession(str(path))


def described(entries):
    return [(entry.name, entry.shape, entry.type) for entry in entries]


def small():
    return talweg.Sequential([Input((3,), name="row"), layers.Dense(2, name="head")])


class Sum(talweg.Model):
    """A model of two arguments, whose outputs are a tuple."""

    def __init__(self):
        super().__init__()
        self.table, self.head = layers.Embedding(5, 3), layers.Dense(2)

    def call(self, words, extra):
        return self.head(self.table(words)[:, 0] + extra), extra


class Nested(talweg.Model):
    """A model of a dict with a list in it."""

    def call(self, inputs, training=False):
        left, right = inputs["pair"]
        return {"sum": left + right, "same": inputs["one"]}


def test_an_export_leaves_jax_as_it_was(tmp_path):
    cumsum = jnp.cumsum
    small().export(tmp_path / "m.onnx", verbose=False)
    assert jnp.cumsum is cumsum
    assert jnp.cumsum(jnp.ones(2), 0).tolist() == [1, 2]


# -- what goes in and out ------------------------------------------------------------------


def test_sequential_names_are_those_of_its_input_and_its_last_layer(tmp_path, capsys):
    small().export(tmp_path / "m.onnx")
    assert capsys.readouterr().out.splitlines() == [
        f"Saved artifact at '{tmp_path / 'm.onnx'}'.",
        "  input row (batch, 3) float32",
        "  output head (batch, 2) float32",
    ]
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    assert described(session.get_inputs()) == [("row", ["batch", 3], "tensor(float)")]
    assert described(session.get_outputs()) == [("head", ["batch", 2], "tensor(float)")]


def test_functional_list_has_the_names_of_inputs_and_layers(tmp_path):
    a, b = Input((3,), name="a"), Input((3,), dtype="int32", name="b")
    shared = layers.Dense(2, name="head")
    total = shared(a + layers.Rescaling(1.0)(b))
    model = talweg.Model([a, b], [total, shared(a), a])
    session = session_of(model, tmp_path / "m.onnx")
    assert [entry.name for entry in session.get_inputs()] == ["a", "b"]
    assert [entry.name for entry in session.get_outputs()] == ["head", "head_1", "a_1"]
    given = {"a": np.ones((2, 3), "float32"), "b": np.full((2, 3), 4, "int32")}
    got = in_onnxruntime(tmp_path / "m.onnx", given)
    for one, other in zip(model.predict([*given.values()], verbose=0), got.values(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)


def test_subclassed_model_is_exported_as_it_was_called(tmp_path):
    model = Sum()
    words, extra = np.array([[1, 2], [3, 4]]), np.ones((2, 3), "float32")
    expected, _ = model(words, extra)
    session = session_of(model, tmp_path / "m.onnx")
    assert described(session.get_inputs()) == [
        ("input_0", ["batch", 2], "tensor(int32)"),
        ("input_1", ["batch", 3], "tensor(float)"),
    ]
    given = {"input_0": words.astype("int32"), "input_1": extra}
    np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-6)


def test_signature_tells_what_a_model_that_was_never_called_takes(tmp_path):
    model = Sum()
    signature = [
        layers.InputSpec(shape=(None, 2), dtype="int32", name="words"),
        np.zeros((1, 3), "float32"),
    ]
    session = session_of(model, tmp_path / "m.onnx", input_signature=signature)
    assert described(session.get_inputs()) == [
        ("words", ["batch", 2], "tensor(int32)"),
        ("input_1", ["batch", 3], "tensor(float)"),
    ]
    assert model.built


def test_nested_structures_are_named_by_their_keys(tmp_path):
    spec = layers.InputSpec(shape=(None, 3), dtype="float32")
    signature = [{"one": spec, "pair": [spec, spec]}]
    session = session_of(Nested(), tmp_path / "m.onnx", input_signature=signature)
    assert [entry.name for entry in session.get_inputs()] == ["one", "pair/0", "pair/1"]
    assert [entry.name for entry in session.get_outputs()] == ["same", "sum"]


def test_other_open_sizes_stay_open(tmp_path):
    words, mask = Input((None,), dtype="int32", name="words"), Input((None,), name="mask")
    seen = layers.Embedding(9, 4)(words) * layers.Reshape((-1, 1))(mask)
    model = talweg.Model(
        [words, mask], layers.GlobalMaxPooling1D()(layers.LSTM(3, return_sequences=True)(seen))
    )
    session = session_of(model, tmp_path / "m.onnx")
    assert [entry.shape for entry in session.get_inputs()] == [["batch", "size_1"]] * 2
    for rows, length in ((1, 7), (3, 12)):
        given = {
            "words": np.full((rows, length), 2, "int32"),
            "mask": np.ones((rows, length), "float32"),
        }
        expected = model.predict([*given.values()], verbose=0)
        np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-5)


def test_fixed_rows_may_be_asked_for(tmp_path):
    signature = [layers.InputSpec(shape=(2, 3), dtype="float32")]
    session = session_of(small(), tmp_path / "m.onnx", input_signature=signature)
    assert described(session.get_inputs()) == [("row", [2, 3], "tensor(float)")]


def test_model_from_a_file_is_exported_like_the_one_that_was_saved(tmp_path):
    model = talweg.Sequential([
        Input((8, 8, 1)), layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(4, "softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 1)).astype("float32")
    model.fit(x, np.arange(16) % 4, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = talweg.saving.load_model(tmp_path / "m.keras")
    session = session_of(loaded, tmp_path / "m.onnx")
    (name,) = [entry.name for entry in session.get_inputs()]
    np.testing.assert_allclose(
        session.run(None, {name: x})[0], model.predict(x, verbose=0), atol=1e-5
    )


def test_mixed_precision_is_computed_in_float32(tmp_path):
    model = talweg.Sequential([Input((3,)), layers.Dense(64, "relu", dtype="mixed_bfloat16"),
                               layers.Dense(1, dtype="mixed_bfloat16")])  # fmt: skip
    randomize(model)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    session = session_of(model, tmp_path / "m.onnx")
    (got,) = session.run(None, {session.get_inputs()[0].name: x})
    weights = [w.astype("float64") for w in model.get_weights()]
    exact = np.maximum(x @ weights[0] + weights[1], 0) @ weights[2] + weights[3]
    np.testing.assert_allclose(got, exact, rtol=1e-5)
    assert str(model(x).dtype) == "bfloat16"  # the model is what it was


def test_layers_become_the_operators_of_onnx_and_runtimes_do_not_complain(tmp_path, capfd):
    import onnx

    picture = Input((2, 8, 8, 3))
    seen = layers.TimeDistributed(layers.Conv2D(4, 3, padding="same"))(picture)
    read = layers.GRU(3, go_backwards=True)(layers.Reshape((2, -1))(seen))
    session_of(talweg.Model(picture, read), tmp_path / "m.onnx").run(
        None, {picture.layer.name: np.zeros((2, 2, 8, 8, 3), "float32")}
    )
    assert capfd.readouterr().err == ""
    operators = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert operators.count("Conv") == 1
    assert operators.count("Loop") == 1


@pytest.mark.parametrize(("opset", "version"), [(20, 9), (21, 10), (23, 10)])
def test_a_file_says_the_oldest_format_that_has_its_operations(opset, version, tmp_path):
    # onnxruntime 1.17 has all operations of 20, and refuses files of format 10.
    onnx = pytest.importorskip("onnx")
    small().export(tmp_path / "m.onnx", opset_version=opset, verbose=False)
    proto = onnx.load(tmp_path / "m.onnx")
    assert (proto.opset_import[0].version, proto.ir_version) == (opset, version)


# -- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["tf_saved_model", "openvino", "litert", "torch"])
def test_formats_of_keras_are_refused_with_what_to_use_instead(format, tmp_path):
    with pytest.raises(
        ValueError, match=f'format must be "onnx" or "stablehlo", got {format!r}. .*onnx'
    ):
        small().export(tmp_path / "m", format=format)


def test_wrong_arguments_are_refused(tmp_path):
    model = small()
    with pytest.raises(ValueError, match=r"Unknown export format 'onx'\. Did you mean 'onnx'"):
        model.export(tmp_path / "m", format="onx")
    with pytest.raises(TypeError, match=r"'onnx' has no option 'opset'\. It has: opset_version"):
        model.export(tmp_path / "m", opset=17)
    with pytest.raises(TypeError, match="something with a shape and a dtype"):
        model.export(tmp_path / "m", input_signature=[(None, 3)])
    with pytest.raises(TypeError, match="Strings stay on the host"):
        model.export(tmp_path / "m", input_signature=[np.array([["a"]])])
    with pytest.raises(IsADirectoryError):
        model.export(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.export(tmp_path / "none" / "m.onnx")
    with pytest.raises(ValueError, match=r"does not know its inputs\. Call it on a batch"):
        Sum().export(tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
def test_state_that_a_file_would_forget_is_refused(format, tmp_path):
    x = Input(batch_shape=(2, 4, 3))
    model = talweg.Model(x, layers.LSTM(2, stateful=True, name="memory")(x))
    signature = [layers.InputSpec(shape=(2, 4, 3), dtype="float32")]
    with pytest.raises(ValueError, match=r"changes 'memory/.*' when it is called for inference"):
        model.export(tmp_path / "m", format=format, input_signature=signature)


@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
def test_size_that_must_be_known_is_asked_for(format, tmp_path):
    x = Input((None, 4))
    model = talweg.Model(x, layers.Lambda(lambda x: x[:, : 8 if x.shape[1] > 8 else 4])(x))
    with pytest.raises(ValueError, match=r"InputSpec\(shape=\(None, 64, 4\), dtype="):
        model.export(tmp_path / "m", format=format)


def test_primitive_without_a_counterpart_is_refused_by_its_name(tmp_path):
    model = talweg.Sequential([Input((4, 4)), layers.Lambda(lambda x: jnp.linalg.eigh(x)[0])])
    with pytest.raises(ValueError, match=r"cannot be carried to ONNX.*eigh.*Nothing was written"):
        model.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


# -- safety --------------------------------------------------------------------------------


def test_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    from talweg.export import lowering

    monkeypatch.setitem(lowering._RULES, "tanh", lambda inputs, _: jax.lax.sin(inputs[0]))
    model = talweg.Sequential([Input((3,)), layers.Activation("tanh", name="last")])
    (tmp_path / "m.onnx").write_bytes(b"good")
    with pytest.raises(ValueError, match="does not compute what the model computes: output 'last'"):
        model.export(tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"good"
    assert len(list(tmp_path.iterdir())) == 1
    model.export(tmp_path / "m.onnx", verify=False, verbose=False)
    assert (tmp_path / "m.onnx").read_bytes() != b"good"


def test_logging_stays_as_the_user_set_it_up(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    small().export(tmp_path / "m.onnx", verbose=False)
    assert logging.root.handlers == []
    assert logging.root.manager.disable == logging.NOTSET


def test_weights_and_predictions_stay_as_they_are(tmp_path):
    model = small()
    before, x = model.get_weights(), np.ones((2, 3), "float32")
    expected = model.predict(x, verbose=0)
    model.export(tmp_path / "m.onnx", verbose=False)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_missing_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'talweg\[export\]'"):
        small().export(tmp_path / "m.onnx")
