"""LoRA against live Keras: outputs, gradients, names, errors; and what it costs."""

import inspect

import jax
import jax.extend
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers
from talweg.core.variables import Variable

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 6)).astype("f4")
IMAGE = RANDOM.normal(size=(2, 5, 6, 4)).astype("f4")
WORDS = RANDOM.integers(0, 9, size=(2, 3)).astype("i4")

# Layer, arguments, input; the first five, of every way to compute, run by default.
CASES = [
    ("Dense", {"units": 5, "activation": "tanh", "kernel_regularizer": "l2"}, X),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 3)}, X),
    # The kernel's last axis is summed over, or not the last of the output.
    ("EinsumDense", {"equation": "abc,dc->abd", "output_shape": (None, 5)}, X),
    ("Embedding", {"input_dim": 9, "output_dim": 4, "embeddings_regularizer": "l1"}, WORDS),
    ("Conv2D", {"filters": 4, "kernel_size": (2, 3), "groups": 2, "strides": 2}, IMAGE),
    ("EinsumDense", {"equation": "ab...,bc->ac...", "output_shape": 5}, X),
    ("EinsumDense", {"equation": "abc,cd->adb", "output_shape": (5, None)}, X),
    ("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 5, "bias_axes": "y"}, X),
    ("Dense", {"units": 3, "use_bias": False}, X),
    ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal"}, X),
    ("Conv3D", {"filters": 2, "kernel_size": 2, "padding": "same"}, IMAGE[..., None]),
]


def both(name, arguments, x, policy=None):
    """Keras's layer and talweg's, adapted, with the same random weights."""
    made = [getattr(k.layers, name)(**arguments, name="it", dtype=policy) for k in (keras, talweg)]
    for layer in made:
        layer.build(x.shape)
        layer.enable_lora(2, lora_alpha=3.0)
    random = np.random.default_rng(1)
    weights = [random.normal(0.0, 0.5, v.shape).astype("f4") for v in made[0].weights]
    for layer in made:
        layer.set_weights(weights)
    return made


def gradients(layer, x):
    trained = [v.value for v in layer.trainable_variables]
    fixed = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

    def total(trained):
        outputs, _, losses = layer.stateless_call(trained, fixed, x, return_losses=True)
        weights = jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)
        return jnp.sum(outputs * weights) + sum(losses), outputs

    return jax.jit(jax.value_and_grad(total, has_aux=True))(trained)


def assert_close(ours, theirs, rtol=2e-5, atol=5e-6):
    for mine, reference in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=rtol, atol=atol)


def test_it_is_where_keras_has_it():
    def having(k):
        found = vars(k.layers).items()
        return {n for n, c in found if inspect.isclass(c) and hasattr(c, "enable_lora")}

    assert having(talweg) == having(keras)
    assert inspect.signature(layers.Dense.enable_lora).parameters.keys() == (
        inspect.signature(keras.layers.Dense.enable_lora).parameters.keys()
    )


@pytest.mark.sampled(count=5)
@pytest.mark.parametrize(("name", "arguments", "x"), CASES, ids=[case[0] for case in CASES])
def test_outputs_gradients_and_weights_are_those_of_keras(name, arguments, x):
    theirs, ours = both(name, arguments, x)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    assert [v.trainable for v in ours.weights] == [v.trainable for v in theirs.weights]
    assert [v.name for v in ours.trainable_weights] == [v.name for v in theirs.trainable_weights]
    assert_close(gradients(ours, x), gradients(theirs, x))
    target = "embeddings" if name == "Embedding" else "kernel"
    assert_close(getattr(ours, target), getattr(theirs, target))
    config, reference = ours.get_config(), theirs.get_config()
    assert (config["lora_rank"], config["lora_alpha"]) == (2, 3.0)
    assert config.keys() == reference.keys()
    again = type(ours).from_config(reference)
    again.build(x.shape)
    assert (again.lora_enabled, again.lora_rank, again.lora_alpha) == (True, 2, 3.0)


def test_a_table_that_is_tied_projects_back_with_the_product():
    theirs, ours = both("ReversibleEmbedding", {"input_dim": 9, "output_dim": 4}, WORDS)
    vectors = RANDOM.normal(size=(2, 4)).astype("f4")
    assert_close(ours(vectors, reverse=True), theirs(vectors, reverse=True))
    assert_close(ours(WORDS), theirs(WORDS))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_half_precision_trains_single_precision_factors(policy):
    for name, arguments, x in [CASES[0], CASES[2], CASES[3]]:
        theirs, ours = both(name, arguments, x, policy)
        assert [v.dtype for v in ours.weights] == [v.dtype for v in theirs.weights]
        outputs, reference = ours(x), theirs(x)
        assert outputs.dtype == reference.dtype
        assert_close(outputs.astype("f4"), reference.astype("f4"), 0.05, 0.05)
        effective = ours.embeddings if name == "Embedding" else ours.kernel
        assert effective.dtype == "bfloat16"


def test_the_rank_may_be_an_argument_and_keras_alpha_counts():
    for layer in (
        layers.Dense(4, lora_rank=2, lora_alpha=6),
        layers.EinsumDense("ab,bc->ac", 4, lora_rank=2, lora_alpha=6),
        layers.Embedding(5, 4, lora_rank=2, lora_alpha=6),
        layers.Conv1D(4, 2, lora_rank=2, lora_alpha=6),
    ):
        assert not layer.lora_enabled
        layer.build((None, 3) if not isinstance(layer, layers.Conv1D) else (None, 5, 3))
        assert (layer.lora_enabled, layer.lora_rank, layer.lora_alpha) == (True, 2, 6)
        assert sum(v.trainable for v in layer.weights) == len(layer.weights) - 1
    off = layers.Dense(4, lora_rank=0)
    off.build((None, 3))
    assert not off.lora_enabled
    assert "lora_rank" not in off.get_config()
    assert isinstance(off.kernel, Variable)


