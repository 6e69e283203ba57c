"""Every exported layer against Keras: shapes, weights, outputs, gradients, configs, states.

A case is the arguments and the inputs; the same battery runs for all. Both layers get the
same random weights, are run in training and in inference under `jit`, and are compared in
everything that leaves them. A layer that is exported without a case fails the last test.
"""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import layers
from talweg.core.names import to_snake_case

CHANNELS_FIRST = {"data_format": "channels_first"}
SEEDED = {"seed": 1}
REGULARIZED = {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activation": "tanh"}

# name -> (arguments, shape of the input) …; a list of shapes for layers that merge.
CASES = {
    "Activation": [({"activation": "gelu"}, (4, 3)), ({"activation": None}, (4, 3))],
    "ActivityRegularization": [({"l1": 0.1, "l2": 0.2}, (4, 3))],
    "AdaptiveAveragePooling1D": [
        ({"output_size": 3}, (2, 7, 3)),
        ({"output_size": 2, **CHANNELS_FIRST}, (2, 3, 6)),
    ],
    "AdaptiveAveragePooling2D": [({"output_size": (2, 5)}, (2, 7, 4, 3))],
    "AdaptiveAveragePooling3D": [({"output_size": 2, **CHANNELS_FIRST}, (2, 3, 4, 5, 3))],
    "AdaptiveMaxPooling1D": [
        ({"output_size": 3}, (2, 7, 3)),
        ({"output_size": 2, **CHANNELS_FIRST}, (2, 3, 6)),
    ],
    "AdaptiveMaxPooling2D": [({"output_size": (2, 5)}, (2, 7, 4, 3))],
    "AdaptiveMaxPooling3D": [({"output_size": 2, **CHANNELS_FIRST}, (2, 3, 4, 5, 3))],
    "Add": [({}, [(4, 3), (4, 3), (4, 3)]), ({}, [(4, 5, 3), (4, 3)])],
    "AlphaDropout": [
        ({"rate": 0.3, "seed": 7}, (4, 3)),
        ({"rate": 0.3, "seed": 7, "noise_shape": (None, 1, 3)}, (4, 5, 3)),
    ],
    "Average": [({}, [(4, 3), (4, 3)])],
    "AveragePooling1D": [
        ({"pool_size": 2}, (4, 7, 3)),
        ({"pool_size": 3, "strides": 2, "padding": "same"}, (4, 7, 3)),
    ],
    "AveragePooling2D": [
        ({"pool_size": (2, 3)}, (2, 4, 6, 3)),
        ({"pool_size": 3, "strides": (1, 2), "padding": "same"}, (2, 5, 6, 3)),
        ({"pool_size": 2, "strides": 1, **CHANNELS_FIRST}, (2, 3, 5, 6)),
    ],
    "AveragePooling3D": [
        ({"pool_size": 2}, (2, 4, 5, 6, 2)),
        ({"pool_size": 2, "strides": 1, "padding": "same", **CHANNELS_FIRST}, (1, 2, 3, 4, 3)),
    ],
    "BatchNormalization": [
        ({}, (6, 3)),
        ({"axis": 1, "momentum": 0.7, "epsilon": 0.1}, (2, 3, 4)),
        ({"center": False, "scale": False}, (2, 4, 4, 3)),
    ],
    "CenterCrop": [
        ({"height": 3, "width": 2}, (2, 6, 5, 3)),
        ({"height": 3, "width": 7, **CHANNELS_FIRST}, (2, 3, 6, 5)),
    ],
    "Concatenate": [({}, [(4, 3), (4, 2)]), ({"axis": 1}, [(4, 3, 2), (4, 1, 2)])],
    "Conv1D": [
        ({"filters": 4, "kernel_size": 3, **REGULARIZED}, (2, 8, 3)),
        ({"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, (2, 8, 3)),
        ({"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 8, 3)),
    ],
    "Conv1DTranspose": [
        ({"filters": 4, "kernel_size": 3, **REGULARIZED}, (2, 5, 3)),
        ({"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3)),
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (2, 5, 3)),
    ],
    "Conv2D": [
        ({"filters": 4, "kernel_size": 3, "activation": "relu"}, (2, 6, 5, 3)),
        ({"filters": 4, "kernel_size": (3, 2), "strides": (2, 1), "padding": "same"}, (2, 6, 5, 3)),
        ({"filters": 4, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (2, 6, 5, 3)),
        ({"filters": 4, "kernel_size": 3, "groups": 2, **CHANNELS_FIRST}, (2, 4, 5, 6)),
    ],
    "Conv2DTranspose": [
        ({"filters": 4, "kernel_size": (3, 2), "strides": 2, "activation": "relu"}, (2, 3, 4, 3)),
        (
            {
                "filters": 4,
                "kernel_size": 3,
                "strides": (2, 3),
                "padding": "same",
                "output_padding": (1, 2),
            },
            (2, 3, 4, 3),
        ),
        ({"filters": 4, "kernel_size": 2, "strides": 3, **CHANNELS_FIRST}, (2, 3, 4, 5)),
    ],
    "Conv3D": [
        ({"filters": 2, "kernel_size": 2, "activation": "relu"}, (2, 3, 4, 3, 3)),
        (
            {
                "filters": 2,
                "kernel_size": (1, 2, 3),
                "strides": 2,
                "padding": "same",
                **CHANNELS_FIRST,
            },
            (2, 3, 3, 4, 5),
        ),
    ],
    "Conv3DTranspose": [
        ({"filters": 2, "kernel_size": 2, "strides": (1, 2, 2)}, (2, 2, 3, 2, 3)),
        (
            {"filters": 2, "kernel_size": 3, "padding": "same", "use_bias": False},
            (1, 2, 3, 2, 3),
        ),
    ],
    "ConvLSTM1D": [
        ({"filters": 2, "kernel_size": 2, "return_sequences": True, **SEEDED}, (2, 3, 5, 2))
    ],
    "ConvLSTM2D": [
        ({"filters": 2, "kernel_size": 2, "padding": "same", **SEEDED}, (2, 3, 4, 4, 2))
    ],
    "ConvLSTM3D": [({"filters": 2, "kernel_size": 2, **SEEDED}, (1, 3, 3, 3, 3, 2))],
    "Cropping1D": [({}, (2, 5, 3)), ({"cropping": (0, 2)}, (2, 5, 3))],
    "Cropping2D": [
        ({}, (2, 5, 4, 3)),
        ({"cropping": ((1, 0), (2, 1)), **CHANNELS_FIRST}, (2, 3, 5, 4)),
        ({"cropping": (1, 0)}, (2, 5, 4, 3)),
    ],
    "Cropping3D": [
        ({}, (2, 5, 4, 3, 2)),
        ({"cropping": ((1, 0), (0, 1), (0, 0)), **CHANNELS_FIRST}, (2, 3, 5, 4, 2)),
    ],
    "Dense": [
        ({"units": 5}, (4, 3)),
        ({"units": 5, "activation": "relu", "use_bias": False}, (4, 2, 3)),
        ({"units": 5, **REGULARIZED, "activity_regularizer": "l1"}, (4, 3)),
    ],
    "DepthwiseConv1D": [
        ({"kernel_size": 3, "depth_multiplier": 2, "activation": "tanh"}, (2, 8, 3)),
        ({"kernel_size": 3, "strides": 2, "padding": "same"}, (2, 8, 3)),
    ],
    "DepthwiseConv2D": [
        ({"kernel_size": (3, 2), "depthwise_regularizer": "l2"}, (2, 6, 5, 3)),
        (
            {"kernel_size": 2, "depth_multiplier": 2, "dilation_rate": (2, 1), "padding": "same"},
            (2, 6, 5, 3),
        ),
        ({"kernel_size": 3, "depth_multiplier": 2, **CHANNELS_FIRST}, (2, 3, 5, 6)),
    ],
    "Dot": [
        ({"axes": 1}, [(4, 3), (4, 3)]),
        ({"axes": (2, 1), "normalize": True}, [(4, 5, 3), (4, 3, 2)]),
        ({"axes": -1}, [(4, 5, 3), (4, 3)]),
        ({"axes": (1, 2)}, [(4, 3), (4, 2, 3)]),
    ],
    "Dropout": [
        ({"rate": 0.5, "seed": 3}, (4, 3)),
        ({"rate": 0.2, "noise_shape": [None, 1, 3], "seed": 3}, (4, 5, 3)),
        ({"rate": 0}, (4, 3)),
    ],
    "ELU": [({}, (4, 3)), ({"alpha": 0.3}, (4, 3))],
    "EinsumDense": [
        (
            {"equation": "abc,cde->abde", "output_shape": (4, 2, 3), "bias_axes": "de"},
            (2, 4, 6),
        ),
        ({"equation": "...x,xy->...y", "output_shape": 3, "activation": "relu"}, (2, 4, 6)),
    ],
    "Embedding": [({"input_dim": 5, "output_dim": 3, "embeddings_regularizer": "l2"}, (4, 6))],
    "Flatten": [({}, (4, 3, 2)), (CHANNELS_FIRST, (4, 3, 2, 2)), ({}, (4,))],
    "GRU": [
        ({"units": 3, **REGULARIZED, **SEEDED}, (2, 4, 3)),
        ({"units": 3, "reset_after": False, **SEEDED}, (2, 4, 3)),
    ],
    "GaussianDropout": [({"rate": 0.3, "seed": 1}, (4, 3))],
    "GaussianNoise": [({"stddev": 0.3, "seed": 1}, (4, 3))],
    "GlobalAveragePooling1D": [({}, (4, 5, 3)), ({"keepdims": True, **CHANNELS_FIRST}, (4, 5, 3))],
    "GlobalAveragePooling2D": [({}, (4, 5, 2, 3)), ({"keepdims": True}, (4, 5, 2, 3))],
    "GlobalAveragePooling3D": [({}, (4, 2, 3, 2, 3)), ({"keepdims": True}, (4, 2, 3, 2, 3))],
    "GlobalMaxPooling1D": [({}, (4, 5, 3)), ({"keepdims": True, **CHANNELS_FIRST}, (4, 5, 3))],
    "GlobalMaxPooling2D": [({}, (4, 5, 2, 3)), (CHANNELS_FIRST, (4, 5, 2, 3))],
    "GlobalMaxPooling3D": [({}, (4, 2, 3, 2, 3)), (CHANNELS_FIRST, (4, 2, 3, 2, 3))],
    "GroupNormalization": [
        ({"groups": 2}, (2, 4, 6)),
        ({"groups": 3, "axis": 1, "center": False, "epsilon": 0.1}, (2, 6, 4, 3)),
    ],
    "Identity": [({}, (4, 3))],
    "LSTM": [
        ({"units": 3, "return_sequences": True, **REGULARIZED, **SEEDED}, (2, 4, 3)),
        ({"units": 3, "activity_regularizer": "l2", "go_backwards": True, **SEEDED}, (2, 4, 3)),
    ],
    "Lambda": [({"function": jnp.square}, (4, 3))],
    "LayerNormalization": [
        ({}, (4, 3)),
        ({"axis": [1, 2], "epsilon": 0.1}, (4, 3, 2)),
        ({"axis": 1, "center": False}, (4, 3, 2)),
        ({"scale": False}, (4, 3)),
    ],
    "LeakyReLU": [({}, (4, 3)), ({"negative_slope": 0.1}, (4, 3))],
    "Masking": [({"mask_value": 0.5}, (4, 3, 2))],
    "MaxPooling1D": [
        ({}, (4, 7, 3)),
        ({"pool_size": 3, "strides": 2, "padding": "same"}, (4, 7, 3)),
        ({"pool_size": 2, **CHANNELS_FIRST}, (4, 3, 7)),
    ],
    "MaxPooling2D": [
        ({}, (2, 4, 6, 3)),
        ({"padding": "same"}, (2, 4, 5, 3)),
        ({"pool_size": (2, 3), "strides": 1}, (2, 5, 6, 3)),
        ({"pool_size": 2, **CHANNELS_FIRST}, (2, 3, 4, 5)),
    ],
    "MaxPooling3D": [
        ({}, (2, 4, 5, 6, 2)),
        ({"pool_size": 2, "strides": 1, "padding": "same", **CHANNELS_FIRST}, (1, 2, 3, 4, 3)),
    ],
    "Maximum": [({}, [(4, 3), (4, 3)])],
    "Minimum": [({}, [(4, 3), (4, 3)])],
    "Multiply": [({}, [(4, 3), (4, 3), (4, 3)])],
    "Normalization": [
        ({"mean": 1.0, "variance": 4.0}, (4, 3)),
        ({"mean": [1.0, 2.0, 3.0], "variance": [4.0, 5.0, 6.0], "invert": True}, (4, 3)),
        ({"axis": (1, 2), "mean": [1.0, 2.0], "variance": [1.0, 2.0]}, (4, 3, 2)),
        ({"axis": None, "mean": 1.0, "variance": 4.0}, (4, 3)),
    ],
    "PReLU": [({}, (4, 3)), ({"shared_axes": [1, 2], "alpha_regularizer": "l2"}, (2, 4, 5, 3))],
    "Permute": [({"dims": (2, 1)}, (4, 3, 2))],
    "RandomBrightness": [({"factor": 0.3, "value_range": (-2.0, 2.0), "seed": 3}, (4, 3, 3, 2))],
    "RandomContrast": [
        ({"factor": 0.3, "value_range": (-2, 2), "seed": 3}, (4, 3, 4, 2)),
        ({"factor": (0.5, 0.9), "value_range": (-1, 1), "seed": 3, **CHANNELS_FIRST}, (4, 2, 3, 4)),
    ],
    "RandomCrop": [
        ({"height": 4, "width": 5, "seed": 3}, (2, 4, 5, 3)),
        ({"height": 4, "width": 3, "seed": 3, **CHANNELS_FIRST}, (2, 3, 4, 3)),
    ],
    "RandomFlip": [
        ({"seed": 3}, (6, 3, 4, 2)),
        ({"mode": "horizontal", "seed": 3, **CHANNELS_FIRST}, (6, 2, 3, 4)),
        ({"mode": "vertical", "seed": 4}, (6, 3, 4, 2)),
    ],
    "RandomRotation": [
        ({"factor": 0.2, "seed": 3}, (4, 5, 6, 2)),
        (
            {"factor": (0.1, 0.4), "fill_mode": "constant", "fill_value": 1.0, "seed": 3},
            (4, 5, 6, 2),
        ),
    ],
    "RandomTranslation": [
        ({"height_factor": 0.3, "width_factor": (0.1, 0.4), "seed": 3}, (4, 5, 6, 2)),
        (
            {
                "height_factor": 0.3,
                "width_factor": 0.2,
                "fill_mode": "wrap",
                "seed": 3,
                **CHANNELS_FIRST,
            },
            (4, 2, 5, 6),
        ),
    ],
    "RandomZoom": [
        ({"height_factor": (-0.3, -0.1), "width_factor": 0.2, "seed": 3}, (4, 5, 6, 2)),
        (
            {"height_factor": 0.5, "fill_mode": "nearest", "interpolation": "nearest", "seed": 3},
            (4, 5, 6, 2),
        ),
    ],
    "ReLU": [
        ({}, (4, 3)),
        ({"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (4, 3)),
    ],
    "RMSNormalization": [({}, (4, 6))],
    "RepeatVector": [({"n": 3}, (4, 2))],
    "Rescaling": [({"scale": 0.5, "offset": 1.0}, (4, 3)), ({"scale": [1.0, 2.0, 3.0]}, (4, 3))],
    "Reshape": [({"target_shape": (3, 2)}, (4, 6)), ({"target_shape": (-1, 2)}, (4, 3, 4))],
    "Resizing": [
        ({"height": 4, "width": 7}, (2, 5, 6, 3)),
        (
            {"height": 4, "width": 4, "crop_to_aspect_ratio": True, "interpolation": "bicubic"},
            (2, 5, 8, 3),
        ),
        (
            {
                "height": 4,
                "width": 4,
                "pad_to_aspect_ratio": True,
                "fill_value": 0.5,
                "antialias": True,
                **CHANNELS_FIRST,
            },
            (2, 3, 5, 8),
        ),
    ],
    "STFTSpectrogram": [
        ({"frame_length": 16}, (2, 64, 2)),
        ({"mode": "stft", "frame_length": 16, "window": None, "expand_dims": True}, (2, 64, 2)),
        ({"mode": "real", "frame_length": 16, **CHANNELS_FIRST}, (2, 2, 64)),
    ],
    "SeparableConv1D": [
        (
            {
                "filters": 4,
                "kernel_size": 3,
                "depth_multiplier": 2,
                "pointwise_regularizer": "l2",
                "depthwise_constraint": "non_neg",
            },
            (2, 8, 3),
        ),
        ({"filters": 4, "kernel_size": 2, "dilation_rate": 2, "padding": "same"}, (2, 8, 3)),
    ],
    "SeparableConv2D": [
        ({"filters": 4, "kernel_size": 3, "strides": 2, "activation": "relu"}, (2, 6, 5, 3)),
        (
            {"filters": 4, "kernel_size": 2, "depth_multiplier": 2, **CHANNELS_FIRST},
            (2, 3, 5, 6),
        ),
    ],
    "SimpleRNN": [
        ({"units": 3, **SEEDED}, (2, 4, 3)),
        ({"units": 3, "unroll": True, **SEEDED}, (2, 4, 3)),
    ],
    "Softmax": [({}, (4, 3)), ({"axis": (1, 2)}, (4, 3, 2))],
    "SpatialDropout1D": [({"rate": 0.5, "seed": 2}, (4, 5, 3))],
    "SpatialDropout2D": [
        ({"rate": 0.5, "seed": 2}, (4, 5, 2, 3)),
        ({"rate": 0.5, "seed": 2, **CHANNELS_FIRST}, (4, 5, 2, 3)),
    ],
    "SpatialDropout3D": [
        ({"rate": 0.5, "seed": 2}, (4, 3, 2, 2, 3)),
        ({"rate": 0.5, "seed": 2, **CHANNELS_FIRST}, (4, 3, 2, 2, 3)),
    ],
    "Subtract": [({}, [(4, 3), (4, 3)])],
    "UnitNormalization": [({}, (4, 3)), ({"axis": [1, 2]}, (4, 3, 2))],
    "UpSampling1D": [({"size": 3}, (4, 5, 3))],
    "UpSampling2D": [
        ({"size": (2, 3)}, (2, 3, 4, 3)),
        ({"interpolation": "bilinear", **CHANNELS_FIRST}, (2, 3, 4, 3)),
    ],
    "UpSampling3D": [
        ({}, (2, 2, 3, 2, 3)),
        ({"size": (1, 2, 3), **CHANNELS_FIRST}, (2, 3, 2, 3, 2)),
    ],
    "ZeroPadding1D": [({}, (2, 5, 3)), ({"padding": (0, 2), **CHANNELS_FIRST}, (2, 3, 5))],
    "ZeroPadding2D": [
        ({"padding": ((1, 0), (2, 3))}, (2, 3, 4, 3)),
        ({"padding": 1, **CHANNELS_FIRST}, (2, 3, 4, 3)),
        ({"padding": (1, 2)}, (2, 3, 4, 3)),
    ],
    "ZeroPadding3D": [
        ({}, (2, 2, 3, 2, 3)),
        ({"padding": (1, 0, 2), **CHANNELS_FIRST}, (2, 3, 2, 3, 2)),
        ({"padding": ((0, 1), (1, 2), (0, 0))}, (2, 2, 3, 2, 3)),
    ],
}
# On strings, not differentiable, or less precise in Keras: see test_preprocessing_goldens.py.
PREPROCESSING = {
    "CategoryEncoding",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "MelSpectrogram",
    "StringLookup",
    "TextVectorization",
}
# Around other layers, or called with states; their cases stand in test_recurrent.py.
RECURRENT = {
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "RNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "TimeDistributed",
    "Wrapper",
}
ALL = [
    pytest.param(name, arguments, shape, id=f"{name}-{i}")
    for name, cases in CASES.items()
    for i, (arguments, shape) in enumerate(cases)
]
every_case = pytest.mark.parametrize(("name", "arguments", "shape"), ALL)


def draw(name, shape):
    """Inputs without ties, and not next to the kinks of the activations."""
    if isinstance(shape, list):
        return [draw(name, single) + 0.01 * i for i, single in enumerate(shape)]
    random = np.random.default_rng(len(shape))
    if name == "Embedding":
        return random.integers(0, 5, shape).astype(np.int32)
    steps = random.permutation(int(np.prod(shape))).reshape(shape)
    return ((steps - np.prod(shape) / 2 + 0.3) / np.prod(shape) * 4).astype(np.float32)


def pair(kind, arguments, shape, **more):
    """The layer of talweg and that of Keras, built, with the same random weights."""
    given = {**arguments, **more}
    ours, theirs = getattr(layers, kind)(**given), getattr(keras.layers, kind)(**given)
    for layer in (ours, theirs):
        if not layer.built:
            layer.build(shape)
    random = np.random.default_rng(1)
    weights = [random.normal(size=v.shape).astype(np.float32) for v in theirs.weights]
    names = [v.name for v in theirs.weights]
    weights = [np.abs(w) if "variance" in n else w for n, w in zip(names, weights, strict=True)]
    assert [v.name for v in ours.weights] == names
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def values(variables):
    return [jnp.array(v.value) for v in variables]


def pure_call(layer, trainable, fixed, inputs, training):
    """Outputs, new states and penalties, as a pure function, of either library's layer."""
    if isinstance(layer, layers.Layer):
        return layer.stateless_call(trainable, fixed, inputs, training=training, return_losses=True)
    variables = [*layer.trainable_variables, *layer.non_trainable_variables]
    mapping = zip(variables, [*trainable, *fixed], strict=True)
    with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
        outputs, losses = layer(inputs, training=training), layer.losses
        now = [scope.get_current_value(v) for v in layer.non_trainable_variables]
    state = [a if b is None else b for a, b in zip(fixed, now, strict=True)]
    return outputs, state, losses


def everything(layer, inputs, differentiable):
    """Inference, training, new states, penalties, and all gradients, in one program."""
    trainable, fixed = values(layer.trainable_variables), values(layer.non_trainable_variables)

    def run(trainable, inputs, training):
        outputs, state, losses = pure_call(layer, trainable, fixed, inputs, training)
        weights = jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)
        return jnp.sum(outputs * weights) + sum(losses), (outputs, state, losses)

    def program(trainable, inputs):
        at = (0, 1) if differentiable else 0
        _, inference = run(trainable, inputs, False)
        gradients, training = jax.grad(run, at, has_aux=True)(trainable, inputs, True)
        return inference, training, gradients

    return jax.jit(program)(trainable, inputs)


def assert_close(ours, theirs, rtol=1e-5, atol=1e-6):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    assert [a.dtype for a in ours] == [b.dtype for b in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=atol
        )


@pytest.mark.sampled("name")
@every_case
def test_outputs_gradients_states_and_penalties_are_those_of_keras(name, arguments, shape):
    ours, theirs = pair(name, arguments, shape)
    inputs = jax.tree.map(jnp.asarray, draw(name, shape))
    differentiable = name != "Embedding"
    mine = everything(ours, inputs, differentiable)
    assert_close(mine, everything(theirs, inputs, differentiable))
    assert_close(ours(draw(name, shape), training=False), mine[0][0], atol=2e-6)


@pytest.mark.sampled("name")
@every_case
def test_shapes_and_weights_are_those_of_keras(name, arguments, shape):
    ours, theirs = pair(name, arguments, shape, name="it")
    whole = shape if isinstance(shape, list) else [shape]
    unknown = [(None, *one[1:]) for one in whole]
    unknown = unknown if isinstance(shape, list) else unknown[0]
    assert tuple(ours.compute_output_shape(unknown)) == tuple(theirs.compute_output_shape(unknown))
    assert tuple(ours.compute_output_shape(shape)) == ours(draw(name, shape)).shape
    dtype = "int32" if name == "Embedding" else None
    symbols = [layers.Input(batch_shape=(None, *one[1:]), dtype=dtype) for one in whole]
    symbolic = ours(symbols if isinstance(shape, list) else symbols[0])
    assert symbolic.shape == tuple(theirs.compute_output_shape(unknown))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert [v.trainable for v in ours.weights] == [v.trainable for v in theirs.weights]
    kinds = [type(v.regularizer).__name__ for v in ours.weights]
    assert kinds == [type(v.regularizer).__name__ for v in theirs.weights]
    kinds = [type(v.constraint).__name__ for v in ours.weights]
    assert kinds == [type(v.constraint).__name__ for v in theirs.weights]


# Lambda has no config, on purpose.
@pytest.mark.parametrize(
    ("name", "arguments", "shape"), [case for case in ALL if case.values[0] != "Lambda"]
)
def test_configs_are_those_of_keras_and_move_both_ways(name, arguments, shape):
    ours = getattr(layers, name)(**arguments, name="it")
    theirs = getattr(keras.layers, name)(**arguments, name="it")
    mine, other = layers.serialize(ours), keras.layers.serialize(theirs)
    assert _comparable(mine["config"]) == _comparable(other["config"])
    assert (mine["module"], mine["class_name"]) == (other["module"], other["class_name"])
    moved = layers.deserialize(other).get_config()
    assert _comparable(moved) == _comparable(theirs.get_config())
    assert keras.layers.deserialize(mine).get_config().keys() == theirs.get_config().keys()
    assert layers.deserialize(mine).get_config() == ours.get_config()


def _comparable(config):
    """Initializers draw a seed when none is given; Keras rounds penalties to float32."""
    if isinstance(config, float):
        return float(np.float32(config))
    if not isinstance(config, dict):
        return config
    if config.get("module") == "keras.initializers":
        config = {**config, "config": {**config["config"], "seed": None}}
    return {key: _comparable(value) for key, value in config.items()}


MIXED = ["Dense", "Conv2D", "BatchNormalization", "LayerNormalization", "Embedding", "PReLU"]


@pytest.mark.sampled("name")
@pytest.mark.parametrize("name", [*MIXED, "UnitNormalization", "Rescaling", "MaxPooling2D"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_in_the_types_of_keras(name, policy):
    arguments, shape = CASES[name][0]
    ours, theirs = pair(name, arguments, shape, dtype=policy)
    inputs = draw(name, shape)
    assert [v.dtype for v in ours.weights] == [v.dtype for v in theirs.weights]
    for training in (False, True):
        mine, other = ours(inputs, training=training), theirs(inputs, training=training)
        assert_close(mine, other, rtol=3e-2, atol=3e-2)


def classes():
    exported = {name: getattr(layers, name) for name in layers.__all__}
    return {
        name: target
        for name, target in exported.items()
        if inspect.isclass(target) and issubclass(target, layers.Layer)
    }


@pytest.mark.parametrize("name", sorted({cls.__name__ for cls in classes().values()} - {"Layer"}))
def test_signatures_are_those_of_keras(name):
    def arguments(cls):
        parameters = inspect.signature(cls.__init__).parameters.values()
        named = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        return [(p.name, _scalar(p.default)) for p in named]

    assert arguments(getattr(layers, name)) == arguments(getattr(keras.layers, name))


def _scalar(value):
    """`(2, 2)` says the same as 2."""
    repeated = isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if repeated else value


# Called with several inputs, functions or a direction: in test_attention.py,
# test_projections_and_norms.py and test_jax_layer.py.
CALLED = {
    "AdditiveAttention",
    "Attention",
    "FlaxLayer",
    "GroupQueryAttention",
    "JaxLayer",
    "MultiHeadAttention",
    "ReversibleEmbedding",
    "SpectralNormalization",
}


def test_every_exported_layer_has_a_case():
    covered = {getattr(layers, name) for name in {*CASES, *PREPROCESSING, *RECURRENT, *CALLED}}
    assert set(classes().values()) - covered == {layers.Layer, layers.InputLayer}


def test_aliases_are_those_of_keras():
    for name, cls in classes().items():
        theirs = getattr(keras.layers, name).__name__
        assert theirs.replace("GroupedQuery", "GroupQuery") == cls.__name__


def test_functions_call_the_layer_of_their_name():
    functions = {n for n in layers.__all__ if n.islower()} - {"serialize", "deserialize"}
    merging = {to_snake_case(n) for n, cases in CASES.items() if isinstance(cases[0][1], list)}
    assert functions == merging
    for name in functions:
        arguments, shape = CASES[name.capitalize()][0]
        inputs = draw(name, shape)
        ours = getattr(layers, name)(inputs, **arguments)
        assert_close(ours, getattr(keras.layers, name)(inputs, **arguments))
