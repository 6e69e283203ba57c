"""Where Keras is silently wrong or vague: errors that say what to do, or right numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from talweg import metrics


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Accuracy(),
        metrics.BinaryAccuracy(),
        metrics.CategoricalAccuracy(),
        metrics.TopKCategoricalAccuracy(),
        metrics.MeanSquaredError(),
        metrics.RootMeanSquaredError(),
        metrics.R2Score(),
        metrics.F1Score(),
        metrics.AUC(),
        metrics.Recall(),
    ],
    ids=lambda metric: metric.name,
)
@pytest.mark.parametrize("shapes", [((4, 1), (4, 3)), ((4, 3), (4, 1))])
def test_labels_that_keras_would_broadcast_are_refused(metric, shapes):
    with pytest.raises(ValueError, match=r"\(4, [13]\).*\(4, [13]\)"):
        metric.update_state(np.zeros(shapes[0]), np.zeros(shapes[1], "float32"))


def test_one_hot_labels_of_a_sparse_accuracy_are_refused():
    with pytest.raises(ValueError, match="categorical"):
        metrics.SparseCategoricalAccuracy().update_state(np.eye(3), np.eye(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"Precision: thresholds .* 1\.5"),
        (lambda: metrics.TruePositives(thresholds=-0.1), r"thresholds must be in \[0, 1\]"),
        (lambda: metrics.AUC(curve="RC"), "curve must be one of"),
        (lambda: metrics.AUC(summation_method="x"), "summation_method"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2"),
        (lambda: metrics.AUC(num_labels=2), "multi_label=True"),
        (lambda: metrics.PrecisionAtRecall(1.2), r"recall must be in \[0, 1\], got 1\.2"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=0), "num_thresholds"),
        (lambda: metrics.FBetaScore(average="all"), "average"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta must be a positive number"),
        (lambda: metrics.F1Score(threshold=1.5), "threshold"),
        (lambda: metrics.IoU(2, [2]), r"target_class_ids must be in \[0, 2\)"),
        (lambda: metrics.IoU(2, [-1]), "target_class_ids"),
        (lambda: metrics.R2Score(class_aggregation="sum"), "class_aggregation"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k must be an integer of at least 1"),
    ],
)
def test_impossible_options_are_refused_at_the_call(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_impossible_data_is_refused():
    with pytest.raises(ValueError, match="class_id"):
        metrics.Recall(class_id=3).update_state(np.zeros((4, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="labels"):
        metrics.AUC(multi_label=True).update_state(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match="outputs"):
        metrics.R2Score().update_state(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match="one per prediction"):
        metrics.MeanIoU(2).update_state(np.zeros(4), np.zeros(5))


@pytest.mark.parametrize(
    "metric", [metrics.AUC(multi_label=True), metrics.F1Score(), metrics.R2Score()]
)
def test_there_is_no_result_before_the_shape_is_known(metric):
    with pytest.raises(ValueError, match="before the first"):
        metric.result()


def test_a_label_outside_of_the_classes_is_in_no_top_k():
    found = metrics.sparse_top_k_categorical_accuracy([-1, 7, 2], np.eye(3, dtype="float32"), k=3)
    assert found.tolist() == [0, 0, 1]


def test_classes_beyond_the_digits_of_a_half_are_told_apart():
    scores = np.zeros((1, 400))
    scores[0, 301] = 1
    half = jnp.asarray(scores, "bfloat16")
    assert float(metrics.sparse_categorical_accuracy([300], half)[0]) == 0
    assert float(metrics.sparse_categorical_accuracy([301], half)[0]) == 1


def test_r2_is_right_where_the_mean_is_large_next_to_the_spread():
    draw = np.random.default_rng(0)
    y = 20_000 + draw.normal(size=(256, 1))
    p = y + 0.5 * draw.normal(size=y.shape)
    y, p = y.astype("float32"), p.astype("float32")
    metric = metrics.R2Score()
    for part in np.array_split(np.arange(256), 7):
        metric.update_state(y[part], p[part])
    exact = y.astype("float64")
    expected = 1 - np.sum((exact - p) ** 2) / np.sum((exact - exact.mean()) ** 2)
    assert abs(float(metric.result()) - expected) < 1e-3


def test_r2_with_too_few_samples_is_not_adjusted_and_says_so():
    metric = metrics.R2Score(num_regressors=5)
    metric.update_state([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    with pytest.warns(UserWarning, match="not adjusted"):
        assert float(metric.result()) == pytest.approx(0.5)
