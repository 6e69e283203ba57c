"""LoRA in training and in files: the steps of Keras, files both ways, and on from there."""

import keras
import numpy as np
import pytest

import talweg
from models.twins import assert_same_weights, numbers, twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(24)
WORDS = np.random.default_rng(0).integers(0, 7, size=(16, 4)).astype("i4")
ONE = np.random.default_rng(1).normal(size=(16, 1)).astype("f4")
OPTIONS = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}


def sentences(k, compiled=True):
    """All four kinds of layers that can be adapted; the last is not."""
    model = k.Sequential(
        [
            k.Input((4,), dtype="int32"),
            k.layers.Embedding(7, 6, name="words"),
            k.layers.Conv1D(5, 2, name="pairs"),
            k.layers.EinsumDense("abc,cd->abd", (3, 4), bias_axes="d", name="mix"),
            k.layers.Flatten(),
            k.layers.Dense(5, "tanh", name="dense"),
            k.layers.Dense(1, name="last"),
        ]
    )
    if compiled:
        model.compile(k.optimizers.Adam(0.01), k.losses.MeanSquaredError())
    return model


def adapted(model, alpha=4.0):
    for name in ("words", "pairs", "mix", "dense"):
        model.get_layer(name).enable_lora(2, lora_alpha=alpha)
    return model


def small(k, optimizer="adam"):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(5, "tanh", name="d"), k.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def test_fit_takes_the_steps_of_keras_and_moves_only_the_factors():
    pair = twins(lambda k: adapted(sentences(k)))
    before = {v.path: v.numpy() for v in pair.talweg.weights}
    losses = [model.fit(WORDS, ONE, **OPTIONS).history["loss"] for model in pair]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert_same_weights(pair, rtol=1e-4, atol=1e-5)
    mine, theirs = pair.talweg, pair.keras
    stand = [v for v in mine.weights if not v.trainable]
    assert len(stand) == 4
    for v in mine.weights:
        assert np.array_equal(v.numpy(), before[v.path]) != v.trainable, v.path
    kept = [tuple(v.shape) for v in mine.optimizer.variables]
    assert kept == [tuple(v.shape) for v in theirs.optimizer.variables]
    # The prediction follows the factors, not a copy of the sum.
    first = mine.predict(WORDS, verbose=0)
    mine.get_layer("dense").lora_kernel_b.assign(np.zeros((2, 5)))
    theirs.get_layer("dense").lora_kernel_b.assign(np.zeros((2, 5)))
    second = mine.predict(WORDS, verbose=0)
    assert np.abs(second - first).max() > 1e-4
    np.testing.assert_allclose(second, theirs.predict(WORDS, verbose=0), rtol=1e-4, atol=1e-5)


WAYS = [(keras, talweg), (talweg, keras), (talweg, talweg)]


def predicts(model, expected):
    ours = model.predict(WORDS, verbose=0)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_models_go_both_ways_with_equal_predictions(tmp_path, writer, reader):
    # Keras 3.15 forgets the alpha of Dense and Embedding, and an .h5 has no sum.
    first = adapted(sentences(writer), 2.0 if reader is keras else 4.0)
    first.fit(WORDS, ONE, **OPTIONS)
    expected = first.predict(WORDS, verbose=0)
    for ending in ("keras", "h5"):
        first.save(tmp_path / f"it.{ending}")
        second = reader.models.load_model(tmp_path / f"it.{ending}")
        predicts(second, expected)
        dense = second.get_layer("dense")
        assert (dense.lora_enabled, dense.lora_rank) == (True, 2)
        assert [v.trainable for v in second.weights] == [v.trainable for v in first.weights]
        if reader is talweg:  # in Keras A and B are zero now, and neither learns
            before = [v.numpy() for v in second.weights]
            second.fit(WORDS, ONE, **OPTIONS)
            for v, old in zip(second.weights, before, strict=True):
                assert np.array_equal(v.numpy(), old) != v.trainable, v.path


@pytest.mark.sampled
@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_weights_fit_models_with_and_without(tmp_path, writer, reader):
    path, first = tmp_path / "it.weights.h5", adapted(sentences(writer))
    first.fit(WORDS, ONE, **OPTIONS)
    first.save_weights(path)
    expected = first.predict(WORDS, verbose=0)
    for second in (adapted(sentences(reader, False)), sentences(reader, False)):
        second.load_weights(path)
        predicts(second, expected)
    plain, later = sentences(writer, False), adapted(sentences(reader, False))
    plain.save_weights(path)
    later.load_weights(path)
    predicts(later, plain.predict(WORDS, verbose=0))


