"""Recurrent layers against Keras: outputs, states, gradients, masks, dropout, configs."""

import copy

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import talweg
from talweg import layers

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1], [1, 0, 1, 0, 0]], bool)
ALL = {"return_sequences": True, "return_state": True}
REGULARIZED = {
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l1",
    "bias_constraint": "unit_norm",
}
DROPPED = {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 3}


def make(lib, kind, arguments):
    """A layer by the name of its class; "Bidirectional.LSTM" wraps one, "Stacked" stacks."""
    of = lib.layers
    if kind.startswith("Bidirectional."):
        outer = {k: v for k, v in arguments.items() if k == "merge_mode"}
        inner = {k: v for k, v in arguments.items() if k != "merge_mode"}
        return of.Bidirectional(getattr(of, kind.split(".")[1])(3, name="inner", **inner), **outer)
    if kind == "Stacked":
        cells = [of.LSTMCell(3, name="low"), of.GRUCell(2, name="high")]
        return of.RNN(of.StackedRNNCells(cells, name="stack"), **arguments)
    if kind.startswith("ConvLSTM"):
        return getattr(of, kind)(**{"filters": 2, "kernel_size": 2, **arguments})
    return getattr(of, kind)(3, **arguments)


def pair(kind, arguments, x=X):
    ours, theirs = make(talweg, kind, arguments), make(keras, kind, arguments)
    for layer in (ours, theirs):
        layer.build(x.shape)
    random = np.random.default_rng(1)
    weights = [0.5 * random.normal(size=v.shape).astype("float32") for v in theirs.weights]
    assert [v.shape for v in ours.weights] == [v.shape for v in theirs.weights]
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def results(layer, x, training, **given):
    """Outputs and the gradients by weights and inputs, of either library's layer."""
    trainable = [jnp.array(v.value) for v in layer.trainable_variables]
    fixed = [jnp.array(v.value) for v in layer.non_trainable_variables]

    def total(trainable, x):
        if isinstance(layer, layers.Layer):
            outputs, _ = layer.stateless_call(trainable, fixed, x, training=training, **given)
        else:
            variables = [*layer.trainable_variables, *layer.non_trainable_variables]
            mapping = zip(variables, [*trainable, *fixed], strict=True)
            with keras.StatelessScope(state_mapping=mapping):
                outputs = layer(x, training=training, **given)
        leaves = jax.tree.leaves(outputs)
        return sum(
            jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)) for y in leaves
        ), leaves

    return jax.jit(jax.grad(total, (0, 1), has_aux=True))(trainable, x)


