"""Models that are given raw text, against what Keras on TensorFlow recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

import talweg
from goldens import feature_space_cases as cases
from talweg import Input, Model, Sequential, layers
from talweg.models import load_model
from talweg.utils import FeatureSpace

GOLDENS = Path(__file__).parents[1] / "goldens"
KERAS = json.loads((GOLDENS / "text_model.json").read_text())
TEXTS = np.array(KERAS["texts"], dtype=object)
LABELS = np.array(KERAS["labels"], "float32")

FORMS = {
    "objects": TEXTS,
    "column": TEXTS[:, None],
    "array": TEXTS.astype(str),
    "bytes": np.array([text.encode() for text in TEXTS], dtype=object),
    "list": TEXTS.tolist(),
    "list of lists": [[text] for text in TEXTS],
    "strings of numpy": TEXTS.astype(np.dtypes.StringDType()),
}


def vectorizer(**kwargs):
    kwargs = {"output_sequence_length": 4, **kwargs}
    return layers.TextVectorization(vocabulary=["good", "bad", "film", "plot"], **kwargs)


def of_ids():
    return Sequential(
        [layers.Embedding(6, 3), layers.GlobalAveragePooling1D(), layers.Dense(1, "sigmoid")]
    )


def test_the_model_of_keras_answers_text_as_there():
    model = load_model(GOLDENS / "text_model.keras")
    for x in FORMS.values():
        np.testing.assert_allclose(model.predict(x, verbose=0), KERAS["predicted"], atol=1e-6)
        np.testing.assert_allclose(model(x), KERAS["predicted"], atol=1e-6)
    got = model.evaluate(TEXTS, LABELS, verbose=0)
    np.testing.assert_allclose(got, KERAS["evaluated"], atol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_model_on_ids_is_exported_with_its_vectorizer(shape, tmp_path):
    vectorize, inner = vectorizer(), of_ids()
    ids = vectorize(TEXTS)
    inner.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    inner.fit(ids, LABELS, epochs=2, verbose=0)
    inputs = Input(shape, dtype="string")
    model = Model(inputs, inner(vectorize(inputs)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    expected = inner.evaluate(ids, LABELS, verbose=0)
    assert model.evaluate(TEXTS.tolist(), LABELS, verbose=0) == expected
    model.save(tmp_path / "model.keras")
    for made in (model, load_model(tmp_path / "model.keras")):
        predicted = made.predict(TEXTS, verbose=0)
        np.testing.assert_array_equal(predicted, inner.predict(ids, verbose=0))
        np.testing.assert_array_equal(made.predict_on_batch(TEXTS), predicted)


def test_fit_on_text_is_fit_on_its_ids():
    talweg.utils.set_random_seed(0)
    inner = of_ids()
    inner.build((None, 4))
    start = inner.get_weights()
    model = Sequential([vectorizer(), *inner.layers])
    histories = []
    for trained, x in ((inner, vectorizer()(TEXTS)), (model, TEXTS)):
        trained.compile("adam", "binary_crossentropy")
        inner.set_weights(start)
        talweg.utils.set_random_seed(1)
        history = trained.fit(x, LABELS, 2, epochs=3, verbose=0, validation_split=1 / 3)
        histories.append(history.history)
    assert histories[0] == histories[1]


def test_text_comes_in_batches_too(tmp_path):
    model = Sequential([Input((1,), dtype="string"), vectorizer(), *of_ids().layers])
    model.compile("adam", "binary_crossentropy")
    expected = model.evaluate(TEXTS, LABELS, verbose=0)
    batches = talweg.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2)
    assert model.evaluate(batches, verbose=0) == pytest.approx(expected, abs=1e-6)
    pairs = [(TEXTS[i : i + 3].tolist(), LABELS[i : i + 3]) for i in (0, 3)]
    assert model.evaluate((pair for pair in pairs), verbose=0) == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(model.train_on_batch(TEXTS, LABELS))
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(TEXTS), model.predict(TEXTS, verbose=0))


def test_text_and_numbers_enter_one_model():
    text, number = Input((1,), dtype="string", name="text"), Input((2,), name="number")
    code = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(text)
    model = Model([text, number], layers.Dense(1)(layers.Concatenate()([code, number])))
    words, numbers = np.array(["a", "b", "z"]), np.arange(6.0).reshape(3, 2)
    encoded = np.concatenate([[[0, 1, 0], [0, 0, 1], [1, 0, 0]], numbers], axis=1)
    kernel, bias = model.layers[-1].get_weights()
    for x in ([words, numbers], {"text": words, "number": numbers}):
        np.testing.assert_allclose(model.predict(x, verbose=0), encoded @ kernel + bias, rtol=1e-5)
        np.testing.assert_allclose(model(x), encoded @ kernel + bias, rtol=1e-5)


def test_models_on_text_stand_in_models():
    inner = Sequential([vectorizer(output_mode="multi_hot", output_sequence_length=None)])
    inputs = Input((), dtype="string")
    codes = inner.predict(TEXTS, verbose=0)
    for outer in (Model(inputs, inner(inputs) * 2), Sequential([inner, layers.Rescaling(2)])):
        np.testing.assert_allclose(outer.predict(TEXTS, verbose=0), codes * 2)
        np.testing.assert_allclose(outer(TEXTS), codes * 2)


def test_a_feature_space_begins_a_model_on_columns_of_text(tmp_path):
    space = cases.all_kinds(FeatureSpace, "concat")
    space.adapt({name: cases.DATA[name] for name in space.features})
    columns = {name: np.array(cases.UNSEEN[name])[:, None] for name in space.features}
    expected = space({name: cases.UNSEEN[name] for name in space.features})
    model = Model(space.get_inputs(), space.get_encoded_features())
    model.save(tmp_path / "model.keras")
    for made in (model, load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(made.predict(columns, verbose=0), expected, atol=1e-6)


def test_what_is_no_text_or_should_be_none_is_refused(tmp_path):
    inputs = Input((1,), dtype="string")
    model = Model(inputs, vectorizer()(inputs))
    with pytest.raises(TypeError, match="must be string, got"):
        model.predict(np.ones((2, 1)))
    with pytest.raises(TypeError, match="Encode text as numbers first"):
        Sequential([layers.Dense(1)]).predict(TEXTS)
    with pytest.raises(TypeError, match="Put a TextVectorization or StringLookup between"):
        layers.Dense(1)(inputs)
    with pytest.raises(TypeError, match="export the model behind the layers that read them"):
        model.export(tmp_path / "model", format="stablehlo")


@pytest.mark.parity
def test_keras_reads_the_file(tmp_path):
    import keras

    inputs = Input((1,), dtype="string")
    model = Model(inputs, of_ids()(vectorizer()(inputs)))
    model.save(tmp_path / "model.keras")
    theirs = keras.models.load_model(tmp_path / "model.keras")
    assert theirs.input.dtype == "string"
    ids = theirs.layers[1](TEXTS)
    np.testing.assert_allclose(
        theirs.layers[2](np.asarray(ids)), model.predict(TEXTS, verbose=0), atol=1e-6
    )


def test_a_stack_that_begins_with_text_says_that_numbers_are_none():
    reader = talweg.layers.TextVectorization(output_sequence_length=2)
    reader.adapt(["a b"])
    model = talweg.Sequential(
        [talweg.Input((1,), dtype="string"), reader, talweg.layers.Embedding(5, 2)]
    )
    with pytest.raises(TypeError, match="must be string, got"):
        model.predict(np.ones((2, 1)), verbose=0)


def spelling(graph: bool) -> talweg.Model:
    """A model whose last layer gives the name of the class."""
    names = layers.StringLookup(vocabulary=["red", "green", "blue"], num_oov_indices=0, invert=True)
    kernel = "identity"
    scores = layers.Dense(3, kernel_initializer=kernel)
    best = layers.Lambda(lambda x: talweg.ops.argmax(x, axis=-1))
    if not graph:
        return Sequential([Input((3,)), scores, best, names])
    x = Input((3,))
    return Model(x, {"name": names(best(scores(x))), "scores": scores(x)})


def test_a_last_layer_may_turn_numbers_into_text():
    """As in Keras on TensorFlow, which gives bytes; Keras on JAX has no such model."""
    x = np.eye(3, dtype="float32")[[1, 2, 0] * 700]
    expected = ["green", "blue", "red"] * 700
    model = spelling(graph=False)
    assert model.predict(x, batch_size=2, verbose=0).tolist() == expected  # a loop of batches
    assert model.predict(x[:5], batch_size=2, verbose=0).tolist() == expected[:5]
    assert model.predict_on_batch(x[:3]).tolist() == model(x[:3]).tolist() == expected[:3]
    graph = spelling(graph=True)
    assert graph.outputs[0].dtype == "string"
    found = graph.predict(x[:4], batch_size=3, verbose=0)
    assert found["name"].tolist() == expected[:4]
    np.testing.assert_array_equal(found["scores"], x[:4])
    seen = []
    tell = talweg.callbacks.LambdaCallback()
    tell.on_predict_batch_end = lambda batch, logs: seen.extend(logs["outputs"])
    model.predict(x[:5], batch_size=2, verbose=0, callbacks=[tell])
    assert seen == expected[:5]


def test_text_that_is_no_output_of_predict_is_refused():
    model = spelling(graph=False)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="known on the host"):
        model.fit(np.eye(3, dtype="float32"), np.ones(3), verbose=0)


def test_indices_become_integers_inside_a_model():
    """The same as on the host, and as Keras gives."""
    layer = layers.IntegerLookup(vocabulary=[10, 20, 30], mask_token=0, oov_token=-7, invert=True)
    model = Sequential([Input((1,), dtype="int32"), layer])
    indices = np.arange(-1, 7)[:, None]
    expected = [-7, 0, -7, 10, 20, 30, -7, -7]
    assert model.predict(indices, verbose=0)[:, 0].tolist() == expected
    assert layer(indices)[:, 0].tolist() == expected


@pytest.mark.parametrize("make", [
    layers.TextVectorization,
    layers.StringLookup,
    lambda: layers.TextVectorization(output_mode="multi_hot", max_tokens=9),
    lambda: layers.StringLookup(num_oov_indices=0),
])  # fmt: skip
def test_a_vocabulary_must_be_there_before_it_is_looked_up(make):
    """As in Keras, whose tables are "not initialized"; everything would be unknown."""
    model = Sequential([Input((1,), dtype="string"), make()])
    for call in (lambda: model.predict(["a", "b"], verbose=0), lambda: model.layers[0](["a"])):
        with pytest.raises(ValueError, match="vocabulary must be known before the call"):
            call()
    with pytest.raises(ValueError, match="vocabulary must be known"):
        layers.IntegerLookup(invert=True)([1])
