"""Attention layers against Keras: outputs, weights, gradients, masks, shapes, configs."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import layers

RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(2, 4, 6)).astype(np.float32)
VALUE = RANDOM.normal(size=(2, 5, 6)).astype(np.float32)
KEY = RANDOM.normal(size=(2, 5, 6)).astype(np.float32)
QUERY_MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
VALUE_MASK = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 1, 1]], bool)
BETWEEN = RANDOM.random((2, 4, 5)) < 0.7
SCORES = {"return_attention_scores": True}


def pair(name, arguments, *shapes):
    """The layers of talweg and of Keras, built, with the same random weights."""
    ours, theirs = (getattr(m, name)(**arguments, name="it") for m in (layers, keras.layers))
    for layer in (ours, theirs):
        layer.build(*shapes)
    random = np.random.default_rng(1)
    weights = [random.normal(0.0, 0.5, v.shape).astype(np.float32) for v in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def result(layer, args, kwargs, training):
    """The outputs, the state and the gradients by weights and inputs, in one program."""
    trainable = [v.value for v in layer.trainable_variables]
    fixed = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

    def total(trainable, args):
        outputs, state = layer.stateless_call(trainable, fixed, *args, **kwargs, training=training)
        leaves = jax.tree.leaves(outputs)
        weighted = [jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)) for y in leaves]
        return sum(weighted), (outputs, state)

    return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(trainable, args)


def assert_close(ours, theirs, rtol=2e-5, atol=3e-6):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    assert [a.dtype for a in ours] == [b.dtype for b in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=atol
        )


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


SINGLE = [
    ("Attention", {}, 2, {}),
    ("Attention", {"use_scale": True}, 3, SCORES),
    ("Attention", {"dropout": 0.4, "seed": 3}, 3, {"mask": [QUERY_MASK, VALUE_MASK], **SCORES}),
    ("Attention", {"score_mode": "concat", "use_scale": True}, 3, {"mask": [None, VALUE_MASK]}),
    ("Attention", {"score_mode": "concat"}, 2, {"use_causal_mask": True, **SCORES}),
    ("Attention", {}, 3, {"mask": [QUERY_MASK, VALUE_MASK, None], "use_causal_mask": True}),
    ("AdditiveAttention", {}, 2, SCORES),
    ("AdditiveAttention", {"use_scale": False, "dropout": 0.3, "seed": 1}, 3, {}),
    ("AdditiveAttention", {}, 3, {"mask": [QUERY_MASK, None], "use_causal_mask": True}),
]


@pytest.mark.sampled("name", count=3)
@pytest.mark.parametrize(("name", "arguments", "count", "flags"), SINGLE)
def test_attention_is_that_of_keras(name, arguments, count, flags):
    inputs = [QUERY, VALUE, KEY][:count]
    shapes = [x.shape for x in inputs]
    ours, theirs = pair(name, arguments, shapes)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    for training in (False, True) if "dropout" in arguments else (True,):
        assert_close(
            result(ours, (inputs,), flags, training), result(theirs, (inputs,), flags, training)
        )
    assert comparable(ours.get_config()) == comparable(theirs.get_config())
    assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()
    unknown = [(None, None, 6)] * count
    assert ours.compute_output_shape(unknown) == theirs.compute_output_shape(unknown)


def test_attention_tells_its_shape_before_it_sees_data():
    query, value = layers.Input((None, 6)), layers.Input((5, 8))
    y, scores = layers.Attention(score_mode="dot")(
        [query, value, layers.Input((5, 6))], return_attention_scores=True
    )
    assert (y.shape, scores.shape) == ((None, None, 8), (None, None, 5))
    assert layers.AdditiveAttention()([query, layers.Input((3, 6))]).shape == (None, None, 6)


def test_the_mask_of_attention_is_that_of_the_query():
    layer = layers.Attention()
    assert layer.compute_mask([QUERY, VALUE], None) is None
    mask = layer.compute_mask([QUERY, VALUE], [QUERY_MASK, VALUE_MASK])
    np.testing.assert_array_equal(mask, QUERY_MASK)


@pytest.mark.parametrize("inputs", [QUERY, [QUERY], [QUERY] * 4])
def test_attention_refuses_what_is_not_two_or_three_arrays(inputs):
    with pytest.raises(ValueError, match=r"\[query, value\]"):
        layers.Attention()(inputs)
    with pytest.raises(ValueError, match="query_mask"):
        layers.Attention()([QUERY, VALUE], mask=QUERY_MASK)


HEADS = {"num_heads": 3, "key_dim": 4}
GROUPS = {"head_dim": 4, "num_query_heads": 6, "num_key_value_heads": 2}
SEEDED = {"dropout": 0.4, "seed": 3}
RULED = {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"}
HEADED = [
    ("MultiHeadAttention", HEADS, 2, {}),
    ("MultiHeadAttention", {**HEADS, "value_dim": 5, "use_bias": False}, 3, SCORES),
    ("MultiHeadAttention", {**HEADS, "output_shape": 7}, 3, {"use_causal_mask": True}),
    ("MultiHeadAttention", {**HEADS, "output_shape": (3, 2)}, 2, {"attention_mask": BETWEEN}),
    ("MultiHeadAttention", {**HEADS, **SEEDED}, 3, {"attention_mask": BETWEEN, **SCORES}),
    ("MultiHeadAttention", {**HEADS, **SEEDED}, 2, {"use_causal_mask": True}),
    ("MultiHeadAttention", {**HEADS, "use_gate": True, "value_dim": 2}, 2, SCORES),
    ("MultiHeadAttention", {**HEADS, "sliding_window": 2}, 2, {"use_causal_mask": True}),
    ("MultiHeadAttention", {**HEADS, **RULED}, 2, {"value_mask": VALUE_MASK}),
    (
        "MultiHeadAttention",
        HEADS,
        3,
        {"key_mask": VALUE_MASK, "attention_mask": BETWEEN, "use_causal_mask": True, **SCORES},
    ),
    ("GroupQueryAttention", GROUPS, 2, {}),
    ("GroupQueryAttention", {**GROUPS, **SEEDED}, 3, {"use_causal_mask": True, **SCORES}),
    ("GroupQueryAttention", {**GROUPS, "use_gate": True}, 3, {"attention_mask": BETWEEN}),
    ("GroupQueryAttention", {**GROUPS, "sliding_window": 2}, 2, SCORES),
    ("GroupQueryAttention", {**GROUPS, "use_bias": False}, 2, {"use_causal_mask": True}),
    (
        "GroupQueryAttention",
        {**GROUPS, **RULED},
        2,
        {"query_mask": QUERY_MASK, "value_mask": VALUE_MASK, **SCORES},
    ),
]


@pytest.mark.sampled("name")
@pytest.mark.parametrize(("name", "arguments", "count", "flags"), HEADED)
def test_attention_in_heads_is_that_of_keras(name, arguments, count, flags):
    inputs = [QUERY, VALUE, KEY][:count]
    shapes = [x.shape for x in inputs]
    ours, theirs = pair(name, arguments, *shapes)
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    penalties = [type(v.regularizer).__name__ for v in ours.weights]
    assert penalties == [type(v.regularizer).__name__ for v in theirs.weights]
    for training in (False, True) if "dropout" in arguments else (True,):
        assert_close(result(ours, inputs, flags, training), result(theirs, inputs, flags, training))
    unknown = [(None, None, 6)] * count
    assert tuple(ours.compute_output_shape(*unknown)) == theirs.compute_output_shape(*unknown)
    outputs = ours(*inputs, **flags)
    symbols = [layers.Input(batch_shape=(None, *shape[1:])) for shape in shapes]
    given = {k: v for k, v in flags.items() if not k.endswith("_mask") or k == "use_causal_mask"}
    told = jax.tree.leaves(ours(*symbols, **given))
    assert [t.shape[1:] for t in told] == [y.shape[1:] for y in jax.tree.leaves(outputs)]


@pytest.mark.parametrize(("name", "arguments", "count", "flags"), HEADED)
def test_configs_in_heads_are_those_of_keras(name, arguments, count, flags):
    ours, theirs = (getattr(m, name)(**arguments, name="it") for m in (layers, keras.layers))
    assert comparable(ours.get_config()) == comparable(theirs.get_config())
    again = type(ours).from_config(theirs.get_config())
    assert comparable(again.get_config()) == comparable(theirs.get_config())
    type(theirs).from_config(ours.get_config())
    shapes = {"query_shape": [None, 4, 6], "value_shape": [None, 5, 6]}
    again.build_from_config({"shapes_dict": shapes})
    ours.build((None, 4, 6), (None, 5, 6))
    assert again.get_build_config() == ours.get_build_config()
    assert [v.shape for v in again.weights] == [v.shape for v in ours.weights]


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("axes", [(1, 2), 2, -2, None])
def test_attention_over_chosen_axes_is_that_of_keras(axes):
    x = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)
    arguments = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
    ours, theirs = pair("MultiHeadAttention", arguments, x.shape, x.shape)
    assert_close(result(ours, (x, x), SCORES, True), result(theirs, (x, x), SCORES, True))
    kept = np.random.default_rng(3).random((2, 4, 4) if axes == 2 else (2, 3, 4, 3, 4)) < 0.6
    if axes != -2:
        kept = kept[:, None] if axes == 2 else kept
        flags = {"attention_mask": kept}
        assert_close(result(ours, (x, x), flags, False), result(theirs, (x, x), flags, False))


def test_a_causal_mask_lies_on_the_axis_that_is_attended_over():
    x = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)
    over_rows = layers.MultiHeadAttention(2, 3, attention_axes=2)
    _, weights = over_rows(x, x, use_causal_mask=True, **SCORES)
    assert weights.shape == (2, 3, 2, 4, 4)
    assert not np.triu(np.asarray(weights), 1).any()
    with pytest.raises(ValueError, match="one axis"):
        layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)


def test_a_mask_for_each_head_goes_with_masks_of_positions():
    per_head = np.random.default_rng(4).random((2, 3, 4, 5)) < 0.7
    layer = layers.MultiHeadAttention(**HEADS)
    _, weights = layer(QUERY, VALUE, attention_mask=per_head, value_mask=VALUE_MASK, **SCORES)
    allowed = per_head & VALUE_MASK[:, None, None, :]
    assert not np.asarray(weights)[~allowed].any()
    assert (np.asarray(weights)[allowed] > 0).all()


def test_attention_of_ones_own_has_the_parts_of_keras():
    """As the local attention of vision transformers for small data is written."""

    def own(base, ops):
        class Tempered(base):
            def _compute_attention(self, query, key, value, attention_mask=None, *_, **__):
                scores = ops.einsum(self._dot_product_equation, key, query / 0.3)
                weights = self._masked_softmax(scores, attention_mask)
                dropped = self._dropout_layer(weights, training=False)
                return ops.einsum(self._combine_equation, dropped, value), weights

        layer = Tempered(**HEADS)
        layer.build(QUERY.shape, VALUE.shape)
        return layer

    ours, theirs = (
        own(layers.MultiHeadAttention, jnp),
        own(keras.layers.MultiHeadAttention, keras.ops),
    )
    theirs.set_weights(ours.get_weights())
    for flags in ({}, {"attention_mask": BETWEEN}):
        assert_close(ours(QUERY, VALUE, **flags), theirs(QUERY, VALUE, **flags))


@pytest.mark.parametrize("flags", [{}, {"use_causal_mask": True}, {"attention_mask": BETWEEN}])
def test_values_may_have_a_size_of_their_own(flags):
    ours, theirs = pair("MultiHeadAttention", {**HEADS, "value_dim": 5}, QUERY.shape, VALUE.shape)
    expected = theirs(QUERY, VALUE, return_attention_scores=True, **flags)
    assert_close(ours(QUERY, VALUE, **flags), expected[0])


def test_records_and_names_are_those_of_keras():
    for name, arguments in (("MultiHeadAttention", HEADS), ("GroupQueryAttention", GROUPS)):
        ours, theirs = (getattr(m, name)(**arguments) for m in (layers, keras.layers))
        mine, other = layers.serialize(ours), keras.layers.serialize(theirs)
        assert (mine["module"], mine["class_name"]) == (other["module"], other["class_name"])
        assert ours.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")


def test_a_query_mask_that_is_given_is_heeded():
    layer = layers.MultiHeadAttention(**HEADS)
    _, weights = layer(QUERY, VALUE, query_mask=QUERY_MASK, **SCORES)
    assert not np.asarray(weights)[0, :, 3].any()


@pytest.mark.sampled("name")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    ("name", "arguments", "listed"),
    [("Attention", {"use_scale": True}, True), ("MultiHeadAttention", HEADS, False),
     ("MultiHeadAttention", {**HEADS, "dropout": 0.1}, False),
     ("GroupQueryAttention", GROUPS, False)],
)  # fmt: skip
def test_half_precision_is_that_of_keras(name, arguments, listed, policy):
    arguments = {**arguments, "dtype": policy}
    shapes = ([QUERY.shape, VALUE.shape],) if listed else (QUERY.shape, VALUE.shape)
    ours, theirs = pair(name, arguments, *shapes)
    args = ([QUERY, VALUE],) if listed else (QUERY, VALUE)
    assert [v.dtype for v in ours.weights] == [v.dtype for v in theirs.weights]
    assert_close(ours(*args), theirs(*args), rtol=3e-2, atol=3e-2)


def test_masks_reach_attention_by_themselves():
    tokens = np.array([[3, 1, 2, 0], [4, 0, 0, 0]])

    def run(m):
        embedding, attention = m.Embedding(5, 6, mask_zero=True), m.MultiHeadAttention(2, 3)
        embedding.build((None, 4))
        attention.build((None, 4, 6), (None, 4, 6))
        random = np.random.default_rng(5)
        for layer in (embedding, attention):
            layer.set_weights([random.normal(size=v.shape) for v in layer.weights])
        x = embedding(tokens)
        # Keras's multi-head attention takes the masks of its inputs away.
        return m.Attention()([x, x]), attention(x, x, **SCORES)

    assert_close(run(layers), run(keras.layers))


REFUSED = [
    ("MultiHeadAttention", {"num_heads": 0, "key_dim": 4}, "num_heads"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 4.0}, "key_dim"),
    ("MultiHeadAttention", {**HEADS, "value_dim": 0}, "value_dim"),
    ("MultiHeadAttention", {**HEADS, "dropout": 1.0}, "dropout"),
    ("MultiHeadAttention", {**HEADS, "sliding_window": 0}, "sliding_window"),
    ("MultiHeadAttention", {**HEADS, "dropout": 0.1, "flash_attention": True}, "flash_attention"),
    ("GroupQueryAttention", {**GROUPS, "num_query_heads": 5}, "multiple"),
    ("GroupQueryAttention", {**GROUPS, "head_dim": -1}, "head_dim"),
    ("Attention", {"score_mode": "sum"}, "score_mode"),
    ("Attention", {"dropout": -0.1}, "dropout"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_impossible_arguments_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(layers, name)(**arguments)


@pytest.mark.parametrize("make", [lambda: layers.MultiHeadAttention(**HEADS),
                                  lambda: layers.GroupQueryAttention(**GROUPS)])  # fmt: skip
def test_value_and_key_must_be_of_one_length(make):
    with pytest.raises(ValueError, match="key"):
        make()(QUERY, VALUE, KEY[:, :3])


def test_scores_are_not_to_be_had_from_the_fused_kernel():
    with pytest.raises(ValueError, match="return_attention_scores"):
        layers.MultiHeadAttention(**HEADS, flash_attention=True)(QUERY, VALUE, **SCORES)


def test_grouped_queries_show_their_window_as_in_keras():
    for lib in (layers, keras.layers):
        layer = lib.GroupQueryAttention(4, 2, 2, sliding_window=5, dropout=0.25)
        again = lib.GroupQueryAttention.from_config(layer.get_config())
        assert (again.sliding_window, again.dropout) == (5, 0.25)