def assert_same(ours, theirs, atol=2e-6):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    assert [a.dtype for a in ours] == [b.dtype for b in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


CASES = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {**ALL, "go_backwards": True, "activation": "relu", "use_bias": False}),
    ("SimpleRNN", DROPPED),
    ("LSTM", {}),
    ("LSTM", {**ALL, **REGULARIZED}),
    ("LSTM", {**ALL, "go_backwards": True, "recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {**ALL, **DROPPED}),
    ("LSTM", {"dropout": 0.4, "seed": 3, "unroll": True, "use_bias": False}),
    ("GRU", ALL),
    ("GRU", {**ALL, "reset_after": False}),
    ("GRU", {**DROPPED, "reset_after": False}),
    ("GRU", {"dropout": 0.4, "seed": 3, "use_bias": False, "go_backwards": True}),
    ("GRU", DROPPED),
    ("Stacked", ALL),
    ("Bidirectional.LSTM", {}),
    ("Bidirectional.LSTM", {**ALL, "merge_mode": "ave"}),
    ("Bidirectional.GRU", {**ALL, "merge_mode": None}),
    ("Bidirectional.GRU", {"merge_mode": "mul"}),
    ("Bidirectional.SimpleRNN", {"merge_mode": "sum", "return_sequences": True}),
]


@pytest.mark.sampled("kind")
@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_outputs_states_and_gradients_are_those_of_keras(kind, arguments):
    ours, theirs = pair(kind, arguments)
    training = "dropout" in arguments
    assert_same(results(ours, X, training), results(theirs, X, training))
    if training:
        assert_same(ours(X, training=False), theirs(X, training=False))


@pytest.mark.sampled("kind")
@pytest.mark.parametrize("zero", [False, True], ids=["repeated", "zero"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU", "Stacked", "Bidirectional.LSTM"])
def test_masked_steps_leave_the_states_alone(kind, zero):
    arguments = {"return_sequences": True, "zero_output_for_mask": zero}
    ours, theirs = pair(kind, arguments)
    given = {"mask": jnp.asarray(MASK)}
    assert_same(results(ours, X, False, **given), results(theirs, X, False, **given))


@pytest.mark.sampled("kind")
@pytest.mark.parametrize("arguments", [ALL, {"go_backwards": True}, {}])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_initial_states_and_masks_go_together(kind, arguments):
    ours, theirs = pair(kind, arguments)
    states = [0.3 * np.ones((3, 3), "float32")] * (2 if kind == "LSTM" else 1)
    given = {"initial_state": [jnp.asarray(s) for s in states], "mask": jnp.asarray(MASK)}
    assert_same(results(ours, X, False, **given), results(theirs, X, False, **given))


def shapes_of(shapes):
    return [
        tuple(s)
        for s in jax.tree.leaves(
            shapes,
            is_leaf=lambda s: (
                isinstance(s, tuple) and all(i is None or isinstance(i, int) for i in s)
            ),
        )
    ]


@pytest.mark.sampled("kind")
@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_shapes_are_known_beforehand(kind, arguments):
    ours, theirs = pair(kind, arguments)
    expected = shapes_of(theirs.compute_output_shape((None, 5, 4)))
    assert shapes_of(ours.compute_output_shape((None, 5, 4))) == expected
    symbolic = ours(layers.Input((5, 4)))
    assert [t.shape for t in jax.tree.leaves(symbolic)] == expected


def plain(config):
    """A config without what differs by chance: seeds of initializers, and float precision."""
    if isinstance(config, float):
        return float(np.float32(config))
    if isinstance(config, (list, tuple)):
        return [plain(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("module") == "keras.initializers":
        config = {**config, "config": {**config["config"], "seed": None}}
    return {k: plain(v) for k, v in config.items() if k != "build_config"}


@pytest.mark.parametrize(("kind", "arguments"), [*CASES, ("ConvLSTM2D", {"strides": 2})])
def test_configs_are_those_of_keras_and_move_both_ways(kind, arguments):
    ours, theirs = make(talweg, kind, arguments), make(keras, kind, arguments)
    ours.name = "it"
    theirs = type(theirs).from_config({**theirs.get_config(), "name": "it"})
    mine, other = layers.serialize(ours), keras.layers.serialize(theirs)
    assert plain(mine["config"]) == plain(other["config"])
    assert mine["module"] == other["module"]
    assert plain(layers.deserialize(copy.deepcopy(other)).get_config()) == plain(other["config"])
    assert plain(keras.layers.deserialize(copy.deepcopy(mine)).get_config()) == plain(
        mine["config"]
    )


CONV = [
    ("ConvLSTM1D", {**ALL, "padding": "same"}, (2, 3, 5, 2)),
    ("ConvLSTM2D", {"strides": 2, **DROPPED}, (2, 3, 5, 4, 2)),
    ("ConvLSTM2D", {**ALL, "data_format": "channels_first", "dilation_rate": 2}, (2, 3, 2, 5, 4)),
    ("ConvLSTM3D", {"use_bias": False, "go_backwards": True}, (1, 3, 3, 3, 3, 2)),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("kind", "arguments", "shape"), CONV)
def test_convolutional_lstms_are_those_of_keras(kind, arguments, shape):
    x = np.random.default_rng(5).normal(size=shape).astype("float32")
    ours, theirs = pair(kind, arguments, x)
    training = "dropout" in arguments
    assert_same(results(ours, x, training), results(theirs, x, training), atol=1e-5)
    unknown = (None, *shape[1:])
    assert shapes_of(ours.compute_output_shape(unknown)) == shapes_of(
        theirs.compute_output_shape(unknown)
    )


def test_a_stateful_layer_goes_on_where_the_batch_before_ended():
    ours, theirs = pair("LSTM", {"stateful": True, "return_sequences": True})
    for _ in range(2):
        np.testing.assert_allclose(ours(X), theirs(X), atol=1e-6)
    np.testing.assert_allclose(ours.states[1].value, theirs.states[1].value, atol=1e-6)
    ours.reset_state()
    theirs.reset_state()
    np.testing.assert_allclose(ours(X), theirs(X), atol=1e-6)
    assert len(ours.weights) == 3
    with pytest.raises(ValueError, match="stateful"):
        layers.LSTM(2, stateful=True)(layers.Input((5, 4)))
    with pytest.raises(ValueError, match="batch size"):
        ours(X[:2])


def test_states_of_a_stateful_layer_live_through_training():
    model = talweg.Sequential(
        [layers.Input(batch_shape=(3, 5, 4)), layers.LSTM(2, stateful=True), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(X, np.ones((3, 1), "float32"), batch_size=3, verbose=0)
    assert float(jnp.abs(model.layers[0].states[0].value).max()) > 0


def minimal_cell(lib, ops):
    class MinimalCell(lib.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="uniform", name="kernel"
            )
            self.recurrent_kernel = self.add_weight(
                shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
            )

        def call(self, inputs, states):
            h = ops.matmul(inputs, self.kernel)
            output = h + ops.matmul(states[0], self.recurrent_kernel)
            return output, [output]

    return MinimalCell


@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stacked"])
def test_cells_of_the_user_run_as_in_keras(stacked):
    made = []
    for lib in (talweg, keras):
        cell = minimal_cell(lib, lib.ops)
        cells = [cell(3, name="a"), cell(2, name="b")] if stacked else cell(3, name="a")
        made.append(lib.layers.RNN(cells, return_sequences=True))
        made[-1].build(X.shape)
    ours, theirs = made
    ours.set_weights([np.array(v.value) for v in theirs.weights])
    given = {"mask": jnp.asarray(MASK)}
    assert_same(results(ours, X, False), results(theirs, X, False))
    if not stacked:
        assert_same(results(ours, X, False, **given), results(theirs, X, False, **given))
        return
    # Keras takes the lowest cell's state for the output before, here of another size.
    masked = np.asarray(ours(X, **given))
    np.testing.assert_array_equal(masked[0, 3:], np.stack([masked[0, 2]] * 2))


def test_a_cell_may_keep_state_and_add_losses():
    class Counting(layers.Layer):
        state_size = 2

        def build(self, input_shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs, states):
            self.count.assign(self.count.value + 1)
            self.add_loss(jnp.sum(inputs))
            return states[0] + inputs[:, :2], [states[0] + inputs[:, :2]]

    layer = layers.RNN(Counting())
    y = layer(X)
    np.testing.assert_allclose(y, X[:, :, :2].sum(1), rtol=1e-5, atol=1e-6)
    assert float(layer.cell.count.value) == 5
    np.testing.assert_allclose(layer.losses[0], X.sum(), rtol=1e-4)


def test_cells_alone_compute_a_step_of_their_layer():
    for kind, count in (("SimpleRNNCell", 1), ("LSTMCell", 2), ("GRUCell", 1)):
        ours, theirs = getattr(layers, kind)(3), getattr(keras.layers, kind)(3)
        states = [np.full((3, 3), 0.1, "float32")] * count
        theirs(X[:, 0], states)
        ours(X[:, 0], states)
        ours.set_weights([np.array(v.value) for v in theirs.weights])
        assert_same(ours(X[:, 0], states), theirs(X[:, 0], states))


@pytest.mark.parametrize("inner", ["Dense", "BatchNormalization", "Dropout", "Conv1D", "LSTM"])
def test_time_distributed_applies_the_layer_at_each_step(inner):
    arguments = {
        "Dense": {"units": 3, "activation": "tanh"}, "BatchNormalization": {"momentum": 0.7},
        "Dropout": {"rate": 0.4, "seed": 1}, "Conv1D": {"filters": 2, "kernel_size": 2},
        "LSTM": {"units": 2},
    }[inner]  # fmt: skip
    x = X if inner not in ("Conv1D", "LSTM") else np.stack([X, X + 1], axis=1)
    made = []
    for lib in (talweg, keras):
        layer = lib.layers.TimeDistributed(getattr(lib.layers, inner)(**arguments, name="inner"))
        layer.build(x.shape)
        made.append(layer)
    ours, theirs = made
    ours.set_weights([np.array(v.value) for v in theirs.weights])
    training = inner in ("BatchNormalization", "Dropout")
    assert_same(results(ours, x, training), results(theirs, x, training), atol=1e-5)
    assert tuple(ours.compute_output_shape((None, *x.shape[1:]))) == tuple(
        theirs.compute_output_shape((None, *x.shape[1:]))
    )
    moved = layers.deserialize(keras.layers.serialize(theirs))
    assert plain(moved.get_config()) == plain(theirs.get_config())


def test_models_with_recurrent_layers_train_and_predict_and_vmap():
    model = talweg.Sequential(
        [
            layers.Input((None, 4)),
            layers.Masking(),
            layers.Bidirectional(layers.GRU(3, dropout=0.2)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    losses = model.fit(X, X[:, 0, :1], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.output_shape == (None, 1)
    layer, _ = pair("LSTM", {})
    np.testing.assert_allclose(jax.vmap(layer)(X[None])[0], layer(X), atol=1e-6)


def test_half_precision_computes_as_keras_does():
    ours, theirs = pair("LSTM", {"dtype": "mixed_bfloat16", **ALL})
    for mine, other in zip(ours(X), theirs(X), strict=True):
        assert str(mine.dtype) == "bfloat16"
        np.testing.assert_allclose(mine.astype("float32"), np.asarray(other, "float32"), atol=3e-2)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="units"):
        layers.LSTM(0)
    with pytest.raises(ValueError, match="dropout"):
        layers.GRU(2, dropout=1.5)
    with pytest.raises(ValueError, match="steps"):
        layers.LSTM(2, unroll=True)(layers.Input((None, 4)))
    with pytest.raises(TypeError, match="state_size"):
        layers.RNN(layers.Dense(3))
    with pytest.raises(ValueError, match="merge_mode"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="max")
    with pytest.raises(ValueError, match="go_backwards"):
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2))
