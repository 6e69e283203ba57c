"""For every exported class of layers, a use of it that an exported model has to survive."""

import inspect

import jax.numpy as jnp
import numpy as np

from talweg import Input, layers

SEQUENCE, PICTURE, VOLUME = (6, 4), (6, 8, 4), (4, 4, 6, 2)
LAST_FIRST = {"data_format": "channels_first"}


def affine(params, inputs):
    return inputs * params["scale"] + params["shift"]


def flax_dense(x):
    from flax import linen

    return layers.FlaxLayer(linen.Dense(3))(x)


def heads(kind, **arguments):
    """Attention with a causal mask and a mask over the keys."""

    def use(query, value, keys):
        layer = getattr(layers, kind)(**arguments)
        if kind in ("Attention", "AdditiveAttention"):
            return layer([query, value], mask=[None, keys])
        return layer(query, value, attention_mask=keys[:, None, :], use_causal_mask=True)

    return use


def learned(layer, data):
    layer.adapt(data)
    return layer


# name -> what is done to the symbolic inputs, and a shape for each of them. Integers below
# `INTEGERS` come in where the shape is in a set of its name.
def on(shape, **arguments):
    return lambda name: (lambda x: getattr(layers, name)(**arguments)(x), [shape])


def merged(*shapes, **arguments):
    return lambda name: (lambda *x: getattr(layers, name)(**arguments)(list(x)), shapes)


def by(use, *shapes):
    return lambda name: (use, shapes)


