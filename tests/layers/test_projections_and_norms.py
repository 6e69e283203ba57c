"""EinsumDense, ReversibleEmbedding, group, RMS and spectral normalization against Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import layers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 6)).astype(np.float32)
IMAGE = RANDOM.normal(1.0, 2.0, size=(2, 3, 4, 6)).astype(np.float32)


def pair(name, arguments, shape):
    """The layers of talweg and of Keras, built, with the same random weights."""
    ours, theirs = (getattr(m, name)(**arguments, name="it") for m in (layers, keras.layers))
    for layer in (ours, theirs):
        layer.build(shape)
    copy_weights(ours, theirs)
    return ours, theirs


def copy_weights(ours, theirs):
    random = np.random.default_rng(1)
    weights = [random.normal(0.0, 0.5, v.shape).astype(np.float32) for v in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)


def result(layer, x, training=False, **flags):
    """The outputs, the state, the penalties and the gradients, in one program."""
    trainable = [v.value for v in layer.trainable_variables]
    fixed = [jnp.asarray(v.value) for v in layer.non_trainable_variables]
    takes = {"training": training} if training else {}

    def total(trainable, x):
        outputs, state, losses = layer.stateless_call(
            trainable, fixed, x, return_losses=True, **flags, **takes
        )
        weights = jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)
        return jnp.sum(outputs * weights) + sum(losses), (outputs, state)

    at = (0, 1) if jnp.issubdtype(x.dtype, jnp.floating) else 0
    return jax.jit(jax.value_and_grad(total, at, has_aux=True))(trainable, x)


def assert_close(ours, theirs, rtol=2e-5, atol=3e-6):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    assert [a.dtype for a in ours] == [b.dtype for b in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=atol
        )


def values(layer):
    return [np.asarray(v.value) for v in layer.weights]


def comparable(config):
    """Keras draws a seed for each initializer that has none, and rounds penalties to float32."""
    if isinstance(config, float):
        return float(np.float32(config))
    if isinstance(config, (list, tuple)):
        return [comparable(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("module") == "keras.initializers":
        config = {**config, "config": {**config["config"], "seed": None}}
    return {key: comparable(value) for key, value in config.items()}


RULED = {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activation": "tanh"}
EINSUM = [
    ({"equation": "ab,bc->ac", "output_shape": 5, "bias_axes": "c", **RULED}, (3, 6)),
    ({"equation": "abc,cd->abd", "output_shape": (4, 5)}, X.shape),
    ({"equation": "abc,cde->abde", "output_shape": (4, 2, 3), "bias_axes": "de"}, X.shape),
    ({"equation": "abc,cde->abde", "output_shape": (4, 2, 3), "bias_axes": "e"}, X.shape),
    ({"equation": "abc,bcd->ad", "output_shape": 3, "bias_axes": "d"}, X.shape),
    ({"equation": "abc,bd->adc", "output_shape": (3, 6), "bias_axes": "d"}, X.shape),
    ({"equation": "...x,xy->...y", "output_shape": 3, "bias_axes": "y"}, X.shape),
    ({"equation": "...bc,cd->...bd", "output_shape": (4, 3), "bias_axes": "bd"}, IMAGE.shape),
    ({"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c"}, IMAGE.shape),
    ({"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c"}, (2, 6)),
]


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("arguments", "shape"), EINSUM)
def test_einsum_dense_is_that_of_keras(arguments, shape):
    if arguments["equation"] == "...bc,cd->...bd":
        arguments = {**arguments, "output_shape": (4, 3)}
    ours, theirs = pair("EinsumDense", arguments, shape)
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    assert_close(result(ours, x), result(theirs, x))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]
    unknown = (None, *shape[1:])
    assert ours.compute_output_shape(unknown) == theirs.compute_output_shape(unknown)
    assert ours(layers.Input(shape[1:])).shape == (None, *ours(x).shape[1:])
    assert comparable(ours.get_config()) == comparable(theirs.get_config())
    again = layers.EinsumDense.from_config(theirs.get_config())
    assert comparable(again.get_config()) == comparable(theirs.get_config())


def test_einsum_dense_draws_its_kernel_by_the_axes_of_the_equation():
    ours = layers.EinsumDense("abc,cde->abde", output_shape=(None, 10, 20))
    ours.build((None, None, 30))
    limit = np.sqrt(6 / (30 + 200))
    assert 0.95 * limit < np.abs(ours.kernel.numpy()).max() <= limit
    assert ours.kernel_initializer.input_axes is None


def test_einsum_dense_knows_what_the_input_tells():
    layer = layers.EinsumDense("abc,cd->abd", output_shape=(None, 5))
    assert layer.compute_output_shape((None, 4, 6)) == (None, 4, 5)
    assert layer.compute_output_shape((None, None, 6)) == (None, None, 5)


@pytest.mark.parametrize("equation", ["ab,bc", "ab->ac", "...ab,bc->ac", "ab,bc->ad", "ab,bcd->ac",
                                      "a b.c,bc->ac", "...ab...,bc->...ac...", None])  # fmt: skip
def test_equations_of_another_form_are_refused(equation):
    with pytest.raises(ValueError, match="EinsumDense"):
        layers.EinsumDense(equation, output_shape=3)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"equation": "abc,cd->abd", "output_shape": (None, 3)}, (None, 6), "rank 3"),
        ({"equation": "abc,cd->abd", "output_shape": 3}, (None, 4, 6), "2 sizes"),
        ({"equation": "abc,cd->abd", "output_shape": (5, 3)}, (None, 4, 6), "input's size 4"),
        ({"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "b"}, (None, 6), "bias_axes"),
    ],
)
def test_equations_that_do_not_fit_the_shapes_are_refused(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        layers.EinsumDense(**arguments).build(shape)


GROUPED = [
    ({"groups": 2}, X),
    ({"groups": 3, "epsilon": 0.1, "center": False}, IMAGE),
    ({"groups": 4, "axis": 2, "scale": False}, IMAGE),
    ({"groups": -1, "axis": 1, "gamma_regularizer": "l2"}, IMAGE),
    ({"groups": 1, "axis": -2}, IMAGE),
    ({"groups": 3}, X[:, 0]),
]


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("arguments", "x"), GROUPED)
def test_group_normalization_is_that_of_keras(arguments, x):
    ours, theirs = pair("GroupNormalization", arguments, x.shape)
    assert_close(result(ours, x), result(theirs, x), atol=1e-5)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert ours(layers.Input(x.shape[1:])).shape == (None, *x.shape[1:])
    unbuilt = keras.layers.GroupNormalization(**arguments, name="it").get_config()
    assert comparable(ours.get_config()) == comparable(unbuilt)
    again = layers.GroupNormalization.from_config(theirs.get_config())
    again.build(x.shape)
    again.set_weights(ours.get_weights())
    assert_close(again(x), ours(x))


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("arguments", "x"), [
    ({}, X), ({"epsilon": 0.1}, IMAGE), ({"axis": [1, 2]}, X), ({"axis": (2, 3)}, IMAGE),
])  # fmt: skip
def test_rms_normalization_is_that_of_keras(arguments, x):
    ours, theirs = pair("RMSNormalization", arguments, x.shape)
    assert_close(result(ours, x), result(theirs, x), atol=1e-5)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    unbuilt = keras.layers.RMSNormalization(**arguments, name="it").get_config()
    assert comparable(ours.get_config()) == comparable(unbuilt)
    again = layers.RMSNormalization.from_config(theirs.get_config())
    assert_close(again(x), layers.RMSNormalization(**arguments)(x))


def test_rms_normalization_scales_along_its_axis():
    layer = layers.RMSNormalization(axis=1)
    y = layer(X)
    layer.scale.assign(np.arange(4.0))
    np.testing.assert_allclose(layer(X), y * np.arange(4.0)[:, None], rtol=1e-6)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("name", "arguments"), [
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (4, 3), "bias_axes": "d"}),
    ("GroupNormalization", {"groups": 2}),
    ("RMSNormalization", {}),
])  # fmt: skip
def test_half_precision_is_that_of_keras(name, arguments, policy):
    ours, theirs = pair(name, {**arguments, "dtype": policy}, X.shape)
    assert_close(ours(X), theirs(X), rtol=3e-2, atol=3e-2)


CLIPPED = {"rmin": 0.9, "rmax": 1.05, "dmax": 0.02}
FOUR = {"module": "keras.initializers", "class_name": "Constant", "config": {"value": 4.0}}
START = {"moving_mean_initializer": "ones", "moving_variance_initializer": FOUR}


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("arguments", "x"), [
    ({"renorm_clipping": CLIPPED, **START, "beta_regularizer": "l2"}, X),
    ({"renorm_momentum": 0.5, "momentum": 0.8}, X),
    ({"axis": 1, "center": False, "scale": False, "epsilon": 0.1}, IMAGE),
    ({"renorm_clipping": {"rmax": 3.0}, "scale": False, "dtype": "mixed_bfloat16"}, X),
])  # fmt: skip
def test_batch_renormalization_is_that_of_keras(arguments, x):
    ours, theirs = (
        m.BatchNormalization(**arguments, renorm=True, name="it") for m in (layers, keras.layers)
    )
    for layer in (ours, theirs):
        layer.build(x.shape)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert_close(values(ours), values(theirs))
    half = {"rtol": 2e-2, "atol": 2e-2} if "dtype" in arguments else {}
    for _ in range(2):  # the second batch is corrected by what the first has left
        assert_close(result(ours, x, True), result(theirs, x, True), **half)
        assert_close(ours(x, training=True), theirs(x, training=True), **half)
        assert_close(values(ours), values(theirs), **half)
    assert_close(ours(x), theirs(x), **half)
    assert comparable(ours.get_config()) == comparable(theirs.get_config())
    again = layers.BatchNormalization.from_config(theirs.get_config())
    assert comparable(again.get_config()) == comparable(theirs.get_config())


def test_a_mask_keeps_steps_out_of_the_correction_as_in_keras():
    ours, theirs = pair("BatchNormalization", {"renorm": True}, X.shape)
    mask = np.array([[True, True, False, True], [True, False, False, True]])
    assert_close(ours(X, training=True, mask=mask), theirs(X, training=True, mask=mask))
    assert_close(values(ours), values(theirs))


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("arguments", [{"axis": [-1]}, {"axis": [1, 2], "scale": False}])
def test_scaling_by_the_deviation_alone_is_that_of_keras_and_warns(arguments):
    with pytest.warns(UserWarning, match="rms_scaling"):
        ours, theirs = pair("LayerNormalization", {**arguments, "rms_scaling": True}, X.shape)
    with pytest.warns(UserWarning, match="rms_scaling"):
        expected = result(theirs, X)
    with pytest.warns(UserWarning, match="RMSNormalization in new"):
        layers.LayerNormalization.from_config(ours.get_config())
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert_close(result(ours, X), expected)
    assert comparable(ours.get_config()) == comparable(theirs.get_config())


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("GroupNormalization", {"groups": 0}, "groups"),
    ("GroupNormalization", {"groups": 4}, "divisor"),
    ("GroupNormalization", {"groups": 1, "axis": 0}, "batch axis"),
    ("RMSNormalization", {"epsilon": -1.0}, "epsilon"),
    ("RMSNormalization", {"axis": 3}, "axis"),
])  # fmt: skip
def test_what_cannot_be_normalized_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(layers, name)(**arguments)(X)


TOKENS = np.array([[3, 1, 2, 0], [4, 0, 0, 0]], np.int32)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("arguments", [
    {}, {"tie_weights": False, "embeddings_regularizer": "l2"}, {"logit_soft_cap": 0.5},
    {"dtype": "mixed_bfloat16"}, {"dtype": "mixed_bfloat16", "reverse_dtype": "float32"},
])  # fmt: skip
def test_reversible_embedding_is_that_of_keras(arguments):
    arguments = {"input_dim": 5, "output_dim": 6, **arguments}
    ours, theirs = pair("ReversibleEmbedding", arguments, (None, 4))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    tight = {} if "dtype" not in arguments else {"rtol": 2e-2, "atol": 2e-2}
    assert_close(result(ours, TOKENS), result(theirs, TOKENS), **tight)
    mine, other = ours(TOKENS), theirs(TOKENS)
    assert_close(mine, other, **tight)
    assert_close(result(ours, X, reverse=True), result(theirs, X, reverse=True), **tight)
    assert comparable(ours.get_config()) == comparable(theirs.get_config())
    assert ours.compute_output_shape((None, 4)) == (None, 4, 6)
    symbol = layers.Input((4,), dtype="int32")
    assert ours(ours(symbol), reverse=True).shape == (None, 4, 5)


def test_only_the_way_in_has_a_mask():
    layer = layers.ReversibleEmbedding(5, 6, mask_zero=True)
    vectors = layer(TOKENS)
    np.testing.assert_array_equal(vectors._keras_mask, TOKENS != 0)
    assert getattr(layer(vectors, reverse=True), "_keras_mask", None) is None


@pytest.mark.sampled
@pytest.mark.parametrize(("inner", "shape"), [
    (lambda m: m.Dense(3), (2, 6)), (lambda m: m.Conv2D(3, 2), (2, 4, 4, 2)),
])  # fmt: skip
def test_spectral_normalization_is_that_of_keras(inner, shape):
    def make(m):
        layer = m.SpectralNormalization(inner(m), power_iterations=2, name="it")
        layer.build(shape)
        return layer

    ours, theirs = make(layers), make(keras.layers)
    copy_weights(ours, theirs)
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    for training in (False, True):
        assert_close(result(ours, x, training), result(theirs, x, training))
    assert_close(ours(x, training=True), theirs(x, training=True))
    assert_close(values(ours), values(theirs))
    assert ours.compute_output_shape((None, *shape[1:])) == theirs.compute_output_shape(
        (None, *shape[1:])
    )
    mine, other = comparable(ours.get_config()), comparable(theirs.get_config())
    assert mine.keys() == other.keys()
    assert mine["layer"]["class_name"] == other["layer"]["class_name"]
    again = layers.SpectralNormalization.from_config(ours.get_config())
    assert (again.power_iterations, type(again.layer)) == (2, type(ours.layer))


def test_a_kernel_of_zeros_stays_zero():
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    gradients = result_of_zeros(layer)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    assert not layer(X[:, 0], training=True).any()


def result_of_zeros(layer):
    layer.build((None, 6))
    return result(layer, X[:, 0], True)


def test_spectral_normalization_takes_an_embedding_and_refuses_what_has_no_kernel():
    layer = layers.SpectralNormalization(layers.Embedding(5, 3), power_iterations=30)
    assert layer(TOKENS, training=True).dtype == jnp.float32
    table = layer.layer.embeddings.numpy()
    assert np.linalg.norm(table, 2) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ValueError, match="kernel"):
        layers.SpectralNormalization(layers.ReLU())(X)
    with pytest.raises(ValueError, match="power_iterations"):
        layers.SpectralNormalization(layers.Dense(2), power_iterations=0)
    with pytest.raises((TypeError, ValueError), match="layer"):
        layers.SpectralNormalization("dense")
