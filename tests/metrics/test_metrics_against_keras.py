"""Every metric, in every option, with and without weights, against Keras."""

import functools
import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import metrics
from talweg.core.variables import lend

CLASSES = 4
SIZES = (12, 7)


@functools.cache
def batches(kind):
    """Two batches (labels, predictions), of different sizes."""
    draw = np.random.default_rng(7)
    return [_batch(draw, kind, n) for n in SIZES]


def _batch(draw, kind, n):
    uniform = functools.partial(draw.uniform, 0, 1)
    scores = draw.dirichlet(np.ones(CLASSES), n).astype("float32")
    labels = draw.integers(0, CLASSES, n)
    made = {
        "equal": lambda: (labels, draw.integers(0, 2, n)),
        # Rounded predictions fall on thresholds, where > and >= differ.
        "binary": lambda: (draw.integers(0, 2, n), np.round(uniform(n), 1).astype("float32")),
        "columns": lambda: (draw.integers(0, 2, (n, 1)), uniform((n, 1)).astype("float32")),
        "column": lambda: (draw.integers(0, 2, n), uniform((n, 1)).astype("float32")),
        "labels": lambda: (
            draw.integers(0, 2, (n, CLASSES)).astype("float32"),
            np.round(uniform((n, CLASSES)), 2).astype("float32"),
        ),
        "logits": lambda: (
            draw.integers(0, 2, (n, CLASSES)).astype("float32"),
            draw.normal(size=(n, CLASSES)).astype("float32"),
        ),
        "onehot": lambda: (np.eye(CLASSES, dtype="float32")[labels], scores),
        "sparse": lambda: (labels, scores),
        "sparse_column": lambda: (labels[:, None], scores),
        "ranked": lambda: (labels, np.argsort(-scores).astype("float32")),
        "sequence": lambda: (
            draw.integers(0, CLASSES, (n, 3)),
            draw.dirichlet(np.ones(CLASSES), (n, 3)).astype("float32"),
        ),
        "numbers": lambda: tuple(draw.normal(size=(2, n, 3)).astype("float32")),
        "positive": lambda: tuple(draw.uniform(0.1, 5, size=(2, n, 3)).astype("float32")),
        "signed": lambda: (
            draw.choice([-1.0, 1.0], (n, 3)).astype("float32"),
            draw.normal(size=(n, 3)).astype("float32"),
        ),
        # -1 and CLASSES are outside of the classes.
        "regions": lambda: (
            draw.integers(-1, CLASSES + 1, (n, 3)),
            draw.integers(0, CLASSES + 1, (n, 3)),
        ),
        "masks": lambda: (draw.integers(0, 2, (n, 3)), uniform((n, 3)).astype("float32")),
        "channels_first": lambda: (
            np.moveaxis(np.eye(CLASSES, dtype="float32")[draw.integers(0, CLASSES, (n, 5))], -1, 1),
            uniform((n, CLASSES, 5)).astype("float32"),
        ),
    }
    return made[kind]()


def _grid(kind, *options):
    return [(kind, option) for option in options or ({},)]


_THRESHOLDS = (
    *_grid("binary", {}, {"thresholds": 0.3}, {"thresholds": [0.2, 0.7]}),
    *_grid("binary", {"thresholds": [0.0, 0.5, 1.0]}, {"thresholds": [0.9, 0.1, 0.4]}),
    *_grid("column"),
    *_grid("labels"),
)
_PRECISION_RECALL = (
    *_THRESHOLDS,
    *_grid("labels", {"class_id": 2}, {"top_k": 2}, {"top_k": 1, "class_id": 1}),
    *_grid("labels", {"top_k": 3, "thresholds": [0.1, 0.6]}),
)
_AVERAGES = [
    {"average": average, "threshold": threshold}
    for average in (None, "micro", "macro", "weighted")
    for threshold in (None, 0.4)
]
_BOUNDED = ({}, {"num_thresholds": 1}, {"num_thresholds": 2}, {"num_thresholds": 11})
_SMOOTHED = ({}, {"label_smoothing": 0.2})
_IOU = ({"ignore_class": 1}, {"dtype": "float32"}, {})


