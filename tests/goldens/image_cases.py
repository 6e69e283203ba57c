"""What tf.image is asked, by the name of the case; the last word names the image."""

import numpy as np

_RNG = np.random.default_rng(0)
IMAGES = {
    "bytes": _RNG.integers(0, 256, (5, 7, 3)).astype("uint8"),
    "floats": _RNG.random((2, 6, 4, 3)).astype("float32"),
}
METHODS = (
    "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic", "area",
)  # fmt: skip
_CALLS = {
    **{
        f"{method} {'smooth' if smooth else 'rough'}": (
            lambda tf, x, m=method, s=smooth: tf.image.resize(x, (3, 9), m, antialias=s)
        )
        for method in METHODS
        for smooth in (False, True)
    },
    "ratio": lambda tf, x: tf.image.resize(x, (4, 4), preserve_aspect_ratio=True),
    "same size": lambda tf, x: tf.image.resize(x, x.shape[-3:-1]),
    "pad": lambda tf, x: tf.image.resize_with_pad(x, 8, 6),
    "crop or pad": lambda tf, x: tf.image.resize_with_crop_or_pad(x, 8, 3),
    "half": lambda tf, x: tf.image.central_crop(x, 0.5),
    "third": lambda tf, x: tf.image.central_crop(x, 0.3),
    "left right": lambda tf, x: tf.image.flip_left_right(x),
    "up down": lambda tf, x: tf.image.flip_up_down(x),
    "turned": lambda tf, x: tf.image.rot90(x, 3),
    "grey": lambda tf, x: tf.image.rgb_to_grayscale(x),
    "grey again": lambda tf, x: tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(x)),
    "brighter": lambda tf, x: tf.image.adjust_brightness(x, 0.3),
    "darker": lambda tf, x: tf.image.adjust_brightness(x, -0.3),
    "contrast": lambda tf, x: tf.image.adjust_contrast(x, 1.7),
    "standard": lambda tf, x: tf.image.per_image_standardization(x),
    "to float": lambda tf, x: tf.image.convert_image_dtype(x, tf.float32),
    "to half": lambda tf, x: tf.image.convert_image_dtype(x, tf.float16),
    "to bytes": lambda tf, x: tf.image.convert_image_dtype(x, tf.uint8, saturate=True),
    "to words": lambda tf, x: tf.image.convert_image_dtype(x, tf.uint16),
    "to signed": lambda tf, x: tf.image.convert_image_dtype(x, tf.int16),
}
CASES = {f"{name} {image}": call for name, call in _CALLS.items() for image in IMAGES}