VECTOR = (5,)
CASES = {
    "Activation": on(VECTOR, activation="gelu"),
    "ActivityRegularization": on(VECTOR, l1=0.1),
    "AdaptiveAveragePooling1D": on(SEQUENCE, output_size=4),
    "AdaptiveAveragePooling2D": on(PICTURE, output_size=(4, 3)),
    "AdaptiveAveragePooling3D": on(VOLUME, output_size=3),
    "AdaptiveMaxPooling1D": on(SEQUENCE, output_size=4),
    "AdaptiveMaxPooling2D": on(PICTURE, output_size=(4, 3)),
    "AdaptiveMaxPooling3D": on(VOLUME, output_size=3),
    "Add": merged(VECTOR, VECTOR),
    "AdditiveAttention": by(heads("AdditiveAttention"), (5, 4), (6, 4), {6}),
    "AlphaDropout": on(VECTOR, rate=0.5),
    "Attention": by(heads("Attention", use_scale=True), (5, 4), (6, 4), {6}),
    "Average": merged(VECTOR, VECTOR),
    "AveragePooling1D": on(SEQUENCE, pool_size=3, strides=2, padding="same"),
    "AveragePooling2D": on(PICTURE, pool_size=3, strides=2, padding="same"),
    "AveragePooling3D": on(VOLUME, pool_size=2, strides=1, padding="same"),
    "BatchNormalization": on(PICTURE),
    "Bidirectional": by(lambda x: layers.Bidirectional(layers.LSTM(3))(x), SEQUENCE),
    "CategoryEncoding": by(
        lambda x: layers.CategoryEncoding(num_tokens=4, output_mode="multi_hot")(x), {3}
    ),
    "CenterCrop": on(PICTURE, height=3, width=5),
    "Concatenate": merged((5, 2), (5, 3)),
    "Conv1D": on(SEQUENCE, filters=3, kernel_size=2, padding="causal", dilation_rate=2),
    "Conv1DTranspose": on(SEQUENCE, filters=3, kernel_size=3, strides=2, padding="same"),
    "Conv2D": on(PICTURE, filters=4, kernel_size=3, strides=2, padding="same", groups=2),
    "Conv2DTranspose": on(PICTURE, filters=3, kernel_size=3, strides=2, padding="same"),
    "Conv3D": on(VOLUME, filters=3, kernel_size=(3, 2, 2), strides=2, padding="same"),
    "Conv3DTranspose": on(VOLUME, filters=3, kernel_size=2, strides=2),
    "ConvLSTM1D": on((3, *SEQUENCE), filters=2, kernel_size=2, return_sequences=True),
    "ConvLSTM2D": on((3, *PICTURE), filters=2, kernel_size=3, padding="same"),
    "ConvLSTM3D": on((2, *VOLUME), filters=2, kernel_size=2),
    "Cropping1D": on(SEQUENCE, cropping=(1, 2)),
    "Cropping2D": on(PICTURE, cropping=((1, 0), (2, 1))),
    "Cropping3D": on(VOLUME, cropping=1),
    "Dense": on(SEQUENCE, units=3, activation="relu"),
    "DepthwiseConv1D": on(SEQUENCE, kernel_size=3, depth_multiplier=2, padding="same"),
    "DepthwiseConv2D": on(PICTURE, kernel_size=3, strides=2),
    "Discretization": on(VECTOR, bin_boundaries=[-1.0, 0.0, 0.5], output_mode="one_hot"),
    "Dot": merged((5, 4), (5, 3), axes=1),
    "Dropout": on(VECTOR, rate=0.5),
    "ELU": on(VECTOR, alpha=0.5),
    "EinsumDense": on(SEQUENCE, equation="abc,cde->abde", output_shape=(6, 2, 3), bias_axes="e"),
    "Embedding": by(lambda x: layers.Embedding(4, 3)(x), {6}),
    "Flatten": on(PICTURE),
    "FlaxLayer": by(flax_dense, VECTOR),
    "GRU": on(SEQUENCE, units=3, return_sequences=True),
    "GRUCell": by(lambda x: layers.RNN(layers.GRUCell(3, reset_after=False))(x), SEQUENCE),
    "GaussianDropout": on(VECTOR, rate=0.5),
    "GaussianNoise": on(VECTOR, stddev=0.5),
    "GlobalAveragePooling1D": on(SEQUENCE),
    "GlobalAveragePooling2D": on(PICTURE, keepdims=True),
    "GlobalAveragePooling3D": on(VOLUME, **LAST_FIRST),
    "GlobalMaxPooling1D": on(SEQUENCE),
    "GlobalMaxPooling2D": on(PICTURE, keepdims=True),
    "GlobalMaxPooling3D": on(VOLUME, **LAST_FIRST),
    "GroupNormalization": on(PICTURE, groups=2),
    "GroupQueryAttention": by(
        heads("GroupQueryAttention", head_dim=3, num_query_heads=4, num_key_value_heads=2),
        (5, 4), (6, 4), {6},
    ),
    "Identity": on(VECTOR),
    "IntegerLookup": by(
        lambda x: layers.IntegerLookup(vocabulary=[1, 2], output_mode="multi_hot")(x), {3}
    ),
    "JaxLayer": by(
        lambda x: layers.JaxLayer(affine, params={"scale": np.float32(2), "shift": np.ones(5)})(x),
        VECTOR,
    ),
    "LSTM": on(SEQUENCE, units=3, go_backwards=True, return_sequences=True),
    "LSTMCell": by(lambda x: layers.RNN(layers.LSTMCell(3), unroll=True)(x), SEQUENCE),
    "Lambda": on(VECTOR, function=jnp.square),
    "LayerNormalization": on(SEQUENCE),
    "LeakyReLU": on(VECTOR, negative_slope=0.1),
    "Masking": by(lambda x: layers.LSTM(2)(layers.Masking(0.0)(x)), SEQUENCE),
    "MaxPooling1D": on(SEQUENCE, pool_size=3, strides=2, padding="same"),
    "MaxPooling2D": on(PICTURE, pool_size=3, strides=2, padding="same"),
    "MaxPooling3D": on(VOLUME, pool_size=2, strides=1, padding="same"),
    "Maximum": merged(VECTOR, VECTOR),
    "MelSpectrogram": on(
        (64,), num_mel_bins=6, fft_length=16, sampling_rate=100, sequence_stride=8, min_freq=5
    ),
    "Minimum": merged(VECTOR, VECTOR),
    "MultiHeadAttention": by(
        heads("MultiHeadAttention", num_heads=2, key_dim=3), (5, 4), (6, 4), {6}
    ),
    "Multiply": merged(VECTOR, VECTOR),
    "Normalization": on(VECTOR, mean=1.0, variance=4.0),
    "PReLU": on(PICTURE, shared_axes=[1, 2]),
    "Permute": on(PICTURE, dims=(3, 1, 2)),
    "RMSNormalization": on(SEQUENCE),
    "RNN": by(
        lambda x: layers.RNN(layers.SimpleRNNCell(3), go_backwards=True, return_sequences=True)(x),
        SEQUENCE,
    ),
    "RandomBrightness": on(PICTURE, factor=0.3),
    "RandomContrast": on(PICTURE, factor=0.3),
    "RandomCrop": on(PICTURE, height=4, width=5),
    "RandomFlip": on(PICTURE),
    "RandomRotation": on(PICTURE, factor=0.3),
    "RandomTranslation": on(PICTURE, height_factor=0.3, width_factor=0.3),
    "RandomZoom": on(PICTURE, height_factor=0.3),
    "ReLU": on(VECTOR, max_value=1.0, negative_slope=0.1, threshold=0.2),
    "RepeatVector": on(VECTOR, n=3),
    "Rescaling": on(PICTURE, scale=0.1, offset=1.0),
    "Reshape": on(PICTURE, target_shape=(-1, 2)),
    "Resizing": on(PICTURE, height=5, width=9, interpolation="bicubic", antialias=True),
    "ReversibleEmbedding": by(
        lambda x, y: (lambda layer: layers.Dot(2)([layer(x), y]))(layers.ReversibleEmbedding(4, 3)),
        {6}, (2, 3),
    ),
    "STFTSpectrogram": on((64, 2), frame_length=16, mode="log"),
    "SeparableConv1D": on(SEQUENCE, filters=3, kernel_size=2),
    "SeparableConv2D": on(PICTURE, filters=3, kernel_size=2, padding="same"),
    "SimpleRNN": on(SEQUENCE, units=3),
    "SimpleRNNCell": by(lambda x: layers.RNN(layers.SimpleRNNCell(3))(x), SEQUENCE),
    "Softmax": on(SEQUENCE, axis=(1, 2)),
    "SpatialDropout1D": on(SEQUENCE, rate=0.5),
    "SpatialDropout2D": on(PICTURE, rate=0.5),
    "SpatialDropout3D": on(VOLUME, rate=0.5),
    "SpectralNormalization": by(
        lambda x: layers.SpectralNormalization(layers.Conv2D(2, 2))(x), PICTURE
    ),
    "StackedRNNCells": by(
        lambda x: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)]))(x),
        SEQUENCE,
    ),
    "Subtract": merged(VECTOR, VECTOR),
    "TimeDistributed": by(lambda x: layers.TimeDistributed(layers.Conv1D(2, 3))(x), PICTURE),
    "UnitNormalization": on(SEQUENCE),
    "UpSampling1D": on(SEQUENCE, size=2),
    "UpSampling2D": on(PICTURE, size=2, interpolation="bilinear"),
    "UpSampling3D": on(VOLUME, size=(1, 2, 3)),
    "ZeroPadding1D": on(SEQUENCE, padding=(1, 2)),
    "ZeroPadding2D": on(PICTURE, padding=((1, 0), (2, 3))),
    "ZeroPadding3D": on(VOLUME, padding=(1, 0, 2)),
}  # fmt: skip

