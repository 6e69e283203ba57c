"""What single layers promise beyond the battery: refusals, ties, adapting, inputs."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import layers
from talweg.core.variables import lend

IMAGE = np.ones((1, 8, 8, 3), np.float32)


@pytest.mark.parametrize("units", [0, -1, 8.5, "8", None, True, 10**13 + 0.5])
def test_dense_refuses_units_that_are_no_positive_integer(units):
    with pytest.raises(ValueError, match=r"Dense: units must be an integer >= 1, got"):
        layers.Dense(units)


REFUSED = [
    ("Dropout", {"rate": -0.1}, "rate must be a number in"),
    ("Dropout", {"rate": 1.0}, "rate"),
    ("Dropout", {"rate": float("nan")}, "rate"),
    ("Dropout", {"rate": "0.5"}, "rate"),
    ("Dropout", {"rate": 0.5, "noise_shape": "12"}, "noise_shape"),
    ("Dropout", {"rate": 0.5, "noise_shape": (None, 0)}, "noise_shape"),
    ("SpatialDropout2D", {"rate": 2}, "SpatialDropout2D: rate"),
    ("GaussianNoise", {"stddev": -1}, "stddev"),
    ("GaussianDropout", {"rate": 1.0}, "rate"),
    ("AlphaDropout", {"rate": -1.0}, "rate"),
    ("Conv2D", {"filters": 0, "kernel_size": 3}, "filters"),
    ("Conv2D", {"filters": 4, "kernel_size": 0}, "kernel_size"),
    ("Conv2D", {"filters": 4, "kernel_size": (3, 3, 3)}, "or 2 of them"),
    ("Conv2D", {"filters": 4, "kernel_size": 2.5}, "kernel_size"),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 0}, "strides"),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, "'valid' or 'same'"),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 3}, "multiple of groups"),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, "dilated"),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "data_format": "NHWC"}, "channels_last"),
    ("MaxPooling2D", {"pool_size": 0}, "pool_size"),
    ("MaxPooling2D", {"padding": "causal"}, "padding"),
    ("AveragePooling1D", {"pool_size": 2, "strides": -1}, "strides"),
    ("Embedding", {"input_dim": 0, "output_dim": 2}, "input_dim"),
    ("Embedding", {"input_dim": 5, "output_dim": 2.0}, "output_dim"),
    ("Dense", {"units": 2, "lora_rank": -1}, "lora_rank"),
    ("BatchNormalization", {"momentum": 1.5}, "momentum"),
    ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmas": 1.0}}, "rmax"),
    ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmax": 1, "rmin": 2}}, "rmax"),
    ("BatchNormalization", {"renorm": True, "renorm_clipping": {"dmax": -1}}, "dmax"),
    ("BatchNormalization", {"renorm_momentum": 1.5}, "renorm_momentum"),
    ("BatchNormalization", {"synchronized": True}, "synchronized"),
    ("LayerNormalization", {"epsilon": -1}, "epsilon"),
    ("Reshape", {"target_shape": (-1, -1)}, "one -1"),
    ("Permute", {"dims": (0, 1)}, "permutation"),
    ("RepeatVector", {"n": 0}, "n must be"),
    ("ReLU", {"negative_slope": -1.0}, "negative_slope"),
    ("ReLU", {"max_value": -1.0}, "max_value"),
    ("LeakyReLU", {"negative_slope": None}, "negative_slope"),
    ("UpSampling2D", {"interpolation": "area"}, "interpolation"),
    ("ZeroPadding2D", {"padding": (1, 2, 3)}, "padding"),
    ("ZeroPadding2D", {"padding": -1}, "padding"),
    ("Normalization", {"mean": 1.0}, "together"),
    ("Normalization", {"mean": [1.0], "variance": [1.0, 2.0]}, "one shape"),
    ("InputLayer", {}, "given once"),
    ("InputLayer", {"shape": (3,), "batch_shape": (2, 3)}, "given once"),
    ("InputLayer", {"batch_shape": (2, 3), "batch_size": 2}, "batch_size"),
    ("InputLayer", {"shape": (-3,)}, "size"),
    ("InputLayer", {"shape": (3,), "sparse": True}, "sparse"),
    ("InputLayer", {"input_tensor": np.zeros((2, 3))}, "a KerasTensor"),
    ("Wrapper", {"layer": "no layer"}, "must be a layer"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 4, "output_shape": 8.0}, "output_shape"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_impossible_arguments_are_refused_when_the_layer_is_made(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(layers, name)(**arguments)


@pytest.mark.parametrize("value", ["3", 2.5, True, [3]])
def test_where_keras_tells_types_from_values_so_does_talweg(value):
    for lib in (layers, keras.layers):
        with pytest.raises(TypeError):
            lib.RepeatVector(value)
        with pytest.raises(TypeError):
            lib.UpSampling1D(value)


def test_axes_of_a_wrong_type_are_refused():
    with pytest.raises(TypeError, match="axis must be an integer"):
        layers.LayerNormalization(axis="last")


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (layers.Dense(2), np.ones(3), "of rank 2 or more"),
        (layers.Conv2D(2, 9), IMAGE, "at least the window's 9"),
        (layers.Conv2D(2, 3, groups=2), IMAGE, "multiple of groups=2"),
        (layers.Conv2D(2, 3), IMAGE[0], "of rank 4"),
        (layers.MaxPooling2D(9), IMAGE, "at least the window's 9"),
        (layers.Reshape((5, -1)), np.ones((2, 6)), "of as many entries"),
        (layers.Reshape((5,)), np.ones((2, 6)), "of as many entries"),
        (layers.Concatenate(), [np.ones((2, 3)), np.ones((1, 3))], "shapes must be equal"),
        (layers.Add(), np.ones((2, 3)), "a list of arrays"),
        (layers.Subtract(), [np.ones((2, 3))] * 3, "a list of 2 arrays"),
        (layers.Dot(axes=1), [np.ones((2, 3)), np.ones((2, 4))], "axes of equal size"),
        (layers.BatchNormalization(axis=3), np.ones((2, 3)), "axis"),
        (layers.PReLU(shared_axes=0), np.ones((2, 3)), "shared_axes"),
        (layers.Normalization(axis=5), np.ones((2, 3)), "axis"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_the_call(layer, inputs, message):
    with pytest.raises(ValueError, match=message):
        layer(inputs)


def test_a_layer_refuses_another_input_size_than_it_was_built_for():
    dense = layers.Dense(2)
    dense(np.ones((1, 3)))
    with pytest.raises(ValueError, match="of size 3 on axis -1"):
        dense(np.ones((1, 4)))


# -- Input ---------------------------------------------------------------------------


def test_input_layer_has_the_config_of_keras():
    given = {"shape": (3, None), "batch_size": 2, "dtype": "int32", "name": "x"}
    ours, theirs = layers.InputLayer(**given), keras.layers.InputLayer(**given)
    assert ours.get_config() == theirs.get_config()
    record = keras.layers.serialize(theirs)
    assert layers.deserialize(record).get_config() == theirs.get_config()


def test_input_is_symbolic_and_knows_its_layer():
    x = layers.Input(batch_shape=(None, 4), name="x")
    assert (x.shape, x.dtype, x.name) == ((None, 4), "float32", "x")
    assert isinstance(x.layer, layers.InputLayer)
    y = layers.Dense(3)(x)
    assert y.shape == (None, 3)
    assert layers.Input(tensor=y).shape == (None, 3)


# -- Embedding -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[0, 1], [2, 7]], r"in \[0, 5\), got 7 in row 1"),
        ([[0, 1], [-1, 2]], r"in \[0, 5\), got -1 in row 1"),
        ([[2**40, 1]], r"got 1099511627776 in row 0"),
        ([[0.5, 1.0]], "must be an integer, got 0.5"),
    ],
)
def test_embedding_names_the_index_that_has_no_row(indices, message):
    embedding = layers.Embedding(5, 2)
    with pytest.raises(ValueError, match=message):
        embedding(np.array(indices))
    with pytest.raises(ValueError, match=message):
        embedding.check_inputs_host(np.array(indices))


def test_embedding_gives_nan_for_a_bad_index_inside_a_compiled_step():
    embedding = layers.Embedding(5, 2)
    embedding.build()
    rows = jax.jit(lambda x: embedding(x))(jnp.array([4, 5, -1]))
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True]


def test_embedding_takes_whole_floats_and_a_table_to_start_with():
    table = np.arange(10.0).reshape(5, 2)
    embedding = layers.Embedding(5, 2, weights=[table])
    assert embedding(np.array([3.0])).tolist() == [[6.0, 7.0]]


# -- pooling, normalization, dropout -------------------------------------------------


def test_global_average_pooling_counts_only_what_the_mask_keeps():
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]], bool)
    for name in ("channels_last", "channels_first"):
        given = x if name == "channels_last" else x.transpose(0, 2, 1)
        ours = layers.GlobalAveragePooling1D(name)(given, mask=mask)
        theirs = keras.layers.GlobalAveragePooling1D(name)(given, mask=mask)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_softmax_gives_masked_entries_no_probability():
    x, mask = np.ones((2, 3), np.float32), np.array([[1, 0, 1], [1, 1, 1]], bool)
    theirs = keras.layers.Softmax()(x, mask=mask)
    np.testing.assert_allclose(layers.Softmax()(x, mask=mask), theirs, rtol=1e-6)


def test_batch_normalization_takes_the_moments_of_what_the_mask_keeps():
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 1, 1, 1]], bool)
    ours, theirs = layers.BatchNormalization(), keras.layers.BatchNormalization()
    y = ours(x, training=True, mask=mask)
    np.testing.assert_allclose(y, theirs(x, training=True, mask=mask), rtol=1e-5, atol=1e-6)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_batch_normalization_that_is_frozen_uses_and_keeps_its_moving_moments():
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    layer.trainable = False
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    np.testing.assert_allclose(layer(x, training=True), layer(x), rtol=0)
    assert layer.moving_mean.numpy().tolist() == [0.0, 0.0, 0.0]


def test_the_gradient_of_unit_normalization_is_finite_at_zero():
    layer = layers.UnitNormalization()
    gradient = jax.grad(lambda x: layer(x).sum())(jnp.zeros((1, 3)))
    assert np.isfinite(gradient).all()


def test_dropout_draws_another_mask_each_time_and_the_same_after_the_same_seed():
    x = np.ones((8, 8), np.float32)
    one, other = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    first, second = one(x, training=True), one(x, training=True)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, other(x, training=True))
    assert np.array_equal(second, other(x, training=True))
    reference = keras.layers.Dropout(0.5, seed=1)
    assert np.array_equal(first, reference(x, training=True))
    assert np.array_equal(second, reference(x, training=True))


def test_layers_that_are_vmapped_over_their_weights_equal_those_in_a_loop():
    stack = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
        layers.Dropout(0.5, seed=1),
        layers.Flatten(),
        layers.Dense(3),
    ]
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)

    def run(arrays, x):
        with lend(variables, arrays):
            for layer in stack:
                x = layer(x, training=True)
        return x

    y = x
    for layer in stack:
        y = layer(y)
    variables = [variable for layer in stack for variable in layer.variables]
    members = [[v.value + i for v in variables] for i in range(3)]
    together = jax.vmap(run, (0, None))([jnp.stack(each) for each in zip(*members, strict=True)], x)
    for member, result in zip(members, together, strict=True):
        np.testing.assert_allclose(result, run(member, x), rtol=1e-4, atol=1e-5)


# -- Normalization -------------------------------------------------------------------

DATA = np.random.default_rng(0).normal(3.0, 2.0, size=(20, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
@pytest.mark.parametrize("batched", [False, True])
def test_adapting_learns_the_moments_of_keras(axis, batched):
    data = [DATA[:7], DATA[7:10], DATA[10:]] if batched else DATA
    ours, theirs = layers.Normalization(axis), keras.layers.Normalization(axis)
    ours.adapt(data)
    theirs.adapt(DATA)  # Keras wants TensorFlow to adapt to batches
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)
    np.testing.assert_allclose(ours(DATA), theirs(DATA), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5)
    ours.adapt(DATA + 1.0)
    np.testing.assert_allclose(ours(DATA + 1.0), theirs(DATA), rtol=1e-4, atol=1e-5)


def test_adapting_takes_tables_pairs_and_generators():
    pandas = pytest.importorskip("pandas")
    flat = DATA[:, 0]
    expected = layers.Normalization()
    expected.adapt(flat)
    for data in (pandas.DataFrame(flat), jnp.asarray(flat), ((f, 0) for f in np.split(flat, 4))):
        layer = layers.Normalization()
        layer.adapt(data)
        np.testing.assert_allclose(layer(flat), expected(flat), rtol=1e-5, atol=1e-6)


def test_adapting_is_exact_far_from_zero():
    layer = layers.Normalization(axis=None)
    layer.adapt(np.array([1e8, 1e8 + 2.0]))
    assert float(layer.variance.ravel()[0]) == 1.0


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], ValueError, "not empty"),
        (np.ones((0, 3)), ValueError, "not empty"),
        (np.array([[1.0, np.nan]]), ValueError, "finite"),
        ([[1.0, 2.0]], TypeError, "numpy.asarray"),
        ("rows", TypeError, "an array or an iterable"),
        ([np.ones((2, 3)), np.ones((2, 4))], ValueError, "of size"),
    ],
)
def test_data_that_cannot_be_adapted_to_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        layers.Normalization().adapt(data)


def test_a_layer_with_given_moments_does_not_adapt():
    with pytest.raises(ValueError, match="without a given mean"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(DATA)


# -- Lambda --------------------------------------------------------------------------


def test_lambda_passes_its_arguments_and_the_training_flag():
    layer = layers.Lambda(lambda x, a, training: x * a + training, arguments={"a": 2.0})
    assert layer(np.ones(1), training=True).tolist() == [3.0]
    assert layers.Lambda(lambda x: x, output_shape=(7,)).compute_output_shape((None, 2)) == (
        None,
        7,
    )


def test_lambda_is_neither_written_nor_read_with_code():
    def relu(x):
        return x

    for function in (lambda x: x, relu, functools.partial(relu)):  # relu is talweg's name
        with pytest.raises(ValueError, match="register_keras_serializable"):
            layers.serialize(layers.Lambda(function))
    record = keras.layers.serialize(keras.layers.Lambda(lambda x: x))
    with pytest.raises(ValueError, match="register_keras_serializable"):
        layers.deserialize(record)
    with pytest.raises(TypeError, match="callable"):
        layers.Lambda("x")


@pytest.mark.parametrize("size", [2, (1, 3)])
def test_the_gradient_of_equals_in_a_window_goes_where_keras_has_it_go(size):
    """All of it, also where XLA computes a maximum in two ways (seen with few optimizations)."""
    x = np.random.default_rng(0).integers(0, 3, (2, 6, 6, 3)).astype("float32")
    weights = np.random.default_rng(1).normal(size=(3,)).astype("float32")
    scale, shift = np.array([0.7, -1.3, 1.9], "f4"), np.array([0.1, 0.2, -0.3], "f4")

    def gradient(library):
        pool = library.MaxPooling2D(size)
        return jax.jit(jax.grad(lambda x: (pool(x * scale + shift) * weights).sum()))(x)

    np.testing.assert_allclose(gradient(layers), gradient(keras.layers), rtol=1e-6)
