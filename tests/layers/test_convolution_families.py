"""Convolutions of all families: both ways of computing them, in training, and errors."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.layers import windows

KINDS = {
    "Conv1D": (
        {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        (2, 7, 2),
    ),
    "Conv2D": ({"filters": 3, "kernel_size": (2, 3), "dilation_rate": (2, 1)}, (2, 6, 5, 2)),
    "Conv3D": ({"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same"}, (2, 3, 4, 5, 2)),
    "Conv1DTranspose": ({"filters": 3, "kernel_size": 2, "strides": 3}, (2, 5, 2)),
    "Conv2DTranspose": (
        {"filters": 3, "kernel_size": (3, 4), "strides": (2, 1), "padding": "same"},
        (2, 4, 5, 2),
    ),
    "Conv3DTranspose": (
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
        (2, 2, 3, 2, 2),
    ),
    "DepthwiseConv1D": ({"kernel_size": 3, "padding": "same", "dilation_rate": 2}, (2, 7, 2)),
    "DepthwiseConv2D": ({"kernel_size": 3, "strides": 2, "depth_multiplier": 2}, (2, 6, 7, 2)),
    "SeparableConv1D": ({"filters": 3, "kernel_size": 3, "depth_multiplier": 2}, (2, 7, 2)),
    "SeparableConv2D": ({"filters": 3, "kernel_size": 3, "padding": "same"}, (2, 6, 5, 2)),
}


def made(kind, **more):
    arguments, shape = KINDS[kind]
    layer = getattr(layers, kind)(**arguments, **more)
    layer.build(shape)
    inputs = np.random.default_rng(0).normal(size=shape).astype("float32")
    return layer, [v.value for v in layer.trainable_variables], inputs


def gradients(layer):
    def loss(weights, inputs):
        outputs, _ = layer.stateless_call(weights, [], inputs)
        return jnp.sum(outputs * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape))

    return jax.value_and_grad(loss, (0, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_sums_over_places_equal_xlas_convolution(kind, monkeypatch):
    layer, weights, inputs = made(kind)
    by_places = jax.jit(gradients(layer))(weights, inputs)
    monkeypatch.setattr(windows, "_PATCH_BYTES", 0)
    assert "conv_general_dilated" in str(jax.make_jaxpr(gradients(layer))(weights, inputs))
    by_xla = jax.jit(gradients(layer))(weights, inputs)
    for a, b in zip(jax.tree.leaves(by_places), jax.tree.leaves(by_xla), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_small_steps_on_a_cpu_hold_no_convolution_that_would_be_slow_in_a_loop(kind):
    layer, weights, inputs = made(kind)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(gradients(layer))(weights, inputs))


@pytest.mark.parametrize("kind", ["Conv3D", "Conv2DTranspose", "SeparableConv2D"])
def test_mixed_precision_computes_in_the_types_of_keras(kind):
    arguments, shape = KINDS[kind]
    ours, weights, inputs = made(kind, dtype="mixed_bfloat16")
    theirs = getattr(keras.layers, kind)(**arguments, dtype="mixed_bfloat16")
    theirs.build(shape)
    theirs.set_weights([np.asarray(w) for w in weights])
    mine, other = ours(inputs), theirs(inputs)
    assert mine.dtype == other.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.asarray(mine, np.float32), np.asarray(other, np.float32), rtol=5e-2, atol=5e-2
    )


@pytest.mark.parametrize("kind", ["Conv1DTranspose", "Conv2DTranspose"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_sizes_are_those_of_keras_for_all_kernels_and_strides(kind, padding):
    for kernel in (1, 2, 3, 5):
        for stride in (1, 2, 3):
            for extra in (None, 0, stride - 1):
                arguments = (4, kernel, stride, padding, extra)
                shape = (None, *(5, 8)[: int(kind[4])], 2)
                ours = getattr(layers, kind)(*arguments).compute_output_shape(shape)
                theirs = getattr(keras.layers, kind)(*arguments).compute_output_shape(shape)
                assert tuple(ours) == tuple(theirs), arguments


@pytest.mark.battery
def test_an_autoencoder_of_all_families_learns():
    talweg.utils.set_random_seed(0)
    x = np.random.default_rng(0).uniform(size=(32, 8, 8, 1)).astype("float32")
    x[:, 2:6, 2:6] += 1.0
    model = talweg.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.SeparableConv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
            layers.ZeroPadding2D(1),
            layers.Cropping2D(1),
            layers.Reshape((1, 8, 8, 4)),
            layers.Conv3D(1, (1, 3, 3), padding="same"),
            layers.Reshape((8, 8, 1)),
        ]
    )
    model.compile("adam", "mse")
    losses = model.fit(x, x, epochs=30, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2DTranspose(0, 3), "filters"),
        (lambda: layers.Conv2DTranspose(3, 3, strides=2, output_padding=2), "output_padding"),
        (lambda: layers.Conv2DTranspose(3, 3, strides=2, dilation_rate=2), "strides"),
        (lambda: layers.DepthwiseConv1D(3, padding="causal"), "padding"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier"),
        (lambda: layers.SeparableConv2D(3, (3, 3, 3)), "kernel_size"),
        (lambda: layers.SeparableConv2D(3, 9)(np.ones((1, 5, 5, 2))), "window"),
        (lambda: layers.Conv3D(3, 1, groups=2)(np.ones((1, 2, 2, 2, 2))), "filters"),
        (lambda: layers.Cropping2D(3)(np.ones((1, 5, 8, 2))), "cropping"),
        (lambda: layers.Cropping1D(-1), "cropping"),
        (lambda: layers.ZeroPadding3D((1, 2)), "padding"),
        (lambda: layers.AdaptiveMaxPooling2D((2, 0)), "output_size"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("kind", "arguments"), [
    ("AdaptiveMaxPooling2D", {"output_size": 2}),
    ("AdaptiveMaxPooling2D", {"output_size": (3, 4), "data_format": "channels_first"}),
    ("GlobalMaxPooling2D", {}),
])  # fmt: skip
def test_the_gradient_goes_where_keras_sends_it_among_equals(kind, arguments):
    x = np.random.default_rng(0).integers(0, 2, (2, 5, 6, 4)).astype("float32")

    def gradient(library):
        layer = getattr(library.layers, kind)(**arguments)

        def weighed(x):
            y = layer(x)
            return jnp.sum(y * jnp.arange(1.0, 1.0 + y.size).reshape(y.shape))

        return jax.jit(jax.grad(weighed))(jnp.asarray(x))

    np.testing.assert_allclose(gradient(talweg), gradient(keras), rtol=1e-6)