def _bounded(name):
    return [
        *_grid("binary", *({name: 0.4, **option} for option in _BOUNDED)),
        *_grid("labels", {name: 0.7, "class_id": 3}, {name: 1.0}, {name: 0.0}),
    ]


CASES = {
    "Accuracy": _grid("equal"),
    "BinaryAccuracy": [
        *_grid("binary", {}, {"threshold": 0.3}),
        *_grid("column"),
        *_grid("labels"),
    ],
    "CategoricalAccuracy": _grid("onehot"),
    "SparseCategoricalAccuracy": [
        *_grid("sparse"),
        *_grid("sparse_column"),
        *_grid("sequence"),
    ],
    "TopKCategoricalAccuracy": _grid("onehot", {"k": 1}, {"k": 2}, {}),
    "SparseTopKCategoricalAccuracy": [
        *_grid("sparse", {"k": 1}, {"k": 2}, {}),
        *_grid("sequence", {"k": 2}),
        *_grid("ranked", {"k": 2, "from_sorted_ids": True}),
    ],
    "AUC": [
        *_grid(
            "binary",
            *(
                {"curve": curve, "summation_method": method}
                for curve in ("ROC", "PR", "PRGAIN")
                for method in ("interpolation", "majoring", "minoring")
            ),
            {"num_thresholds": 3},
            {"thresholds": [0.7, 0.2, 0.25]},
            {"thresholds": [0.25, 0.5, 0.75]},
        ),
        *_grid(
            "labels",
            {},
            {"label_weights": [1.0, 2.0, 0.5, 0.0]},
            {"multi_label": True},
            {"multi_label": True, "num_labels": CLASSES, "curve": "PR"},
            {"multi_label": True, "label_weights": [1.0, 2.0, 0.5, 0.0]},
            {"multi_label": True, "thresholds": [0.1, 0.6]},
            {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2.0, 0.5, 0.0]},
        ),
        *_grid("logits", {"from_logits": True}),
    ],
    "Precision": _PRECISION_RECALL,
    "Recall": _PRECISION_RECALL,
    "TruePositives": _THRESHOLDS,
    "TrueNegatives": _THRESHOLDS,
    "FalsePositives": _THRESHOLDS,
    "FalseNegatives": _THRESHOLDS,
    "PrecisionAtRecall": _bounded("recall"),
    "RecallAtPrecision": _bounded("precision"),
    "SensitivityAtSpecificity": _bounded("specificity"),
    "SpecificityAtSensitivity": _bounded("sensitivity"),
    "F1Score": _grid("onehot", *_AVERAGES),
    "FBetaScore": _grid("onehot", *({"beta": 2.0, **option} for option in _AVERAGES)),
    "IoU": _grid(
        "regions",
        *({"num_classes": CLASSES, "target_class_ids": [0, 2], **option} for option in _IOU),
    ),
    "MeanIoU": _grid("regions", *({"num_classes": CLASSES, **option} for option in _IOU)),
    "BinaryIoU": _grid("masks", {}, {"target_class_ids": [1], "threshold": 0.3}),
    "OneHotIoU": [
        *_grid("onehot", {"num_classes": CLASSES, "target_class_ids": [0, 2]}),
        *_grid(
            "onehot",
            {"num_classes": CLASSES, "target_class_ids": [3], "ignore_class": 0},
        ),
    ],
    "OneHotMeanIoU": _grid("onehot", {"num_classes": CLASSES}),
    "ConcordanceCorrelation": _grid("numbers", {}, {"axis": 0}),
    "PearsonCorrelation": _grid("numbers", {}, {"axis": 0}),
    "Hinge": [*_grid("signed"), *_grid("logits")],
    "SquaredHinge": _grid("signed"),
    "CategoricalHinge": _grid("onehot"),
    "BinaryCrossentropy": [
        *_grid("labels", *_SMOOTHED),
        *_grid("logits", {"from_logits": True}),
        *_grid("columns"),
    ],
    "CategoricalCrossentropy": [
        *_grid("onehot", *_SMOOTHED, {"from_logits": True}),
        *_grid("channels_first", {"axis": 1}),
    ],
    "SparseCategoricalCrossentropy": [
        *_grid("sparse", {}, {"from_logits": True}, {"ignore_class": 1}),
        *_grid("sequence"),
    ],
    "KLDivergence": _grid("onehot"),
    "Poisson": _grid("positive"),
    "CosineSimilarity": _grid("numbers", {}, {"axis": 0}),
    "LogCoshError": _grid("numbers"),
    "MeanAbsoluteError": [*_grid("numbers"), *_grid("column")],
    "MeanAbsolutePercentageError": _grid("numbers"),
    "MeanSquaredError": _grid("numbers"),
    "MeanSquaredLogarithmicError": _grid("positive"),
    "RootMeanSquaredError": [*_grid("numbers"), *_grid("column")],
    "R2Score": _grid(
        "numbers",
        {},
        {"class_aggregation": None},
        {"class_aggregation": "variance_weighted_average"},
        {"num_regressors": 2},
    ),
}
# Tested on their own, because they take values and not labels.
REDUCTIONS = {"Mean", "Sum", "MeanMetricWrapper"}
# Arrays of rank 3 whose weights in Keras have one entry per position.
PER_POSITION = {"sequence", "regions", "masks"}

