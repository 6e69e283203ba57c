"""Every loss, in every option, against Keras: values, gradients, reductions, configs."""

import functools
import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import losses

rng = np.random.default_rng(0)
N, D, C, T = 6, 4, 4, 5
LABELS = np.array([0, 3, 1, 2, 3, 0])
NUMBERS = rng.normal(size=(N, D)).astype("float32")
OTHERS = rng.normal(size=(N, D)).astype("float32")
POSITIVE = np.abs(NUMBERS) + 0.1
RATES = np.abs(OTHERS) + 0.1
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
SOFT = (POSITIVE / POSITIVE.sum(1, keepdims=True)).astype("float32")
PROBABILITIES = (RATES / RATES.sum(1, keepdims=True)).astype("float32")
BITS = rng.integers(0, 2, (N, D)).astype("float32")
LOGITS = (4 * OTHERS).astype("float32")
CHANCES = (1 / (1 + np.exp(-OTHERS))).astype("float32")
UNIT = (OTHERS / np.linalg.norm(OTHERS, axis=1, keepdims=True)).astype("float32")
SEQUENCES = np.array([[1, 2, 3], [2, 2, 0], [3, 1, 0], [1, 0, 0], [0, 0, 0], [1, 3, 1]])
STEPS = rng.normal(size=(N, 7, C)).astype("float32")
TOKENS = rng.integers(0, C, (N, T))
TOKEN_LOGITS = rng.normal(size=(N, T, C)).astype("float32")
IMAGES = rng.integers(0, 2, (N, 3, 3, 1)).astype("float32")
MASKS = rng.uniform(0.05, 0.95, (N, 3, 3, 1)).astype("float32")
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.25], "float32")

CASES = {
    "MeanSquaredError": [({}, NUMBERS, OTHERS)],
    "MeanAbsoluteError": [({}, NUMBERS, OTHERS)],
    "MeanAbsolutePercentageError": [({}, NUMBERS, OTHERS)],
    "MeanSquaredLogarithmicError": [({}, POSITIVE, RATES), ({}, POSITIVE, OTHERS)],
    "Huber": [({}, NUMBERS, OTHERS), ({"delta": 0.3}, NUMBERS, OTHERS)],
    "LogCosh": [({}, NUMBERS, OTHERS)],
    "CosineSimilarity": [({}, NUMBERS, OTHERS), ({"axis": 0}, NUMBERS, OTHERS)],
    "BinaryCrossentropy": [
        ({}, BITS, CHANCES),
        ({"from_logits": True}, BITS, LOGITS),
        ({"label_smoothing": 0.2}, BITS, CHANCES),
        ({"from_logits": True, "label_smoothing": 0.2, "axis": 0}, BITS, LOGITS),
        ({}, BITS[:, 0], CHANCES[:, :1]),
    ],
    "BinaryFocalCrossentropy": [
        ({}, BITS, CHANCES),
        ({"from_logits": True, "gamma": 1.5}, BITS, OTHERS),
        ({"apply_class_balancing": True, "alpha": 0.7}, BITS, CHANCES),
        ({"label_smoothing": 0.1, "axis": 0}, BITS, CHANCES),
    ],
    "CategoricalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({}, SOFT, RATES),
        ({"from_logits": True}, SOFT, LOGITS),
        ({"label_smoothing": 0.1}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True, "axis": 1}, IMAGES[:, :, :, 0], MASKS[:, :, :, 0]),
    ],
    "CategoricalFocalCrossentropy": [
        ({}, ONE_HOT, PROBABILITIES),
        ({"from_logits": True, "gamma": 1.0, "alpha": 0.5}, ONE_HOT, LOGITS),
        ({"label_smoothing": 0.1, "alpha": [0.1, 0.2, 0.3, 0.4]}, ONE_HOT, PROBABILITIES),
    ],
    "SparseCategoricalCrossentropy": [
        ({}, LABELS, PROBABILITIES),
        ({}, LABELS[:, None], RATES),
        ({"from_logits": True}, LABELS, LOGITS),
        ({"from_logits": True}, TOKENS, TOKEN_LOGITS),
        ({"from_logits": True}, TOKENS[:, :, None], TOKEN_LOGITS),
        ({"from_logits": True, "ignore_class": 3}, LABELS, LOGITS),
        ({"ignore_class": -1}, np.where(LABELS == 1, -1, LABELS), PROBABILITIES),
        ({"from_logits": True, "ignore_class": 2}, TOKENS, TOKEN_LOGITS),
    ],
    "CategoricalGeneralizedCrossEntropy": [
        ({}, LABELS, PROBABILITIES),
        ({"q": 0.8}, LABELS, PROBABILITIES),
    ],
    "KLDivergence": [({}, SOFT, PROBABILITIES)],
    "Poisson": [({}, POSITIVE, RATES)],
    "Hinge": [({}, BITS, OTHERS), ({}, 2 * BITS - 1, OTHERS)],
    "SquaredHinge": [({}, BITS, OTHERS), ({}, 2 * BITS - 1, OTHERS)],
    "CategoricalHinge": [({}, ONE_HOT, OTHERS)],
    "Circle": [
        ({}, LABELS, UNIT),
        ({"gamma": 10.0, "margin": 0.2}, LABELS[:, None] // 2, UNIT),
        ({"remove_diagonal": False}, LABELS, UNIT),
    ],
    "Dice": [({}, IMAGES, MASKS), ({"axis": (1, 2, 3)}, IMAGES, MASKS)],
    "Tversky": [
        ({}, IMAGES, MASKS),
        ({"alpha": 0.2, "beta": 0.9, "axis": (1, 2, 3)}, IMAGES, MASKS),
    ],
    "CTC": [({}, SEQUENCES, STEPS)],
}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)
each_case = pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))]
)