def test_the_start_changes_nothing_unless_it_is_asked_to():
    x = X[0]
    layer = layers.Dense(5)
    before = layer(x)
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(x), before)
    other = layers.Dense(5)
    other.build(x.shape)
    other.enable_lora(3, a_initializer="ones", b_initializer=keras.initializers.Constant(2.0))
    np.testing.assert_array_equal(other.lora_kernel_b.numpy(), np.full((3, 5), 2.0))
    assert_close(other(x), x @ np.asarray(other.kernel))


def test_weights_are_named_after_the_layers_around_them():
    def build(k):
        class Mine(k.Model):
            def __init__(self):
                super().__init__(name="mine")
                self.dense = k.layers.Dense(4, name="dense")

            def build(self, shape):
                self.dense.build(shape)

            def call(self, x):
                return self.dense(x)

        model = Mine()
        model.build((None, 3))
        model.dense.enable_lora(2)
        return [v.path for v in model.weights]

    assert build(talweg) == build(keras)
    assert build(talweg)[-1] == "mine/dense/lora_kernel_b"


def test_the_projections_of_an_attention_are_adapted():
    def build(k):
        layer = k.layers.MultiHeadAttention(2, 3, name="it")
        layer.build(X.shape, X.shape)
        for projection in (layer.query_dense, layer.key_dense, layer.value_dense):
            projection.enable_lora(2)
        random = np.random.default_rng(1)
        layer.set_weights([random.normal(0.0, 0.5, v.shape) for v in layer.weights])
        return np.asarray(layer(X, X)), [v.path for v in layer.trainable_weights]

    (outputs, paths), (reference, expected) = build(talweg), build(keras)
    assert paths == expected
    assert len([path for path in paths if "lora" in path]) == 6
    assert_close(outputs, reference)


# -- what it costs -----------------------------------------------------------------------


def shapes_in(jaxpr):
    """The shapes of all that a program computes, the programs inside it included."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.shape for variable in equation.outvars)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from shapes_in(inner)


def program_of(layer, x):
    trained, fixed = ([v.value for v in weights] for weights in
                      (layer.trainable_variables, layer.non_trainable_variables))  # fmt: skip
    loss = lambda trained: jnp.sum(layer.stateless_call(trained, fixed, x)[0] ** 2)  # noqa: E731
    return jax.make_jaxpr(jax.grad(loss))(trained)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (layers.Dense(7), X),
        (layers.EinsumDense("abc,cd->abd", (None, 7)), X),
        (layers.Embedding(9, 7), WORDS),
    ],
)
def test_neither_the_sum_nor_its_gradient_is_made(layer, x):
    layer.build(x.shape)
    weight = (9, 7) if isinstance(layer, layers.Embedding) else (6, 7)
    assert weight in set(shapes_in(program_of(layer, x).jaxpr))
    layer.enable_lora(2)
    assert weight not in set(shapes_in(program_of(layer, x).jaxpr))


def test_a_layer_without_lora_multiplies_and_adds_and_no_more():
    layer = layers.Dense(7)
    layer.build(X.shape)
    values = [v.value for v in layer.trainable_variables]
    traced = jax.make_jaxpr(lambda values: layer.stateless_call(values, [], X)[0])(values)
    names = [equation.primitive.name for equation in traced.jaxpr.eqns]
    assert sorted(names) == ["add", "broadcast_in_dim", "dot_general"]


# -- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [keras, talweg], ids=["keras", "talweg"])
def test_what_keras_refuses_is_refused(k):
    with pytest.raises(ValueError, match=r"isn't yet built|before it is built"):
        k.layers.Dense(2).enable_lora(2)
    bounded = k.layers.Dense(2, kernel_constraint="max_norm")
    bounded.build((None, 3))
    with pytest.raises(ValueError, match="incompatible with"):
        bounded.enable_lora(2)
    with pytest.raises(ValueError, match="constraint"):
        k.layers.Embedding(3, 2, embeddings_constraint="max_norm", lora_rank=1).build()
    twice = k.layers.Conv1D(2, 2, lora_rank=1)
    twice.build((None, 4, 3))
    with pytest.raises(ValueError, match="already enabled"):
        twice.enable_lora(1)
    with pytest.raises(AttributeError):
        k.layers.Dense(2).kernel  # noqa: B018


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: layers.Dense(2, lora_rank=-1), "lora_rank must be an integer"),
        (lambda: layers.Dense(2, lora_rank=1.5), "lora_rank must be an integer"),
        (lambda: layers.Dense(2, lora_rank=1, lora_alpha="big"), "lora_alpha must be a number"),
        (lambda: layers.DepthwiseConv2D(2, lora_rank=1), "lora_rank"),
        (lambda: built().enable_lora(0), "the rank of LoRA must be an integer >= 1"),
        (lambda: built().enable_lora(2, lora_alpha=-1.0), "lora_alpha must be a number"),
        (
            lambda: layers.SpectralNormalization(layers.Dense(2, lora_rank=1))(X),
            "without LoRA",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_said(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def built():
    layer = layers.Dense(4)
    layer.build((None, 3))
    return layer


def test_a_frozen_layer_says_that_nothing_will_learn():
    layer = built()
    layer.trainable = False
    with pytest.warns(UserWarning, match="frozen"):
        layer.enable_lora(2)
    assert layer.trainable_weights == []
