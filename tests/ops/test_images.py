"""Every function of keras.ops.image gives what Keras gives, in all its options."""

import jax
import keras
import numpy as np
import pytest

from talweg import ops

_rng = np.random.default_rng(0)
BATCH = _rng.uniform(0, 1, (2, 7, 9, 3)).astype("float32")
FIRST = BATCH.transpose(0, 3, 1, 2).copy()
ONE = BATCH[0]
BYTES = (BATCH * 255).astype("uint8")
VOLUMES = _rng.normal(size=(2, 4, 6, 5, 2)).astype("float32")
CORNERS = np.array([[0, 0], [8, 0], [0, 6], [8, 6]], "float32")
MOVED = CORNERS + _rng.uniform(-1, 1, (4, 2)).astype("float32")
SHIFT = np.array([1.03, 0.21, 0.73, -0.11, 0.91, 0.37, 0.0, 0.0], "float32")
SHIFTS = np.stack([SHIFT] * 2)


def call(*args, **kwargs):
    return args, kwargs


CASES = {
    "rgb_to_grayscale": [call(BATCH), call(ONE), call(FIRST, data_format="channels_first"),
                         call(BYTES), call(BATCH[..., :1])],
    "rgb_to_hsv": [call(BATCH), call(ONE), call(FIRST, data_format="channels_first"),
                   call(np.zeros((2, 2, 3), "float32"))],
    "hsv_to_rgb": [call(BATCH), call(ONE), call(FIRST, data_format="channels_first")],
    "resize": [
        call(BATCH, (4, 5)), call(ONE, (14, 5), "nearest"), call(BATCH, (3, 4), antialias=True),
        call(BATCH, (4, 4), "bicubic", crop_to_aspect_ratio=True),
        call(BATCH, (12, 4), pad_to_aspect_ratio=True, fill_value=0.5),
        call(ONE, (4, 12), pad_to_aspect_ratio=True),
        call(FIRST, (4, 4), "lanczos3", crop_to_aspect_ratio=True, data_format="channels_first"),
        call(BYTES, (4, 5)),
    ],
    "affine_transform": [
        call(BATCH, SHIFTS), call(ONE, SHIFT, "nearest"),
        call(BATCH, np.stack([SHIFT, SHIFT * 0.5]), fill_mode="reflect"),
        call(BATCH, SHIFTS, fill_mode="wrap"), call(BATCH, SHIFTS, fill_mode="nearest"),
        call(FIRST, SHIFTS, fill_value=2.0, data_format="channels_first"),
    ],
    "perspective_transform": [
        call(ONE, CORNERS, MOVED), call(BATCH, np.stack([CORNERS] * 2), np.stack([MOVED] * 2)),
        call(ONE, CORNERS, MOVED, "nearest", 0.5),
        call(FIRST, np.stack([CORNERS] * 2), np.stack([MOVED] * 2), data_format="channels_first"),
    ],
    "map_coordinates": [
        call(ONE[..., 0], _rng.uniform(-1, 8, (2, 5)).astype("float32"), order, mode)
        for order in (0, 1) for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    ],
    "elastic_transform": [
        call(ONE, 2.0, 1.5, "nearest", "constant", 0.5, seed=4),
        call(FIRST, 2.0, 1.0, seed=3, data_format="channels_first"),
    ],
    # Keras takes None here for channels first, though it says otherwise.
    "gaussian_blur": [
        call(BATCH, data_format="channels_last"),
        call(ONE, (5, 3), (2.0, 0.7), data_format="channels_last"),
        call(FIRST, (3, 5), data_format="channels_first"),
    ],
    "sobel_edges": [call(BATCH), call(FIRST, data_format="channels_first")],
    "ssim": [
        call(BATCH, BATCH**2, filter_size=5), call(ONE, ONE[::-1], 2.0, 7, 1.0, 0.02, 0.01),
        call(FIRST, FIRST**2, filter_size=3, data_format="channels_first"),
    ],
    "extract_patches": [
        call(BATCH, 2), call(ONE, (3, 2), 1, padding="same"), call(BATCH, 2, 1, 2),
        call(FIRST, (3, 2), (2, 3), data_format="channels_first"), call(VOLUMES, (2, 3, 2)),
    ],
    "extract_patches_3d": [
        call(VOLUMES, 2), call(VOLUMES[0], (2, 3, 2), (1, 2, 2), padding="same"),
        call(np.moveaxis(VOLUMES, -1, 1), 2, data_format="channels_first"),
    ],
    "crop_images": [
        call(BATCH, 1, 2, 3, 1), call(ONE, top_cropping=2, target_height=3, right_cropping=1,
                                      target_width=4),
        call(FIRST, 1, 2, 3, 1, data_format="channels_first"),
    ],
    "pad_images": [
        call(BATCH, 1, 2, 3, 1), call(ONE, bottom_padding=2, target_height=12, left_padding=1,
                                      target_width=13),
        call(FIRST, 1, 2, 3, 0, data_format="channels_first"),
    ],
    "scale_and_translate": [
        call(BATCH, (2, 5, 6, 3), np.array([0.7, 0.6], "float32"), np.array([0.5, 1], "float32"),
             (1, 2), "linear"),
        call(ONE, (9, 9, 3), np.array([1.5], "float32"), np.array([-1], "float32"), (0,), "cubic",
             antialias=False),
    ],
}  # fmt: skip