ALL = [
    pytest.param(name, kind, options, id=f"{name}-{kind}-{index}")
    for name, cases in CASES.items()
    for index, (kind, options) in enumerate(cases)
]


def pair(name, options):
    return getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)


def weights_for(name, kind, options, y_true):
    """Weights as the metric takes them: per sample, or per position for regions."""
    draw = np.random.default_rng(3)
    whole = name.endswith("IoU")
    shape = y_true.shape if kind in PER_POSITION and whole else y_true.shape[:1]
    if name in ("ConcordanceCorrelation", "PearsonCorrelation", "CosineSimilarity"):
        shape = (3,) if options.get("axis") == 0 else shape
    drawn = draw.integers(0, 4, shape)
    return drawn if whole else (drawn / 2).astype("float32")


def close(ours, theirs, **tolerances):
    np.testing.assert_allclose(
        np.asarray(ours), np.asarray(theirs), **{"rtol": 1e-5, "atol": 1e-6, **tolerances}
    )


def test_every_exported_class_is_compared():
    assert set(metrics._catalog.classes()) == set(CASES) | REDUCTIONS


def test_all_of_keras_is_there():
    def public(package):
        return {name for name in dir(package) if not name.startswith("_")}

    assert public(keras.metrics) == set(metrics.__all__)


# Keras's own: its confusion matrix asks for 64 bits.
@pytest.mark.sampled("name")
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "kind", "options"), ALL)
def test_results_equal_keras_after_every_update_and_after_a_reset(name, kind, options, weighted):
    ours, theirs = pair(name, options)
    for _ in range(2):
        for y_true, y_pred in batches(kind):
            weight = weights_for(name, kind, options, y_true) if weighted else None
            ours.update_state(y_true, y_pred, sample_weight=weight)
            theirs.update_state(y_true, y_pred, sample_weight=weight)
            assert ours.result().shape == theirs.result().shape
            close(ours.result(), theirs.result())
        ours.reset_state()
        theirs.reset_state()
        assert all(not np.any(np.asarray(variable)) for variable in ours.variables)


@pytest.mark.parametrize(("name", "kind", "options"), ALL)
def test_configs_equal_keras_and_make_the_same_metric(name, kind, options):
    del kind
    ours, theirs = pair(name, {**options, "name": "measure"})
    expected = theirs.get_config()
    if "label_weights" in expected and expected["label_weights"] is not None:
        expected["label_weights"] = np.asarray(expected["label_weights"]).tolist()
    if name == "CosineSimilarity" and options.get("axis", -1) != -1:
        expected["axis"] = options["axis"]
    assert ours.get_config() == expected
    assert ours.dtype == theirs.dtype
    again = metrics.deserialize(metrics.serialize(ours))
    assert type(again) is type(ours)
    assert again.get_config() == ours.get_config()
    moved = metrics.deserialize(keras.metrics.serialize(theirs))
    assert {**moved.get_config(), **ours.get_config()} == ours.get_config()
    back = keras.metrics.deserialize(metrics.serialize(ours))
    assert type(back).__name__ == name