# What a compiled model cannot hold in the first place: a use, and what docs/export.md says.
REFUSED = {
    "HashedCrossing": by(lambda *x: layers.HashedCrossing(4)(x), {1}, {1}),
    "Hashing": by(lambda x: layers.Hashing(num_bins=4)(x), {3}),
    "StringLookup": by(lambda x: layers.StringLookup(vocabulary=["a"])(x), {3}),
    "TextVectorization": by(lambda x: layers.TextVectorization(vocabulary=["a"])(x), {1}),
}
# The bases of others, and what only states a shape.
BASES = {"Layer", "Wrapper", "InputLayer"}


def classes():
    """The names of the exported classes of layers, each once."""
    exported = (getattr(layers, name) for name in layers.__all__)
    return {
        one.__name__ for one in exported if inspect.isclass(one) and issubclass(one, layers.Layer)
    }


def used(name):
    """The inputs of a case and what it makes of them, symbolic."""
    use, shapes = {**CASES, **REFUSED}[name](name)
    inputs = [
        Input(tuple(shape), dtype="int32" if isinstance(shape, set) else None, name=f"{name}_{i}")
        for i, shape in enumerate(shapes)
    ]
    return inputs, use(*inputs)


def rows(inputs, count, seed=0):
    """Arrays for inputs, by name; integers below 4 where integers are wanted."""
    random = np.random.default_rng(seed)
    return {
        x.layer.name: random.integers(0, 4, (count, *x.shape[1:])).astype("int32")
        if x.dtype == "int32"
        else random.normal(size=(count, *x.shape[1:])).astype("float32")
        for x in inputs
    }


def randomize(model, seed=0):
    """Weights that are not zeros and ones; those of variances stay positive."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(
                np.abs(random.normal(size=variable.shape)).astype("float32") * 0.5 + 0.1
            )
