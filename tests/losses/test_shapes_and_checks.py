"""The law of shapes at trace time, and the check of host targets before training."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from talweg import losses
from talweg.core.errors import NonFiniteError

ELEMENTWISE = [
    "BinaryCrossentropy BinaryFocalCrossentropy CategoricalHinge CosineSimilarity Dice Hinge",
    "Huber KLDivergence LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError",
    "MeanSquaredLogarithmicError Poisson SquaredHinge Tversky",
]
ELEMENTWISE = " ".join(ELEMENTWISE).split()
ONE_HOT = ["CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"]
SPARSE = ["SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"]


def traced(loss, true, pred):
    """The loss's abstract evaluation: errors come at the trace, nothing is computed."""
    arrays = [jax.ShapeDtypeStruct(shape, "float32") for shape in (true, pred)]
    return jax.eval_shape(loss, *arrays)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(
    ("true", "pred"), [((8, 1), (8, 3)), ((8, 3), (8, 1)), ((3,), (8, 3)), ((1, 3), (8, 3))]
)
def test_shapes_that_keras_broadcasts_are_refused_and_named(name, true, pred):
    loss = getattr(losses, name)()
    for target in (loss, loss.formula):
        with pytest.raises(ValueError, match="y_true must be") as error:
            traced(target, true, pred)
        assert str(true) in str(error.value)
        assert str(pred) in str(error.value)
    if true[0] == pred[0]:
        with pytest.raises(ValueError, match=f"{name}: y_true must be"):
            loss.check(np.ones(true, "float32"), (None, *pred[1:]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_vectors_go_with_columns(name):
    loss = getattr(losses, name)(reduction=None)
    shape = traced(loss, (8, 1), (8, 1)).shape
    assert traced(loss, (8,), (8, 1)).shape == shape
    assert traced(loss, (8, 1), (8,)).shape == shape
    if name != "CategoricalHinge":
        loss.check(np.ones(8, "float32"), (None, 1))
        loss.check(np.ones((8, 1), "float32"), (None, 1))


def test_vectors_with_columns_have_the_value_of_columns():
    y, p = np.array([0.0, 1.0, 1.0]), np.array([[0.2], [0.4], [0.9]], "float32")
    expected = -np.mean(np.log([0.8, 0.4, 0.9]))
    for loss in (losses.BinaryCrossentropy(), losses.LossFunctionWrapper(losses.get("bce"))):
        np.testing.assert_allclose(loss(y, p), expected, rtol=1e-6)
        np.testing.assert_allclose(loss(y[:, None], p), expected, rtol=1e-6)
        np.testing.assert_allclose(loss(y[:, None], p[:, 0]), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ONE_HOT)
@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_one_hot_losses_send_integer_labels_on(name, shape):
    loss = getattr(losses, name)()
    for call in (
        lambda: traced(loss, shape, (8, 3)),
        lambda: traced(loss.formula, shape, (8, 3)),
        lambda: loss.check(np.zeros(shape, int), (None, 3)),
    ):
        with pytest.raises(ValueError, match=r"sparse_categorical_crossentropy.*to_categorical"):
            call()


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize(
    ("true", "pred"),
    [((8,), (8, 3)), ((8, 1), (8, 3)), ((8, 5), (8, 5, 3)), ((8, 5, 1), (8, 5, 3))],
)
def test_sparse_losses_take_labels_with_or_without_the_class_axis(name, true, pred):
    loss = getattr(losses, name)(reduction=None)
    assert traced(loss, true, pred).shape == pred[:-1]
    loss.check(np.zeros(true, "int32"), (None, *pred[1:]))


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize(
    ("true", "pred"), [((8, 3), (8, 3)), ((8,), (8, 5, 3)), ((4,), (8, 3)), ((1,), (8, 3))]
)
def test_sparse_losses_refuse_other_shapes(name, true, pred):
    with pytest.raises(ValueError, match="integer labels of shape"):
        traced(getattr(losses, name)(), true, pred)


def test_sparse_losses_take_another_class_axis():
    y, p = np.array([[0, 2], [1, 1]]), np.random.default_rng(0).normal(size=(2, 3, 2))
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, axis=1)
    last = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(loss(y, p), last(y, p.swapaxes(1, 2)), rtol=1e-6)
    assert loss.get_config()["axis"] == 1


def test_labels_out_of_range_give_nan_in_a_step():
    loss = losses.SparseCategoricalCrossentropy()
    assert np.isnan(loss([0, 7], np.full((2, 3), 1 / 3)))
    assert np.isnan(loss([0, -1], np.full((2, 3), 1 / 3)))


@pytest.mark.parametrize("weight", [(5,), (6, 3), (1, 5), (6, 5, 2), (2, 1)])
def test_sample_weights_of_another_shape_are_refused(weight):
    values = {(6, 5): jnp.ones((6, 5)), (6,): jnp.ones(6)}[(6, 5) if weight[0] != 6 else (6,)]
    if weight == (1, 5):
        values = jnp.ones((6, 4))
    with pytest.raises(ValueError, match="sample_weight must be of a shape that fits"):
        losses.reduce_weighted_values(values, np.ones(weight))


def test_a_weight_per_row_weighs_the_whole_row():
    # Keras lines (n,) up with the last axis: an error, or for T = n the wrong axis.
    values = jnp.arange(9.0).reshape(3, 3)
    got = losses.reduce_weighted_values(values, [1.0, 0.0, 2.0], reduction=None)
    np.testing.assert_array_equal(got, values * np.array([[1.0], [0.0], [2.0]]))


def test_vectors_of_samples_are_weighed_one_by_one():
    # Keras multiplies the mean loss with each weight.
    y, p, w = np.array([0.0, 0.0]), np.array([1.0, 3.0]), np.array([1.0, 0.0])
    assert float(losses.MeanSquaredError()(y, p, w)) == 0.5
    assert float(losses.MeanSquaredError()(y, p)) == 5.0


@given(
    st.integers(1, 4),
    st.lists(st.floats(0, 3, width=32), min_size=1, max_size=8),
    st.sampled_from(["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None]),
)
def test_reductions_agree_with_numpy(width, weights, reduction):
    w = np.array(weights)
    values = np.random.default_rng(len(weights)).uniform(size=(len(weights), width))
    weighted = values * w[:, None]
    expected = {
        "sum": weighted.sum(),
        "mean_with_sample_weight": weighted.sum() / w.sum() if w.sum() else 0.0,
        None: weighted,
    }.get(reduction, weighted.mean())
    got = losses.reduce_weighted_values(values, w, reduction=reduction)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


BAD = {
    "nan": ("MeanSquaredError", [[0.0], [np.nan]], (None, 1), "holds NaN at row 1"),
    "infinite": ("Huber", [[0.0], [1.0], [-np.inf]], (None, 1), "holds infinity at row 2"),
    "label 7": (SPARSE[0], [0, 1, 7], (None, 3), r"row 2 must be a label in 0 … 2 .*8 units"),
    "label -1": (SPARSE[0], [0, -1], (None, 3), r"row 1 .*got -1.*ignore_class=-1"),
    "one unit": (SPARSE[0], [0, 1], (None, 1), r"2 units, or use binary_crossentropy"),
    "fraction": (SPARSE[0], [0.0, 0.7], (None, 3), r"row 1 must be an integer label, got 0.7"),
    "time": (SPARSE[0], [[0, 1], [2, 3]], (None, 2, 3), r"row 1 .*got 3"),
    "generalized": (SPARSE[1], [0, 3], (None, 3), r"row 1 .*got 3"),
    "binary 1, 2": ("BinaryCrossentropy", [1, 1, 2], (None, 1), r"row 2 .*got 2.*0 and 1"),
    "binary ±1": ("BinaryCrossentropy", [1.0, -1.0], (None, 1), r"row 1 .*got -1.0"),
    "focal": ("BinaryFocalCrossentropy", [1, 2], (None, 1), "row 1"),
    "one class": ("CategoricalCrossentropy", [[1.0]], (None, 1), "at least 2 classes"),
    "msle": ("MeanSquaredLogarithmicError", [0.5, -1.0], (None, 1), r"row 1 .*above -1"),
    "poisson": ("Poisson", [0.5, -0.1], (None, 1), r"row 1 .*at least 0"),
    "kld": ("KLDivergence", [[0.5, 0.5], [2.0, 3.0]], (None, 2), r"row 1 .*got 2.0"),
    "dice": ("Dice", [[0.0, 255.0]], (None, 2), r"row 0 .*got 255.0"),
    "circle": ("Circle", [0.0, 0.5], (None, 4), r"row 1 must be an integer label"),
    "ctc gap": ("CTC", [[1, 2], [0, 2]], (None, 9, 4), r"row 1 .*padding"),
    "ctc label": ("CTC", [[1, 2], [3, 4]], (None, 9, 4), r"row 1 .*got 4"),
    "ctc steps": ("CTC", [[1, 2], [1, 1]], (None, 2, 4), r"row 1 .*3 steps needed"),
    "ctc shape": ("CTC", [1, 2], (None, 9, 4), r"\(batch, max_length\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_targets_without_meaning_are_refused_with_their_row(case):
    name, y, output_shape, message = BAD[case]
    loss = getattr(losses, name)()
    bare = losses.LossFunctionWrapper(loss.formula)
    for check in (loss.check, losses.checker(loss.formula), losses.checker(bare)):
        with pytest.raises(ValueError, match=f"{name}: .*{message}"):
            check(np.array(y), output_shape)


GOOD = {
    "sparse floats": ("SparseCategoricalCrossentropy", [0.0, 2.0], (None, 3)),
    "sparse bools": ("SparseCategoricalCrossentropy", [True, False], (None, 2)),
    "unknown classes": ("SparseCategoricalCrossentropy", [0, 9], (None, None)),
    "hinge ±1": ("Hinge", [-1, 1], (None, 1)),
    "squared hinge": ("SquaredHinge", [0, 1], (None, 1)),
    "soft": ("CategoricalCrossentropy", [[0.2, 0.4], [3.0, 0.0]], (None, 2)),
    "bool": ("BinaryCrossentropy", [True, False], (None, 1)),
    "rounding": ("BinaryCrossentropy", [[1.0000001], [0.0]], (None, 1)),
    "msle": ("MeanSquaredLogarithmicError", [-0.5, 1.0], (None, 1)),
    "large": ("MeanSquaredError", [[3e38], [3e38]], (None, 1)),
    "empty": ("SparseCategoricalCrossentropy", np.zeros((0,), int), (None, 3)),
    "ctc": ("CTC", [[1, 1], [2, 0]], (None, 3, 4)),
    "unknown length": ("MeanSquaredError", [[1.0, 2.0]], (None, None)),
}


@pytest.mark.parametrize("case", GOOD)
def test_sound_targets_pass(case):
    name, y, output_shape = GOOD[case]
    y = np.asarray(y)
    loss = getattr(losses, name)()
    loss.check(y.astype("float32") if case == "large" else y, output_shape)


def test_the_ignored_class_passes_and_others_do_not():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    loss.check(np.array([0, 255, 2], "uint8"), (None, 3))
    with pytest.raises(ValueError, match=r"row 2 .*got 4.*5 units"):
        loss.check(np.array([0, 255, 4], "uint8"), (None, 3))


def test_the_check_of_a_partial_knows_its_options():
    check = losses.checker(
        functools.partial(losses.sparse_categorical_crossentropy, ignore_class=-1)
    )
    check(np.array([0, -1]), (None, 3))
    with pytest.raises(ValueError, match="row 1"):
        check(np.array([0, 3]), (None, 3))


def test_the_check_of_a_custom_callable_refuses_nan_only():
    def mine(y_true, y_pred):
        return y_pred

    losses.checker(mine)(np.array([-7.0, 1e9]), (None, 3))
    losses.checker(losses.LossFunctionWrapper(mine))(np.array([-7.0]), (None, 3))
    with pytest.raises(NonFiniteError, match="mine: y holds NaN at row 1"):
        losses.checker(mine)(np.array([0.0, np.nan]), (None, 3))


@pytest.mark.parametrize("y", [["a", "b"], [object(), 1], [1j, 2]])
def test_targets_that_are_no_numbers_are_refused(y):
    with pytest.raises(TypeError, match="array of real numbers"):
        losses.MeanSquaredError().check(np.array(y), (None, 1))


def test_bfloat16_targets_are_checked():
    y = np.asarray(jnp.array([0.0, jnp.nan], "bfloat16"))
    with pytest.raises(NonFiniteError, match="row 1"):
        losses.MeanSquaredError().check(y, (None, 1))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("BinaryCrossentropy", True),
        ("binary_crossentropy", True),
        ("SparseCategoricalCrossentropy", True),
        ("categorical_crossentropy", True),
        ("kl_divergence", True),
        ("CategoricalGeneralizedCrossEntropy", True),
        ("Dice", True),
        ("mse", False),
        ("hinge", False),
        ("CTC", False),
    ],
)
def test_losses_say_whether_they_read_probabilities(loss, expected):
    assert losses.expects_probabilities(losses.get(loss)) is expected


def test_logits_are_no_probabilities():
    logits = functools.partial(losses.binary_crossentropy, from_logits=True)
    wrapped = losses.LossFunctionWrapper(losses.categorical_crossentropy, from_logits=True)
    for loss in (logits, wrapped, losses.SparseCategoricalCrossentropy(True), lambda a, b: b):
        assert losses.expects_probabilities(loss) is False