def test_default_names_equal_keras():
    keras.utils.clear_session()
    pairs = [pair(name, cases[0][1]) for name, cases in CASES.items()]
    assert [ours.name for ours, _ in pairs] == [theirs.name for _, theirs in pairs]


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_update_on_lent_variables_equals_the_eager_one(name):
    kind, options = CASES[name][-1]
    (y_true, y_pred), _ = batches(kind)
    weight = weights_for(name, kind, options, y_true)
    eager = getattr(metrics, name)(**options)
    eager.update_state(y_true, y_pred, weight)

    lent = getattr(metrics, name)(**options)
    lent.build(y_true.shape, y_pred.shape)

    @jax.jit
    def step(state, y_true, y_pred, weight):
        with lend(lent.variables, state) as loan:
            lent.update_state(y_true, y_pred, weight)
            return loan.values(lent.variables), lent.result()

    state, result = step([v.value for v in lent.variables], y_true, y_pred, weight)
    close(result, eager.result())
    for after, variable in zip(state, eager.variables, strict=True):
        close(after, variable)
    assert all(not np.any(np.asarray(variable)) for variable in lent.variables)


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize(
    "name", ["BinaryAccuracy", "AUC", "F1Score", "MeanIoU", "R2Score", "Recall", "Poisson"]
)
def test_a_vmapped_update_equals_a_loop(name):
    kind, options = CASES[name][0]
    data = [tuple(jnp.stack([part, part[::-1]]) for part in batch) for batch in batches(kind)]
    shape = [part.shape[1:] for part in data[0]]
    metric = getattr(metrics, name)(**options)
    metric.build(*shape)
    zeros = metric.stateless_reset_state()
    state = [jnp.stack([zero, zero]) for zero in zeros]
    # Labels meet the predictions of another member, so that the two members differ.
    data[0] = (data[0][0], jnp.stack([data[0][1][0], jnp.roll(data[0][1][0], 1, axis=0)]))
    for y_true, y_pred in data:
        state = jax.vmap(metric.stateless_update_state)(state, y_true, y_pred)
    together = jax.vmap(metric.stateless_result)(state)
    for member in range(2):
        metric.reset_state()
        for y_true, y_pred in data:
            metric.update_state(y_true[member], y_pred[member])
        close(together[member], metric.result())


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("binary_accuracy", "labels", {"threshold": 0.3}),
        ("categorical_accuracy", "onehot", {}),
        ("sparse_categorical_accuracy", "sparse", {}),
        ("sparse_categorical_accuracy", "sparse_column", {}),
        ("sparse_categorical_accuracy", "sequence", {}),
        ("top_k_categorical_accuracy", "onehot", {"k": 2}),
        ("sparse_top_k_categorical_accuracy", "sequence", {"k": 2}),
        ("sparse_top_k_categorical_accuracy", "ranked", {"k": 2, "from_sorted_ids": True}),
        ("pearson_correlation", "numbers", {}),
        ("concordance_correlation", "numbers", {"axis": 0}),
    ],
)
def test_functions_equal_keras(name, kind, options):
    for y_true, y_pred in batches(kind):
        ours = getattr(metrics, name)(y_true, y_pred, **options)
        theirs = np.asarray(getattr(keras.metrics, name)(y_true, y_pred, **options))
        # Keras keeps a trailing 1 in one of its forms of the labels.
        close(ours, theirs.reshape(ours.shape))


def test_a_fractional_weight_of_whole_counts_is_announced():
    metric = metrics.MeanIoU(num_classes=2)
    with pytest.warns(UserWarning, match="float32"):
        metric.update_state([0, 1], [0, 1], sample_weight=[0.5, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.MeanIoU(2, dtype="float32")([0, 1], [0, 1], sample_weight=[0.5, 1.0])
