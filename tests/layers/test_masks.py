"""Masks: who makes them, who hands them on, and what they do to a loss, against Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers, ops

TOKENS = np.array([[1, 2, 0, 0], [3, 4, 1, 0], [2, 0, 0, 0]], np.int32)
both = pytest.mark.parametrize("lib", [talweg, keras], ids=["talweg", "keras"])


def mask_of(array):
    return getattr(array, "_keras_mask", None)


def sequence(batch=3, steps=4, features=2):
    x = np.random.default_rng(0).normal(size=(batch, steps, features)).astype("float32")
    x[0, 2:] = 0
    x[1, 0] = 0
    return x


def test_masking_masks_the_steps_that_hold_its_value():
    x = sequence()
    ours, theirs = layers.Masking(0.0)(x), keras.layers.Masking(0.0)(x)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(mask_of(ours), mask_of(theirs))
    symbolic = layers.Masking()(layers.Input((None, 2)))
    assert mask_of(symbolic).shape == (None, None)


def test_embedding_masks_index_zero_and_only_where_asked():
    assert mask_of(layers.Embedding(5, 2)(TOKENS)) is None
    embedded = layers.Embedding(5, 2, mask_zero=True)(TOKENS)
    np.testing.assert_array_equal(mask_of(embedded), TOKENS != 0)
    assert layers.Embedding(5, 2, mask_zero=True).get_config()["mask_zero"] is True


def test_layers_that_support_masking_hand_the_mask_on():
    x = layers.Masking()(sequence())
    for layer in (layers.Dense(3), layers.Dropout(0.5), layers.Activation("relu")):
        np.testing.assert_array_equal(mask_of(layer(x)), mask_of(x))


@both
def test_a_layer_that_does_not_support_masking_warns_and_drops_the_mask(lib):
    x = lib.layers.Masking()(sequence())
    with pytest.warns(UserWarning, match="does not support masking"):
        y = lib.layers.Flatten()(x)
    assert mask_of(y) is None


@both
def test_a_mask_of_steps_ends_where_the_steps_are_averaged(lib):
    mean = lib.layers.GlobalAveragePooling1D()(lib.layers.Masking()(sequence()))
    assert mask_of(mean) is None
    assert mask_of(lib.layers.Dense(1)(mean)) is None


MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]


@pytest.mark.parametrize("masked", [(True, True), (True, False)], ids=["both", "one"])
@pytest.mark.parametrize("name", MERGES)
def test_merging_layers_join_masks_as_keras_does(name, masked):
    x, y = sequence(), sequence()[::-1].copy()
    outputs = []
    for lib in (talweg, keras):
        given = [
            lib.layers.Masking()(array) if on else lib.ops.convert_to_tensor(array)
            for array, on in zip((x, y), masked, strict=True)
        ]
        outputs.append(getattr(lib.layers, name)()(given))
    ours, theirs = outputs
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert (mask_of(ours) is None) == (mask_of(theirs) is None)
    if mask_of(ours) is not None:
        np.testing.assert_array_equal(mask_of(ours), mask_of(theirs))


def test_a_layer_receives_the_mask_it_asks_for():
    seen = {}

    class Look(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, x, mask=None):
            seen["mask"] = mask
            return x * 2

        def compute_mask(self, inputs, mask=None):
            return None if mask is None else ~mask

    x = layers.Masking()(sequence())
    y = Look()(x)
    np.testing.assert_array_equal(seen["mask"], mask_of(x))
    np.testing.assert_array_equal(mask_of(y), ~np.asarray(mask_of(x)))
    Look()(sequence())
    assert seen["mask"] is None
    Look()(x, mask=jnp.ones((3, 4), bool))
    assert bool(seen["mask"].all())


def model_of(lib, kind):
    if kind == "sequential":
        return lib.Sequential(
            [
                lib.Input((None,), dtype="int32"),
                lib.layers.Embedding(5, 3, mask_zero=True, name="words"),
                lib.layers.Dense(2, activation="tanh"),
                lib.layers.LSTM(4, return_sequences=True),
                lib.layers.Dense(1),
            ]
        )
    tokens = lib.Input((None,), dtype="int32")
    inner_in = lib.Input((None, 3))
    inner = lib.Model(inner_in, lib.layers.GRU(4, return_sequences=True)(inner_in))
    x = lib.layers.Embedding(5, 3, mask_zero=True)(tokens)
    return lib.Model(tokens, lib.layers.Dense(1)(inner(x)))


@pytest.mark.sampled
@pytest.mark.filterwarnings("ignore:Layer 'functional:UserWarning")
@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_the_mask_reaches_the_loss_with_the_numbers_of_keras(kind, weighted):
    y = np.random.default_rng(1).normal(size=(3, 4, 1)).astype("float32")
    weight = np.linspace(0.5, 2, 12, dtype="float32").reshape(3, 4) if weighted else None
    losses, predictions, weights = [], [], None
    for lib in (keras, talweg):
        model = model_of(lib, kind)
        weights = weights or [np.array(v.value) for v in model.weights]
        model.set_weights(weights)
        model.compile(lib.optimizers.SGD(0.1), "mse")
        predictions.append(model.predict(TOKENS, verbose=0))
        history = model.fit(
            TOKENS, y, sample_weight=weight, epochs=3, batch_size=3, verbose=0, shuffle=False
        )
        evaluated = model.evaluate(TOKENS, y, sample_weight=weight, verbose=0)
        losses.append([*history.history["loss"], evaluated])
    np.testing.assert_allclose(predictions[1], predictions[0], atol=1e-6)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_loss_and_a_mean_called_by_hand_see_the_mask_of_the_predictions(weighted):
    y = np.random.default_rng(1).normal(size=(3, 4, 1)).astype("float32")
    weight = np.linspace(0.5, 2, 12, dtype="float32").reshape(3, 4) if weighted else None
    found = []
    for lib in (keras, talweg):
        embed = lib.layers.Embedding(5, 1, mask_zero=True, embeddings_initializer="ones")
        loss, metric = lib.losses.MeanSquaredError(), lib.metrics.MeanAbsoluteError()
        predicted = embed(TOKENS)
        metric.update_state(y, predicted, weight)

        @jax.jit
        def compiled(tokens, embed=embed, loss=loss):
            return loss(y, embed(tokens), weight)

        numbers = loss(y, predicted, weight), compiled(TOKENS), metric.result()
        found.append([float(number) for number in numbers])
        assert float(loss(y, np.asarray(predicted), weight)) != pytest.approx(found[-1][0])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


@both
def test_a_loss_that_overrides_its_call_trains_on_masked_predictions(lib):
    class Total(lib.losses.Loss):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return lib.ops.sum(y_pred)

    embed = lib.layers.Embedding(5, 1, mask_zero=True, embeddings_initializer="ones")
    model = lib.Sequential([embed])
    model.compile("sgd", Total())
    history = model.fit(TOKENS, np.zeros((3, 4, 1)), epochs=1, verbose=0)
    assert history.history["loss"] == [pytest.approx(12.0)]


def test_masks_outlive_the_call_inside_a_compiled_function_of_the_user():
    embed, recur = layers.Embedding(5, 3, mask_zero=True), layers.LSTM(2)
    eager = recur(embed(TOKENS))

    @jax.jit
    def run(tokens):
        return recur(embed(tokens))

    np.testing.assert_allclose(run(TOKENS), eager, atol=1e-6)
    without = layers.LSTM(2)
    without(ops.zeros((3, 4, 3)))
    without.set_weights(recur.get_weights())
    unmasked = without(np.asarray(embed(TOKENS)))
    assert float(jnp.abs(unmasked - eager).max()) > 1e-4


def test_mixed_precision_keeps_the_mask_through_the_cast():
    x = layers.Masking()(sequence())
    y = layers.Dense(2, dtype="mixed_bfloat16")(x)
    np.testing.assert_array_equal(mask_of(y), mask_of(x))


def test_a_layer_that_tells_its_shape_is_not_traced_for_a_mask_as_in_keras():
    def shape(library):
        class LooksAtValues(library.layers.Layer):
            supports_masking = True

            def call(self, x, mask=None):
                return x[:, 0] if float(library.ops.sum(x)) > 0 else -x[:, 0]

            def compute_output_shape(self, input_shape):
                return input_shape[0], input_shape[2]

        x, mask = library.Input((3, 4)), library.Input((3,), dtype="bool")
        carried = library.layers.Masking()(x)
        return [LooksAtValues()(x, mask=mask).shape, LooksAtValues()(carried).shape]

    assert shape(talweg) == shape(keras) == [(None, 4), (None, 4)]


def test_masks_can_be_asked_for_before_there_is_data():
    def outputs(library):
        indices = library.Input((3,), dtype="int32")
        embedding = library.layers.Embedding(5, 2, mask_zero=True)
        mask = embedding.compute_mask(indices)
        rows = library.layers.Masking().compute_mask(embedding(indices))
        model = library.Model(indices, [mask, rows])
        embedding.set_weights([np.arange(10.0).reshape(5, 2)])
        return [np.asarray(out) for out in model(np.array([[0, 3, 1]], "int32"))]

    for ours, theirs in zip(outputs(talweg), outputs(keras), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@both
def test_a_class_may_say_that_it_supports_masking(lib):
    class Doubled(lib.layers.Layer):
        supports_masking = True

        def call(self, x):
            return x * 2

    x = lib.layers.Embedding(5, 2, mask_zero=True)(TOKENS)
    np.testing.assert_array_equal(mask_of(Doubled()(x)), TOKENS != 0)
    assert not lib.layers.Layer().supports_masking


@both
def test_a_layer_with_a_mask_of_its_own_need_not_say_that_it_supports_masks(lib):
    class Halves(lib.layers.Layer):
        def call(self, x):
            return lib.ops.split(x, 2, axis=1)

        def compute_mask(self, x, mask=None):
            return None if mask is None else lib.ops.split(mask, 2, axis=1)

    steps = lib.layers.Embedding(10, 4, mask_zero=True)(np.array([[1, 2, 3, 0]]))
    halves = Halves()(steps)
    assert [np.asarray(mask_of(half)).tolist() for half in halves] == [
        [[True, True]],
        [[True, False]],
    ]
    words = lib.Input((4,))
    masked = Halves()(lib.layers.Embedding(10, 4, mask_zero=True)(words))
    assert all(mask_of(half) is not None for half in masked)
