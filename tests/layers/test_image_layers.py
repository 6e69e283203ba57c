"""Image layers against Keras: same seeds, same images; sizes, types, dicts, inference."""

import jax
import keras
import numpy as np
import pytest

import talweg
from talweg import layers

RANDOM = {
    "RandomCrop": {"height": 4, "width": 5},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.3},
    "RandomZoom": {"height_factor": 0.4, "width_factor": (-0.2, 0.5)},
    "RandomTranslation": {"height_factor": 0.4, "width_factor": 0.3},
    "RandomContrast": {"factor": 0.7},
    "RandomBrightness": {"factor": 0.5},
}
SIZED = {"Resizing": {"height": 4, "width": 9}, "CenterCrop": {"height": 4, "width": 5}}
ALL = RANDOM | SIZED


def pair(kind, **more):
    arguments = {**ALL[kind], **more}
    if kind in RANDOM:
        arguments["seed"] = 5
    return getattr(layers, kind)(**arguments), getattr(keras.layers, kind)(**arguments)


def images(shape=(3, 7, 8, 2), dtype="float32"):
    return np.random.default_rng(1).uniform(0, 255, shape).astype(dtype)


def same(ours, theirs, atol=2e-3):
    assert ours.shape == tuple(theirs.shape)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(
        np.asarray(ours, np.float32), np.asarray(theirs, np.float32), rtol=1e-4, atol=atol
    )


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize("kind", RANDOM)
def test_the_same_seed_gives_the_images_of_keras_call_after_call(kind):
    ours, theirs = pair(kind)
    x = images()
    drawn = [np.asarray(ours(x, training=True)) for _ in range(2)]
    for y in drawn:
        same(y, np.asarray(theirs(x, training=True)))
    assert not np.array_equal(*drawn)
    same(ours(x[0]), theirs(x[0]))  # training is the default, as in Keras


@pytest.mark.parametrize("kind", ALL)
def test_channels_first_is_that_of_keras(kind):
    ours, theirs = pair(kind, data_format="channels_first")
    x = images((3, 2, 7, 8))
    same(ours(x, training=True), theirs(x, training=True))


@pytest.mark.parametrize("kind", RANDOM)
def test_inference_leaves_images_as_they_are(kind):
    layer, _ = pair(kind)
    x = images()
    assert np.array_equal(layer(x, training=False), x)
    assert int(layer.generator.state.numpy()[1]) == 0


@pytest.mark.parametrize("kind", ALL)
def test_one_program_serves_all_draws(kind):
    layer, _ = pair(kind)
    fixed = [v.value for v in layer.non_trainable_variables]
    call = jax.jit(lambda state, x: layer.stateless_call([], state, x, training=True))
    y, state = call(fixed, images())
    same(y, layer(images(), training=True))
    if kind in RANDOM:
        assert not np.array_equal(call(state, images())[0], y)


@pytest.mark.parametrize("kind", sorted(ALL.keys() - {"RandomContrast", "RandomBrightness"}))
def test_integer_images_become_what_they_become_in_keras(kind):
    ours, theirs = pair(kind)
    x = images(dtype="uint8")
    same(ours(x, training=True), theirs(x, training=True))


@pytest.mark.parametrize("kind", ["RandomContrast", "RandomBrightness"])
def test_integer_images_are_not_wrapped_around(kind):
    x = images(dtype="uint8")
    y = pair(kind)[0](x, training=True)
    same(y, pair(kind)[0](x.astype("float32"), training=True))


@pytest.mark.parametrize("kind", ALL)
def test_labels_pass_and_masks_follow_as_in_keras(kind):
    ours, theirs = pair(kind)
    data = {
        "images": images(),
        "labels": np.eye(3, dtype="float32"),
        "segmentation_masks": images((3, 7, 8, 1)).round(),
    }
    mine, other = ours(dict(data), training=True), theirs(dict(data), training=True)
    assert mine.keys() == other.keys()
    for key in mine:
        same(mine[key], other[key])


def test_bounding_boxes_are_refused():
    with pytest.raises(ValueError, match="bounding boxes"):
        layers.RandomFlip()({"images": images(), "bounding_boxes": {"boxes": np.ones((3, 1, 4))}})


@pytest.mark.sampled("interpolation")
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos5"])
@pytest.mark.parametrize("more", ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_resizing_is_that_of_keras(interpolation, more, dtype):
    arguments = {"height": 4, "width": 6, "interpolation": interpolation, more: True}
    for shape in ((2, 9, 5, 2), (5, 9, 1)):
        x = images(shape, dtype)
        ours, theirs = layers.Resizing(**arguments)(x), keras.layers.Resizing(**arguments)(x)
        same(ours, theirs, atol=1 if dtype == "uint8" else 2e-3)


@pytest.mark.sampled("kind", count=2)
@pytest.mark.parametrize("size", [(4, 5), (9, 3), (9, 12), (3, 12), (7, 8)])
@pytest.mark.parametrize("kind", ["CenterCrop", "RandomCrop"])
def test_crops_of_any_size_are_those_of_keras(kind, size):
    ours, theirs = pair(kind, height=size[0], width=size[1])
    assert tuple(ours.compute_output_shape((None, 7, 8, 2))) == (None, *size, 2)
    same(ours(images(), training=True), theirs(images(), training=True))


def test_a_model_augments_in_fit_and_not_in_predict():
    talweg.utils.set_random_seed(0)
    y = (np.arange(32) % 2).astype("float32")
    x = images((32, 8, 8, 1)) / 2 + 127 * y[:, None, None, None]
    inputs = layers.Input((8, 8, 1))
    h = layers.RandomFlip(seed=1)(inputs)
    h = layers.RandomZoom(0.2, seed=1)(layers.RandomRotation(0.1, seed=1)(h))
    h = layers.RandomTranslation(0.1, 0.1, seed=1)(layers.RandomContrast(0.2, seed=1)(h))
    h = layers.Resizing(4, 4)(layers.RandomBrightness(0.1, seed=1)(h))
    h = layers.Rescaling(1 / 127.5, -1)(layers.CenterCrop(3, 3)(h))
    model = talweg.Model(inputs, layers.Dense(1)(layers.Flatten()(h)))
    model.compile("sgd", "mse")
    losses = model.fit(x, y, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    same(model.predict(x, verbose=0), model.predict(x, verbose=0), atol=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomFlip("diagonal"),
        lambda: layers.RandomRotation(1.5),
        lambda: layers.RandomRotation((0.1, 0.2, 0.3)),
        lambda: layers.RandomRotation(0.1, fill_mode="mirror"),
        lambda: layers.RandomZoom(-1.0),
        lambda: layers.RandomTranslation(0.1, 2.0),
        lambda: layers.RandomContrast(-0.1),
        lambda: layers.RandomBrightness(0.1, value_range=255),
        lambda: layers.Resizing(3, 3, interpolation="area"),
        lambda: layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        lambda: layers.RandomCrop(0, 3),
        lambda: layers.CenterCrop(3, 3)(np.ones((3, 3))),
    ],
)
def test_impossible_arguments_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
