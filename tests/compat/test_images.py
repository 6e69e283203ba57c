"""tf.image and tf.io of the facade, against numbers of TensorFlow."""

import io
import json
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

from goldens import image_cases as cases

RECORD = json.loads((Path(__file__).parents[1] / "goldens" / "images.json").read_text())


@pytest.fixture
def tf(hook):
    import tensorflow

    return tensorflow


@pytest.mark.parametrize("name", cases.CASES)
def test_pictures_are_those_of_tensorflow_on_the_host_and_in_a_program(name, tf):
    call, image = cases.CASES[name], cases.IMAGES[name.split()[-1]]
    expected = np.array(RECORD[name]["value"], RECORD[name]["dtype"])
    atol = 1 if expected.dtype.kind in "ui" else 2e-4 if image.dtype == np.uint8 else 2e-5
    found = call(tf, image)
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=atol)
    traced = jax.jit(lambda x: call(tf, x))(image)
    np.testing.assert_allclose(np.asarray(traced, float), expected.astype(float), atol=atol)


def test_files_are_read_and_decoded_in_a_dataset(tf, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype("uint8")
    for i, image in enumerate(pixels):
        PIL.Image.fromarray(image).save(tmp_path / f"{i}.png")

    def load(path, label):
        image = tf.image.decode_png(tf.io.read_file(path), channels=3)
        image = tf.image.convert_image_dtype(image, tf.float32)
        return tf.image.resize(image, [4, 6]), label

    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    data = tf.data.Dataset.from_tensor_slices((paths, [0, 1, 2])).map(load).batch(3)
    images, labels = next(iter(data))
    np.testing.assert_allclose(images.numpy(), pixels / 255, atol=1e-6)
    assert labels.numpy().tolist() == [0, 1, 2]


def test_decoding_gives_the_channels_asked_for(tf):
    def content(mode, kind="png"):
        file = io.BytesIO()
        PIL.Image.fromarray(np.full((2, 3, 3), 90, "uint8")).convert(mode).save(file, kind)
        return file.getvalue()

    assert tf.io.decode_png(content("L")).shape == (2, 3, 1)
    assert tf.io.decode_png(content("RGBA")).shape == (2, 3, 4)
    assert tf.io.decode_png(content("P")).shape == (2, 3, 3)
    assert tf.io.decode_png(content("RGB"), channels=1).shape == (2, 3, 1)
    grey = tf.image.decode_jpeg(content("L", "jpeg"), channels=3)
    np.testing.assert_allclose(grey, 90, atol=2)
    assert tf.io.decode_image(content("RGB"), dtype=tf.float32).dtype == np.float32
    with pytest.raises(ValueError, match="contents must be a picture"):
        tf.io.decode_png(b"no picture")


def test_draws_are_of_each_image_and_repeat_with_the_seed(tf):
    images = np.arange(64 * 2 * 2, dtype="float32").reshape(64, 2, 2, 1)
    flipped = np.asarray(tf.image.random_flip_left_right(images, seed=7)) != images
    assert 10 < flipped.any((1, 2, 3)).sum() < 54
    tf.random.set_seed(1)
    first = [float(tf.image.random_brightness(images[0], 0.5)[0, 0, 0]) for _ in range(3)]
    tf.random.set_seed(1)
    again = [float(tf.image.random_brightness(images[0], 0.5)[0, 0, 0]) for _ in range(3)]
    assert first == again
    assert len(set(first)) == 3
    part = tf.image.random_crop(images[0], (1, 2, 1))
    assert part.shape == (1, 2, 1)
    assert np.isin(part, images[0]).all()


def test_a_draw_inside_a_layer_is_refused(tf):
    class Flips(tf.keras.layers.Layer):
        def call(self, x):
            return tf.image.random_flip_left_right(x)

    with pytest.raises(RuntimeError, match=r"tf\.image\.random_flip_left_right inside a layer"):
        tf.keras.Sequential([Flips()]).predict(np.ones((1, 2, 2, 3)), verbose=0)


def test_a_model_resizes(tf):
    inputs = tf.keras.Input((4, 6, 3))
    model = tf.keras.Model(inputs, tf.image.resize(inputs, (2, 3)))
    images = np.random.default_rng(0).random((2, 4, 6, 3), "float32")
    np.testing.assert_allclose(
        model.predict(images, verbose=0), tf.image.resize(images, (2, 3)), atol=1e-6
    )