def test_every_function_on_images_is_here_and_compared():
    known = {name for name in dir(keras.ops.image) if not name.startswith("_")}
    assert known == set(CASES) == set(ops.image.__all__)


@pytest.mark.sampled(count=8)
@pytest.mark.parametrize("name", [name for name in CASES if name != "elastic_transform"])
def test_values_and_types_are_those_of_keras(name):
    compare(name, CASES[name][:2])


@pytest.mark.battery
@pytest.mark.parametrize("name", CASES)
def test_values_and_types_are_those_of_keras_in_all_options(name):
    compare(name, CASES[name])


def compare(name, cases):
    """Both modules on the cases of a function."""
    places = [[i for i, arg in enumerate(args) if isinstance(arg, np.ndarray)] for args, _ in cases]

    def both(arrays):
        """All cases in one program: compiled one by one, they would take minutes."""
        results = []
        for (args, kwargs), where, given in zip(cases, places, arrays, strict=True):
            filled = list(args)
            for i, array in zip(where, given, strict=True):
                filled[i] = array
            modules = (ops.image, keras.ops.image)
            results.append([getattr(module, name)(*filled, **kwargs) for module in modules])
        return results

    arrays = [[args[i] for i in where] for (args, _), where in zip(cases, places, strict=True)]
    # Keras takes `sigma` for a number there, which it is not while it traces.
    traced = both if name == "elastic_transform" else jax.jit(both)
    for ours, theirs in traced(arrays):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        wide = ours.dtype == np.uint8  # the last bit may be rounded the other way
        np.testing.assert_allclose(ours, theirs, atol=1 if wide else 2e-5, rtol=2e-5)


def test_functions_on_images_work_on_symbolic_images_and_under_jit():
    images = ops.KerasTensor((None, 7, 9, 3))
    assert ops.image.resize(images, (4, 5)).shape == (None, 4, 5, 3)
    assert ops.image.extract_patches(images, 2).shape == (None, 3, 4, 12)
    assert ops.image.ssim(images, images, filter_size=3).shape == (None,)
    traced = jax.jit(lambda x: ops.image.affine_transform(x, SHIFT))(BATCH)
    np.testing.assert_allclose(traced, ops.image.affine_transform(BATCH, SHIFT), atol=1e-6)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "message"),
    [
        ("resize", (ONE[0], (4, 4)), {}, "rank 3"),
        ("resize", (ONE, (4, 4), "area"), {}, "interpolation must be"),
        ("crop_images", (ONE, 1, 1), {}, "two of the three"),
        ("crop_images", (ONE, 5, 0, 5, 0), {}, "within 7"),
        ("pad_images", (ONE, -1, 0, 0, 0), {}, "at least 0"),
        ("rgb_to_hsv", (BYTES,), {}, "Divide by 255"),
        ("ssim", (ONE, ONE), {}, "at most 7"),
        ("ssim", (ONE, ONE[1:]), {}, "of shape"),
        ("affine_transform", (ONE, SHIFT[:6]), {}, r"\(8,\)"),
        ("map_coordinates", (ONE, ONE, 1), {}, r"\(3, …\)"),
    ],
)
def test_impossible_arguments_are_named(function, args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        getattr(ops.image, function)(*args, **kwargs)


@pytest.mark.parametrize("space", ["nn", "numpy", "linalg", "image"])
def test_subspaces_hold_what_those_of_keras_hold(space):
    theirs = getattr(keras.ops, space)
    names = [name for name in dir(theirs) if not name.startswith("_")]
    assert names
    for name in names:
        mine = getattr(getattr(ops, space), name)
        assert space == "image" or mine is getattr(ops, name)