def _pair(name, options, **more):
    return (
        getattr(losses, name)(**options, **more),
        getattr(keras.losses, name)(**options, **more),
    )


def test_every_exported_class_has_a_golden():
    assert set(losses._catalog.classes()) - {"LossFunctionWrapper"} == set(CASES)


def test_every_class_has_a_function_of_keras_s_name_and_arguments():
    functions = losses._catalog.functions()
    assert {getattr(losses, name).formula for name in CASES} == set(functions.values())
    for name, function in functions.items():
        ours = inspect.signature(function).parameters
        theirs = inspect.signature(getattr(keras.losses, name)).parameters
        assert list(ours) == list(theirs), name
        for key in ours:
            if name != "categorical_generalized_cross_entropy":  # Keras gives q no default
                assert ours[key].default == theirs[key].default, (name, key)


@pytest.mark.parametrize("name", CASES)
def test_constructors_have_keras_s_arguments_and_defaults(name):
    ours = inspect.signature(getattr(losses, name)).parameters
    theirs = inspect.signature(getattr(keras.losses, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


def _values_and_gradient(loss, y_true, y_pred):
    def pulled(predictions):
        values = loss(y_true, predictions)
        pull = np.linspace(0.5, 2, values.size, dtype="float32").reshape(values.shape)
        return jnp.sum(pull * values), values

    (_, values), gradient = jax.jit(jax.value_and_grad(pulled, has_aux=True))(y_pred)
    return values, gradient


@pytest.mark.sampled("name")
@each_case
def test_values_and_gradients_equal_keras(name, number):
    options, y_true, y_pred = CASES[name][number]
    ours, theirs = _pair(name, options, reduction=None)
    values, gradient = _values_and_gradient(ours, y_true, y_pred)
    expected, expected_gradient = _values_and_gradient(theirs, y_true, y_pred)
    assert values.dtype == jnp.float32
    close(values, expected)
    if (name, number) == ("Circle", 0):  # an anchor without a positive: NaN in Keras
        expected_gradient = np.where(np.isnan(expected_gradient), gradient, expected_gradient)
    close(gradient, expected_gradient, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_functions_equal_keras(name):
    function = getattr(losses, name).formula
    reference = getattr(keras.losses, function.__name__)
    more = {"q": 0.5} if "Generalized" in name else {}
    # The functions of Keras do not reconcile (n,) with (n, 1).
    cases = [case for case in CASES[name] if name != "BinaryCrossentropy" or case[1].ndim > 1]

    def all_of(target):
        return [target(y_true, y_pred, **{**more, **o}) for o, y_true, y_pred in cases]

    for got, expected in zip(
        jax.jit(lambda: all_of(function))(), jax.jit(lambda: all_of(reference))(), strict=True
    ):
        close(got, expected)


@pytest.mark.sampled(count=10)
@pytest.mark.parametrize("name", CASES)
def test_reductions_and_sample_weights_equal_keras(name):
    options, y_true, y_pred = CASES[name][-1]
    pairs = {r: _pair(name, options, reduction=r) for r in REDUCTIONS}
    values = jax.eval_shape(pairs[None][0], y_true, y_pred)
    weights = [None, 0.5]
    if len(values.shape) < 2:
        weights.append(WEIGHTS[: values.size] if values.shape else WEIGHTS)
    if values.shape:
        weights.append(WEIGHTS[: len(values), None])
        weights.append(np.linspace(0, 2, values.size, dtype="float32").reshape(values.shape))

    def all_of(side):
        return [
            pairs[r][side](y_true, y_pred, sample_weight=w) for r in REDUCTIONS for w in weights
        ]

    for got, expected in zip(
        jax.jit(lambda: all_of(0))(), jax.jit(lambda: all_of(1))(), strict=True
    ):
        assert got.shape == expected.shape
        close(got, expected, atol=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_masks_and_weights_reduce_as_in_keras(reduction):
    from keras.src.losses.loss import reduce_weighted_values

    values = rng.uniform(size=(N, T)).astype("float32")
    mask = rng.integers(0, 2, (N, T)).astype(bool)
    for v, m, w in [
        (values, mask, None),
        (values, mask, values[::-1]),
        (values, mask, WEIGHTS[:, None]),
        (values[:, 0], mask[:, 0], WEIGHTS),
        (values[:, :1], mask[:, 0], WEIGHTS),
        (values[:, 0], mask[:, 0], WEIGHTS[:, None]),
        (values, np.zeros_like(mask), None),
        (values, mask, np.zeros((N, T))),
        (values[:0], None, None),
        (values[:0, 0], None, None),
    ]:
        got = losses.reduce_weighted_values(v, w, m, reduction)
        close(got, reduce_weighted_values(v, w, m, reduction))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "mixed_bfloat16"])
def test_the_dtype_argument_sets_the_computation(dtype):
    ours, theirs = _pair("MeanSquaredError", {"dtype": dtype})
    assert ours.dtype == theirs.dtype
    got, expected = ours(NUMBERS, OTHERS), theirs(NUMBERS, OTHERS)
    assert got.dtype == expected.dtype
    close(got.astype("float32"), expected.astype("float32"), rtol=1e-2)


def test_labels_above_256_survive_half_precision():
    logits = np.zeros((1, 400), "float32")
    logits[0, 301] = 20.0
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, dtype="bfloat16")
    assert float(loss([301], logits)) < 0.01


@each_case
def test_configs_move_both_ways(name, number):
    options, _, _ = CASES[name][number]
    ours, theirs = _pair(name, options, reduction="sum")
    forgotten = {"Huber": "delta", "CosineSimilarity": "axis"}.get(name)
    config = ours.get_config()
    assert {k: v for k, v in config.items() if k != forgotten} == theirs.get_config()
    assert config.get(forgotten) == options.get(forgotten)
    assert type(theirs).from_config(config).get_config() == theirs.get_config()
    assert type(ours).from_config(config).get_config() == config
    assert losses.deserialize(keras.losses.serialize(theirs)).get_config() == theirs.get_config()
    record = losses.serialize(ours)
    assert {**record, "config": 0} == {**keras.losses.serialize(theirs), "config": 0}


def test_structures_of_outputs_reach_the_function_as_in_keras():
    def both(y_true, y_pred):
        left = jnp.mean((y_true["a"] - y_pred["a"]) ** 2, -1)
        return left + jnp.mean(jnp.abs(y_true["b"] - y_pred["b"]), -1)

    y_true = {"a": NUMBERS[:, 0], "b": NUMBERS}
    y_pred = {"a": OTHERS[:, :1], "b": OTHERS}
    from keras.src.losses.losses import LossFunctionWrapper

    close(
        losses.LossFunctionWrapper(both)(y_true, y_pred), LossFunctionWrapper(both)(y_true, y_pred)
    )
    y_true, y_pred = [list(NUMBERS), list(OTHERS)]
    close(
        losses.MeanSquaredError()(y_true, y_pred),
        keras.losses.MeanSquaredError()(y_true, y_pred),
    )


def test_subclasses_are_weighed_and_reduced_as_in_keras():
    class Ours(losses.Loss):
        def call(self, y_true, y_pred):
            return jnp.mean((y_true - y_pred) ** 4, axis=-1)

    class Theirs(keras.losses.Loss):
        call = Ours.call

    assert Ours().name == "ours"
    close(Ours()(NUMBERS, OTHERS, WEIGHTS), Theirs()(NUMBERS, OTHERS, WEIGHTS))
    with pytest.raises(NotImplementedError, match="must define call"):
        losses.Loss()(NUMBERS, OTHERS)


def test_a_zero_between_labels_is_to_ctc_what_it_is_to_keras():
    """Only the check of `fit` refuses it."""
    logits = (np.arange(24).reshape((2, 4, 3)).astype("float32") - 12) / 100
    labels = np.array([[1, 2, 1, 0], [1, 2, 0, 2]])
    close(losses.ctc(labels, logits), keras.losses.ctc(labels, logits))


def test_ctc_is_the_sum_over_alignments():
    import itertools

    def spells(path):
        return [k for k, _ in itertools.groupby(path) if k != 0]

    logits = STEPS[:1, :4, :3]
    p = np.asarray(jax.nn.softmax(logits, axis=-1))[0]
    for labels in ([1, 2], [1, 1], [2, 0], [0, 0]):
        total = sum(
            np.prod([p[t, k] for t, k in enumerate(path)])
            for path in itertools.product(range(3), repeat=4)
            if spells(path) == [k for k in labels if k]
        )
        close(losses.ctc([labels], logits), [-np.log(total)])


def test_tails_of_the_binary_logits_keep_value_and_gradient():
    logits = jnp.array([[-80.0], [-20.0], [0.0], [20.0], [80.0]])
    for label in (0.0, 1.0):
        target = jnp.full((5, 1), label)
        signed = np.asarray(logits, "float64") * (1 - 2 * label)
        close(
            losses.binary_crossentropy(target, logits, True), np.logaddexp(0, signed)[:, 0], atol=0
        )
        gradient = jax.grad(lambda x, t=target: losses.binary_crossentropy(t, x, True).sum())(
            logits
        )
        close(gradient, (1 - 2 * label) / (1 + np.exp(-signed)), atol=1e-30)


def test_a_probability_at_the_clip_keeps_its_whole_slope():
    """A sigmoid takes the value 1 - epsilon over a range of inputs: no place to halve the slope."""

    def slope(x, label):
        return jax.grad(
            lambda x: losses.binary_crossentropy([[label]], jax.nn.sigmoid(x)[None, None])[0]
        )(jnp.float32(x))

    for label in (0.0, 0.3, 1.0):
        for x in (-5.0, 0.0, 8.0, 16.2):
            expected = 1 / (1 + np.exp(-np.float64(x))) - label
            np.testing.assert_allclose(slope(x, label), expected, rtol=1e-3, atol=3e-7)
        assert slope(18.0, label) == slope(-18.0, label) == 0.0
    second = jax.grad(lambda x: slope(x, 1.0))(jnp.float32(0.3))
    np.testing.assert_allclose(second, jax.nn.sigmoid(0.3) * jax.nn.sigmoid(-0.3), rtol=1e-5)


def test_zero_vectors_and_lonely_anchors_have_finite_gradients():
    def cosine(p):
        return losses.cosine_similarity(NUMBERS, p).sum()

    assert np.isfinite(jax.grad(cosine)(jnp.zeros((N, D)))).all()

    def circle(p):
        return losses.circle(np.array([0, 0, 1, 2, 3, 4]), p).sum()

    assert np.isfinite(jax.grad(circle)(UNIT)).all()

    def generalized(p):
        return losses.categorical_generalized_cross_entropy([0], p).sum()

    assert np.isfinite(jax.grad(generalized)(jnp.array([[0.0, 1.0]]))).all()