def trained(optimizer):
    model = small(talweg, optimizer)
    model.get_layer("d").enable_lora(2)
    model.compile(optimizer, "mse")
    model.fit(X, Y, **OPTIONS)
    return model


@pytest.mark.sampled
@pytest.mark.parametrize("ending", ["keras", "safetensors"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: talweg.optimizers.Adam(0.05),
        lambda: talweg.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9),
        # It keeps other weights to train, and its state holds weights.
        lambda: talweg.optimizers.ScheduleFreeAdamW(0.05),
    ],
    ids=["adam", "ema", "schedule_free"],
)
def test_training_goes_on_from_a_file_as_if_there_were_none(tmp_path, make, ending):
    first = trained(make())
    path = tmp_path / f"it.{ending}"
    if ending == "keras":
        first.save(path)
        second = talweg.models.load_model(path)
    else:
        first.save_weights(path)
        second = small(talweg)
        second.get_layer("d").enable_lora(2)
        second.load_weights(path)
    for mine, other in zip(second.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    if ending == "keras":
        losses = [model.fit(X, Y, **OPTIONS).history["loss"] for model in (first, second)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_what_a_file_cannot_fill_keeps_its_product(tmp_path):
    """The kernel of another shape is left, so the product that belongs to it must stay."""
    path, other = tmp_path / "it.weights.h5", trained("sgd")
    wide = talweg.Sequential([talweg.Input((4,)), talweg.layers.Dense(6), talweg.layers.Dense(1)])
    wide.save_weights(path)
    before = other.get_layer("d").get_weights()
    with pytest.warns(UserWarning, match="not all of it"):
        other.load_weights(path, skip_mismatch=True)
    for mine, old in zip(other.get_layer("d").get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_another_rank_takes_the_sum(tmp_path):
    path, first = tmp_path / "it.weights.h5", trained("sgd")
    first.save_weights(path)
    second = small(talweg)
    second.get_layer("d").enable_lora(3, lora_alpha=12.0)
    second.load_weights(path)
    assert not second.get_layer("d").lora_kernel_b.numpy().any()
    np.testing.assert_allclose(
        second.predict(X, verbose=0), first.predict(X, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_half_precision_is_saved_as_the_variable_is(tmp_path):
    layer = talweg.layers.Dense(3, lora_rank=2, dtype="mixed_bfloat16")
    layer.build((None, 4))
    layer.lora_kernel_b.assign(np.ones((2, 3)))
    store = {}
    layer.save_own_variables(store)
    assert list(store) == ["0", "1"]
    assert store["0"].dtype == "float32"
    expected = layer._kernel.numpy() + layer.lora_kernel_a.numpy() @ np.ones((2, 3))
    np.testing.assert_allclose(store["0"], expected, rtol=1e-6)
    plain = talweg.layers.Dense(3)
    plain.build((None, 4))
    plain.load_own_variables(store)
    layer.load_own_variables(store)
    np.testing.assert_array_equal(plain.kernel.numpy(), layer._kernel.numpy())
    assert not layer.lora_kernel_b.numpy().any()


@pytest.mark.sampled
@pytest.mark.parametrize("k", [talweg, keras], ids=["talweg", "keras"])
def test_after_fit_the_model_is_compiled_again(k):
    model = small(k)
    model.get_layer("d").enable_lora(2)  # compiled, and not yet trained
    model.fit(X, Y, **OPTIONS)
    kernel = np.array(model.get_layer("d")._kernel)
    model.layers[1].enable_lora(1)
    with pytest.raises(ValueError, match="was built"):
        model.fit(X, Y, **OPTIONS)
    if k is keras:  # its failed fit has left it without arrays
        return
    assert model.evaluate(X, Y, verbose=0) > 0
    model.compile("adam", "mse")
    model.fit(X, Y, **OPTIONS)
    np.testing.assert_array_equal(np.array(model.get_layer("d")._kernel), kernel)


def test_predictions_follow_what_is_enabled_after_a_first_predict():
    model = small(talweg)
    before = model.predict(X, verbose=0)
    model.get_layer("d").enable_lora(2, b_initializer="ones")
    assert np.abs(model.predict(X, verbose=0) - before).max() > 1e-3


def test_a_copy_is_adapted_too():
    first = trained("sgd")
    second = talweg.models.clone_model(first)
    assert second.get_layer("d").lora_rank == 2
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(second.predict(X, verbose=0), first.predict(X, verbose=0))
